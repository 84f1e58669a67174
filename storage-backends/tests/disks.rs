//! Real disks that are full, that can't be read, and files that another program cuts and punches while they are read.
//!
//! What needs a file system of its own mounts one, which only root may do. Without that the simulated disk of the unit tests
//! has to do, in which every operation and every reading fails in turn; each test says so.

#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use hubledger_storage::{
    BlockReader, Durability, Error, Extent, Held, Location, LogOptions, StoreUrl,
};
use support::{ask, block};
use tempfile::TempDir;

const BODY_BYTES: usize = 20_000;

/// Small segments, of which many are sealed, with index files and filters that are read from them.
const SMALL: LogOptions = LogOptions {
    segment_bytes: 400_000,
    segment_entries: 1 << 20,
    index_fanout: 2,
    direct_bytes: 100_000,
    index_in_background: true,
    cache_bytes: 40_000,
    table_memory_bytes: 32 << 20,
    table_cache_bytes: 1 << 20,
};

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output();
    let done = done.unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {arguments:?}: {errors}");
}

/// Whether file systems can be mounted here; says what stands in for a test that needs one.
fn may_mount(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("{test} needs root to mount a file system; log::crash simulates its disk");
    }
    is_root
}

/// A file system of its own, in a file or in memory.
struct Mounted {
    place: TempDir,
}

impl Mounted {
    fn in_memory(bytes: u64) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("mounted")).unwrap();
        let mounted = Self { place };
        let size = format!("size={bytes}");
        run(
            "mount",
            &["-t", "tmpfs", "-o", &size, "tmpfs", text(&mounted.path())],
        );
        mounted
    }

    fn in_file(make: &[&str], bytes: u64) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("mounted")).unwrap();
        let mounted = Self { place };
        let image = mounted.image();
        File::create(&image).unwrap().set_len(bytes).unwrap();
        run(make[0], &[&make[1..], &[text(&image)]].concat());
        run(
            "mount",
            &["-o", "loop", text(&image), text(&mounted.path())],
        );
        mounted
    }

    fn image(&self) -> PathBuf {
        self.place.path().join("image")
    }

    fn path(&self) -> PathBuf {
        self.place.path().join("mounted")
    }

    fn store(&self) -> PathBuf {
        self.path().join("chain")
    }

    /// Takes room away, all but so many bytes.
    fn fill_but(&self, spare: u64) {
        let free = rustix::fs::statvfs(self.path()).unwrap();
        let free = free.f_bavail * free.f_frsize;
        let ballast = File::create(self.ballast()).unwrap();
        let taken = free.saturating_sub(spare);
        rustix::fs::fallocate(&ballast, rustix::fs::FallocateFlags::empty(), 0, taken).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a test that failed may hold files.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Appends until there is no room; gives how many blocks were acknowledged.
fn fill(directory: &Path, durability: Durability) -> u64 {
    let mut store = SMALL.create(directory).unwrap();
    for height in 0.. {
        let run = [block(height, BODY_BYTES)];
        match store.writer.append(&run, durability) {
            Ok(_) => {}
            Err(error) => {
                assert!(matches!(error, Error::Full { .. }), "{error}");
                // Reading goes on, of everything that was acknowledged.
                ask(&*store.reader, Extent::whole(height), BODY_BYTES).unwrap();
                return height;
            }
        }
    }
    unreachable!("the disk never fills up")
}

/// A store that filled its disk is read, and goes on once there is room.
fn survive_full_disk(mounted: &Mounted, spare: u64, durability: Durability) {
    mounted.fill_but(spare);
    let end = fill(&mounted.store(), durability);
    assert!(end > 20, "{end} blocks are no chain");
    let reader = SMALL.open_read_only(&mounted.store()).unwrap();
    ask(&*reader, Extent::whole(end), BODY_BYTES).unwrap();
    drop(reader);
    // Opening to write needs a little room; without it that is an error, and nothing is lost.
    match SMALL.open(&mounted.store()) {
        Ok(store) => ask(&*store.reader, Extent::whole(end), BODY_BYTES).unwrap(),
        Err(error) => assert!(matches!(error, Error::Full { .. }), "{error}"),
    }
    fs::remove_file(mounted.ballast()).unwrap();
    let mut store = SMALL.open(&mounted.store()).unwrap();
    for height in end..end + 10 {
        let run = [block(height, BODY_BYTES)];
        store.writer.append(&run, Durability::Disk).unwrap();
    }
    drop(store);
    let url = StoreUrl::Log(mounted.store());
    let checked = url.check(&mut |damage| panic!("{damage}")).unwrap();
    assert_eq!(checked.blocks, end + 10);
    let reader = SMALL.open_read_only(&mounted.store()).unwrap();
    ask(&*reader, Extent::whole(end + 10), BODY_BYTES).unwrap();
}

#[test]
fn a_full_disk_in_memory_is_survived() {
    if !may_mount("a_full_disk_in_memory_is_survived") {
        return;
    }
    for (spare, durability) in [
        (6 << 20, Durability::Os),
        (5_500_000, Durability::Disk),
        (4_900_001, Durability::Os),
    ] {
        survive_full_disk(&Mounted::in_memory(16 << 20), spare, durability);
    }
}

#[test]
fn a_full_ext4_is_survived() {
    if !may_mount("a_full_ext4_is_survived") {
        return;
    }
    for durability in [Durability::Os, Durability::Disk] {
        let mounted = Mounted::in_file(&["mkfs.ext4", "-q", "-F"], 32 << 20);
        survive_full_disk(&mounted, 6 << 20, durability);
    }
}

#[test]
fn a_full_xfs_is_survived() {
    if !may_mount("a_full_xfs_is_survived") {
        return;
    }
    for durability in [Durability::Os, Durability::Disk] {
        let mounted = Mounted::in_file(&["mkfs.xfs", "-q", "-f"], 320 << 20);
        survive_full_disk(&mounted, 8 << 20, durability);
    }
}

/// The disk becomes shorter and shorter: what was there is right, or an error that tells of damage, and a check reports what
/// is hit and goes on to the end.
#[test]
fn a_disk_that_can_not_be_read_is_an_error() {
    const END: u64 = 400;
    const IMAGE_BYTES: u64 = 24 << 20;
    if !may_mount("a_disk_that_can_not_be_read_is_an_error") {
        return;
    }
    // Without a journal, which would be written to the part that is lost.
    let make = ["mkfs.ext4", "-q", "-F", "-O", "^has_journal"];
    let mounted = Mounted::in_file(&make, IMAGE_BYTES);
    let mut store = SMALL.create(&mounted.store()).unwrap();
    for height in 0..END {
        let run = [block(height, BODY_BYTES)];
        store.writer.append(&run, Durability::Os).unwrap();
    }
    store.writer.sync().unwrap();
    support::await_index(&*store.reader);
    let reader = store.reader;
    drop(store.writer);
    run("sync", &[]);
    let image = File::options().write(true).open(mounted.image()).unwrap();
    let mut partly = 0;
    for kept in (1..=16).rev() {
        image.set_len(IMAGE_BYTES * kept / 16).unwrap();
        fs::write("/proc/sys/vm/drop_caches", "3").unwrap();
        let unread = (0..END)
            .map(|height| read_of_bad_disk(&*reader, height))
            .filter(|is_read| !is_read)
            .count() as u64;
        if !(1..END).contains(&unread) {
            continue;
        }
        partly += 1;
        let mut reported = 0;
        let url = StoreUrl::Log(mounted.store());
        let checked = url.check(&mut |_| reported += 1).unwrap();
        assert_eq!(checked.blocks, END, "the check goes on to the end");
        assert!(reported > 0);
    }
    assert!(partly > 0, "no cut went through the store");
    drop(reader);
    // The files themselves, opened anew: whatever that says, it says it in words.
    match SMALL.open_read_only(&mounted.store()) {
        Ok(reader) => drop(ask(&*reader, Extent::whole(END), BODY_BYTES)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Whether a block can be read; if not, that is told with its height.
fn read_of_bad_disk(reader: &dyn BlockReader, height: u64) -> bool {
    let expected = block(height, BODY_BYTES);
    for entry in &expected.index {
        match reader.locate(&entry.key) {
            Ok(Location::NotIndexed { .. }) => {}
            Ok(found) => {
                let position = entry.position;
                assert_eq!(found, Location::Found { height, position });
            }
            Err(error) => assert!(error.is_corrupt(), "{error}"),
        }
    }
    match reader.block(height) {
        Ok(held) => {
            assert_eq!(held.unwrap().body, Held::Present(expected.body));
            true
        }
        Err(error) => {
            assert!(error.is_corrupt(), "{error}");
            let text = error.to_string();
            assert!(text.contains(&format!("height {height}")), "{text}");
            false
        }
    }
}

/// Another program cuts files and punches holes into them while they are read, and puts them right again: every answer is
/// right or an error, and the process lives.
#[test]
fn files_may_be_cut_and_punched_under_running_readers() {
    const END: u64 = 60;
    let rounds: u64 = std::env::var("DAMAGE_ROUNDS").map_or(1000, |rounds| rounds.parse().unwrap());
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("chain");
    let options = LogOptions {
        segment_bytes: 60_000,
        ..SMALL
    };
    let body_bytes = 3_000;
    let mut store = options.create(&directory).unwrap();
    for height in 0..END {
        let run = [block(height, body_bytes)];
        store.writer.append(&run, Durability::Os).unwrap();
    }
    store
        .writer
        .put_named_value("name", b"value", Durability::Disk)
        .unwrap();
    drop(store);
    let reader = options.open_read_only(&directory).unwrap();
    let mut files: Vec<PathBuf> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let (stop, answers, errors) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let mut dice = 1_u64;
    let mut below = |end: u64| {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % end
    };
    thread::scope(|scope| {
        for first in [0, END / 2] {
            let (reader, stop, answers, errors) = (&*reader, &stop, &answers, &errors);
            scope.spawn(move || {
                for height in (0..END).cycle().skip(first as usize) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    match read_all_of(reader, height, body_bytes) {
                        Ok(()) => answers.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            let is_told = error.is_corrupt() || matches!(error, Error::Io { .. });
                            assert!(is_told && error.to_string().contains("chain"), "{error}");
                            errors.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            });
        }
        for round in 0..rounds {
            let path = &files[below(files.len() as u64) as usize];
            let content = fs::read(path).unwrap();
            let file = File::options().write(true).open(path).unwrap();
            let length = content.len() as u64;
            let (from, at) = (below(length), below(length));
            if round % 2 == 0 {
                file.set_len(from).unwrap();
            } else {
                let flags =
                    rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
                rustix::fs::fallocate(&file, flags, at, 1 + below(length)).unwrap();
            }
            let read = answers.load(Ordering::Relaxed) + errors.load(Ordering::Relaxed);
            // Until the readers have met it, or have had time to.
            for _ in 0..20 {
                if answers.load(Ordering::Relaxed) + errors.load(Ordering::Relaxed) > read + 10 {
                    break;
                }
                thread::yield_now();
            }
            file.write_all_at(&content, 0).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (answers, errors) = (answers.into_inner(), errors.into_inner());
    println!("{answers} answers and {errors} errors in {rounds} rounds");
    assert!(answers > 0 && errors > 0);
    std::io::stdout().flush().unwrap();
    // All is as it was; index files that were found damaged are made again by a writer.
    let store = options.open(&directory).unwrap();
    support::await_index(&*store.reader);
    ask(&*store.reader, Extent::whole(END), body_bytes).unwrap();
}

fn read_all_of(reader: &dyn BlockReader, height: u64, body_bytes: usize) -> Result<(), Error> {
    let expected = block(height, body_bytes);
    let held = reader.block(height)?.unwrap();
    assert_eq!(held.id, expected.id);
    assert_eq!(held.header, Held::Present(expected.header));
    assert_eq!(held.body, Held::Present(expected.body));
    assert_eq!(reader.height_of(&expected.id)?, Some(height));
    assert_eq!(reader.named_value("name")?.unwrap(), &b"value"[..]);
    let first = expected.index[0];
    match reader.locate(&first.key)? {
        Location::NotIndexed { .. } => {}
        found => assert_eq!(
            found,
            Location::Found {
                height,
                position: first.position
            }
        ),
    }
    let index = reader.index(height)?.unwrap();
    assert_eq!(index, Held::Present(expected.index));
    Ok(())
}

/// What was read of a damaged file, and kept, must not make a key absent once the file is whole again.
#[test]
fn a_key_that_could_not_be_read_is_found_once_it_can() {
    const END: u64 = 60;
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("chain");
    let mut store = SMALL.create(&directory).unwrap();
    for height in 0..END {
        let run = [block(height, BODY_BYTES)];
        store.writer.append(&run, Durability::Os).unwrap();
    }
    support::await_index(&*store.reader);
    let reader = store.reader;
    drop(store.writer);
    let first = block(7, BODY_BYTES).index[0];
    let found = Location::Found {
        height: 7,
        position: first.position,
    };
    // Its record is known from here on; the key is read each time.
    assert_eq!(reader.locate(&first.key).unwrap(), found);
    let heads = directory.join("heads-00000000");
    let content = fs::read(&heads).unwrap();
    let file = File::options().write(true).open(&heads).unwrap();
    file.write_all_at(&vec![0; content.len()], 0).unwrap();
    assert!(reader.locate(&first.key).unwrap_err().is_corrupt());
    file.write_all_at(&content, 0).unwrap();
    assert_eq!(reader.locate(&first.key).unwrap(), found);
}
