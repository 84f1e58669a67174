//! Checking all files of a store, byte by byte, whether or not it can be opened; what they say together is then checked by
//! asking a reader.
//!
//! Nothing is changed. Damage doesn't end the check: after a damaged frame it goes on with the next one that can be read.
//! What a crash explains is no damage: a torn tail, a file that is not finished.

use std::path::Path;
use std::sync::Arc;

use super::check_index::check_index_file;
use super::check_segment::{Later, check_segment};
use super::format::{FRAME_BYTES, FileKind, FrameHead, Named, SUPERBLOCK_BYTES, Salt, Superblock};
use super::home::{Home, lock_to_read, open_home};
use super::load::Listing;
use super::mark::{Mark, Slots};
use super::options::LogOptions;
use super::reader::LogReader;
use super::scan::check_tail;
use super::segment::MappedFile;
use super::shared::Site;
use crate::check::{Report, walk};
use crate::{Error, Place, Result};

/// Checks a store in a directory that has one. `path` is what reports of the walk name, which meets again what the files
/// showed.
pub(super) fn check(directory: &Path, path: &Path, report: &mut Report) -> Result<()> {
    match open_home(directory, LogOptions::default()) {
        Ok(home) => {
            // A writer in this process changes files while they are read; then only what readers see is checked.
            if !home.is_written() {
                check_files(&home.shared.site, Some(&home), report)?;
            }
            walk(&LogReader::new(home), path, report)
        }
        Err(Error::Corrupt {
            path,
            place,
            reason,
        }) => {
            report.damage(&path, place, reason);
            match report.sound(lock_to_read(directory))? {
                Some((site, _lock)) => check_files(&site, None, report),
                None => Ok(()),
            }
        }
        Err(error) => Err(error),
    }
}

fn check_files(site: &Site, home: Option<&Arc<Home>>, report: &mut Report) -> Result<()> {
    let Some(listing) = report.sound(Listing::read(site))? else {
        return Ok(());
    };
    // The mark first: what it tells of is in files that are read later.
    let mark = check_mark(site, report)?;
    report.sound(listing.last_segment(site, &mark))?;
    let last = listing.heads.last().copied().unwrap_or(0);
    let mut later = Later::default();
    for number in listing.heads.iter().rev() {
        check_segment(site, *number, last, &mark, &mut later, report)?;
    }
    let state = home.map(|home| home.shared.read());
    for (first, last) in &listing.indexes {
        check_index_file(site, *first, *last, state.as_deref(), report)?;
    }
    drop(state);
    check_values(site, &listing, &mark, report)
}

/// Maps a file and checks its superblock; `None` if that or the file is damaged, which is reported.
pub(super) fn checked_file(
    site: &Site,
    named: Named,
    kind: FileKind,
    number: u64,
    report: &mut Report,
) -> Result<Option<(MappedFile, Option<Superblock>)>> {
    let path = named.path(&site.directory);
    let map = match site.files.map(&path, 0) {
        Ok(map) => map,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            report.damage(&path, Place::Structure, "the file is missing");
            return Ok(None);
        }
        Err(error) => return Err(Error::system("open", &path, error)),
    };
    let superblock = report.sound(Superblock::decode(
        &path,
        map.all(),
        kind,
        Some(&site.store),
    ))?;
    if superblock.is_some_and(|found| found.number != number) {
        let reason = "the file has another one's name";
        report.damage(&path, Place::Offset(32), reason);
    }
    let file = MappedFile {
        path: Arc::new(path),
        map: Arc::new(map),
    };
    Ok(Some((file, superblock)))
}

fn check_mark(site: &Site, report: &mut Report) -> Result<Mark> {
    let Some((file, superblock)) = checked_file(site, Named::Mark, FileKind::Mark, 0, report)?
    else {
        return Ok(Mark::default());
    };
    if superblock.is_none() {
        return Ok(Mark::default());
    }
    let slots = Slots::read(file.map.all(), site.salt);
    for offset in &slots.damaged {
        report.damage(
            &file.path,
            Place::Offset(*offset),
            "a slot is torn or damaged",
        );
    }
    Ok(slots.newest)
}

fn check_values(site: &Site, listing: &Listing, mark: &Mark, report: &mut Report) -> Result<()> {
    let newest = listing.generations.last().copied().unwrap_or(0);
    let generation = newest.max(mark.generation);
    let named = Named::Meta(generation);
    let found = checked_file(site, named, FileKind::Meta, generation, report)?;
    let Some((file, superblock)) = found else {
        return Ok(());
    };
    let marked = match mark.generation == generation {
        true => mark.values,
        false => 0,
    };
    let frames = Frames::read(&file, superblock.as_ref(), site.salt, marked, report)?;
    for (at, head) in &frames.frames {
        let payload = &file.map.all()[at + FRAME_BYTES..][..head.length as usize];
        if super::values::decode_value(payload, *at, head.kind, head.height).is_none() {
            let reason = "the frame is no value";
            report.damage(&file.path, Place::Offset(*at as u64), reason);
        }
    }
    Ok(())
}

/// The frames of a file that can be read.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Each frame's offset and head.
    pub(super) frames: Vec<(usize, FrameHead)>,
    /// Bytes that are known to have been on the disk.
    pub(super) synced: u64,
    /// Whether all before the end, or before a torn tail, is sound.
    pub(super) sound: bool,
}

impl Frames {
    /// Reads all frames and reports those that are damaged. `marked`: as many bytes were synced, says the mark.
    pub(super) fn read(
        file: &MappedFile,
        superblock: Option<&Superblock>,
        salt: Salt,
        marked: u64,
        report: &mut Report,
    ) -> Result<Self> {
        let bytes = file.map.all();
        let before = report.met();
        let mut found = Self {
            synced: superblock.map_or(0, Superblock::synced).max(marked),
            ..Self::default()
        };
        let mut at = SUPERBLOCK_BYTES;
        let mut previous = superblock.map(Superblock::checksum);
        while at < bytes.len() {
            let Some((head, whole)) = frame_at(bytes, at, salt) else {
                // A tear is the end; damage is passed over.
                let tail = check_tail(&file.path, bytes, at as u64, found.synced, salt);
                if report.sound(tail)?.is_some() {
                    break;
                }
                let Some(next) = next_frame(bytes, at + 8, salt) else {
                    break;
                };
                (at, previous) = (next, None);
                continue;
            };
            if previous.is_some_and(|previous| previous != head.previous) {
                let reason = "the frame doesn't follow from those before it";
                report.damage(&file.path, Place::Offset(at as u64), reason);
            }
            found.synced = found.synced.max(head.synced);
            found.frames.push((at, head));
            previous = Some(head.checksum);
            at += whole;
        }
        found.check_payloads(file, salt, report);
        found.sound = report.met() == before && superblock.is_some();
        Ok(found)
    }

    /// Reports payloads that are damaged though they were on the disk, and forgets what was not.
    fn check_payloads(&mut self, file: &MappedFile, salt: Salt, report: &mut Report) {
        let bytes = file.map.all();
        let synced = self.synced;
        let mut torn = false;
        self.frames.retain(|(at, head)| {
            let payload = &bytes[at + FRAME_BYTES..][..head.length as usize];
            if torn || salt.checksum(payload) == head.payload_checksum {
                let padding = at + FRAME_BYTES + payload.len();
                if !torn && !is_padding(bytes, padding) {
                    report.damage(&file.path, Place::Offset(padding as u64), "no zero");
                }
                return !torn;
            }
            torn = *at as u64 >= synced;
            if !torn {
                let reason = "the frame's payload is damaged";
                report.damage(&file.path, Place::Offset(*at as u64), reason);
            }
            !torn
        });
    }
}

/// Whether zeros follow up to a multiple of 8, or the end of the file.
pub(super) fn is_padding(bytes: &[u8], from: usize) -> bool {
    let end = from.next_multiple_of(8).min(bytes.len());
    bytes[from.min(end)..end].iter().all(|byte| *byte == 0)
}

/// The frame whose head is at an offset, if all of it is within the file; with its length.
fn frame_at(bytes: &[u8], at: usize, salt: Salt) -> Option<(FrameHead, usize)> {
    let head = FrameHead::decode(bytes.get(at..)?, salt)?;
    let whole = head.frame_bytes()?;
    (whole <= bytes.len() - at).then_some((head, whole))
}

fn next_frame(bytes: &[u8], from: usize, salt: Salt) -> Option<usize> {
    let mut places = (from.next_multiple_of(8)..bytes.len()).step_by(8);
    places.find(|at| frame_at(bytes, *at, salt).is_some())
}
