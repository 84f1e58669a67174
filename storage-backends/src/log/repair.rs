//! Making again what follows from the log: index files, footers, the mark. Nothing else is touched: a damaged header, key
//! or body stays as it is, to be reported.

use std::path::Path;

use super::check_index::check_run;
use super::format::{FileKind, Named, Superblock};
use super::home::lock_to_write;
use super::load::{Listing, load};
use super::mark::{Slots, read_all};
use super::options::LogOptions;
use super::read_file::{Pieces, ReadFile};
use super::run::Run;
use super::scan::Scan;
use super::shared::Site;
use super::strip::footer;
use super::values::sync_directory;
use crate::{Error, Repaired, Result};

const OPERATION: &str = "repair";

pub(super) fn repair(directory: &Path, done: &mut dyn FnMut(Repaired)) -> Result<()> {
    {
        let (site, _lock) = lock_to_write(directory)?;
        let listing = Listing::read(&site)?;
        for path in &listing.leftovers {
            remove(&site, path, done, "unfinished file removed")?;
        }
        let last = listing.heads.iter().max().copied().unwrap_or(0);
        for number in listing.heads.iter().filter(|number| **number < last) {
            mend_footer(&site, *number, done)?;
        }
        drop_mark(&site, done)?;
        drop_indexes(&site, &listing, done)?;
        sync_directory(&site)?;
    }
    // A writer makes the rest: here within the opening, rather than in a thread.
    let options = LogOptions {
        index_in_background: false,
        ..LogOptions::default()
    };
    options.open(directory).map(drop)
}

fn remove(site: &Site, path: &Path, done: &mut dyn FnMut(Repaired), what: &str) -> Result<()> {
    site.files
        .remove(path)
        .map_err(|source| Error::system(OPERATION, path, source))?;
    done(Repaired {
        path: path.to_owned(),
        what: what.to_owned(),
    });
    Ok(())
}

/// Writes the footer of a sealed segment again if it or the height table is damaged and all frames are sound.
fn mend_footer(site: &Site, number: u64, done: &mut dyn FnMut(Repaired)) -> Result<()> {
    let path = Named::Heads(number).path(&site.directory);
    let heads = site.open_to_read(&path)?;
    let head = heads.head()?;
    let superblock = Superblock::decode(&path, &head, FileKind::Heads, Some(&site.store))?;
    let scan = Scan::read_frames(&heads, &superblock, site.salt)?;
    if scan.footer.is_some() || !scan.lacks_only_footer(heads.length()) {
        // Sound, or damaged where nothing can be made again; then opening tells.
        return Ok(());
    }
    let trailer = scan.trailer();
    let footer = footer(site.salt, &trailer, &scan.offsets, scan.content);
    let fresh = path.with_extension("new");
    let fault = |source| Error::system(OPERATION, &fresh, source);
    let file = site.files.create(&fresh).map_err(fault)?;
    let mut pieces = Pieces::new(&heads);
    let mut at = 0;
    while at < scan.frames_end {
        let piece = pieces.next(at)?;
        let length = (scan.frames_end - at).min(piece.len() as u64);
        file.write_at(&piece[..length as usize], at)
            .map_err(fault)?;
        at += length;
    }
    file.write_at(&footer, scan.frames_end).map_err(fault)?;
    file.sync().map_err(fault)?;
    site.files.rename(&fresh, &path).map_err(fault)?;
    done(Repaired {
        path,
        what: "footer and height table made again from the frames".to_owned(),
    });
    Ok(())
}

/// Removes a damaged mark, which opening makes again.
fn drop_mark(site: &Site, done: &mut dyn FnMut(Repaired)) -> Result<()> {
    let path = Named::Mark.path(&site.directory);
    let file = match ReadFile::open(&*site.files, &path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            done(Repaired {
                path,
                what: "mark made again".to_owned(),
            });
            return Ok(());
        }
        Err(error) => return Err(Error::system("open", &path, error)),
    };
    let decoded = read_all(&file).and_then(|bytes| {
        Superblock::decode(&path, &bytes, FileKind::Mark, Some(&site.store))?;
        Ok(Slots::read(&bytes, site.salt).damaged.is_empty())
    });
    let sound = match decoded {
        Ok(sound) => sound,
        Err(Error::Corrupt { .. }) => false,
        Err(error) => return Err(error),
    };
    if sound {
        return Ok(());
    }
    // What it says of damage must be told before it is gone.
    load(site, true)?;
    remove(site, &path, done, "damaged mark removed; it is made again")
}

/// Removes damaged index files, which opening makes again.
fn drop_indexes(site: &Site, listing: &Listing, done: &mut dyn FnMut(Repaired)) -> Result<()> {
    let state = load(site, true)?.state;
    for (first, last) in &listing.indexes {
        let path = Named::Index(*first, *last).path(&site.directory);
        let file = site.open_to_read(&path)?;
        let mut damaged = false;
        match Run::open(file, *first, *last, &site.store, &site.cache)? {
            Some(run) => check_run(&run, Some(&state), &mut |_, _| damaged = true),
            None => damaged = true,
        }
        if damaged {
            remove(site, &path, done, "index file removed; it is made again")?;
        }
    }
    let sealed = state.segments.len() as u64 - 1;
    let of_file = |segment: &u64| {
        let covers = |(first, last): &(u64, u64)| (*first..=*last).contains(segment);
        listing.indexes.iter().any(covers)
    };
    for segment in (0..sealed).filter(|segment| !of_file(segment)) {
        done(Repaired {
            path: Named::Index(segment, segment).path(&site.directory),
            what: "missing index file made again".to_owned(),
        });
    }
    Ok(())
}
