//! The best valid branch of the blocks that came, worked out from scratch each time; and whether a ledger is on it.

use std::collections::HashSet;

use super::Chain;
use super::branches::World;
use crate::consensus;
use crate::format::digest::BlockHash;
use crate::format::model::Block;
use crate::ledger::{ChainReader, Ledger, Lookup};
use crate::state::State;

/// A hub as the rules say it should be: it keeps all that came, and goes through it again for each block.
pub struct Model<'a> {
    world: &'a World,
    came: HashSet<BlockHash>,
    /// The best branch's last block.
    pub head: BlockHash,
}

impl<'a> Model<'a> {
    /// A hub that has genesis only.
    pub fn new(world: &'a World) -> Self {
        let head = world.genesis.last().hash();
        Self {
            world,
            came: [head].into(),
            head,
        }
    }

    /// Takes a block in that came, valid or not, in whatever order. O(blocks that came · their heights).
    pub fn take(&mut self, block: &Block) {
        self.came.insert(block.hash());
        let settled = consensus::final_height(self.world.spec(), self.state());
        let last_final = self.blocks()[settled as usize].hash();
        let is_candidate = |hash: &&BlockHash| {
            let Some(Chain { blocks, .. }) = self.world.chains.get(*hash) else {
                return false;
            };
            blocks.iter().all(|block| self.came.contains(&block.hash()))
                && blocks
                    .get(settled as usize)
                    .is_some_and(|block| block.hash() == last_final)
        };
        let candidates = self.came.iter().filter(is_candidate);
        let best = candidates
            .map(|hash| self.world.branch(hash))
            .max()
            .unwrap();
        if best > self.world.branch(&self.head) {
            self.head = best.head;
        }
    }

    /// The best branch's blocks, from genesis on.
    pub fn blocks(&self) -> &'a [Block] {
        &self.world.chains[&self.head].blocks
    }

    /// The state after the best branch.
    pub fn state(&self) -> &'a State {
        self.world.chains[&self.head].state()
    }
}

/// That the ledger's chain is the model's, block by block, in the store and in the state.
#[track_caller]
pub fn assert_same(ledger: &mut Ledger, model: &Model<'_>) {
    ledger.commit().unwrap();
    assert_eq!(ledger.state().head(), model.head);
    assert_eq!(ledger.state(), model.state());
    assert_stored(&ledger.reader(), model.blocks());
}

/// That a store has these blocks, finds each transaction in them, and has no others.
#[track_caller]
pub fn assert_stored(reader: &ChainReader, blocks: &[Block]) {
    assert_eq!(reader.extent().unwrap().end, blocks.len() as u64);
    for block in blocks {
        assert_eq!(reader.hash_at(block.height()).unwrap(), Some(block.hash()));
        for (index, transaction) in (0..).zip(block.transactions()) {
            let found = reader.transaction(&transaction.id()).unwrap();
            let Lookup::Found(found) = found else {
                panic!("{found:?}")
            };
            assert!((found.height, found.index) <= (block.height(), index));
        }
    }
}
