//! Where the time goes: plain counters that can be read at any moment, and the same through the `metrics` façade, for
//! whatever recorder the hub has installed. Everything is counted per parcel or batch, nothing per transaction.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::histogram::Histogram;
use super::sync::lock_std as lock;
use crate::pool::{Left, Pool};

/// A stage of the pipeline, in the order in which a block meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Reading blocks from bytes, the ids of transactions included.
    Decode,
    /// Leaves and roots of the Merkle trees.
    Hash,
    /// Checking signatures.
    Signatures,
    /// Every rule but signatures, in order.
    Validate,
    /// Writing, and waiting for the disk.
    Commit,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Decode,
        Self::Hash,
        Self::Signatures,
        Self::Validate,
        Self::Commit,
    ];

    /// The name in every output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Hash => "hash",
            Self::Signatures => "signatures",
            Self::Validate => "validate",
            Self::Commit => "commit",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How much went through a stage.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    pub(super) blocks: u64,
    pub(super) transactions: u64,
    pub(super) bytes: u64,
}

/// What one stage did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageMetrics {
    /// The stage.
    pub stage: Stage,
    /// Time spent in it, over all threads.
    pub busy: Duration,
    /// Blocks that went through.
    pub blocks: u64,
    /// Transactions that went through; for signatures, signatures.
    pub transactions: u64,
    /// Bytes of blocks that went through.
    pub bytes: u64,
    /// Parcels of blocks that wait before it at the moment.
    pub queued: u64,
}

/// What the engine did since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineMetrics {
    /// Every stage, in order.
    pub stages: Vec<StageMetrics>,
    /// Threads of the pool.
    pub threads: usize,
    /// Time that the pool's threads waited for work, over all of them: for whoever feeds the engine.
    pub workers_idle: Duration,
    /// Time that the commit thread waited for something to commit: for the pool.
    pub commit_idle: Duration,
    /// Time that feeders waited for room: for the engine.
    pub feed_waiting: Duration,
    /// Time that the commit thread waited within commits: mostly for the disk.
    pub sync_waited: Duration,
    /// Batches of signatures that were checked.
    pub signature_batches: u64,
    /// Signatures in them.
    pub signatures: u64,
    /// Transactions of blocks whose signatures admission had checked …
    pub verified_hits: u64,
    /// … and had not.
    pub verified_misses: u64,
    /// Commits to the store.
    pub commits: u64,
    /// How long commits took, the disk included.
    pub commit_latency: Histogram,
    /// How long a commit kept its thread waiting instead of working: for `disk`, mostly the disk.
    pub sync_latency: Histogram,
    /// How long a submitted transaction waited for its verdict.
    pub admission_latency: Histogram,
    /// Transactions that wait for a block …
    pub waiting_transactions: u64,
    /// … bytes of them …
    pub waiting_bytes: u64,
    /// … their senders …
    pub waiting_senders: u64,
    /// … and where they came from.
    pub waiting_sources: u64,
    /// Transactions that wait no more, and why.
    pub left: Left,
    /// Other histories that came and can't be reconciled with the chain: see [`Engine::alarm`](super::Engine::alarm).
    pub alarms: u64,
    /// Bytes of memory granted to blocks in flight at the moment.
    pub memory_used: u64,
}

impl EngineMetrics {
    /// Takes over what the pool says of itself.
    pub(super) fn take_pool(&mut self, pool: &Pool) {
        self.waiting_transactions = pool.len() as u64;
        self.waiting_bytes = pool.bytes() as u64;
        self.waiting_senders = pool.sender_count() as u64;
        self.waiting_sources = pool.source_count() as u64;
        self.left = pool.left();
    }
}

/// Tells a recorder of metrics how much waits, and what waits no more.
pub(super) fn tell_of_pool(pool: &Pool) {
    metrics::gauge!("hubledger_pool_transactions").set(pool.len() as f64);
    metrics::gauge!("hubledger_pool_bytes").set(pool.bytes() as f64);
    metrics::gauge!("hubledger_pool_senders").set(pool.sender_count() as f64);
    metrics::gauge!("hubledger_pool_sources").set(pool.source_count() as f64);
    for (why, count) in pool.left().counts() {
        metrics::counter!("hubledger_pool_left_total", "why" => why).absolute(count);
    }
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Meters {
    stages: [Meter; 5],
    pub(super) workers_idle: Nanos,
    pub(super) commit_idle: Nanos,
    pub(super) feed_waiting: Nanos,
    sync_waited: Nanos,
    signature_batches: AtomicU64,
    signatures: AtomicU64,
    verified_hits: AtomicU64,
    verified_misses: AtomicU64,
    latencies: Mutex<Latencies>,
}

#[derive(Debug, Default)]
struct Meter {
    busy: Nanos,
    blocks: AtomicU64,
    transactions: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug, Default, Clone)]
struct Latencies {
    commit: Histogram,
    sync: Histogram,
    admission: Histogram,
}

/// A sum of durations.
#[derive(Debug, Default)]
pub(super) struct Nanos(AtomicU64);

impl Nanos {
    pub(super) fn add(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // Totals that nothing is decided by: they need no order with anything else.
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Meters {
    /// Notes that `stage` worked on `load` since `started`.
    pub(super) fn stage(&self, stage: Stage, started: Instant, load: Load) {
        let busy = started.elapsed();
        let meter = &self.stages[stage as usize];
        meter.busy.add(busy);
        for (counter, more) in [
            (&meter.blocks, load.blocks),
            (&meter.transactions, load.transactions),
            (&meter.bytes, load.bytes),
        ] {
            counter.fetch_add(more, Ordering::Relaxed);
        }
        let name = stage.name();
        metrics::counter!("hubledger_stage_busy_nanoseconds_total", "stage" => name)
            .increment(u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX));
        metrics::counter!("hubledger_stage_blocks_total", "stage" => name).increment(load.blocks);
        metrics::counter!("hubledger_stage_items_total", "stage" => name)
            .increment(load.transactions);
        metrics::counter!("hubledger_stage_bytes_total", "stage" => name).increment(load.bytes);
    }

    pub(super) fn signature_batch(&self, signatures: usize) {
        self.signature_batches.fetch_add(1, Ordering::Relaxed);
        self.signatures
            .fetch_add(signatures as u64, Ordering::Relaxed);
        metrics::histogram!("hubledger_signature_batch_size").record(signatures as f64);
    }

    pub(super) fn cache(&self, hits: u64, misses: u64) {
        self.verified_hits.fetch_add(hits, Ordering::Relaxed);
        self.verified_misses.fetch_add(misses, Ordering::Relaxed);
        metrics::counter!("hubledger_verified_hits_total").increment(hits);
        metrics::counter!("hubledger_verified_misses_total").increment(misses);
    }

    pub(super) fn queued(&self, stage: Stage, parcels: usize) {
        metrics::gauge!("hubledger_stage_queue_depth", "stage" => stage.name()).set(parcels as f64);
    }

    /// Notes a commit that took `whole`, of which its thread was off the processor for `waiting`.
    pub(super) fn commit(&self, whole: Duration, waiting: Duration) {
        self.sync_waited.add(waiting);
        let mut latencies = lock(&self.latencies);
        latencies.commit.record(whole);
        latencies.sync.record(waiting);
        drop(latencies);
        metrics::histogram!("hubledger_commit_seconds").record(whole.as_secs_f64());
        metrics::histogram!("hubledger_sync_seconds").record(waiting.as_secs_f64());
    }

    pub(super) fn admission(&self, latencies: impl Iterator<Item = Duration>) {
        let told = metrics::histogram!("hubledger_admission_seconds");
        let mut held = lock(&self.latencies);
        for latency in latencies {
            held.admission.record(latency);
            told.record(latency.as_secs_f64());
        }
    }

    pub(super) fn snapshot(&self, queued: [u64; 5], threads: usize) -> EngineMetrics {
        let stages = Stage::ALL.into_iter().zip(&self.stages).zip(queued);
        let latencies = lock(&self.latencies).clone();
        EngineMetrics {
            stages: stages
                .map(|((stage, meter), queued)| StageMetrics {
                    stage,
                    busy: meter.busy.get(),
                    blocks: get(&meter.blocks),
                    transactions: get(&meter.transactions),
                    bytes: get(&meter.bytes),
                    queued,
                })
                .collect(),
            threads,
            workers_idle: self.workers_idle.get(),
            commit_idle: self.commit_idle.get(),
            feed_waiting: self.feed_waiting.get(),
            sync_waited: self.sync_waited.get(),
            signature_batches: get(&self.signature_batches),
            signatures: get(&self.signatures),
            verified_hits: get(&self.verified_hits),
            verified_misses: get(&self.verified_misses),
            commits: latencies.commit.count(),
            commit_latency: latencies.commit,
            sync_latency: latencies.sync,
            admission_latency: latencies.admission,
            waiting_transactions: 0,
            waiting_bytes: 0,
            waiting_senders: 0,
            waiting_sources: 0,
            left: Left::default(),
            alarms: 0,
            memory_used: 0,
        }
    }
}
