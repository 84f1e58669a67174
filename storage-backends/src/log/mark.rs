//! The mark: how much is known to be on the disk, written after each sync and never synced itself.
//!
//! What the mark says is true whenever it can be read, since it is written only after the sync that it tells of;
//! that it may be lost makes it say less. Frames say the same of what was synced before them; the mark adds the
//! last one. Opening uses both to tell damage from a torn tail.

use std::path::Path;

use super::files::{FileHandle, Files};
use super::format::{
    FileKind, Named, SUPERBLOCK_BYTES, Salt, StoreId, Superblock, put_u32, put_u64, u32_at, u64_at,
};
use super::read_file::ReadFile;
use crate::{Error, Place, Result};

const SLOT_BYTES: usize = 64;
const SLOTS: u64 = 2;
const MARK_BYTES: u64 = SUPERBLOCK_BYTES as u64 + SLOTS * SLOT_BYTES as u64;

/// What was synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    /// How many marks were written before; set when it is written.
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
        let mut bytes = [0; SLOT_BYTES];
        let fields = [
            self.number,
            self.segment,
            self.heads,
            self.generation,
            self.values,
        ];
        for (number, field) in fields.into_iter().enumerate() {
            put_u64(&mut bytes, 8 + 8 * number, field);
        }
        let checksum = salt.checksum(&bytes[4..]);
        put_u32(&mut bytes, 0, checksum);
        bytes
    }

    fn decode(bytes: &[u8], salt: Salt) -> Option<Self> {
        (u32_at(bytes, 0) == salt.checksum(&bytes[4..])).then(|| Self {
            number: u64_at(bytes, 8),
            segment: u64_at(bytes, 16),
            heads: u64_at(bytes, 24),
            generation: u64_at(bytes, 32),
            values: u64_at(bytes, 40),
        })
    }

    /// Reads the mark; nothing if it is lost or damaged.
    pub(super) fn read(files: &dyn Files, directory: &Path, store: &StoreId) -> Result<Self> {
        let path = Named::Mark.path(directory);
        let file = match ReadFile::open(files, &path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                tracing::warn!(file = %path.display(), "the mark is missing");
                return Ok(Self::default());
            }
            Err(error) => return Err(Error::system("open", &path, error)),
        };
        let decoded = read_all(&file).and_then(|bytes| {
            Superblock::decode(&path, &bytes, FileKind::Mark, Some(store))?;
            Ok(Slots::read(&bytes, Salt::new(store)).newest)
        });
        match decoded {
            Err(Error::Corrupt { place, .. }) if place != Place::Offset(16) => {
                tracing::warn!(file = %path.display(), "the mark is damaged");
                Ok(Self::default())
            }
            outcome => outcome,
        }
    }
}

/// The bytes of a mark's file, as far as they count.
pub(super) fn read_all(file: &ReadFile) -> Result<Vec<u8>> {
    // A longer one is read so far that it is seen to be too long.
    let length = file.length().min(MARK_BYTES + 1);
    file.read(0, length as usize)
}

/// What the slots of a mark's file hold.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) newest: Mark,
    /// Offsets of slots that were written and can't be read.
    pub(super) damaged: Vec<u64>,
}

impl Slots {
    /// Reads the slots of a file whose superblock is sound.
    pub(super) fn read(file: &[u8], salt: Salt) -> Self {
        let mut slots = Self::default();
        let parts = file[SUPERBLOCK_BYTES..].chunks(SLOT_BYTES);
        for (number, slot) in parts.enumerate() {
            let whole = (slot.len() == SLOT_BYTES).then(|| Mark::decode(slot, salt));
            match whole.flatten() {
                Some(mark) if mark.number >= slots.newest.number => slots.newest = mark,
                Some(_) => {}
                None if slot.iter().all(|byte| *byte == 0) => {}
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
    /// Opens the file to continue after the mark that was read from it, or makes a new one if there was none.
    pub(super) fn continuing(
        files: &dyn Files,
        directory: &Path,
        store: &StoreId,
        newest: Mark,
    ) -> Result<Self> {
        if newest == Mark::default() {
            return Self::create(files, directory, store);
        }
        let path = Named::Mark.path(directory);
        let file = files
            .open(&path)
            .map_err(|source| Error::system("open", &path, source))?;
        Ok(Self {
            file,
            salt: Salt::new(store),
            newest,
        })
    }

    /// Makes a file of no marks, in place of any other; not synced.
    pub(super) fn create(files: &dyn Files, directory: &Path, store: &StoreId) -> Result<Self> {
        let path = Named::Mark.path(directory);
        let fault = |source| Error::system("create", &path, source);
        let file = files.create(&path).map_err(fault)?;
        let superblock = Superblock {
            kind: FileKind::Mark,
            store: *store,
            number: 0,
            fields: [0; 5],
        };
        file.write_at(&superblock.encode(), 0).map_err(fault)?;
        Ok(Self {
            file,
            salt: Salt::new(store),
            newest: Mark::default(),
        })
    }

    pub(super) fn write(&mut self, mark: Mark) -> std::io::Result<()> {
        self.newest = Mark {
            number: self.newest.number + 1,
            ..mark
        };
        let slot = self.newest.number % SLOTS;
        let offset = SUPERBLOCK_BYTES as u64 + slot * SLOT_BYTES as u64;
        self.file.write_at(&self.newest.encode(self.salt), offset)
    }

    pub(super) fn sync(&self) -> std::io::Result<()> {
        self.file.sync()
    }
}
