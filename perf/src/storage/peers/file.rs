//! One file, a frame for each block: what the disk and a checksum cost.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Result, bail};
use hubledger_storage::{Block, Durability, Id};

use crate::storage::keeper::Keeper;
use crate::storage::workload::Place;

/// Frames of length, CRC32C, header and body.
pub(crate) struct PlainFile {
    file: File,
    durability: Durability,
}

impl PlainFile {
    pub(crate) fn open(directory: &Path, durability: Durability) -> Result<Self> {
        let path = directory.join("blocks");
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file, durability })
    }
}

impl Keeper for PlainFile {
    fn append(&mut self, run: &[Block]) -> Result<()> {
        for block in run {
            let checksum = crc32c::crc32c_append(crc32c::crc32c(&block.header), &block.body);
            let length = u32::try_from(block.header.len() + block.body.len())?;
            let mut start = Vec::with_capacity(8 + block.header.len());
            start.extend_from_slice(&length.to_le_bytes());
            start.extend_from_slice(&checksum.to_le_bytes());
            start.extend_from_slice(&block.header);
            self.file.write_all(&start)?;
            self.file.write_all(&block.body)?;
        }
        if self.durability == Durability::Disk {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn locate(&self, _: &Id) -> Result<Option<Place>> {
        bail!("a plain file keeps no index")
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
