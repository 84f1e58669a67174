//! Opening a store whose writer was killed.
//!
//! How long that takes depends on how full the last segment is. So stores of both sizes are killed at places that are
//! spread evenly over more than a segment's length, and the medians are compared.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use hubledger_storage::{Location, Store};
use rustix::fs::{Advice, fadvise};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::append::fresh_directory;
use super::child::append_and_kill;
use super::contender::Contender;
use super::workload::{Workload, absent};
use crate::clock::Times;
use crate::ratio::spread_json;
use crate::statistics::{Spread, rounded};

/// Kills of each store.
const KILLS: u64 = 10;
/// Blocks that are appended before each kill. Ten times as many fill a segment of 256 MiB.
const STEP: u64 = 100;
/// So long an index is waited for at most.
const INDEX_WAIT_MAX: Duration = Duration::from_secs(600);

/// What opening took after each kill.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// With what the killed process had read and written still in memory.
    pub(super) warm: Vec<Times>,
    /// After the system was told that none of the files is needed in memory.
    pub(super) cold: Vec<Times>,
    /// From opening until every look-up gives an answer, in seconds.
    answering: Vec<f64>,
}

impl Opened {
    pub(super) fn to_json(&self) -> Value {
        let wall = |times: &[Times]| milliseconds(times.iter().map(|times| times.wall));
        let opened = self.warm.iter().chain(&self.cold);
        let processor = opened.map(|times| times.thread);
        json!({
            "kills": self.warm.len() + self.cold.len(),
            "warm_ms": wall(&self.warm),
            "cold_ms": wall(&self.cold),
            "processor_ms": milliseconds(processor),
            "all_indexed_ms": milliseconds(self.answering.iter().copied()),
        })
    }
}

/// Where seconds lie, in milliseconds, and the most of them.
fn milliseconds(seconds: impl Iterator<Item = f64>) -> Value {
    let all: Vec<f64> = seconds.map(|seconds| seconds * 1e3).collect();
    if all.is_empty() {
        return Value::Null;
    }
    let most = all.iter().copied().fold(0.0, f64::max);
    let mut spread = spread_json(&Spread::of(all));
    spread["most"] = json!(rounded(most));
    spread
}

/// A store of some size that is killed and opened again and again.
struct Victim<'a> {
    contender: &'a Contender,
    directory: TempDir,
    end: u64,
    opened: Opened,
}

/// Kills and opens stores of these sizes in turns.
pub(super) fn open_after_kills<const N: usize>(
    contender: &Contender,
    sizes: [u64; N],
    under: &Path,
) -> Result<[Opened; N]> {
    let mut victims = Vec::with_capacity(N);
    for transactions in sizes {
        let mut victim = Victim {
            contender,
            directory: fresh_directory(under)?,
            end: 0,
            opened: Opened::default(),
        };
        let blocks = Workload::standard(transactions).blocks();
        append_and_kill(contender, victim.directory.path(), 0, blocks)?;
        victim.open()?;
        victims.push(victim);
    }
    for kill in 0..KILLS {
        for victim in &mut victims {
            let until = victim.end + STEP;
            append_and_kill(contender, victim.directory.path(), victim.end, until)?;
            let cold = kill % 2 == 1;
            if cold {
                forget(victim.directory.path())?;
            }
            let times = victim.open()?;
            match cold {
                true => victim.opened.cold.push(times),
                false => victim.opened.warm.push(times),
            }
        }
    }
    let opened: Vec<Opened> = victims.into_iter().map(|victim| victim.opened).collect();
    opened
        .try_into()
        .map_err(|_| anyhow!("a store for each size"))
}

impl Victim<'_> {
    /// Opens the store, waits until its index is whole, and closes it. Returns what opening took.
    fn open(&mut self) -> Result<Times> {
        let url = self.contender.store_url(self.directory.path())?;
        let started = Instant::now();
        let (opened, times) = Times::of(|| -> Result<_> {
            let store = url.open()?;
            let extent = store.reader.extent()?;
            Ok((store, extent.end))
        });
        let (store, end) = opened?;
        ensure!(
            end > self.end,
            "{}: what was committed is gone",
            self.contender
        );
        self.end = end;
        await_index(&store)?;
        self.opened.answering.push(started.elapsed().as_secs_f64());
        Ok(times)
    }
}

fn await_index(store: &Store) -> Result<()> {
    let started = Instant::now();
    while let Location::NotIndexed { watermark } = store.reader.locate(&absent(0))? {
        if started.elapsed() > INDEX_WAIT_MAX {
            bail!("still not indexed from height {watermark} on");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Tells the system that no file below is needed in memory. What isn't on the disk yet stays.
fn forget(directory: &Path) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if kind.is_dir() {
            forget(&path)?;
        } else if kind.is_file() {
            let file = std::fs::File::open(&path).with_context(|| path.display().to_string())?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
