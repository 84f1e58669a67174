//! The way of blocks into a store, signatures and all. Whoever measures an import comes through here, and nothing else
//! in this package knows how blocks are imported.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use hubledger::engine::{Engine, Histogram, Outcome};
use hubledger::signature::{Settings, Verifier};
use hubledger_signatures::Path;
use hubledger_storage::{Durability, Store};
use serde::{Deserialize, Serialize};

use super::chain::Chain;
use crate::clock::Times;

/// What an import may use.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    pub(crate) threads: usize,
    pub(crate) durability: Durability,
    /// Blocks of a commit, at most.
    pub(crate) per_run: usize,
    /// Kept from one import to the next, as a hub keeps it: it knows keys.
    verifier: Arc<Verifier>,
}

impl Means {
    pub(crate) fn new(
        threads: usize,
        path: Option<Path>,
        durability: Durability,
        per_run: usize,
    ) -> Result<Self> {
        let mut settings = Settings::default();
        settings.threads = threads;
        settings.path = path;
        Ok(Self {
            threads,
            durability,
            per_run: per_run.max(1),
            verifier: Arc::new(Verifier::new(&settings)?),
        })
    }

    /// What checks signatures.
    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
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

/// Imports a whole chain into an empty store and closes it.
///
/// # Errors
/// A block of the chain is not valid, or the store failed.
pub(crate) fn import(chain: &Chain, store: Store, means: &Means) -> Result<Imported> {
    let (done, times) = Times::of(|| import_by_engine(chain, store, means));
    let (stages, commits) = done?;
    Ok(Imported {
        times,
        stages,
        commits,
    })
}

fn import_by_engine(
    chain: &Chain,
    store: Store,
    means: &Means,
) -> Result<(Vec<Stage>, Vec<Duration>)> {
    let engine = Engine::builder()
        .threads(means.threads)
        .durability(means.durability)
        .settings(|settings| settings.group_blocks = means.per_run)
        .create(store, &chain.spec)?;
    for outcome in engine.import(chain.blocks.iter().cloned()) {
        let outcome = outcome?;
        if !matches!(outcome, Outcome::Committed { .. }) {
            bail!("a block was not accepted: {outcome:?}");
        }
    }
    let metrics = engine.metrics();
    engine.shutdown()?;
    let stages = metrics.stages.iter().map(|stage| Stage {
        name: stage.stage.to_string(),
        busy_s: stage.busy.as_secs_f64(),
    });
    Ok((stages.collect(), latencies(&metrics.commit_latency)))
}

/// As many latencies as were counted, as they are spread in the histogram.
fn latencies(histogram: &Histogram) -> Vec<Duration> {
    let count = histogram.count();
    let quantile = |number: u64| (number as f64 + 0.5) / count as f64;
    (0..count)
        .map(|number| histogram.quantile(quantile(number)))
        .collect()
}
