//! What is particular to the RocksDB backend: wrong directories, damaged files, locks, and space given back.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use hubledger_storage::{
    Block, Durability, Error, Extent, IndexOptions, Part, RocksOptions, StoreUrl,
};
use support::{ask, ask_entries, block};
use tempfile::TempDir;

const BODY_BYTES: usize = 300;
const END: u64 = 60;
const OPTIONS: RocksOptions = RocksOptions {
    cache_mib: 4,
    write_buffer_mib: 1,
    compression: false,
    open_files: 64,
    index: IndexOptions {
        entries_in_memory: 40,
        fanout: 2,
    },
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
        StoreUrl::Rocksdb(self.directory(), OPTIONS)
    }

    /// A closed store whose index has runs.
    fn with_chain() -> Self {
        let place = Self::new();
        let mut store = place.url().create().unwrap();
        for height in 0..END {
            let run = [block(height, BODY_BYTES)];
            store.writer.append(&run, Durability::Os).unwrap();
        }
        place
    }

    fn copy(&self) -> Self {
        let place = Self::new();
        copy(&self.directory(), &place.directory());
        place
    }

    /// All files, by path.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut directories = vec![self.directory()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files.sort();
        files
    }

    fn ask(&self) -> Result<(), Error> {
        let reader = self.url().open_read_only()?;
        ask(&*reader, Extent::whole(END), BODY_BYTES)
    }

    fn check(&self) -> Vec<String> {
        let mut found = Vec::new();
        let checked = self
            .url()
            .check(&mut |damage| found.push(damage.to_string()))
            .unwrap();
        assert_eq!(checked.damage, found.len() as u64);
        found
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Opens the URL in each way that needs a store; all must fail alike.
#[track_caller]
fn refusal(url: &StoreUrl) -> Error {
    let open = url.open().unwrap_err();
    let read_only = url.open_read_only().map(drop).unwrap_err();
    assert_eq!(open.to_string(), read_only.to_string());
    open
}

#[test]
fn what_is_no_store_is_refused_and_unchanged() {
    let place = DamageAt::new();
    assert!(refusal(&place.url()).is_not_found());
    fs::create_dir(place.directory()).unwrap();
    let text = refusal(&place.url()).to_string();
    assert!(text.contains("an empty directory"), "{text}");
    for (name, content, told) in [
        ("notes", &b"mine"[..], "without the file `store`"),
        ("store", b"HLSTORE\0 and more", "of another kind"),
        ("store", b"", "of another kind"),
        ("store", b"HLROCKS\0\x07\0\0\0", "version 7"),
        ("store", b"HLROCKS\0\x01\0\0\0x", "wrong length"),
        ("store", b"HLROCKS\0\x01\0\0\0", "`db` is missing"),
    ] {
        let place = DamageAt::new();
        fs::create_dir(place.directory()).unwrap();
        let file = place.directory().join(name);
        fs::write(&file, content).unwrap();
        let text = refusal(&place.url()).to_string();
        assert!(
            text.contains(told) && text.contains("chain"),
            "{name}: {text}"
        );
        let created = place.url().create().unwrap_err();
        assert!(matches!(created, Error::Exists { .. }), "{created}");
        assert_eq!(place.files(), std::slice::from_ref(&file));
        assert_eq!(fs::read(file).unwrap(), content);
    }
}

#[test]
fn an_interrupted_creation_is_made_anew() {
    let place = DamageAt::new();
    fs::create_dir_all(place.directory().join("db")).unwrap();
    fs::write(place.directory().join("db/CURRENT"), "half").unwrap();
    fs::write(place.directory().join("store.new"), "").unwrap();
    assert!(!place.url().exists());
    drop(place.url().open_or_create().unwrap());
    assert!(place.url().exists());
    assert_eq!(place.check(), [""; 0]);
}

#[test]
fn one_store_has_one_writer_and_many_readers() {
    let place = DamageAt::with_chain();
    let early = place.url().open_read_only().unwrap();
    let mut store = place.url().open().unwrap();
    let second = place.url().open().unwrap_err();
    assert!(matches!(second, Error::InUse { .. }), "{second}");
    store
        .writer
        .append(&[block(END, BODY_BYTES)], Durability::Disk)
        .unwrap();
    ask(&*early, Extent::whole(END + 1), BODY_BYTES).unwrap();
    ask_entries(&*early, Extent::whole(END + 1)).unwrap();
}

#[test]
fn pruning_gives_measured_space_back() {
    let place = DamageAt::new();
    let mut store = place.url().create().unwrap();
    let size = 100_000;
    for height in 0..100 {
        let run = [block(height, size)];
        store.writer.append(&run, Durability::Os).unwrap();
    }
    let receipt = store.writer.prune(Part::Body, 90, u64::MAX).unwrap();
    assert!(receipt.bytes >= 9_000_000);
    assert!(
        receipt.freed_bytes >= receipt.bytes * 95 / 100,
        "{receipt:?}"
    );
    let left = store.reader.usage().unwrap().bytes_on_disk;
    assert!(left < 8_000_000, "{left}");
    let extent = Extent {
        body_floor: 90,
        ..Extent::whole(100)
    };
    ask(&*store.reader, extent, size).unwrap();
}

/// Any of those of the index: each leads to one damaged place.
#[test]
fn a_flipped_byte_of_the_index_is_one_line_for_all_that_it_hides() {
    let options = RocksOptions {
        index: IndexOptions {
            entries_in_memory: 2000,
            fanout: 8,
        },
        ..OPTIONS
    };
    let whole = DamageAt::new();
    let mut store = options.create(&whole.directory()).unwrap();
    for first in (0..900).step_by(100) {
        let run: Vec<Block> = (first..first + 100)
            .map(|height| block(height, 10))
            .collect();
        store.writer.append(&run, Durability::Os).unwrap();
    }
    drop(store);
    assert_eq!(whole.check(), [""; 0]);
    let mut most = 0;
    for path in whole.files() {
        // Pages and filters of 16 bytes an entry: nothing else here is as large.
        let bytes = fs::read(&path).unwrap();
        let is_table = path.extension().is_some_and(|extension| extension == "sst");
        if !is_table || bytes.len() < 40_000 {
            continue;
        }
        let name = path.strip_prefix(whole.directory()).unwrap();
        for offset in (0..bytes.len() / 2).step_by(3001) {
            let place = whole.copy();
            let mut damaged = bytes.clone();
            damaged[offset] ^= 1;
            fs::write(place.directory().join(name), damaged).unwrap();
            let mut found = Vec::new();
            let checked = place.url().check(&mut |damage| found.push(damage)).unwrap();
            assert!((1..=3).contains(&checked.damage), "{offset}: {found:#?}");
            most = most.max(found.iter().map(|damage| damage.times).max().unwrap());
        }
    }
    assert!(most > 100, "{most}");
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_refused_and_stays() {
    let place = DamageAt::new();
    let target = place.0.path().join("unmounted");
    std::os::unix::fs::symlink(&target, place.directory()).unwrap();
    assert!(place.url().exists());
    for error in [
        refusal(&place.url()),
        place.url().create().unwrap_err(),
        place.url().open_or_create().unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unusable { .. }), "{error}");
        assert!(error.to_string().contains("a symbolic link to"), "{error}");
    }
    assert_eq!(fs::read_link(place.directory()).unwrap(), target);
    assert!(!target.exists());
}

/// One database, which two directories lead to.
#[cfg(unix)]
#[test]
fn one_writer_through_all_names_of_a_database() {
    let place = DamageAt::with_chain();
    let other = place.0.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::copy(place.directory().join("store"), other.join("store")).unwrap();
    std::os::unix::fs::symlink(place.directory().join("db"), other.join("db")).unwrap();
    let mut held = place.url().open().unwrap();
    let url = StoreUrl::Rocksdb(other, OPTIONS);
    assert!(matches!(url.open().unwrap_err(), Error::InUse { .. }));
    let run = [block(END, BODY_BYTES)];
    held.writer.append(&run, Durability::Disk).unwrap();
    let reader = url.open_read_only().unwrap();
    ask(&*reader, Extent::whole(END + 1), BODY_BYTES).unwrap();
}

/// So several names of RocksDB's files do no harm.
#[cfg(unix)]
#[test]
fn a_copy_that_is_made_of_hard_links_stays_as_it_was() {
    fn link(from: &Path, to: &Path) {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let target = to.join(path.file_name().unwrap());
            match path.is_dir() {
                true => link(&path, &target),
                false => fs::hard_link(&path, &target).unwrap(),
            }
        }
    }
    let (place, copy) = (DamageAt::with_chain(), DamageAt::new());
    link(&place.directory(), &copy.directory());
    let content = || -> Vec<_> {
        let read = |path: PathBuf| {
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        };
        copy.files().into_iter().map(read).collect()
    };
    let before = content();
    let mut store = place.url().open().unwrap();
    // Both have one lock.
    assert!(matches!(
        copy.url().open().unwrap_err(),
        Error::InUse { .. }
    ));
    for height in END..2 * END {
        let run = [block(height, BODY_BYTES)];
        store.writer.append(&run, Durability::Disk).unwrap();
    }
    store.writer.prune(Part::Body, END, u64::MAX).unwrap();
    drop(store);
    drop(place.url().open().unwrap());
    assert!(content() == before, "a link's file was written to");
    copy.ask().unwrap();
}

#[test]
fn settings_of_the_url_open_the_same_store() {
    let place = DamageAt::with_chain();
    let url = format!(
        "rocksdb:{}?cache_mib=1&write_buffer_mib=2&open_files=20&compression=lz4",
        place.directory().display()
    );
    let mut store = url.parse::<StoreUrl>().unwrap().open().unwrap();
    store
        .writer
        .append(&[block(END, BODY_BYTES)], Durability::Disk)
        .unwrap();
    ask(&*store.reader, Extent::whole(END + 1), BODY_BYTES).unwrap();
}

/// Of the tables' files, the list of files, and all others. What is damaged is reported or makes no difference.
#[test]
fn a_flipped_byte_is_reported_or_harmless() {
    let whole = DamageAt::with_chain();
    let (mut reported, mut flips) = (0, 0);
    for path in whole.files() {
        let bytes = fs::read(&path).unwrap();
        let name = path.strip_prefix(whole.directory()).unwrap().to_owned();
        for offset in (flips % 5..bytes.len()).step_by(1 + bytes.len() / 12) {
            flips += 1;
            let place = whole.copy();
            let mut damaged = bytes.clone();
            damaged[offset] ^= [0x01, 0x80, 0xFF][flips % 3];
            fs::write(place.directory().join(&name), damaged).unwrap();
            match catch_unwind(AssertUnwindSafe(|| place.ask())) {
                Ok(outcome) => reported += usize::from(outcome.is_err()),
                Err(_) => panic!("{}, byte {offset}: a wrong answer", name.display()),
            }
            if flips % 7 == 0 {
                let _ = place.url().check(&mut |_| {});
                let _ = place.url().repair(&mut |_| {});
            }
        }
    }
    assert!(reported > flips / 4, "{reported} of {flips}");
}

#[test]
fn a_missing_file_is_reported() {
    let whole = DamageAt::with_chain();
    for path in whole.files() {
        let name = path.strip_prefix(whole.directory()).unwrap().to_owned();
        let text = name.to_string_lossy().into_owned();
        // What RocksDB makes for people to read.
        if text.contains("LOG") || text.contains("LOCK") || text.contains("OPTIONS") {
            continue;
        }
        let place = whole.copy();
        fs::remove_file(place.directory().join(&name)).unwrap();
        let outcome = place.ask();
        let may_be_missing = text.contains("IDENTITY") || text.ends_with(".log");
        assert!(outcome.is_err() || may_be_missing, "{text}");
    }
}

#[test]
fn a_sound_store_has_no_damage() {
    let place = DamageAt::with_chain();
    assert_eq!(place.check(), [""; 0]);
    let mut done = Vec::new();
    place
        .url()
        .repair(&mut |repaired| done.push(repaired))
        .unwrap();
    assert_eq!(done, []);
    let blocks: Vec<Block> = (END..END + 3)
        .map(|height| block(height, BODY_BYTES))
        .collect();
    let mut store = place.url().open().unwrap();
    store.writer.append(&blocks, Durability::Disk).unwrap();
    // Beside a writer in this process too.
    assert_eq!(place.check(), [""; 0]);
}
