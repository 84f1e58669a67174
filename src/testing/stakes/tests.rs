//! Random acts and penalties beside the naive model, on rows alone: no block comes into it, so that a fault can be punished at any time.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::model::Model;
use super::{Act, HEIGHTS};
use crate::format::model::Transaction;
use crate::format::spec::ChainSpec;
use crate::state::{Account, InForce, RowChange, State};
use crate::testing::{Chain, Numbers, key};
use crate::transition::draft::Draft;
use crate::transition::stake::slash;
use crate::transition::{Book, Effects, Place, decide};

/// Rows by table and key.
#[derive(Default)]
#[allow(clippy::type_complexity)]
struct Rows(BTreeMap<(u8, Box<[u8]>), Box<[u8]>>);

impl Book for Rows {
    fn account(&self, _: &str) -> Account {
        Account::default()
    }

    fn row(&self, table: u8, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let value = self.0.get(&(table, key.into()))?;
        Some(Cow::Borrowed(value))
    }
}

impl Rows {
    fn take(&mut self, effects: Effects) {
        for RowChange { table, key, value } in effects.rows {
            match value {
                Some(value) => self.0.insert((table, key), value),
                None => self.0.remove(&(table, key)),
            };
        }
    }

    fn list(&self) -> impl Iterator<Item = (u8, &[u8], &[u8])> {
        self.0
            .iter()
            .map(|((table, key), value)| (*table, &**key, &**value))
    }
}

/// A place for acts of a sender at a height.
fn at<T>(
    (spec, state): (&ChainSpec, &State),
    transaction: &Transaction,
    height: u64,
    ask: impl FnOnce(&Place<'_>) -> T,
) -> T {
    ask(&Place {
        spec,
        in_force: &InForce::at(spec, None, height),
        parent: state,
        height,
        producer: None,
        transaction,
    })
}

struct Beside {
    chain: Chain,
    model: Model,
    rows: Rows,
    names: u64,
    /// How many penalties took something.
    punished: u64,
}

impl Beside {
    fn new(numbers: &mut Numbers) -> Self {
        let (spec, model, names) = super::begun(&mut |bound| numbers.below(bound));
        let chain = Chain::of(spec);
        let mut rows = Rows::default();
        for (table, key, value) in chain.state().tree().unwrap().rows() {
            rows.0.insert((table, key.into()), value.into());
        }
        Self {
            chain,
            model,
            rows,
            names,
            punished: 0,
        }
    }

    fn act(&mut self, height: u64, numbers: &mut Numbers) {
        let (sender, act) = super::act(&self.model, self.names, height, &mut |bound| {
            numbers.below(bound)
        });
        let Some(payload) = act.payload() else { return };
        let mut after = self.model.clone();
        // What can't be paid is for the rules to refuse.
        let purse = u128::from(u64::MAX);
        after.balances.insert(sender.clone(), purse);
        let expected = after.take(&sender, &act, height);
        let transaction = self.chain.draft(&sender, 1).sign(&[&key(&sender)]).unwrap();
        let (spec, state) = (self.chain.spec(), self.chain.state());
        let decided = at((spec, state), &transaction, height, |place| {
            decide(&payload, place, &self.rows)
        });
        let found = decided.as_ref().map(|_| ()).map_err(|fault| fault.reason);
        assert_eq!(found, expected, "{sender} {act:?} at {height}");
        let Ok(effects) = decided else { return };
        let moved = u128::from(effects.given_back) + purse - u128::from(effects.put_up);
        assert_eq!(after.balances[&sender], moved, "{sender} {act:?}");
        let put_up = match act {
            Act::Stake(_, amount) | Act::Delegate(_, amount) => amount,
            _ => 0,
        };
        assert_eq!(effects.put_up, put_up);
        self.model = after;
        self.rows.take(effects);
    }

    fn punish(&mut self, height: u64, numbers: &mut Numbers) {
        let name = format!("n{}", numbers.below(self.names));
        let parts = [10, 500, 3_000, 10_000][numbers.below(4) as usize];
        let fault = height.saturating_sub(numbers.below(4));
        let transaction = self.chain.draft(&name, 1).sign(&[&key(&name)]).unwrap();
        let (spec, state) = (self.chain.spec(), self.chain.state());
        let mut effects = Effects::default();
        let taken = at((spec, state), &transaction, height, |place| {
            let mut draft = Draft::new(&self.rows, &mut effects);
            slash(&name, parts, fault, place, &mut draft)
        });
        let expected = self.model.slash(&name, parts, fault, height);
        assert_eq!(u128::from(taken), expected, "{name} {parts} at {height}");
        assert_eq!(effects.forfeited, taken);
        self.punished += u64::from(taken > 0);
        self.rows.take(effects);
    }

    fn value(&self) -> u128 {
        self.model.pools.values().map(|pool| pool.tokens).sum()
    }
}

#[test]
fn penalties_take_from_every_pool_what_the_naive_model_says() {
    let mut punished = 0;
    for seed in 0..60 {
        let mut numbers = Numbers(seed);
        let mut beside = Beside::new(&mut numbers);
        for height in 1..HEIGHTS as u64 - 15 {
            for _ in 0..numbers.below(4) {
                beside.act(height, &mut numbers);
            }
            if numbers.below(6) == 0 {
                let before = beside.value() + beside.model.taken;
                beside.punish(height, &mut numbers);
                let after = beside.value() + beside.model.taken;
                assert_eq!(before, after, "value is conserved");
            }
            super::compare_rows(beside.rows.list(), &beside.model);
        }
        punished += beside.punished;
    }
    assert!(punished > 100, "{punished} penalties took something");
}
