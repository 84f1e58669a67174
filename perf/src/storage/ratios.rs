//! The ratios of keeping blocks.

use super::lookup::Asked;
use crate::ratios::{Kind, Ratio};

/// What a ratio compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    /// Append rates of two contenders, by name.
    Append(&'static str, &'static str),
    /// Look-up rates of two contenders in stores of the full size (the large one, if there is one).
    LookUp(Asked, &'static str, &'static str),
    /// The append rate of a large store over that of a small one.
    Growth(&'static str),
    /// The most resident memory while a store is filled: small, large, or how much more it is.
    Resident(&'static str, Size),
    /// The time of opening after a kill, large over small.
    Open(&'static str, Warmth),
    /// Freed over removed bytes.
    Prune(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Small,
    Large,
    Growth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Warmth {
    Warm,
    Cold,
}

/// A ratio and what it compares.
pub(super) struct Entry {
    pub(super) ratio: Ratio,
    pub(super) test: Test,
}

const fn entry(
    key: &'static str,
    kind: Kind,
    goal: Option<f64>,
    test: Test,
    meaning: &'static str,
) -> Entry {
    Entry {
        ratio: Ratio {
            key,
            kind,
            goal,
            meaning,
        },
        test,
    }
}

const ROCKS: &str = "plain-rocksdb-indexed";

/// All of them. Those of the same stores stand together, because stores are kept from one to the next.
pub(super) static ENTRIES: [Entry; 24] = [
    entry(
        "log_append_over_plain_file",
        Kind::Speed,
        Some(0.6),
        Test::Append("log", "plain-file"),
        "Appending with index, log: against one file with a CRC32C for each block and the same syncs.",
    ),
    entry(
        "log_append_over_plain_rocksdb_indexed",
        Kind::Speed,
        Some(6.0),
        Test::Append("log", ROCKS),
        "Appending with index, log: against RocksDB with its defaults and an index of 32-byte ids.",
    ),
    entry(
        "rocksdb_append_over_plain_rocksdb_indexed",
        Kind::Speed,
        Some(1.5),
        Test::Append("rocksdb", ROCKS),
        "The same, rocksdb: against plain RocksDB.",
    ),
    entry(
        "sqlite_append_over_plain_sqlite_indexed",
        Kind::Speed,
        Some(2.5),
        Test::Append("sqlite", "plain-sqlite-indexed"),
        "The same, sqlite: against plain SQLite in WAL mode.",
    ),
    entry(
        "log_append_over_plain_rocksdb",
        Kind::Speed,
        None,
        Test::Append("log", "plain-rocksdb"),
        "Appending with index, log: against plain RocksDB that keeps no index.",
    ),
    entry(
        "log_append_over_plain_sqlite",
        Kind::Speed,
        None,
        Test::Append("log", "plain-sqlite"),
        "Appending with index, log: against plain SQLite that keeps no index.",
    ),
    entry(
        "log_append_over_plain_fjall_indexed",
        Kind::Speed,
        None,
        Test::Append("log", "plain-fjall-indexed"),
        "Appending with index, log: against plain fjall.",
    ),
    entry(
        "log_append_over_plain_redb_indexed",
        Kind::Speed,
        None,
        Test::Append("log", "plain-redb-indexed"),
        "Appending with index, log: against plain redb.",
    ),
    entry(
        "log_append_large_over_small",
        Kind::Speed,
        Some(0.95),
        Test::Growth("log"),
        "The append rate of log: over ten times as many transactions as --transactions says against that over so many; \
         index files that are merged meanwhile included.",
    ),
    entry(
        "log_lookup_over_plain_rocksdb_indexed",
        Kind::Speed,
        Some(3.0),
        Test::LookUp(Asked::Present, "log", ROCKS),
        "Looking up random ids that are there, warm, in the full size (ten times as many with --large), log: against \
         plain RocksDB.",
    ),
    entry(
        "log_miss_over_plain_rocksdb_indexed",
        Kind::Speed,
        Some(1.0),
        Test::LookUp(Asked::Absent, "log", ROCKS),
        "The same with ids that are not there; RocksDB has a Bloom filter of ten bits.",
    ),
    entry(
        "log_lookup_over_plain_sqlite_indexed",
        Kind::Speed,
        None,
        Test::LookUp(Asked::Present, "log", "plain-sqlite-indexed"),
        "Looking up random ids that are there, log: against plain SQLite.",
    ),
    entry(
        "log_lookup_over_plain_fjall_indexed",
        Kind::Speed,
        None,
        Test::LookUp(Asked::Present, "log", "plain-fjall-indexed"),
        "The same against plain fjall.",
    ),
    entry(
        "log_lookup_over_plain_redb_indexed",
        Kind::Speed,
        None,
        Test::LookUp(Asked::Present, "log", "plain-redb-indexed"),
        "The same against plain redb.",
    ),
    entry(
        "rocksdb_lookup_over_plain_rocksdb_indexed",
        Kind::Speed,
        None,
        Test::LookUp(Asked::Present, "rocksdb", ROCKS),
        "Looking up random ids that are there, rocksdb: against plain RocksDB.",
    ),
    entry(
        "sqlite_lookup_over_plain_sqlite_indexed",
        Kind::Speed,
        None,
        Test::LookUp(Asked::Present, "sqlite", "plain-sqlite-indexed"),
        "Looking up random ids that are there, sqlite: against plain SQLite.",
    ),
    entry(
        "log_resident_mib",
        Kind::Mebibytes,
        None,
        Test::Resident("log", Size::Small),
        "The most resident memory, files excluded, of a process that fills log:.",
    ),
    entry(
        "log_resident_large_mib",
        Kind::Mebibytes,
        None,
        Test::Resident("log", Size::Large),
        "The same with ten times as many transactions.",
    ),
    entry(
        "log_resident_growth_mib",
        Kind::Mebibytes,
        Some(64.0),
        Test::Resident("log", Size::Growth),
        "How much more the second is.",
    ),
    entry(
        "log_open_large_over_small",
        Kind::Cost,
        Some(1.5),
        Test::Open("log", Warmth::Warm),
        "Opening log: after SIGKILL in the midst of an append, ten times as many transactions as \
         --transactions says against so many; kills are \
         spread over a segment's length.",
    ),
    entry(
        "log_open_cold_large_over_small",
        Kind::Cost,
        Some(1.5),
        Test::Open("log", Warmth::Cold),
        "The same after the system was told to forget the files.",
    ),
    entry(
        "log_prune_freed_over_removed",
        Kind::Share,
        Some(0.95),
        Test::Prune("log"),
        "Pruning bodies and index of the older half of log:, bytes that the file system got back by the bytes removed.",
    ),
    entry(
        "sqlite_prune_freed_over_removed",
        Kind::Share,
        Some(0.95),
        Test::Prune("sqlite"),
        "The same for sqlite:.",
    ),
    entry(
        "rocksdb_prune_freed_over_removed",
        Kind::Share,
        Some(0.95),
        Test::Prune("rocksdb"),
        "The same for rocksdb:.",
    ),
];

/// The ratios of keeping blocks.
pub(crate) fn ratios() -> impl Iterator<Item = &'static Ratio> {
    ENTRIES.iter().map(|entry| &entry.ratio)
}
