//! The signature engine alone, a backend alone, and all of it: three ways over the same chain.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use hubledger_storage as storage;

use super::chain::Chain;
use super::import::{Means, import};
use crate::clock::{Clock, Times};
use crate::storage::{Contender, append_runs, fresh_directory, store_url};
use crate::turns::Contestant;

/// Signatures of a call, for each thread: as many as the engine sums at once.
const BATCH: usize = 8192;

/// What a contestant does with the chain.
#[derive(Debug)]
enum Work<'c> {
    Signatures,
    Append(Contender, &'c [storage::Block]),
    Import(Contender),
}

/// A way over a chain, again and again, each time into a fresh store.
pub(crate) struct Way<'c> {
    name: String,
    chain: &'c Chain,
    means: Means,
    work: Work<'c>,
    under: PathBuf,
}

impl<'c> Way<'c> {
    /// Only the signatures.
    pub(crate) fn signatures(chain: &'c Chain, means: &Means, under: &Path) -> Self {
        Self::new(
            chain,
            means,
            under,
            Work::Signatures,
            "signatures alone".to_owned(),
        )
    }

    /// Only the store, of the same records.
    pub(crate) fn append(
        chain: &'c Chain,
        records: &'c [storage::Block],
        contender: &Contender,
        means: &Means,
        under: &Path,
    ) -> Self {
        let name = format!("{contender} alone");
        Self::new(
            chain,
            means,
            under,
            Work::Append(contender.clone(), records),
            name,
        )
    }

    /// All of it.
    pub(crate) fn import(
        chain: &'c Chain,
        contender: &Contender,
        means: &Means,
        under: &Path,
    ) -> Self {
        let name = format!("import into {contender}, {} threads", means.threads);
        Self::new(chain, means, under, Work::Import(contender.clone()), name)
    }

    fn new(chain: &'c Chain, means: &Means, under: &Path, work: Work<'c>, name: String) -> Self {
        Self {
            name,
            chain,
            means: means.clone(),
            work,
            under: under.to_owned(),
        }
    }
}

impl Contestant for Way<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn clock(&self) -> Clock {
        Clock::Wall
    }

    fn items(&self) -> usize {
        self.chain.transactions as usize
    }

    fn learns(&self) -> bool {
        false
    }

    fn pass(&mut self) -> Result<Times> {
        match &self.work {
            Work::Signatures => {
                let items = self.chain.items();
                let verifier = self.means.verifier();
                let batches = items.chunks(BATCH * self.means.threads);
                let (bad, times) = Times::of(|| {
                    batches
                        .map(|batch| verifier.verify(batch).bad().len())
                        .sum::<usize>()
                });
                ensure!(bad == 0, "{bad} signatures don't verify");
                Ok(times)
            }
            Work::Append(contender, records) => {
                let runs = records.chunks(self.means.per_run).map(<[_]>::to_vec);
                let durability = self.means.durability;
                let appended = append_runs(contender, runs, durability, &self.under, |_| ())?;
                Ok([appended.committing, appended.finishing].into_iter().sum())
            }
            Work::Import(contender) => {
                let directory = fresh_directory(&self.under)?;
                let store = store_url(contender, directory.path())?.create()?;
                Ok(import(self.chain, store, &self.means)?.times)
            }
        }
    }
}
