//! What is particular to the SQLite backend: wrong files, damaged files, locks, and space given back.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use hubledger_storage::{
    Block, Durability, Error, Extent, IndexOptions, Part, SqliteOptions, Store, StoreUrl,
};
use support::{ask, block};
use tempfile::TempDir;

const BODY_BYTES: usize = 300;
/// Prime, so that the bytes tried fall on all parts of pages and rows.
const FLIP_STRIDE_BYTES: usize = 251;

struct DamageAt(TempDir);

impl DamageAt {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("chain.db")
    }

    fn url(&self) -> StoreUrl {
        StoreUrl::Sqlite(self.file())
    }

    /// A closed store of `end` blocks, pruned below `floor`.
    fn with_chain(floor: u64, end: u64) -> Self {
        let place = Self::new();
        let mut store = place.url().create().unwrap();
        let run: Vec<Block> = (0..end).map(|height| block(height, BODY_BYTES)).collect();
        store.writer.append(&run, Durability::Disk).unwrap();
        store.writer.prune(Part::Body, floor, u64::MAX).unwrap();
        store
            .writer
            .put_named_value("name", b"value", Durability::Disk)
            .unwrap();
        place
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
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

/// Asserts that the file is refused as no store, that nothing is created there either, and that neither
/// the file nor its directory is changed.
#[track_caller]
fn assert_stranger(place: &DamageAt, found: &str) {
    let (bytes, files) = (fs::read(place.file()).unwrap(), place.files());
    let error = refusal(&place.url());
    assert!(matches!(error, Error::NotAStore { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("chain.db") && text.contains(found), "{text}");
    assert!(matches!(
        place.url().create().unwrap_err(),
        Error::Exists { .. }
    ));
    assert_eq!(
        (fs::read(place.file()).unwrap(), place.files()),
        (bytes, files)
    );
}

#[test]
fn a_foreign_database_is_refused_and_unchanged() {
    for journal in ["DELETE", "WAL"] {
        let place = DamageAt::new();
        let foreign = rusqlite::Connection::open(place.file()).unwrap();
        foreign
            .pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))
            .unwrap();
        foreign
            .execute_batch("CREATE TABLE mine (a); INSERT INTO mine VALUES (1)")
            .unwrap();
        drop(foreign);
        assert_stranger(&place, "an SQLite database of another application");
    }
}

#[test]
fn text_is_refused_and_unchanged() {
    for text in ["x", "just some notes\n", &"a longer text ".repeat(1000)] {
        let place = DamageAt::new();
        fs::write(place.file(), text).unwrap();
        assert_stranger(&place, "no SQLite database");
    }
}

#[test]
fn a_directory_is_refused() {
    let place = DamageAt::new();
    fs::create_dir(place.file()).unwrap();
    assert!(refusal(&place.url()).to_string().contains("a directory"));
    assert!(matches!(
        place.url().create().unwrap_err(),
        Error::Exists { .. }
    ));
    assert_eq!(place.files(), ["chain.db"]);
}

#[test]
fn a_missing_file_is_missing() {
    let place = DamageAt::new();
    assert!(refusal(&place.url()).is_not_found());
    assert!(!place.url().exists());
    assert!(place.files().is_empty());
    fs::write(place.file(), "not a directory").unwrap();
    assert!(refusal(&StoreUrl::Sqlite(place.file().join("chain.db"))).is_not_found());
}

#[test]
fn an_empty_file_is_no_store_but_may_become_one() {
    let place = DamageAt::new();
    fs::write(place.file(), "").unwrap();
    assert!(refusal(&place.url()).to_string().contains("an empty file"));
    assert!(!place.url().exists());
    drop(place.url().create().unwrap());
    place.url().open().unwrap();
}

#[test]
fn an_unwritable_place_is_refused() {
    let place = DamageAt::new();
    let nowhere = StoreUrl::Sqlite(place.0.path().join("missing").join("chain.db"));
    let text = nowhere.create().unwrap_err().to_string();
    assert!(
        text.contains("missing/chain.db") && text.contains("can't create"),
        "{text}"
    );
    assert!(place.files().is_empty());
}

#[test]
fn another_version_is_refused() {
    let place = DamageAt::with_chain(0, 3);
    let other = rusqlite::Connection::open(place.file()).unwrap();
    other.pragma_update(None, "user_version", 9).unwrap();
    drop(other);
    let error = refusal(&place.url());
    assert!(
        matches!(
            error,
            Error::Version {
                found: 9,
                supported: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_store_that_exists_is_not_created_again() {
    let place = DamageAt::with_chain(0, 3);
    assert!(matches!(
        place.url().create().unwrap_err(),
        Error::Exists { .. }
    ));
    let store = place.url().open_or_create().unwrap();
    ask(&*store.reader, Extent::whole(3), BODY_BYTES).unwrap();
}

#[test]
fn a_log_without_its_database_is_not_adopted() {
    let place = DamageAt::new();
    fs::write(
        place.0.path().join("chain.db-wal"),
        "frames of another database",
    )
    .unwrap();
    let error = place.url().create().unwrap_err();
    assert!(error.to_string().contains("chain.db-wal"), "{error}");
}

#[test]
fn an_interrupted_creation_is_no_obstacle() {
    let place = DamageAt::new();
    fs::write(place.0.path().join("chain.db.creating"), "half").unwrap();
    drop(place.url().create().unwrap());
    assert_eq!(place.files(), ["chain.db", "chain.db.lock"]);
}

#[test]
fn one_writer_through_all_names_of_a_file() {
    let place = DamageAt::with_chain(0, 3);
    let held = place.url().open().unwrap();
    assert!(matches!(
        place.url().open().unwrap_err(),
        Error::InUse { .. }
    ));
    #[cfg(unix)]
    {
        let link = place.0.path().join("link.db");
        std::os::unix::fs::symlink(place.file(), &link).unwrap();
        assert!(matches!(
            StoreUrl::Sqlite(link).open().unwrap_err(),
            Error::InUse { .. }
        ));
    }
    let reader = place.url().open_read_only().unwrap();
    drop(held);
    ask(&*reader, Extent::whole(3), BODY_BYTES).unwrap();
    place.url().open().unwrap();
}

#[test]
fn a_separate_reader_follows_the_writer() {
    let place = DamageAt::with_chain(0, 3);
    let reader = place.url().open_read_only().unwrap();
    let mut store = place.url().open().unwrap();
    store
        .writer
        .append(&[block(3, BODY_BYTES)], Durability::Os)
        .unwrap();
    ask(&*reader, Extent::whole(4), BODY_BYTES).unwrap();
    store.writer.prune(Part::Body, 2, u64::MAX).unwrap();
    ask(
        &*reader,
        Extent {
            body_floor: 2,
            ..Extent::whole(4)
        },
        BODY_BYTES,
    )
    .unwrap();
}

#[test]
fn pruning_gives_measured_space_back() {
    let place = DamageAt::new();
    let mut store = place.url().create().unwrap();
    let size = 100_000;
    let run: Vec<Block> = (0..100).map(|height| block(height, size)).collect();
    store.writer.append(&run, Durability::Os).unwrap();
    store.writer.sync().unwrap();
    let before = store.reader.usage().unwrap().bytes_on_disk;
    let receipt = store.writer.prune(Part::Body, 90, u64::MAX).unwrap();
    let after = store.reader.usage().unwrap().bytes_on_disk;
    assert!(receipt.bytes >= 9_000_000);
    assert!(
        receipt.freed_bytes >= receipt.bytes * 95 / 100,
        "{receipt:?}"
    );
    assert!(
        before - after >= receipt.freed_bytes,
        "{before} {after} {receipt:?}"
    );
    assert!(after < 2_000_000, "{after}");
    ask(
        &*store.reader,
        Extent {
            body_floor: 90,
            ..Extent::whole(100)
        },
        size,
    )
    .unwrap();
}

/// That it is no store would be believed without looking for a backup.
#[test]
fn what_damage_left_of_a_store_is_corrupt_and_no_stranger() {
    let whole = DamageAt::with_chain(5, 60);
    let bytes = fs::read(whole.file()).unwrap();
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x11;
        bytes
    };
    // SQLite's name, the application's number, and a page that is cut.
    let damaged = [
        flipped(0),
        flipped(68),
        bytes[..100].to_vec(),
        vec![0; 4096],
    ];
    for bytes in damaged {
        fs::write(whole.file(), &bytes).unwrap();
        let error = refusal(&whole.url());
        assert!(error.is_corrupt(), "{error}");
        assert!(error.to_string().contains("chain.db"), "{error}");
        assert!(fs::read(whole.file()).unwrap() == bytes, "it was changed");
    }
}

#[test]
fn a_truncated_file_is_reported() {
    let whole = DamageAt::with_chain(5, 60);
    let bytes = fs::read(whole.file()).unwrap();
    let extent = Extent {
        body_floor: 5,
        ..Extent::whole(60)
    };
    for kept in (1..bytes.len()).step_by(bytes.len() / 40) {
        let place = DamageAt::new();
        fs::write(place.file(), &bytes[..kept]).unwrap();
        let error = open_and_ask(&place, extent).unwrap_err();
        assert!(
            error.is_corrupt() || matches!(error, Error::NotAStore { .. }),
            "{kept}: {error}"
        );
    }
}

/// Each damaged byte is reported where it matters, or harmless; there is never a wrong answer or a panic,
/// for readers and for writers.
#[test]
fn a_flipped_byte_is_reported_or_harmless() {
    let whole = DamageAt::with_chain(5, 60);
    let bytes = fs::read(whole.file()).unwrap();
    let extent = Extent {
        body_floor: 5,
        ..Extent::whole(60)
    };
    let (mut reported, mut harmless) = (0, 0);
    let place = DamageAt::new();
    let masks = [0x01, 0x80, 0xFF].into_iter().cycle();
    for (offset, mask) in (0..bytes.len()).step_by(FLIP_STRIDE_BYTES).zip(masks) {
        let mut damaged = bytes.clone();
        damaged[offset] ^= mask;
        fs::write(place.file(), &damaged).unwrap();
        match catch_unwind(AssertUnwindSafe(|| open_and_ask(&place, extent))) {
            Ok(Ok(())) => harmless += 1,
            Ok(Err(_)) => reported += 1,
            Err(_) => panic!("byte {offset} ^ {mask:#04x}: a wrong answer"),
        }
        if offset % 7 == 0 {
            // Whether it succeeds depends on the byte; that it returns is what counts.
            let _ = open_and_write(&place, extent);
        }
    }
    assert!(
        reported > harmless / 10,
        "{reported} reported, {harmless} harmless"
    );
}

fn open_and_ask(place: &DamageAt, extent: Extent) -> Result<(), Error> {
    let reader = place.url().open_read_only()?;
    let first = ask(&*reader, extent, BODY_BYTES);
    let name = reader
        .named_value("name")
        .map(|value| assert_eq!(value.as_deref(), Some(&b"value"[..])));
    first.and(name)
}

fn open_and_write(place: &DamageAt, extent: Extent) -> Result<(), Error> {
    let Store { mut writer, .. } = place.url().open()?;
    writer.append(&[block(extent.end, BODY_BYTES)], Durability::Os)?;
    writer.prune(Part::Body, extent.body_floor + 5, u64::MAX)?;
    writer.truncate(extent.body_floor + 20)
}

fn check(url: &StoreUrl) -> Vec<String> {
    let mut found = Vec::new();
    let checked = url.check(&mut |damage| found.push(damage.to_string()));
    assert_eq!(checked.unwrap().damage, found.len() as u64);
    found
}

/// Changes a row behind the store's back.
fn tamper(place: &DamageAt, sql: &str) {
    let connection = rusqlite::Connection::open(place.file()).unwrap();
    assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
}

/// A store whose index has runs.
fn with_runs(end: u64) -> DamageAt {
    let place = DamageAt::new();
    let options = SqliteOptions {
        index: IndexOptions {
            entries_in_memory: 40,
            fanout: 2,
        },
        ..SqliteOptions::default()
    };
    let mut store = options.create(&place.file()).unwrap();
    for height in 0..end {
        let run = [block(height, BODY_BYTES)];
        store.writer.append(&run, Durability::Os).unwrap();
    }
    place
}

#[test]
fn a_check_finds_every_kind_of_damage_and_repair_makes_the_index_again() {
    let extent = Extent::whole(60);
    for (sql, told, mends) in [
        (
            "DELETE FROM runs WHERE number = (SELECT max(number) FROM runs)",
            "runs",
            true,
        ),
        ("UPDATE runs SET row = zeroblob(length(row))", "runs", true),
        ("INSERT INTO runs VALUES (7, x'00')", "runs", true),
        ("DELETE FROM state WHERE number = 1", "state", true),
        (
            "DELETE FROM keys WHERE number >> 18 = 30",
            "height 30",
            false,
        ),
        (
            "UPDATE bodies SET row = x'0102030405' WHERE number = 31",
            "height 31",
            false,
        ),
        ("DELETE FROM headers WHERE number = 32", "height 32", false),
        ("INSERT INTO bodies VALUES (99, x'00')", "height 99", false),
    ] {
        let place = with_runs(60);
        let url = place.url();
        assert_eq!(check(&url), [""; 0]);
        tamper(&place, sql);
        let found = check(&url).join("\n");
        assert!(found.contains(told), "{sql}: {found}");
        let mut done = Vec::new();
        let repaired = url.repair(&mut |repaired| done.push(repaired.to_string()));
        if mends {
            repaired.unwrap();
            assert_eq!(done.len(), 1, "{sql}");
            assert_eq!(check(&url), [""; 0], "{sql}");
            ask(&*url.open().unwrap().reader, extent, BODY_BYTES).unwrap();
        } else {
            // What does not follow from anything else stays as it is.
            assert_eq!(done, [""; 0], "{sql}");
            assert_ne!(check(&url), [""; 0], "{sql}");
        }
    }
}

#[test]
fn flipped_bytes_of_a_store_with_runs_are_reported_or_harmless() {
    let whole = with_runs(60);
    let bytes = fs::read(whole.file()).unwrap();
    let extent = Extent::whole(60);
    let place = DamageAt::new();
    let masks = [0x01, 0x80, 0xFF].into_iter().cycle();
    let mut reported = 0;
    for (offset, mask) in (0..bytes.len()).step_by(FLIP_STRIDE_BYTES).zip(masks) {
        let mut damaged = bytes.clone();
        damaged[offset] ^= mask;
        fs::write(place.file(), &damaged).unwrap();
        let asked = || {
            let reader = place.url().open_read_only()?;
            ask(&*reader, extent, BODY_BYTES)
        };
        match catch_unwind(AssertUnwindSafe(asked)) {
            Ok(outcome) => reported += usize::from(outcome.is_err()),
            Err(_) => panic!("byte {offset} ^ {mask:#04x}: a wrong answer"),
        }
        if offset % 5 == 0 {
            let _ = place.url().check(&mut |_| {});
            let _ = place.url().repair(&mut |_| {});
        }
    }
    assert!(reported > 50, "{reported}");
}

#[test]
fn one_damaged_row_of_the_index_is_one_line_and_hides_no_others() {
    let place = DamageAt::new();
    let options = SqliteOptions {
        index: IndexOptions {
            // One run, with two rows of filters.
            entries_in_memory: 4000,
            fanout: 8,
        },
        ..SqliteOptions::default()
    };
    let mut store = options.create(&place.file()).unwrap();
    let blocks: Vec<Block> = (0..900).map(|height| block(height, 10)).collect();
    for run in blocks.chunks(100) {
        store.writer.append(run, Durability::Os).unwrap();
    }
    drop(store);
    assert_eq!(check(&place.url()), [""; 0]);
    // The first row of filters of the run.
    let filters = "SELECT min(number) FROM runs WHERE number & 2147483648 != 0";
    let sql = format!("UPDATE runs SET row = zeroblob(length(row)) WHERE number = ({filters})");
    tamper(&place, &sql);
    let found = check(&place.url());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("of runs has a checksum that doesn't match (met "));
    // Keys that the other row leads to are found.
    let reader = place.url().open_read_only().unwrap();
    let keys = blocks.iter().flat_map(|block| &block.index);
    let (right, wrong): (Vec<_>, Vec<_>) = keys
        .map(|entry| reader.locate(&entry.key))
        .partition(Result::is_ok);
    assert!(right.len() > 400 && wrong.len() > 400, "{}", right.len());
}

#[cfg(unix)]
mod names {
    use std::os::unix::fs::symlink;

    use super::*;

    #[track_caller]
    fn assert_unusable(error: &Error, told: &str) {
        assert!(matches!(error, Error::Unusable { .. }), "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }

    #[test]
    fn a_file_with_two_names_is_refused_through_both() {
        let place = DamageAt::with_chain(0, 3);
        let other = place.0.path().join("other.db");
        fs::hard_link(place.file(), &other).unwrap();
        let files = place.files();
        for url in [place.url(), StoreUrl::Sqlite(other.clone())] {
            assert_unusable(&refusal(&url), "2 names (hard links)");
            assert_unusable(&url.check(&mut |_| {}).unwrap_err(), "2 names");
            assert_unusable(&url.repair(&mut |_| {}).unwrap_err(), "2 names");
        }
        assert_eq!(place.files(), files);
        fs::remove_file(other).unwrap();
        ask(
            &*place.url().open().unwrap().reader,
            Extent::whole(3),
            BODY_BYTES,
        )
        .unwrap();
    }

    #[test]
    fn a_link_that_comes_while_a_store_is_open_lets_nobody_in() {
        let place = DamageAt::with_chain(0, 3);
        let mut store = place.url().open().unwrap();
        let other = place.0.path().join("other.db");
        fs::hard_link(place.file(), &other).unwrap();
        assert_unusable(&refusal(&StoreUrl::Sqlite(other)), "2 names");
        // Whoever has it open goes on.
        let run = [block(3, BODY_BYTES)];
        store.writer.append(&run, Durability::Disk).unwrap();
        ask(&*store.reader, Extent::whole(4), BODY_BYTES).unwrap();
    }

    #[test]
    fn a_file_that_was_renamed_while_it_is_open_is_not_opened_again() {
        let place = DamageAt::with_chain(0, 3);
        let held = place.url().open().unwrap();
        let other = place.0.path().join("other.db");
        fs::rename(place.file(), &other).unwrap();
        let url = StoreUrl::Sqlite(other.clone());
        assert_unusable(&refusal(&url), "has the same file open as");
        fs::rename(other, place.file()).unwrap();
        drop(held);
        ask(
            &*place.url().open().unwrap().reader,
            Extent::whole(3),
            BODY_BYTES,
        )
        .unwrap();
    }

    #[test]
    fn a_link_that_leads_nowhere_is_refused_and_stays() {
        let place = DamageAt::new();
        let target = place.0.path().join("unmounted").join("chain.db");
        symlink(&target, place.file()).unwrap();
        let url = place.url();
        assert!(url.exists());
        let told = "a symbolic link to";
        assert_unusable(&refusal(&url), told);
        assert_unusable(&url.create().unwrap_err(), told);
        assert_unusable(&url.open_or_create().unwrap_err(), told);
        assert_unusable(&url.check(&mut |_| {}).unwrap_err(), told);
        assert_eq!(place.files(), ["chain.db"]);
        assert_eq!(fs::read_link(place.file()).unwrap(), target);
        // One that leads to itself is no better.
        fs::remove_file(place.file()).unwrap();
        symlink(place.file(), place.file()).unwrap();
        assert_unusable(&url.open_or_create().unwrap_err(), told);
        // One to an empty file is followed, and to a store.
        fs::remove_file(place.file()).unwrap();
        fs::create_dir(place.0.path().join("unmounted")).unwrap();
        fs::write(&target, "").unwrap();
        symlink(&target, place.file()).unwrap();
        drop(url.open_or_create().unwrap());
        url.open().unwrap();
        assert_eq!(fs::read_link(place.file()).unwrap(), target);
    }
}

/// Other processes: this very binary again, with a task.
#[cfg(target_os = "linux")]
mod processes {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::os::unix::fs::MetadataExt;
    use std::process::{Child, ChildStdout, Command, Stdio};

    use super::support::{make_writable, where_read_only};
    use super::*;

    const CHILD: &str = "HUBLEDGER_STORAGE_SQLITE_TEST";

    fn task(place: &DamageAt, what: &str) -> String {
        format!("{what} {}", place.file().display())
    }

    fn child_with(place: &DamageAt, what: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "processes::child", "--nocapture"]);
        command.env(CHILD, task(place, what));
        command
    }

    fn read_only_child(place: &DamageAt, what: &str) -> Command {
        let task = task(place, what);
        where_read_only(place.0.path(), "processes::child", (CHILD, &task))
    }

    #[track_caller]
    fn assert_done(command: &mut Command) {
        let output = command.output().unwrap();
        let (out, error) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{out}{error}");
    }

    /// A child that has done its task, and waits for its input to end. What else it writes goes nowhere, but has to be taken.
    struct Holding(Child, BufReader<ChildStdout>);

    fn holding(command: &mut Command) -> Holding {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = output.by_ref().lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "holding"), "the child ended");
        Holding(child, output)
    }

    fn let_go(Holding(mut child, mut output): Holding) {
        drop(child.stdin.take());
        std::io::copy(&mut output, &mut std::io::sink()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// What children do: nothing in an ordinary test run.
    #[test]
    fn child() {
        let Ok(task) = std::env::var(CHILD) else {
            return;
        };
        let (task, path) = task.split_once(' ').unwrap();
        let url = StoreUrl::Sqlite(path.into());
        let hold = || {
            println!("\nholding");
            std::io::stdout().flush().unwrap();
            std::io::stdin().read_line(&mut String::new()).unwrap();
        };
        match task {
            "write" => {
                let _store = url.open().unwrap();
                hold();
            }
            "hold" | "read" => {
                let reader = url.open_read_only().unwrap();
                ask(&*reader, Extent::whole(3), BODY_BYTES).unwrap();
                assert_eq!(check(&url), [""; 0]);
                if task != "read" {
                    hold();
                }
            }
            "read-only" => {
                let reader = url.open_read_only().unwrap();
                ask(&*reader, Extent::whole(3), BODY_BYTES).unwrap();
                assert_eq!(check(&url), [""; 0]);
                for refused in [
                    url.open(),
                    StoreUrl::Sqlite(format!("{path}.new").into()).create(),
                ] {
                    let error = refused.unwrap_err();
                    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
                }
            }
            "refused" => {
                let error = url.open_read_only().map(drop).unwrap_err();
                assert!(matches!(error, Error::Unusable { .. }), "{error}");
                let text = error.to_string();
                assert!(text.contains("chain.db-wal can't be used"), "{text}");
                assert!(text.contains("where it can be written"), "{text}");
            }
            other => panic!("{other} is no task"),
        }
    }

    /// The lock is on the file, not on its name, nor on the file of the lock.
    #[test]
    fn a_writer_keeps_others_out_whatever_the_file_is_called_by_then() {
        let place = DamageAt::with_chain(0, 3);
        let child = holding(&mut child_with(&place, "write"));
        assert!(matches!(
            place.url().open().unwrap_err(),
            Error::InUse { .. }
        ));
        fs::remove_file(place.0.path().join("chain.db.lock")).unwrap();
        assert!(matches!(
            place.url().open().unwrap_err(),
            Error::InUse { .. }
        ));
        let other = place.0.path().join("other.db");
        fs::rename(place.file(), &other).unwrap();
        let error = StoreUrl::Sqlite(other.clone()).open().unwrap_err();
        assert!(matches!(error, Error::InUse { .. }), "{error}");
        fs::rename(other, place.file()).unwrap();
        let_go(child);
        place.url().open().unwrap();
    }

    /// The locks that SQLite holds on a file for this process, as the system lists them.
    fn locks(place: &DamageAt) -> Vec<String> {
        let inode = fs::metadata(place.file()).unwrap().ino();
        let owner = std::process::id().to_string();
        let is_ours = |line: &&str| {
            let mut words = line.split_whitespace();
            words.any(|word| word == "POSIX")
                && words.any(|word| word == owner)
                && words.any(|word| word.ends_with(&format!(":{inode}")))
        };
        let all = fs::read_to_string("/proc/locks").unwrap();
        let ours = all.lines().filter(is_ours);
        ours.map(|line| line.split_once(':').unwrap().1.to_owned())
            .collect()
    }

    /// The system drops them when the process closes any other descriptor of the file.
    #[test]
    fn locks_of_sqlite_stay_whatever_else_the_process_opens_and_closes() {
        let place = DamageAt::with_chain(0, 3);
        let early = place.url().open_read_only().unwrap();
        let held = locks(&place);
        assert_eq!(held.len(), 1, "{held:?}");
        drop(place.url().open_read_only().unwrap());
        drop(place.url().open().unwrap());
        assert_eq!(check(&place.url()), [""; 0]);
        place.url().repair(&mut |_| {}).unwrap();
        assert!(place.url().create().is_err());
        assert_eq!(locks(&place), held);
        drop(early);
        assert_eq!(locks(&place), [""; 0]);
    }

    #[test]
    fn a_store_where_nothing_can_be_written_is_read_and_says_so_to_writers() {
        let place = DamageAt::with_chain(0, 3);
        fs::remove_file(place.0.path().join("chain.db.lock")).unwrap();
        let before = fs::read(place.file()).unwrap();
        assert_done(&mut read_only_child(&place, "read-only"));
        make_writable(place.0.path());
        assert_eq!(place.files(), ["chain.db"]);
        assert!(fs::read(place.file()).unwrap() == before);
    }

    /// As a medium holds them after a crash: the database and its log.
    #[test]
    fn a_log_that_can_not_be_read_there_is_named() {
        let (live, place) = (DamageAt::with_chain(0, 2), DamageAt::new());
        let mut store = live.url().open().unwrap();
        let run = [block(2, BODY_BYTES)];
        store.writer.append(&run, Durability::Disk).unwrap();
        let copy = |name: &str| {
            fs::copy(live.0.path().join(name), place.0.path().join(name)).unwrap();
        };
        copy("chain.db");
        copy("chain.db-wal");
        assert_done(&mut read_only_child(&place, "refused"));
        make_writable(place.0.path());
        // With this one SQLite can read the log.
        copy("chain.db-shm");
        assert_done(&mut read_only_child(&place, "read"));
        make_writable(place.0.path());
        // And where it can be written it is read in any case.
        fs::remove_file(place.0.path().join("chain.db-shm")).unwrap();
        assert_done(&mut child_with(&place, "read"));
    }

    /// A pipe would be waited for, until somebody reads from it.
    #[cfg(unix)]
    #[test]
    fn a_pipe_in_place_of_the_lock_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chain.db");
        drop(StoreUrl::Sqlite(path.clone()).create().unwrap());
        let lock = directory.path().join("chain.db.lock");
        std::fs::remove_file(&lock).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&lock).status();
        assert!(made.unwrap().success());
        let error = StoreUrl::Sqlite(path).open().unwrap_err();
        assert!(error.to_string().contains("a pipe"), "{error}");
    }

    #[test]
    fn readers_where_nothing_can_be_written_follow_a_writer_or_keep_it_out() {
        let place = DamageAt::with_chain(0, 2);
        // A writer elsewhere has files, which are read.
        let mut store = place.url().open().unwrap();
        let run = [block(2, BODY_BYTES)];
        store.writer.append(&run, Durability::Disk).unwrap();
        assert_done(&mut read_only_child(&place, "read"));
        make_writable(place.0.path());
        drop(store);
        // A reader that takes the file for immutable must be right.
        let child = holding(&mut read_only_child(&place, "hold"));
        make_writable(place.0.path());
        let error = place.url().open().unwrap_err();
        assert!(matches!(error, Error::InUse { .. }), "{error}");
        let_go(child);
        place.url().open().unwrap();
    }
}
