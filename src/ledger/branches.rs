//! Branches beside the chain in the tables of its store, so that they are still there when it is opened again: whole blocks, in the set
//! `branches`. What is read is judged like any block, so it may be of an earlier moment than the blocks of the chain.
//!
//! The set has no position: a block beside the chain follows from no block of the chain.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use hubledger_storage::{
    BlockReader, Durability, KeyRange, RangeLimit, TableChange, TableCommit, TableWriter,
};

use super::LedgerError;
use crate::format::digest::BlockHash;
use crate::format::model::Block;
use crate::tree::{BlockKey, SideChanges};

/// The table set.
pub(super) const SET: &str = "branches";
/// The table of blocks: in pieces, by height and hash and the number of the piece, so that they are read in an order in which none comes
/// before the one that it follows.
const BLOCKS: u8 = 0;
/// A block is in pieces of no more than this.
const PIECE_BYTES: usize = 1 << 20;
/// A commit has no more than about this, or a block.
const COMMIT_BYTES: usize = 64 << 20;
/// Rows are read so many bytes at a time, or one.
const READ_BYTES: usize = 8 << 20;

/// Which blocks the set has, and what is yet to be written to it.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// The blocks that it has, and in how many pieces each.
    pieces: BTreeMap<BlockKey, u16>,
    /// What is yet to be written: blocks, and nothing for those that go.
    unwritten: BTreeMap<BlockKey, Option<Block>>,
    /// Bytes of those.
    unwritten_bytes: usize,
}

fn key(&(height, hash): &BlockKey) -> Vec<u8> {
    [&height.to_be_bytes()[..], &hash.0].concat()
}

fn piece_key(key: &[u8], number: u16) -> Bytes {
    [key, &number.to_be_bytes()].concat().into()
}

/// The blocks that were beside the chain when it was last written down, the lowest first. What can't be read is left out: it may come again.
pub(super) fn read(store: &dyn BlockReader) -> Result<(Saved, Vec<Block>), LedgerError> {
    let view = store.tables().view(SET)?;
    let (mut saved, mut blocks) = (Saved::default(), Vec::new());
    let mut range = KeyRange::default();
    let limit = RangeLimit {
        rows: usize::MAX,
        bytes: READ_BYTES,
    };
    let (mut of, mut contents) = (None, BytesMut::new());
    loop {
        let rows = view.range(BLOCKS, &range, limit)?;
        let Some((last, _)) = rows.last() else { break };
        range.from = [&last[..], &[0]].concat().into();
        for (row, piece) in rows {
            let Some(block) = block_of(&row) else {
                continue;
            };
            if of != Some(block) {
                take(&mut blocks, &mut contents);
                of = Some(block);
            }
            contents.extend_from_slice(&piece);
            *saved.pieces.entry(block).or_default() += 1;
        }
    }
    take(&mut blocks, &mut contents);
    Ok((saved, blocks))
}

/// The block of which a piece has this key.
fn block_of(row: &[u8]) -> Option<BlockKey> {
    let (block, _) = row.split_last_chunk::<2>()?;
    let (height, hash) = block.split_first_chunk::<8>()?;
    Some((
        u64::from_be_bytes(*height),
        BlockHash(hash.try_into().ok()?),
    ))
}

fn take(blocks: &mut Vec<Block>, contents: &mut BytesMut) {
    if contents.is_empty() {
        return;
    }
    match Block::decode(&contents.split().freeze()) {
        Ok(block) => blocks.push(block),
        Err(error) => tracing::warn!(%error, "ignoring a damaged block beside the chain"),
    }
}

impl Saved {
    /// Writes blocks that are about to leave the chain: a crash behind that finds them beside it, and before it finds them twice. Nobody else may have
    /// them.
    pub(super) fn put(
        &mut self,
        blocks: &[Block],
        tables: &mut dyn TableWriter,
    ) -> Result<(), LedgerError> {
        let mut changes = Changes::default();
        for block in blocks {
            let key = (block.height(), block.hash());
            self.forget_unwritten(&key);
            self.put_one(key, block, &mut changes);
            changes.commit_if_large(tables)?;
        }
        changes.commit(tables)
    }

    fn put_one(&mut self, key: BlockKey, block: &Block, changes: &mut Changes) {
        let body = block.body();
        let row = self::key(&key);
        changes.put(piece_key(&row, 0), block.encode_head().into());
        let mut pieces = 1;
        // Parts of the body as it is in memory: a block is large, and a copy costs as much as writing it.
        for piece in body.chunks(PIECE_BYTES) {
            changes.put(piece_key(&row, pieces), body.slice_ref(piece));
            pieces += 1;
        }
        self.pieces.insert(key, pieces);
    }

    /// Takes note of what came beside the chain or went from there, to be [written](Saved::write). O(those).
    pub(super) fn note(&mut self, changed: SideChanges) {
        for key in changed.went {
            self.forget_unwritten(&key);
            if self.pieces.contains_key(&key) {
                self.unwritten.insert(key, None);
            }
        }
        for (key, block) in changed.came {
            self.forget_unwritten(&key);
            if !self.pieces.contains_key(&key) {
                self.unwritten_bytes += block.body().len();
                self.unwritten.insert(key, Some(block));
            }
        }
    }

    /// Takes note of everything that is beside the chain: whatever else the set has is to go.
    pub(crate) fn note_all<'a>(&mut self, beside: impl Iterator<Item = &'a Block>) {
        let came = beside.map(|block| ((block.height(), block.hash()), block.clone()));
        let came: BTreeMap<BlockKey, Block> = came.collect();
        let held = self.pieces.keys().chain(self.unwritten.keys());
        let went = held.filter(|key| !came.contains_key(key)).copied();
        let went = went.collect();
        self.note(SideChanges { came, went });
    }

    fn forget_unwritten(&mut self, key: &BlockKey) {
        if let Some(Some(block)) = self.unwritten.remove(key) {
            self.unwritten_bytes -= block.body().len();
        }
    }

    /// Whether so much is to be written that it should be.
    pub(super) const fn has_much_unwritten(&self) -> bool {
        self.unwritten_bytes > COMMIT_BYTES
    }

    /// Writes what is to be written. O(that).
    pub(super) fn write(&mut self, tables: &mut dyn TableWriter) -> Result<(), LedgerError> {
        let mut changes = Changes::default();
        self.unwritten_bytes = 0;
        for (key, block) in std::mem::take(&mut self.unwritten) {
            match block {
                Some(block) => self.put_one(key, &block, &mut changes),
                None => {
                    let (row, pieces) = (self::key(&key), self.pieces.remove(&key));
                    let numbers = 0..pieces.unwrap_or_default();
                    numbers.for_each(|number| changes.remove(piece_key(&row, number)));
                }
            }
            changes.commit_if_large(tables)?;
        }
        changes.commit(tables)
    }
}

/// What becomes of rows, by their keys.
#[derive(Default)]
struct Changes {
    rows: BTreeMap<Bytes, Option<Bytes>>,
    bytes: usize,
}

impl Changes {
    fn put(&mut self, key: Bytes, piece: Bytes) {
        self.bytes += piece.len();
        self.rows.insert(key, Some(piece));
    }

    fn remove(&mut self, key: Bytes) {
        self.rows.insert(key, None);
    }

    fn commit_if_large(&mut self, tables: &mut dyn TableWriter) -> Result<(), LedgerError> {
        match self.bytes > COMMIT_BYTES {
            true => std::mem::take(self).commit(tables),
            false => Ok(()),
        }
    }

    fn commit(self, tables: &mut dyn TableWriter) -> Result<(), LedgerError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let changes = self.rows.into_iter().map(|(key, value)| TableChange {
            table: BLOCKS,
            key,
            value,
        });
        let commit = TableCommit {
            position: None,
            undo_floor: 0,
            changes: changes.collect(),
        };
        tables.commit(SET, &commit, Durability::Os)?;
        Ok(())
    }
}
