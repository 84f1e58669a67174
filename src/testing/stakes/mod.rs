//! A naive model of stakes and of the members that they make, and a chain beside it that is driven with the same acts.
//!
//! The model knows nothing of payloads, rows or lists that are written ahead. What it says of pools, balances and of the members of every
//! height has to be what the chain's state says.

#[cfg(test)]
mod attendance;
pub(crate) mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use self::model::{Model, Pooled};
use super::{Chain, SECOND, key};
use crate::consensus;
use crate::format::FormatVersion;
use crate::format::model::{Block, Operation, Transaction};
use crate::format::payload::{Delegate, Payload, Release, Stake, Withdraw};
use crate::format::rejection::Reason;
use crate::format::signature::{KeyPair, PublicKey};
use crate::format::spec::{
    Authority, ChainSpec, Composition, Consensus, ConsensusName, FeesTo, Identity, InitialAccount,
    Membership, Penalties, Proposer, SpecFields, StakeTerms, Terms,
};
use crate::rules::produce::produce;
use crate::rules::{Depth, Prepared, Validator};
use crate::state::State;
use crate::state::tables::{Pool, Pools, Shares, Table};
use crate::testing::federation::Choices;

/// The model ends at this height, and so does the chain.
pub const HEIGHTS: usize = 90;

/// The most names that take part.
const NAMES_MAX: u64 = 16;
/// What each name holds at genesis.
const BALANCE: u64 = 1_000;
const LEAST: u64 = 20;

/// What a transaction says.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Transfer(String, u64),
    Stake(String, u64),
    Delegate(String, u64),
    Release(String, u64),
    Withdraw(String, u64),
}

impl Act {
    const fn word(&self) -> &'static str {
        match self {
            Self::Transfer(..) => "transfer",
            Self::Stake(..) => "stake",
            Self::Delegate(..) => "delegate",
            Self::Release(..) => "release",
            Self::Withdraw(..) => "withdraw",
        }
    }

    /// What goes into the transaction; none of a transfer.
    pub(crate) fn payload(&self) -> Option<Payload> {
        Some(match self.clone() {
            Self::Transfer(..) => return None,
            Self::Stake(key, amount) => Payload::Stake(Stake {
                key: public(&key),
                amount,
            }),
            Self::Delegate(to, amount) => Payload::Delegate(Delegate { to, amount }),
            Self::Release(from, amount) => Payload::Release(Release { from, amount }),
            Self::Withdraw(from, boundary) => Payload::Withdraw(Withdraw { from, boundary }),
        })
    }
}

/// Keys are made once: that takes longer than everything else here.
static PAIRS: LazyLock<BTreeMap<String, KeyPair>> = LazyLock::new(|| {
    let names = (0..NAMES_MAX).map(name);
    let names = names.chain((0..3).map(|number| format!("key-{number}")));
    names.map(|name| (name.clone(), key(&name))).collect()
});

fn name(number: u64) -> String {
    format!("n{number}")
}

fn public(name: &str) -> PublicKey {
    PAIRS[name].public_key()
}

/// Terms that are chosen, and what the model knows at genesis.
pub(crate) fn begun(choose: Choices<'_>) -> (ChainSpec, Model, u64) {
    begun_under(choose, |_| {})
}

/// The same under a specification that `change` made another.
pub(crate) fn begun_under(
    choose: Choices<'_>,
    change: impl FnOnce(&mut SpecFields),
) -> (ChainSpec, Model, u64) {
    let names = 4 + choose(NAMES_MAX - 3);
    let founders = 1 + choose(names);
    let terms = StakeTerms {
        epoch: 2 + choose(5) as u32,
        members_max: (founders + choose(3)) as u32,
        release_delay: 4 + choose(8) as u32,
        delegation: choose(4) > 0,
    };
    let members: Vec<_> = (0..founders)
        .map(|n| (name(n), LEAST + choose(60)))
        .collect();
    let model = Model {
        epoch: terms.epoch.into(),
        delay: terms.release_delay.into(),
        members_max: terms.members_max as usize,
        delegation: terms.delegation,
        least: LEAST.into(),
        balances: (0..names).map(|n| (name(n), BALANCE.into())).collect(),
        nonces: BTreeMap::new(),
        pools: members
            .iter()
            .map(|(name, weight)| {
                let tokens = u128::from(*weight);
                let shares = [(name.clone(), tokens)].into();
                ((name.clone(), 0), Pooled { tokens, shares })
            })
            .collect(),
        keys: members
            .iter()
            .map(|(name, _)| (name.clone(), name.clone()))
            .collect(),
        members: vec![
            members
                .iter()
                .map(|(name, weight)| (name.clone(), name.clone(), u128::from(*weight)))
                .collect();
            HEIGHTS
        ],
        #[cfg(test)]
        taken: 0,
    };
    let authorities = members.into_iter().map(|(name, weight)| Authority {
        key: public(&name),
        name,
        weight,
    });
    let spec = spec(terms, authorities.collect(), |fields| {
        for number in 0..names {
            let account = InitialAccount {
                // A member's key is listed with it.
                key: (number >= founders).then(|| public(&name(number))),
                balance: BALANCE,
            };
            fields.accounts.insert(name(number), account);
        }
        change(fields);
    });
    (spec, model, names)
}

/// A specification whose members put up stakes, any of whom makes the next block: faults can be shown for 3 blocks.
///
/// # Panics
/// If `change` makes it none.
pub fn spec(
    terms: StakeTerms,
    members: Vec<Authority>,
    change: impl FnOnce(&mut SpecFields),
) -> ChainSpec {
    let mut fields = super::spec_fields(0);
    fields.version = FormatVersion::V2;
    fields.rules.identity = Identity::Pinned;
    fields.rules.balances = true;
    fields.terms = Terms {
        stake_min: LEAST,
        fees_to: FeesTo::Producer,
        ..Terms::of_new_chains()
    };
    fields.consensus = Consensus::Composed(Box::new(Composition {
        membership: Membership::Staked(terms),
        proposer: Proposer::Open,
        penalties: Penalties {
            evidence_blocks: 3,
            ..Penalties::default()
        },
        ..Composition::named(ConsensusName::ProofOfStake, members)
    }));
    change(&mut fields);
    ChainSpec::new(fields).expect("a specification that holds")
}

/// An act that is chosen, and whose.
pub(crate) fn act(model: &Model, names: u64, height: u64, choose: Choices<'_>) -> (String, Act) {
    let sender = name(choose(names));
    let mut other = name(choose(names));
    let act = match choose(12) {
        0 => Act::Transfer(
            other,
            [choose(80), 2 * BALANCE][usize::from(choose(4) == 0)],
        ),
        1..=3 => {
            let key = match choose(5) {
                0 => format!("key-{}", choose(3)),
                1 => other,
                _ => sender.clone(),
            };
            Act::Stake(key, [0, choose(100), choose(40)][choose(3) as usize])
        }
        4 | 5 => Act::Delegate(other, choose(90)),
        6..=8 => {
            if choose(2) == 0 {
                other.clone_from(&sender);
            }
            // Often all, or a little beside it.
            let pool = model.pools.get(&(other.clone(), 0));
            let all = pool.map_or(0, |pool| pool.worth(&sender)) as u64;
            let amount = [all, all + 1, choose(all + 2), choose(5)][choose(4) as usize];
            Act::Release(other, amount)
        }
        _ => {
            // Often one that is there.
            let pools = model.pools.iter();
            let own = pools.filter(|((_, at), pool)| *at != 0 && pool.shares.contains_key(&sender));
            let own: Vec<_> = own.map(|(key, _)| key.clone()).collect();
            match own.is_empty() {
                true => Act::Withdraw(other, choose(height + 1)),
                false => {
                    let (from, boundary) = own[choose(own.len() as u64) as usize].clone();
                    Act::Withdraw(from, boundary)
                }
            }
        }
    };
    (sender, act)
}

/// That the rows say what the model says of pools and shares.
pub(crate) fn compare_rows<'a>(
    rows: impl Iterator<Item = (u8, &'a [u8], &'a [u8])>,
    model: &Model,
) {
    let mut pools: BTreeMap<(String, u64), Pooled> = BTreeMap::new();
    let mut counted: BTreeMap<(String, u64), u128> = BTreeMap::new();
    for (table, key, bytes) in rows {
        if table == Pools::NUMBER {
            let (name, boundary) = Pools::parts(key).unwrap();
            let Pool { tokens, shares, .. } = Pools::decode(bytes).unwrap();
            let key = (name.to_owned(), boundary);
            pools.entry(key.clone()).or_default().tokens = tokens.into();
            counted.insert(key, shares.into());
        }
        if table == Shares::NUMBER {
            let (holder, name, boundary) = Shares::parts(key).unwrap();
            let shares = Shares::decode(bytes).unwrap();
            let pool = pools.entry((name.to_owned(), boundary)).or_default();
            pool.shares.insert(holder.to_owned(), shares.into());
        }
    }
    for (key, pool) in &pools {
        let all: u128 = pool.shares.values().sum();
        assert_eq!(counted.get(key), Some(&all), "shares of {key:?}");
        assert!(pool.tokens <= all, "no share is worth more than it cost");
    }
    let is_there = |pool: &Pooled| !pool.shares.is_empty();
    pools.retain(|_, pool| is_there(pool));
    let expected = model.pools.iter().filter(|(_, pool)| is_there(pool));
    let expected: BTreeMap<_, _> = expected
        .map(|(key, pool)| (key.clone(), pool.clone()))
        .collect();
    assert_eq!(pools, expected);
}

/// The chain and the model beside it.
pub struct Staking {
    chain: Chain,
    model: Model,
    names: u64,
    total: u128,
    /// How often each act was valid, by its word, and how often one was refused, by its word behind "no ".
    pub seen: BTreeMap<String, u64>,
}

impl Staking {
    /// A chain under terms that are chosen.
    pub fn new(choose: Choices<'_>) -> Self {
        let (spec, model, names) = begun(choose);
        let pools: u128 = model.pools.values().map(|pool| pool.tokens).sum();
        Self {
            chain: Chain::of(spec),
            total: model.balances.values().sum::<u128>() + pools,
            model,
            names,
            seen: BTreeMap::new(),
        }
    }

    /// Grows the chain by one block of acts that are chosen, and sometimes goes back, or restarts from the state in bytes.
    /// Whether there was room for another.
    ///
    /// # Panics
    /// If chain and model differ.
    pub fn step(&mut self, choose: Choices<'_>) -> bool {
        let height = self.chain.state().height() + 1;
        if height as usize + 15 >= HEIGHTS {
            return false;
        }
        let (before, mut journal) = (self.model.clone(), self.chain.validator.state().journal());
        let members = self.model.members[height as usize].clone();
        let (producer, sealer, _) = &members[choose(members.len() as u64) as usize];
        let mut accepted: Vec<Transaction> = Vec::new();
        for _ in 0..choose(7) {
            let (sender, act) = act(&self.model, self.names, height, choose);
            let transaction = self.transaction(&sender, &act);
            let mut after = self.model.clone();
            let expected = after.take(&sender, &act, height);
            let mut tried = accepted.clone();
            tried.push(transaction);
            let found = self.verdict(producer, sealer, &tried);
            assert_eq!(found, expected, "{sender} {act:?} at {height}");
            let refused = if expected.is_ok() { "" } else { "no " };
            let word = format!("{refused}{}", act.word());
            *self.seen.entry(word).or_default() += 1;
            if expected.is_ok() {
                self.model = after;
                accepted = tried;
            }
        }
        let block = self.block(producer, sealer, &accepted);
        self.push(&block, &mut journal);
        self.compare();
        match choose(8) {
            0 => {
                self.chain.validator.rewind(journal);
                self.chain.blocks.pop();
                self.model = before;
                self.compare();
            }
            1 => {
                let bytes = self.chain.state().encode();
                let state = State::decode(&bytes).unwrap();
                let spec = self.chain.spec().clone();
                self.chain.validator = Validator::resume(spec, state).unwrap();
            }
            _ => {}
        }
        true
    }

    fn transaction(&self, sender: &str, act: &Act) -> Transaction {
        let nonce = self.model.nonces.get(sender).copied().unwrap_or(0) + 1;
        let mut draft = self.chain.draft(sender, nonce);
        match (act, act.payload()) {
            (Act::Transfer(receiver, amount), _) => {
                draft.operation = Operation::Transfer;
                draft.receiver.clone_from(receiver);
                draft.amount = *amount;
            }
            (_, Some(payload)) => {
                draft.operation = payload.operations()[0];
                draft.payload = payload.encode();
            }
            _ => {}
        }
        draft.sign(&[&PAIRS[sender]]).unwrap()
    }

    fn block(&self, producer: &str, sealer: &str, transactions: &[Transaction]) -> Block {
        let (spec, state) = (self.chain.spec(), self.chain.state());
        let (key, now_us) = (&PAIRS[sealer], state.timestamp() + SECOND);
        produce(spec, state, producer, key, transactions, now_us).unwrap()
    }

    fn verdict(
        &self,
        producer: &str,
        sealer: &str,
        transactions: &[Transaction],
    ) -> Result<(), Reason> {
        let block = self.block(producer, sealer, transactions);
        let verdict = self.chain.validator.check(&block, Depth::Replay);
        verdict.map(|_| ()).map_err(|rejected| rejected.reason)
    }

    /// As the engine does it, so that it can be taken back.
    fn push(&mut self, block: &Block, journal: &mut crate::state::Journal) {
        let prepared = Prepared::new(self.chain.spec(), block.clone());
        let now_us = block.header().timestamp;
        let validator = &mut self.chain.validator;
        let mut ruling = validator.rule(&prepared, Depth::Full { now_us });
        validator.apply_unsettled(&mut ruling, journal);
        assert!(ruling.is_sound(), "what was tried is valid");
        self.chain.blocks.push(block.clone());
    }

    /// That state and model say the same.
    fn compare(&self) {
        let (state, model) = (self.chain.state(), &self.model);
        compare_rows(state.tree().unwrap().rows(), model);
        let mut sum = model.pools.values().map(|pool| pool.tokens).sum::<u128>();
        for (name, balance) in &model.balances {
            let found = u128::from(state.account(name).balance);
            assert_eq!(found, *balance, "{name}");
            sum += balance;
        }
        assert_eq!(sum, self.total, "value is conserved");
        // Whoever was a member is, and who will be is known two heights ahead.
        for height in 1..=state.height() + 2 {
            let found = consensus::members(self.chain.spec(), state, height);
            let found = found
                .iter()
                .map(|one| (one.name.clone(), one.key, one.weight));
            let expected = model.members[height as usize].iter();
            let expected =
                expected.map(|(name, key, weight)| (name.clone(), public(key), *weight as u64));
            assert_eq!(
                found.collect::<Vec<_>>(),
                expected.collect::<Vec<_>>(),
                "members of {height}"
            );
        }
    }
}
