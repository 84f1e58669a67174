//! Blocks to test with: every byte follows from height and branch, so each can be told from all others.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    Block, BlockReader, Durability, Extent, Held, Id, IndexEntry, Location, Store, StoredBlock,
    StoredHeader,
};

/// Keys that a sample block is indexed by.
pub(super) const KEYS: u32 = 3;

/// A 32-byte value that is spread like a hash.
pub(super) fn digest(kind: u8, branch: u8, height: u64, number: u32) -> Id {
    let mut state =
        u64::from(kind) << 56 ^ u64::from(branch) << 48 ^ height << 16 ^ u64::from(number);
    let mut id = [0; 32];
    for chunk in id.chunks_exact_mut(8) {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    id
}

pub(super) fn key(branch: u8, height: u64, position: u32) -> Id {
    digest(b'k', branch, height, position)
}

pub(super) fn block_of(branch: u8, height: u64) -> Block {
    Block {
        height,
        id: digest(b'i', branch, height, 0),
        header: Bytes::from(format!("header {height} of {branch}")),
        body: Bytes::from(format!("body {height} of {branch} ").repeat(20 + height as usize % 7)),
        index: (0..KEYS)
            .map(|position| IndexEntry {
                key: key(branch, height, position),
                position,
            })
            .collect(),
    }
}

pub(super) fn blocks(branch: u8, heights: Range<u64>) -> Vec<Block> {
    heights.map(|height| block_of(branch, height)).collect()
}

/// A block with nothing but height and id.
pub(super) fn bare(height: u64) -> Block {
    Block {
        header: Bytes::new(),
        body: Bytes::new(),
        index: Vec::new(),
        ..block_of(0, height)
    }
}

/// Headers and index of all blocks, bodies from a height on.
pub(super) fn bodies_from(floor: u64, end: u64) -> Extent {
    Extent {
        body_floor: floor,
        ..Extent::whole(end)
    }
}

/// Appends blocks of branch 0.
pub(super) fn extend(store: &mut Store, heights: Range<u64>) {
    append(store, &blocks(0, heights));
}

pub(super) fn append(store: &mut Store, run: &[Block]) {
    let receipt = store.writer.append(run, Durability::Os).unwrap();
    if let Some(last) = run.last() {
        assert_eq!(receipt.end, last.height + 1);
    }
}

/// Asserts that the store holds the block, in every way that it can be asked.
#[track_caller]
pub(super) fn assert_held(reader: &dyn BlockReader, block: &Block) {
    assert_block(reader, block, Held::Present(block.body.clone()));
    for entry in &block.index {
        let found = Location::Found {
            height: block.height,
            position: entry.position,
        };
        assert_eq!(reader.locate(&entry.key).unwrap(), found);
    }
}

/// Asserts that the store holds the block but for its body.
#[track_caller]
pub(super) fn assert_pruned(reader: &dyn BlockReader, block: &Block) {
    assert_block(reader, block, Held::Pruned);
    for entry in &block.index {
        let pruned = Location::Pruned {
            height: block.height,
            position: entry.position,
        };
        assert_eq!(reader.locate(&entry.key).unwrap(), pruned);
    }
}

/// Asserts that id and keys of the block lead nowhere.
#[track_caller]
pub(super) fn assert_unknown(reader: &dyn BlockReader, block: &Block) {
    assert_eq!(reader.height_of(&block.id).unwrap(), None);
    for entry in &block.index {
        assert_eq!(reader.locate(&entry.key).unwrap(), Location::Absent);
    }
}

#[track_caller]
fn assert_block(reader: &dyn BlockReader, block: &Block, body: Held) {
    let header = reader.header(block.height).unwrap().unwrap();
    let expected = Held::Present(block.header.clone());
    assert_eq!((header.id, header.bytes), (block.id, expected.clone()));
    let expected = StoredBlock {
        id: block.id,
        header: expected,
        body,
    };
    let index = reader.index(block.height).unwrap();
    assert_eq!(index, Some(Held::Present(block.index.clone())));
    assert_eq!(reader.block(block.height).unwrap(), Some(expected));
    assert_eq!(reader.height_of(&block.id).unwrap(), Some(block.height));
}

/// Asserts that of each block exactly the parts above their floors are held.
#[track_caller]
pub(super) fn assert_kept(reader: &dyn BlockReader, extent: Extent, chain: &[Block]) {
    for block in chain {
        let height = block.height;
        let header = kept(height, extent.header_floor, &block.header);
        let body = kept(height, extent.body_floor, &block.body);
        let index = kept(height, extent.index_floor, &block.index);
        let held = reader.block(height).unwrap().unwrap();
        assert_eq!(
            (held.id, &held.header, &held.body),
            (block.id, &header, &body)
        );
        let stored = StoredHeader {
            id: block.id,
            bytes: header,
        };
        assert_eq!(reader.header(height).unwrap(), Some(stored));
        assert_eq!(reader.index(height).unwrap(), Some(index));
        assert_eq!(reader.height_of(&block.id).unwrap(), Some(height));
        for entry in &block.index {
            let expected = match height < extent.index_floor {
                true => Location::Forgotten {
                    below: extent.index_floor,
                },
                false => extent.location(height, entry.position),
            };
            assert_eq!(reader.locate(&entry.key).unwrap(), expected);
        }
    }
    let entries = chain[extent.index_floor as usize..]
        .iter()
        .map(|block| block.index.len() as u64)
        .sum::<u64>();
    assert_eq!(reader.usage().unwrap().index_entries, entries);
}

fn kept<T: Clone>(height: u64, floor: u64, part: &T) -> Held<T> {
    match height < floor {
        true => Held::Pruned,
        false => Held::Present(part.clone()),
    }
}
