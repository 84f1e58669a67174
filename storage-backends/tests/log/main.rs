//! What is particular to the append-log: wrong, missing and damaged files, locks, a full disk, and space given back.

#![allow(clippy::unwrap_used)]

mod check;
mod damage;
mod processes;
mod refused;
mod space;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use hubledger_storage::{Block, Durability, Extent, LogOptions, Part, Store, StoreUrl};
use support::block;
use tempfile::TempDir;

const BODY_BYTES: usize = 300;
const FLOOR: u64 = 5;
const INDEX_FLOOR: u64 = 4;
const HEADER_FLOOR: u64 = 3;
const END: u64 = 60;

/// Segments of some blocks, index files of which two become one, and no thread.
const SMALL: LogOptions = LogOptions {
    segment_bytes: 6000,
    segment_entries: 1 << 20,
    index_fanout: 2,
    direct_bytes: 1000,
    index_in_background: false,
    cache_bytes: 3000,
    table_memory_bytes: 32 << 20,
    table_cache_bytes: 1 << 20,
};

struct DamageAt(TempDir);

impl DamageAt {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("chain")
    }

    fn url(&self) -> StoreUrl {
        StoreUrl::Log(self.directory())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// A closed store of some small segments, pruned as [`extent`] says, whose first heads were rewritten.
    fn with_chain() -> Self {
        Self::with_chain_in(SMALL)
    }

    fn with_chain_in(options: LogOptions) -> Self {
        let place = Self::new();
        let mut store = options.create(&place.directory()).unwrap();
        for height in 0..END {
            let run = [block(height, BODY_BYTES)];
            store.writer.append(&run, Durability::Os).unwrap();
        }
        Self::finish(store);
        place
    }

    /// Prunes a store as [`extent`] says, gives it a value, and closes it.
    fn finish(mut store: Store) {
        for part in Part::ALL {
            let floor = extent().floor_of(part);
            store.writer.prune(part, floor, u64::MAX).unwrap();
        }
        store
            .writer
            .put_named_value("name", b"value", Durability::Disk)
            .unwrap();
    }

    /// The same chain in a store in which blocks were replaced, some of them in sealed segments: the blocks of a branch were there
    /// first.
    fn with_branches() -> Self {
        let place = Self::new();
        let mut store = SMALL.create(&place.directory()).unwrap();
        let append = |store: &mut Store, range: Range<u64>, of: fn(u64) -> Block| {
            for height in range {
                store.writer.append(&[of(height)], Durability::Os).unwrap();
            }
        };
        let replace = |store: &mut Store, range: Range<u64>| {
            let above = range.start - 1;
            let run: Vec<Block> = range.map(main).collect();
            let receipt = store.writer.replace(above, &run, Durability::Os);
            assert_eq!(receipt.unwrap().durability, Durability::Disk);
        };
        append(&mut store, 0..12, main);
        append(&mut store, 12..30, fork);
        replace(&mut store, 12..14);
        append(&mut store, 14..40, main);
        append(&mut store, 40..43, fork);
        replace(&mut store, 40..45);
        append(&mut store, 45..END - 3, main);
        append(&mut store, END - 3..END + 2, fork);
        replace(&mut store, END - 3..END);
        Self::finish(store);
        place
    }

    fn copy(&self) -> Self {
        let copy = Self::new();
        fs::create_dir(copy.directory()).unwrap();
        for name in self.files() {
            fs::copy(self.file(&name), copy.file(&name)).unwrap();
        }
        copy
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.directory())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Names and contents of all files.
    fn content(&self) -> Vec<(String, Vec<u8>)> {
        let read = |name: String| {
            let bytes = fs::read(self.file(&name)).unwrap();
            (name, bytes)
        };
        self.files().into_iter().map(read).collect()
    }

    /// Asserts that the store can't be opened in any way, that the error names a file, and that nothing changes.
    #[track_caller]
    fn assert_refused(&self, name: &str, expected: &str) {
        let before = self.content();
        for error in [
            self.url().open().map(drop).unwrap_err(),
            self.url().open_read_only().map(drop).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.contains(name) && text.contains(expected), "{text}");
        }
        assert!(self.content() == before, "a refused store was changed");
    }
}

fn main(height: u64) -> Block {
    block(height, BODY_BYTES)
}

/// A block of another branch.
fn fork(height: u64) -> Block {
    Block {
        height,
        ..main(height + 1000)
    }
}

fn extent() -> Extent {
    Extent {
        body_floor: FLOOR,
        index_floor: INDEX_FLOOR,
        header_floor: HEADER_FLOOR,
        end: END,
    }
}
