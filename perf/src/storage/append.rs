//! Appending a whole workload to a store that begins empty.

use std::cell::RefCell;
use std::path::Path;

use anyhow::{Context as _, Result};
use hubledger_storage::{Block, Durability};
use tempfile::TempDir;

use super::contender::Contender;
use super::workload::Workload;
use crate::clock::{Clock, Times};
use crate::turns::Contestant;

/// A directory of its own, gone when this is dropped.
pub(crate) fn fresh_directory(under: &Path) -> Result<TempDir> {
    let builder = tempfile::Builder::new()
        .prefix("hubledger-perf-")
        .tempdir_in(under);
    builder.with_context(|| format!("make a directory in {}", under.display()))
}

/// Seconds in which a workload was appended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Appended {
    /// From the first append to the last commit, which is durable.
    pub(crate) committing: Times,
    /// What went on in the background after that, and closing.
    pub(crate) finishing: Times,
}

impl Appended {
    /// From the first append to the closed store.
    pub(crate) fn all(&self) -> Times {
        [self.committing, self.finishing].into_iter().sum()
    }
}

/// Appends runs to a fresh store, and waits for what goes on in the background. Making up the blocks isn't counted. What
/// each append took is handed over.
pub(crate) fn append_runs(
    contender: &Contender,
    runs: impl Iterator<Item = Vec<Block>>,
    durability: Durability,
    under: &Path,
    mut each: impl FnMut(&Times),
) -> Result<Appended> {
    let directory = fresh_directory(under)?;
    let mut keeper = contender.open(directory.path(), durability)?;
    let mut committing = Vec::new();
    for run in runs {
        let (done, times) = Times::of(|| keeper.append(&run));
        done.with_context(|| format!("{contender}: append"))?;
        each(&times);
        committing.push(times);
    }
    let (done, finishing) = Times::of(|| keeper.finish());
    done.with_context(|| format!("{contender}: finish"))?;
    Ok(Appended {
        committing: committing.into_iter().sum(),
        finishing,
    })
}

/// A contender whose pass is a whole workload, up to the end of what it does in the background. Which part of each pass's time
/// came after the last commit is added to `shares`.
pub(crate) fn appending<'a>(
    contender: Contender,
    workload: &'a Workload,
    under: &'a Path,
    shares: &'a RefCell<Vec<f64>>,
) -> Contestant<'a> {
    let items = workload.transactions as usize;
    Contestant::new(contender.to_string(), Clock::Wall, items, move || {
        let runs = workload.runs();
        let appended = append_runs(&contender, runs, Durability::Disk, under, |_| ())?;
        let all = appended.all();
        shares.borrow_mut().push(appended.finishing.wall / all.wall);
        Ok(all)
    })
}
