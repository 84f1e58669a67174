//! Pruning the older half of a store, and what the file system gets back.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use hubledger_storage::{Durability, Part, Store};
use serde_json::{Value, json};

use super::append::fresh_directory;
use super::keeper::Scheme;
use super::ours;
use super::workload::Workload;

/// What pruning did.
#[derive(Debug)]
pub(super) struct Pruned {
    /// Bytes of what was asked to go.
    removed: u64,
    /// Bytes that the receipt says the files lost.
    receipt_freed: u64,
    seconds: f64,
}

/// Removes bodies and index entries below a height.
fn prune(store: &mut Store, below: u64) -> Result<Pruned> {
    let started = Instant::now();
    let mut pruned = Pruned {
        removed: 0,
        receipt_freed: 0,
        seconds: 0.0,
    };
    for part in [Part::Body, Part::Index] {
        let receipt = store.writer.prune(part, below, u64::MAX)?;
        ensure!(receipt.done, "pruning stopped before its end");
        pruned.removed += receipt.bytes;
        pruned.receipt_freed += receipt.freed_bytes;
    }
    pruned.seconds = started.elapsed().as_secs_f64();
    Ok(pruned)
}

/// Fills a store, prunes its older half, and returns which part of the removed bytes the file system got back before
/// the call returned, by the blocks that it says the files take.
pub(super) fn prune_half(
    scheme: &Scheme,
    workload: &Workload,
    under: &Path,
) -> Result<(f64, Value)> {
    let directory = fresh_directory(under)?;
    let url = ours::url(scheme, directory.path())?;
    let mut store = url.create()?;
    for run in workload.runs() {
        store.writer.append(&run, Durability::Os)?;
    }
    store.writer.sync()?;
    // Closing empties journals, whose bytes pruning doesn't free.
    drop(store);
    let mut store = url.open()?;
    let before = allocated_bytes(directory.path())?;
    let pruned = prune(&mut store, workload.blocks() / 2)?;
    let after = allocated_bytes(directory.path())?;
    let freed = before.saturating_sub(after);
    ensure!(pruned.removed > 0, "nothing was pruned");
    let from = json!({
        "transactions": workload.transactions,
        "removed_bytes": pruned.removed,
        "freed_bytes": freed,
        "receipt_freed_bytes": pruned.receipt_freed,
        "seconds": pruned.seconds,
        "allocated_before_bytes": before,
        "allocated_after_bytes": after,
    });
    Ok((freed as f64 / pruned.removed as f64, from))
}

/// Bytes that the file system has given to the files below a directory: holes take none.
fn allocated_bytes(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let metadata = match path.symlink_metadata() {
            // It went away meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            found => found.with_context(|| path.display().to_string())?,
        };
        bytes += match metadata.is_dir() {
            true => allocated_bytes(&path)?,
            false => metadata.blocks() * 512,
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruning_half_of_a_log_gives_bytes_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let workload = Workload::new(2_000, 300, 100, 2);
        let (share, from) = prune_half(&Scheme("log".to_owned()), &workload, directory.path())
            .expect("pruning works");
        assert!(share >= 0.0, "{from}");
        assert_eq!(from["removed_bytes"], json!(300_000 + 36 * 1_000));
        let left = std::fs::read_dir(directory.path()).expect("the directory");
        assert_eq!(left.count(), 0, "stores are removed");
    }
}
