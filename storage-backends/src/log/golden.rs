//! Whole stores whose bytes never change: one of version 2, and the same after blocks of it were replaced.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use super::crash::OPTIONS;
use super::disk::create_segment;
use super::files::SystemFiles;
use super::format::{FileKind, Named, SUPERBLOCK_BYTES, Superblock, VERSION};
use super::home::open_on;
use super::mark::{Mark, MarkFile};
use super::shared::LogContext;
use super::values::ValueFile;
use crate::{Block, Durability, Extent, IndexEntry, Store};

/// Makes an empty store that is the same each time.
fn create(directory: &Path) {
    let superblock = Superblock {
        kind: FileKind::Store,
        version: VERSION,
        store: [7; 16],
        number: 0,
        fields: [3, 5, 0, 0, 0],
    };
    let files = Arc::new(SystemFiles);
    let context = LogContext::new(files, directory, superblock.store, [3, 5], OPTIONS);
    create_segment(&context, 0, Extent::default(), VERSION).unwrap();
    ValueFile::create(&context, 0).unwrap();
    let mark = Mark {
        heads: SUPERBLOCK_BYTES as u64,
        values: SUPERBLOCK_BYTES as u64,
        ..Mark::default()
    };
    MarkFile::create(&SystemFiles, directory, &superblock.store, mark).unwrap();
    std::fs::write(Named::Store.path(directory), superblock.encode()).unwrap();
}

fn open(directory: &Path) -> Store {
    open_on(Arc::new(SystemFiles), directory, OPTIONS).unwrap()
}

fn block(branch: u8, height: u64) -> Block {
    let entry = |position: u32| IndexEntry {
        key: [branch + 10 * position as u8 + height as u8; 32],
        position,
    };
    let mut id = [branch; 32];
    id[0] = height as u8;
    Block {
        height,
        id,
        header: format!("header {height} of {branch}").into(),
        body: format!("body {height} of {branch}").repeat(5).into(),
        index: (height as u32 % 2..3).map(entry).collect(),
    }
}

fn run(branch: u8, heights: std::ops::Range<u64>) -> Vec<Block> {
    heights.map(|height| block(branch, height)).collect()
}

/// Name, length and hash of each file.
fn digest(directory: &Path) -> Vec<String> {
    let mut files: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            // No CRC: that of bytes which hold their own is the same for all.
            let hash = bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
            });
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            format!("{name} {} {hash:016x}", bytes.len())
        })
        .collect();
    files.sort();
    files
}

/// Some segments, blocks of which were truncated. Nothing is pruned: what that leaves depends on the file system.
fn of_version_2(directory: &Path) {
    create(directory);
    let mut store = open(directory);
    let writer = &mut store.writer;
    for first in (0..10).step_by(2) {
        let run = run(0, first..first + 2);
        writer.append(&run, Durability::Disk).unwrap();
    }
    writer
        .put_named_value("name", b"value", Durability::Disk)
        .unwrap();
    writer.truncate(8).unwrap();
    writer.append(&run(1, 9..12), Durability::Os).unwrap();
}

#[test]
fn the_bytes_of_a_store_of_version_2() {
    let place = tempfile::tempdir().unwrap();
    of_version_2(place.path());
    let golden = [
        "bodies-00000000 560 cd70f976496c3cb8",
        "bodies-00000001 400 d33f0b9921a4b1a4",
        "bodies-00000002 336 d3185044576af898",
        "heads-00000000 1544 ac615384c81f08df",
        "heads-00000001 1128 1f4661d61575c889",
        "heads-00000002 672 5e2392bee5a7f85a",
        "index-00000000-00000001 1280 bf2724e8fec8b564",
        "mark 208 3bb7296281959785",
        "meta-00000000 152 bbd2f8048347fd7d",
        "store 80 646e35344a674d53",
    ];
    assert_eq!(digest(place.path()), golden);
}

#[test]
fn the_bytes_of_a_store_of_version_3() {
    let place = tempfile::tempdir().unwrap();
    of_version_2(place.path());
    let mut store = open(place.path());
    let writer = &mut store.writer;
    writer.replace(6, &run(2, 7..10), Durability::Os).unwrap();
    writer.append(&run(2, 10..11), Durability::Os).unwrap();
    writer.replace(8, &run(3, 9..13), Durability::Os).unwrap();
    for first in 13..17 {
        writer
            .append(&run(3, first..first + 1), Durability::Os)
            .unwrap();
    }
    drop(store);
    let golden = [
        "bodies-00000000 560 cd70f976496c3cb8",
        "bodies-00000001 400 d33f0b9921a4b1a4",
        "bodies-00000003 408 128ffc59418edaff",
        "bodies-00000004 600 d477548cea098831",
        "bodies-00000005 256 23af0a3587432971",
        "heads-00000000 1544 ac615384c81f08df",
        "heads-00000001 1128 1f4661d61575c889",
        "heads-00000002 840 475436cab4f04038",
        "heads-00000003 1096 76d1c7f4fa214a3a",
        "heads-00000004 1544 9eef85c04ed32890",
        "heads-00000005 544 466737ab921f2590",
        "index-00000000-00000003 1920 53fe49c32262a472",
        "index-00000004-00000004 768 890c76e948bd1d62",
        "mark 208 d9e34f20332b5b65",
        "meta-00000000 152 bbd2f8048347fd7d",
        "store 80 646e35344a674d53",
    ];
    assert_eq!(digest(place.path()), golden);
}
