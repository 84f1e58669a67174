//! What is particular to the append-log: wrong, missing and damaged files, locks, a full disk, and space given back.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hubledger_storage::{
    Block, Body, Durability, Error, Extent, Location, LogOptions, Store, StoreUrl,
};
use support::{ask, await_index, block, id};
use tempfile::TempDir;

const BODY_BYTES: usize = 300;
const FLOOR: u64 = 5;
const END: u64 = 60;
/// Tells a child where its store is, and what to do.
const CHILD: &str = "HUBLEDGER_STORAGE_LOG_TEST";

/// Segments of some blocks, index files of which two become one, and no thread.
const SMALL: LogOptions = LogOptions {
    segment_bytes: 6000,
    segment_entries: 1 << 20,
    index_fanout: 2,
    index_in_background: false,
};

struct Place(TempDir);

impl Place {
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

    /// A closed store of some small segments, pruned below [`FLOOR`].
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
        store.writer.prune(FLOOR, u64::MAX).unwrap();
        store
            .writer
            .put_meta("name", b"value", Durability::Disk)
            .unwrap();
        drop(store);
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

fn extent() -> Extent {
    Extent {
        floor: FLOOR,
        end: END,
    }
}

#[test]
fn another_programs_directory_is_refused_and_unchanged() {
    let place = Place::new();
    fs::create_dir(place.directory()).unwrap();
    fs::write(place.file("notes.txt"), "mine").unwrap();
    place.assert_refused("chain", "a directory without the file `store`");
    assert!(matches!(
        place.url().create().unwrap_err(),
        Error::Exists { .. }
    ));
    fs::write(
        place.file("store"),
        "apples, pears, and other things in stock, more than sixty-four bytes",
    )
    .unwrap();
    place.assert_refused("store", "another program's file");
    assert!(matches!(
        place.url().create().unwrap_err(),
        Error::Exists { .. }
    ));
    assert_eq!(place.files(), ["notes.txt", "store"]);
}

#[test]
fn a_file_is_refused_and_what_is_missing_is_missing() {
    let place = Place::new();
    assert!(place.url().open().unwrap_err().is_not_found());
    assert!(!place.url().exists());
    fs::write(place.directory(), "x").unwrap();
    assert!(
        place
            .url()
            .open()
            .unwrap_err()
            .to_string()
            .contains("a file, not a directory")
    );
    assert!(matches!(
        place.url().create().unwrap_err(),
        Error::Exists { .. }
    ));
    let below = StoreUrl::Log(place.directory().join("deeper"));
    assert!(below.open().unwrap_err().is_not_found());
    assert!(below.create().is_err());
}

#[test]
fn an_empty_directory_and_an_interrupted_creation_may_become_a_store() {
    for leftovers in [
        &[][..],
        &["store.new"],
        &["store.new", "bodies-00000000", "mark"],
    ] {
        let place = Place::new();
        fs::create_dir(place.directory()).unwrap();
        for name in leftovers {
            fs::write(place.file(name), "half").unwrap();
        }
        assert!(!place.url().exists());
        assert!(
            place
                .url()
                .open()
                .unwrap_err()
                .to_string()
                .contains("an empty directory")
        );
        drop(place.url().create().unwrap());
        assert!(place.url().exists());
        place.url().open().unwrap();
    }
}

#[test]
fn another_version_is_refused_whichever_file_has_it() {
    let whole = Place::with_chain();
    for name in whole.files() {
        let place = whole.copy();
        let mut bytes = fs::read(place.file(&name)).unwrap();
        bytes[8..12].copy_from_slice(&9_u32.to_le_bytes());
        fs::write(place.file(&name), bytes).unwrap();
        place.assert_refused(&name, "format version 9");
    }
}

#[test]
fn a_file_of_another_store_is_refused() {
    let (whole, other) = (Place::with_chain(), Place::with_chain());
    for name in whole.files() {
        let place = whole.copy();
        fs::copy(other.file(&name), place.file(&name)).unwrap();
        let named = if name == "store" { "" } else { &name };
        place.assert_refused(named, "belongs to another store");
    }
}

#[test]
fn a_missing_file_is_named() {
    let whole = Place::with_chain();
    let needed =
        |name: &&String| !(name.starts_with("index") || *name == "mark" || *name == "store");
    for name in whole.files().iter().filter(needed) {
        let place = whole.copy();
        fs::remove_file(place.file(name)).unwrap();
        place.assert_refused(name, "the file is missing");
    }
}

#[test]
fn a_file_under_another_ones_name_is_refused() {
    let whole = Place::with_chain();
    let place = whole.copy();
    fs::copy(place.file("heads-00000003"), place.file("heads-00000002")).unwrap();
    place.assert_refused("heads-00000002", "another one's name");
}

#[test]
fn missing_and_torn_index_files_are_made_again() {
    let whole = Place::with_chain();
    let indexes: Vec<String> = whole
        .files()
        .into_iter()
        .filter(|name| name.starts_with("index"))
        .collect();
    assert!(indexes.len() > 1, "{indexes:?}");
    for damage in ["missing", "torn", "emptied", "of other segments"] {
        let place = whole.copy();
        for name in &indexes {
            let path = place.file(name);
            match damage {
                "missing" => fs::remove_file(path).unwrap(),
                "torn" => fs::write(&path, &fs::read(&path).unwrap()[..200]).unwrap(),
                "emptied" => fs::write(path, "").unwrap(),
                _ => drop(fs::copy(place.file(&indexes[0]), path).unwrap()),
            }
        }
        let reader = place.url().open_read_only().unwrap();
        ask(&*reader, extent(), BODY_BYTES).unwrap();
        drop(reader);
        let store = place.url().open().unwrap();
        ask(&*store.reader, extent(), BODY_BYTES).unwrap();
        await_index(&*store.reader);
        ask(&*store.reader, extent(), BODY_BYTES).unwrap();
        drop(store);
        assert!(
            place.files().iter().any(|name| name.starts_with("index")),
            "{damage}"
        );
    }
}

#[test]
fn until_it_is_indexed_a_segment_is_not_absent() {
    let place = Place::with_chain_in(LogOptions {
        segment_bytes: 2000,
        ..SMALL
    });
    for name in place
        .files()
        .iter()
        .filter(|name| name.starts_with("index"))
    {
        fs::remove_file(place.file(name)).unwrap();
    }
    // A reader alone indexes a few segments in memory and nothing more.
    let reader = place.url().open_read_only().unwrap();
    let late = block(END - 20, BODY_BYTES);
    let Location::NotIndexed { watermark } = reader.locate(&late.index[0].key).unwrap() else {
        panic!("nobody indexed it");
    };
    assert!(watermark > 0 && watermark < END - 20, "{watermark}");
    assert_eq!(reader.height_of(&late.id).unwrap(), Some(END - 20));
    assert_eq!(reader.height_of(&id(b'?', 1, 1)).unwrap(), None);
    let early = block(1, BODY_BYTES).index[0].key;
    assert!(matches!(
        reader.locate(&early).unwrap(),
        Location::Pruned { height: 1, .. }
    ));
}

/// Each damaged byte is reported where it matters, or harmless; there is never a wrong answer or a panic, for
/// readers and for writers.
#[test]
fn a_flipped_byte_is_reported_or_harmless() {
    let whole = Place::with_chain();
    let (mut reported, mut harmless, mut number) = (0, 0, 0_usize);
    for (name, bytes) in whole.content() {
        let stride = 1 + bytes.len() / 60;
        for offset in (number % stride..bytes.len()).step_by(stride) {
            number += 1;
            let mask = [0x01, 0x80, 0xFF][number % 3];
            let place = whole.copy();
            let mut damaged = bytes.clone();
            damaged[offset] ^= mask;
            fs::write(place.file(&name), &damaged).unwrap();
            let outcome = catch_unwind(AssertUnwindSafe(|| read(&place)))
                .unwrap_or_else(|_| panic!("{name}, byte {offset} ^ {mask:#04x}: a wrong answer"));
            match outcome {
                Ok(()) => harmless += 1,
                Err(_) => reported += 1,
            }
            let written = catch_unwind(AssertUnwindSafe(|| write(&place)));
            assert!(
                written.is_ok(),
                "{name}, byte {offset} ^ {mask:#04x}: a wrong answer"
            );
        }
    }
    assert!(
        reported > harmless / 10 && harmless > 0,
        "{reported} reported, {harmless} harmless"
    );
}

#[test]
fn a_shorter_file_is_reported_or_made_again() {
    let whole = Place::with_chain();
    for (name, bytes) in whole.content() {
        for kept in (0..bytes.len()).step_by(1 + bytes.len() / 12) {
            let place = whole.copy();
            fs::write(place.file(&name), &bytes[..kept]).unwrap();
            let outcome = read(&place);
            if name.starts_with("index") || name == "mark" {
                outcome.unwrap();
            } else {
                let error = outcome.unwrap_err();
                let told = error.is_corrupt() || matches!(error, Error::NotAStore { .. });
                assert!(
                    told && error.to_string().contains(&name),
                    "{name} {kept}: {error}"
                );
            }
        }
    }
}

/// Asks a reader alone.
fn read(place: &Place) -> Result<(), Error> {
    let reader = SMALL.open_read_only(&place.directory())?;
    let first = ask(&*reader, extent(), BODY_BYTES);
    let name = reader
        .meta("name")
        .map(|value| assert_eq!(value.as_deref(), Some(&b"value"[..])));
    first.and(name)
}

/// Asks beside a writer, and has it go on.
fn write(place: &Place) -> Result<(), Error> {
    let Store { mut writer, reader } = SMALL.open(&place.directory())?;
    ask(&*reader, extent(), BODY_BYTES)?;
    let run: Vec<Block> = (END..END + 8)
        .map(|height| block(height, BODY_BYTES))
        .collect();
    writer.append(&run, Durability::Os)?;
    writer.prune(FLOOR + 9, u64::MAX)?;
    writer.truncate(FLOOR + 30)?;
    let extent = Extent {
        floor: FLOOR + 9,
        end: FLOOR + 31,
    };
    ask(&*reader, extent, BODY_BYTES)
}

#[test]
fn bytes_are_given_out_without_copying_and_outlive_pruning() {
    let place = Place::new();
    let mut store = place.url().create().unwrap();
    let run: Vec<Block> = (0..100).map(|height| block(height, 100_000)).collect();
    store.writer.append(&run, Durability::Os).unwrap();
    let held = body(&store, 3);
    assert_eq!(held.as_ptr(), body(&store, 3).as_ptr());
    let receipt = store.writer.prune(50, u64::MAX).unwrap();
    assert_eq!(receipt.freed_bytes, 0, "a reader was in the way");
    assert_eq!(held, run[3].body);
    drop(held);
    // The next call makes up for it.
    let receipt = store.writer.prune(51, u64::MAX).unwrap();
    assert!(receipt.freed_bytes >= 50 * 100_000, "{receipt:?}");
    ask(
        &*store.reader,
        Extent {
            floor: 51,
            end: 100,
        },
        100_000,
    )
    .unwrap();
}

fn body(store: &Store, height: u64) -> bytes::Bytes {
    match store.reader.block(height).unwrap().unwrap().body {
        Body::Present(bytes) => bytes,
        Body::Pruned => panic!("it is pruned"),
    }
}

#[test]
fn pruning_gives_measured_space_back() {
    for segment_bytes in [1 << 20, 256 << 20] {
        let place = Place::new();
        let options = LogOptions {
            segment_bytes,
            ..LogOptions::default()
        };
        let mut store = options.create(&place.directory()).unwrap();
        for height in 0..100 {
            let run = [block(height, 100_000)];
            store.writer.append(&run, Durability::Os).unwrap();
        }
        store.writer.sync().unwrap();
        let before = store.reader.usage().unwrap().bytes_on_disk;
        let receipt = store.writer.prune(90, u64::MAX).unwrap();
        let after = store.reader.usage().unwrap().bytes_on_disk;
        assert!(receipt.body_bytes >= 9_000_000);
        assert!(
            receipt.freed_bytes >= receipt.body_bytes * 98 / 100,
            "{receipt:?}"
        );
        assert!(
            before - after >= receipt.freed_bytes - 8192,
            "{before} {after} {receipt:?}"
        );
        assert!(after < 1_500_000, "{after}");
        drop(store);
        let store = options.open(&place.directory()).unwrap();
        ask(
            &*store.reader,
            Extent {
                floor: 90,
                end: 100,
            },
            100_000,
        )
        .unwrap();
    }
}

#[test]
fn named_values_take_bounded_space() {
    let place = Place::new();
    let mut store = place.url().create().unwrap();
    for number in 0..100_u8 {
        let value = vec![number; 100_000];
        store
            .writer
            .put_meta("state", &value, Durability::Os)
            .unwrap();
        store
            .writer
            .put_meta("small", &[number], Durability::Os)
            .unwrap();
    }
    let size = store.reader.usage().unwrap().bytes_on_disk;
    assert!(size < 3_000_000, "{size}");
    drop(store);
    let store = place.url().open().unwrap();
    assert_eq!(
        store.reader.meta("state").unwrap().unwrap(),
        vec![99; 100_000]
    );
    assert_eq!(store.reader.meta("small").unwrap().unwrap(), &[99][..]);
}

#[test]
fn a_run_larger_than_a_segment_is_one_run() {
    let place = Place::new();
    let mut store = SMALL.create(&place.directory()).unwrap();
    let run: Vec<Block> = (0..40).map(|height| block(height, 2000)).collect();
    store.writer.append(&run[..1], Durability::Os).unwrap();
    store.writer.append(&run[1..], Durability::Os).unwrap();
    ask(&*store.reader, Extent { floor: 0, end: 40 }, 2000).unwrap();
    drop(store);
    let store = SMALL.open(&place.directory()).unwrap();
    ask(&*store.reader, Extent { floor: 0, end: 40 }, 2000).unwrap();
}

/// The mark tells what was synced last; of what was synced before, the frames after it tell too.
#[test]
fn damage_to_what_was_durable_is_an_error_also_without_the_mark() {
    let place = Place::new();
    let mut store = place.url().create().unwrap();
    for height in 0..8 {
        let run = [block(height, BODY_BYTES)];
        store.writer.append(&run, Durability::Disk).unwrap();
    }
    drop(store);
    fs::remove_file(place.file("mark")).unwrap();
    let whole = fs::read(place.file("heads-00000000")).unwrap();
    for at in (100..whole.len() * 3 / 4).step_by(97) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        fs::write(place.file("heads-00000000"), damaged).unwrap();
        place.assert_refused("heads-00000000", "corrupt at byte ");
    }
}

/// Options are no part of the format, and even senseless ones work.
#[test]
fn any_options_open_any_store() {
    let place = Place::with_chain();
    let extremes = [
        (0, 0),
        (u64::MAX, usize::MAX),
        (1, usize::MAX),
        (u64::MAX, 1),
    ];
    let mut end = END;
    for (segment_bytes, segment_entries) in extremes {
        let options = LogOptions {
            segment_bytes,
            segment_entries,
            index_fanout: 0,
            index_in_background: true,
        };
        let mut store = options.open(&place.directory()).unwrap();
        let run = [block(end, BODY_BYTES), block(end + 1, BODY_BYTES)];
        for part in run.chunks(1) {
            store.writer.append(part, Durability::Disk).unwrap();
        }
        end += 2;
        await_index(&*store.reader);
        ask(&*store.reader, Extent { floor: FLOOR, end }, BODY_BYTES).unwrap();
    }
}

/// Keeps the text of warnings.
#[derive(Clone, Default)]
struct Warnings(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{field}={value:?} ");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_torn_tail_is_cut_by_a_writer_who_says_so() {
    let place = Place::with_chain();
    let files = place.files();
    let last = files
        .iter()
        .rfind(|name| name.starts_with("heads"))
        .unwrap();
    for name in [last, &last.replace("heads", "bodies"), "meta-00000000"] {
        let whole = fs::read(place.file(name)).unwrap();
        let mut torn = whole.clone();
        torn.extend_from_slice(b"HLFR and more that was never finished");
        fs::write(place.file(name), &torn).unwrap();
        read(&place).unwrap();
        assert_eq!(
            fs::read(place.file(name)).unwrap(),
            torn,
            "a reader cuts nothing"
        );
        let warnings = Warnings::default();
        tracing::subscriber::with_default(warnings.clone(), || drop(place.url().open().unwrap()));
        let told = warnings.0.lock().unwrap().join("; ");
        let cut = format!("offset={} bytes=37", whole.len());
        assert!(told.contains(name) && told.contains(&cut), "{told}");
        assert_eq!(fs::read(place.file(name)).unwrap(), whole);
    }
}

#[test]
fn one_writer_through_all_names_of_a_directory() {
    let place = Place::with_chain();
    let held = place.url().open().unwrap();
    let link = place.0.path().join("link");
    std::os::unix::fs::symlink(place.directory(), &link).unwrap();
    for url in [place.url(), StoreUrl::Log(link)] {
        assert!(matches!(url.open().unwrap_err(), Error::InUse { .. }));
    }
    let reader = place.url().open_read_only().unwrap();
    drop(held);
    ask(&*reader, extent(), BODY_BYTES).unwrap();
    place.url().open().unwrap();
}

#[test]
fn a_store_in_use_by_another_process_is_refused() {
    let place = Place::with_chain();
    let mut child = start_child("hold", &place.directory());
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    while !line.contains("holding") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the child ended");
    }
    place.assert_refused("chain", "in use");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    place.url().open().unwrap();
}

#[test]
fn a_read_only_place_can_be_read_and_says_so_to_writers() {
    let place = Place::with_chain();
    let mode = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(place.0.path(), mode(0o755)).unwrap();
    for name in place.files() {
        fs::set_permissions(place.file(&name), mode(0o444)).unwrap();
    }
    fs::set_permissions(place.directory(), mode(0o555)).unwrap();
    let before = place.content();
    let child = start_child("read only", &place.directory());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(place.content() == before);
    fs::set_permissions(place.directory(), mode(0o755)).unwrap();
}

/// The shell limits the size of the files that the child may write.
#[test]
fn a_full_disk_is_an_error_and_the_store_opens_again() {
    let place = Place::new();
    drop(place.url().create().unwrap());
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, format!("fill {}", place.directory().display()))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let mut store = place.url().open().unwrap();
    let end = store.reader.extent().unwrap().end;
    assert!(end > 0 && end.is_multiple_of(3), "{end}");
    ask(&*store.reader, Extent { floor: 0, end }, 50_000).unwrap();
    store
        .writer
        .append(&[block(end, 50_000)], Durability::Disk)
        .unwrap();
}

fn start_child(task: &str, directory: &Path) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, format!("{task} {}", directory.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    // The superuser may write everywhere.
    if task == "read only" && fs::metadata("/proc/self").is_ok_and(|own| is_root(&own)) {
        command.uid(65534);
    }
    command.spawn().unwrap()
}

fn is_root(own: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(own) == 0
}

/// What children do: nothing in an ordinary test run.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else {
        return;
    };
    let (task, directory) = task.rsplit_once(' ').unwrap();
    let url = StoreUrl::Log(directory.into());
    match task {
        "hold" => {
            let _store = url.open().unwrap();
            println!("\nholding");
            std::io::stdout().flush().unwrap();
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
        "read only" => {
            let reader = url.open_read_only().unwrap();
            ask(&*reader, extent(), BODY_BYTES).unwrap();
            drop(reader);
            let error = url.open().unwrap_err();
            assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
            assert!(
                error.to_string().contains("heads-") || error.to_string().contains("bodies-"),
                "{error}"
            );
        }
        _ => fill(&url),
    }
}

/// Appends until the disk is full.
fn fill(url: &StoreUrl) {
    let mut store = url.open().unwrap();
    loop {
        let end = store.reader.extent().unwrap().end;
        assert!(end < 1000, "the disk is never full");
        let run: Vec<Block> = (end..end + 3).map(|height| block(height, 50_000)).collect();
        let Err(error) = store.writer.append(&run, Durability::Os) else {
            continue;
        };
        assert!(
            !error.is_argument() && error.to_string().contains("bodies-00000000"),
            "{error}"
        );
        assert!(store.writer.sync().unwrap_err().is_poisoned());
        ask(&*store.reader, Extent { floor: 0, end }, 50_000).unwrap();
        return;
    }
}
