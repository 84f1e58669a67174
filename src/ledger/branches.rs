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

/// The table set.
const SET: &str = "branches";
/// The table of blocks: in pieces, by height and hash and the number of the piece, so that they are read in an order in which none comes
/// before the one that it follows.
const BLOCKS: u8 = 0;
/// A block is in pieces of no more than this.
const PIECE_BYTES: usize = 1 << 20;
/// A commit has no more than about this, or a block.
const COMMIT_BYTES: usize = 64 << 20;
/// What becomes of rows, by their keys.
type Changes = BTreeMap<Bytes, Option<Bytes>>;

/// Rows are read so many bytes at a time, or one.
const READ_BYTES: usize = 8 << 20;

/// Which blocks the set has, by their keys without the number of the piece: of each, the number of pieces.
#[derive(Debug, Default)]
pub(crate) struct Saved(BTreeMap<Vec<u8>, u16>);

fn key(height: u64, hash: &BlockHash) -> Vec<u8> {
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
    let (mut of, mut contents) = (Vec::new(), BytesMut::new());
    loop {
        let rows = view.range(BLOCKS, &range, limit)?;
        let Some((last, _)) = rows.last() else { break };
        range.from = [&last[..], &[0]].concat().into();
        for (row, piece) in rows {
            let Some((block, _)) = row.split_last_chunk::<2>() else {
                continue;
            };
            if of != block {
                take(&mut blocks, &of, &mut contents);
                of = block.to_vec();
            }
            contents.extend_from_slice(&piece);
            *saved.0.entry(of.clone()).or_default() += 1;
        }
    }
    take(&mut blocks, &of, &mut contents);
    Ok((saved, blocks))
}

fn take(blocks: &mut Vec<Block>, of: &[u8], contents: &mut BytesMut) {
    match Block::decode(&contents.split().freeze()) {
        Ok(block) => blocks.push(block),
        Err(_) if of.is_empty() => {}
        Err(error) => tracing::warn!(%error, "ignoring a damaged block beside the chain"),
    }
}

impl Saved {
    /// Writes blocks that are about to leave the chain: a crash behind that finds them beside it, and before it finds them twice.
    pub(super) fn put(
        &mut self,
        blocks: &[Block],
        tables: &mut dyn TableWriter,
    ) -> Result<(), LedgerError> {
        let mut changes = BTreeMap::new();
        for block in blocks {
            self.put_one(block, &mut changes);
            if changes.len() * PIECE_BYTES > COMMIT_BYTES {
                commit(tables, std::mem::take(&mut changes))?;
            }
        }
        commit(tables, changes)
    }

    fn put_one(&mut self, block: &Block, changes: &mut Changes) {
        let key = key(block.height(), &block.hash());
        let contents = Bytes::from(block.encode());
        let mut pieces = 0;
        for piece in contents.chunks(PIECE_BYTES) {
            changes.insert(piece_key(&key, pieces), Some(contents.slice_ref(piece)));
            pieces += 1;
        }
        self.0.insert(key, pieces);
    }

    /// Writes what is beside the chain now and wasn't when this was called last, and removes what isn't any more.
    pub(super) fn follow<'a>(
        &mut self,
        beside: impl Iterator<Item = &'a Block>,
        tables: &mut dyn TableWriter,
    ) -> Result<(), LedgerError> {
        let now: BTreeMap<Vec<u8>, &Block> = beside
            .map(|block| (key(block.height(), &block.hash()), block))
            .collect();
        let mut changes = Changes::new();
        self.0.retain(|key, pieces| {
            let stays = now.contains_key(key);
            if !stays {
                changes.extend((0..*pieces).map(|number| (piece_key(key, number), None)));
            }
            stays
        });
        for (key, block) in now {
            if !self.0.contains_key(&key) {
                self.put_one(block, &mut changes);
            }
            if changes.len() * PIECE_BYTES > COMMIT_BYTES {
                commit(tables, std::mem::take(&mut changes))?;
            }
        }
        commit(tables, changes)
    }
}

fn commit(tables: &mut dyn TableWriter, changes: Changes) -> Result<(), LedgerError> {
    if changes.is_empty() {
        return Ok(());
    }
    let changes = changes.into_iter().map(|(key, value)| TableChange {
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
