//! Pruning the older half of a store, and what the file system gets back.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use hubledger_storage::{Durability, Part};
use serde_json::{Map, Value, json};

use super::append::fresh_directory;
use super::contender::Contender;
use super::workload::Workload;
use crate::clock::Times;
use crate::statistics::rounded;

/// Fills a store, prunes its older half, and returns which part of the removed bytes the file system got back before
/// the call returned, by the blocks that it says the files take.
pub(super) fn prune_half(
    contender: &Contender,
    workload: &Workload,
    under: &Path,
) -> Result<(f64, Value)> {
    let directory = fresh_directory(under)?;
    let url = contender.store_url(directory.path())?;
    let mut store = url.create()?;
    for run in workload.runs() {
        store.writer.append(&run, Durability::Os)?;
    }
    store.writer.sync()?;
    // Closing empties journals, whose bytes pruning doesn't free.
    let ((), closing) = Times::of(|| drop(store));
    let (store, opening) = Times::of(|| url.open());
    let mut store = store?;
    let before = allocated_bytes(directory.path())?;
    let (mut removed, mut parts) = (0, Map::new());
    for part in [Part::Body, Part::Index] {
        let below = workload.blocks() / 2;
        let (receipt, pruning) = Times::of(|| store.writer.prune(part, below, u64::MAX));
        let receipt = receipt?;
        ensure!(receipt.done, "pruning stopped before its end");
        removed += receipt.bytes;
        let report = json!({
            "removed_bytes": receipt.bytes,
            "receipt_freed_bytes": receipt.freed_bytes,
            "ms": rounded(pruning.wall * 1e3),
        });
        parts.insert(part.to_string(), report);
    }
    let after = allocated_bytes(directory.path())?;
    let freed = before.saturating_sub(after);
    ensure!(removed > 0, "nothing was pruned");
    let from = json!({
        "transactions": workload.transactions,
        "removed_bytes": removed,
        "freed_bytes": freed,
        "parts": parts,
        "allocated_before_bytes": before,
        "allocated_after_bytes": after,
        "close_ms": rounded(closing.wall * 1e3),
        "open_ms": rounded(opening.wall * 1e3),
    });
    Ok((freed as f64 / removed as f64, from))
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
        let (share, from) = prune_half(&Contender::ours("log"), &workload, directory.path())
            .expect("pruning works");
        assert!(share >= 0.0, "{from}");
        assert_eq!(from["removed_bytes"], json!(300_000 + 36 * 1_000));
        let left = std::fs::read_dir(directory.path()).expect("the directory");
        assert_eq!(left.count(), 0, "stores are removed");
    }
}
