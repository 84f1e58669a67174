//! One chain beside its model, driven by numbers: what is said, offered and forged, and that both agree on all of it.

use std::collections::BTreeMap;

use hubledger::consensus;
use hubledger::digest::Digest;
use hubledger::merkle;
use hubledger::model::Transaction;
use hubledger::rejection::Reason;
use hubledger::rules::Validator;
use hubledger::state::State;
use hubledger::state::tables::{Convictions, Pools, Shares};
use hubledger::testing::Numbers;

use super::acts::Said;
use super::model::{Member, Model, Offer};
use super::spoken::transaction;
use super::world::{Kind, NAMES, begun, block};
use crate::common::{Chain, hub};

/// The chain, the model, and what the members keep to themselves.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) chain: Chain,
    pub(super) model: Model,
    /// The layer within each layer that was committed to.
    pub(super) within: BTreeMap<Digest, Digest>,
    /// Who is away at present.
    pub(super) away: Vec<String>,
}

/// How often what came up.
pub(super) type Seen = BTreeMap<String, u64>;

/// A run with the way back.
pub(super) struct Federation {
    run: Run,
    before: Vec<Run>,
    value: u128,
    numbers: Numbers,
    pub(super) seen: Seen,
}

/// Of names, keys and weights in turn order.
fn members_root(members: &[Member]) -> Digest {
    let leaves = super::world::authorities(members).into_iter().map(|one| {
        let length = (one.name.len() as u32).to_le_bytes();
        let (name, key, weight) = (one.name.as_bytes(), one.key, one.weight.to_le_bytes());
        merkle::leaf_hash(&[&length, name, key.as_bytes(), &weight])
    });
    merkle::root(&leaves.collect::<Vec<_>>())
}

fn agree<T: PartialEq + std::fmt::Debug>(
    what: impl std::fmt::Display,
    found: &T,
    expected: &T,
) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!(
            "{what}: the chain says {found:?}, the model {expected:?}"
        )),
    }
}

impl Federation {
    pub(super) fn new(kind: Kind, seed: u64, change: impl FnOnce(&mut Model)) -> Self {
        let mut numbers = Numbers(seed);
        let (chain, mut model) = begun(kind, &mut |bound| numbers.below(bound));
        change(&mut model);
        let (within, away) = (BTreeMap::new(), Vec::new());
        let value = model.value();
        Self {
            run: Run {
                chain,
                model,
                within,
                away,
            },
            before: Vec::new(),
            value,
            numbers,
            seen: Seen::new(),
        }
    }

    fn note(&mut self, word: &str, verdict: Result<(), Reason>) {
        let word = match verdict {
            Ok(()) => word.to_owned(),
            Err(reason) => format!("{word}: {}", reason.word()),
        };
        *self.seen.entry(word).or_default() += 1;
    }

    /// One block more, and now and then some of them back.
    ///
    /// # Errors
    /// What chain and model don't agree on.
    pub(super) fn step(&mut self) -> Result<(), String> {
        if self.numbers.below(9) == 0 && !self.before.is_empty() {
            let back = self.numbers.below(self.before.len().min(4) as u64) as usize;
            let kept = self.before.len() - back;
            self.before.truncate(kept);
            self.run = self.before.pop().unwrap();
            self.note("taken back", Ok(()));
            self.compare()?;
        }
        self.before.push(self.run.clone());
        let height = self.run.model.height + 1;
        self.step_at()
            .map_err(|problem| format!("height {height}: {problem}"))
    }

    fn step_at(&mut self) -> Result<(), String> {
        let numbers = &mut self.numbers;
        let offer = self.run.offer(&mut |bound| numbers.below(bound));
        let mut accepted: Vec<Transaction> = Vec::new();
        let acts = [5, 5, 5, 20][self.numbers.below(4) as usize];
        for _ in 0..self.numbers.below(acts) {
            let numbers = &mut self.numbers;
            let choose = &mut |bound| numbers.below(bound);
            let (sender, act) = self.run.act(&offer, choose);
            let transaction = transaction(&self.run.chain, &self.run.model, &sender, &act);
            let said = Said {
                sender: &sender,
                producer: &offer.producer,
                id: transaction.id(),
            };
            let mut after = self.run.model.clone();
            let expected = after.take(said, &act);
            let mut tried = accepted.clone();
            tried.push(transaction);
            let found = self.run.verdict(&offer, &tried);
            agree(format!("{sender} {act:?}"), &found, &expected)?;
            agree(format!("value behind {act:?}"), &after.value(), &self.value).or_else(
                |problem| {
                    if expected.is_ok() {
                        Err(problem)
                    } else {
                        Ok(())
                    }
                },
            )?;
            self.note(act.word(), expected);
            if expected.is_ok() {
                let absent =
                    |model: &Model| model.convicted.keys().filter(|one| one.1 == 4).count();
                if absent(&after) > absent(&self.run.model) {
                    self.note("absent", Ok(()));
                }
                self.run.model = after;
                accepted = tried;
            }
        }
        for _ in 0..3 {
            let numbers = &mut self.numbers;
            let forged = self.run.forged(&offer, &mut |bound| numbers.below(bound));
            let expected = self.run.model.verdict(&forged);
            let found = self.run.verdict(&forged, &[]);
            agree(format!("{forged:?}"), &found, &expected)?;
            self.note("offered", expected);
        }
        let made = block(&self.run.chain, &self.run.model, &offer, &accepted);
        let verdict = self.run.model.verdict(&offer);
        let checked = self.run.chain.check(&made).map(drop);
        agree(
            format!("{offer:?}"),
            &checked.map_err(|one| one.reason),
            &verdict,
        )?;
        self.note("made", verdict);
        self.run.chain.push(made);
        self.run.model.grow();
        let height = self.run.model.height;
        if self.run.model.members(height) != self.run.model.members(height + 1) {
            self.note("other members", Ok(()));
        }
        if self.numbers.below(8) == 0 {
            // As after a restart.
            let state = State::decode(&self.run.chain.state().encode());
            let spec = self.run.chain.spec().clone();
            self.run.chain.validator = Validator::resume(spec, state.unwrap()).unwrap();
        }
        self.compare()
    }

    /// That the state says what the model says.
    fn compare(&mut self) -> Result<(), String> {
        let Run { chain, model, .. } = &self.run;
        let (spec, state) = (chain.spec(), chain.state());
        for height in model.height.saturating_sub(3).max(1)..=model.height + 2 {
            let found = consensus::members(spec, state, height);
            let expected = super::world::authorities(model.members(height));
            agree(format!("members of {height}"), &found.to_vec(), &expected)?;
        }
        let header = chain.last().header();
        let root = members_root(model.members(model.height + 1));
        agree("root over the next members", &header.members_root, &root)?;
        let last = [3, 5, 104][self.numbers.below(3) as usize];
        let members = model.members(model.height + 1);
        for (round, expected) in (0..).zip(model.proposers(last)) {
            let found = consensus::proposer(spec, state, round);
            let found = found.map(|place| members[place].0.clone());
            agree(format!("proposer of round {round}"), &found, &expected)?;
        }
        self.run.compare_value(self.value)
    }
}

impl Run {
    fn verdict(&self, offer: &Offer, transactions: &[Transaction]) -> Result<(), Reason> {
        let block = block(&self.chain, &self.model, offer, transactions);
        self.chain.check(&block).map(drop).map_err(|one| one.reason)
    }

    fn compare_value(&self, value: u128) -> Result<(), String> {
        let (model, state) = (&self.model, self.chain.state());
        let mut sum = model.gone;
        for number in 0..NAMES as usize {
            let name = hub(number);
            let (found, expected) = (state.account(&name).balance.into(), model.balances[&name]);
            agree(format!("balance of {name}"), &found, &expected)?;
            sum += found;
        }
        for ((name, boundary), pool) in &model.pools {
            let found = state.value::<Pools>(&Pools::key(name, *boundary));
            let found = found.map_or((0, 0), |pool| (pool.tokens.into(), pool.shares.into()));
            let expected = (pool.tokens, pool.all());
            agree(format!("pool of {name} at {boundary}"), &found, &expected)?;
            for (holder, shares) in &pool.shares {
                let found = state.value::<Shares>(&Shares::key(holder, name, *boundary));
                let what = format!("shares of {holder} behind {name}");
                agree(what, &found.unwrap_or(0).into(), shares)?;
            }
            sum += found.0;
        }
        for ((name, kind, height, round), cost) in &model.convicted {
            let key = Convictions::key(name, *kind, *height, *round);
            let found = state.value::<Convictions>(&key);
            let found = found.map(|one| u128::from(one.basis_points));
            agree(
                format!("what {name} was convicted of"),
                &found,
                &Some(*cost),
            )?;
        }
        agree("value in all", &sum, &value)
    }
}
