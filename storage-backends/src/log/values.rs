//! Named values: a file of frames, of which the last for each name counts.
//!
//! When most of the file is old values, the live ones are written to a new file, the next generation, which takes the
//! name that is looked for first only when it is whole and on the disk.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::files::FileHandle;
use super::format::{
    FRAME_BYTES, FileKind, FrameKind, Named, SUPERBLOCK_BYTES, Salt, Superblock, VERSION,
    finish_frame,
};
use super::mark::Mark;
use super::read_file::{Pieces, ReadFile};
use super::scan::{Frame, check_tail, whole_frame};
use super::shared::LogContext;
use super::state::{StoredValue, Values};
use crate::toolbox::little_endian::u32_at;
use crate::{Error, Result, VALUE_NAME_BYTES_MAX};

/// Old values may always take this much; little in tests of this crate, so that they come to rewriting.
const OLD_BYTES_MIN: u64 = if cfg!(test) { 500 } else { 1 << 20 };
const PAYLOAD_HEAD_BYTES: usize = 8;

/// The file of values as it was found.
#[derive(Debug)]
pub(super) struct FoundValues {
    pub(super) values: Values,
    pub(super) generation: u64,
    pub(super) frames_end: u64,
    pub(super) content: u32,
    /// Bytes known to be on the disk.
    pub(super) synced: u64,
    /// The file's length.
    pub(super) length: u64,
}

impl FoundValues {
    /// Reads the file of a generation and decides where it ends.
    pub(super) fn read(context: &LogContext, generation: u64, mark: &Mark) -> Result<Self> {
        let path = Named::Values(generation).path(&context.directory);
        let file = context.open_to_read(&path)?;
        let head = file.head()?;
        let superblock = Superblock::decode(&path, &head, FileKind::Values, Some(&context.store))?;
        if superblock.number != generation {
            let reason = "the file has another one's name";
            return Err(file.corrupt(32, reason));
        }
        let mut pieces = Pieces::new(&file);
        let length = file.length();
        let mut by_name = BTreeMap::new();
        let mut end = SUPERBLOCK_BYTES as u64;
        let mut content = superblock.checksum();
        let mut synced = end;
        // The mark may be of the generation before: a crash came between the renaming and the mark.
        if mark.generation == generation {
            synced = synced.max(mark.values);
        }
        while let Some(frame) = whole_frame(&mut pieces, end, length, content, context.salt)? {
            let Some((name, value_at)) = decode_value(&mut pieces, &frame)? else {
                return Err(file.corrupt(end, "the frame is no value"));
            };
            by_name.insert(name, value_at);
            synced = synced.max(frame.head.synced);
            content = frame.head.checksum;
            end = frame.end();
        }
        check_tail(&mut pieces, end, synced, context.salt)?;
        file.show(end);
        Ok(Self {
            values: Values { file, by_name },
            generation,
            frames_end: end,
            content,
            synced,
            length,
        })
    }
}

/// The name of a value and where it is, from its frame.
pub(super) fn decode_value(
    pieces: &mut Pieces<'_>,
    frame: &Frame,
) -> Result<Option<(String, StoredValue)>> {
    let head_length = (PAYLOAD_HEAD_BYTES + VALUE_NAME_BYTES_MAX) as u64;
    let head_length = head_length.min(frame.head.length) as usize;
    let head = pieces.get(frame.payload(), head_length)?;
    Ok(head.and_then(|head| value_of_head(head, frame)))
}

/// The same, of the payload's first bytes.
fn value_of_head(head: &[u8], frame: &Frame) -> Option<(String, StoredValue)> {
    let key_bytes = u32_at(head.get(..PAYLOAD_HEAD_BYTES)?, 0) as usize;
    // The length comes from the file; it is bounded before it leads anywhere.
    if frame.head.kind != FrameKind::Value || key_bytes > VALUE_NAME_BYTES_MAX {
        return None;
    }
    let start = PAYLOAD_HEAD_BYTES + key_bytes;
    let key = head.get(PAYLOAD_HEAD_BYTES..start)?;
    let length = usize::try_from(frame.head.height).ok()?;
    if start.checked_add(length)? as u64 != frame.head.length {
        return None;
    }
    let value_at = StoredValue {
        offset: frame.payload() + start as u64,
        length,
        checksum: u32_at(head, 4),
    };
    Some((String::from_utf8(key.to_vec()).ok()?, value_at))
}

/// The file of values, to be written to.
#[derive(Debug)]
pub(super) struct ValueFile {
    pub(super) file: Box<dyn FileHandle>,
    pub(super) generation: u64,
    pub(super) end: u64,
    pub(super) content: u32,
    pub(super) synced: u64,
    /// Bytes that the live values take.
    live: u64,
}

impl ValueFile {
    pub(super) fn continuing(file: Box<dyn FileHandle>, found: &FoundValues) -> Self {
        Self {
            file,
            generation: found.generation,
            end: found.frames_end,
            content: found.content,
            synced: found.frames_end,
            live: live_bytes(&found.values.by_name),
        }
    }

    /// Makes the first file of a store, synced.
    pub(super) fn create(context: &LogContext, generation: u64) -> Result<()> {
        let path = Named::Values(generation).path(&context.directory);
        let fault = |source| Error::system("create", &path, source);
        let file = context.files.create(&path).map_err(fault)?;
        file.write_at(&superblock(context, generation).encode(), 0)
            .map_err(fault)?;
        file.sync().map_err(fault)
    }

    pub(super) fn is_synced(&self) -> bool {
        self.synced == self.end
    }

    /// Appends a value; gives where it is.
    pub(super) fn append(
        &mut self,
        salt: Salt,
        key: &str,
        value: &[u8],
    ) -> std::io::Result<StoredValue> {
        let mut frame = value_frame(salt, key, value);
        let checksum = finish_frame(
            &mut frame,
            salt,
            FrameKind::Value,
            value.len() as u64,
            self.synced,
            self.content,
        );
        self.file.write_at(&frame, self.end)?;
        let value_at = StoredValue {
            offset: self.end + (FRAME_BYTES + PAYLOAD_HEAD_BYTES + key.len()) as u64,
            length: value.len(),
            checksum: salt.checksum(value),
        };
        // Only after the write: a value that a full disk cut short is behind the end, and is cut off.
        self.end += frame.len() as u64;
        self.content = checksum;
        Ok(value_at)
    }

    /// Notes which values are live now.
    pub(super) fn count(&mut self, by_name: &BTreeMap<String, StoredValue>) {
        self.live = live_bytes(by_name);
    }

    /// Whether the file should be rewritten.
    pub(super) fn is_mostly_old(&self) -> bool {
        self.end > OLD_BYTES_MIN + 3 * self.live
    }

    /// Writes the live values to a file of the next generation, which is on the disk under its name when this returns.
    pub(super) fn rewrite(&self, context: &LogContext, values: &Values) -> Result<(Self, Values)> {
        let generation = self.generation + 1;
        let path = Named::Values(generation).path(&context.directory);
        let fresh = path.with_extension("new");
        let fault = |source| Error::system("rewrite the named values", &fresh, source);
        let head = superblock(context, generation);
        let mut next = Self {
            file: context.files.create(&fresh).map_err(fault)?,
            generation,
            end: SUPERBLOCK_BYTES as u64,
            content: head.checksum(),
            synced: SUPERBLOCK_BYTES as u64,
            live: self.live,
        };
        next.file.write_at(&head.encode(), 0).map_err(fault)?;
        let mut by_name = BTreeMap::new();
        for (key, value_at) in &values.by_name {
            // Checked again: copied with a fresh checksum, a damaged value would pass for sound.
            let value = read_value(&values.file, value_at, context.salt)?;
            let value_at = next.append(context.salt, key, &value).map_err(fault)?;
            by_name.insert(key.clone(), value_at);
        }
        next.file.sync().map_err(fault)?;
        next.synced = next.end;
        // Named once its content is on the disk, and on the disk under its name before the caller unlinks the file before it:
        // at any crash one of the two is whole.
        context.files.rename(&fresh, &path).map_err(fault)?;
        sync_directory(context)?;
        let file = context.open_to_read(&path)?;
        Ok((next, Values { file, by_name }))
    }
}

pub(super) fn sync_directory(context: &LogContext) -> Result<()> {
    context
        .files
        .sync_directory(&context.directory)
        .map_err(|source| Error::system("sync", &context.directory, source))
}

/// A value, checked.
pub(super) fn read_value(file: &ReadFile, value_at: &StoredValue, salt: Salt) -> Result<Bytes> {
    let value = file.bytes(value_at.offset, value_at.length)?;
    match salt.checksum(&value) == value_at.checksum {
        true => Ok(value),
        false => Err(file.corrupt(value_at.offset, "a named value is damaged")),
    }
}

fn live_bytes(by_name: &BTreeMap<String, StoredValue>) -> u64 {
    by_name
        .values()
        .map(|value_at| {
            (value_at.length + FRAME_BYTES + PAYLOAD_HEAD_BYTES + VALUE_NAME_BYTES_MAX) as u64
        })
        .sum()
}

fn superblock(context: &LogContext, generation: u64) -> Superblock {
    Superblock {
        kind: FileKind::Values,
        version: VERSION,
        store: context.store,
        number: generation,
        fields: [0; 5],
    }
}

fn value_frame(salt: Salt, key: &str, value: &[u8]) -> Vec<u8> {
    let mut frame =
        Vec::with_capacity(FRAME_BYTES + PAYLOAD_HEAD_BYTES + key.len() + value.len() + 8);
    frame.resize(FRAME_BYTES, 0);
    frame.extend_from_slice(&(key.len() as u32).to_le_bytes());
    frame.extend_from_slice(&salt.checksum(value).to_le_bytes());
    frame.extend_from_slice(key.as_bytes());
    frame.extend_from_slice(value);
    frame
}
