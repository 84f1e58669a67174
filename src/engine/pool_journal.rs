//! The pool's journal in a file, written by a thread of its own, so that no worker waits for the disk.
//!
//! What entered is handed over in memory, within a bound; what exceeds it isn't lost, for the file is written anew then, of what waits. The same
//! is done when the file has grown too long, after an error, and at the end. Nothing waits for the journal: what entered in the moment
//! before a crash may be missing in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex as StdMutex;

use super::EngineError;
use super::admission::submit;
use super::shared::Shared;
use super::sync::{Condvar, Mutex, lock, lock_std, wait_until};
use super::{Ticket, WhenFull};
use crate::format::digest::ChainId;
use crate::format::model::Transaction;
use crate::pool::{Bounds, Source, journal};

/// How many transactions wait to be written down at most.
const UNWRITTEN_MAX: usize = 1 << 14;

type Entry = (Source, Transaction);

/// What has entered the pool and isn't written down.
#[derive(Default)]
pub(super) struct Unwritten {
    state: Mutex<UnwrittenState>,
    changed: Condvar,
    /// Why the last write failed, until one succeeds.
    failure: StdMutex<Option<String>>,
}

#[derive(Default)]
struct UnwrittenState {
    entries: Vec<Entry>,
    /// Whether there were more than could be kept.
    is_incomplete: bool,
    is_over: bool,
}

impl Unwritten {
    pub(super) fn add(&self, entered: Vec<Entry>) {
        if entered.is_empty() {
            return;
        }
        let mut state = lock(&self.state);
        if state.entries.len() + entered.len() > UNWRITTEN_MAX {
            state.is_incomplete = true;
        } else {
            state.entries.extend(entered);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing more comes.
    pub(super) fn finish(&self) {
        lock(&self.state).is_over = true;
        self.changed.notify_all();
    }

    /// Why the journal isn't up to date, if the last write failed.
    pub(super) fn failure(&self) -> Option<String> {
        lock_std(&self.failure).clone()
    }

    /// Waits for something to write: what it is, whether that is all, and whether nothing more comes.
    fn next(&self) -> (Vec<Entry>, bool, bool) {
        let mut state = wait_until(&self.changed, lock(&self.state), |state| {
            state.is_over || state.is_incomplete || !state.entries.is_empty()
        });
        let entries = std::mem::take(&mut state.entries);
        let is_incomplete = std::mem::take(&mut state.is_incomplete);
        (entries, is_incomplete, state.is_over)
    }
}

/// A journal that was opened.
pub(super) struct PoolJournal {
    path: PathBuf,
    chain: ChainId,
    file: File,
    bytes: usize,
    /// What it held, to be admitted again.
    entered: Vec<Entry>,
}

impl PoolJournal {
    /// Opens a journal or begins one. What is damaged at its end is cut off, and said.
    ///
    /// # Errors
    /// The file can't be read or written, or isn't the journal of this chain's pool: with path and problem.
    pub(super) fn open(path: &Path, chain: ChainId, bounds: &Bounds) -> Result<Self, EngineError> {
        let failed = |problem: String| EngineError::PoolJournal {
            path: path.to_owned(),
            problem,
        };
        let open = || -> io::Result<(File, Vec<u8>)> {
            let mut options = OpenOptions::new();
            let mut file = options.read(true).append(true).create(true).open(path)?;
            let longest = journal::bytes_max(bounds.transactions_max, bounds.bytes_max);
            let mut bytes = Vec::new();
            // Never longer, unless the bounds were others: what is behind it is cut off like damage.
            (&mut file).take(longest as u64).read_to_end(&mut bytes)?;
            Ok((file, bytes))
        };
        let (mut file, bytes) = open().map_err(|error| failed(error.to_string()))?;
        let read = journal::read(&bytes.into(), chain).map_err(failed)?;
        if let Some(damage) = &read.damage {
            let path = path.display();
            tracing::warn!(%path, damage, "the end of the pool's journal is cut off");
        }
        let header = journal::header(chain);
        let begin = |file: &mut File| -> io::Result<usize> {
            if read.sound_bytes >= header.len() {
                file.set_len(read.sound_bytes as u64)?;
                return Ok(read.sound_bytes);
            }
            file.set_len(0)?;
            file.write_all(&header)?;
            Ok(header.len())
        };
        let bytes = begin(&mut file).map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            chain,
            file,
            bytes,
            entered: read.entered,
        })
    }

    /// Has what it held admitted again, then writes down what enters, until nothing more comes.
    pub(super) fn run(mut self, shared: &Shared, unwritten: &Unwritten) {
        // Until all of it was handed in, the file has what the pool has not.
        let mut is_loaded = self.load(shared);
        let mut is_stale = is_loaded;
        loop {
            let (entries, is_incomplete, is_over) = unwritten.next();
            is_stale |= is_incomplete && is_loaded;
            let outgrown = || lock(&shared.pool).outgrows(self.bytes);
            let rewrites = is_loaded && (is_stale || is_over || outgrown());
            let written = match rewrites {
                true => self.rewrite(shared),
                false => self.append(&entries),
            };
            is_stale = written.is_err();
            // After an error the file may end anywhere, and only a new one is sound.
            is_loaded |= is_stale;
            note(&self.path, unwritten, written);
            if is_over {
                return;
            }
        }
    }

    /// Whether all of it was handed in, or the engine stopped before.
    fn load(&mut self, shared: &Shared) -> bool {
        let entered = std::mem::take(&mut self.entered);
        let count = entered.len();
        let submitted = entered
            .into_iter()
            .map(|(source, transaction)| submit(shared, source, transaction, WhenFull::Wait));
        let tickets: Result<Vec<Ticket<_>>, _> = submitted.collect();
        let verdicts = tickets.and_then(|tickets| {
            let verdicts = tickets.into_iter().map(Ticket::wait);
            verdicts.collect::<Result<Vec<_>, _>>()
        });
        match verdicts {
            Ok(verdicts) => {
                let admitted = verdicts.iter().filter(|verdict| verdict.is_ok()).count();
                tracing::info!(count, admitted, "the pool's journal was read");
                true
            }
            Err(_) => false,
        }
    }

    fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut out = Vec::new();
        for (source, transaction) in entries {
            journal::put(*source, transaction, &mut out);
        }
        self.file.write_all(&out)?;
        self.bytes += out.len();
        Ok(())
    }

    /// Writes what waits into a new file, which takes the place of the old one at once or not at all.
    fn rewrite(&mut self, shared: &Shared) -> io::Result<()> {
        let all = lock(&shared.pool).journal(self.chain);
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let mut file = File::create(&beside)?;
        file.write_all(&all)?;
        // Before it has the name: a crash of the machine must not leave an empty file there.
        file.sync_data()?;
        drop(file);
        fs::rename(&beside, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.bytes = all.len();
        Ok(())
    }
}

fn note(path: &Path, unwritten: &Unwritten, written: io::Result<()>) {
    let failure = written.err().map(|error| error.to_string());
    if let Some(error) = &failure {
        let path = path.display();
        tracing::warn!(%path, error, "the pool's journal can't be written");
    }
    *lock_std(&unwritten.failure) = failure;
}
