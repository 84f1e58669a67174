//! A chain as plainly as it can be written down: accounts in a map, a copy of it for each block, every root worked out anew over all there
//! is. It knows the rules for messages and transfers under proof of authority, with balances and pinned names, and nothing else.

use std::collections::BTreeMap;

use hubledger::digest::{Digest, sha256};
use hubledger::format::FormatVersion;
use hubledger::model::{Block, HeaderFields, Transaction};
use hubledger::rejection::Reason;
use hubledger::spec::{Authority, ChainSpec, Consensus};

use super::rules::carry_out;
use crate::golden_state::{Hash, Row, node, row};

/// What is known of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) nonce: u64,
    pub(crate) balance: u64,
    pub(crate) keys: Option<Hash>,
}

impl Known {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.nonce.to_le_bytes().to_vec();
        bytes.extend(self.balance.to_le_bytes());
        bytes.push(self.keys.is_some().into());
        bytes.extend(self.keys.iter().flatten());
        bytes
    }
}

/// All names of which something is known.
pub(crate) type Names = BTreeMap<String, Known>;

/// Why a block is refused, and for which of its transactions.
pub(crate) type Refusal = (Option<u32>, Reason);

/// The chain.
#[derive(Clone)]
pub(crate) struct Naive {
    /// Each specification with its first height, ascending.
    pub(crate) specs: Vec<(u64, ChainSpec)>,
    pub(crate) blocks: Vec<Block>,
    /// The names after each block.
    pub(crate) names: Vec<Names>,
}

impl Naive {
    pub(crate) fn new(spec: ChainSpec) -> Self {
        let mut names = Names::new();
        for (name, initial) in &spec.accounts {
            let known = names.entry(name.clone()).or_default();
            known.balance = initial.balance;
            known.keys = initial.key.map(|key| sha256(&[key.as_bytes()]));
        }
        bind(&spec, &mut names);
        Self {
            blocks: vec![spec.genesis()],
            specs: vec![(0, spec)],
            names: vec![names],
        }
    }

    pub(crate) fn height(&self) -> u64 {
        self.blocks.len() as u64 - 1
    }

    pub(crate) fn last(&self) -> &Block {
        self.blocks.last().unwrap()
    }

    pub(crate) fn known(&self) -> &Names {
        self.names.last().unwrap()
    }

    /// The specification of the chain as a whole.
    pub(crate) fn spec(&self) -> &ChainSpec {
        &self.specs.last().unwrap().1
    }

    /// The one that is in force at a height.
    pub(super) fn at(&self, height: u64) -> &ChainSpec {
        let in_force = self.specs.iter().rfind(|(first, _)| *first <= height);
        &in_force.unwrap().1
    }

    /// Goes on under `next` behind the last block.
    pub(crate) fn upgrade(&mut self, next: ChainSpec) {
        self.specs.push((self.height() + 1, next));
    }

    pub(crate) fn push(&mut self, block: Block, names: Names) {
        self.blocks.push(block);
        self.names.push(names);
    }

    /// Takes back all blocks above a height.
    pub(crate) fn truncate(&mut self, height: u64) {
        self.blocks.truncate(height as usize + 1);
        self.names.truncate(height as usize + 1);
    }

    /// Whether the block at a height names the state root.
    pub(crate) fn names_root(&self, height: u64) -> bool {
        let interval = u64::from(self.at(height).terms.root_interval);
        height > 0 && interval > 0 && height.is_multiple_of(interval)
    }

    /// The header of the next block, with all that the chain demands of it.
    pub(crate) fn header(&self, producer: &str, transactions: &[Transaction]) -> HeaderFields {
        let (last, height) = (self.last().header(), self.height() + 1);
        let spec = self.at(height);
        let leaves: Vec<Hash> = transactions.iter().map(leaf).collect();
        let bodies = transactions
            .iter()
            .map(|transaction| transaction.bytes().len());
        let is_2 = spec.version == FormatVersion::V2;
        let sum = |of: &dyn Fn(&Block) -> u64| self.blocks.iter().map(of).sum::<u64>();
        let count = transactions.len() as u64;
        let before = sum(&|block| block.transactions().len() as u64);
        let mut fields = HeaderFields {
            version: spec.version,
            chain: spec.id(),
            height,
            previous_hash: last.hash(),
            merkle_root: Digest(merkle(&leaves)),
            history_root: self.history(),
            state_root: Digest::ZERO,
            members_root: if is_2 { members(spec) } else { Digest::ZERO },
            weight: if is_2 { height.into() } else { 0 },
            transactions: if is_2 { before + count } else { 0 },
            transaction_count: transactions.len() as u32,
            body_size: bodies.sum::<usize>() as u32,
            vector_clock: last.vector_clock.increment(producer).unwrap(),
            timestamp: last.timestamp + 1_000_000,
            producer: producer.to_owned(),
            difficulty: 1,
            nonce: 0,
        };
        if self.names_root(height) {
            let mut names = self.known().clone();
            // Nothing of a transaction that breaks a rule: no block with it is valid.
            let _ = self.run(&fields, transactions, &mut names);
            fields.state_root = root(&names);
        }
        fields
    }

    /// The root over the hashes of all blocks.
    fn history(&self) -> Digest {
        let leaf = |block: &Block| sha256(&[&[0], &block.hash().0]);
        Digest(merkle(&self.blocks.iter().map(leaf).collect::<Vec<_>>()))
    }

    /// Carries out the transactions of a block, up to the first that breaks a rule.
    pub(super) fn run(
        &self,
        header: &HeaderFields,
        transactions: &[Transaction],
        names: &mut Names,
    ) -> Result<(), Refusal> {
        let spec = self.at(header.height);
        if header.height > 1 && self.specs.iter().any(|(first, _)| *first == header.height) {
            bind(spec, names);
        }
        for (index, transaction) in transactions.iter().enumerate() {
            let earlier = &transactions[..index];
            let outcome = carry_out(spec, header, transaction, earlier, names);
            outcome.map_err(|reason| (Some(index as u32), reason))?;
        }
        Ok(())
    }
}

/// The names of authorities belong to their keys.
fn bind(spec: &ChainSpec, names: &mut Names) {
    for authority in authorities(spec) {
        let known = names.entry(authority.name.clone()).or_default();
        known.keys = Some(sha256(&[authority.key.as_bytes()]));
    }
}

pub(super) fn authorities(spec: &ChainSpec) -> &[Authority] {
    match &spec.consensus {
        Consensus::ProofOfAuthority(parameters) => &parameters.authorities,
        _ => unreachable!("the only consensus"),
    }
}

fn members(spec: &ChainSpec) -> Digest {
    let leaf = |authority: &Authority| {
        let name = authority.name.as_bytes();
        let length = (name.len() as u32).to_le_bytes();
        sha256(&[
            &[0],
            &length,
            name,
            authority.key.as_bytes(),
            &1_u64.to_le_bytes(),
        ])
    };
    Digest(merkle(
        &authorities(spec).iter().map(leaf).collect::<Vec<_>>(),
    ))
}

fn leaf(transaction: &Transaction) -> Hash {
    sha256(&[&[0], &transaction.id().0, transaction.witness_bytes()])
}

/// RFC 9162, section 2.1.1, over the hashes of leaves.
fn merkle(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let mut split = 1;
            while 2 * split < leaves.len() {
                split *= 2;
            }
            let (left, right) = leaves.split_at(split);
            sha256(&[&[1], &merkle(left), &merkle(right)])
        }
    }
}

/// The root over the state: every row hashed anew.
pub(crate) fn root(names: &Names) -> Digest {
    let known = names
        .iter()
        .filter(|(_, known)| **known != Known::default());
    let mut rows: Vec<Row> = known
        .map(|(name, known)| row(name, known.encode()))
        .collect();
    rows.sort();
    Digest(node(&rows, 0))
}
