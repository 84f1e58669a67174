//! Files whose bytes never change.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use super::super::crash::OPTIONS;
use super::super::files::SystemFiles;
use super::super::shared::LogContext;
use super::reader::LogTableReader;
use super::shared::TableShared;
use super::writer::LogTableWriter;
use crate::{Durability, Position, TableChange, TableCommit, TableReader, TableWriter};

fn hex(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn commit(height: u64, rows: &[(u8, &str, Option<&str>)]) -> TableCommit {
    let change = |(table, key, value): &(u8, &str, Option<&str>)| TableChange {
        table: *table,
        key: key.as_bytes().to_vec().into(),
        value: value.map(|value| value.as_bytes().to_vec().into()),
    };
    TableCommit {
        position: Some(Position {
            height,
            id: [height as u8; 32],
        }),
        undo_floor: 2,
        changes: rows.iter().map(change).collect(),
    }
}

#[test]
fn the_bytes_of_a_set_and_a_run() {
    let place = tempfile::tempdir().unwrap();
    let files = Arc::new(SystemFiles);
    let context = LogContext::new(files, place.path(), [7; 16], [3, 5], OPTIONS);
    let shared = Arc::new(TableShared::new(&context));
    let mut writer = LogTableWriter::guarded(&shared, ());
    let first = [(0, "", Some("")), (1, "key", Some("old"))];
    writer
        .commit("views/a", &commit(2, &first), Durability::Memory)
        .unwrap();
    let second = [(1, "key", Some("new")), (255, "gone", None)];
    writer
        .commit("views/a", &commit(3, &second), Durability::Memory)
        .unwrap();
    drop(writer);
    let directory = place.path().join(super::names::DIRECTORY);
    assert_eq!(hex(&directory.join("set-views+a")), SET);
    assert_eq!(hex(&directory.join("run-00000000")), RUN);
    // And what is written so reads back.
    let shared = Arc::new(TableShared::new(&context));
    let reader = LogTableReader::new(&shared, (), |()| Ok(()));
    let view = reader.view("views/a").unwrap();
    assert_eq!(view.get(1, b"key").unwrap().unwrap(), "new");
    assert_eq!(view.get(0, b"").unwrap().unwrap(), "");
}

const SET: &str = "484c544142534554020000002ad3e88607070707070707070707070707070707000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000ec1f763d07000000020000000000000002000000000000000300000000000000030303030303030303030303030303030303030303030303030303030303030301000000010000000000000000000000ffffffffffffffff7d010000000000008da36af90000000076696577732f61";
const RUN: &str = "484c54414252554e02000000a1e304c80707070707070707070707070707070700000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001010000040401016b65796e6577040400016b65796f6c6418000000dc73255a01000000000000010000000008000000000000000000000000000080000004000040000000000020000000000002000000400220000004000000000000000000000800000001000000000000000200000000000000020202020202020202020202020202020202020202020202020202020202020201000000000000000200000000000000030000000000000003030303030303030303030303030303030303030303030303030303030303030100000000000000484c54528da36af90300000000000000680000000000000001000000000000007500000000000000b5000000000000000100000000000000010000000000000002000000000000005a7d69e819e9fefee804359900000000";
