//! Looking up random ids in a store that holds a whole workload, warm.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hubledger_storage::{Durability, Id};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;

use super::append::fresh_directory;
use super::contender::Contender;
use super::keeper::Keeper;
use super::workload::{Place, Workload, absent};
use crate::clock::{Clock, Times};
use crate::turns::Contestant;

/// A store that holds a whole workload.
pub(crate) struct Filled {
    contender: Contender,
    keeper: Box<dyn Keeper>,
    workload: Workload,
    /// Dropped after the keeper, whose files are in it.
    _directory: TempDir,
}

impl Filled {
    /// Appends the workload, waits for what goes on in the background, and opens the store again.
    pub(crate) fn new(contender: Contender, workload: &Workload, under: &Path) -> Result<Self> {
        let directory = fresh_directory(under)?;
        let mut keeper = contender.open(directory.path(), Durability::Os)?;
        for run in workload.runs() {
            keeper.append(&run)?;
        }
        // What is in memory alone would be gone.
        if contender != Contender::ours("memory") {
            keeper.finish()?;
            keeper = contender.open(directory.path(), Durability::Os)?;
        }
        Ok(Self {
            contender,
            keeper,
            workload: workload.clone(),
            _directory: directory,
        })
    }
}

/// Which ids are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Present,
    Absent,
}

/// Look-ups in a pass.
const LOOKUPS: usize = 20_000;

/// A filled store that is asked for other ids in each pass.
pub(crate) struct LookUps<'f> {
    filled: &'f Filled,
    asked: Asked,
    random: StdRng,
}

impl<'f> LookUps<'f> {
    /// The ids follow from the seed.
    pub(crate) fn seeded(filled: &'f Filled, asked: Asked, seed: u64) -> Self {
        Self {
            filled,
            asked,
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// An id, and what is to be found.
    fn question(&mut self) -> (Id, Option<Place>) {
        let number = self
            .random
            .random_range(0..self.filled.workload.transactions);
        match self.asked {
            Asked::Present => {
                let (key, place) = self.filled.workload.present(number);
                (key, Some(place))
            }
            Asked::Absent => (absent(number), None),
        }
    }

    /// Looks up `count` ids, and hands over what each look-up took.
    pub(crate) fn look_up_each(
        &mut self,
        count: usize,
        mut each: impl FnMut(Duration),
    ) -> Result<Times> {
        let questions: Vec<_> = (0..count).map(|_| self.question()).collect();
        let (right, times) = Times::of(|| -> Result<bool> {
            for (key, place) in &questions {
                let started = Instant::now();
                let found = self.filled.keeper.locate(key)?;
                each(started.elapsed());
                if found != *place {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        ensure!(right?, "{}: a wrong answer", self.filled.contender);
        Ok(times)
    }

    /// As a contestant, in passes of [`LOOKUPS`].
    pub(crate) fn contestant(mut self) -> Contestant<'f> {
        let name = self.filled.contender.to_string();
        let pass = move || self.look_up_each(LOOKUPS, |_| ());
        Contestant::new(name, Clock::Thread, LOOKUPS, pass).that_warms_up()
    }
}
