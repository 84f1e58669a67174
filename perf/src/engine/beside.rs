//! Admission while others keep the engine busy: snapshots of a state of many names, one after the other, and a thread that produces
//! blocks of what was admitted.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use hubledger::engine::{Engine, Outcome};
use hubledger::ledger::policy::PrunePolicy;
use serde_json::{Value, json};

use super::admission::submit_all;
use super::chain::Chain;
use super::import::Setup;
use crate::statistics::{quantile, rounded};
use crate::storage::{Contender, fresh_directory};

/// A producer that finds nothing looks again after so long.
const PAUSE: Duration = Duration::from_millis(1);

/// What keeps the engine busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    Nothing,
    SnapshotsAndProducer,
}

/// What was seen while transactions were admitted.
pub(super) struct Seen {
    /// From when each transaction was due to its verdict, in order of length.
    latencies_ms: Vec<f64>,
    seconds: f64,
    snapshots: u64,
    transactions_committed: u64,
}

impl Seen {
    /// The latency that a part of the transactions doesn't exceed.
    pub(super) fn at(&self, part: f64) -> f64 {
        quantile(&self.latencies_ms, part)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "p50_ms": rounded(self.at(0.5)),
            "p99_ms": rounded(self.at(0.99)),
            "most_ms": rounded(self.at(1.0)),
            "snapshots": self.snapshots,
            "committed_per_second": (self.transactions_committed as f64 / self.seconds).round(),
        })
    }
}

/// Imports the first half of a chain, which brings its names into the state, and submits the rest on an even schedule.
///
/// # Errors
/// A transaction was not admitted, a block is not valid, or the store failed.
pub(super) fn admit_beside(
    beside: Beside,
    chain: &Chain,
    per_second: f64,
    contender: &Contender,
    setup: &Setup,
    under: &Path,
) -> Result<Seen> {
    let directory = fresh_directory(under)?;
    let store = contender.store_url(directory.path())?.create()?;
    let engine = setup.engine(chain, store)?;
    for outcome in engine.import(chain.blocks[..chain.blocks.len() / 2].iter().cloned()) {
        let outcome = outcome?;
        ensure!(
            matches!(outcome, Outcome::Committed { .. }),
            "a block was not accepted: {outcome:?}"
        );
    }
    let imported = engine.transactions();
    let rest = &chain.alone[usize::try_from(imported)?..];
    let interval = Duration::from_secs_f64(1.0 / per_second);
    let (mut latencies_ms, done) = (Vec::with_capacity(rest.len()), AtomicBool::new(false));
    let is_on = || beside == Beside::SnapshotsAndProducer && !done.load(Ordering::Relaxed);
    let started = Instant::now();
    let (submitted, snapshots, produced) = thread::scope(|scope| {
        let snapshots = scope.spawn(|| take_snapshots(&engine, is_on));
        let producing = scope.spawn(|| produce(&engine, chain, is_on));
        let submitted = submit_all(&engine, rest, interval, |took| {
            latencies_ms.push(took.as_secs_f64() * 1e3);
        });
        done.store(true, Ordering::Relaxed);
        (submitted, snapshots.join(), producing.join())
    });
    submitted?;
    produced.map_err(|_| anyhow!("producing panicked"))??;
    latencies_ms.sort_unstable_by(f64::total_cmp);
    let seen = Seen {
        latencies_ms,
        seconds: started.elapsed().as_secs_f64(),
        snapshots: snapshots.map_err(|_| anyhow!("taking snapshots panicked"))??,
        transactions_committed: engine.transactions() - imported,
    };
    engine.shutdown()?;
    Ok(seen)
}

/// Pruning by a policy that keeps everything removes nothing, but puts a snapshot of the state into the store.
fn take_snapshots(engine: &Engine, is_on: impl Fn() -> bool) -> Result<u64> {
    let mut taken = 0;
    while is_on() {
        engine.prune(PrunePolicy::default(), None)?;
        taken += 1;
    }
    Ok(taken)
}

/// Produces blocks of whatever waits.
fn produce(engine: &Engine, chain: &Chain, is_on: impl Fn() -> bool) -> Result<()> {
    let (_, key) = chain.authority();
    while is_on() {
        if engine.metrics().waiting_transactions == 0 {
            thread::sleep(PAUSE);
            continue;
        }
        let outcome = engine.produce(key)?;
        ensure!(
            matches!(outcome, Outcome::Committed { .. }),
            "a block was not accepted: {outcome:?}"
        );
    }
    Ok(())
}
