//! Seals in a snapshot by members whom the chain changed: no hash covers a seal, and whose it has to be only the state tells.

use std::path::Path;

use super::export::tell;
use super::headers::HeaderEntry;
use super::{Snapshot, SnapshotError, head_path};
use crate::consensus;
use crate::format::model::{Header, Seal};
use crate::format::signature::Verifier;
use crate::ledger::step::{Phase, StepProgress};
use crate::rules::Claims;
use crate::state::State;

/// Checks the seals of all blocks whose members the specification doesn't list, by the members that the state after the head tells of their heights. The
/// headers are the chain's already, by their hashes; each file is read once more. O(signatures); memory: a file's contents.
pub(super) fn check(
    snapshot: &Snapshot,
    state: &State,
    progress: &mut StepProgress<'_>,
) -> Result<(), SnapshotError> {
    let (spec, head) = (snapshot.spec(), snapshot.head());
    let is_asked = |height: &u64| {
        consensus::changes_members(spec, *height) && !spec.is_imported(*height) && *height > 0
    };
    let verifier = Verifier::default();
    for file in &snapshot.manifest().header_files {
        if !(file.first..=file.last).any(|height| is_asked(&height)) {
            continue;
        }
        let (chunk, path) = (snapshot.headers(file)?, snapshot.headers_path(file));
        let held = chunk.entries.iter().filter_map(|entry| match entry {
            HeaderEntry::Held(header, seal) if is_asked(&header.height) => Some((header, seal)),
            _ => None,
        });
        let mut sealed = Vec::new();
        for (header, seal) in held {
            let seal = Seal::decode(seal)
                .map_err(|error| damaged(&path, header.height, &error.to_string()))?;
            sealed.push((header, seal));
        }
        let sealed = sealed.iter().map(|(header, seal)| (*header, seal));
        check_all(snapshot, state, &path, sealed, &verifier)?;
        tell(progress, Phase::Seals, file.last + 1, head.height())?;
    }
    if is_asked(&head.height()) {
        let (path, sealed) = (head_path(snapshot.folder()), (head.header(), head.seal()));
        check_all(snapshot, state, &path, [sealed], &verifier)?;
    }
    Ok(())
}

/// Checks the seals of a file in one batch.
fn check_all<'a>(
    snapshot: &Snapshot,
    state: &State,
    path: &Path,
    sealed: impl IntoIterator<Item = (&'a Header, &'a Seal)>,
    verifier: &Verifier,
) -> Result<(), SnapshotError> {
    let (mut claims, mut heights) = (Claims::default(), Vec::new());
    for (header, seal) in sealed {
        let judged =
            claims.add_seal_with(heights.len() as u32, snapshot.spec(), state, header, seal);
        // Members that could not be read are no verdict on who sealed.
        state.refuse_failed()?;
        judged.map_err(|fault| damaged(path, header.height, &fault.detail))?;
        heights.push(header.height);
    }
    match claims.verify(0..claims.len(), verifier).first() {
        None => Ok(()),
        Some((number, _)) => {
            let height = heights[*number as usize];
            Err(damaged(path, height, "its seal doesn't verify"))
        }
    }
}

fn damaged(path: &Path, height: u64, reason: &str) -> SnapshotError {
    SnapshotError::damaged(path, format!("block {height}: {reason}"))
}
