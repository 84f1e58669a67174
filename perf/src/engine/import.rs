//! The way of blocks into a store, signatures and all. Whoever measures an import comes through here, and nothing else
//! in this package knows how blocks are imported.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hubledger::clock::SystemClock;
use hubledger::ledger::{Ledger, Outcome};
use hubledger::model::Block;
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
    /// Blocks of a commit.
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
    /// What each commit took.
    pub(crate) commits: Vec<Duration>,
}

/// Imports a whole chain into an empty store and closes it.
///
/// # Errors
/// A block of the chain is not valid, or the store failed.
pub(crate) fn import(chain: &Chain, store: Store, means: &Means) -> Result<Imported> {
    let (done, times) = Times::of(|| import_in_sequence(chain, store, means));
    let (stages, commits) = done?;
    Ok(Imported {
        times,
        stages,
        commits,
    })
}

/// One block after the other: decode, judge, and commit now and then. Only signatures are spread over threads.
fn import_in_sequence(
    chain: &Chain,
    store: Store,
    means: &Means,
) -> Result<(Vec<Stage>, Vec<Duration>)> {
    let mut ledger = Ledger::create(store, &chain.spec, Arc::new(SystemClock))?;
    ledger.set_durability(means.durability);
    ledger.set_verifier(Arc::clone(&means.verifier));
    let (mut decoding, mut validating) = (Duration::ZERO, Duration::ZERO);
    let mut commits = Vec::with_capacity(chain.blocks.len() / means.per_run + 2);
    for run in chain.blocks.chunks(means.per_run) {
        for bytes in run {
            let started = Instant::now();
            let block = Block::decode(bytes)?;
            decoding += started.elapsed();
            let started = Instant::now();
            let outcome = ledger.stage(&block)?;
            validating += started.elapsed();
            if outcome != Outcome::Staged {
                bail!("block {} was not accepted: {outcome:?}", block.height());
            }
        }
        let started = Instant::now();
        ledger.commit()?;
        commits.push(started.elapsed());
    }
    let started = Instant::now();
    ledger.close()?;
    let closing = started.elapsed();
    let stage = |name: &str, busy: Duration| Stage {
        name: name.to_owned(),
        busy_s: busy.as_secs_f64(),
    };
    let committing: Duration = commits.iter().sum();
    let stages = vec![
        stage("decode", decoding),
        stage("validate", validating),
        stage("commit", committing),
        stage("close", closing),
    ];
    Ok((stages, commits))
}
