//! The signature engine alone, a backend alone, and all of it: three ways over the same chain.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use hubledger_storage as storage;

use super::chain::Chain;
use super::cores::OneCore;
use super::import::{Before, Means, import};
use crate::clock::{Clock, Times};
use crate::storage::{Contender, append_runs, fresh_directory, store_url};
use crate::turns::Contestant;

/// Signatures of a call, for each thread: as many as the engine sums at once.
const BATCH: usize = 8192;

/// Blocks of a commit: an import says how many it had on average, and a backend alone gets as many.
pub(crate) type Group = Cell<usize>;

/// What a contestant does with the chain.
#[derive(Debug)]
enum Work<'c> {
    Signatures,
    Append(Contender, &'c [storage::Block], &'c Group),
    Import(Contender, Before, &'c Group),
}

/// A way over a chain, again and again, each time into a fresh store.
pub(crate) struct Way<'c> {
    name: String,
    chain: &'c Chain,
    means: Means,
    work: Work<'c>,
    under: PathBuf,
}

/// What ways over a chain have in common.
#[derive(Clone, Copy)]
pub(crate) struct Ways<'c> {
    pub(crate) chain: &'c Chain,
    pub(crate) under: &'c Path,
    pub(crate) group: &'c Group,
}

impl<'c> Ways<'c> {
    /// Only the signatures.
    pub(crate) fn signatures(self, means: &Means) -> Way<'c> {
        self.way(means, "signatures alone".to_owned(), Work::Signatures)
    }

    /// Only the store, of the same records, in commits as large as those of the import before were on average.
    pub(crate) fn append(
        self,
        records: &'c [storage::Block],
        contender: &Contender,
        means: &Means,
    ) -> Way<'c> {
        let work = Work::Append(contender.clone(), records, self.group);
        self.way(means, format!("{contender} alone"), work)
    }

    /// All of it.
    pub(crate) fn import(self, contender: &Contender, means: &Means, before: Before) -> Way<'c> {
        let threads = match (means.threads, means.on_one_core) {
            (1, false) => "1 thread".to_owned(),
            (1, true) => "1 thread on one core".to_owned(),
            (threads, _) => format!("{threads} threads"),
        };
        let name = match before {
            Before::Nothing => format!("import into {contender}, {threads}"),
            Before::Admission => format!("import into {contender}, {threads}, all admitted before"),
        };
        let work = Work::Import(contender.clone(), before, self.group);
        self.way(means, name, work)
    }

    fn way(self, means: &Means, name: String, work: Work<'c>) -> Way<'c> {
        Way {
            name,
            chain: self.chain,
            means: means.clone(),
            work,
            under: self.under.to_owned(),
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
            Work::Append(contender, records, group) => {
                let runs = records.chunks(group.get().max(1)).map(<[_]>::to_vec);
                let durability = self.means.durability;
                let appended = append_runs(contender, runs, durability, &self.under, |_| ())?;
                Ok([appended.committing, appended.finishing].into_iter().sum())
            }
            Work::Import(contender, before, group) => {
                let directory = fresh_directory(&self.under)?;
                let _held = self.means.on_one_core.then(OneCore::hold).transpose()?;
                let store = store_url(contender, directory.path())?.create()?;
                let imported = import(self.chain, store, &self.means, *before)?;
                let commits = imported.commits.len().max(1);
                group.set(self.chain.blocks.len().div_ceil(commits));
                Ok(imported.times)
            }
        }
    }
}
