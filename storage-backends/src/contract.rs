//! The storage contract: what a store holds, and what it owes to those who use it.
//!
//! Invariants of every store, at every moment that a reader can observe:
//!
//! 1. Ids exist for exactly the heights `0..end`, headers for `header_floor..end`, index entries for
//!    `index_floor..end`, bodies for `body_floor..end`; `header_floor` and `index_floor` are at most `body_floor`, and
//!    `body_floor` is at most `end` ([`Extent`]). Ids stay for ever.
//! 2. No two blocks have the same id.
//! 3. The index holds every key of every block in `index_floor..end`, at the *first* place it was given: the lowest
//!    height, then the lowest position. A key whose first place was pruned from the index may be found at a
//!    later place, or not at all, until it is given again.
//! 4. A reader sees a run whole or not at all; what one call returns belongs to one moment.
//! 5. Bytes come back as they were appended, or as [`Error::Corrupt`](crate::Error::Corrupt); never otherwise.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Error, Result, TableReader, TableWriter};

/// A block's id, or a key of the index. The store never interprets it.
pub type Id = [u8; 32];

/// A key of the index and the position it names within its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// What [`BlockReader::locate`] is asked for.
    pub key: Id,
    /// What it answers, with the block's height.
    pub position: u32,
}

/// A block to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The height; continues the tip.
    pub height: u64,
    /// The id; no other block of the store has it.
    pub id: Id,
    /// Kept for as long as the block. At most [`HEADER_BYTES_MAX`](crate::HEADER_BYTES_MAX) bytes.
    pub header: Bytes,
    /// Kept until pruned. At most [`BODY_BYTES_MAX`](crate::BODY_BYTES_MAX) bytes.
    pub body: Bytes,
    /// Entries for the index. At most [`INDEX_ENTRIES_MAX`](crate::INDEX_ENTRIES_MAX).
    pub index: Vec<IndexEntry>,
}

/// A part of a block that is pruned by itself. The id is never pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The body.
    Body,
    /// The index entries; only where the body is pruned.
    Index,
    /// The header; only where the body is pruned.
    Header,
}

impl Part {
    /// All of them, in an order in which they can be pruned.
    pub const ALL: [Self; 3] = [Self::Body, Self::Index, Self::Header];
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Body => "body",
            Self::Index => "index",
            Self::Header => "header",
        })
    }
}

/// A part of a block whose id is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held<T = Bytes> {
    /// As it was appended.
    Present(T),
    /// Below the floor of this part.
    Pruned,
}

impl<T> Held<T> {
    /// The part, unless it was pruned.
    pub fn present(self) -> Option<T> {
        match self {
            Self::Present(part) => Some(part),
            Self::Pruned => None,
        }
    }
}

/// Id and header of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHeader {
    /// The block's id.
    pub id: Id,
    /// The header's bytes.
    pub bytes: Held,
}

/// A block as it was appended, as far as it is still held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// The block's id.
    pub id: Id,
    /// The header's bytes.
    pub header: Held,
    /// The body's bytes.
    pub body: Held,
}

/// Which heights a store holds: ids for `0..end`, each part of a block from its own floor up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// The lowest height whose body is held (equal to `end` if none is).
    pub body_floor: u64,
    /// The lowest height whose index entries are held; at most `body_floor`.
    pub index_floor: u64,
    /// The lowest height whose header is held; at most `body_floor`.
    pub header_floor: u64,
    /// The height that the next block must have; 0 for an empty store.
    pub end: u64,
}

impl Extent {
    /// The height of the last block.
    #[must_use]
    pub fn tip(&self) -> Option<u64> {
        self.end.checked_sub(1)
    }

    /// Nothing pruned.
    #[must_use]
    pub const fn whole(end: u64) -> Self {
        Self {
            body_floor: 0,
            index_floor: 0,
            header_floor: 0,
            end,
        }
    }

    /// The lowest height whose part is held.
    #[must_use]
    pub const fn floor_of(&self, part: Part) -> u64 {
        match part {
            Part::Body => self.body_floor,
            Part::Index => self.index_floor,
            Part::Header => self.header_floor,
        }
    }

    /// The floor of a part, to be changed.
    pub const fn floor_of_mut(&mut self, part: Part) -> &mut u64 {
        match part {
            Part::Body => &mut self.body_floor,
            Part::Index => &mut self.index_floor,
            Part::Header => &mut self.header_floor,
        }
    }

    /// The highest floor that a part may be pruned to: the end for bodies, the floor for the rest.
    #[must_use]
    pub const fn ceiling_of(&self, part: Part) -> u64 {
        match part {
            Part::Body => self.end,
            Part::Index | Part::Header => self.body_floor,
        }
    }

    /// Whether floors and end are in the order that the contract demands.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.index_floor <= self.body_floor
            && self.header_floor <= self.body_floor
            && self.body_floor <= self.end
    }

    /// What a look-up answers for a key that isn't in the index.
    #[must_use]
    pub const fn missing(&self) -> Location {
        if self.index_floor > 0 {
            Location::Forgotten {
                below: self.index_floor,
            }
        } else {
            Location::Absent
        }
    }

    /// What a look-up answers for a key whose first place is this.
    #[must_use]
    pub fn location(&self, height: u64, position: u32) -> Location {
        if height < self.body_floor {
            Location::Pruned { height, position }
        } else {
            Location::Found { height, position }
        }
    }

    /// Whether there is no block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end == 0
    }
}

/// The answer to "where is this key?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// In a block whose body is held.
    Found {
        /// The block's height.
        height: u64,
        /// The position given with the key.
        position: u32,
    },
    /// In a block whose body was pruned.
    Pruned {
        /// The block's height.
        height: u64,
        /// The position given with the key.
        position: u32,
    },
    /// In no block of the store.
    Absent,
    /// In no block of the store, or only in blocks below this height, whose index entries were pruned.
    Forgotten {
        /// The lowest height whose index entries are held.
        below: u64,
    },
    /// Not in blocks below `watermark`; the index hasn't reached all others yet. In this crate only `log:`
    /// answers this, while it makes an index file again that was lost or damaged.
    NotIndexed {
        /// The height from which on blocks are not indexed.
        watermark: u64,
    },
}

/// What a commit survives. Ordered: each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// Nothing: the commit lives in this process's memory.
    Memory,
    /// The end of this process, however violent: the operating system has the bytes.
    Os,
    /// Loss of power: the disk has the bytes.
    Disk,
}

impl Durability {
    const fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Os => "os",
            Self::Disk => "disk",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Durability {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        [Self::Memory, Self::Os, Self::Disk]
            .into_iter()
            .find(|level| level.word() == word)
            .ok_or_else(|| {
                Error::argument(
                    "read a durability",
                    format!("{word:?} is none of memory, os, disk"),
                )
            })
    }
}

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The store's end after it.
    pub end: u64,
    /// The durability reached by this commit and everything before it.
    pub durability: Durability,
}

/// Bytes that an index entry counts for in [`PruneReceipt::bytes`]: a key and its position.
pub const INDEX_ENTRY_BYTES: u64 = 36;

/// What a call of [`BlockWriter::prune`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneReceipt {
    /// The floor of the part after it.
    pub floor: u64,
    /// Blocks whose part was removed by this call.
    pub blocks: u64,
    /// Bytes of what was removed, as they were appended: of bodies, of headers, or
    /// [`INDEX_ENTRY_BYTES`] an index entry.
    pub bytes: u64,
    /// Bytes by which the store's files became smaller during this call: measured, not estimated.
    pub freed_bytes: u64,
    /// Whether the floor that was asked for is reached; false if `limit` stopped this call.
    pub done: bool,
}

/// How large a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the store's files, without what a database engine writes for people to read; 0 for a store without files.
    pub bytes_on_disk: u64,
    /// Bodies held.
    pub blocks: u64,
    /// Index entries that the blocks in `index_floor..end` were appended with.
    pub index_entries: u64,
}

/// The reading half of a store. Shared by any number of threads.
///
/// Readers don't wait for the writer but for moments, and the writer doesn't wait for readers. What a
/// commit's receipt acknowledged is seen by every call that starts after it.
pub trait BlockReader: Send + Sync {
    /// Which heights are held. O(log n) or better.
    ///
    /// To be correct, floor and end are of the same moment.
    fn extent(&self) -> Result<Extent>;

    /// Id and header at a height; `None` from the end on.
    ///
    /// To be correct, a height below the end never yields `None`, and the header is [`Held::Pruned`] exactly below
    /// the header floor: if it can't be given back as it was appended, that is [`Error::Corrupt`] with the height.
    fn header(&self, height: u64) -> Result<Option<StoredHeader>>;

    /// The block at a height; `None` from the end on.
    ///
    /// To be correct, the body is [`Held::Pruned`] exactly below the floor, the header exactly below the header
    /// floor, and damage to either is [`Error::Corrupt`] with the height.
    fn block(&self, height: u64) -> Result<Option<StoredBlock>>;

    /// The index entries that the block at a height was appended with, in that order; `None` from the end on.
    ///
    /// To be correct, they are [`Held::Pruned`] exactly below the index floor, and damage to any of them is
    /// [`Error::Corrupt`] with the height.
    fn index(&self, height: u64) -> Result<Option<Held<Vec<IndexEntry>>>>;

    /// The height of the block with an id, pruned or not.
    ///
    /// To be correct, `None` means that no block in `0..end` has this id.
    fn height_of(&self, id: &Id) -> Result<Option<u64>>;

    /// The first place of a key.
    ///
    /// To be correct, the answer never lies: [`Location::Absent`] only if no block in `0..end` was appended
    /// with the key; [`Location::Forgotten`], instead, if the index floor is not 0; [`Location::Pruned`] exactly if
    /// the first place is below the floor.
    fn locate(&self, key: &Id) -> Result<Location>;

    /// The named value, if it was put.
    ///
    /// To be correct, the value is the one put last, or [`Error::Corrupt`].
    fn named_value(&self, key: &str) -> Result<Option<Bytes>>;

    /// How large the store is. O(log n) or better.
    ///
    /// To be correct, `bytes_on_disk` counts every file of the store, journals included, and stays the same while
    /// nobody writes and no work is left over: the diary of a database engine, which it keeps as it likes, doesn't count.
    fn usage(&self) -> Result<Usage>;

    /// The store's tables, to be read. O(1).
    fn tables(&self) -> Arc<dyn TableReader>;
}

/// The writing half of a store. There is one at a time, across all processes.
///
/// A wrong argument is [`Error::Argument`]: nothing changed, and the writer stays usable. After any other
/// failure of a mutation the writer can't know what the disk holds: it is poisoned, and refuses
/// everything ([`Error::Poisoned`]) until the store is opened again. In particular a failed
/// [`sync`](Self::sync) is never repeated on the same handle: a second, successful one would prove nothing.
pub trait BlockWriter: Send {
    /// Appends a run of blocks, with their index entries, and commits it. An empty run is a commit of nothing.
    ///
    /// To be correct, after a crash at any moment all of the run is there or none of it; readers never see
    /// part of it; the first block's height is the end and each next one is one more; an id that is already
    /// held (or twice in the run) is an argument error; a key that is already indexed keeps its first place;
    /// the receipt states the durability that was reached, at least the one asked for if the backend can.
    fn append(&mut self, run: &[Block], durability: Durability) -> Result<Receipt>;

    /// Removes all blocks with height `> above`, with their ids and index entries. Durable at once.
    ///
    /// To be correct, nothing remains of the removed blocks: other blocks with the same ids and keys may be
    /// appended next. If a removed block's body was pruned (`above + 1 < floor`), that is an argument error.
    /// At or above the tip it does nothing.
    fn truncate(&mut self, above: u64) -> Result<()>;

    /// Takes all blocks with height `> above` off the top and appends a run in their place, as one commit. It is what a
    /// reorganisation needs: with [`truncate`](Self::truncate) and [`append`](Self::append), a crash between the two would leave
    /// a shorter chain, and readers would see it. Bounds are those of `append`.
    ///
    /// To be correct, after a crash at any moment either all blocks from before are there or, in place of those above `above`,
    /// all of the run; readers see the one or the other, and never the shorter chain between them; nothing remains
    /// of the removed blocks, so their ids and keys may come again in the run; an id that is held by a block that stays (or
    /// twice in the run) is an argument error; a key keeps its first place among the blocks that stay, and else gets
    /// that in the run; if a removed block's body was pruned (`above + 1 < floor`), that is an argument error. The first
    /// block's height is `above + 1`. At or above the tip nothing is taken off: it is the end, and this is `append`.
    /// An empty run is a truncation. If blocks are taken off, the commit is durable at once, as far as the backend can,
    /// whatever `durability` asks for; else as with `append`. The receipt states what was reached.
    fn replace(&mut self, above: u64, run: &[Block], durability: Durability) -> Result<Receipt>;

    /// Removes a part of the blocks at heights `< below`, of at most `limit` blocks.
    ///
    /// To be correct, parts go from the lowest height up; the part's floor is exact and durable when this returns; the
    /// disk space they took comes back within this call, as far as no reader is in the way; the receipt's
    /// `freed_bytes` is measured. A `below` beyond [`Extent::ceiling_of`] the part is an argument error, one at or
    /// below the floor removes nothing.
    fn prune(&mut self, part: Part, below: u64, limit: u64) -> Result<PruneReceipt>;

    /// Puts a named value in place of any earlier one, and commits it. The key has at most
    /// [`VALUE_NAME_BYTES_MAX`](crate::VALUE_NAME_BYTES_MAX) bytes, the value at most
    /// [`NAMED_VALUE_BYTES_MAX`](crate::NAMED_VALUE_BYTES_MAX).
    ///
    /// To be correct, after a crash at any moment the old value is there or the new one.
    fn put_named_value(&mut self, key: &str, value: &[u8], durability: Durability) -> Result<()>;

    /// Makes everything committed so far as durable as the backend can.
    ///
    /// To be correct, when this returns [`Durability::Disk`], loss of power takes nothing that was committed
    /// before the call, by this process or an earlier one.
    fn sync(&mut self) -> Result<Receipt>;
}

/// An open store: its readers and its two writers, of blocks and of tables, which may be used at the same time. Dropping both writers
/// lets others in; readers live on.
pub struct Store {
    /// Cloned freely; its [`tables`](BlockReader::tables) are read through it too.
    pub reader: Arc<dyn BlockReader>,
    /// The one writer of blocks.
    pub writer: Box<dyn BlockWriter>,
    /// The one writer of tables.
    pub tables: Box<dyn TableWriter>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
