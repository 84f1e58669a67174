//! One MPREG block: its fields, its hash, and MPREG's checks of it alone.

use std::collections::BTreeMap;

use serde::de::{MapAccess, SeqAccess};
use sha2::{Digest as _, Sha256};

use super::entry::sealed::Kept;
use super::entry::{Entry, Fields};
use super::quick;
use super::raw::{Compound, Key, Scalar, Shape, Skip, clip, lenient_object};
use super::transaction::{Fault, RawTransaction, Transaction};
use hubledger::original::Number;
use hubledger::original::merkle::{Leaves, finish_hex, node_text, roots};
use hubledger::rejection::{Reason, Rejected};
use hubledger::signature::Item;

/// Counters by node. An absent node counts as zero; order is by name.
pub type VectorClock = BTreeMap<String, Number>;

/// A block that passed the checks of MPREG's constructors: every transaction is well formed, the Merkle
/// root is theirs, names are not empty, the difficulty is positive and nothing else is negative.
///
/// Whether it follows its predecessor and whether its signatures verify is the checker's business. What is kept of each
/// transaction is up to `T`: everything, unless it is said otherwise.
#[derive(Debug, Clone)]
pub struct Block<T = Transaction> {
    /// MPREG's id, any text.
    pub block_id: String,
    /// Position in the chain.
    pub height: u64,
    /// The hash of the block before; empty in the first. Any text, as far as this block knows.
    pub previous_hash: String,
    /// Root over the transactions; empty if there are none.
    pub merkle_root: String,
    /// Counters by node.
    pub vector_clock: VectorClock,
    /// Who made the block. Neither the hash nor a signature covers it.
    pub miner: String,
    /// Claimed difficulty. The hash doesn't cover it.
    pub difficulty: Number,
    /// Part of the hash.
    pub nonce: Number,
    /// Seconds since the Unix epoch.
    pub timestamp: Number,
    /// The hash that the JSON records. MPREG's rules ignore it; the audit compares it.
    pub recorded_hash: Option<String>,
    pub(super) transactions: Transactions<T>,
}

impl Block {
    /// Reads one block from MPREG's JSON (`Block.to_dict`) and checks it as MPREG's constructors do:
    /// clock entries, transactions in order, the block's own fields, the Merkle root.
    ///
    /// Cost: one pass over the text and one hash tree; it needs no other block, so blocks can be read in
    /// parallel.
    ///
    /// # Errors
    /// The first fault. It names the block's own height where the text has a readable one, else
    /// `fallback_height`.
    pub fn from_json(json: &[u8], fallback_height: u64) -> Result<Self, Rejected> {
        let block = Self::read(json, fallback_height)?;
        let [root] = roots(&[block.leaves()])
            .try_into()
            .expect("one root for one list");
        block.check_root(root)?;
        Ok(block)
    }

    /// The transactions, given up by the block.
    #[must_use]
    pub fn into_transactions(self) -> Vec<Transaction> {
        self.transactions.list
    }
}

impl<T: Entry> Block<T> {
    /// Reads one block and checks it as [`Block::from_json`] does, but for the Merkle root.
    pub(super) fn read(json: &[u8], fallback_height: u64) -> Result<Self, Rejected> {
        match quick::read(json) {
            Some(block) => Ok(block),
            None => Self::read_any(json, fallback_height),
        }
    }

    /// [`Block::read`] of any JSON, for which it doesn't matter how it is spelled.
    pub(super) fn read_any(json: &[u8], fallback_height: u64) -> Result<Self, Rejected> {
        let raw: Shape<RawBlock<'_>> = serde_json::from_slice(json).map_err(|error| {
            Rejected::block(fallback_height, Reason::Malformed, error.to_string())
        })?;
        let raw = raw
            .get("the block")
            .map_err(|detail| Rejected::block(fallback_height, Reason::Malformed, detail))?;
        let own_height = match &raw.height {
            Scalar::Number(Ok(height)) => height.as_u64(),
            _ => None,
        };
        let height = own_height.unwrap_or(fallback_height);
        Self::from_raw(raw).map_err(|fault| Rejected {
            height,
            transaction: fault.transaction,
            reason: fault.reason,
            detail: fault.detail,
        })
    }

    /// The transactions, in order.
    #[must_use]
    pub fn transactions(&self) -> &[T] {
        &self.transactions.list
    }

    /// The bytes that the signature of the transaction at `index` covers, as they were when it was read.
    ///
    /// # Panics
    /// If there is no such transaction.
    #[must_use]
    pub fn signing_bytes(&self, index: usize) -> &[u8] {
        let start = if index == 0 {
            0
        } else {
            self.transactions.ends[index - 1]
        };
        &self.transactions.signing_bytes[start..self.transactions.ends[index]]
    }

    /// The signatures that are present, each with its transaction's index, ready for a batch.
    pub fn signed(&self) -> impl Iterator<Item = (u32, Item<'_>)> {
        (0_u32..)
            .zip(&self.transactions.list)
            .filter_map(|(index, transaction)| {
                let (key, signature) = transaction.witness()?;
                let message = self.signing_bytes(index as usize);
                Some((
                    index,
                    Item {
                        key,
                        message,
                        signature,
                    },
                ))
            })
    }

    /// What the Merkle tree is over.
    pub(super) fn leaves(&self) -> Leaves<'_> {
        Leaves {
            bytes: &self.transactions.signing_bytes,
            ends: &self.transactions.ends,
        }
    }

    /// Checks that the recorded Merkle root is `computed`.
    pub(super) fn check_root(&self, computed: String) -> Result<(), Rejected> {
        if self.merkle_root == computed {
            return Ok(());
        }
        let recorded = clip(&self.merkle_root);
        let detail = format!("recorded {recorded:?}, computed {computed:?}");
        Err(Rejected::block(self.height, Reason::MerkleRoot, detail))
    }

    /// MPREG's hash of the block in lowercase hexadecimal digits. Covers neither the clock nor the miner
    /// nor the difficulty.
    #[must_use]
    pub fn hash(&self) -> String {
        let text = format!(
            "{}:{}:{}:{}",
            self.previous_hash, self.merkle_root, self.timestamp, self.nonce
        );
        node_text(&finish_hex(Sha256::new_with_prefix(text))).to_owned()
    }

    fn from_raw(raw: RawBlock<'_>) -> Result<Self, BlockFault> {
        let block_id = raw.block_id.text("block_id")?.into_owned();
        let height = raw.height.integer("height")?;
        let previous_hash = raw.previous_hash.text("previous_hash")?.into_owned();
        let merkle_root = raw.merkle_root.text("merkle_root")?.into_owned();
        let vector_clock = raw.vector_clock.get("vector_clock")?.check()?;
        let transactions = raw.transactions.get("transactions")?;
        if let Some((reason, detail)) = transactions.fault {
            let index = u32::try_from(transactions.list.len()).unwrap_or(u32::MAX);
            return Err(BlockFault {
                transaction: Some(index),
                reason,
                detail,
            });
        }
        let miner = raw.miner.text("miner")?.into_owned();
        let difficulty = raw.difficulty.integer("difficulty")?;
        let nonce = raw.nonce.integer("nonce")?;
        let timestamp = raw.timestamp.number("timestamp")?;
        let recorded_hash = raw
            .block_hash
            .text("block_hash")
            .ok()
            .map(|hash| hash.into_owned());

        let height = check_height(&height)?;
        for (name, field) in [(&block_id, "block_id"), (&miner, "miner")] {
            if name.is_empty() {
                return Err(format!("{field} is empty").into());
            }
        }
        if !difficulty.is_positive() {
            return Err("difficulty is not positive".to_owned().into());
        }
        if nonce.is_negative() {
            return Err("nonce is negative".to_owned().into());
        }
        if timestamp.is_negative() {
            let detail = format!("timestamp {timestamp} is negative");
            return Err(BlockFault::block(Reason::Timestamp, detail));
        }
        Ok(Self {
            block_id,
            height,
            previous_hash,
            merkle_root,
            vector_clock,
            miner,
            difficulty,
            nonce,
            timestamp,
            recorded_hash,
            transactions: transactions.convert(),
        })
    }
}

fn check_height(height: &Number) -> Result<u64, BlockFault> {
    if height.is_negative() {
        return Err(BlockFault::block(
            Reason::Height,
            "the height is negative".into(),
        ));
    }
    height
        .as_u64()
        .ok_or_else(|| "the height has more than 64 bits".to_owned().into())
}

struct BlockFault {
    transaction: Option<u32>,
    reason: Reason,
    detail: String,
}

impl BlockFault {
    const fn block(reason: Reason, detail: String) -> Self {
        Self {
            transaction: None,
            reason,
            detail,
        }
    }
}

impl From<String> for BlockFault {
    fn from(detail: String) -> Self {
        Self::block(Reason::Malformed, detail)
    }
}

lenient_object! {
    /// A block's JSON object before its types are checked.
    RawBlock<'a> {
        block_id: Scalar<'a>,
        height: Scalar<'a>,
        previous_hash: Scalar<'a>,
        merkle_root: Scalar<'a>,
        vector_clock: Shape<RawClock<'a>>,
        transactions: Shape<Transactions<Transaction>>,
        miner: Scalar<'a>,
        difficulty: Scalar<'a>,
        nonce: Scalar<'a>,
        timestamp: Scalar<'a>,
        block_hash: Scalar<'a>,
    }
}

/// A clock's entries before their types are checked; the last of duplicate nodes counts.
#[derive(Debug)]
struct RawClock<'a>(BTreeMap<String, Scalar<'a>>);

impl<'de> Compound<'de> for RawClock<'de> {
    const EXPECTED: &'static str = "an object";

    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Shape<Self>, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some(Key(node)) = map.next_key()? {
            entries.insert(node.into_owned(), map.next_value()?);
        }
        Ok(Shape::Is(Self(entries)))
    }
}

impl RawClock<'_> {
    fn check(self) -> Result<VectorClock, BlockFault> {
        let mut clock = VectorClock::new();
        for (node, counter) in self.0 {
            let counter = counter.integer("a counter of vector_clock")?;
            if counter.is_negative() {
                let detail = format!("the counter of {:?} is negative", clip(&node));
                return Err(BlockFault::block(Reason::VectorClock, detail));
            }
            if node.is_empty() {
                return Err("a node's name in vector_clock is empty".to_owned().into());
            }
            clock.insert(node, counter);
        }
        Ok(clock)
    }
}

/// A block's transactions with their signing bytes, or those before the first faulty one. What follows a fault is only
/// skipped, so that an array of tiny values can't take much memory.
#[derive(Debug, Clone)]
pub(super) struct Transactions<T> {
    list: Vec<T>,
    signing_bytes: Vec<u8>,
    /// Where in `signing_bytes` the bytes of each transaction end.
    ends: Vec<usize>,
    fault: Option<Fault>,
}

impl<T> Default for Transactions<T> {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            signing_bytes: Vec::new(),
            ends: Vec::new(),
            fault: None,
        }
    }
}

impl<'de> Compound<'de> for Transactions<Transaction> {
    const EXPECTED: &'static str = "an array";

    fn from_seq<A: SeqAccess<'de>>(mut items: A) -> Result<Shape<Self>, A::Error> {
        let mut read = Self::default();
        while let Some(raw) = items.next_element::<Shape<RawTransaction<'de>>>()? {
            match Transaction::from_raw(raw) {
                Ok(transaction) => read.push(transaction),
                Err(fault) => {
                    read.fault = Some(fault);
                    while items.next_element::<Skip>()?.is_some() {}
                    break;
                }
            }
        }
        Ok(Shape::Is(read))
    }
}

impl Transactions<Transaction> {
    fn push(&mut self, transaction: Transaction) {
        transaction.write_signing_bytes(&mut self.signing_bytes);
        self.ends.push(self.signing_bytes.len());
        self.list.push(transaction);
    }

    fn convert<T: Kept>(self) -> Transactions<T> {
        Transactions {
            list: self.list.into_iter().map(T::from).collect(),
            signing_bytes: self.signing_bytes,
            ends: self.ends,
            fault: self.fault,
        }
    }
}

impl<T: Kept> Transactions<T> {
    /// Makes room for so many signing bytes.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.signing_bytes.reserve(bytes);
    }

    /// Adds a transaction of these fields.
    pub(super) fn keep(&mut self, fields: Fields<'_>) {
        fields.write_signing_bytes(&mut self.signing_bytes);
        self.ends.push(self.signing_bytes.len());
        self.list.push(T::keep(fields));
    }
}
