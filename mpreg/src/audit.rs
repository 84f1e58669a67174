//! What a chain that is valid by MPREG's rules still has wrong with it.
//!
//! MPREG's rules leave holes: a transaction may come twice, any key may sign for any sender, names may hold
//! the delimiters of the signed text, difficulty and recorded hashes are believed. The audit looks for what went
//! through them. It sees valid blocks only.
//!
//! Memory: two 8-byte fingerprints a transaction in hash sets, which with the sets' slack makes 20 to 41
//! bytes (and half as much again while a set grows); an entry per sender and per name; one longer
//! entry per transaction whose names have a `:`. Fingerprints are keyed at random, so nobody can aim at
//! a false finding; by chance there is one among 10^7 transactions with a probability below 10^-5.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hash, RandomState};

use serde::Serialize;

use super::block::Block;
use super::config::{ChainConfig, Consensus};
use super::raw::clip;
use super::source::RawRow;
use super::summary::Balances;
use super::transaction::Transaction;
use hubledger::original::Number;

/// How many occurrences a finding lists; the rest is only counted.
const OCCURRENCES_MAX: usize = 10;

/// The prefix that MPREG asks of a block's hash in a proof-of-work chain.
const PROOF_OF_WORK_PREFIX: &str = "0000";

macro_rules! finding_kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident,)+) => {
        /// What the audit looks for. Serialised in snake_case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum FindingKind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl FindingKind {
            /// Every kind, in the order of a report.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }
    };
}

finding_kinds! {
    /// A transaction whose id came before: most likely the same one again.
    ReplayedTransactions,
    /// Two different transactions with the same signing bytes: one's signature is good for the other.
    SigningBytesCollisions,
    /// Two transactions with different ids and the same hash, which covers neither id nor fee.
    TransactionHashCollisions,
    /// A sender for whom a second key signs. Nothing ties keys to senders.
    SendersWithSeveralKeys,
    /// `:` or `=` in an id, a sender or a receiver, which makes the signed text ambiguous.
    DelimitersInNames,
    /// A transaction that nobody signed.
    UnsignedTransactions,
    /// A block that claims more difficulty than its hash's leading zeros show, so that the chain's total
    /// work is not proved.
    WorkNotBacked,
    /// A block after the first of a proof-of-work chain whose hash lacks the four zeros that MPREG asks for when
    /// a block is added.
    ProofOfWorkMissing,
    /// A recorded hash, or a column of the table, that is not the computed one.
    RecordedHashMismatch,
    /// A block with more transactions than the chain allows when a block is added.
    BlocksOverLimit,
    /// A name whose balance ends below zero.
    NegativeBalances,
}

/// Where something was found. A finding about the whole chain has no height.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingAt {
    /// The block.
    pub height: Option<u64>,
    /// The transaction's index in it.
    pub transaction: Option<u32>,
    /// For people.
    pub detail: String,
}

/// One kind of finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was found.
    pub kind: FindingKind,
    /// How often.
    pub count: u64,
    /// The first ten occurrences.
    pub occurrences: Vec<FindingAt>,
}

/// Everything that an audit found; kinds of which there is nothing are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Blocks that were looked at.
    pub blocks: u64,
    /// Transactions that were looked at.
    pub transactions: u64,
    /// In the order of [`FindingKind::ALL`].
    pub findings: Vec<Finding>,
}

impl AuditReport {
    /// How often `kind` was found.
    #[must_use]
    pub fn count(&self, kind: FindingKind) -> u64 {
        self.findings
            .iter()
            .find(|finding| finding.kind == kind)
            .map_or(0, |finding| finding.count)
    }
}

/// Looks at the valid blocks of one chain, in order.
#[derive(Debug)]
pub struct Audit {
    config: ChainConfig,
    blocks: u64,
    transactions: u64,
    findings: Vec<Finding>,
    balances: Balances,
    key: RandomState,
    seen_ids: HashSet<u64>,
    seen_hashes: HashSet<u64>,
    /// Only for names with a `:`: all others have unambiguous signing bytes, so that equal bytes mean
    /// equal ids. Maps the fingerprint of the bytes to that of the fields.
    ambiguous: HashMap<u64, u64>,
    senders: HashMap<u64, Keys>,
}

#[derive(Debug, Clone, Copy)]
enum Keys {
    One(u64),
    Several,
}

impl Audit {
    /// An audit of a chain with this configuration that has seen nothing.
    #[must_use]
    pub fn new(config: &ChainConfig) -> Self {
        let empty = |kind: &FindingKind| Finding {
            kind: *kind,
            count: 0,
            occurrences: Vec::new(),
        };
        Self {
            config: config.clone(),
            blocks: 0,
            transactions: 0,
            findings: FindingKind::ALL.iter().map(empty).collect(),
            balances: Balances::default(),
            key: RandomState::new(),
            seen_ids: HashSet::new(),
            seen_hashes: HashSet::new(),
            ambiguous: HashMap::new(),
            senders: HashMap::new(),
        }
    }

    /// Looks at the next valid block, the row that it came from, and its computed hash.
    pub fn add(&mut self, row: &RawRow<'_>, block: &Block, hash: &str) {
        self.audit_row(row, block, hash);
        self.audit_work(block, hash);
        self.audit_size(block);
        for (index, transaction) in (0_u32..).zip(block.transactions()) {
            let at = (block.height, index);
            self.audit_repetition(at, transaction, block.signing_bytes(index as usize));
            self.audit_names(at, transaction);
            self.audit_witness(at, transaction);
        }
        self.balances.add(block);
        self.blocks += 1;
        self.transactions += block.transactions().len() as u64;
    }

    /// The balances after the blocks so far.
    #[must_use]
    pub const fn balances(&self) -> &Balances {
        &self.balances
    }

    /// What was found in the blocks so far.
    #[must_use]
    pub fn report(&self) -> AuditReport {
        let mut findings = self.findings.clone();
        let negative = &mut findings[FindingKind::NegativeBalances as usize];
        for (name, balance) in self.balances.iter() {
            let detail = match balance {
                Some(balance) if balance >= 0 => continue,
                Some(balance) => format!("{:?} has {balance}", clip(name)),
                None => format!("{:?} left the range of 128 bits", clip(name)),
            };
            note(
                negative,
                FindingAt {
                    height: None,
                    transaction: None,
                    detail,
                },
            );
        }
        findings.retain(|finding| finding.count > 0);
        AuditReport {
            blocks: self.blocks,
            transactions: self.transactions,
            findings,
        }
    }

    fn audit_row(&mut self, row: &RawRow<'_>, block: &Block, hash: &str) {
        let kind = FindingKind::RecordedHashMismatch;
        if let Some(recorded) = &block.recorded_hash
            && recorded != hash
        {
            let detail = format!("block_hash is {:?}, computed {hash:?}", clip(recorded));
            self.note_block(kind, block.height, detail);
        }
        if let Some(column) = row.hash
            && column != hash
        {
            let detail = format!("column block_hash is {:?}, computed {hash:?}", clip(column));
            self.note_block(kind, block.height, detail);
        }
        if let Some(column) = row.height
            && column != block.height
        {
            self.note_block(kind, block.height, format!("column height is {column}"));
        }
        if let Some(column) = row.timestamp
            && column != block.timestamp.to_f64()
        {
            let detail = format!(
                "column timestamp is {column}, the block has {}",
                block.timestamp
            );
            self.note_block(kind, block.height, detail);
        }
    }

    fn audit_work(&mut self, block: &Block, hash: &str) {
        let zeros = hash.bytes().take_while(|digit| *digit == b'0').count();
        // Sixteen to the power of 31 is as much as 128 bits hold, and more than anybody has found.
        let shown = 1_i128 << (4 * zeros.min(31));
        if block.difficulty > Number::from(shown) {
            let difficulty = clip(&block.difficulty.to_string());
            let detail =
                format!("claims difficulty {difficulty}, {zeros} leading zeros show {shown}");
            self.note_block(FindingKind::WorkNotBacked, block.height, detail);
        }
        let demands_work = self.config.consensus == Consensus::ProofOfWork && block.height > 0;
        if demands_work && !hash.starts_with(PROOF_OF_WORK_PREFIX) {
            let detail = format!("hash {hash:?}");
            self.note_block(FindingKind::ProofOfWorkMissing, block.height, detail);
        }
    }

    fn audit_size(&mut self, block: &Block) {
        let count = block.transactions().len();
        let limit = &self.config.max_transactions_per_block;
        if Number::from(count as u64) > *limit {
            let detail = format!("{count} transactions, the limit is {limit}");
            self.note_block(FindingKind::BlocksOverLimit, block.height, detail);
        }
    }

    fn audit_repetition(&mut self, at: (u64, u32), transaction: &Transaction, signed: &[u8]) {
        let id_is_new = self.seen_ids.insert(self.fingerprint(&transaction.id));
        if !id_is_new {
            let detail = format!("id {:?} came before", clip(&transaction.id));
            self.note(FindingKind::ReplayedTransactions, at, detail);
        }
        let hash = transaction.hash();
        let hash_is_new = self.seen_hashes.insert(self.fingerprint(&hash));
        if id_is_new && !hash_is_new {
            let detail = format!("hash {hash:?} came before under another id");
            self.note(FindingKind::TransactionHashCollisions, at, detail);
        }
        if let Some(recorded) = &transaction.recorded_hash
            && *recorded != hash
        {
            let detail = format!("hash is {:?}, computed {hash:?}", clip(recorded));
            self.note(FindingKind::RecordedHashMismatch, at, detail);
        }
        if names(transaction)
            .iter()
            .any(|(_, name)| name.contains(':'))
        {
            let fields = self.fingerprint(&fields(transaction));
            let first = *self
                .ambiguous
                .entry(self.key.hash_one(signed))
                .or_insert(fields);
            if first != fields {
                let detail = format!("{:?} came before with other fields", clip(&lossy(signed)));
                self.note(FindingKind::SigningBytesCollisions, at, detail);
            }
        }
    }

    fn audit_names(&mut self, at: (u64, u32), transaction: &Transaction) {
        let with_delimiter = names(transaction)
            .into_iter()
            .find(|(_, name)| name.contains([':', '=']));
        if let Some((field, name)) = with_delimiter {
            let detail = format!("{field} {:?}", clip(name));
            self.note(FindingKind::DelimitersInNames, at, detail);
        }
    }

    fn audit_witness(&mut self, at: (u64, u32), transaction: &Transaction) {
        if transaction.signature.is_none() {
            let detail = format!("sender {:?}", clip(&transaction.sender));
            self.note(FindingKind::UnsignedTransactions, at, detail);
            return;
        }
        let key = self.fingerprint(&transaction.public_key);
        let keys = self.senders.entry(self.key.hash_one(&transaction.sender));
        let keys = keys.or_insert(Keys::One(key));
        if matches!(keys, Keys::One(first) if *first != key) {
            *keys = Keys::Several;
            let detail = format!("sender {:?}", clip(&transaction.sender));
            self.note(FindingKind::SendersWithSeveralKeys, at, detail);
        }
    }

    fn fingerprint(&self, value: &impl Hash) -> u64 {
        self.key.hash_one(value)
    }

    fn note(&mut self, kind: FindingKind, at: (u64, u32), detail: String) {
        let at = FindingAt {
            height: Some(at.0),
            transaction: Some(at.1),
            detail,
        };
        note(&mut self.findings[kind as usize], at);
    }

    fn note_block(&mut self, kind: FindingKind, height: u64, detail: String) {
        let at = FindingAt {
            height: Some(height),
            transaction: None,
            detail,
        };
        note(&mut self.findings[kind as usize], at);
    }
}

fn note(finding: &mut Finding, at: FindingAt) {
    finding.count += 1;
    if finding.occurrences.len() < OCCURRENCES_MAX {
        finding.occurrences.push(at);
    }
}

const fn names(transaction: &Transaction) -> [(&'static str, &String); 3] {
    [
        ("transaction_id", &transaction.id),
        ("sender", &transaction.sender),
        ("receiver", &transaction.receiver),
    ]
}

/// The signed fields, kept apart where the signing bytes run them together.
fn fields(transaction: &Transaction) -> impl Hash + use<'_> {
    let numbers = [&transaction.fee, &transaction.nonce, &transaction.timestamp];
    (
        (
            &transaction.id,
            &transaction.sender,
            &transaction.receiver,
            &transaction.payload,
        ),
        transaction.operation,
        numbers.map(Number::to_string),
    )
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
