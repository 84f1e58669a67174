//! Tests: what readers wait for. The lock on the state is theirs too, and while a thread waits to write to it, no further reader
//! gets it; so it is not held for as long as a disk takes, nor for a reading as long as the chain.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::files::{FileHandle, Files, ReadHandle, SystemFiles};
use super::home::{Home, open_home_on};
use super::options::LogOptions;
use super::shared::Shared;
use crate::{Block, Durability, IndexEntry, Part, Store, StoreUrl};

const BLOCKS: u64 = 400;

/// What is done with files, and what of it under the lock.
#[derive(Debug, Default)]
struct Watch {
    shared: OnceLock<Arc<Shared>>,
    changes: AtomicUsize,
    reads: AtomicUsize,
    locked_changes: Mutex<Vec<String>>,
    locked_reads: AtomicUsize,
}

impl Watch {
    fn is_locked(&self) -> bool {
        self.shared.get().is_some_and(|shared| !shared.is_free())
    }

    fn note_change(&self, what: &str, path: &Path) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        if self.is_locked() {
            let change = format!("{what} {}", path.display());
            self.locked_changes.lock().unwrap().push(change);
        }
    }

    fn note_read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.is_locked() {
            self.locked_reads.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often files were read since the last call, and how often under the lock.
    fn take_reads(&self) -> (usize, usize) {
        let take = |count: &AtomicUsize| count.swap(0, Ordering::Relaxed);
        (take(&self.reads), take(&self.locked_reads))
    }
}

/// The system's files, watched.
#[derive(Debug, Default)]
struct WatchedFiles(Arc<Watch>);

impl Files for WatchedFiles {
    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        SystemFiles.list(directory)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        SystemFiles.create_directory(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileHandle>> {
        self.0.note_change("create", path);
        SystemFiles.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FileHandle>> {
        SystemFiles.open(path)
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn ReadHandle>> {
        let (file, watch) = (SystemFiles.open_to_read(path)?, Arc::clone(&self.0));
        Ok(Box::new(WatchedFile { file, watch }))
    }

    fn allocated(&self, path: &Path) -> io::Result<u64> {
        SystemFiles.allocated(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.note_change("rename", from);
        SystemFiles.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.note_change("remove", path);
        SystemFiles.remove(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.0.note_change("sync", directory);
        SystemFiles.sync_directory(directory)
    }

    fn sync(&self, files: &[&dyn FileHandle]) -> Result<(), (usize, io::Error)> {
        self.0.note_change("sync", Path::new("files"));
        SystemFiles.sync(files)
    }
}

#[derive(Debug)]
struct WatchedFile {
    file: Box<dyn ReadHandle>,
    watch: Arc<Watch>,
}

impl ReadHandle for WatchedFile {
    fn length(&self) -> u64 {
        self.file.length()
    }

    fn pin(&self) -> io::Result<()> {
        self.file.pin()
    }

    fn fill(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.watch.note_read();
        self.file.fill(into, offset)
    }

    fn append(&self, into: &mut Vec<u8>, length: usize, offset: u64) -> io::Result<usize> {
        self.watch.note_read();
        self.file.append(into, length, offset)
    }
}

fn block(height: u64) -> Block {
    let key = |position: u32| {
        let mut key = [position as u8; 32];
        key[..8].copy_from_slice(&height.to_le_bytes());
        IndexEntry { key, position }
    };
    let mut id = [b'i'; 32];
    id[..8].copy_from_slice(&height.to_le_bytes());
    Block {
        height,
        id,
        header: "a header".into(),
        body: "the body of a block".repeat(9).into(),
        index: (0..3).map(key).collect(),
    }
}

/// A store that is watched from now on.
fn watched(directory: &Path) -> (Arc<Watch>, Arc<Home>, Store) {
    drop(StoreUrl::Log(directory.into()).create().unwrap());
    let files = WatchedFiles::default();
    let watch = Arc::clone(&files.0);
    let options = LogOptions {
        segment_bytes: 10_000,
        // Fewer than a process may have open to read in tests.
        index_fanout: 2,
        index_in_background: false,
        ..LogOptions::default()
    };
    let (home, store) = open_home_on(Arc::new(files), directory, options).unwrap();
    watch.shared.set(Arc::clone(&home.shared)).unwrap();
    (watch, home, store)
}

fn fill(store: &mut Store) {
    for height in 0..BLOCKS {
        let run = [block(height)];
        store.writer.append(&run, Durability::Disk).unwrap();
    }
}

#[test]
fn readers_wait_for_no_sync_and_for_no_file_that_gets_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let (watch, home, mut store) = watched(folder.path());
    fill(&mut store);
    assert!(home.shared.read().segments.len() > 5);
    let writer = &mut store.writer;
    writer.replace(BLOCKS - 9, &[], Durability::Disk).unwrap();
    let run = [block(BLOCKS - 20), block(BLOCKS - 19)];
    writer.replace(BLOCKS - 21, &run, Durability::Disk).unwrap();
    writer.truncate(BLOCKS - 30).unwrap();
    for part in Part::ALL {
        writer.prune(part, BLOCKS / 2, u64::MAX).unwrap();
    }
    for number in 0..200_u8 {
        let value = [number; 100];
        writer
            .put_named_value("name", &value, Durability::Disk)
            .unwrap();
    }
    assert!(watch.changes.load(Ordering::Relaxed) > BLOCKS as usize);
    let locked = watch.locked_changes.lock().unwrap();
    assert!(locked.is_empty(), "{locked:?}");
}

#[test]
fn readers_wait_for_no_reading_that_grows_with_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (watch, home, mut store) = watched(folder.path());
    fill(&mut store);
    let expect = |what: &str, reads_min: u64| {
        let (reads, locked) = watch.take_reads();
        assert!(reads as u64 >= reads_min, "{what}: only {reads} reads");
        // Of the block that the floor is now at, for the hole that is punched: its place, and its record.
        assert!(
            locked <= 2,
            "{what}: {locked} of {reads} reads under the lock"
        );
    };
    watch.take_reads();
    let receipt = store
        .writer
        .prune(Part::Body, BLOCKS / 2, u64::MAX)
        .unwrap();
    assert_eq!(
        receipt.bytes,
        (0..BLOCKS / 2)
            .map(|height| block(height).body.len() as u64)
            .sum()
    );
    expect("bodies are pruned", BLOCKS / 2);
    for segment in &mut home.shared.write().segments {
        segment.forget_keys();
    }
    assert_eq!(store.reader.usage().unwrap().index_entries, 3 * BLOCKS);
    expect("index entries are counted", BLOCKS);
    {
        // As if all index files had been damaged.
        let mut state = home.shared.write();
        state.index_files.clear();
        state.frozen.clear();
    }
    assert_eq!(store.reader.height_of(&[b'?'; 32]).unwrap(), None);
    expect("an id is looked up that is not indexed", BLOCKS / 2);
    assert_eq!(store.reader.height_of(&block(7).id).unwrap(), Some(7));
    watch.take_reads();
    store.writer.truncate(BLOCKS - 3).unwrap();
    expect("a block is taken off", 1);
    assert_eq!(
        store.reader.usage().unwrap().index_entries,
        3 * (BLOCKS - 2)
    );
}
