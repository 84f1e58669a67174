//! Records: what is kept of a block for as long as the store lives. See `format` for the bytes.
//!
//! Fixed part, header and entries have checksums of their own, so that each can be checked without reading the
//! others: a look-up compares one key among thousands.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes};

use super::format::{FRAME_BYTES, Salt, body_frame_bytes, padded};
use super::on_disk::{self, ListedEntry};
use crate::{Block, HEADER_BYTES_MAX, INDEX_ENTRIES_MAX, Id};

pub(super) const FIXED_BYTES: usize = size_of::<on_disk::Record>();
const KEY_BYTES: usize = size_of::<Id>();
const LISTED_BYTES: usize = size_of::<ListedEntry>();
pub(super) const ENTRY_BYTES_MAX: usize = LISTED_BYTES;
const LISTED: u32 = 1;
const NO_KEYS: u32 = 2;
const NO_HEADER: u32 = 4;

/// The fixed part of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// Where it is in the file of heads.
    pub(super) offset: u64,
    pub(super) height: u64,
    pub(super) id: Id,
    pub(super) header_bytes: usize,
    pub(super) header_checksum: u32,
    pub(super) entries: usize,
    flags: u32,
    keys_checksum: u32,
    pub(super) body_offset: u64,
    pub(super) body_bytes: usize,
    pub(super) body_checksum: u32,
}

/// Whether a part of a record stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Yes,
    Not,
}

impl Keep {
    pub(super) const fn when(stays: bool) -> Self {
        if stays { Self::Yes } else { Self::Not }
    }
}

/// One entry of a record: a key, and its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordEntry<'a> {
    pub(super) key: &'a Id,
    pub(super) position: u32,
    /// Whether key and position are known to be undamaged.
    pub(super) checked: bool,
}

impl Record {
    /// Reads the fixed part that `bytes` begin with, if there is one. It is at an offset of a file of heads, in which `room`
    /// bytes are left from there on.
    pub(super) fn decode(bytes: &[u8], offset: u64, room: u64, salt: Salt) -> Option<Self> {
        let (found, _) = on_disk::Record::ref_from_prefix(bytes).ok()?;
        if found.checksum.get() != found.compute_checksum(salt) {
            return None;
        }
        let record = Self {
            offset,
            height: found.height.get(),
            id: found.id,
            header_bytes: found.header_bytes.get() as usize,
            header_checksum: found.header_checksum.get(),
            entries: found.entries.get() as usize,
            flags: found.flags.get(),
            keys_checksum: found.keys_checksum.get(),
            body_offset: found.body_offset.get(),
            body_bytes: found.body_bytes.get() as usize,
            body_checksum: found.body_checksum.get(),
        };
        // Before the lengths are added up: each is bounded, so that the sum can't overflow and is compared with the room that
        // there is.
        let bounded = record.header_bytes <= HEADER_BYTES_MAX
            && record.entries <= INDEX_ENTRIES_MAX
            && record.flags <= LISTED | NO_KEYS | NO_HEADER
            && !(record.has_no_keys() && record.entries > 0)
            && !(record.has_no_header() && record.header_bytes > 0);
        let whole = bounded && room >= record.bytes() as u64;
        whole.then_some(record)
    }

    /// The record's length in the file.
    pub(super) fn bytes(&self) -> usize {
        padded(FIXED_BYTES + self.header_bytes + self.entries * self.entry_bytes())
    }

    /// Whether the keys were taken away, since they are below the index floor.
    pub(super) const fn has_no_keys(&self) -> bool {
        self.flags & NO_KEYS != 0
    }

    /// Whether the header was taken away, since it is below the header floor.
    pub(super) const fn has_no_header(&self) -> bool {
        self.flags & NO_HEADER != 0
    }

    const fn is_listed(&self) -> bool {
        self.flags & LISTED != 0
    }

    /// Appends the record, whose bytes are given, without some of its parts to other records.
    pub(super) fn push_rest(
        &self,
        bytes: &[u8],
        keys: Keep,
        header: Keep,
        salt: Salt,
        into: &mut Vec<u8>,
    ) {
        let start = into.len();
        into.resize(start + FIXED_BYTES, 0);
        let mut rest = *self;
        if header == Keep::Not {
            rest.flags |= NO_HEADER;
            rest.header_bytes = 0;
            rest.header_checksum = salt.checksum(&[]);
        } else {
            into.extend_from_slice(&bytes[FIXED_BYTES..][..self.header_bytes]);
        }
        if keys == Keep::Not {
            rest.flags |= NO_KEYS;
            rest.entries = 0;
            rest.keys_checksum = salt.checksum(&[]);
        } else {
            into.extend_from_slice(self.keys_of(bytes));
        }
        into.resize(start + padded(into.len() - start), 0);
        into[start..start + FIXED_BYTES].copy_from_slice(rest.on_disk(salt).as_bytes());
    }

    /// The fixed part as it is written. The bounds checked before every append fit into these fields.
    fn on_disk(&self, salt: Salt) -> on_disk::Record {
        let mut fixed = on_disk::Record {
            checksum: U32::ZERO,
            header_bytes: U32::new(self.header_bytes as u32),
            entries: U32::new(self.entries as u32),
            flags: U32::new(self.flags),
            height: U64::new(self.height),
            body_offset: U64::new(self.body_offset),
            body_bytes: U32::new(self.body_bytes as u32),
            body_checksum: U32::new(self.body_checksum),
            header_checksum: U32::new(self.header_checksum),
            keys_checksum: U32::new(self.keys_checksum),
            id: self.id,
        };
        fixed.checksum.set(fixed.compute_checksum(salt));
        fixed
    }

    /// Where the header is.
    pub(super) fn header_offset(&self) -> u64 {
        self.offset + FIXED_BYTES as u64
    }

    fn entry_bytes(&self) -> usize {
        if self.is_listed() {
            LISTED_BYTES
        } else {
            KEY_BYTES
        }
    }

    /// Where the entries are in the file, and how many bytes they have.
    pub(super) fn keys_at(&self) -> (u64, usize) {
        let start = self.header_offset() + self.header_bytes as u64;
        (start, self.entries * self.entry_bytes())
    }

    /// Where the entry of a number is in the file, if the record has one, and how many bytes it has.
    pub(super) fn entry_at(&self, number: usize) -> Option<(u64, usize)> {
        let (start, width) = (self.keys_at().0, self.entry_bytes());
        (number < self.entries).then(|| (start + (number * width) as u64, width))
    }

    /// The entries' bytes, of the record's bytes.
    pub(super) fn keys_of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let start = FIXED_BYTES + self.header_bytes;
        &bytes[start..start + self.entries * self.entry_bytes()]
    }

    /// Whether the entries' bytes are as they were written.
    pub(super) fn keys_are_sound(&self, keys: &[u8], salt: Salt) -> bool {
        salt.checksum(keys) == self.keys_checksum
    }

    /// What the bytes of the entry of a number say, if they are as many as an entry has.
    pub(super) fn decode_entry<'a>(
        &self,
        bytes: &'a [u8],
        number: usize,
        salt: Salt,
    ) -> Option<RecordEntry<'a>> {
        if self.is_listed() {
            let found = ListedEntry::ref_from_bytes(bytes).ok()?;
            Some(RecordEntry::listed(found, salt))
        } else {
            let key = bytes.try_into().ok()?;
            Some(RecordEntry::numbered(key, number))
        }
    }

    /// All entries, of their bytes. They are of one of two kinds, so one of two sequences is empty.
    pub(super) fn entries<'a>(
        &self,
        keys: &'a [u8],
        salt: Salt,
    ) -> impl Iterator<Item = RecordEntry<'a>> {
        let (mut numbered, mut listed): (&[Id], &[ListedEntry]) = (&[], &[]);
        if self.is_listed() {
            listed = <[ListedEntry]>::ref_from_prefix(keys).map_or(&[], |(found, _)| found);
        } else {
            numbered = <[Id]>::ref_from_prefix(keys).map_or(&[], |(found, _)| found);
        }
        let numbered = numbered.iter().enumerate();
        numbered
            .map(|(number, key)| RecordEntry::numbered(key, number))
            .chain(
                listed
                    .iter()
                    .map(move |found| RecordEntry::listed(found, salt)),
            )
    }
}

impl<'a> RecordEntry<'a> {
    /// Its position is its number, and its key has no checksum of its own.
    const fn numbered(key: &'a Id, number: usize) -> Self {
        Self {
            key,
            position: number as u32,
            checked: true,
        }
    }

    fn listed(found: &'a ListedEntry, salt: Salt) -> Self {
        Self {
            key: &found.key,
            position: found.position.get(),
            checked: found.checksum.get() == found.compute_checksum(salt),
        }
    }
}

/// A run's records and the places its bodies get.
#[derive(Debug)]
pub(super) struct RunDraft {
    /// The frame, its head still empty.
    pub(super) frame: Vec<u8>,
    /// Offsets of the records within the frame.
    pub(super) records: Vec<usize>,
    /// The length of the file of bodies after the run.
    pub(super) bodies_end: u64,
}

impl RunDraft {
    /// Encodes a run whose bodies went to `bodies_at`, with a checksum for each. The frame takes the place of whatever is in
    /// `spare`.
    pub(super) fn new(
        spare: Vec<u8>,
        run: &[Block],
        checksums: &[u32],
        bodies_at: u64,
        salt: Salt,
    ) -> Self {
        let mut draft = Self {
            frame: spare,
            records: Vec::with_capacity(run.len()),
            bodies_end: bodies_at,
        };
        draft.frame.clear();
        draft.frame.reserve(heads_bytes(run));
        draft.frame.resize(FRAME_BYTES, 0);
        for (block, checksum) in run.iter().zip(checksums) {
            draft.records.push(draft.frame.len());
            push_record(&mut draft.frame, block, draft.bodies_end, *checksum, salt);
            draft.bodies_end += body_frame_bytes(block.body.len()) as u64;
        }
        draft
    }
}

fn is_listed(block: &Block) -> bool {
    let mut numbered = (0..).zip(&block.index);
    !numbered.all(|(number, entry)| number == entry.position)
}

fn entry_bytes(block: &Block) -> usize {
    if is_listed(block) {
        LISTED_BYTES
    } else {
        KEY_BYTES
    }
}

/// Bytes that a run takes in the file of heads.
pub(super) fn heads_bytes(run: &[Block]) -> usize {
    let record = |block: &Block| {
        padded(FIXED_BYTES + block.header.len() + block.index.len() * entry_bytes(block))
    };
    FRAME_BYTES + run.iter().map(record).sum::<usize>()
}

/// Bytes that a run takes in the file of bodies.
pub(super) fn bodies_bytes(run: &[Block]) -> u64 {
    run.iter()
        .map(|block| body_frame_bytes(block.body.len()) as u64)
        .sum()
}

/// Entries that a run brings to the index, ids included.
pub(super) fn entries_of(run: &[Block]) -> usize {
    run.iter().map(|block| block.index.len() + 1).sum()
}

fn push_record(
    frame: &mut Vec<u8>,
    block: &Block,
    body_offset: u64,
    body_checksum: u32,
    salt: Salt,
) {
    let start = frame.len();
    frame.resize(start + FIXED_BYTES, 0);
    frame.extend_from_slice(&block.header);
    let keys_start = frame.len();
    let listed = is_listed(block);
    for entry in &block.index {
        if listed {
            // The checksum is before what it covers. Bytes followed by their own CRC leave the CRC of the whole the same
            // whatever they are, so damage to both would go unnoticed.
            let mut entry = ListedEntry {
                checksum: U32::ZERO,
                position: U32::new(entry.position),
                key: entry.key,
            };
            entry.checksum.set(entry.compute_checksum(salt));
            frame.extend_from_slice(entry.as_bytes());
        } else {
            frame.extend_from_slice(&entry.key);
        }
    }
    let keys_checksum = salt.checksum(&frame[keys_start..]);
    frame.resize(start + padded(frame.len() - start), 0);
    let record = Record {
        offset: start as u64,
        height: block.height,
        id: block.id,
        header_bytes: block.header.len(),
        header_checksum: salt.checksum(&block.header),
        entries: block.index.len(),
        flags: if listed { LISTED } else { 0 },
        keys_checksum,
        body_offset,
        body_bytes: block.body.len(),
        body_checksum,
    };
    frame[start..start + FIXED_BYTES].copy_from_slice(record.on_disk(salt).as_bytes());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::IndexEntry;

    fn block(positions: &[u32]) -> Block {
        Block {
            height: 12,
            id: [3; 32],
            header: "a header".into(),
            body: "a body".into(),
            index: positions
                .iter()
                .map(|&position| IndexEntry {
                    key: [position as u8; 32],
                    position,
                })
                .collect(),
        }
    }

    fn draft(run: &[Block], salt: Salt) -> RunDraft {
        let checksums = run.iter().map(|block| salt.checksum(&block.body));
        RunDraft::new(Vec::new(), run, &checksums.collect::<Vec<_>>(), 64, salt)
    }

    /// The first record of a draft, which has one.
    fn decode(draft: &RunDraft, salt: Salt) -> Record {
        let at = draft.records[0];
        let bytes = &draft.frame[at..];
        assert_eq!(
            Record::decode(bytes, at as u64, bytes.len() as u64 - 1, salt)
                .map(|record| record.height),
            None,
            "cut short"
        );
        Record::decode(bytes, at as u64, bytes.len() as u64, salt).unwrap()
    }

    /// The format of version 2: these bytes never change.
    #[test]
    fn golden_bytes() {
        let hash = |positions| {
            let frame = draft(&[block(positions)], Salt::of(&[1; 16])).frame;
            (frame.len(), fnv(&frame))
        };
        assert_eq!(hash(&[0, 1]), (200, 16303708183607846350));
        assert_eq!(hash(&[4, 1]), (216, 8665589509637622377));
    }

    #[test]
    fn parts_of_a_record_are_taken_away_and_the_rest_stays() {
        let salt = Salt::of(&[1; 16]);
        for positions in [&[0, 1, 2][..], &[5, 0, 7], &[]] {
            let draft = draft(&[block(positions)], salt);
            let bytes_of = &draft.frame[draft.records[0]..];
            let whole = decode(&draft, salt);
            for (keys, header) in [
                (Keep::Yes, Keep::Yes),
                (Keep::Not, Keep::Yes),
                (Keep::Yes, Keep::Not),
                (Keep::Not, Keep::Not),
            ] {
                let mut bytes = Vec::new();
                whole.push_rest(bytes_of, keys, header, salt, &mut bytes);
                let room = bytes.len() as u64;
                let rest = Record::decode(&bytes, 0, room, salt).unwrap();
                assert_eq!(rest.bytes(), bytes.len());
                assert_eq!(
                    (rest.height, rest.id, rest.body_offset, rest.body_checksum),
                    (12, [3; 32], 64, whole.body_checksum)
                );
                assert_eq!(rest.has_no_keys(), keys == Keep::Not);
                assert_eq!(rest.has_no_header(), header == Keep::Not);
                if keys == Keep::Yes {
                    assert!(rest.keys_are_sound(rest.keys_of(&bytes), salt));
                    assert_eq!(rest.entries, positions.len());
                }
                if header == Keep::Yes {
                    let at = rest.header_offset() as usize;
                    assert_eq!(&bytes[at..at + rest.header_bytes], b"a header");
                }
            }
        }
    }

    /// No CRC: that of bytes which hold their own is the same for all.
    fn fnv(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
        })
    }

    #[test]
    fn records_read_back_whatever_their_positions() {
        let salt = Salt::of(&[1; 16]);
        for positions in [&[][..], &[0, 1, 2], &[5, 0, 7], &[1, 2]] {
            let run = [block(positions)];
            let draft = draft(&run, salt);
            assert_eq!(draft.frame.len(), heads_bytes(&run));
            assert_eq!(draft.bodies_end, 64 + bodies_bytes(&run));
            let offset = draft.records[0];
            let record = decode(&draft, salt);
            assert_eq!(
                (record.height, record.id, record.body_offset),
                (12, [3; 32], 64)
            );
            assert_eq!(offset + record.bytes(), draft.frame.len());
            let keys = record.keys_of(&draft.frame[offset..]);
            assert!(record.keys_are_sound(keys, salt));
            for (number, &position) in positions.iter().enumerate() {
                let (at, length) = record.entry_at(number).unwrap();
                let bytes = &draft.frame[at as usize..][..length];
                let entry = record.decode_entry(bytes, number, salt).unwrap();
                assert_eq!(record.entries(keys, salt).nth(number), Some(entry));
                assert_eq!(record.decode_entry(&bytes[1..], number, salt), None);
                assert_eq!(
                    (entry.key, entry.position),
                    (&[position as u8; 32], position)
                );
                assert!(entry.checked);
            }
            assert_eq!(record.entry_at(positions.len()), None);
        }
    }
}
