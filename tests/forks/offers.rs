//! Blocks of many branches in any order, against a model that keeps every block and looks for the best valid chain from scratch.

use std::collections::{BTreeSet, HashMap, HashSet};

use hubledger::consensus::{self, Weight};
use hubledger::digest::{BlockHash, Digest};
use hubledger::format::FormatVersion;
use hubledger::ledger::{ChainReader, Ledger, Lookup, Placement};
use hubledger::merkle::{Frontier, history_leaf};
use hubledger::model::{Block, VectorClock};
use hubledger::rejection::Reason;
use hubledger::rules::headers::state_root_due;
use hubledger::spec::{ChainSpec, Finality};
use hubledger::state::State;
use hubledger::tree::{Branch, Source};

use crate::common::{self, Chain, Numbers, clock};
use crate::places::Place;

/// What a world is made of.
pub(crate) const AUTHORITIES: usize = 3;

/// Every block that anybody made, on whatever branch.
pub(crate) struct World {
    genesis: Chain,
    /// Chains by their last block, if all of it is valid.
    chains: HashMap<BlockHash, Chain>,
    /// The blocks up to each block, from genesis on.
    paths: HashMap<BlockHash, Vec<Block>>,
    /// All blocks; the parent of each comes before it.
    pub(crate) blocks: Vec<Block>,
    /// Those that break a rule which shows only when their branch is judged.
    invalid: HashSet<BlockHash>,
}

impl World {
    pub(crate) fn new(depth: u32, root_interval: u32) -> Self {
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

    /// Blocks on parents that are drawn, the late ones more often; about one in `invalid_share` isn't valid, and others go on from those too.
    pub(crate) fn grow(&mut self, numbers: &mut Numbers, blocks: usize, invalid_share: u64) {
        let mut parents = vec![self.genesis.last().hash()];
        parents.extend(self.blocks.iter().map(Block::hash));
        while self.blocks.len() < blocks {
            let bound = match numbers.below(8) {
                0 => parents.len(),
                _ => parents.len().min(4),
            };
            let back = numbers.below(bound as u64) as usize;
            let parent = parents[parents.len() - 1 - back];
            let producer = common::hub(numbers.below(AUTHORITIES as u64) as usize);
            let is_bad = numbers.below(invalid_share) == 0;
            let block = match self.chains.get(&parent) {
                Some(chain) if is_bad => spoiled(chain, &producer, numbers),
                Some(chain) => {
                    let height = chain.state().height() + 1;
                    let names =
                        (0..numbers.below(4)).map(|_| format!("name-{}", numbers.below(20)));
                    let names: BTreeSet<String> = names.collect();
                    let names = names.iter();
                    let messages: Vec<_> = names.map(|name| chain.message(name, height)).collect();
                    chain.block_by(&producer, &messages)
                }
                None => self.behind_invalid(&parent, &producer),
            };
            let hash = block.hash();
            if self.paths.contains_key(&hash) {
                continue;
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
            parents.push(hash);
            self.blocks.push(block);
        }
    }

    /// An empty block that follows one which is not valid: right by its header, but for the state root that nobody can tell.
    fn behind_invalid(&self, parent: &BlockHash, producer: &str) -> Block {
        let path = &self.paths[parent];
        let empty = common::fields(&self.genesis.block(&[]));
        let mut fields = common::fields(path.last().unwrap());
        let mut history = Frontier::new();
        for block in path {
            history.push(history_leaf(&block.hash()));
        }
        fields.previous_hash = *parent;
        fields.height += 1;
        fields.timestamp += common::SECOND;
        fields.producer = producer.to_owned();
        let clock = fields.vector_clock.clone();
        let others = clock.iter().filter(|(name, _)| *name != producer);
        let own = (producer.to_owned(), clock.get(producer) + 1);
        let entries = others.map(|(name, count)| (name.to_owned(), count));
        fields.vector_clock = VectorClock::new(entries.chain([own])).unwrap();
        fields.history_root = history.root();
        fields.weight += 1;
        fields.merkle_root = empty.merkle_root;
        fields.transaction_count = 0;
        fields.body_size = empty.body_size;
        fields.state_root = match state_root_due(self.spec(), fields.height) {
            true => Digest([7; 32]),
            false => Digest::ZERO,
        };
        common::sealed(fields, &common::key(producer), &[])
    }

    pub(crate) fn spec(&self) -> &ChainSpec {
        self.genesis.spec()
    }

    /// The blocks up to one, from genesis on.
    pub(crate) fn path(&self, hash: &BlockHash) -> &[Block] {
        &self.paths[hash]
    }

    pub(crate) fn now(&self) -> u64 {
        let times = self.blocks.iter().map(|block| block.header().timestamp);
        times.max().unwrap_or(0) + 1
    }

    fn branch(&self, hash: &BlockHash) -> Branch {
        let state = self.chains[hash].state();
        Branch {
            head: *hash,
            height: state.height(),
            weight: Weight(state.weight()),
        }
    }
}

/// A block with a signature that doesn't verify, or a nonce that was used.
fn spoiled(chain: &Chain, producer: &str, numbers: &mut Numbers) -> Block {
    let height = chain.state().height() + 1;
    let last = chain.message("spoiler", height);
    let messages = match numbers.below(2) {
        0 => vec![
            chain.message("name-1", height),
            common::corrupt_signature(&last),
        ],
        _ => vec![
            last,
            chain.signed("spoiler", height, |draft| draft.payload = b"again".to_vec()),
        ],
    };
    let mut fields = common::fields(&chain.block_by(producer, &[]));
    fields.body_size += messages
        .iter()
        .map(|one| one.bytes().len() as u32)
        .sum::<u32>();
    fields.merkle_root = common::merkle_root(&messages);
    fields.transaction_count = messages.len() as u32;
    fields.transactions += messages.len() as u64;
    common::sealed(fields, &common::key(producer), &messages)
}

/// A hub as the rules say it should be: it keeps all that came, and goes through it again for each block.
pub(crate) struct Model<'a> {
    world: &'a World,
    came: HashSet<BlockHash>,
    pub(crate) head: BlockHash,
}

impl<'a> Model<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        let head = world.genesis.last().hash();
        Self {
            world,
            came: [head].into(),
            head,
        }
    }

    pub(crate) fn take(&mut self, block: &Block) {
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

    pub(crate) fn blocks(&self) -> &'a [Block] {
        &self.world.chains[&self.head].blocks
    }

    pub(crate) fn state(&self) -> &'a State {
        self.world.chains[&self.head].state()
    }
}

/// An order in which blocks come: mostly as they were made, some much later, some twice.
pub(crate) fn shuffled(numbers: &mut Numbers, blocks: &[Block]) -> Vec<Block> {
    let mut keyed: Vec<(u64, Block)> = Vec::new();
    for (at, block) in (0..).zip(blocks) {
        keyed.push((at + numbers.below(8), block.clone()));
        if numbers.below(4) == 0 {
            keyed.push((at + numbers.below(30), block.clone()));
        }
    }
    keyed.sort_by_key(|(at, _)| *at);
    keyed.into_iter().map(|(_, block)| block).collect()
}

/// That the ledger's chain is the model's, block by block, in the store and in the state.
pub(crate) fn same(ledger: &mut Ledger, model: &Model<'_>) {
    ledger.commit().unwrap();
    assert_eq!(ledger.state().head(), model.head);
    assert_eq!(ledger.state(), model.state());
    assert_stored(&ledger.reader(), model.blocks());
}

pub(crate) fn assert_stored(reader: &ChainReader, blocks: &[Block]) {
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

#[test]
fn blocks_in_any_order_lead_to_the_best_valid_chain() {
    let (mut changed, mut refused) = (0, 0);
    for seed in 0..12 {
        let mut numbers = Numbers(seed);
        let depth = [1, 3, 10, 40][seed as usize % 4];
        let mut world = World::new(depth, [1, 2, 7][seed as usize % 3]);
        world.grow(&mut numbers, 100, 20);
        let mut ledger =
            Ledger::create(common::memory(), world.spec(), clock(world.now())).unwrap();
        let mut model = Model::new(&world);
        let source = Source::of("somebody");
        for block in shuffled(&mut numbers, &world.blocks) {
            let offer = ledger.offer(&block, source).unwrap();
            model.take(&block);
            same(&mut ledger, &model);
            let changes = offer.changes.iter();
            changed += changes.filter(|change| !change.reverted.is_empty()).count();
            if let Placement::Refused(rejected) = &offer.placement {
                refused += 1;
                let is_right =
                    world.invalid.contains(&block.hash()) || rejected.reason == Reason::Fork;
                assert!(is_right, "{rejected:?}");
            }
            if offer.placement == Placement::InChain {
                assert!(model.blocks().contains(&block));
            }
        }
    }
    assert!(changed > 50 && refused > 50, "{changed} {refused}");
}

#[test]
fn branches_outlive_a_restart_in_every_backend() {
    for place in Place::all() {
        let mut numbers = Numbers(11);
        let mut world = World::new(6, 2);
        world.grow(&mut numbers, 70, 12);
        let mut model = Model::new(&world);
        let source = Source::of("somebody");
        let mut ledger = Ledger::create(place.open(), world.spec(), clock(world.now())).unwrap();
        // Each after its parent: orphans are only in memory.
        for (number, block) in world.blocks.iter().enumerate() {
            ledger.offer(block, source).unwrap();
            model.take(block);
            same(&mut ledger, &model);
            if number % 9 == 4 {
                let before = ledger.branches().unwrap();
                match number % 2 {
                    0 => drop(ledger),
                    _ => drop(ledger.close().unwrap()),
                }
                ledger = Ledger::open(place.open(), clock(world.now())).unwrap();
                assert_eq!(ledger.branches().unwrap(), before, "{place}");
                assert!(number < 9 || !before.is_empty());
            }
        }
        drop(ledger);
        let reader = ChainReader::open(place.open().reader).unwrap();
        assert_stored(&reader, model.blocks());
        let tree = reader.fork_tree(world.now()).unwrap();
        assert_eq!(tree.best().head, model.head);
    }
}
