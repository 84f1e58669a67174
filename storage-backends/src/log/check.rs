//! Checking all files of a store, byte by byte, whether or not it can be opened; what they say together is then checked by
//! asking a reader.
//!
//! Nothing is changed. Damage doesn't end the check: after a damaged frame it goes on with the next one that can be read.
//! What a crash explains is no damage: a torn tail, a file that is not finished.

use std::path::Path;
use std::sync::Arc;

use super::check_index::check_index_file;
use super::check_segment::{Later, check_segment};
use super::format::{FileKind, FrameHead, Named, SUPERBLOCK_BYTES, Salt, Superblock};
use super::home::{Home, Unwritten, lock_to_read, open_home};
use super::load::Listing;
use super::mark::{Mark, Slots};
use super::options::LogOptions;
use super::read_file::{Pieces, ReadFile, Unreadable};
use super::reader::LogReader;
use super::scan::{Frame, check_tail, frame_at, next_head, payload_is_sound};
use super::shared::LogContext;
use super::tables::{TableShared, check as check_tables};
use super::values::decode_value;
use crate::check::{Report, walk};
use crate::{DamageAt, Error, Result};

/// Checks a store in a directory that has one. `path` is what reports of the walk name, which meets again what the files
/// showed.
pub(super) fn check(directory: &Path, path: &Path, report: &mut Report) -> Result<()> {
    match open_home(directory, LogOptions::default()) {
        Ok(home) => {
            // A writer in this process changes files while they are read; then only what readers see is checked. No other begins
            // meanwhile.
            if let Some(_unwritten) = Unwritten::begin(&home) {
                check_files(&home.shared.context, Some(&home), report)?;
                check_tables(home.tables.context(), report)?;
            }
            walk(&LogReader::new(home), path, report)
        }
        Err(Error::Corrupt {
            path,
            damage_at,
            reason,
        }) => {
            report.damage(&path, damage_at, reason);
            match report.sound(lock_to_read(directory))? {
                Some((context, _lock)) => {
                    check_files(&context, None, report)?;
                    check_tables(TableShared::new(&context).context(), report)
                }
                None => Ok(()),
            }
        }
        Err(error) => Err(error),
    }
}

fn check_files(context: &LogContext, home: Option<&Arc<Home>>, report: &mut Report) -> Result<()> {
    let Some(listing) = report.sound(Listing::read(context))? else {
        return Ok(());
    };
    // The mark first: it says how much of the files below had been on the disk.
    let mark = check_mark(context, report)?;
    report.sound(listing.last_segment(context, &mark))?;
    let last = listing.heads.last().copied().unwrap_or(0);
    let mut later = Later::default();
    for number in listing.heads.iter().rev() {
        check_segment(context, *number, last, &mark, &mut later, report)?;
    }
    let state = home.map(|home| home.shared.read());
    for (first, last) in &listing.indexes {
        check_index_file(context, *first, *last, state.as_deref(), report)?;
    }
    drop(state);
    check_values(context, &listing, &mark, report)
}

/// Opens a file and checks its superblock; `None` if the file is missing, which is reported. A damaged superblock is reported
/// too.
pub(super) fn checked_file(
    context: &LogContext,
    named: Named,
    kind: FileKind,
    number: u64,
    report: &mut Report,
) -> Result<Option<(ReadFile, Option<Superblock>)>> {
    let path = named.path(&context.directory);
    let Some(file) = report.sound(context.open_to_read(&path))? else {
        return Ok(None);
    };
    let superblock = file
        .head()
        .and_then(|head| Superblock::decode(&path, &head, kind, Some(&context.store)));
    let superblock = report.sound(superblock)?;
    if superblock.is_some_and(|found| found.number != number) {
        let reason = "the file has another one's name";
        report.damage(&path, DamageAt::Offset(32), reason);
    }
    Ok(Some((file, superblock)))
}

/// Reports what can't be read of a file.
pub(super) fn report_unreadable(pieces: &mut Pieces<'_>, report: &mut Report) {
    for place in pieces.take_unreadable() {
        let Unreadable {
            offset,
            length,
            reason,
        } = place;
        let reason = match length {
            0..=4096 => reason,
            _ => format!("{length} bytes can't be read from here on; of the first, {reason}"),
        };
        report.damage(pieces.file().path(), DamageAt::Offset(offset), reason);
    }
}

fn check_mark(context: &LogContext, report: &mut Report) -> Result<Mark> {
    let slots = Slots::read(&*context.files, &context.directory, &context.store);
    let Some(slots) = report.sound(slots)? else {
        return Ok(Mark::default());
    };
    let path = Named::Mark.path(&context.directory);
    for offset in &slots.damaged {
        let damage_at = DamageAt::Offset(*offset);
        report.damage(&path, damage_at, "a slot is torn or damaged");
    }
    Ok(slots.newest)
}

fn check_values(
    context: &LogContext,
    listing: &Listing,
    mark: &Mark,
    report: &mut Report,
) -> Result<()> {
    let newest = listing.generations.last().copied().unwrap_or(0);
    let generation = newest.max(mark.generation);
    let named = Named::Values(generation);
    let found = checked_file(context, named, FileKind::Values, generation, report)?;
    let Some((file, superblock)) = found else {
        return Ok(());
    };
    let marked = match mark.generation == generation {
        true => mark.values,
        false => 0,
    };
    let frames = Frames::read(&file, superblock.as_ref(), context.salt, marked, report)?;
    let mut pieces = Pieces::going_on(&file);
    for frame in &frames.frames {
        if decode_value(&mut pieces, frame)?.is_none() {
            report.damage(
                file.path(),
                DamageAt::Offset(frame.at),
                "the frame is no value",
            );
        }
    }
    Ok(())
}

/// The frames of a file that can be read.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pub(super) frames: Vec<Frame>,
    /// Bytes that are known to have been on the disk.
    pub(super) synced: u64,
    /// Whether all before the end, or before a torn tail, is sound.
    pub(super) sound: bool,
}

impl Frames {
    /// Reads all frames and reports those that are damaged. `marked`: as many bytes were synced, says the mark.
    pub(super) fn read(
        file: &ReadFile,
        superblock: Option<&Superblock>,
        salt: Salt,
        marked: u64,
        report: &mut Report,
    ) -> Result<Self> {
        let before = report.met();
        let mut pieces = Pieces::going_on(file);
        let end = file.length();
        let mut found = Self {
            synced: superblock.map_or(0, Superblock::synced).max(marked),
            ..Self::default()
        };
        let mut at = SUPERBLOCK_BYTES as u64;
        let mut previous = superblock.map(Superblock::checksum);
        while at < end {
            let Some(frame) = frame_at(&mut pieces, at, end, salt)? else {
                // A torn tail is the end; behind damage the check goes on.
                let tail = check_tail(&mut pieces, at, found.synced, salt);
                if report.sound(tail)?.is_some() {
                    break;
                }
                let is_within = |at: u64, head: &FrameHead| {
                    let whole = head.frame_bytes().map(|whole| whole as u64);
                    whole.is_some_and(|whole| whole <= end - at)
                };
                let Some((next, _)) = next_head(&mut pieces, at + 8, salt, is_within)? else {
                    break;
                };
                // What is behind the damage can't be compared with what was before it.
                (at, previous) = (next, None);
                continue;
            };
            if previous.is_some_and(|previous| previous != frame.head.previous) {
                let reason = "the frame doesn't follow from those before it";
                report.damage(file.path(), DamageAt::Offset(at), reason);
            }
            found.synced = found.synced.max(frame.head.synced);
            found.frames.push(frame);
            previous = Some(frame.head.checksum);
            at = frame.end();
        }
        found.check_payloads(&mut pieces, salt, report)?;
        report_unreadable(&mut pieces, report);
        found.sound = report.met() == before && superblock.is_some();
        Ok(found)
    }

    /// Reports payloads that are damaged though they were on the disk, and forgets what was not.
    fn check_payloads(
        &mut self,
        pieces: &mut Pieces<'_>,
        salt: Salt,
        report: &mut Report,
    ) -> Result<()> {
        let path = pieces.file().path();
        let mut torn = None;
        for (number, frame) in self.frames.iter().enumerate() {
            if payload_is_sound(pieces, frame, salt)? {
                if !is_padding(pieces, frame.payload_end())? {
                    report.damage(path, DamageAt::Offset(frame.payload_end()), NOT_ZERO);
                }
            } else if frame.at >= self.synced {
                torn = Some(number);
                break;
            } else {
                let reason = "the frame's payload is damaged";
                report.damage(path, DamageAt::Offset(frame.at), reason);
            }
        }
        self.frames.truncate(torn.unwrap_or(self.frames.len()));
        Ok(())
    }
}

/// What an operator is told of padding that is damaged.
pub(super) const NOT_ZERO: &str = "the bytes between this frame and the next are not zeros";

/// Whether zeros follow up to a multiple of 8, or the end of the file.
pub(super) fn is_padding(pieces: &mut Pieces<'_>, from: u64) -> Result<bool> {
    let end = from.next_multiple_of(8).min(pieces.file().length());
    let bytes = pieces.get(from, end.saturating_sub(from) as usize)?;
    Ok(bytes.is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0)))
}
