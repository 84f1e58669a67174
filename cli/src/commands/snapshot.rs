//! `snapshot export` and `import --snapshot`: the state after one block, for hubs that start from it.

use std::path::Path;

use hubledger::digest::BlockHash;
use hubledger::ledger::snapshot::{self, Snapshot, SnapshotError, SnapshotManifest};
use hubledger::ledger::{ChainReader, LedgerError};
use hubledger_storage::StoreUrl;
use serde_json::{Map, Value, json};

use crate::args::SnapshotExport;
use crate::failure::Result;
use crate::output::Output;
use crate::progress::Progress;

pub(crate) fn export(args: &SnapshotExport, output: &Output) -> Result {
    let stop = output.stop();
    stop.in_order();
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let state = reader.base_state()?;
    let mut progress = Progress::new("snapshot", None);
    let report = snapshot::export(&reader, &state, &args.out, &mut |step| {
        progress.stage(step.phase.name(), step.height, step.target);
        stop.flow()
    });
    let report = match report {
        Err(SnapshotError::Ledger(LedgerError::Stopped)) => {
            let out = args.out.display();
            let detail =
                format!("{out} is no snapshot before it is finished; start it again to go on");
            return Err(stop.failure(detail, Map::new()));
        }
        report => report?,
    };
    let manifest = &report.manifest;
    let mut document = describe(manifest);
    document["out"] = args.out.display().to_string().into();
    document["files"] = (1 + manifest.header_files.len() + manifest.row_files.len()).into();
    document["files_written"] = report.files_written.into();
    document["bytes"] = bytes(manifest).into();
    document["seconds"] = json!(progress.finish());
    output.print(&document);
    Ok(())
}

/// Loads the snapshot in `folder` into a store, for whoever trusts the block `head`.
pub(crate) fn import(folder: &Path, head: &BlockHash, store: &StoreUrl, output: &Output) -> Result {
    let stop = output.stop();
    stop.in_order();
    // Nothing is created for a snapshot that isn't one.
    let snapshot = Snapshot::open(folder, head)?;
    let target = store.open_or_create()?;
    let mut progress = Progress::new("import", None);
    let report = snapshot::import(&snapshot, target, &mut |step| {
        progress.stage(step.phase.name(), step.height, step.target);
        stop.flow()
    });
    let report = match report {
        Err(SnapshotError::Ledger(LedgerError::Stopped)) => {
            let detail =
                format!("{store} can't be opened before all is loaded; start it again to go on");
            return Err(stop.failure(detail, Map::new()));
        }
        report => report?,
    };
    let mut document = describe(snapshot.manifest());
    document["verdict"] = "valid".into();
    document["store"] = store.to_string().into();
    document["floor"] = report.extent.body_floor.into();
    document["index_floor"] = report.extent.index_floor.into();
    document["header_floor"] = report.extent.header_floor.into();
    document["resumed_at"] = report.resumed_at.into();
    document["seconds"] = json!(progress.finish());
    output.print(&document);
    Ok(())
}

fn describe(manifest: &SnapshotManifest) -> Value {
    json!({
        "chain": manifest.chain,
        "blocks": manifest.blocks,
        "head": manifest.head,
        "state_root": manifest.state_root,
        "rows": manifest.rows,
    })
}

/// Bytes of all files but the manifest.
fn bytes(manifest: &SnapshotManifest) -> u64 {
    let headers = manifest.header_files.iter().map(|file| file.file);
    let rows = manifest.row_files.iter().map(|file| file.file);
    let files = headers.chain(rows).map(|file| file.file_bytes);
    manifest.head_file.file_bytes + files.sum::<u64>()
}
