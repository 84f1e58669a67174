//! Making again what follows from the log: index files, footers, the mark. Nothing else is touched: a damaged header, key
//! or body stays as it is, to be reported.

use std::path::Path;

use super::check_index::check_entries;
use super::format::{FileKind, Named, Superblock};
use super::home::lock_to_write;
use super::index_file::IndexFile;
use super::load::{Listing, load, load_marked};
use super::mark::{Mark, MarkFile, Slots};
use super::options::LogOptions;
use super::read_file::Pieces;
use super::scan::Scan;
use super::shared::LogContext;
use super::strip::footer;
use super::values::sync_directory;
use crate::{DamageAt, Error, Repaired, Result};

const OPERATION: &str = "repair";
/// Where a superblock names its store.
const ANOTHER_STORE: DamageAt = DamageAt::Offset(16);

pub(super) fn repair(directory: &Path, done: &mut dyn FnMut(Repaired)) -> Result<()> {
    {
        let (context, _lock) = lock_to_write(directory)?;
        let listing = Listing::read(&context)?;
        for path in &listing.leftovers {
            remove(&context, path, done, "unfinished file removed")?;
        }
        let last = listing.heads.iter().max().copied().unwrap_or(0);
        for number in listing.heads.iter().filter(|number| **number < last) {
            mend_footer(&context, *number, done)?;
        }
        mend_mark(&context, done)?;
        drop_indexes(&context, &listing, done)?;
        sync_directory(&context)?;
    }
    // A writer makes the rest, within the opening and not in a thread, so that all is done when this returns.
    let options = LogOptions {
        index_in_background: false,
        ..LogOptions::default()
    };
    options.open(directory).map(drop)
}

fn remove(
    context: &LogContext,
    path: &Path,
    done: &mut dyn FnMut(Repaired),
    what: &str,
) -> Result<()> {
    context
        .files
        .remove(path)
        .map_err(|source| Error::system(OPERATION, path, source))?;
    done(Repaired {
        path: path.to_owned(),
        what: what.to_owned(),
    });
    Ok(())
}

/// Writes the footer of a sealed segment again if it or the height table is damaged and all frames are sound.
fn mend_footer(context: &LogContext, number: u64, done: &mut dyn FnMut(Repaired)) -> Result<()> {
    let path = Named::Heads(number).path(&context.directory);
    let heads = context.open_to_read(&path)?;
    let head = heads.head()?;
    let superblock = Superblock::decode(&path, &head, FileKind::Heads, Some(&context.store))?;
    let scan = Scan::read_frames(&heads, &superblock, context.salt)?;
    if scan.footer.is_some() || !scan.lacks_only_footer(heads.length()) {
        // Sound, or damaged where nothing can be made again, which opening then reports.
        return Ok(());
    }
    let trailer = scan.trailer();
    let footer = footer(context.salt, &trailer, &scan.offsets, scan.content);
    let fresh = path.with_extension("new");
    let fault = |source| Error::system(OPERATION, &fresh, source);
    let file = context.files.create(&fresh).map_err(fault)?;
    let mut pieces = Pieces::new(&heads);
    let mut at = 0;
    while at < scan.frames_end {
        let piece = pieces.next(at)?;
        let length = (scan.frames_end - at).min(piece.len() as u64);
        file.write_at(&piece[..length as usize], at)
            .map_err(fault)?;
        at += length;
    }
    // A new file in place of the old one: a crash while the footer is overwritten would leave neither.
    file.write_at(&footer, scan.frames_end).map_err(fault)?;
    file.sync().map_err(fault)?;
    context.files.rename(&fresh, &path).map_err(fault)?;
    done(Repaired {
        path,
        what: "footer and height table made again from the frames".to_owned(),
    });
    Ok(())
}

/// Makes the mark again if it is missing or damaged, so that it says nothing: what there was before can't be told.
fn mend_mark(context: &LogContext, done: &mut dyn FnMut(Repaired)) -> Result<()> {
    // The store is read as a whole first: a new mark says nothing of what was synced, so damage that only the old slot proves
    // would be cut as a torn tail from then on.
    let (held, what) = match Slots::read(&*context.files, &context.directory, &context.store) {
        Ok(slots) if slots.damaged.is_empty() => return Ok(()),
        Ok(slots) => (
            load_marked(context, true, slots)?,
            "mark with a damaged slot",
        ),
        Err(Error::Corrupt { damage_at, .. }) if damage_at != ANOTHER_STORE => {
            (load_marked(context, true, Slots::default())?, "mark")
        }
        Err(error) => return Err(error),
    };
    MarkFile::create(
        &*context.files,
        &context.directory,
        &context.store,
        Mark::default(),
    )?;
    let end = held.state.extent.end;
    done(Repaired {
        path: Named::Mark.path(&context.directory),
        what: format!(
            "{what} made again: {end} blocks are held, and whether there were more can't be told"
        ),
    });
    Ok(())
}

/// Removes damaged index files, which opening makes again.
fn drop_indexes(
    context: &LogContext,
    listing: &Listing,
    done: &mut dyn FnMut(Repaired),
) -> Result<()> {
    let state = load(context, true)?.state;
    for (first, last) in &listing.indexes {
        let path = Named::Index(*first, *last).path(&context.directory);
        let file = context.open_to_read(&path)?;
        let mut damaged = false;
        match IndexFile::open(file, *first, *last, &context.store, &context.cache)? {
            Some(run) => check_entries(&run, Some(&state), &mut |_, _| damaged = true),
            None => damaged = true,
        }
        if damaged {
            remove(context, &path, done, "index file removed; it is made again")?;
        }
    }
    let sealed = state.segments.len() as u64 - 1;
    let of_file = |segment: &u64| {
        let covers = |(first, last): &(u64, u64)| (*first..=*last).contains(segment);
        listing.indexes.iter().any(covers)
    };
    for segment in (0..sealed).filter(|segment| !of_file(segment)) {
        done(Repaired {
            path: Named::Index(segment, segment).path(&context.directory),
            what: "missing index file made again".to_owned(),
        });
    }
    Ok(())
}
