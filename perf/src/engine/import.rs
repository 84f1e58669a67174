//! The way of blocks into a store, signatures and all. Whoever measures an import comes through here, and nothing else
//! in this package knows how blocks are imported.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use hubledger::engine::{Engine, EngineMetrics, Histogram, Outcome};
use hubledger::signature::{Settings, Verifier};
use hubledger_storage::{Durability, Store};
use serde::{Deserialize, Serialize};

use super::admission::submit_all;
use super::chain::Chain;
use crate::clock::Times;

/// How an engine is set up for a measurement.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) threads: usize,
    pub(crate) durability: Durability,
    /// Blocks of a commit, at most; the engine's own bounds if nothing is said.
    pub(crate) group_blocks: Option<usize>,
    /// Whether an import, the thread that commits included, is held on one core.
    pub(crate) on_one_core: bool,
    /// Checks signatures without an engine. It is kept from one pass to the next, as a hub keeps it, so that it knows keys. An
    /// engine has its own.
    verifier: Arc<Verifier>,
}

impl Setup {
    pub(crate) fn new(threads: usize, durability: Durability) -> Result<Self> {
        let mut settings = Settings::default();
        settings.threads = threads;
        Ok(Self {
            threads,
            durability,
            group_blocks: None,
            on_one_core: false,
            verifier: Arc::new(Verifier::new(&settings)?),
        })
    }

    /// The same with at most so many blocks in a commit.
    pub(crate) fn with_group_blocks(mut self, blocks: usize) -> Self {
        self.group_blocks = Some(blocks.max(1));
        self
    }

    /// The same on one core.
    pub(crate) fn on_one_core(mut self) -> Self {
        self.on_one_core = true;
        self
    }

    /// What checks signatures without an engine.
    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// An engine over an empty store, with room for all of a chain's transactions where those that were admitted wait.
    pub(crate) fn engine(&self, chain: &Chain, store: Store) -> Result<Engine> {
        self.engine_that_remembers(None, chain, store)
    }

    /// The same, which remembers that about so many transactions were verified.
    fn engine_that_remembers(
        &self,
        verified: Option<usize>,
        chain: &Chain,
        store: Store,
    ) -> Result<Engine> {
        let builder = Engine::builder()
            .threads(self.threads)
            .durability(self.durability)
            .settings(|settings| {
                if let Some(blocks) = self.group_blocks {
                    settings.group_blocks = blocks;
                }
                settings.pool_transactions = chain.alone.len();
                settings.pool_bytes = usize::MAX;
                // One caller hands in everything, in the name of few senders.
                settings.pool_sender_percent = 100;
                settings.pool_source_percent = 100;
                if let Some(verified) = verified {
                    settings.verified_transactions = verified;
                }
            });
        Ok(builder.create(store, &chain.spec)?)
    }
}

/// How long a stage was busy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) busy_s: f64,
}

/// What an import took.
#[derive(Debug)]
pub(crate) struct Imported {
    /// From the first block to the closed store.
    pub(crate) times: Times,
    pub(crate) stages: Vec<Stage>,
    /// What commits took, from a histogram.
    pub(crate) commits: Vec<Duration>,
}

/// What is done before an import begins, and not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    /// Every transaction is admitted.
    Admission,
}

/// Imports a whole chain into an empty store and closes it.
///
/// # Errors
/// A transaction was not admitted, a block of the chain is not valid, or the store failed.
pub(crate) fn import(
    chain: &Chain,
    store: Store,
    setup: &Setup,
    before: Before,
) -> Result<Imported> {
    // Sets of it fill unevenly.
    let verified = (before == Before::Admission).then_some(4 * chain.alone.len());
    let engine = setup.engine_that_remembers(verified, chain, store)?;
    if before == Before::Admission {
        submit_all(&engine, &chain.alone, Duration::ZERO, |_| ())?;
    }
    let (metrics, times) = Times::of(|| -> Result<_> {
        import_into(&engine, chain)?;
        let metrics = engine.metrics();
        engine.shutdown()?;
        Ok(metrics)
    });
    let metrics = metrics?;
    drop(engine);
    let checked = match before {
        Before::Nothing => metrics.verified_misses,
        Before::Admission => metrics.verified_hits,
    };
    // The cache is one of sets, which may overflow.
    if checked < chain.transactions - chain.transactions / 100 {
        bail!(
            "{checked} of {} transactions were as expected",
            chain.transactions
        );
    }
    Ok(Imported {
        times,
        stages: stages(&metrics),
        commits: latencies(&metrics.commit_latency),
    })
}

/// Imports a whole chain into an engine that has its genesis.
///
/// # Errors
/// A block is not valid, or the store failed.
pub(super) fn import_into(engine: &Engine, chain: &Chain) -> Result<()> {
    for outcome in engine.import(chain.blocks.iter().cloned()) {
        let outcome = outcome?;
        if !matches!(outcome, Outcome::Committed(_)) {
            bail!("a block was not accepted: {outcome:?}");
        }
    }
    Ok(())
}

/// How long each stage was busy.
pub(crate) fn stages(metrics: &EngineMetrics) -> Vec<Stage> {
    let stages = metrics.stages.iter().map(|stage| Stage {
        name: stage.stage.to_string(),
        busy_s: stage.busy.as_secs_f64(),
    });
    stages.collect()
}

/// As many latencies as were counted, as they are spread in the histogram.
fn latencies(histogram: &Histogram) -> Vec<Duration> {
    let count = histogram.count();
    let quantile = |number: u64| (number as f64 + 0.5) / count as f64;
    (0..count)
        .map(|number| histogram.quantile(quantile(number)))
        .collect()
}
