//! The memory of an import does not grow with the file, nor that of a verification with the chain.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use hubledger::blockfile::BlockFileReader;
use hubledger::clock::SystemClock;
use hubledger::ledger::{Ledger, Staging};
use hubledger_storage::{Durability, LogOptions};

use crate::support::{ok, program};

/// The most memory that an import of `file` into a new store held, in bytes.
fn import_peak(folder: &Path, file: &str) -> u64 {
    let store = format!("sqlite:{file}.db");
    peak_of(
        folder,
        &["import", file, "--store", &store, "--durability", "os"],
    )
}

/// The most memory that a run of the program held, in bytes.
fn peak_of(folder: &Path, args: &[&str]) -> u64 {
    let mut child = program(folder, args).stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        // The kernel keeps the peak, so that the last look before the end is enough.
        let lines = std::fs::read_to_string(&status).unwrap_or_default();
        let line = lines.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = line.and_then(|line| line.trim().strip_suffix(" kB")) {
            peak = kib.parse::<u64>().unwrap() * 1024;
        }
        match child.try_wait().unwrap() {
            Some(ended) => break ended,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    assert!(ended.success());
    assert!(peak > 0, "the peak was seen");
    peak
}

/// The peak of importing so many blocks of 1.6 MB.
fn peak_for(blocks: u32) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let transactions = (100 * blocks).to_string();
    let args = ["--per-block", "100", "--payload", "16000"];
    let recipe = [
        "generate",
        "--out",
        "a.hlb",
        "--transactions",
        &transactions,
    ];
    ok(folder.path(), &[&recipe[..], &args].concat());
    let peak = import_peak(folder.path(), "a.hlb");
    let held = ok(folder.path(), &["stats", "--store", "sqlite:a.hlb.db"]);
    assert_eq!(held["height"], blocks);
    peak
}

#[test]
fn an_import_of_a_file_four_times_as_long_takes_no_more_memory() {
    // The shorter file fills everything that has a bound: blocks in flight, and the store's cache.
    let (short, long) = (peak_for(100), peak_for(400));
    assert!(
        long <= short + short / 4,
        "{long} bytes for 640 MB, {short} for a quarter of it"
    );
}

/// Segments of some 13 blocks, so that what is bounded by a segment is at its bound in a short chain too.
const SEGMENTS: LogOptions = LogOptions {
    segment_bytes: 4 << 20,
    segment_entries: 1 << 16,
    index_fanout: 8,
    direct_bytes: 4 << 20,
    index_in_background: false,
    cache_bytes: 16 << 20,
    table_memory_bytes: 32 << 20,
    table_cache_bytes: 1 << 20,
};

/// The most memory that `verify` of a `log:` store of so many blocks of 300 kB held.
fn verify_peak(blocks: u32) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let transactions = (250 * blocks).to_string();
    let recipe = [
        "generate",
        "--out",
        "a.hlb",
        "--transactions",
        &transactions,
    ];
    let args = ["--per-block", "250", "--payload", "1000"];
    ok(folder, &[&recipe[..], &args].concat());
    let mut file = BlockFileReader::open(&folder.join("a.hlb")).unwrap();
    let store = SEGMENTS.create(&folder.join("hub")).unwrap();
    let mut ledger = Ledger::create(store, file.spec(), Arc::new(SystemClock)).unwrap();
    ledger.set_durability(Durability::Os);
    while let Some((_, bytes)) = file.next_block().unwrap() {
        assert_eq!(ledger.stage_bytes(&bytes).unwrap(), Staging::Staged);
        ledger.commit().unwrap();
    }
    ledger.close().unwrap();
    let sealed = folder.join("hub").read_dir().unwrap().count() / 2;
    assert!(sealed as u32 >= blocks / 15, "{sealed} segments");
    peak_of(folder, &["verify", "--store", "log:hub"])
}

/// Of index files as much is kept in memory as there is, 23 bytes an entry, up to `LogOptions::cache_bytes`. All else that verifying
/// holds has a bound that both chains reach: the program, a block as it lies in the store and as it is decoded, the
/// records that were read last, the index of the open segment, and of a few sealed ones whose index files aren't written yet.
const ENTRY_BYTES: u64 = 23;
/// … and this is the bound here.
const VERIFY_BYTES_MAX: u64 = 48 << 20;

#[test]
fn verifying_a_log_eight_times_as_long_takes_no_more_memory() {
    let (short, long) = (verify_peak(60), verify_peak(480));
    let cached = ENTRY_BYTES * 251 * 480;
    assert!(
        long <= short + short / 4 + cached && long <= VERIFY_BYTES_MAX,
        "{long} bytes for 120,000 transactions, {short} for 15,000"
    );
}
