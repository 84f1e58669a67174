//! Blocks on many branches, valid ones and others, as choices make them; made beside a sequential validator for each branch, so that it is
//! known of each block whether it is valid.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::federation::Choices;
use super::{
    Chain, GENESIS_TIME, Numbers, SECOND, corrupt_signature, fields, hub, key, merkle_root, sealed,
};
use crate::consensus::Weight;
use crate::format::FormatVersion;
use crate::format::digest::{BlockHash, Digest};
use crate::format::merkle::{Frontier, history_leaf};
use crate::format::model::{Block, HeaderFields, Seal, VectorClock};
use crate::format::spec::{ChainSpec, Finality};
use crate::rules::headers::state_root_due;
use crate::tree::Branch;

/// Those who may make blocks.
pub const AUTHORITIES: usize = 3;

/// What an authority can get wrong in a block of its own. The first two show only when the block's branch is judged.
const FAULTS: u64 = 6;

/// Every block that anybody made, on whatever branch.
pub struct World {
    pub(super) genesis: Chain,
    /// Chains by their last block, if all of it is valid.
    pub(super) chains: HashMap<BlockHash, Chain>,
    /// The blocks up to each block, from genesis on.
    paths: HashMap<BlockHash, Vec<Block>>,
    /// All blocks; the parent of each comes before it.
    pub blocks: Vec<Block>,
    invalid: HashSet<BlockHash>,
}

impl World {
    /// A world with nothing but genesis, whose blocks are final by this depth and name the state root this often.
    pub fn new(depth: u32, root_interval: u32) -> Self {
        let genesis = Chain::in_version(FormatVersion::V2, AUTHORITIES, |fields| {
            fields.terms.finality = Finality::Depth(depth);
            fields.terms.root_interval = root_interval;
            fields.limits.body_bytes_max = 1 << 20;
        });
        let first = genesis.last().hash();
        Self {
            chains: [(first, genesis.clone())].into(),
            paths: [(first, genesis.blocks.clone())].into(),
            blocks: Vec::new(),
            invalid: HashSet::new(),
            genesis,
        }
    }

    /// Adds blocks by [`World::add`] until there are so many.
    pub fn grow(&mut self, numbers: &mut Numbers, blocks: usize, invalid_share: u64) {
        while self.blocks.len() < blocks {
            self.add(&mut |bound| numbers.below(bound), invalid_share);
        }
    }

    /// Adds a block on a parent that is chosen, a late one more often, unless there is the same one already. About one in `invalid_share` isn't
    /// valid, and others go on from those too.
    pub fn add(&mut self, choose: Choices<'_>, invalid_share: u64) {
        let bound = match choose(8) {
            0 => self.blocks.len() + 1,
            _ => (self.blocks.len() + 1).min(4),
        };
        let back = choose(bound as u64) as usize;
        let parent = match self.blocks.len().checked_sub(back + 1) {
            Some(at) => self.blocks[at].hash(),
            None => self.genesis.last().hash(),
        };
        let producer = hub(choose(AUTHORITIES as u64) as usize);
        let is_bad = choose(invalid_share) == 0;
        let block = match self.chains.get(&parent) {
            Some(chain) if is_bad => spoiled(chain, &producer, choose),
            Some(chain) => {
                let height = chain.state().height() + 1;
                let names = (0..choose(4)).map(|_| format!("name-{}", choose(20)));
                let names: BTreeSet<String> = names.collect();
                let names = names.iter();
                let messages: Vec<_> = names.map(|name| chain.message(name, height)).collect();
                chain.block_by(&producer, &messages)
            }
            None => self.behind_invalid(&parent, &producer),
        };
        let hash = block.hash();
        if self.paths.contains_key(&hash) {
            return;
        }
        match self.chains.get(&parent) {
            Some(chain) if !is_bad => {
                let mut chain = chain.clone();
                chain.push(block.clone());
                self.chains.insert(hash, chain);
            }
            _ => {
                self.invalid.insert(hash);
            }
        }
        let mut path = self.paths[&parent].clone();
        path.push(block.clone());
        self.paths.insert(hash, path);
        self.blocks.push(block);
    }

    /// An empty block that follows one which is not valid: right by its header, but for the state root that nobody can tell.
    fn behind_invalid(&self, parent: &BlockHash, producer: &str) -> Block {
        let path = &self.paths[parent];
        let empty = fields(&self.genesis.block(&[]));
        let mut header = path.last().map(fields).unwrap();
        let mut history = Frontier::new();
        for block in path {
            history.push(history_leaf(&block.hash()));
        }
        header.previous_hash = *parent;
        header.height += 1;
        header.timestamp += SECOND;
        header.producer = producer.to_owned();
        let clock = header.vector_clock.clone();
        let others = clock.iter().filter(|(name, _)| *name != producer);
        let own = (producer.to_owned(), clock.get(producer) + 1);
        let entries = others.map(|(name, count)| (name.to_owned(), count));
        header.vector_clock = VectorClock::new(entries.chain([own])).unwrap();
        header.history_root = history.root();
        header.weight += 1;
        header.merkle_root = empty.merkle_root;
        header.transaction_count = 0;
        header.body_size = empty.body_size;
        header.state_root = match state_root_due(self.spec(), header.height) {
            true => Digest([7; 32]),
            false => Digest::ZERO,
        };
        sealed(header, &key(producer), &[])
    }

    /// The specification of all branches.
    pub fn spec(&self) -> &ChainSpec {
        self.genesis.spec()
    }

    /// The blocks up to one, from genesis on.
    pub fn path(&self, hash: &BlockHash) -> &[Block] {
        &self.paths[hash]
    }

    /// Whether a block breaks a rule, or follows one that does.
    pub fn is_invalid(&self, hash: &BlockHash) -> bool {
        self.invalid.contains(hash)
    }

    /// A time at which all blocks have been made, in microseconds since 1970.
    pub fn now(&self) -> u64 {
        let times = self.blocks.iter().map(|block| block.header().timestamp);
        times.max().unwrap_or(0) + 1
    }

    /// The valid branch that ends in a block.
    pub(super) fn branch(&self, hash: &BlockHash) -> Branch {
        let state = self.chains[hash].state();
        Branch {
            head: *hash,
            height: state.height(),
            weight: Weight(state.weight()),
        }
    }
}

/// A block with the fault that is chosen.
fn spoiled(chain: &Chain, producer: &str, choose: Choices<'_>) -> Block {
    let height = chain.state().height() + 1;
    let last = chain.message("spoiler", height);
    let good = chain.message("name-1", height);
    let (messages, change): (Vec<_>, fn(&mut HeaderFields)) = match choose(FAULTS) {
        0 => (vec![good, corrupt_signature(&last)], |_| {}),
        1 => {
            let again = chain.signed("spoiler", height, |draft| draft.payload = b"again".to_vec());
            (vec![last, again], |_| {})
        }
        2 => (vec![good], |header| header.weight += 1),
        3 => (vec![good], |header| header.history_root.0[0] ^= 1),
        4 => (vec![good], |header| header.members_root.0[31] ^= 1),
        _ => (vec![good], |header| header.timestamp = GENESIS_TIME - 1),
    };
    let mut header = fields(&chain.block_by(producer, &[]));
    let lengths = messages.iter().map(|one| one.bytes().len() as u32);
    header.body_size += lengths.sum::<u32>();
    header.merkle_root = merkle_root(&messages);
    header.transaction_count = messages.len() as u32;
    header.transactions += messages.len() as u64;
    change(&mut header);
    sealed(header, &key(producer), &messages)
}

/// The block under the seal of somebody who may not make blocks: what anybody can send, with the hash of the good one.
pub fn badly_sealed(block: &Block) -> Block {
    let seal = Seal::by_authority(&key("mallory"), &block.hash());
    Block::assemble(block.header().clone(), seal, block.transactions()).unwrap()
}
