//! The files of a small append-log, and edits that an input describes: bytes changed, cut, added, files taken
//! away, and frames forged with checksums that are right.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use hubledger_storage::{Block, Durability, Id, IndexEntry, LogOptions, Part, Store};

use crate::scratch::temporary;

/// Blocks in the log.
pub const LOG_END: u64 = 30;
/// Blocks whose bodies, index entries and headers are pruned.
pub const LOG_FLOORS: [u64; 3] = [9, 7, 5];
/// Segments of a few blocks, index files of which two become one, and no thread.
pub const LOG_OPTIONS: LogOptions = LogOptions {
    segment_bytes: 1500,
    segment_entries: 1 << 20,
    index_fanout: 2,
    direct_bytes: 500,
    index_in_background: false,
    cache_bytes: 4000,
    table_memory_bytes: 32 << 20,
    table_cache_bytes: 1 << 20,
};
/// Edits that one input can ask for.
const EDITS_MAX: usize = 8;

const SUPERBLOCK_BYTES: usize = 80;
const FRAME_BYTES: usize = 48;

/// Heights at which the log with branches has blocks of another branch until they are replaced: to where those reach, and to where
/// the blocks that replace them do.
const BRANCHES: [[u64; 3]; 3] = [[4, 9, 6], [15, 18, 20], [26, 32, 28]];

/// The block at a height.
#[must_use]
pub fn log_block(height: u64) -> Block {
    branch_block(0, height)
}

/// The block at a height that another took the place of, where the log has branches.
#[must_use]
pub fn replaced_block(height: u64) -> Option<Block> {
    let within = |[first, end, _]: &[u64; 3]| (*first..*end).contains(&height);
    BRANCHES.iter().any(within).then(|| branch_block(1, height))
}

fn branch_block(branch: u8, height: u64) -> Block {
    let id = |kind: u8, number: u8| {
        let mut id = Id::default();
        id[0] = kind;
        id[1] = number;
        id[2..10].copy_from_slice(&height.to_le_bytes());
        id[10] = branch;
        id
    };
    Block {
        height,
        id: id(1, 0),
        header: Bytes::from(format!("header {height}")),
        body: Bytes::from(format!("body of {height} ").repeat(9 + usize::from(branch))),
        index: (0..3)
            .map(|position| IndexEntry {
                key: id(2, position),
                position: u32::from(position) + (height % 2) as u32,
            })
            .collect(),
    }
}

type Files = Vec<(String, Vec<u8>)>;

/// A log that was closed.
struct Whole {
    files: Files,
    /// Its mark when it was made, which tells of nothing that came later.
    first_mark: Vec<u8>,
}

/// The log; with branches, it came to the same blocks by replacing others.
fn whole(has_branches: bool) -> &'static Whole {
    static WHOLE: [OnceLock<Whole>; 2] = [const { OnceLock::new() }; 2];
    WHOLE[usize::from(has_branches)].get_or_init(|| {
        let place = temporary();
        let directory = place.path().join("log");
        let mut store = LOG_OPTIONS.create(&directory).expect("a store");
        let first_mark = fs::read(directory.join("mark")).expect("the mark");
        let mut next = 0;
        for [first, replaced_end, end] in BRANCHES.into_iter().filter(|_| has_branches) {
            append(&mut store, (next..first).map(log_block));
            let others = (first..replaced_end).map(|height| branch_block(1, height));
            append(&mut store, others);
            let run: Vec<Block> = (first..end).map(log_block).collect();
            let replaced = store.writer.replace(first - 1, &run, Durability::Os);
            replaced.expect("valid blocks");
            next = end;
        }
        append(&mut store, (next..LOG_END).map(log_block));
        for (part, floor) in Part::ALL.into_iter().zip(LOG_FLOORS) {
            store
                .writer
                .prune(part, floor, u64::MAX)
                .expect("a valid floor");
        }
        store
            .writer
            .put_named_value("name", b"value", Durability::Os)
            .expect("a value");
        drop(store);
        let mut files: Files = fs::read_dir(&directory)
            .expect("the store's directory")
            .map(|entry| {
                let entry = entry.expect("a name");
                let bytes = fs::read(entry.path()).expect("a file");
                (entry.file_name().to_string_lossy().into_owned(), bytes)
            })
            .collect();
        files.sort();
        Whole { files, first_mark }
    })
}

fn append(store: &mut Store, blocks: impl Iterator<Item = Block>) {
    for block in blocks {
        let appended = store.writer.append(&[block], Durability::Os);
        appended.expect("a valid block");
    }
}

thread_local! {
    static PLACE: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

/// The directory of a damaged log. One a thread, overwritten by every input.
#[derive(Debug)]
pub struct DamagedLog {
    directory: PathBuf,
    has_branches: bool,
    forged: bool,
}

impl DamagedLog {
    /// The log with the damage that an input describes, which is that of the log with branches if its first byte is 128 or more.
    ///
    /// # Panics
    /// If the temporary directory can't be written.
    #[must_use]
    pub fn of(input: &[u8]) -> Self {
        let has_branches = input.first().is_some_and(|first| first & 0x80 != 0);
        let whole = whole(has_branches);
        let mut files = whole.files.clone();
        let mut input = Input(input);
        let mut forged = false;
        for number in 0..EDITS_MAX {
            let Some(kind) = input.byte() else {
                break;
            };
            let kind = if number == 0 { kind & 0x7f } else { kind };
            forged |= edit(whole, &mut files, kind, &mut input);
        }
        let directory = PLACE.with_borrow_mut(|slot| {
            let place = slot.get_or_insert_with(temporary);
            place.path().join("log")
        });
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).expect("the directory was removed");
        for (name, bytes) in files {
            fs::write(directory.join(name), bytes).expect("a file in a temporary directory");
        }
        Self {
            directory,
            has_branches,
            forged,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether blocks were replaced, so that the last frames can't be lost without bringing others back.
    #[must_use]
    pub const fn has_branches(&self) -> bool {
        self.has_branches
    }

    /// Whether frames with right checksums were made up, so that any content may come back.
    #[must_use]
    pub const fn is_forged(&self) -> bool {
        self.forged
    }
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number of three bytes; zeros where the input ends.
    fn number(&mut self) -> usize {
        (0..3).fold(0, |number, place| {
            number | usize::from(self.byte().unwrap_or(0)) << (8 * place)
        })
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.byte().map_or(0, usize::from).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes.to_vec()
    }
}

/// Does one edit; true if it made up valid frames.
fn edit(whole: &Whole, files: &mut Files, kind: u8, input: &mut Input<'_>) -> bool {
    if files.is_empty() {
        return false;
    }
    // Of each kind of edit there are two, of which some differ.
    let is_second = kind / 6 % 2 == 1;
    match kind % 6 {
        4 => {
            let kind = u32::from(input.byte().unwrap_or(0) % 10);
            let height = input.number() as u64;
            let payload = input.bytes();
            forge(files, kind, height, payload)
        }
        5 => {
            let height = input.number() as u64;
            let record = forged_record(files, height, input);
            // A run, or one that replaces blocks.
            forge(files, if is_second { 9 } else { 1 }, height, record)
        }
        kind => {
            let number = usize::from(input.byte().unwrap_or(0)) % files.len();
            let (name, bytes) = &mut files[number];
            match kind {
                0 => {
                    let at = input.number() % bytes.len().max(1);
                    for (byte, mask) in bytes.iter_mut().skip(at).zip(input.bytes()) {
                        *byte ^= mask;
                    }
                }
                1 => {
                    let kept = input.number() % (bytes.len() + 1);
                    bytes.truncate(kept);
                }
                // Every other time the mark is as if its later writes had been lost, for without one nothing is opened.
                2 if is_second && name == "mark" => bytes.clone_from(&whole.first_mark),
                2 => drop(files.remove(number)),
                _ => bytes.extend(input.bytes()),
            }
            false
        }
    }
}

fn salt(files: &Files) -> Option<u32> {
    let (_, store) = files.iter().find(|(name, _)| name == "store")?;
    Some(crc32c::crc32c(store.get(16..32)?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Puts a frame at the end of the last segment's frames.
fn forge(files: &mut Files, kind: u32, height: u64, payload: Vec<u8>) -> bool {
    let Some(salt) = salt(files) else {
        return false;
    };
    let heads = files
        .iter_mut()
        .filter(|(name, _)| name.starts_with("heads"));
    let Some((_, bytes)) = heads.last() else {
        return false;
    };
    let Some((end, previous)) = frames_end(bytes) else {
        return false;
    };
    let mut frame = b"HLFR".to_vec();
    frame.extend(kind.to_le_bytes());
    frame.extend((payload.len() as u64).to_le_bytes());
    frame.extend(height.to_le_bytes());
    frame.extend((SUPERBLOCK_BYTES as u64).to_le_bytes());
    frame.extend(previous.to_le_bytes());
    frame.extend(crc32c::crc32c_append(salt, &payload).to_le_bytes());
    frame.extend([0; 4]);
    let checksum = crc32c::crc32c_append(salt, &frame);
    frame.extend(checksum.to_le_bytes());
    frame.extend(payload);
    frame.resize(frame.len().next_multiple_of(8), 0);
    bytes.truncate(end);
    bytes.extend(frame);
    true
}

/// Where the frames end, and the last one's checksum.
fn frames_end(bytes: &[u8]) -> Option<(usize, u32)> {
    let mut end = SUPERBLOCK_BYTES;
    let mut previous = u32_at(bytes, 12)?;
    while bytes.get(end..end + 4) == Some(b"HLFR") {
        let length = u32_at(bytes, end + 8)? as usize;
        let next = (end + FRAME_BYTES)
            .checked_add(length)?
            .checked_next_multiple_of(8)?;
        if next > bytes.len() {
            break;
        }
        previous = u32_at(bytes, end + 44)?;
        end = next;
    }
    Some((end, previous))
}

/// A record whose lengths, places and content are the input's, with checksums that are right.
fn forged_record(files: &Files, height: u64, input: &mut Input<'_>) -> Vec<u8> {
    let salt = salt(files).unwrap_or(0);
    let (header, entries) = (input.byte().unwrap_or(0), input.byte().unwrap_or(0));
    let listed = u32::from(input.byte().unwrap_or(0) % 3);
    let (body_at, body) = (input.number() as u64, input.number() as u32);
    let content = input.bytes();
    let mut fixed = Vec::new();
    fixed.extend(u32::from(header).to_le_bytes());
    fixed.extend(u32::from(entries).to_le_bytes());
    fixed.extend(listed.to_le_bytes());
    fixed.extend(height.to_le_bytes());
    fixed.extend(body_at.to_le_bytes());
    fixed.extend(body.to_le_bytes());
    fixed.extend([0; 12]);
    fixed.extend([height as u8; 32]);
    let mut record = crc32c::crc32c_append(salt, &fixed).to_le_bytes().to_vec();
    record.extend(fixed);
    record.extend(content);
    record
}
