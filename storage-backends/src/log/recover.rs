//! Making a store that was read ready to be written to.
//!
//! Torn tails are cut, and the log says so. What is not known to be on the disk is written once more and synced: after a sync
//! that failed, the operating system may hold bytes in memory that it will never write by itself, and a later,
//! successful sync would say nothing about them. So all that opening found is on the disk when it is done.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Continued, Disk, GrowingFile};
use super::files::FileHandle;
use super::format::Named;
use super::load::Loaded;
use super::mark::MarkFile;
use super::read_file::ReadFile;
use super::roll::begin_after_sealed;
use super::shared::LogContext;
use super::state::LogState;
use super::values::{ValueFile, sync_directory};
use crate::{Error, Result};

const OPERATION: &str = "open";
/// Bytes written at once.
const CHUNK_BYTES: u64 = 1 << 20;

pub(super) fn recover(context: &LogContext, loaded: Loaded) -> Result<(LogState, Disk)> {
    let Loaded {
        mut state,
        mark,
        last,
        values,
        leftovers,
    } = loaded;
    let segment = state.open().number;
    let scan = &last.scan;
    let heads = Tail {
        path: &Named::Heads(segment).path(&context.directory),
        length: last.heads_length,
        end: scan.frames_end,
        synced: last.synced,
    };
    let bodies = Tail {
        path: &Named::Bodies(segment).path(&context.directory),
        length: last.bodies_length,
        end: scan.bodies_end,
        synced: scan.bodies_from(last.synced),
    };
    // Bodies first: heads that are whole speak of bodies that are.
    let bodies = bodies.mend(context)?;
    let heads = heads.mend(context)?;
    let values_path = Named::Values(values.generation).path(&context.directory);
    let tail = Tail {
        path: &values_path,
        length: values.length,
        end: values.frames_end,
        synced: values.synced,
    };
    // Nothing is removed before all three files are on the disk: see `remove_leftovers`.
    let value_file = ValueFile::continuing(tail.mend(context)?.file, &values);
    let mark_file = MarkFile::continuing(
        &*context.files,
        &context.directory,
        &context.store,
        mark.newest,
    )?;
    remove_leftovers(context, &leftovers)?;
    let segment = Continued {
        number: segment,
        version: scan.version,
        content: scan.content,
    };
    let mut disk = Disk::new(
        context.clone(),
        segment,
        heads,
        bodies,
        value_file,
        mark_file,
    );
    disk.write_mark(OPERATION)?;
    if !mark.damaged.is_empty() {
        // Without this the next mark could tear the only slot that can be read, before the one just written is on the disk.
        disk.sync_mark(OPERATION)?;
    }
    // A crash came after the segment was sealed and before the next one had its name.
    if let Some(trailer) = scan.footer {
        begin_after_sealed(&mut state, &mut disk, trailer.footer)?;
    }
    Ok((state, disk))
}

/// Removes files that are of no use any more. The frames that make them useless are on the disk by now: without those, a loss
/// of power would bring blocks back whose bodies were unlinked.
fn remove_leftovers(context: &LogContext, leftovers: &[PathBuf]) -> Result<()> {
    // What replaces a leftover may have a name that isn't on the disk yet (a merged index file, the next values): a crash could
    // keep the removal and lose that name.
    sync_directory(context)?;
    for path in leftovers {
        tracing::info!(file = %path.display(), "removing a file that is of no use any more");
        match context.files.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::system("remove", path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The end of a file, and what is known of it.
struct Tail<'a> {
    path: &'a Path,
    length: u64,
    end: u64,
    synced: u64,
}

impl Tail<'_> {
    /// Cuts what is beyond the end, and brings what is before it onto the disk.
    fn mend(&self, context: &LogContext) -> Result<GrowingFile> {
        let fault = |source| Error::system(OPERATION, self.path, source);
        let file = context.files.open(self.path).map_err(fault)?;
        if self.length > self.end {
            tracing::warn!(
                file = %self.path.display(),
                offset = self.end,
                bytes = self.length - self.end,
                "cutting a torn tail, which was not acknowledged as durable"
            );
        }
        // This also makes a file longer, by a hole: bodies below the floor and of truncated blocks may be missing at the end,
        // and the next ones go behind their places.
        if self.length != self.end {
            file.cut(self.end).map_err(fault)?;
        }
        let held = self.length.min(self.end);
        if self.synced < held {
            let written = context.open_to_read(self.path)?;
            // Pages that a failed sync marked as clean become dirty by being written, and only so does the next sync cover them
            // (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
            rewrite(&*file, &written, self.synced, held)?;
        }
        if self.length != self.end || self.synced < held {
            file.sync().map_err(fault)?;
        }
        Ok(GrowingFile {
            path: self.path.to_owned(),
            file,
            end: self.end,
            synced: self.end,
        })
    }
}

fn rewrite(file: &dyn FileHandle, written: &ReadFile, from: u64, to: u64) -> Result<()> {
    let mut at = from;
    while at < to {
        // In chunks: a tail can be as long as a segment, and is not read into memory as a whole.
        let length = (to - at).min(CHUNK_BYTES);
        let bytes = written.read(at, length as usize)?;
        file.write_at(&bytes, at)
            .map_err(|source| Error::system(OPERATION, written.path(), source))?;
        at += length;
    }
    Ok(())
}
