//! A naive model of names, keys, attestations and parameters, and a chain beside it that is driven with the same acts.
//!
//! The model writes down for every height up to an end who speaks for whom and what is in force, as plain lists, so that a
//! mistake about intervals in the state's rows shows as a difference. It knows nothing of payloads, rows or hashes.

mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::{Chain, SECOND, key, no_signature};
use crate::format::FormatVersion;
use crate::format::digest::TransactionId;
use crate::format::model::{Block, Draft, Operation, Scheme, Transaction, Witness};
use crate::format::payload::{
    Approve, Attest, KeySet, Leave, ParameterValue, Payload, Profile, Propose, Recover, Register,
    Retract, Revoke, Rotate,
};
use crate::format::rejection::Reason;
use crate::format::signature::{KeyPair, PublicKey};
use crate::format::spec::{
    Authority, FeesTo, Identity, InitialAccount, Joining, Parameter, SpecFields, Terms,
};
use crate::rules::produce::produce;
use crate::rules::{Depth, Prepared, Validator};
use crate::state::tables::{Registrations, Standing};
use crate::state::{InForce, State};

/// Where choices come from: a number below the one that is asked for.
pub type Choices<'a> = &'a mut dyn FnMut(u64) -> u64;

/// The model ends at this height, and so does the chain.
pub const HEIGHTS: usize = 80;

const MEMBERS: [&str; 3] = ["hub-0", "hub-1", "hub-2"];
const NAMES: [&str; 5] = ["alice", "bob", "carol", "hub-1", "hub-2"];
const KEYS: [&str; 7] = ["alice", "bob", "carol", "k0", "k1", "hub-1", "hub-2"];

/// Keys of which so many have to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Keys {
    threshold: usize,
    names: BTreeSet<&'static str>,
}

impl Keys {
    fn of(threshold: usize, names: impl IntoIterator<Item = &'static str>) -> Self {
        let names: BTreeSet<_> = names.into_iter().collect();
        let threshold = threshold.clamp(1, names.len());
        Self { threshold, names }
    }

    fn set(&self) -> KeySet {
        let keys = self.names.iter().map(|name| public(name)).collect();
        KeySet::new(self.threshold as u8, keys).unwrap()
    }

    fn signed_by(&self, signers: &BTreeSet<&'static str>) -> bool {
        signers.is_subset(&self.names) && signers.len() >= self.threshold
    }
}

/// Keys are made once: that takes longer than everything else here.
static PAIRS: LazyLock<BTreeMap<&str, KeyPair>> = LazyLock::new(|| {
    let names = MEMBERS.iter().chain(&KEYS).chain(&["bank"]);
    names.map(|name| (*name, key(name))).collect()
});

fn public(name: &str) -> PublicKey {
    PAIRS[name].public_key()
}

/// What a transaction says.
#[derive(Debug, Clone)]
enum Act {
    Message,
    Transfer(&'static str, u64),
    Register(Keys, Option<Keys>, u64, Option<&'static str>, bool),
    Rotate(Keys, u64, u32),
    Revoke,
    Recover(Keys),
    Leave,
    Attest(&'static str, Keys, u64),
    Retract(&'static str),
    Propose(Parameter, ParameterValue, u64),
    Approve(&'static str),
}

impl Act {
    const fn word(&self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Transfer(..) => "transfer",
            Self::Register(.., false) => "register",
            Self::Register(.., true) => "join",
            Self::Rotate(..) => "rotate",
            Self::Revoke => "revoke",
            Self::Recover(_) => "recover",
            Self::Leave => "leave",
            Self::Attest(..) => "attest",
            Self::Retract(_) => "retract",
            Self::Propose(..) => "propose",
            Self::Approve(_) => "approve",
        }
    }
}

/// A registered name, height by height.
#[derive(Debug, Clone)]
struct Registered {
    standing: Standing,
    is_member: bool,
    stake: u64,
    recovery: Option<Keys>,
    /// Of each height the sets that speak, each with the height at which it began, the latest last.
    speaking: Vec<Vec<(u64, Keys)>>,
    /// The height of the last rotation, behind which only the set speaks in that block that began then.
    cut: Option<(u64, u64)>,
}

#[derive(Debug, Clone)]
struct Proposed {
    id: TransactionId,
    parameter: Parameter,
    value: ParameterValue,
    effective: u64,
    approvals: BTreeSet<&'static str>,
}

/// Everything that the model knows after some acts.
#[derive(Debug, Clone)]
struct Model {
    rule: Identity,
    joining: Joining,
    key_age: u64,
    balances: BTreeMap<&'static str, u64>,
    nonces: BTreeMap<&'static str, u64>,
    /// The keys of names that aren't registered.
    pinned: BTreeMap<&'static str, BTreeSet<&'static str>>,
    registered: BTreeMap<&'static str, Registered>,
    attested: BTreeMap<(&'static str, &'static str), (Keys, u64)>,
    proposed: BTreeMap<&'static str, Proposed>,
    /// Of each height.
    fee_min: Vec<u64>,
    stake_min: Vec<u64>,
    members: Vec<Vec<&'static str>>,
    /// The heights at which these changed, or will.
    fee_min_changes: Vec<usize>,
    stake_min_changes: Vec<usize>,
    members_changes: Vec<usize>,
    fees_to: FeesTo,
    burnt: u64,
}

type Verdict = Result<(), Reason>;

/// The chain and the model beside it.
pub struct Federation {
    chain: Chain,
    model: Model,
    total: u64,
    /// How often each act was valid, by its word, and how often a transaction was refused, by the reason's.
    pub seen: BTreeMap<&'static str, u64>,
}

impl Federation {
    /// A federation under rules that are chosen.
    pub fn new(choose: Choices<'_>) -> Self {
        let rule = [Identity::Registered, Identity::Pinned][choose(2) as usize];
        let joining = [
            Joining::Free,
            Joining::Stake,
            Joining::Attested,
            Joining::StakeOrAttested,
        ][choose(4) as usize];
        let key_age = [0, 9][choose(2) as usize];
        let fees_to = match choose(3) {
            0 => FeesTo::Burn,
            1 => FeesTo::Treasury("treasury".to_owned()),
            _ => FeesTo::Producer,
        };
        let chain = Chain::in_version(FormatVersion::V2, MEMBERS.len(), |fields| {
            fields.rules.identity = rule;
            fields.rules.balances = true;
            fields.terms = Terms {
                joining,
                key_age_max: key_age,
                stake_min: 20,
                grace_max: 6,
                fees_to: fees_to.clone(),
                changeable: [Parameter::FeeMin, Parameter::StakeMin, Parameter::Members].into(),
                ..Terms::of_new_chains()
            };
            give_balances(fields);
        });
        let mut balances: BTreeMap<_, _> = MEMBERS.iter().map(|name| (*name, 1_000)).collect();
        balances.insert("bank", 1_000);
        let own = |name: &&'static str| (*name, [*name].into());
        let model = Model {
            rule,
            joining,
            key_age,
            balances,
            nonces: BTreeMap::new(),
            pinned: MEMBERS.iter().chain(&["bank"]).map(own).collect(),
            registered: BTreeMap::new(),
            attested: BTreeMap::new(),
            proposed: BTreeMap::new(),
            fee_min: vec![0; HEIGHTS],
            stake_min: vec![20; HEIGHTS],
            members: vec![MEMBERS.to_vec(); HEIGHTS],
            fee_min_changes: Vec::new(),
            stake_min_changes: Vec::new(),
            members_changes: Vec::new(),
            fees_to,
            burnt: 0,
        };
        Self {
            chain,
            model,
            total: 4_000,
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
        if height as usize + 12 >= HEIGHTS {
            return false;
        }
        let (before, journal) = (self.model.clone(), self.chain.validator.state().journal());
        let mut accepted: Vec<Transaction> = Vec::new();
        let producer = self.producer(height);
        for _ in 0..choose(9) {
            let (sender, act) = self.act(height, choose);
            let signers = self.signers(sender, &act, height, choose);
            let transaction = self.transaction(sender, &act, &signers, height);
            let mut after = self.model.clone();
            let expected = after.take(sender, &act, &signers, &transaction, height, producer);
            let mut tried = accepted.clone();
            tried.push(transaction);
            let found = self.verdict(producer, &tried);
            assert_eq!(
                found, expected,
                "{sender} {act:?} by {signers:?} at {height} behind {accepted:?}"
            );
            let word = expected.map_or_else(Reason::word, |()| act.word());
            *self.seen.entry(word).or_default() += 1;
            if expected.is_ok() {
                self.model = after;
                accepted = tried;
            }
        }
        let block = self.block(producer, &accepted);
        let mut journal = journal;
        self.push(&block, &mut journal);
        self.compare();
        match choose(8) {
            0 => {
                self.chain.validator.rewind(journal);
                self.chain.blocks.pop();
                self.model = before;
                self.compare();
                // The same block is as valid as it was.
                let again = self.chain.validator.check(&block, Depth::Replay);
                assert!(again.is_ok(), "{again:?}");
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

    fn producer(&self, height: u64) -> &'static str {
        self.model.members[height as usize][0]
    }

    fn block(&self, producer: &str, transactions: &[Transaction]) -> Block {
        let (spec, state) = (self.chain.spec(), self.chain.state());
        let now_us = state.timestamp() + SECOND;
        produce(
            spec,
            state,
            producer,
            &PAIRS[producer],
            transactions,
            now_us,
        )
        .unwrap()
    }

    fn verdict(&self, producer: &str, transactions: &[Transaction]) -> Verdict {
        let block = self.block(producer, transactions);
        let verdict = self.chain.validator.check(&block, Depth::Replay);
        verdict.map(|_| ()).map_err(|rejected| {
            let last = transactions.len() as u32 - 1;
            assert_eq!(rejected.transaction, Some(last), "{rejected}");
            rejected.reason
        })
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

    /// That state and model say the same of every height.
    fn compare(&self) {
        let (state, model) = (self.chain.state(), &self.model);
        let mut sum = 0;
        for name in NAMES.iter().chain(&["bank", "hub-0", "treasury"]) {
            let account = state.account(name);
            let balance = model.balances.get(name).copied().unwrap_or(0);
            assert_eq!(account.balance, balance, "{name}");
            let held = state.value::<Registrations>(name.as_bytes());
            let expected = model.registered.get(name);
            assert_eq!(held.is_some(), expected.is_some(), "{name}");
            assert_eq!(account.is_registered(), expected.is_some(), "{name}");
            sum += balance;
            let (Some(held), Some(expected)) = (held, expected) else {
                continue;
            };
            assert_eq!(held.standing, expected.standing, "{name}");
            assert_eq!(held.is_member, expected.is_member, "{name}");
            assert_eq!(held.stake, expected.stake, "{name}");
            sum += held.stake;
            for (height, sets) in (0..).zip(&expected.speaking) {
                let mut found: Vec<_> = state
                    .keys_at(name, height)
                    .into_iter()
                    .map(|(_, tenure)| (tenure.from, tenure.keys))
                    .collect();
                found.reverse();
                let sets: Vec<_> = sets
                    .iter()
                    .map(|(from, keys)| (*from, keys.set()))
                    .collect();
                assert_eq!(found, sets, "{name} at {height}");
            }
        }
        assert_eq!(sum + model.burnt, self.total, "value is conserved");
        let next = state.height() + 1;
        for height in 1..=next {
            let in_force = InForce::at(self.chain.spec(), Some(state), height);
            assert_eq!(in_force.rules.fee_min, model.fee_min[height as usize]);
            assert_eq!(in_force.stake_min, model.stake_min[height as usize]);
        }
        for height in 1..=next + 1 {
            let members = crate::state::members(self.chain.spec(), state, height);
            let expected = &model.members[height as usize];
            match members {
                None => assert_eq!(*expected, MEMBERS),
                Some(members) => {
                    let names: Vec<_> = members.iter().map(|one| &one.name[..]).collect();
                    assert_eq!(names, *expected);
                }
            }
        }
    }

    fn transaction(
        &self,
        sender: &'static str,
        act: &Act,
        signers: &BTreeSet<&'static str>,
        height: u64,
    ) -> Transaction {
        let nonce = self.model.nonces.get(sender).copied().unwrap_or(0) + 1;
        let mut draft = self.chain.draft(sender, nonce);
        draft.fee = self.model.fee_min[height as usize];
        self.fill(&mut draft, act);
        // Rules are tried here, and no signatures.
        let witness = |name: &&'static str| Witness {
            scheme: Scheme::Native,
            key: public(name),
            signature: no_signature(),
        };
        let witnesses = signers.iter().map(witness).collect();
        draft.with_witnesses(witnesses).unwrap()
    }

    fn fill(&self, draft: &mut Draft, act: &Act) {
        let payload = match act.clone() {
            Act::Message => return,
            Act::Transfer(receiver, amount) => {
                draft.operation = Operation::Transfer;
                draft.receiver = receiver.to_owned();
                draft.amount = amount;
                return;
            }
            Act::Register(keys, recovery, stake, attester, _) => Payload::Register(Register {
                keys: keys.set(),
                recovery: recovery.map(|keys| keys.set()),
                stake,
                attester: attester.map(str::to_owned),
                profile: Profile::default(),
            }),
            Act::Rotate(keys, effective, grace) => Payload::Rotate(Rotate {
                keys: keys.set(),
                effective,
                grace,
            }),
            Act::Revoke => Payload::Revoke(Revoke),
            Act::Recover(keys) => Payload::Recover(Recover {
                keys: keys.set(),
                recovery: None,
            }),
            Act::Leave => Payload::Leave(Leave),
            Act::Attest(subject, keys, expiry) => Payload::Attest(Attest {
                subject: subject.to_owned(),
                keys: keys.set().digest(),
                purpose: "membership".to_owned(),
                expiry,
            }),
            Act::Retract(subject) => Payload::Retract(Retract {
                subject: subject.to_owned(),
                purpose: "membership".to_owned(),
            }),
            Act::Propose(parameter, value, effective) => Payload::Propose(Propose {
                parameter,
                value,
                effective,
            }),
            Act::Approve(proposer) => {
                let proposed = self.model.proposed.get(proposer);
                let none = TransactionId([9; 32]);
                Payload::Approve(Approve {
                    proposer: proposer.to_owned(),
                    proposal: proposed.map_or(none, |proposed| proposed.id),
                })
            }
        };
        draft.operation = match act {
            Act::Register(.., true) => Operation::FederationJoin,
            _ => payload.operations()[0],
        };
        draft.payload = payload.encode();
    }

    fn act(&self, height: u64, choose: Choices<'_>) -> (&'static str, Act) {
        let sender = NAMES[choose(NAMES.len() as u64) as usize];
        let other = NAMES[choose(NAMES.len() as u64) as usize];
        let keys = |choose: Choices<'_>| {
            let count = 1 + choose(3);
            let names: Vec<_> = (0..count)
                .map(|_| KEYS[choose(KEYS.len() as u64) as usize])
                .collect();
            Keys::of(1 + choose(3) as usize, names)
        };
        let act = match choose(18) {
            0 => Act::Message,
            1 => return ("bank", Act::Transfer(other, choose(60))),
            2 => Act::Transfer(other, choose(30)),
            3 | 4 => {
                let recovery = (choose(2) == 0).then(|| keys(choose));
                let attester = (choose(2) == 0).then_some(other);
                // Often the keys that somebody attested to.
                let attested = self.model.attested.get(&(sender, other));
                let keys = match attested {
                    Some((held, _)) if choose(4) > 0 => held.clone(),
                    // What is easy to sign for, and has others that are close.
                    _ if choose(2) > 0 => Keys::of(1, [KEYS[choose(3) as usize]]),
                    _ => keys(choose),
                };
                Act::Register(keys, recovery, 15 + choose(30), attester, choose(2) == 0)
            }
            5 | 6 => {
                let effective = [0, height + choose(4)][choose(2) as usize];
                Act::Rotate(keys(choose), effective, choose(8) as u32)
            }
            7 => Act::Revoke,
            8 => Act::Recover(keys(choose)),
            9 if choose(3) == 0 => Act::Leave,
            10 | 9 => {
                let attester = ["hub-1", "hub-2", sender][choose(3) as usize];
                let expiry = [0, height + choose(5)][choose(2) as usize];
                return (attester, Act::Attest(other, keys(choose), expiry));
            }
            11 => Act::Retract(other),
            12 => {
                let parameter = [Parameter::FeeMin, Parameter::StakeMin][choose(2) as usize];
                let value = ParameterValue::Number(choose(4) + 18 * choose(2));
                Act::Propose(parameter, value, height + choose(9))
            }
            13 => {
                let members: Vec<&str> = match choose(4) {
                    0 => vec!["hub-0", "hub-1"],
                    1 => vec!["hub-2", "hub-1", "hub-0"],
                    2 => vec!["hub-0", "alice", "hub-2"],
                    _ => MEMBERS.to_vec(),
                };
                let members = members.into_iter().map(|name| Authority {
                    name: name.to_owned(),
                    key: public(name),
                    weight: 1,
                });
                let value = ParameterValue::Members(members.collect());
                Act::Propose(Parameter::Members, value, height + choose(9))
            }
            _ => {
                let proposed = self.model.proposed.keys();
                let at = choose(proposed.len().max(1) as u64) as usize;
                Act::Approve(proposed.copied().nth(at).unwrap_or(other))
            }
        };
        let senders = ["hub-1", "hub-2", "hub-0", sender];
        match act {
            Act::Propose(..) | Act::Approve(_) => (senders[choose(4) as usize], act),
            _ => (sender, act),
        }
    }

    /// Mostly those who may, at times others.
    fn signers(
        &self,
        sender: &'static str,
        act: &Act,
        height: u64,
        choose: Choices<'_>,
    ) -> BTreeSet<&'static str> {
        let model = &self.model;
        let fit = match (model.registered.get(sender), act) {
            (Some(held), Act::Revoke | Act::Recover(_))
                if held.recovery.is_some() && choose(3) > 0 =>
            {
                held.recovery.clone()
            }
            (Some(held), _) => {
                let sets = &held.speaking[height as usize];
                match sets.len() as u64 {
                    0 => None,
                    count => Some(sets[choose(count) as usize].1.clone()),
                }
            }
            (None, Act::Register(keys, ..)) if !model.pinned.contains_key(sender) => {
                Some(keys.clone())
            }
            (None, _) => {
                let pinned = model.pinned.get(sender).cloned();
                let names = pinned.unwrap_or_else(|| [sender].into());
                Some(Keys::of(names.len(), names))
            }
        };
        let mut signers: BTreeSet<&'static str> = match fit {
            Some(keys) => keys.names.iter().copied().take(keys.threshold).collect(),
            None => [sender].into(),
        };
        match choose(10) {
            0 => {
                signers.insert(KEYS[choose(KEYS.len() as u64) as usize]);
            }
            1 => signers = [KEYS[choose(KEYS.len() as u64) as usize]].into(),
            2 if signers.len() > 1 => {
                signers.pop_first();
            }
            _ => {}
        }
        // No more than a transaction of this chain can have.
        while signers.len() > 4 {
            signers.pop_last();
        }
        signers
    }
}

fn give_balances(fields: &mut SpecFields) {
    for name in MEMBERS {
        let account = InitialAccount {
            key: None,
            balance: 1_000,
        };
        fields.accounts.insert(name.to_owned(), account);
    }
    let bank = InitialAccount {
        key: Some(public("bank")),
        balance: 1_000,
    };
    fields.accounts.insert("bank".to_owned(), bank);
}
