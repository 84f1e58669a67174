//! Checking a segment: every frame, record, header, key and body, also of truncated blocks, and the footer.

use super::check::{Frames, NOT_ZERO, checked_file, is_padding, report_unreadable};
use super::format::{
    BODY_HEAD_BYTES, FileKind, FrameKind, Named, Superblock, TABLE_ENTRY_BYTES, Trailer,
    table_offset,
};
use super::mark::Mark;
use super::read_file::{Pieces, ReadFile};
use super::record::Record;
use super::scan::{Frame, Scan, record_at};
use super::segment::{Segment, table_start};
use super::shared::LogContext;
use crate::check::Report;
use crate::{DamageAt, Extent, Result};

/// What the segments after one say of it.
#[derive(Debug, Default)]
pub(super) struct Later {
    /// The floors, which the last segment knows.
    extent: Extent,
    /// Where the blocks that they hold begin; `None` if there is no later one.
    low: Option<u64>,
    /// The next one's number, and the end that it was begun with.
    begin: Option<(u64, u64)>,
}

struct Checking<'a> {
    context: &'a LogContext,
    heads: ReadFile,
    bodies: Option<ReadFile>,
    extent: Extent,
    /// Records from here on may lack their bodies: a crash explains it.
    torn_from: u64,
    report: &'a mut Report,
}

/// Checks one segment. They come from the last to the first, since later ones tell what of earlier ones still counts.
pub(super) fn check_segment(
    context: &LogContext,
    number: u64,
    last: u64,
    mark: &Mark,
    later: &mut Later,
    report: &mut Report,
) -> Result<()> {
    let found = checked_file(
        context,
        Named::Heads(number),
        FileKind::Heads,
        number,
        report,
    )?;
    let Some((heads, superblock)) = found else {
        later.begin = None;
        return Ok(());
    };
    let marked = if mark.segment == number {
        mark.heads
    } else {
        0
    };
    // A segment was synced as a whole before the next one had a name.
    let marked = if number < last {
        heads.length()
    } else {
        marked
    };
    let frames = Frames::read(&heads, superblock.as_ref(), context.salt, marked, report)?;
    let live = Live::of(superblock.as_ref(), &frames.frames, &heads, context)?;
    if later.low.is_none() {
        later.extent = live.extent;
    }
    let begin = later.begin.filter(|(next, _)| *next == number + 1);
    if begin.is_some_and(|(_, begin)| begin != live.extent.end) && frames.sound {
        let reason = "the next segment doesn't begin where this one ends";
        report.damage(heads.path(), DamageAt::Structure, reason);
    }
    let clip = later.low.unwrap_or(u64::MAX);
    let extent = later.extent;
    let has_bodies =
        number == last || live.low < clip && live.extent.end.min(clip) > extent.body_floor;
    let bodies = match has_bodies {
        true => checked_file(
            context,
            Named::Bodies(number),
            FileKind::Bodies,
            number,
            report,
        )?,
        false => None,
    };
    let mut checking = Checking {
        context,
        bodies: bodies.map(|(file, _)| file),
        extent,
        torn_from: frames.synced,
        heads,
        report,
    };
    for frame in &frames.frames {
        if frame.head.kind.has_records() {
            checking.records(frame, clip, &live)?;
        }
    }
    if let Some(superblock) = superblock.filter(|_| frames.sound) {
        checking.footer(&superblock, number < last)?;
    }
    later.low = Some(clip.min(live.low));
    later.begin = superblock.map(|superblock| (number, superblock.extent().end));
    Ok(())
}

impl Checking<'_> {
    fn records(&mut self, frame: &Frame, clip: u64, live: &Live) -> Result<()> {
        let heads = self.heads.clone();
        // What can't be read was reported with the frames.
        let mut pieces = Pieces::going_on(&heads);
        let mut next = frame.at + frame.head.records_at() as u64;
        let mut height = frame.head.height;
        while next < frame.payload_end() {
            let record = record_at(&mut pieces, next, frame.payload_end(), self.context.salt)?;
            let Some(record) = record else {
                // Where the next record begins can't be told; the ones behind it have checksums in their frame alone.
                let reason = format!("the record at byte {next} is damaged");
                let damage_at = DamageAt::Height(height);
                self.report.damage(heads.path(), damage_at, reason);
                return Ok(());
            };
            let counts = record.height < clip && live.offset(record.height) == Some(next);
            self.record(&record, counts)?;
            height = record.height.saturating_add(1);
            next += record.bytes() as u64;
        }
        Ok(())
    }

    /// Checks what a record says; `counts`: it is that of a block in the chain.
    fn record(&mut self, record: &Record, counts: bool) -> Result<()> {
        let Self {
            context,
            heads,
            bodies,
            extent,
            torn_from,
            report,
        } = self;
        let salt = context.salt;
        let height = record.height;
        if !record.has_no_header() || counts && height >= extent.header_floor {
            report.sound(Segment::header(heads, record, salt))?;
        }
        if !record.has_no_keys() || counts && height >= extent.index_floor {
            report.sound(Segment::index(heads, record, salt))?;
        }
        let Some(bodies) = bodies else {
            return Ok(());
        };
        let body = Segment::body(bodies, record, salt);
        let begins = bodies.array::<8>(record.body_offset);
        // What pruning punched out, or a crash took of truncated blocks, reads as zeros or is behind the file's end.
        let punched = begins.is_ok_and(|begins| begins == [0; 8])
            || record.body_offset.saturating_add(8) > bodies.length();
        let needed = counts && height >= extent.body_floor;
        // A body that is not known to have been synced may be torn, with its frame; and one that nobody needs may be gone.
        if needed && record.offset < *torn_from
            || !needed && !punched && height >= extent.body_floor
        {
            let sound = report.sound(body)?;
            let end = record.body_offset + (BODY_HEAD_BYTES + record.body_bytes) as u64;
            if sound.is_some() {
                let mut pieces = Pieces::going_on(bodies);
                if !is_padding(&mut pieces, end)? {
                    report.damage(bodies.path(), DamageAt::Offset(end), NOT_ZERO);
                }
                report_unreadable(&mut pieces, report);
            }
        }
        Ok(())
    }

    /// Checks that footer and height table say what follows from the frames, which are sound.
    fn footer(&mut self, superblock: &Superblock, sealed: bool) -> Result<()> {
        let (heads, salt) = (&self.heads, self.context.salt);
        let scan = Scan::read_frames(heads, superblock, salt);
        let Some(scan) = self.report.sound(scan)? else {
            return Ok(());
        };
        let Some(Trailer { footer, low, .. }) = scan.footer else {
            if sealed {
                let damage_at = DamageAt::Offset(scan.frames_end);
                self.report
                    .damage(heads.path(), damage_at, "the footer is missing");
            }
            return Ok(());
        };
        let mut pieces = Pieces::going_on(heads);
        for (number, (height, offset)) in (low..).zip(&scan.offsets).enumerate() {
            let at = table_start(footer) + (number * TABLE_ENTRY_BYTES) as u64;
            let entry = pieces.get(at, TABLE_ENTRY_BYTES)?;
            if entry.and_then(|entry| table_offset(salt, height, entry)) != Some(*offset) {
                let reason = "its entry in the height table is damaged";
                self.report
                    .damage(heads.path(), DamageAt::Height(height), reason);
            }
        }
        Ok(())
    }
}

/// The records of a segment that were not truncated within it.
#[derive(Debug)]
struct Live {
    low: u64,
    extent: Extent,
    offsets: Vec<u64>,
}

impl Live {
    /// Follows the frames, as far as they can be read. Where one is missing, those after it are taken as they are.
    fn of(
        superblock: Option<&Superblock>,
        frames: &[Frame],
        heads: &ReadFile,
        context: &LogContext,
    ) -> Result<Self> {
        let mut pieces = Pieces::going_on(heads);
        let first = frames.first().map_or(0, |frame| frame.head.height);
        let extent = superblock.map_or(Extent::whole(first), Superblock::extent);
        let mut live = Self {
            low: extent.end,
            extent,
            offsets: Vec::new(),
        };
        for frame in frames {
            let head = &frame.head;
            match head.kind {
                FrameKind::Run => live.run(frame, &mut pieces, context)?,
                FrameKind::Rest => {
                    live.begin(head.height);
                    live.run(frame, &mut pieces, context)?;
                }
                FrameKind::Replace => {
                    if head.height < live.extent.end {
                        live.truncate(head.height);
                    }
                    live.run(frame, &mut pieces, context)?;
                }
                FrameKind::Truncate => live.truncate(head.height),
                FrameKind::Floor => live.extent.body_floor = head.height,
                FrameKind::IndexFloor => live.extent.index_floor = head.height,
                FrameKind::HeaderFloor => live.extent.header_floor = head.height,
                FrameKind::Footer | FrameKind::Value => {}
            }
        }
        Ok(live)
    }

    fn begin(&mut self, height: u64) {
        self.low = height;
        self.extent.end = height;
        self.offsets.clear();
    }

    fn run(&mut self, frame: &Frame, pieces: &mut Pieces<'_>, context: &LogContext) -> Result<()> {
        if frame.head.height != self.extent.end {
            // What was between is not known: the blocks from here on are.
            self.begin(frame.head.height);
        }
        let mut next = frame.at + frame.head.records_at() as u64;
        while next < frame.payload_end() {
            let Some(record) = record_at(pieces, next, frame.payload_end(), context.salt)? else {
                break;
            };
            self.offsets.push(next);
            self.extent.end = self.extent.end.saturating_add(1);
            next += record.bytes() as u64;
        }
        Ok(())
    }

    fn truncate(&mut self, end: u64) {
        self.low = self.low.min(end);
        self.extent.end = end;
        self.offsets.truncate((end - self.low) as usize);
    }

    /// Where the record of a height is.
    fn offset(&self, height: u64) -> Option<u64> {
        let number = usize::try_from(height.checked_sub(self.low)?).ok()?;
        self.offsets.get(number).copied()
    }
}
