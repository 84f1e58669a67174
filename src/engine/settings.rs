//! How an engine is set up. Nothing here changes a verdict.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hubledger_storage::Durability;

use super::metrics::Stage;
use crate::pool::Bounds;
use crate::tree::ForkBounds;

/// No more parcels than this are in flight; every channel between stages has room for all of them.
pub(super) const PARCELS_MAX: usize = 64;
/// No more transactions than this are on their way through admission.
pub(super) const SUBMISSIONS_MAX: usize = 1 << 14;
/// Bytes that a decoded transaction and its hashes, claims and index entry take beside its own, at most.
const TRANSACTION_MEMORY: u64 = 640;
/// The same for a block.
const BLOCK_MEMORY: u64 = 2048;

/// Called at each hand-off with the stage that is about to begin; tests delay stages with it, or let them fail.
pub type Probe = Arc<dyn Fn(Stage) + Send + Sync>;

/// How an engine is set up.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Threads that decode, hash, check and validate; 0 takes as many as the machine has cores. At most 1,024.
    pub threads: usize,
    /// What a commit waits for.
    pub durability: Durability,
    /// Bytes of memory for blocks in flight, decoded and not yet committed. A single larger block is let through alone.
    pub memory_bytes: u64,
    /// Bytes of memory for a state that is kept in tables, roughly; the rest of it is read when it is needed.
    pub state_bytes: u64,
    /// Blocks go through the stages in parcels of about this many encoded bytes …
    pub parcel_bytes: usize,
    /// … and at most this many blocks.
    pub parcel_blocks: usize,
    /// The most signatures in one batch; at least 1.
    pub batch_signatures: usize,
    /// A group is committed when it has this many bytes …
    pub group_bytes: usize,
    /// … or this many blocks …
    pub group_blocks: usize,
    /// … or nothing more is on its way, or the first of it has waited this long.
    pub group_linger: Duration,
    /// Transactions whose verification is remembered, at 32 bytes each; 0 remembers none.
    pub verified_transactions: usize,
    /// An admission batch closes with this many transactions …
    pub admission_batch: usize,
    /// … or when its first has waited this long.
    pub admission_linger: Duration,
    /// Bytes of memory for transactions on their way through admission.
    pub admission_bytes: u64,
    /// The most transactions that wait for a block …
    pub pool_transactions: usize,
    /// … and bytes of them.
    pub pool_bytes: usize,
    /// The part of both that one sender may have, in per cent; 100 is no limit.
    pub pool_sender_percent: u8,
    /// The part that one [`Source`](crate::pool::Source) may have of what it has and what is free, in per cent: with 50 one alone gets
    /// half of the room, two get a third each. The same goes for a block, while others have something for it. 100 is no limit.
    pub pool_source_percent: u8,
    /// How long a transaction may wait for a block.
    pub pool_age_max: Duration,
    /// Where what waits is written down, so that it waits again after a restart: each is then admitted again. A file for this engine alone.
    pub pool_journal: Option<PathBuf>,
    /// How much is kept of branches beside the chain.
    pub fork_bounds: ForkBounds,
    /// Called at each hand-off.
    pub probe: Option<Probe>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threads: 0,
            durability: Durability::Disk,
            memory_bytes: 128 << 20,
            state_bytes: 512 << 20,
            parcel_bytes: 1 << 20,
            parcel_blocks: 512,
            batch_signatures: 8192,
            group_bytes: 8 << 20,
            group_blocks: 1 << 16,
            group_linger: Duration::from_millis(10),
            verified_transactions: 1 << 18,
            admission_batch: 1024,
            admission_linger: Duration::from_millis(1),
            admission_bytes: 32 << 20,
            pool_transactions: 1 << 17,
            pool_bytes: 128 << 20,
            pool_sender_percent: 10,
            pool_source_percent: 50,
            pool_age_max: Duration::from_secs(24 * 60 * 60),
            pool_journal: None,
            fork_bounds: ForkBounds::default(),
            probe: None,
        }
    }
}

impl Settings {
    /// Threads to start.
    pub(super) fn threads_to_start(&self) -> usize {
        threads_to_start(self.threads)
    }

    /// The bounds of the pool.
    pub(super) fn pool_bounds(&self) -> Bounds {
        Bounds {
            transactions_max: self.pool_transactions,
            bytes_max: self.pool_bytes,
            sender_percent: self.pool_sender_percent,
            source_percent: self.pool_source_percent,
            age_max_us: u64::try_from(self.pool_age_max.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// The memory that a transaction may take on its way through admission; at least the share that keeps their number
    /// within its bound.
    pub(super) fn admission_memory_of(
        &self,
        transaction: &crate::format::model::Transaction,
    ) -> u64 {
        let share = self.admission_bytes.div_ceil(SUBMISSIONS_MAX as u64);
        (transaction.bytes().len() as u64 + TRANSACTION_MEMORY).max(share)
    }

    /// The memory that blocks of `bytes` encoded bytes may take while they are in flight, whatever is in them.
    pub(super) fn memory_of_unread(&self, blocks: usize, bytes: usize) -> u64 {
        let transactions = bytes / crate::format::model::TRANSACTION_BYTES_MIN;
        self.memory_of(blocks, transactions as u64, bytes)
    }

    /// The memory that so many blocks with so many transactions and bytes may take while they are in flight; at least the
    /// share that keeps the number of parcels within its bound.
    pub(super) fn memory_of(&self, blocks: usize, transactions: u64, bytes: usize) -> u64 {
        let needed =
            bytes as u64 + transactions * TRANSACTION_MEMORY + blocks as u64 * BLOCK_MEMORY;
        needed.max(self.memory_bytes.div_ceil(PARCELS_MAX as u64))
    }
}

/// Threads to start where so many are asked for.
pub(super) fn threads_to_start(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads.min(1024),
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("threads", &self.threads)
            .field("durability", &self.durability)
            .field("memory_bytes", &self.memory_bytes)
            .finish_non_exhaustive()
    }
}
