//! The files of a small append-log, and edits that an input describes: bytes changed, cut, added, files taken
//! away, and frames forged with checksums that are right.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use hubledger_storage::{Block, Durability, Id, IndexEntry, LogOptions, Part};

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
};
/// Edits that one input can ask for.
const EDITS_MAX: usize = 8;

const SUPERBLOCK_BYTES: usize = 80;
const FRAME_BYTES: usize = 48;

/// The block at a height.
#[must_use]
pub fn log_block(height: u64) -> Block {
    let id = |kind: u8, number: u8| {
        let mut id = Id::default();
        id[0] = kind;
        id[1] = number;
        id[2..10].copy_from_slice(&height.to_le_bytes());
        id
    };
    Block {
        height,
        id: id(1, 0),
        header: Bytes::from(format!("header {height}")),
        body: Bytes::from(format!("body of {height} ").repeat(9)),
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

fn whole() -> &'static Whole {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let place = temporary();
        let directory = place.path().join("log");
        let mut store = LOG_OPTIONS.create(&directory).expect("a store");
        let first_mark = fs::read(directory.join("mark")).expect("the mark");
        for height in 0..LOG_END {
            let run = [log_block(height)];
            store
                .writer
                .append(&run, Durability::Os)
                .expect("a valid block");
        }
        for (part, floor) in Part::ALL.into_iter().zip(LOG_FLOORS) {
            store
                .writer
                .prune(part, floor, u64::MAX)
                .expect("a valid floor");
        }
        store
            .writer
            .put_meta("name", b"value", Durability::Os)
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

/// A directory in memory where there is one: inputs are many, and each syncs a dozen times.
fn temporary() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary directory")
}

thread_local! {
    static PLACE: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

/// The directory of a damaged log. One a thread, overwritten by every input.
#[derive(Debug)]
pub struct DamagedLog {
    directory: PathBuf,
    forged: bool,
}

impl DamagedLog {
    /// The log with the damage that an input describes.
    ///
    /// # Panics
    /// If the temporary directory can't be written.
    #[must_use]
    pub fn of(input: &[u8]) -> Self {
        let mut files = whole().files.clone();
        let mut input = Input(input);
        let mut forged = false;
        for _ in 0..EDITS_MAX {
            let Some(kind) = input.byte() else {
                break;
            };
            forged |= edit(&mut files, kind, &mut input);
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
        Self { directory, forged }
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
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
fn edit(files: &mut Files, kind: u8, input: &mut Input<'_>) -> bool {
    if files.is_empty() {
        return false;
    }
    let old_mark = kind / 6 % 2 == 1;
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
            forge(files, 1, height, record)
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
                2 if old_mark && name == "mark" => bytes.clone_from(&whole().first_mark),
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
