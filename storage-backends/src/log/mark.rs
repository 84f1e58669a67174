//! The mark: how much is known to be on the disk, written after each sync and seldom synced itself.
//!
//! What the mark says is true whenever it can be read, since it is written only after the sync that it tells of;
//! that a writing may be lost makes it say less. Frames say the same of what was synced before them; the mark adds the
//! last one. Opening uses both to tell damage from a torn tail.
//!
//! A store has a mark from the first on, both of whose slots are on the disk before it is a store. Then the slot that counts is
//! never written to, and a disk writes the other one, which is within one sector, whole or not at all; so after any crash
//! a slot can be read. Without one, a log that was cut between two frames would read as a shorter one: that is damage.

use std::path::Path;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, transmute};

use super::files::{FileHandle, Files};
use super::format::{FileKind, Named, SUPERBLOCK_BYTES, Salt, StoreId, Superblock, VERSION};
use super::on_disk;
use super::shared::open_to_read;
use crate::{DamageAt, Error, Result};

const SLOT_BYTES: usize = size_of::<on_disk::MarkSlot>();
const SLOTS: u64 = 2;
/// The file's length.
pub(super) const MARK_BYTES: usize = SUPERBLOCK_BYTES + SLOTS as usize * SLOT_BYTES;

/// What was synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    /// Of this one among all that were written, from 1 on; set when it is written.
    pub(super) number: u64,
    pub(super) segment: u64,
    /// Bytes of the segment's heads, with the bodies that they speak of.
    pub(super) heads: u64,
    pub(super) generation: u64,
    /// Bytes of the file of values.
    pub(super) values: u64,
}

impl Mark {
    fn encode(&self, salt: Salt) -> [u8; SLOT_BYTES] {
        let mut slot = on_disk::MarkSlot {
            checksum: U32::ZERO,
            zero: U32::ZERO,
            number: U64::new(self.number),
            segment: U64::new(self.segment),
            heads: U64::new(self.heads),
            generation: U64::new(self.generation),
            values: U64::new(self.values),
            zeros: [0; 16],
        };
        slot.checksum.set(slot.compute_checksum(salt));
        transmute!(slot)
    }

    fn decode(bytes: &[u8], salt: Salt) -> Option<Self> {
        let found = on_disk::MarkSlot::ref_from_bytes(bytes).ok()?;
        // A torn slot doesn't match either; the other one counts then.
        (found.checksum.get() == found.compute_checksum(salt)).then(|| Self {
            number: found.number.get(),
            segment: found.segment.get(),
            heads: found.heads.get(),
            generation: found.generation.get(),
            values: found.values.get(),
        })
    }

    const fn numbered(self, number: u64) -> Self {
        Self { number, ..self }
    }
}

/// What the slots of a mark's file hold.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) newest: Mark,
    /// Offsets of slots that can't be read.
    pub(super) damaged: Vec<u64>,
}

impl Slots {
    /// Reads the mark of a store. That it is missing, or can't be read, is damage.
    pub(super) fn read(files: &dyn Files, directory: &Path, store: &StoreId) -> Result<Self> {
        let path = Named::Mark.path(directory);
        let file = open_to_read(files, &path)?;
        // One byte more than there should be, which is enough to see that a file is too long.
        let bytes = file.read(0, file.length().min(MARK_BYTES as u64 + 1) as usize)?;
        Superblock::decode(&path, &bytes, FileKind::Mark, Some(store))?;
        if bytes.len() != MARK_BYTES {
            let damage_at = DamageAt::Offset(bytes.len().min(MARK_BYTES) as u64);
            let reason = format!("the file should have {MARK_BYTES} bytes");
            return Err(Error::corrupt(&path, damage_at, reason));
        }
        let slots = Self::decode(&bytes, Salt::of(store));
        // Marks are numbered from 1, so this is the default: neither slot could be read.
        if slots.newest.number == 0 {
            let damage_at = DamageAt::Offset(SUPERBLOCK_BYTES as u64);
            return Err(Error::corrupt(&path, damage_at, "no slot can be read"));
        }
        for offset in &slots.damaged {
            tracing::warn!(file = %path.display(), offset, "a slot of the mark is torn or damaged");
        }
        Ok(slots)
    }

    /// Reads the slots of a file whose superblock and length are right.
    fn decode(file: &[u8], salt: Salt) -> Self {
        let mut slots = Self::default();
        let parts = file[SUPERBLOCK_BYTES..].chunks_exact(SLOT_BYTES);
        for (number, slot) in parts.enumerate() {
            match Mark::decode(slot, salt) {
                Some(mark) if mark.number >= slots.newest.number => slots.newest = mark,
                Some(_) => {}
                None => slots
                    .damaged
                    .push((SUPERBLOCK_BYTES + number * SLOT_BYTES) as u64),
            }
        }
        slots
    }
}

/// Writes marks, into the two slots in turn.
#[derive(Debug)]
pub(super) struct MarkFile {
    file: Box<dyn FileHandle>,
    salt: Salt,
    newest: Mark,
}

impl MarkFile {
    /// Opens the file to continue after the mark that was read from it.
    pub(super) fn continuing(
        files: &dyn Files,
        directory: &Path,
        store: &StoreId,
        newest: Mark,
    ) -> Result<Self> {
        let path = Named::Mark.path(directory);
        let file = files
            .open(&path)
            .map_err(|source| Error::system("open", &path, source))?;
        Ok(Self {
            file,
            salt: Salt::of(store),
            newest,
        })
    }

    /// Makes a file whose slots both say `mark`, in place of any other. It is on the disk when this returns; its name is
    /// when the directory is synced.
    pub(super) fn create(
        files: &dyn Files,
        directory: &Path,
        store: &StoreId,
        mark: Mark,
    ) -> Result<()> {
        let path = Named::Mark.path(directory);
        let fresh = path.with_extension("new");
        let fault = |source| Error::system("create", &fresh, source);
        let superblock = Superblock {
            kind: FileKind::Mark,
            version: VERSION,
            store: *store,
            number: 0,
            fields: [0; 5],
        };
        let salt = Salt::of(store);
        let mut bytes = superblock.encode().to_vec();
        // The number of slot 0 is even.
        for number in [2, 1] {
            bytes.extend_from_slice(&mark.numbered(number).encode(salt));
        }
        let file = files.create(&fresh).map_err(fault)?;
        file.write_at(&bytes, 0).map_err(fault)?;
        // On the disk before it has its name: a crash in between must not leave a mark without a sound slot, which is damage.
        file.sync().map_err(fault)?;
        files.rename(&fresh, &path).map_err(fault)
    }

    pub(super) fn write(&mut self, mark: Mark) -> std::io::Result<()> {
        self.newest = mark.numbered(self.newest.number + 1);
        // Never the slot that counts: a write that is torn leaves that one.
        let slot = self.newest.number % SLOTS;
        let offset = SUPERBLOCK_BYTES as u64 + slot * SLOT_BYTES as u64;
        self.file.write_at(&self.newest.encode(self.salt), offset)
    }

    pub(super) fn sync(&self) -> std::io::Result<()> {
        self.file.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The format of version 2: these bytes never change.
    #[test]
    fn golden_bytes() {
        let mark = Mark {
            number: 1,
            segment: 2,
            heads: 3,
            generation: 4,
            values: 5,
        };
        let mut golden = [0; SLOT_BYTES];
        golden[..4].copy_from_slice(&[0x6C, 0x47, 0x39, 0x40]);
        for (at, number) in [(8, 1), (16, 2), (24, 3), (32, 4), (40, 5)] {
            golden[at] = number;
        }
        let salt = Salt::of(&[7; 16]);
        assert_eq!(mark.encode(salt), golden);
        assert_eq!(Mark::decode(&golden, salt), Some(mark));
        for bit in 0..SLOT_BYTES * 8 {
            let mut damaged = golden;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::decode(&damaged, salt), None, "bit {bit}");
        }
    }
}
