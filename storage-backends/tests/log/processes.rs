//! Other handles, other processes, and what they may not do.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use hubledger_storage::{Block, Durability, Error, Extent, StoreUrl};

use super::support::{ask, block};
use super::{BODY_BYTES, DamageAt, END, extent};

/// Tells a child where its store is, and what to do.
const CHILD: &str = "HUBLEDGER_STORAGE_LOG_TEST";

#[test]
fn one_writer_through_all_names_of_a_directory() {
    let place = DamageAt::with_chain();
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

/// A directory that is mounted in two places has two paths that no link leads from one to the other. Only root can mount, and CI
/// is root.
#[cfg(target_os = "linux")]
#[test]
fn one_store_through_two_mounts_of_a_directory() {
    if !fs::metadata("/proc/self").is_ok_and(|own| is_root(&own)) {
        return println!("not run: only root can mount");
    }
    let place = DamageAt::with_chain();
    let second = place.0.path().join("second");
    fs::create_dir(&second).unwrap();
    let mut command = Command::new("unshare");
    let mount = "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";
    command.args(["--mount", "sh", "-c", mount]);
    command.args([&place.directory(), &second]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", "processes::child", "--nocapture"]);
    command.env(CHILD, format!("twice {}", place.directory().display()));
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
}

#[test]
fn a_store_in_use_by_another_process_is_refused() {
    let place = DamageAt::with_chain();
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
    let place = DamageAt::with_chain();
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
    let place = DamageAt::new();
    drop(place.url().create().unwrap());
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child", "--nocapture"])
        .env(CHILD, format!("fill {}", place.directory().display()))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let mut store = place.url().open().unwrap();
    let end = store.reader.extent().unwrap().end;
    assert!(end > 0 && end.is_multiple_of(3), "{end}");
    ask(&*store.reader, Extent::whole(end), 50_000).unwrap();
    store
        .writer
        .append(&[block(end, 50_000)], Durability::Disk)
        .unwrap();
}

/// The shell limits how many files the child may have open.
#[test]
fn a_store_is_made_whole_or_not_at_all_where_descriptors_run_out() {
    let limited = |task: &str, limit: u32, place: &DamageAt| {
        let output = Command::new("sh")
            .args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child", "--nocapture"])
            .env(CHILD, format!("{task} {}", place.directory().display()))
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let mut failed = 0;
    for limit in 4..100 {
        let place = DamageAt::new();
        let is_there = limit % 2 == 0;
        if is_there {
            fs::create_dir(place.directory()).unwrap();
        }
        let told = limited("create", limit, &place);
        if told.contains("made a store") {
            drop(place.url().open().unwrap());
            break;
        }
        assert!(told.contains("Too many open files"), "{limit}: {told}");
        assert_eq!(place.directory().exists(), is_there, "{limit}");
        if is_there {
            assert!(place.files().is_empty(), "{limit}: {:?}", place.files());
        }
        drop(place.url().create().unwrap());
        let told = limited("look", limit, &place);
        assert!(
            told.contains("Too many open files") || told.contains("opened"),
            "{limit}: {told}"
        );
        failed += 1;
    }
    assert!((3..96).contains(&failed), "{failed}");
}

fn start_child(task: &str, directory: &Path) -> std::process::Child {
    let mut executable = std::env::current_exe().unwrap();
    // The superuser may write everywhere, so another user reads; who may not enter the folder of the build.
    let other_user =
        task == "read only" && fs::metadata("/proc/self").is_ok_and(|own| is_root(&own));
    if other_user {
        let copy = directory.with_file_name("child");
        fs::copy(&executable, &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        executable = copy;
    }
    let mut command = Command::new(executable);
    command
        .args(["--exact", "processes::child", "--nocapture"])
        .env(CHILD, format!("{task} {}", directory.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if other_user {
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
        "create" => match url.create() {
            Ok(_) => println!("made a store"),
            Err(error) => println!("{error}"),
        },
        "look" => match url.open() {
            Ok(_) => println!("opened"),
            Err(error) => println!("{error}"),
        },
        "twice" => {
            let second = StoreUrl::Log(Path::new(directory).with_file_name("second"));
            let mut store = url.open().unwrap();
            assert!(matches!(second.open().unwrap_err(), Error::InUse { .. }));
            let reader = second.open_read_only().unwrap();
            let run = [block(END, BODY_BYTES)];
            store.writer.append(&run, Durability::Os).unwrap();
            let longer = Extent {
                end: END + 1,
                ..extent()
            };
            ask(&*reader, longer, BODY_BYTES).unwrap();
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
        ask(&*store.reader, Extent::whole(end), 50_000).unwrap();
        return;
    }
}
