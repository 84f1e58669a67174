//! The memory of an import does not grow with the file.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{ok, program};

/// The most memory that an import of `file` into a new store held, in bytes.
fn import_peak(folder: &Path, file: &str) -> u64 {
    let store = format!("sqlite:{file}.db");
    let mut child = program(
        folder,
        &["import", file, "--store", &store, "--durability", "os"],
    )
    .stdout(Stdio::null())
    .spawn()
    .unwrap();
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
