//! How an engine is set up. Nothing here changes a verdict.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hubledger_storage::Durability;

use super::metrics::Stage;
use crate::format::model::{Block, TRANSACTION_BYTES_MIN};
use crate::pool::Bounds;
use crate::rules::{CLAIM_MEMORY, further_claims, further_claims_in};
use crate::tree::ForkBounds;

/// No more parcels than this are in flight; every channel between stages has room for all of them.
pub(super) const PARCELS_MAX: usize = 64;
/// No more transactions than this are on their way through admission.
pub(super) const SUBMISSIONS_MAX: usize = 1 << 14;
/// Bytes that a decoded transaction and its hashes, one claim and its index entry take beside its own, at most.
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
        let claims = further_claims_in(transaction) as u64 * CLAIM_MEMORY as u64;
        (transaction.bytes().len() as u64 + TRANSACTION_MEMORY + claims).max(share)
    }

    /// The memory that blocks of `bytes` encoded bytes may take while they are in flight, whatever is in them: for each byte, a shortest
    /// transaction takes more than signatures do, so that it is the worst that they can be filled with.
    pub(super) fn memory_of_unread(&self, blocks: usize, bytes: usize) -> u64 {
        let transactions = (bytes / TRANSACTION_BYTES_MIN) as u64;
        let content = Content {
            blocks: blocks as u64,
            transactions,
            further_claims: 0,
        };
        self.memory_of(content, bytes)
    }

    /// The memory that blocks with this content and so many bytes may take while they are in flight; at least the
    /// share that keeps the number of parcels within its bound.
    pub(super) fn memory_of(&self, content: Content, bytes: usize) -> u64 {
        let needed = bytes as u64
            + content.transactions * TRANSACTION_MEMORY
            + content.further_claims * CLAIM_MEMORY as u64
            + content.blocks * BLOCK_MEMORY;
        needed.max(self.memory_bytes.div_ceil(PARCELS_MAX as u64))
    }
}

/// What is in blocks that takes memory beside their bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Content {
    pub(super) blocks: u64,
    pub(super) transactions: u64,
    /// Beside one for each transaction: see [`further_claims`].
    pub(super) further_claims: u64,
}

impl Content {
    /// Of blocks that are decoded.
    pub(super) fn of<'b>(blocks: impl IntoIterator<Item = &'b Block>) -> Self {
        blocks.into_iter().fold(Self::default(), |sum, block| Self {
            blocks: sum.blocks + 1,
            transactions: sum.transactions + block.transactions().len() as u64,
            further_claims: sum.further_claims + further_claims(block) as u64,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_before_anybody_looked_is_enough_for_claims_and_transactions() {
        let settings = Settings {
            memory_bytes: 0,
            ..Settings::default()
        };
        // Blocks of short transactions, of certificates alone, and of both: 64 bytes at least for each further claim.
        for (transactions, further_claims) in [(10_000, 0), (0, 20_000), (5_000, 9_000)] {
            let bytes = transactions * TRANSACTION_BYTES_MIN + further_claims * 64;
            let content = Content {
                blocks: 3,
                transactions: transactions as u64,
                further_claims: further_claims as u64,
            };
            let granted = settings.memory_of_unread(3, bytes);
            assert!(settings.memory_of(content, bytes) <= granted);
            let without = Content {
                further_claims: 0,
                ..content
            };
            let claims = further_claims as u64 * CLAIM_MEMORY as u64;
            let both = settings.memory_of(without, bytes) + claims;
            assert_eq!(settings.memory_of(content, bytes), both);
        }
    }
}
