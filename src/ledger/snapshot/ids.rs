//! The ids and headers in a snapshot, checked against the one hash that is trusted: links and history as far as headers are there, seals
//! by the specification's keys (by those that the chain changed, in `seals.rs`), and in the end the history root that the head names.

use std::path::Path;

use super::headers::HeaderEntry;
use super::{Snapshot, SnapshotError};
use crate::consensus;
use crate::format::digest::BlockHash;
use crate::format::merkle::{Frontier, history_leaf};
use crate::format::model::{Header, Seal};
use crate::format::signature::Verifier;
use crate::rules::Claims;

/// The ids of all blocks below the head, checked one after the other.
pub(super) struct Ids<'a> {
    snapshot: &'a Snapshot,
    verifier: Verifier,
    /// The tree over them.
    pub(super) history: Frontier,
    /// The height from which on headers are there.
    pub(super) header_floor: u64,
    last: BlockHash,
}

impl<'a> Ids<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            verifier: Verifier::default(),
            history: Frontier::new(),
            header_floor: 0,
            last: BlockHash::ZERO,
        }
    }

    /// Checks the blocks of a file: links and history, so far as headers are there, and seals.
    pub(super) fn check(
        &mut self,
        path: &Path,
        first: u64,
        entries: &[HeaderEntry],
    ) -> Result<(), SnapshotError> {
        let mut claims = Claims::default();
        let mut newest = None;
        for (height, entry) in (first..).zip(entries) {
            let damaged =
                |reason: &str| SnapshotError::damaged(path, format!("block {height}: {reason}"));
            if height == 0 && entry.hash() != self.snapshot.spec().genesis().hash() {
                return Err(damaged("not the genesis of the specification"));
            }
            match entry {
                HeaderEntry::Pruned(_) if self.header_floor == height => {
                    self.header_floor = height + 1;
                }
                HeaderEntry::Pruned(_) => return Err(damaged("its header is missing")),
                HeaderEntry::Held(header, seal) => {
                    self.check_link(height, header)
                        .map_err(|reason| damaged(&reason))?;
                    self.claim(header, seal, (height - first) as u32, &mut claims)
                        .map_err(|reason| damaged(&reason))?;
                    newest = Some((header, self.history.root()));
                }
            }
            self.last = entry.hash();
            self.history.push(history_leaf(&self.last));
        }
        // Of each file the last header: so a wrong hash before it shows here, and not only at the head.
        if let Some((header, root)) = newest
            && header.history_root != root
        {
            let reason = format!(
                "the hashes up to block {} don't give its history root",
                header.height
            );
            return Err(SnapshotError::damaged(path, reason));
        }
        match claims.verify(0..claims.len(), &self.verifier).first() {
            None => Ok(()),
            Some((number, _)) => {
                let height = first + u64::from(*number);
                let reason = format!("block {height}: its seal doesn't verify");
                Err(SnapshotError::damaged(path, reason))
            }
        }
    }

    /// That a header is at its height, of this chain, and links to the block before.
    fn check_link(&self, height: u64, header: &Header) -> Result<(), String> {
        let spec = self.snapshot.spec().at(height);
        if header.height != height {
            return Err(format!("its header says height {}", header.height));
        }
        if header.chain != spec.id() || header.version != spec.version {
            return Err(format!("its header is of chain {}", header.chain));
        }
        if header.previous_hash != self.last {
            return Err("it doesn't link to the block before".to_owned());
        }
        Ok(())
    }

    /// Gathers what a seal claims to be signed, if nothing else is wrong with it.
    fn claim(
        &self,
        header: &Header,
        seal: &[u8],
        number: u32,
        claims: &mut Claims,
    ) -> Result<(), String> {
        let spec = self.snapshot.spec();
        let seal = Seal::decode(seal).map_err(|error| error.to_string())?;
        if header.height == 0 {
            return match seal == *spec.genesis().seal() {
                true => Ok(()),
                false => Err("genesis has no seal".to_owned()),
            };
        }
        if spec.is_imported(header.height) {
            return Ok(());
        }
        consensus::check_seal(spec, header, &seal).map_err(|fault| fault.detail)?;
        claims.add_seal(number, spec, header, &seal);
        Ok(())
    }

    /// That the hashes are all that the head's history is over.
    pub(super) fn check_end(&self) -> Result<(), SnapshotError> {
        let (manifest, head) = (self.snapshot.manifest(), self.snapshot.head());
        let Some(file) = manifest.header_files.last() else {
            return Err(SnapshotError::damaged(self.snapshot.folder(), "no headers"));
        };
        let path = self.snapshot.headers_path(file);
        if self.last != head.header().previous_hash {
            return Err(SnapshotError::damaged(
                &path,
                "the head doesn't link to its last block",
            ));
        }
        if self.history.root() != head.header().history_root {
            let reason =
                "the hashes up to its last block don't give the history root that the head names";
            return Err(SnapshotError::damaged(&path, reason));
        }
        Ok(())
    }
}
