//! Loading a snapshot into an empty store: the ids and headers of all blocks, the head whole, and the state in the store's tables.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hubledger_storage::{Block as StoredBlock, Durability, Extent, Part, Position, Store};

use super::export::tell;
use super::headers::HeaderEntry;
use super::{Snapshot, SnapshotError};
use crate::consensus;
use crate::format::codec;
use crate::format::digest::{BlockHash, ChainId, Digest};
use crate::format::merkle::{Frontier, history_leaf};
use crate::format::model::{Header, Seal};
use crate::format::signature::Verifier;
use crate::ledger::step::{Phase, StepProgress};
use crate::ledger::values::{VALUE_COPY, VALUE_SPEC};
use crate::ledger::{ChainReader, LedgerError, Missing, record, state_set};
use crate::rules::Claims;
use crate::state::State;

/// What the named value `copy` begins with while an import is incomplete.
const MAGIC: &[u8; 8] = b"HLSNAP\0\x01";

/// Blocks that are appended at once.
const RUN_BLOCKS: usize = 1024;
/// Blocks that one call of the store prunes.
const STEP_BLOCKS: u64 = 4096;

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// The chain, by the id of the specification in force at the head.
    pub chain: ChainId,
    /// Hash of the last block, the trusted one.
    pub head: BlockHash,
    /// The root over the rows.
    pub state_root: Digest,
    /// Number of rows.
    pub rows: u64,
    /// Which heights are held, and what of them.
    pub extent: Extent,
    /// The height where this run began; above 0 if it went on with an interrupted one. Rows are then loaded again.
    pub resumed_at: u64,
}

/// Loads a snapshot into `target`, which is empty or holds an unfinished import of this very snapshot. Everything is checked before the
/// store is a chain to anybody: the ids of all blocks against the history root in the head's header, headers against their ids, seals by the
/// specification's keys, rows against the state root. Bodies and index entries of all blocks below the head count as pruned, and so do
/// headers that the source had pruned. O(blocks + rows); memory: a file's contents, and pages of the state up to a bound.
///
/// # Errors
/// [`SnapshotError::Damaged`] with the file that isn't what it has to be; [`LedgerError::TargetInUse`] and [`SnapshotError::OtherImport`] (nothing is
/// changed); [`LedgerError::Stopped`] if `progress` stopped it; a store that failed. The target stays incomplete then, and says so.
pub fn import(
    snapshot: &Snapshot,
    target: Store,
    progress: &mut StepProgress<'_>,
) -> Result<ImportReport, SnapshotError> {
    let mut import = Import { snapshot, target };
    import.begin()?;
    let resumed_at = import.target.reader.extent()?.end;
    let (history, header_floor) = import.blocks(progress)?;
    import.prune(header_floor, progress)?;
    import.state(history, progress)?;
    let extent = import.finish()?;
    let manifest = snapshot.manifest();
    Ok(ImportReport {
        chain: manifest.chain,
        head: manifest.head,
        state_root: manifest.state_root,
        rows: manifest.rows,
        extent,
        resumed_at,
    })
}

struct Import<'a> {
    snapshot: &'a Snapshot,
    target: Store,
}

impl Import<'_> {
    /// Marks the target as incomplete, or finds that it is so because of an earlier run.
    fn begin(&mut self) -> Result<(), SnapshotError> {
        let manifest = self.snapshot.manifest();
        // The checksum stands for the files: with others, what an earlier run has put there could be of another floor.
        let mark = [&MAGIC[..], &manifest.head.0, &manifest.checksum.0].concat();
        let Store { reader, writer, .. } = &mut self.target;
        let held = reader.named_value(VALUE_COPY)?.unwrap_or_default();
        if held == mark {
            return Ok(());
        }
        if held.starts_with(MAGIC) {
            return Err(SnapshotError::OtherImport);
        }
        let is_empty = held.is_empty() && reader.extent()?.is_empty();
        if !is_empty || reader.named_value(VALUE_SPEC)?.is_some() {
            return Err(LedgerError::TargetInUse.into());
        }
        // On the disk before anything else: whatever a crash leaves of the import, no reader takes it for a chain.
        writer.put_named_value(VALUE_COPY, &mark, Durability::Disk)?;
        Ok(())
    }

    /// Appends all blocks that aren't there yet; gives the tree over all ids, and the height from which on headers are held.
    fn blocks(
        &mut self,
        progress: &mut StepProgress<'_>,
    ) -> Result<(Frontier, u64), SnapshotError> {
        let (snapshot, mut held) = (self.snapshot, self.target.reader.extent()?.end);
        let head = snapshot.head();
        let mut ids = Ids::new(snapshot);
        for file in &snapshot.manifest().header_files {
            let chunk = snapshot.headers(file)?;
            let path = snapshot.headers_path(file);
            ids.check(&path, file.first, &chunk.entries)?;
            let blocks = (file.first..).zip(&chunk.entries);
            let new = blocks.filter(|(height, _)| *height >= held);
            let new: Vec<StoredBlock> = new.map(|(height, entry)| stored(height, entry)).collect();
            for run in new.chunks(RUN_BLOCKS) {
                self.target.writer.append(run, Durability::Os)?;
            }
            held = held.max(file.last + 1);
            tell(progress, Phase::Headers, file.last + 1, head.height())?;
        }
        ids.check_end()?;
        ids.history.push(history_leaf(&head.hash()));
        if self.target.reader.extent()?.end == head.height() {
            let block = record::encode(head);
            self.target.writer.append(&[block], Durability::Os)?;
        }
        Ok((ids.history, ids.header_floor))
    }

    /// Raises the floors to what is held, so that nothing that isn't passes for absent.
    fn prune(
        &mut self,
        header_floor: u64,
        progress: &mut StepProgress<'_>,
    ) -> Result<(), SnapshotError> {
        let height = self.snapshot.head().height();
        self.target.writer.sync()?;
        for part in Part::ALL {
            let below = match part {
                Part::Body | Part::Index => height,
                Part::Header => header_floor,
            };
            let mut floor = self.target.reader.extent()?.floor_of(part);
            while floor < below {
                floor = self.target.writer.prune(part, below, STEP_BLOCKS)?.floor;
                tell(progress, Phase::PruneCopy, floor, below)?;
            }
        }
        Ok(())
    }

    /// Loads the rows, unless they are there.
    fn state(
        &mut self,
        history: Frontier,
        progress: &mut StepProgress<'_>,
    ) -> Result<(), SnapshotError> {
        let snapshot = self.snapshot;
        let (manifest, head) = (snapshot.manifest(), snapshot.head());
        let chain = self.chain();
        let Store { reader, tables, .. } = &mut self.target;
        let position = Position {
            height: head.height(),
            id: head.hash().0,
        };
        if let Some(state) = state_set::read(&chain, &**reader)?
            && state.head() == head.hash()
        {
            return Ok(());
        }
        let mut loading = state_set::Loading::begin(&**reader, &mut **tables, position)?;
        let mut rows = 0;
        for file in &manifest.row_files {
            let contents = snapshot.row_bytes(file)?;
            loading.put(&snapshot.rows(file, &contents)?.puts())?;
            rows += file.rows;
            tell(progress, Phase::Rows, rows, manifest.rows)?;
        }
        let mut tree = loading.finish()?;
        // Each file proved its rows; this one compares what was made of them.
        let state = State::after(snapshot.spec().id(), head.header(), history, tree.clone());
        let state = state.filter(|_| tree.root() == head.header().state_root);
        let state = state.ok_or_else(|| LedgerError::Damaged {
            record: "state",
            height: head.height(),
            problem: "the rows that were loaded don't give the root that the block names"
                .to_owned(),
        })?;
        state_set::write(&state, &chain, &mut **tables, Durability::Os)?;
        Ok(())
    }

    /// The target as a chain, though it still says that it is incomplete.
    fn chain(&self) -> ChainReader {
        let reader = Arc::clone(&self.target.reader);
        let spec = self.snapshot.spec().clone();
        ChainReader::from_parts(spec, reader, Arc::new(Missing::default()))
    }

    /// Makes the target a chain, once all of it is on the disk.
    fn finish(&mut self) -> Result<Extent, SnapshotError> {
        let (height, spec) = (self.snapshot.head().height(), self.snapshot.spec());
        let found = state_set::read(&self.chain(), &*self.target.reader)?;
        if found.is_none_or(|state| state.height() != height) {
            return Err(LedgerError::CopyDiffers(
                "the state that was loaded isn't found".to_owned(),
            )
            .into());
        }
        let Store {
            reader,
            writer,
            tables,
        } = &mut self.target;
        writer.put_named_value(VALUE_SPEC, spec.bytes(), Durability::Os)?;
        tables.sync()?;
        writer.sync()?;
        writer.put_named_value(VALUE_COPY, &[], Durability::Disk)?;
        writer.sync()?;
        Ok(reader.extent()?)
    }
}

/// A block as it is appended, without what the snapshot doesn't have.
fn stored(height: u64, entry: &HeaderEntry) -> StoredBlock {
    let header = match entry {
        HeaderEntry::Pruned(_) => Bytes::new(),
        HeaderEntry::Held(header, seal) => {
            let mut record = Vec::with_capacity(8 + header.bytes().len() + seal.len());
            codec::put_bytes(&mut record, header.bytes());
            codec::put_bytes(&mut record, seal);
            record.into()
        }
    };
    StoredBlock {
        height,
        id: entry.hash().0,
        header,
        body: Bytes::new(),
        index: Vec::new(),
    }
}

/// The ids of all blocks below the head, checked one after the other.
struct Ids<'a> {
    snapshot: &'a Snapshot,
    verifier: Verifier,
    history: Frontier,
    header_floor: u64,
    last: BlockHash,
}

impl<'a> Ids<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            verifier: Verifier::default(),
            history: Frontier::new(),
            header_floor: 0,
            last: BlockHash::ZERO,
        }
    }

    /// Checks the blocks of a file: links and history, so far as headers are there, and seals.
    fn check(
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
    fn check_end(&self) -> Result<(), SnapshotError> {
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
