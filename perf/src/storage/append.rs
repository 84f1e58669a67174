//! Appending a whole workload to a store that begins empty.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use hubledger_storage::{Block, Durability};
use tempfile::TempDir;

use super::keeper::Contender;
use super::workload::Workload;
use crate::clock::{Clock, Times};
use crate::statistics::Spread;
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

/// A contender whose pass is a whole workload, up to the end of what it does in the background.
#[derive(Debug)]
pub(crate) struct Appending<'w> {
    name: String,
    contender: Contender,
    workload: &'w Workload,
    under: PathBuf,
    /// Parts of each pass's time that came after the last commit.
    finishing: Vec<f64>,
}

impl<'w> Appending<'w> {
    pub(crate) fn new(contender: Contender, workload: &'w Workload, under: &Path) -> Self {
        Self {
            name: contender.to_string(),
            contender,
            workload,
            under: under.to_owned(),
            finishing: Vec::new(),
        }
    }

    /// The same, with what sets it apart added to its name.
    pub(crate) fn named(mut self, what: &str) -> Self {
        self.name = format!("{}, {what}", self.name);
        self
    }

    /// Which part of the time came after the last commit.
    pub(crate) fn finishing_share(&self) -> f64 {
        match self.finishing.is_empty() {
            true => 0.0,
            false => Spread::of(self.finishing.iter().copied()).median,
        }
    }
}

impl Contestant for Appending<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn clock(&self) -> Clock {
        Clock::Wall
    }

    fn items(&self) -> usize {
        self.workload.transactions as usize
    }

    fn learns(&self) -> bool {
        false
    }

    fn pass(&mut self) -> Result<Times> {
        let appended = append_runs(
            &self.contender,
            self.workload.runs(),
            Durability::Disk,
            &self.under,
            |_| (),
        )?;
        let all: Times = [appended.committing, appended.finishing].into_iter().sum();
        self.finishing.push(appended.finishing.wall / all.wall);
        Ok(all)
    }
}
