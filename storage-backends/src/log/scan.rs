//! Reading a segment's heads from the first frame to the last.

use std::path::Path;

use super::format::{
    FRAME_BYTES, FrameHead, FrameKind, RestHead, SUPERBLOCK_BYTES, Salt, Stripped, Superblock,
    TABLE_ENTRY_BYTES, TRAILER_BYTES, Trailer, body_frame_bytes,
};
use super::record::Record;
use crate::{Error, Extent, Part, Place, Result};

/// What the frames of a file of heads add up to.
#[derive(Debug)]
pub(super) struct Scan {
    /// Offsets of the records of heights from `low` on.
    pub(super) offsets: Vec<u64>,
    pub(super) low: u64,
    pub(super) extent: Extent,
    /// Where the valid frames end.
    pub(super) frames_end: u64,
    /// How much the frames say was synced.
    pub(super) synced: u64,
    pub(super) bodies_end: u64,
    /// Index entries of all records, also of those that were truncated.
    pub(super) entries: u64,
    /// Each run's offset, and where its bodies begin.
    pub(super) runs: Vec<(u64, u64)>,
    /// Checksum of the last frame, but for a footer.
    pub(super) content: u32,
    /// What the first frame says if the file was written anew.
    pub(super) rest: Option<RestHead>,
    pub(super) footer: Option<Trailer>,
}

impl Scan {
    fn new(superblock: &Superblock) -> Self {
        Self {
            offsets: Vec::new(),
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

    /// Reads frames until the end of the bytes, a footer, or the first frame that is not whole. A frame that is
    /// whole but can't follow those before it is damage.
    pub(super) fn read(
        path: &Path,
        bytes: &[u8],
        superblock: &Superblock,
        salt: Salt,
    ) -> Result<Self> {
        let mut scan = Self::new(superblock);
        while scan.footer.is_none() {
            let at = scan.frames_end as usize;
            let Some((head, whole)) = whole_frame(bytes, at, scan.content, salt) else {
                break;
            };
            let fits = match head.kind {
                FrameKind::Run => scan.run(bytes, at, &head, salt),
                FrameKind::Truncate => scan.truncate(head.height),
                FrameKind::Floor => scan.raise_floor(Part::Body, head.height),
                FrameKind::IndexFloor => scan.raise_floor(Part::Index, head.height),
                FrameKind::HeaderFloor => scan.raise_floor(Part::Header, head.height),
                FrameKind::Rest => scan.rest(bytes, at, &head, salt),
                FrameKind::Footer => scan.seal(&bytes[..at + whole], salt),
                FrameKind::Value => None,
            };
            if fits.is_none() {
                let reason = "the frame doesn't follow from those before it";
                return Err(Error::corrupt(path, Place::Offset(at as u64), reason));
            }
            scan.synced = scan.synced.max(head.synced);
            scan.frames_end += whole as u64;
            if scan.footer.is_none() {
                scan.content = head.checksum;
            }
        }
        Ok(scan)
    }

    fn run(&mut self, bytes: &[u8], at: usize, head: &FrameHead, salt: Salt) -> Option<()> {
        if head.height != self.extent.end {
            return None;
        }
        self.runs.push((at as u64, self.bodies_end));
        let end = at + FRAME_BYTES + head.length as usize;
        let mut next = at + FRAME_BYTES;
        while next < end {
            let record = Record::decode(&bytes[..end], next as u64, salt)?;
            if record.body_offset != self.bodies_end {
                return None;
            }
            self.push(&record)?;
            next += record.bytes();
        }
        Some(())
    }

    fn push(&mut self, record: &Record) -> Option<()> {
        if record.height != self.extent.end {
            return None;
        }
        self.offsets.push(record.offset);
        self.extent.end = self.extent.end.checked_add(1)?;
        self.bodies_end = record
            .body_offset
            .checked_add(body_frame_bytes(record.body_bytes) as u64)?
            .max(self.bodies_end);
        self.entries += record.entries as u64 + 1;
        Some(())
    }

    /// What was left of a sealed segment: all that it holds is in this frame.
    fn rest(&mut self, bytes: &[u8], at: usize, head: &FrameHead, salt: Salt) -> Option<()> {
        if at != SUPERBLOCK_BYTES || head.height > self.low {
            return None;
        }
        let end = at + FRAME_BYTES + head.length as usize;
        let rest = RestHead::decode(&bytes[at + FRAME_BYTES..end])?;
        self.low = head.height;
        self.extent.end = head.height;
        let mut next = at + head.records_at();
        while next < end {
            let record = Record::decode(&bytes[..end], next as u64, salt)?;
            self.push(&record)?;
            next += record.bytes();
        }
        self.rest = Some(rest).filter(|rest| rest.bodies_bytes >= self.bodies_end);
        self.bodies_end = self.rest?.bodies_bytes;
        Some(())
    }

    fn truncate(&mut self, end: u64) -> Option<()> {
        if end > self.extent.end || end < self.extent.floor {
            return None;
        }
        self.extent.end = end;
        self.low = self.low.min(end);
        self.offsets.truncate((end - self.low) as usize);
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

    fn seal(&mut self, bytes: &[u8], salt: Salt) -> Option<()> {
        let trailer = Trailer::decode(bytes, salt)?;
        let found = self.trailer(bytes, salt);
        self.footer = Some(trailer).filter(|trailer| *trailer == found);
        self.footer.map(|_| ())
    }

    /// Whether the file was written anew after its segment was sealed.
    pub(super) fn is_rest_of_sealed(&self) -> bool {
        self.rest.is_some_and(|rest| rest.content.is_some())
    }

    /// The trailer that follows from the frames.
    pub(super) fn trailer(&self, bytes: &[u8], salt: Salt) -> Trailer {
        let records = self.offsets.iter();
        let records = records.filter_map(|offset| Record::decode(bytes, *offset, salt));
        Trailer {
            footer: self.frames_end,
            low: self.low,
            end: self.extent.end,
            bodies_bytes: self.bodies_end,
            entries: records.map(|record| record.entries as u64).sum(),
            stripped: self.rest.map_or(Stripped::default(), |rest| rest.stripped),
            content: self
                .rest
                .and_then(|rest| rest.content)
                .unwrap_or(self.content),
        }
    }

    /// Whether all of a sealed segment is sound but for its footer. Of `bytes` the footer is the last part.
    pub(super) fn lacks_only_footer(&self, bytes: &[u8]) -> bool {
        let footer = FRAME_BYTES + self.offsets.len() * TABLE_ENTRY_BYTES + TRAILER_BYTES;
        self.footer.is_none() && self.frames_end + footer as u64 == bytes.len() as u64
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

/// The frame at an offset, if it is whole and follows the one with the checksum `previous`; with its length.
pub(super) fn whole_frame(
    bytes: &[u8],
    at: usize,
    previous: u32,
    salt: Salt,
) -> Option<(FrameHead, usize)> {
    let rest = bytes.get(at..)?;
    let head = FrameHead::decode(rest, salt)?;
    let whole = head.frame_bytes()?;
    let frame = rest.get(..whole)?;
    let payload = &frame[FRAME_BYTES..FRAME_BYTES + head.length as usize];
    let sound = head.previous == previous
        && head.synced <= at as u64
        && salt.checksum(payload) == head.payload_checksum;
    sound.then_some((head, whole))
}

/// Decides whether the bytes from `end` on, where valid frames end, are a torn tail, of which nobody was
/// promised that it would survive, or damage, which is an error. `synced` bytes are known to have been on the disk.
pub(super) fn check_tail(
    path: &Path,
    bytes: &[u8],
    end: u64,
    synced: u64,
    salt: Salt,
) -> Result<()> {
    let corrupt = |reason| Err(Error::corrupt(path, Place::Offset(end), reason));
    if end < synced {
        let reason = format!("what was on the disk up to byte {synced} is damaged from here on");
        return corrupt(reason);
    }
    match claim_beyond(bytes, end as usize, salt) {
        Some(claim) => corrupt(format!(
            "the frame here is damaged, which was on the disk before the one at byte {claim} was written"
        )),
        None => Ok(()),
    }
}

/// The offset of the first place from `from` on that reads like a frame's head and claims that the byte at
/// `from` had been synced. Such a frame proves damage: what a crash tears was never synced.
fn claim_beyond(bytes: &[u8], from: usize, salt: Salt) -> Option<usize> {
    let mut at = from.next_multiple_of(8);
    while at + FRAME_BYTES <= bytes.len() {
        if FrameHead::decode(&bytes[at..], salt)
            .is_some_and(|head| head.synced > from as u64 && head.synced <= at as u64)
        {
            return Some(at);
        }
        at += 8;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::format::finish_frame;
    use super::*;

    #[test]
    fn a_later_claim_proves_damage() {
        let salt = Salt::new(&[7; 16]);
        let mut file = vec![0; 128];
        for (synced, proves) in [(64, false), (72, true), (128, true), (136, false)] {
            let mut frame = vec![0; FRAME_BYTES];
            finish_frame(&mut frame, salt, FrameKind::Floor, 0, synced, 0);
            file.truncate(128);
            file.extend_from_slice(&frame);
            assert_eq!(claim_beyond(&file, 64, salt).is_some(), proves, "{synced}");
        }
    }
}
