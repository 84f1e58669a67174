//! The backend `log:DIR`: an append-log in a directory, written and read with positioned writes and reads.
//!
//! A store is a sequence of segments. Each has a file of heads (ids, headers and index keys; rewritten when
//! enough of them is pruned) and a file of bodies (removed when pruned); the last one is open and grows. The log is the one source of truth.
//! Beside it are index files, which are made from it; named values; and a mark that tells how much is on the
//! disk. `format` says what is where, byte by byte.
//!
//! Invariants:
//!
//! 1. A run is one frame among the heads, and its bodies. It exists if its frame is whole, follows the frame
//!    before, and its bodies are whole; so a crash leaves all of it or nothing, also if it takes the place of other blocks.
//!    Truncation and pruning are frames too; nothing that readers may see is ever overwritten.
//! 2. What was synced is known from later frames and from the mark, which every store has. Damage there is an error that names file and
//!    offset; only what is behind it, and torn, is cut, by a writer that opens the store, which says so.
//! 3. Every byte that is given out was checked by a checksum for this very answer, whether it came from a file or from
//!    what look-ups keep in memory; every hit of the index was compared with the key in the log; every miss comes from index
//!    parts, and keys, that were checked for it. What can't be checked is an error, or "not indexed".
//! 4. Where one process writes, no other has the store open (`lock`); in each process it is open once, with one writer and any
//!    number of readers.
//!    Readers are given copies, which they hold for as long as they like.
//! 5. Opening reads the heads of the open segment, those of its bodies that were not synced, and of every other
//!    file a few hundred bytes.
//! 6. What indexing costs does not grow with the chain; see `indexer`.

#[cfg(not(unix))]
compile_error!(
    "the feature `log` needs a Unix system: it relies on positioned writes and on unlinking open files"
);

mod backend;
mod bodies;
mod cache;
mod check;
mod check_index;
mod check_segment;
#[cfg(test)]
mod crash;
mod directory;
mod disk;
mod files;
mod format;
#[cfg(test)]
mod golden;
mod home;
mod index_file;
mod index_writer;
mod indexer;
mod load;
mod lock;
mod mark;
mod names;
mod nearby;
mod on_disk;
mod open_files;
mod options;
mod prune;
mod read_file;
mod reader;
mod record;
mod records;
mod recover;
mod repair;
mod replace;
mod roll;
mod salvage;
mod scan;
mod segment;
mod shared;
#[cfg(test)]
mod simulated;
mod slots;
mod state;
mod strip;
mod tables;
mod values;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod waiting;
mod witness;
mod writer;

pub(crate) use backend::LogBackend;
pub use options::LogOptions;

use std::path::Path;
use std::sync::Arc;

use crate::check::Report;
use crate::{BlockReader, Error, Repaired, Result, Store};

/// Creates an empty store. See [`StoreUrl::create`](crate::StoreUrl::create).
fn create(directory: &Path, options: LogOptions) -> Result<Store> {
    let made = directory::create(directory)?;
    home::open(&made.directory, options).inspect_err(|_| directory::take_back(&made))
}

/// Opens a store. See [`StoreUrl::open`](crate::StoreUrl::open).
fn open(directory: &Path, options: LogOptions) -> Result<Store> {
    home::open(&directory::existing(directory)?, options)
}

/// Opens a store only to read. See [`StoreUrl::open_read_only`](crate::StoreUrl::open_read_only).
fn open_read_only(directory: &Path, options: LogOptions) -> Result<Arc<dyn BlockReader>> {
    home::open_read_only(&directory::existing(directory)?, options)
}

/// Opens a store to save what is in it. See [`StoreUrl::open_damaged`](crate::StoreUrl::open_damaged).
fn open_damaged(path: &Path, report: &mut Report) -> Result<Arc<dyn BlockReader>> {
    let opened = directory::existing(path)
        .and_then(|directory| home::open_home(&directory, LogOptions::default()));
    match opened {
        Ok(home) => salvage::open_again(home),
        Err(Error::Corrupt {
            path: at,
            damage_at,
            reason,
        }) => {
            report.damage(&at, damage_at, reason);
            let directory = path
                .canonicalize()
                .map_err(|source| Error::system("open", path, source))?;
            salvage::open(&directory, report)
        }
        Err(error) => Err(error),
    }
}

/// Whether anything but an empty directory is at the path.
fn exists(directory: &Path) -> bool {
    directory::exists(directory)
}

/// Checks all that the store holds. See [`StoreUrl::check`](crate::StoreUrl::check).
fn check(path: &Path, report: &mut Report) -> Result<()> {
    check::check(&directory::existing(path)?, path, report)
}

/// Makes again what follows from sound parts. See [`StoreUrl::repair`](crate::StoreUrl::repair).
fn repair(path: &Path, done: &mut dyn FnMut(Repaired)) -> Result<()> {
    repair::repair(&directory::existing(path)?, done)
}
