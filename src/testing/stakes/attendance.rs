//! Random certificates, carried late, in part, twice or by strangers, among random stakes, beside a naive count of who was missing.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Model;
use super::{Act, HEIGHTS, PAIRS, SECOND, act, begun_under, compare_rows, name};
use crate::consensus;
use crate::format::digest::BlockHash;
use crate::format::model::{Block, Operation, Transaction};
use crate::format::payload::{Certify, Payload};
use crate::format::rejection::Reason;
use crate::format::spec::{Consensus, Penalties, Proposer, Quorum, SealRule};
use crate::format::vote::{Vote, VoteKind};
use crate::rules::produce::produce_by;
use crate::rules::{Depth, Prepared, Validator};
use crate::state::tables::{AttendanceRow, AttendanceRows, Table};
use crate::state::{Journal, State};
use crate::testing::federation::Choices;
use crate::testing::{Chain, Numbers};

/// Certificates of the last so many blocks count.
const EVIDENCE_BLOCKS: u64 = 3;
/// Whoever's what is taken becomes, where there is a treasury.
const TREASURY: u64 = 0;

/// Who was shown to have signed, and how often in a row each member was missing.
#[derive(Debug, Clone, Default)]
struct Counted {
    signed: BTreeMap<u64, BTreeSet<String>>,
    missed: BTreeMap<String, u32>,
    /// How many penalties took something.
    punished: u64,
}

struct Attending {
    chain: Chain,
    model: Model,
    counted: Counted,
    offline: u16,
    offline_after: u32,
    has_treasury: bool,
    names: u64,
    total: u128,
    /// The names whose keys signed each block.
    sealed_by: Vec<Vec<String>>,
    seen: BTreeMap<&'static str, u64>,
}

/// What is handed in: that these signed the block at a height, or one that isn't there.
struct Said {
    at: u64,
    is_ours: bool,
    signers: BTreeSet<String>,
}

impl Attending {
    fn new(choose: Choices<'_>) -> Self {
        let offline = [10, 500, 3_000][choose(3) as usize];
        let offline_after = 1 + choose(4) as u32;
        let has_treasury = choose(2) == 0;
        let (spec, model, names) = begun_under(choose, |fields| {
            let Consensus::Composed(parts) = &mut fields.consensus else {
                panic!("stakes are composed");
            };
            parts.proposer = Proposer::Turn;
            parts.seal = SealRule::Quorum(Quorum::TWO_THIRDS);
            parts.penalties = Penalties {
                offline,
                offline_after,
                evidence_blocks: EVIDENCE_BLOCKS as u32,
                treasury: has_treasury.then(|| name(TREASURY)),
                ..Penalties::default()
            };
        });
        let pools: u128 = model.pools.values().map(|pool| pool.tokens).sum();
        Self {
            chain: Chain::of(spec),
            total: model.balances.values().sum::<u128>() + pools,
            model,
            counted: Counted::default(),
            offline,
            offline_after,
            has_treasury,
            names,
            sealed_by: vec![Vec::new()],
            seen: BTreeMap::new(),
        }
    }

    /// The rule, from its text.
    fn take(&mut self, said: &Said, height: u64) -> Result<(), Reason> {
        let at = said.at;
        if !said.is_ours || at == 0 || at >= height || height - at > EVIDENCE_BLOCKS {
            return Err(Reason::Evidence);
        }
        let members = self.model.members[at as usize].clone();
        let of_key = |key: &String| members.iter().find(|member| member.1 == *key);
        let signed: Option<BTreeSet<String>> = said
            .signers
            .iter()
            .map(|key| of_key(key).map(|member| member.0.clone()))
            .collect();
        let signed = signed.ok_or(Reason::Evidence)?;
        let noted = self.counted.signed.get(&at).cloned();
        let before = noted.clone().unwrap_or_default();
        if signed.is_subset(&before) {
            return Err(Reason::Evidence);
        }
        let all: u128 = members.iter().map(|member| member.2).sum();
        let present = members.iter().filter(|member| signed.contains(&member.0));
        let weight: u128 = present.map(|member| member.2).sum();
        if noted.is_none() && 3 * weight <= 2 * all {
            return Err(Reason::Quorum);
        }
        for name in signed.difference(&before) {
            self.counted.missed.remove(name);
        }
        if noted.is_none() {
            for (name, _, _) in members.iter().filter(|one| !signed.contains(&one.0)) {
                self.miss(name, at, height);
            }
        }
        self.counted.signed.entry(at).or_default().extend(signed);
        Ok(())
    }

    fn miss(&mut self, name: &str, at: u64, height: u64) {
        let count = self.counted.missed.entry(name.to_owned()).or_default();
        *count += 1;
        if *count < self.offline_after {
            return;
        }
        self.counted.missed.remove(name);
        let taken = self.model.slash(name, self.offline, at, height);
        self.counted.punished += u64::from(taken > 0);
        if self.has_treasury {
            let treasury = super::name(TREASURY);
            *self.model.balances.entry(treasury).or_default() += taken;
            self.model.taken -= taken;
        }
    }

    /// A certificate that is chosen.
    fn said(&self, height: u64, choose: Choices<'_>) -> Said {
        let at = height.saturating_sub(choose(6));
        let mut signers: BTreeSet<String> = self
            .sealed_by
            .get(at as usize)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        match choose(6) {
            0 => signers.retain(|_| choose(3) > 0),
            // Whoever was left out, or nobody's key.
            1 => signers = [name(choose(self.names))].into(),
            2 => drop(signers.insert(name(choose(self.names)))),
            _ => {}
        }
        if signers.is_empty() {
            signers.insert(name(choose(self.names)));
        }
        Said {
            at,
            is_ours: choose(12) > 0,
            signers,
        }
    }

    fn payload(&self, said: &Said) -> Payload {
        let block = self.chain.blocks.get(said.at as usize);
        let block = block.filter(|_| said.is_ours);
        let vote = Vote {
            chain: self.chain.spec().id(),
            height: said.at,
            round: 0,
            kind: VoteKind::Precommit,
            block: block.map_or(BlockHash([9; 32]), |block| block.header().hash()),
        };
        let signers = said.signers.iter();
        let signed = signers.map(|key| (PAIRS[key].public_key(), vote.sign(&PAIRS[key])));
        Payload::Certify(Certify::new(vote, signed.collect()).unwrap())
    }

    fn transaction(
        &self,
        sender: &str,
        payload: Option<&Payload>,
        act: Option<&Act>,
    ) -> Transaction {
        let nonce = self.model.nonces.get(sender).copied().unwrap_or(0) + 1;
        let mut draft = self.chain.draft(sender, nonce);
        if let Some(Act::Transfer(receiver, amount)) = act {
            draft.operation = Operation::Transfer;
            draft.receiver.clone_from(receiver);
            draft.amount = *amount;
        }
        if let Some(payload) = payload {
            draft.operation = payload.operations()[0];
            draft.payload = payload.encode();
        }
        draft.sign(&[&PAIRS[sender]]).unwrap()
    }

    /// The next block, and the names of the keys that are behind it: as many as a quorum needs at least.
    fn block(&self, absent: &[String], transactions: &[Transaction]) -> (Block, Vec<String>) {
        let (spec, state) = (self.chain.spec(), self.chain.state());
        let height = state.height() + 1;
        let members = &self.model.members[height as usize];
        let all: u128 = members.iter().map(|member| member.2).sum();
        let mut present = members.clone();
        for name in absent {
            let without: Vec<_> = present
                .iter()
                .filter(|one| one.0 != *name)
                .cloned()
                .collect();
            let weight: u128 = without.iter().map(|member| member.2).sum();
            if 3 * weight > 2 * all {
                present = without;
            }
        }
        let signers: Vec<String> = present.into_iter().map(|member| member.1).collect();
        let keys: Vec<_> = signers.iter().map(|key| &PAIRS[key]).collect();
        let turn = (height - 1) as usize % members.len();
        let (producer, now_us) = (&members[turn].0, state.timestamp() + SECOND);
        let block = produce_by(spec, state, producer, &keys, transactions, now_us);
        (block.unwrap(), signers)
    }

    fn step(&mut self, choose: Choices<'_>) -> bool {
        let height = self.chain.state().height() + 1;
        if height as usize + 15 >= HEIGHTS {
            return false;
        }
        let before = (self.model.clone(), self.counted.clone());
        let mut journal = self.chain.validator.state().journal();
        // The same ones mostly, so that absences add up.
        let absent: Vec<String> = match choose(4) {
            0 => vec![name(choose(self.names))],
            _ => (0..self.names).map(name).collect(),
        };
        let mut accepted: Vec<Transaction> = Vec::new();
        for _ in 0..choose(6) {
            let tried = (self.model.clone(), self.counted.clone());
            let (transaction, expected, word) = match choose(4) {
                0 => {
                    let (sender, act) = act(&self.model, self.names, height, choose);
                    let transaction = self.transaction(&sender, act.payload().as_ref(), Some(&act));
                    (transaction, self.model.take(&sender, &act, height), "stake")
                }
                _ => {
                    let (sender, said) = (name(choose(self.names)), self.said(height, choose));
                    let transaction = self.transaction(&sender, Some(&self.payload(&said)), None);
                    let expected = self.take(&said, height);
                    *self.model.nonces.entry(sender).or_default() += 1;
                    let word = match expected {
                        Ok(()) => "carried",
                        Err(Reason::Quorum) => "too few",
                        Err(_) => "refused",
                    };
                    (transaction, expected, word)
                }
            };
            *self.seen.entry(word).or_default() += 1;
            let mut transactions = accepted.clone();
            transactions.push(transaction);
            let (block, _) = self.block(&absent, &transactions);
            let found = self.chain.validator.check(&block, Depth::Replay);
            let found = found.map(|_| ()).map_err(|rejected| rejected.reason);
            assert_eq!(found, expected, "{word} at {height}");
            match expected {
                Ok(()) => accepted = transactions,
                Err(_) => (self.model, self.counted) = tried,
            }
        }
        let (block, signers) = self.block(&absent, &accepted);
        self.push(&block, &mut journal);
        self.sealed_by.push(signers);
        self.compare();
        match choose(8) {
            0 => {
                self.chain.validator.rewind(journal);
                self.chain.blocks.pop();
                self.sealed_by.pop();
                (self.model, self.counted) = before;
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

    fn push(&mut self, block: &Block, journal: &mut Journal) {
        let prepared = Prepared::new(self.chain.spec(), block.clone());
        let now_us = block.header().timestamp;
        let validator = &mut self.chain.validator;
        let mut ruling = validator.rule(&prepared, Depth::Full { now_us });
        validator.apply_unsettled(&mut ruling, journal);
        assert!(ruling.is_sound(), "what was tried is valid");
        self.chain.blocks.push(block.clone());
    }

    fn compare(&self) {
        let (state, model) = (self.chain.state(), &self.model);
        compare_rows(state.tree().unwrap().rows(), model);
        let tip = state.height();
        let is_kept = |at: &u64| at + EVIDENCE_BLOCKS >= tip;
        let (mut blocks, mut signed, mut missed) = (BTreeMap::new(), 0, BTreeMap::new());
        for (table, key, bytes) in state.tree().unwrap().rows() {
            if table != AttendanceRows::NUMBER {
                continue;
            }
            let at = || u64::from_be_bytes(key[1..].try_into().unwrap());
            match AttendanceRows::decode(bytes).unwrap() {
                AttendanceRow::Block(hash) => drop(blocks.insert(at(), hash)),
                AttendanceRow::Signed(signers) => {
                    signed += 1;
                    let members = model.members[at() as usize].iter().enumerate();
                    let present = members.filter(|(place, _)| signers.contains(*place));
                    let names = present.map(|(_, member)| member.0.clone());
                    let expected = &self.counted.signed[&at()];
                    assert_eq!(names.collect::<BTreeSet<_>>(), *expected);
                }
                AttendanceRow::Missed(count) => {
                    let name = String::from_utf8(key[1..].to_vec()).unwrap();
                    missed.insert(name, count);
                }
            }
        }
        assert_eq!(missed, self.counted.missed);
        let expected = self.counted.signed.keys().filter(|at| is_kept(at));
        assert_eq!(signed, expected.count(), "what is too old is gone");
        let held = self
            .chain
            .blocks
            .iter()
            .skip(1)
            .take((tip as usize).saturating_sub(1));
        let held = held.map(|block| (block.height(), block.header().hash()));
        assert_eq!(blocks, held.filter(|(at, _)| is_kept(at)).collect());
        let mut sum = model.pools.values().map(|pool| pool.tokens).sum::<u128>() + model.taken;
        for (name, balance) in &model.balances {
            assert_eq!(u128::from(state.account(name).balance), *balance, "{name}");
            sum += balance;
        }
        assert_eq!(sum, self.total, "value is conserved");
        for height in 1..=tip + 2 {
            let found = consensus::members(self.chain.spec(), state, height);
            let found = found
                .iter()
                .map(|one| (one.name.clone(), u128::from(one.weight)));
            let expected = model.members[height as usize].iter();
            let expected = expected.map(|(name, _, weight)| (name.clone(), *weight));
            assert!(found.eq(expected), "members of {height}");
        }
    }
}

#[test]
fn members_are_absent_as_often_as_the_naive_count_says() {
    let (mut seen, mut punished) = (BTreeMap::new(), 0);
    for seed in 0..40 {
        let mut numbers = Numbers(seed);
        let mut choose = |bound: u64| numbers.below(bound);
        let mut attending = Attending::new(&mut choose);
        while attending.step(&mut choose) {}
        punished += attending.counted.punished;
        for (word, count) in attending.seen {
            *seen.entry(word).or_insert(0u64) += count;
        }
    }
    for word in ["stake", "carried", "too few", "refused"] {
        assert!(seen.contains_key(word), "{word} never came up: {seen:?}");
    }
    assert!(
        punished > 50,
        "{punished} penalties took something: {seen:?}"
    );
}
