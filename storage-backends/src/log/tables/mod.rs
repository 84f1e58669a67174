//! The tables of `log:DIR`, in `DIR/tables`: a log-structured merge tree for each set, without a log of its own, since the blocks are
//! the log.
//!
//! Commits are kept in memory, sorted (`memory_run`), until they are many or have to be on the disk; then they are written as a run
//! (`run_file`), which never changes. Runs are merged by a thread (`merge`, `merger`). The set's file (`set_file`) says
//! which runs count; it changes as a whole. Every commit of a set has a number, and what it made of a key keeps it as long as some
//! moment before it can be gone back to (`boundaries`); so undoing writes the set's file alone, which says up to which commit a run counts.
//!
//! Invariants:
//!
//! 1. A set's file names only runs that are on the disk, names and all. A crash leaves the file from before a change, or that from after it;
//!    runs that none names are removed by the next writer.
//! 2. Of a set, each run has later commits than those after it in the list; memory runs have later ones than all of them.
//! 3. For every moment that can be gone back to, each key's last version before it is held. What can be gone back to *after a crash*
//!    is decided by what the set's file says, so merging keeps to that.
//! 4. What is read from a file is checked before anything of it is given out; what is in memory was checked when it came there.
//! 5. A view holds the runs it is of, and keeps the store open in this process; a run's file is removed when nobody holds it any more.

mod boundaries;
mod check;
mod context;
#[cfg(test)]
mod crash;
mod cursor;
#[cfg(test)]
mod damage;
mod fences;
mod filter;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod history;
mod install;
mod load;
mod memory_run;
mod merge;
mod merger;
#[cfg(test)]
mod model;
mod names;
mod on_disk;
mod part;
mod reader;
mod run_file;
mod run_writer;
mod set_file;
mod shared;
mod trailer;
mod version;
mod versions;
mod view;
mod writer;

pub(super) use check::check;
pub(super) use names::DIRECTORY;
pub(super) use reader::LogTableReader;
pub(super) use shared::TableShared;
pub(super) use writer::LogTableWriter;
