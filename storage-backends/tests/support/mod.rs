//! Blocks that follow from their height, and a check that a reader gives them back.

#![allow(dead_code)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use hubledger_storage::{Block, BlockReader, Error, Extent, Held, Id, IndexEntry, Location, Part};

/// A value that is spread over all 32 bytes.
pub(crate) fn id(kind: u8, height: u64, number: u32) -> Id {
    let mut state = u64::from(kind) << 56 | height << 16 | u64::from(number);
    let mut id = [0; 32];
    for byte in &mut id {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *byte = (state >> 56) as u8;
    }
    id
}

/// A block with a body of about `body_bytes` and four keys.
pub(crate) fn block(height: u64, body_bytes: usize) -> Block {
    let line = format!("body of {height}, ");
    Block {
        height,
        id: id(b'i', height, 0),
        header: Bytes::from(format!("header of {height}")),
        body: Bytes::from(line.repeat(body_bytes / line.len() + 1)),
        index: (0..4)
            .map(|position| IndexEntry {
                key: id(b'k', height, position),
                position,
            })
            .collect(),
    }
}

/// Asks for everything the blocks `0..extent.end` should give, and goes on after errors. `Ok` if all
/// answers are right, the first error otherwise; panics at a wrong answer. "Not indexed yet" is right where it
/// may be: at or above the watermark that it tells of.
pub(crate) fn ask(
    reader: &dyn BlockReader,
    extent: Extent,
    body_bytes: usize,
) -> Result<(), Error> {
    let beyond = reader
        .header(extent.end)
        .map(|header| assert_eq!(header, None));
    let told = reader
        .extent()
        .map(|told| assert_eq!(told, extent, "wrong extent"));
    (0..extent.end).fold(told.and(beyond), |first, height| {
        first.and(ask_block(reader, extent, &block(height, body_bytes)))
    })
}

/// The part of [`ask`] about one block.
pub(crate) fn ask_block(
    reader: &dyn BlockReader,
    extent: Extent,
    block: &Block,
) -> Result<(), Error> {
    let height = block.height;
    let header = reader.header(height)?.expect("a header below the end");
    let part = |part, bytes: &Bytes| match height < extent.floor_of(part) {
        true => Held::Pruned,
        false => Held::Present(bytes.clone()),
    };
    let bytes = part(Part::Header, &block.header);
    assert_eq!((header.id, header.bytes), (block.id, bytes), "wrong header");
    let held = reader.block(height)?.expect("a block below the end");
    let body = part(Part::Body, &block.body);
    assert_eq!((held.id, held.body), (block.id, body), "wrong block");
    assert_eq!(reader.height_of(&block.id)?, Some(height), "wrong height");
    let is_forgotten = height < extent.index_floor;
    for &IndexEntry { key, position } in &block.index {
        let expected = match is_forgotten {
            true => extent.missing(),
            false => extent.location(height, position),
        };
        match reader.locate(&key)? {
            Location::NotIndexed { watermark } => {
                assert!(is_forgotten || watermark <= height, "a wrong watermark");
            }
            place => assert_eq!(place, expected, "wrong place"),
        }
        let mut absent = key;
        absent[31] ^= 1;
        let place = reader.locate(&absent)?;
        assert!(
            place == extent.missing() || matches!(place, Location::NotIndexed { .. }),
            "a key that nobody appended is {place:?}"
        );
    }
    Ok(())
}

/// Asks for the index entries of the blocks `0..extent.end`, as [`ask`] does for the rest.
pub(crate) fn ask_entries(reader: &dyn BlockReader, extent: Extent) -> Result<(), Error> {
    let mut first = Ok(());
    for height in 0..extent.end {
        first = first.and(ask_index(reader, extent, &block(height, 0)));
    }
    first
}

/// The part of [`ask_entries`] about one block.
pub(crate) fn ask_index(
    reader: &dyn BlockReader,
    extent: Extent,
    block: &Block,
) -> Result<(), Error> {
    let expected = match block.height < extent.index_floor {
        true => Held::Pruned,
        false => Held::Present(block.index.clone()),
    };
    let told = reader.index(block.height)?;
    assert_eq!(told, Some(expected), "wrong index entries");
    Ok(())
}

/// Waits until the index has caught up.
pub(crate) fn await_index(reader: &dyn BlockReader) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Location::NotIndexed { watermark } = reader.locate(&id(b'?', 0, 0)).unwrap() {
        assert!(Instant::now() < deadline, "not indexed from {watermark} on");
        std::thread::yield_now();
    }
}

/// A command that runs `test`, of this very binary, where `directory` can only be read. `task` tells it what to do, in a variable.
///
/// The superuser may write to any directory, so there it is a mount of its own that is read-only; CI is root, and has to be
/// able to mount. Others take the permission to write away.
#[cfg(target_os = "linux")]
pub(crate) fn where_read_only(
    directory: &std::path::Path,
    test: &str,
    task: (&str, &str),
) -> std::process::Command {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let executable = std::env::current_exe().unwrap();
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = if is_root {
        let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && exec \"$@\"";
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "sh", "-c", mount]).arg(directory);
        command.arg(executable);
        command
    } else {
        let mode = std::fs::Permissions::from_mode(0o555);
        std::fs::set_permissions(directory, mode).unwrap();
        std::process::Command::new(executable)
    };
    command.args(["--exact", test, "--nocapture"]);
    command.env(task.0, task.1);
    command
}

/// Lets a directory be written, and removed, again.
#[cfg(target_os = "linux")]
pub(crate) fn make_writable(directory: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory, mode).unwrap();
}
