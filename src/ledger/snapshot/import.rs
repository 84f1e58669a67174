//! Loading a snapshot into an empty store: the ids and headers of all blocks, the head whole, and the state in the store's tables.

use std::sync::Arc;

use bytes::Bytes;
use hubledger_storage::{Block as StoredBlock, Durability, Extent, Part, Position, Store};

use super::export::tell;
use super::headers::HeaderEntry;
use super::ids::Ids;
use super::{Snapshot, SnapshotError, seals};
use crate::format::codec;
use crate::format::digest::{BlockHash, ChainId, Digest};
use crate::format::merkle::{Frontier, history_leaf};
use crate::ledger::step::{Phase, StepProgress};
use crate::ledger::values::{VALUE_COPY, VALUE_SPEC};
use crate::ledger::{ChainReader, LedgerError, Missing, record, state_set};
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
/// store is a chain to anybody: the ids of all blocks against the history root in the head's header, headers against their ids, rows against the
/// state root, seals by the keys that specification and state tell of their heights. Bodies and index entries of all blocks below the head count as pruned, and so do
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
        if let Some(state) = state_set::read(&chain)?
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
        // Before the state is there whole: what goes on with an import that was interrupted takes that as a sign that all was checked.
        seals::check(snapshot, &state, progress)?;
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
        let found = state_set::read(&self.chain())?;
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
