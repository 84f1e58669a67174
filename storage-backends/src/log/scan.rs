//! Reading a segment's heads from the first frame to the last.

use super::format::{
    FRAME_BYTES, FrameHead, FrameKind, REST_HEAD_BYTES, RestHead, SUPERBLOCK_BYTES, Salt, Stripped,
    Superblock, TABLE_ENTRY_BYTES, TRAILER_BYTES, Trailer, VERSION_REPLACED, body_frame_bytes,
};
use super::read_file::{Pieces, ReadFile};
use super::record::{FIXED_BYTES, Record};
use crate::{Error, Extent, Part, Result};

/// So much of a payload is read and checked at a time.
const STRIDE_BYTES: u64 = 1 << 20;

/// What the frames of a file of heads add up to.
#[derive(Debug)]
pub(super) struct Scan {
    /// Of the file's superblock.
    pub(super) version: u32,
    /// Offsets of the records of heights from `low` on.
    pub(super) offsets: Vec<u64>,
    /// How many index entries each of these has, its id not counted.
    keys: Vec<u32>,
    pub(super) low: u64,
    pub(super) extent: Extent,
    /// Where the valid frames end.
    pub(super) frames_end: u64,
    /// How much the frames say was synced.
    pub(super) synced: u64,
    pub(super) bodies_end: u64,
    /// Index entries of all records, also of those that were truncated.
    pub(super) entries: u64,
    /// The offset of each run, and of each that replaced blocks, and where its bodies begin.
    pub(super) runs: Vec<(u64, u64)>,
    /// Checksum of the last frame, but for a footer.
    pub(super) content: u32,
    /// What the first frame says if the file was rewritten.
    pub(super) rest: Option<RestHead>,
    pub(super) footer: Option<Trailer>,
}

impl Scan {
    fn new(superblock: &Superblock) -> Self {
        Self {
            version: superblock.version,
            offsets: Vec::new(),
            keys: Vec::new(),
            low: superblock.extent().end,
            extent: superblock.extent(),
            frames_end: SUPERBLOCK_BYTES as u64,
            synced: superblock.synced(),
            bodies_end: SUPERBLOCK_BYTES as u64,
            entries: 0,
            runs: Vec::new(),
            content: superblock.checksum(),
            rest: None,
            footer: None,
        }
    }

    /// Reads frames until an offset, a footer, or the first frame that is not whole. A frame that is whole but can't follow
    /// those before it is damage, and so is what can't be read.
    pub(super) fn read(
        file: &ReadFile,
        end: u64,
        superblock: &Superblock,
        salt: Salt,
    ) -> Result<Self> {
        let mut scan = Self::new(superblock);
        scan.follow(&mut Pieces::new(file), end, salt)?;
        Ok(scan)
    }

    fn follow(&mut self, pieces: &mut Pieces<'_>, end: u64, salt: Salt) -> Result<()> {
        while self.footer.is_none() {
            let at = self.frames_end;
            let Some(frame) = whole_frame(pieces, at, end, self.content, salt)? else {
                break;
            };
            let head = &frame.head;
            let fits = match head.kind {
                FrameKind::Run => self.run(pieces, &frame, salt)?,
                FrameKind::Replace => self.replace(pieces, &frame, salt)?,
                FrameKind::Truncate => self.truncate(head.height),
                FrameKind::Floor => self.raise_floor(Part::Body, head.height),
                FrameKind::IndexFloor => self.raise_floor(Part::Index, head.height),
                FrameKind::HeaderFloor => self.raise_floor(Part::Header, head.height),
                FrameKind::Rest => self.rest(pieces, &frame, salt)?,
                FrameKind::Footer => self.seal(pieces, frame.end(), salt)?,
                FrameKind::Value => None,
            };
            if fits.is_none() {
                let reason = "the frame doesn't follow from those before it";
                return Err(pieces.file().corrupt(at, reason));
            }
            self.synced = self.synced.max(head.synced);
            self.frames_end = frame.end();
            if self.footer.is_none() {
                self.content = head.checksum;
            }
        }
        Ok(())
    }

    /// The same of a sealed segment whose footer may be damaged, or where it can't be read.
    pub(super) fn read_frames(
        file: &ReadFile,
        superblock: &Superblock,
        salt: Salt,
    ) -> Result<Self> {
        let mut scan = Self::new(superblock);
        match scan.follow(&mut Pieces::new(file), file.length(), salt) {
            Err(Error::Corrupt { .. }) if scan.lacks_only_footer(file.length()) => Ok(scan),
            outcome => outcome.map(|()| scan),
        }
    }

    fn run(&mut self, pieces: &mut Pieces<'_>, frame: &Frame, salt: Salt) -> Result<Option<()>> {
        if frame.head.height != self.extent.end {
            return Ok(None);
        }
        self.runs.push((frame.at, self.bodies_end));
        let mut next = frame.at + FRAME_BYTES as u64;
        while next < frame.payload_end() {
            let record = record_at(pieces, next, frame.payload_end(), salt)?;
            let Some(record) = record.filter(|record| record.body_offset == self.bodies_end) else {
                return Ok(None);
            };
            if self.push(&record).is_none() {
                return Ok(None);
            }
            next += record.bytes() as u64;
        }
        Ok(Some(()))
    }

    /// A run in place of the blocks from its first height on; there is at least one such block.
    fn replace(
        &mut self,
        pieces: &mut Pieces<'_>,
        frame: &Frame,
        salt: Salt,
    ) -> Result<Option<()>> {
        let head = &frame.head;
        // A frame of this kind in a file of version 2 was not written by a program that keeps to the format: earlier programs
        // would cut it.
        let fits = self.version >= VERSION_REPLACED
            && head.length > 0
            && head.height < self.extent.end
            && self.truncate(head.height).is_some();
        match fits {
            true => self.run(pieces, frame, salt),
            false => Ok(None),
        }
    }

    fn push(&mut self, record: &Record) -> Option<()> {
        if record.height != self.extent.end {
            return None;
        }
        self.offsets.push(record.offset);
        self.keys.push(record.entries as u32);
        self.extent.end = self.extent.end.checked_add(1)?;
        self.bodies_end = record
            .body_offset
            .checked_add(body_frame_bytes(record.body_bytes) as u64)?
            .max(self.bodies_end);
        self.entries += record.entries as u64 + 1;
        Some(())
    }

    /// What was left of a sealed segment: all that it holds is in this frame.
    fn rest(&mut self, pieces: &mut Pieces<'_>, frame: &Frame, salt: Salt) -> Result<Option<()>> {
        let head = &frame.head;
        if frame.at != SUPERBLOCK_BYTES as u64 || head.height > self.low {
            return Ok(None);
        }
        let payload = frame.at + FRAME_BYTES as u64;
        let length = REST_HEAD_BYTES.min(head.length as usize);
        let Some(rest) = pieces.get(payload, length)?.and_then(RestHead::decode) else {
            return Ok(None);
        };
        self.low = head.height;
        self.extent.end = head.height;
        let mut next = frame.at + head.records_at() as u64;
        while next < frame.payload_end() {
            let Some(record) = record_at(pieces, next, frame.payload_end(), salt)? else {
                return Ok(None);
            };
            if self.push(&record).is_none() {
                return Ok(None);
            }
            next += record.bytes() as u64;
        }
        // New bodies go to this offset; a smaller one would have them written over bodies that are held.
        self.rest = Some(rest).filter(|rest| rest.bodies_bytes >= self.bodies_end);
        let Some(rest) = self.rest else {
            return Ok(None);
        };
        self.bodies_end = rest.bodies_bytes;
        Ok(Some(()))
    }

    fn truncate(&mut self, end: u64) -> Option<()> {
        if end > self.extent.end || end < self.extent.body_floor {
            return None;
        }
        self.extent.end = end;
        self.low = self.low.min(end);
        self.offsets.truncate((end - self.low) as usize);
        self.keys.truncate((end - self.low) as usize);
        Some(())
    }

    fn raise_floor(&mut self, part: Part, floor: u64) -> Option<()> {
        let held = self.extent.floor_of(part)..=self.extent.ceiling_of(part);
        if !held.contains(&floor) {
            return None;
        }
        *self.extent.floor_of_mut(part) = floor;
        Some(())
    }

    fn seal(&mut self, pieces: &mut Pieces<'_>, end: u64, salt: Salt) -> Result<Option<()>> {
        let Some(trailer) = trailer_at(pieces, end, salt)? else {
            return Ok(None);
        };
        let found = self.trailer();
        // Later openings believe the trailer without reading the frames, so it has to say what they say.
        self.footer = Some(trailer).filter(|trailer| *trailer == found);
        Ok(self.footer.map(|_| ()))
    }

    /// Whether the file was rewritten after its segment was sealed.
    pub(super) fn is_rest_of_sealed(&self) -> bool {
        self.rest.is_some_and(|rest| rest.content.is_some())
    }

    /// The trailer that follows from the frames.
    pub(super) fn trailer(&self) -> Trailer {
        Trailer {
            footer: self.frames_end,
            low: self.low,
            end: self.extent.end,
            bodies_bytes: self.bodies_end,
            entries: self.keys.iter().map(|keys| u64::from(*keys)).sum(),
            stripped: self.rest.map_or(Stripped::default(), |rest| rest.stripped),
            content: self
                .rest
                .and_then(|rest| rest.content)
                .unwrap_or(self.content),
        }
    }

    /// Whether all of a sealed segment is sound but for its footer, which is the last part of a file of this length.
    pub(super) fn lacks_only_footer(&self, length: u64) -> bool {
        let footer = FRAME_BYTES + self.offsets.len() * TABLE_ENTRY_BYTES + TRAILER_BYTES;
        self.footer.is_none() && self.frames_end + footer as u64 == length
    }

    /// Where the bodies of the runs from a frame on begin.
    pub(super) fn bodies_from(&self, frame: u64) -> u64 {
        let next = self.runs.partition_point(|(at, _)| *at < frame);
        self.runs.get(next).map_or(self.bodies_end, |run| run.1)
    }

    /// The frame of the run that a record is in.
    pub(super) fn run_of(&self, record: u64) -> u64 {
        let next = self.runs.partition_point(|(at, _)| *at <= record);
        next.checked_sub(1)
            .map_or(SUPERBLOCK_BYTES as u64, |run| self.runs[run].0)
    }
}

/// A frame that is whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) at: u64,
    pub(super) head: FrameHead,
}

impl Frame {
    pub(super) const fn payload(&self) -> u64 {
        self.at + FRAME_BYTES as u64
    }

    /// Where the payload ends. All of the frame is in the file, so this is no more than its length.
    pub(super) const fn payload_end(&self) -> u64 {
        self.payload() + self.head.length
    }

    /// Where the frame ends.
    pub(super) const fn end(&self) -> u64 {
        self.payload_end().next_multiple_of(8)
    }
}

/// The frame whose head is at an offset, if it ends before `end`; its payload isn't looked at.
pub(super) fn frame_at(
    pieces: &mut Pieces<'_>,
    at: u64,
    end: u64,
    salt: Salt,
) -> Result<Option<Frame>> {
    if at
        .checked_add(FRAME_BYTES as u64)
        .is_none_or(|head_end| head_end > end)
    {
        return Ok(None);
    }
    let Some(bytes) = pieces.get(at, FRAME_BYTES)? else {
        return Ok(None);
    };
    let head = FrameHead::decode(bytes, salt);
    let is_within = |head: &FrameHead| {
        // The length is checked here once, so that offsets within a `Frame` can be added up without overflow.
        let whole = head.frame_bytes().map(|whole| whole as u64);
        whole.is_some_and(|whole| whole <= end - at)
    };
    Ok(head.filter(is_within).map(|head| Frame { at, head }))
}

/// The frame at an offset, if it is whole, ends before `end` and follows the one with the checksum `previous`.
pub(super) fn whole_frame(
    pieces: &mut Pieces<'_>,
    at: u64,
    end: u64,
    previous: u32,
    salt: Salt,
) -> Result<Option<Frame>> {
    let Some(frame) = frame_at(pieces, at, end, salt)? else {
        return Ok(None);
    };
    let head = &frame.head;
    // After a crash, a frame of a tail that was cut may be back behind a newer frame, which it does not continue. And no frame
    // knows of bytes behind itself.
    let follows = head.previous == previous && head.synced <= at;
    let sound = follows && payload_is_sound(pieces, &frame, salt)?;
    Ok(sound.then_some(frame))
}

/// Whether a frame's payload has its checksum. Takes no more memory than a stride, however large the payload.
pub(super) fn payload_is_sound(pieces: &mut Pieces<'_>, frame: &Frame, salt: Salt) -> Result<bool> {
    // A frame's length comes from the file; it is read in strides and never taken into memory as a whole.
    let mut checksum = salt.checksum(&[]);
    let mut at = frame.payload();
    while at < frame.payload_end() {
        let length = (frame.payload_end() - at).min(STRIDE_BYTES);
        let Some(bytes) = pieces.get(at, length as usize)? else {
            return Ok(false);
        };
        checksum = salt.continued(checksum, bytes);
        at += length;
    }
    Ok(checksum == frame.head.payload_checksum)
}

/// The record at an offset, if it is whole and ends before `end`.
pub(super) fn record_at(
    pieces: &mut Pieces<'_>,
    at: u64,
    end: u64,
    salt: Salt,
) -> Result<Option<Record>> {
    let room = end.saturating_sub(at);
    let fixed = pieces.get(at, FIXED_BYTES.min(room as usize))?;
    Ok(fixed.and_then(|bytes| Record::decode(bytes, at, room, salt)))
}

/// The trailer that ends at an offset, if there is one.
pub(super) fn trailer_at(pieces: &mut Pieces<'_>, end: u64, salt: Salt) -> Result<Option<Trailer>> {
    let Some(start) = end.checked_sub(TRAILER_BYTES as u64) else {
        return Ok(None);
    };
    let bytes = pieces.get(start, TRAILER_BYTES)?;
    Ok(bytes.and_then(|bytes| Trailer::decode(bytes, start, salt)))
}

/// Decides whether the bytes from `end` to `length`, of which valid frames end at `end`, are a torn tail, of which nobody was
/// promised that it would survive, or damage, which is an error. `synced` bytes are known to have been on the disk.
pub(super) fn check_tail(pieces: &mut Pieces<'_>, end: u64, synced: u64, salt: Salt) -> Result<()> {
    let file = pieces.file();
    if end < synced {
        let reason = format!("what was on the disk up to byte {synced} is damaged from here on");
        return Err(file.corrupt(end, reason));
    }
    match claim_beyond(pieces, end, salt)? {
        Some(claim) => Err(file.corrupt(
            end,
            format!(
                "the frame here is damaged, which was on the disk before the one at byte {claim} was written"
            ),
        )),
        None => Ok(()),
    }
}

/// The offset of the first place from `from` on that reads like a frame's head and claims that the byte at
/// `from` had been synced. Such a frame proves damage: what a crash tears was never synced.
fn claim_beyond(pieces: &mut Pieces<'_>, from: u64, salt: Salt) -> Result<Option<u64>> {
    // Headers and keys are other people's bytes; none can be made to look like a frame's head by somebody who doesn't know the
    // store's id, from which the checksum starts.
    let claims = |at: u64, head: &FrameHead| head.synced > from && head.synced <= at;
    next_head(pieces, from, salt, claims).map(|found| found.map(|(at, _)| at))
}

/// The first place from `from` on that reads like a frame's head, of those that `is_meant`.
pub(super) fn next_head(
    pieces: &mut Pieces<'_>,
    from: u64,
    salt: Salt,
    is_meant: impl Fn(u64, &FrameHead) -> bool,
) -> Result<Option<(u64, FrameHead)>> {
    let mut at = from.next_multiple_of(8);
    loop {
        let bytes = pieces.next(at)?;
        let Some(last) = bytes.len().checked_sub(FRAME_BYTES) else {
            return Ok(None);
        };
        for within in (0..=last).step_by(8) {
            let place = at + within as u64;
            if let Some(head) = FrameHead::decode(&bytes[within..], salt)
                && is_meant(place, &head)
            {
                return Ok(Some((place, head)));
            }
        }
        at += (last + 1).next_multiple_of(8) as u64;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::files::SystemFiles;
    use super::super::format::finish_frame;
    use super::*;

    /// Also where the claim is in a piece that is read later, or across the end of one.
    #[test]
    fn a_later_claim_proves_damage() {
        let salt = Salt::of(&[7; 16]);
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        for at in [128, 504, 552, 1104] {
            for (synced, proves) in [(64, false), (72, true), (at, true), (at + 8, false)] {
                let mut frame = vec![0; FRAME_BYTES];
                finish_frame(&mut frame, salt, FrameKind::Floor, 0, synced, 0);
                let file = [vec![0; at as usize], frame].concat();
                std::fs::write(&path, &file).unwrap();
                let read = ReadFile::open(&SystemFiles, &path).unwrap();
                let claim = claim_beyond(&mut Pieces::new(&read), 64, salt).unwrap();
                assert_eq!(claim, proves.then_some(at), "{synced} at {at}");
            }
        }
    }
}
