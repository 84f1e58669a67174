//! Tables in RocksDB.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hubledger_storage::{Durability, RocksOptions, StoreUrl, TableChange, TableCommit};
use tempfile::TempDir;

use crate::sample::{END, SETS, ask, ask_damaged, ask_view, begin_anew, check, commit, fill};

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A closed store with tables.
    fn filled() -> Self {
        let place = Self::new();
        fill(&mut place.url().create().unwrap());
        place
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("chain")
    }

    fn url(&self) -> StoreUrl {
        let options = RocksOptions {
            cache_mib: 4,
            write_buffer_mib: 1,
            open_files: 64,
            ..RocksOptions::default()
        };
        StoreUrl::Rocksdb(self.directory(), options)
    }

    fn copy(&self) -> Self {
        let place = Self::new();
        fs::create_dir_all(place.directory().join("db")).unwrap();
        for path in self.files() {
            let name = path.strip_prefix(self.directory()).unwrap();
            fs::copy(&path, place.directory().join(name)).unwrap();
        }
        place
    }

    fn files(&self) -> Vec<PathBuf> {
        let list = |directory: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(directory).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect()
        };
        let mut files = list(&self.directory());
        files.extend(list(&self.directory().join("db")));
        files.retain(|path| path.is_file());
        files.sort();
        files
    }
}

#[test]
fn a_flipped_byte_is_reported_or_harmless() {
    let whole = Place::filled();
    let (mut reported, mut flips) = (0, 0);
    for path in whole.files() {
        let bytes = fs::read(&path).unwrap();
        let name = path.strip_prefix(whole.directory()).unwrap().to_owned();
        for offset in (flips % 5..bytes.len()).step_by(1 + bytes.len() / 6) {
            flips += 1;
            let place = whole.copy();
            let mut damaged = bytes.clone();
            damaged[offset] ^= [0x01, 0x80, 0xFF][flips % 3];
            fs::write(place.directory().join(&name), damaged).unwrap();
            match catch_unwind(AssertUnwindSafe(|| ask_damaged(&place.url()))) {
                Ok(found) => reported += usize::from(found.unwrap()),
                Err(_) => panic!("{}, byte {offset}: a wrong answer", name.display()),
            }
        }
    }
    assert!(reported > flips / 5, "{reported} of {flips}");
}

#[test]
fn a_set_begins_anew_and_views_outlive_the_writers() {
    let place = Place::filled();
    let store = place.url().open().unwrap();
    ask(&*store.reader).unwrap();
    let view = store.reader.tables().view(SETS[1]).unwrap();
    drop(store);
    begin_anew(&place.url());
    ask_view(&*view, Some(END)).unwrap();
}

#[test]
fn a_removed_set_gives_its_space_back_once_no_view_is_in_the_way() {
    let place = Place::new();
    let mut store = place.url().create().unwrap();
    let row = |number: u32| TableChange {
        table: 1,
        key: Bytes::copy_from_slice(&number.to_be_bytes()),
        value: Some(vec![7; 1000].into()),
    };
    let large = TableCommit {
        changes: (0..5000).map(row).collect(),
        ..commit(1, 0)
    };
    let bytes = |store: &hubledger_storage::Store| store.reader.usage().unwrap().bytes_on_disk;
    for set in ["one", "two"] {
        store.tables.commit(set, &large, Durability::Os).unwrap();
    }
    let view = store.reader.tables().view("one").unwrap();
    store.tables.remove("one").unwrap();
    assert_eq!(view.get(1, &[0; 4]).unwrap().unwrap(), vec![7; 1000]);
    assert!(bytes(&store) > 10_000_000);
    drop(view);
    store.tables.remove("two").unwrap();
    let left = bytes(&store);
    assert!(left < 7_000_000, "{left}");
    assert_eq!(check(&place.url()), [""; 0]);
}
