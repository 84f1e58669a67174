//! Parcels: a few blocks of one caller that go through the stages together, so that a hand-off costs little however small
//! the blocks, and signatures are batched across them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, Weak};

use bytes::Bytes;
use hubledger_storage::Receipt;

use super::permits::Permit;
use super::sync::{Arc, lock_std as lock};
use super::ticket::Promise;
use crate::format::digest::BlockHash;
use crate::format::model::Block;
use crate::format::rejection::Rejected;
use crate::ledger::{StoredParts, Unreadable};
use crate::rules::{Claims, Prepared, SignatureFindings};

/// A block that is valid and committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// How many transactions it has.
    pub transactions: u32,
    /// What its commit reached.
    pub receipt: Receipt,
}

/// What became of a block that was handed in. The answers come in the order of the blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is valid, and committed.
    Committed(Committed),
    /// This very block, transactions and witnesses included, was here already.
    Held {
        /// Its height.
        height: u64,
    },
    /// It is not valid here. Blocks behind it in the same call are not looked at.
    Rejected(Rejected),
}

/// A block as it was handed in.
#[derive(Debug)]
pub(super) enum Offered {
    Encoded(Bytes),
    Decoded(Box<Block>),
    /// As it lies in a store.
    Stored(Box<StoredParts>),
}

impl Offered {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Encoded(bytes) => bytes.len(),
            Self::Decoded(block) => block.body().len() + block.header().bytes().len(),
            Self::Stored(parts) => parts.body.len() + parts.seal.len() + parts.header.bytes().len(),
        }
    }
}

/// A caller's blocks, of which parcels are made.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// The caller has gone.
    pub(super) is_cancelled: AtomicBool,
    /// A block was rejected for good.
    pub(super) is_over: AtomicBool,
    /// A block breaks a rule, unless what came before it is taken back.
    pub(super) is_stopped: AtomicBool,
    /// Height of the last block of the parcels that were ruled.
    last_height: Mutex<Option<u64>>,
}

impl Call {
    /// Moves on over a parcel whose last block has this height, and gives the height before it.
    pub(super) fn pass(&self, last: Option<u64>) -> Option<u64> {
        let mut held = lock(&self.last_height);
        let before = *held;
        *held = last.or(before);
        before
    }

    /// Whether further blocks of it are of no interest.
    pub(super) fn is_skipped(&self) -> bool {
        [&self.is_cancelled, &self.is_over, &self.is_stopped]
            .iter()
            .any(|flag| flag.load(Ordering::Acquire))
    }
}

/// Signatures of a parcel that only the ruling of its blocks told: those of members whom the state knows. Of one ruling: blocks that are
/// ruled again may have other members.
#[derive(Debug)]
pub(super) struct LateClaims {
    claims: Claims,
    found: OnceLock<Vec<(u32, SignatureFindings)>>,
}

impl LateClaims {
    pub(super) const fn new(claims: Claims) -> Self {
        Self {
            claims,
            found: OnceLock::new(),
        }
    }

    pub(super) const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Says what was found, once.
    pub(super) fn settle(&self, found: Vec<(u32, SignatureFindings)>) {
        let _ = self.found.set(found);
    }

    /// What was found of blocks by their number in the parcel; `None` before they were checked.
    pub(super) fn found(&self) -> Option<&[(u32, SignatureFindings)]> {
        self.found.get().map(Vec::as_slice)
    }
}

/// Late claims on their way into the parcel's first batch.
#[derive(Debug)]
enum FirstBatch {
    /// It wasn't begun, and checks these too. They are gone if the parcel is to be ruled again.
    Ahead(Weak<LateClaims>),
    Begun,
}

/// Blocks on their way. Filled in by whoever works on it, each part once.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) call: Arc<Call>,
    answer: Mutex<Option<Promise<Vec<Outcome>>>>,
    offered: Mutex<Vec<Offered>>,
    pub(super) bytes: usize,
    prepared: OnceLock<Vec<Result<Prepared, Unreadable>>>,
    claims: OnceLock<Claims>,
    batches_left: AtomicUsize,
    found: Mutex<Vec<SignatureFindings>>,
    first_batch: Mutex<FirstBatch>,
    /// Memory granted to it, until it is committed or dropped.
    permit: Permit,
}

impl Parcel {
    pub(super) fn new(
        call: Arc<Call>,
        offered: Vec<Offered>,
        permit: Permit,
        answer: Promise<Vec<Outcome>>,
    ) -> Self {
        Self {
            call,
            answer: Mutex::new(Some(answer)),
            bytes: offered.iter().map(Offered::bytes).sum(),
            offered: Mutex::new(offered),
            prepared: OnceLock::new(),
            claims: OnceLock::new(),
            batches_left: AtomicUsize::new(1),
            found: Mutex::default(),
            first_batch: Mutex::new(FirstBatch::Ahead(Weak::new())),
            permit,
        }
    }

    pub(super) fn take_offered(&self) -> Vec<Offered> {
        std::mem::take(&mut lock(&self.offered))
    }

    pub(super) fn take_answer(&self) -> Option<Promise<Vec<Outcome>>> {
        lock(&self.answer).take()
    }

    /// The blocks with their hashes, once they are known.
    pub(super) fn prepared(&self) -> Option<&[Result<Prepared, Unreadable>]> {
        self.prepared.get().map(Vec::as_slice)
    }

    /// Hands on what follows from the bytes; `batches` of signatures have to be checked.
    pub(super) fn set_prepared(
        &self,
        prepared: Vec<Result<Prepared, Unreadable>>,
        claims: Claims,
        batches: usize,
    ) {
        // `prepared` is set last: others take the parcel up once they see it, and rely on all the rest.
        *lock(&self.found) = vec![SignatureFindings::unchecked(); prepared.len()];
        self.batches_left.store(batches, Ordering::Release);
        // Each parcel is prepared once, so that nothing was set before.
        let _ = self.claims.set(claims);
        let _ = self.prepared.set(prepared);
    }

    /// Gives back what of its memory is more than `bytes`, since it was granted before anybody knew what is in it.
    pub(super) fn shrink(&self, bytes: u64) {
        self.permit.shrink(bytes);
    }

    pub(super) fn claims(&self) -> Option<&Claims> {
        self.claims.get()
    }

    /// Leaves claims to the first batch. Whether it will check them; it won't if it was begun.
    pub(super) fn leave_to_first_batch(&self, late: &Arc<LateClaims>) -> bool {
        match &mut *lock(&self.first_batch) {
            FirstBatch::Ahead(held) => {
                *held = Arc::downgrade(late);
                true
            }
            FirstBatch::Begun => false,
        }
    }

    /// Begins the first batch, and gives what was left to it.
    pub(super) fn begin_first_batch(&self) -> Option<Arc<LateClaims>> {
        match std::mem::replace(&mut *lock(&self.first_batch), FirstBatch::Begun) {
            FirstBatch::Ahead(late) => late.upgrade(),
            FirstBatch::Begun => None,
        }
    }

    /// Adds what a batch found.
    pub(super) fn settle_batch(&self, found: Vec<(u32, SignatureFindings)>) {
        if !found.is_empty() {
            let mut held = lock(&self.found);
            for (block, signatures) in found {
                held[block as usize].merge(signatures);
            }
        }
        // Counted after its findings are merged: a thread that reads 0 sees the findings of all batches.
        self.batches_left.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether all signatures were checked.
    pub(super) fn is_signed(&self) -> bool {
        // In this order: before the parcel is prepared the count is not that of its batches.
        self.prepared.get().is_some() && self.batches_left.load(Ordering::Acquire) == 0
    }

    /// What was found of the signatures of all blocks, once [`Parcel::is_signed`].
    pub(super) fn take_signatures(&self) -> Vec<SignatureFindings> {
        debug_assert!(self.is_signed(), "all batches are settled first");
        std::mem::take(&mut lock(&self.found))
    }
}
