//! Opening files so that nobody waits: what should be a regular file or a directory may be a named pipe, whose opening waits for
//! the other end for ever, or a device without an end. They are opened without waiting, looked at, and refused by what they are.
//!
//! Errors don't name the path; callers do. A refusal has the kind [`io::ErrorKind::InvalidInput`].

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(feature = "_directory")]
use crate::identity::count_names;

/// Opens a file to read that has to be a regular one.
///
/// # Errors
/// The system refused, or what is there is no regular file: the text says what it is.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open(File::options().read(true), path)
}

/// As [`open_regular`]; but what this process was started with, under a name such as `/dev/stdin` or `/dev/fd/3`, may be a
/// stream too. The caller has to bound what it reads.
///
/// # Errors
/// Those of [`open_regular`].
pub fn open_regular_or_given(path: &Path) -> io::Result<File> {
    // A pipe that the process was given has somebody at its other end, or ends; one that lies at a path may have nobody.
    let is_given = path == Path::new("/dev/stdin")
        || ["/dev/fd", "/proc/self/fd"]
            .iter()
            .any(|folder| path.starts_with(folder));
    if !is_given {
        return open_regular(path);
    }
    let file = without_waiting(File::options().read(true)).open(path)?;
    wait_for_bytes(&file)?;
    Ok(file)
}

/// Creates a file to write, or empties the one that is there and has to be regular.
///
/// # Errors
/// Those of [`open_regular`].
pub fn create_regular(path: &Path) -> io::Result<File> {
    open(
        File::options().write(true).create(true).truncate(true),
        path,
    )
}

/// Makes a file's name survive loss of power, by syncing the directory that it is in: a file system may forget a name whose file
/// is on the disk. Does nothing on systems that can't sync a directory.
///
/// # Errors
/// The operating system refused.
pub fn sync_name(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match cfg!(unix) {
        true => open_directory(directory)?.sync_all(),
        false => Ok(()),
    }
}

/// Opens a directory, to lock or to sync it.
///
/// # Errors
/// The system refused, or what is there is no directory.
pub fn open_directory(path: &Path) -> io::Result<File> {
    let opened = without_waiting(File::options().read(true)).open(path);
    looked_at(opened, || path.metadata(), FileType::is_dir, "directory")
}

/// Opens a file as `options` say, which has to be a regular one.
pub(crate) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let opened = without_waiting(options).open(path);
    looked_at(
        opened,
        || path.metadata(),
        FileType::is_file,
        "regular file",
    )
}

/// As [`open`], of a file to write that belongs to one directory alone: a symbolic link is refused, and so is a file with other
/// names (hard links). Whoever may put names into the directory could have the bytes written into any file else.
///
/// `options` must not empty the file, which would happen before it is looked at.
#[cfg(feature = "_directory")]
pub(crate) fn open_own(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let opened = without_following(options).open(path);
    let look = || path.symlink_metadata();
    let file = looked_at(opened, look, FileType::is_file, "regular file")?;
    match count_names(&file.metadata()?) {
        0 | 1 => Ok(file),
        names => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("it has {names} names (hard links), so it may be another's"),
        )),
    }
}

/// Looks at what was opened; where that failed, `look` says what is at the path.
fn looked_at(
    opened: io::Result<File>,
    look: impl FnOnce() -> io::Result<Metadata>,
    is_right: fn(&FileType) -> bool,
    wanted: &str,
) -> io::Result<File> {
    let refused = |found| {
        let found = name(found);
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("it is {found}, not a {wanted}"),
        )
    };
    match opened {
        // The open file is looked at, so that it can't be exchanged in between.
        Ok(file) => match file.metadata()?.file_type() {
            found if is_right(&found) => Ok(file),
            found => Err(refused(found)),
        },
        // Sockets and, to write, pipes without a reader and directories can't be opened at all.
        Err(error) => match look() {
            Ok(found) if !is_right(&found.file_type()) => Err(refused(found.file_type())),
            _ => Err(error),
        },
    }
}

#[cfg(unix)]
fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    with_flags(options, rustix::fs::OFlags::empty())
}

#[cfg(all(unix, feature = "_directory"))]
fn without_following(options: &mut OpenOptions) -> &mut OpenOptions {
    with_flags(options, rustix::fs::OFlags::NOFOLLOW)
}

#[cfg(unix)]
fn with_flags(options: &mut OpenOptions, more: rustix::fs::OFlags) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;
    // NOCTTY: a terminal that is opened must not become the one that controls this process (open(2)).
    let flags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(more);
    options.custom_flags(flags.bits().cast_signed())
}

#[cfg(not(unix))]
fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(all(not(unix), feature = "_directory"))]
fn without_following(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Has reading wait again, as streams are read.
#[cfg(unix)]
fn wait_for_bytes(file: &File) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let flags = fcntl_getfl(file)?;
    Ok(fcntl_setfl(file, flags.difference(OFlags::NONBLOCK))?)
}

#[cfg(not(unix))]
fn wait_for_bytes(_file: &File) -> io::Result<()> {
    Ok(())
}

fn name(found: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if found.is_fifo() {
            return "a pipe";
        }
        if found.is_socket() {
            return "a socket";
        }
        if found.is_char_device() || found.is_block_device() {
            return "a device";
        }
        if found.is_symlink() {
            return "a symbolic link";
        }
    }
    match (found.is_dir(), found.is_file()) {
        (true, _) => "a directory",
        (_, true) => "a regular file",
        _ => "something else",
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Read;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn refusal(outcome: io::Result<File>) -> String {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        error.to_string()
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once_by_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, socket) = (folder.path().join("pipe"), folder.path().join("socket"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        for (path, found) in [
            (pipe.as_path(), "a pipe"),
            (&socket, "a socket"),
            (Path::new("/dev/zero"), "a device"),
            (folder.path(), "a directory"),
        ] {
            for outcome in [
                open_regular(path),
                open_regular_or_given(path),
                create_regular(path),
            ] {
                let text = refusal(outcome);
                assert_eq!(text, format!("it is {found}, not a regular file"));
            }
        }
        assert_eq!(
            refusal(open_directory(&pipe)),
            "it is a pipe, not a directory"
        );
        let absent = open_regular(&folder.path().join("absent")).unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(feature = "_directory")]
    #[test]
    fn what_leads_to_another_file_is_refused_and_that_file_is_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("foreign"), "somebody's").unwrap();
        std::os::unix::fs::symlink(path("foreign"), path("symlink")).unwrap();
        std::os::unix::fs::symlink(path("nowhere"), path("dangling")).unwrap();
        std::fs::hard_link(path("foreign"), path("hard link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RWXU).unwrap();
        for (name, text) in [
            ("symlink", "it is a symbolic link, not a regular file"),
            ("dangling", "it is a symbolic link, not a regular file"),
            (
                "hard link",
                "it has 2 names (hard links), so it may be another's",
            ),
            ("pipe", "it is a pipe, not a regular file"),
        ] {
            let outcome = open_own(File::options().write(true).create(true), &path(name));
            assert_eq!(refusal(outcome), text);
        }
        let fresh = open_own(File::options().write(true).create(true), &path("fresh"));
        assert_eq!(fresh.unwrap().metadata().unwrap().len(), 0);
        assert!(!path("nowhere").exists());
        assert_eq!(std::fs::read(path("foreign")).unwrap(), b"somebody's");
    }

    #[test]
    fn a_stream_that_the_process_was_given_is_read_to_its_end() {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        let (reader, mut writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let mut file = open_regular_or_given(Path::new(&path)).unwrap();
        // The bytes come only after the file was opened, and reading waits for them.
        let writing = std::thread::spawn(move || {
            std::thread::yield_now();
            writer.write_all(b"later").unwrap();
        });
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        writing.join().unwrap();
        assert_eq!(text, "later");
    }
}
