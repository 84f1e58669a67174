//! Blocks on many branches, valid ones and others, as choices make them; made beside a sequential validator for each branch, so that it is
//! known of each block whether it is valid.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::composed::compose;
use super::federation::Choices;
use super::spoiled::{
    AGED, KEY_AGE, PAYLOAD_BYTES_MAX, SENDERS, certify, is_of_seal, joining, spoiled,
};
use super::{Chain, Numbers, SECOND, account, fields, hub, key, merkle_root};
use crate::consensus::{self, Weight};
use crate::format::FormatVersion;
use crate::format::digest::{BlockHash, Digest};
use crate::format::merkle::{Frontier, history_leaf};
use crate::format::model::{Block, Seal};
use crate::format::rejection::Reason;
use crate::format::signature::KeyPair;
use crate::format::spec::{
    ChainSpec, Consensus, ConsensusName, Finality, Joining, SealRule, SpecFields,
};
use crate::rules::headers::state_root_due;
use crate::state::tables::Registrations;
use crate::tree::Branch;

/// Those who may make blocks: so many that a certificate needs all but any one of them.
pub const AUTHORITIES: usize = 4;

/// Those who say something in valid blocks.
const NAMES: u64 = 20;
/// What each name has at genesis.
const BALANCE: u64 = 1_000_000;
/// How long blocks take.
const PACES: [u64; 3] = [SECOND, SECOND / 4, 2 * SECOND];
/// The last round of which a certificate is.
const ROUNDS: u64 = 3;

/// Every block that anybody made, on whatever branch.
pub struct World {
    pub(super) genesis: Chain,
    /// Chains by their last block, if all of it is valid.
    pub(super) chains: HashMap<BlockHash, Chain>,
    /// The blocks up to each block, from genesis on.
    paths: HashMap<BlockHash, Vec<Block>>,
    /// All blocks; the parent of each comes before it. One may be there several times, under different certificates that are valid.
    pub blocks: Vec<Block>,
    /// Blocks under seals that aren't valid, though under another they may be.
    pub forged: Vec<Block>,
    invalid: HashSet<BlockHash>,
    /// What a sequential validator refused blocks for.
    pub reached: HashSet<Reason>,
}

impl World {
    /// A world of proof of authority with nothing but genesis, whose blocks are final by this depth and name the state root this often.
    pub fn new(depth: u32, root_interval: u32) -> Self {
        Self::of(ConsensusName::ProofOfAuthority, depth, root_interval)
    }

    /// The same of any composition. Where certificates seal, each block is final at once.
    pub fn of(name: ConsensusName, depth: u32, root_interval: u32) -> Self {
        let genesis = Chain::in_version(FormatVersion::V2, AUTHORITIES, |fields| {
            fields.terms.finality = Finality::Depth(depth);
            fields.terms.root_interval = root_interval;
            specify(name, fields);
        });
        let first = genesis.last().hash();
        Self {
            chains: [(first, genesis.clone())].into(),
            paths: [(first, genesis.blocks.clone())].into(),
            blocks: Vec::new(),
            forged: Vec::new(),
            invalid: HashSet::new(),
            reached: HashSet::new(),
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
        let is_bad = choose(invalid_share) == 0;
        match self.chains.get(&parent) {
            Some(chain) if is_bad => {
                let reason = Reason::ALL[choose(Reason::ALL.len() as u64) as usize];
                let Some(block) = spoiled(chain, reason, choose) else {
                    return;
                };
                let found = chain.check(&block).expect_err("a block that breaks a rule");
                assert_eq!(found.reason, reason, "{found}");
                self.reached.insert(reason);
                match is_of_seal(chain, reason) {
                    true => self.forged.push(block),
                    false => self.note(&parent, block, None),
                }
            }
            Some(chain) => {
                let block = honest(chain, choose);
                let mut chain = chain.clone();
                let other = other_certificate(&chain, &block, choose);
                chain.push(block.clone());
                self.note(&parent, block, Some(chain));
                self.blocks.extend(other);
            }
            None => {
                let producer = hub(choose(AUTHORITIES as u64) as usize);
                let block = self.behind_invalid(&parent, &producer);
                self.note(&parent, block, None);
            }
        }
    }

    /// Takes up a block, with the chain that it ends if that is valid.
    fn note(&mut self, parent: &BlockHash, block: Block, chain: Option<Chain>) {
        let hash = block.hash();
        if self.paths.contains_key(&hash) {
            return;
        }
        match chain {
            Some(chain) => {
                self.chains.insert(hash, chain);
            }
            None => {
                self.invalid.insert(hash);
            }
        }
        let mut path = self.paths[parent].clone();
        path.push(block.clone());
        self.paths.insert(hash, path);
        self.blocks.push(block);
    }

    /// An empty block that follows one which is not valid: right by its header, but for the state root that nobody can tell, and for what only the
    /// state before it tells of its producer and its difficulty.
    fn behind_invalid(&self, parent: &BlockHash, producer: &str) -> Block {
        let path = &self.paths[parent];
        let last = path.last().map(fields).unwrap();
        let mut header = fields(&self.genesis.block(&[]));
        let mut history = Frontier::new();
        for block in path {
            history.push(history_leaf(&block.hash()));
        }
        header.previous_hash = *parent;
        header.height = last.height + 1;
        header.timestamp = last.timestamp + SECOND;
        header.producer = producer.to_owned();
        let name = consensus::clock_name(self.spec(), header.height, producer);
        header.vector_clock = last.vector_clock.increment(name).unwrap();
        header.history_root = history.root();
        let Weight(own) = consensus::weight(self.spec(), &header);
        header.weight = last.weight + own;
        header.transactions = last.transactions;
        header.state_root = match state_root_due(self.spec(), header.height) {
            true => Digest([7; 32]),
            false => Digest::ZERO,
        };
        header.merkle_root = merkle_root(&[]);
        self.genesis.sealed_as(producer, header, &[])
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

/// What makes each reason within reach of a transaction: balances, stakes to join, keys that age.
fn specify(name: ConsensusName, fields: &mut SpecFields) {
    fields.limits.body_bytes_max = 1 << 20;
    fields.limits.payload_bytes_max = PAYLOAD_BYTES_MAX;
    fields.rules.balances = true;
    fields.rules.fee_min = 1;
    fields.terms.joining = Joining::StakeOrAttested;
    fields.terms.stake_min = 1;
    fields.terms.key_age_max = KEY_AGE;
    compose(name, fields);
    if let Consensus::Composed(parts) = &mut fields.consensus
        && let SealRule::Work(work) = &mut parts.seal
    {
        // So that a few blocks change the difficulty.
        work.interval = 4;
    }
    let names = (0..NAMES).map(|number| format!("name-{number}"));
    let names = names.chain(SENDERS.map(str::to_owned));
    fields.accounts = names.map(|name| account(&name, BALANCE)).collect();
    let is_listed = !fields.consensus.members().is_empty();
    for (name, mut own) in (0..AUTHORITIES).map(|number| account(&hub(number), BALANCE)) {
        // An authority's key is the listed one.
        own.key = own.key.filter(|_| !is_listed);
        fields.accounts.insert(name, own);
    }
}

/// A block as the rules have it: by whoever may make it, or could in an earlier round than that of its certificate.
fn honest(chain: &Chain, choose: Choices<'_>) -> Block {
    let (spec, state) = (chain.spec(), chain.state());
    let height = state.height() + 1;
    let names = (0..choose(4)).map(|_| format!("name-{}", choose(NAMES)));
    let names: BTreeSet<String> = names.collect();
    let names = names.iter();
    let mut said: Vec<_> = names.map(|name| chain.message(name, height)).collect();
    if state.value::<Registrations>(AGED.as_bytes()).is_none() {
        said.extend(joining(chain));
    }
    if spec.composition().checkpoints.is_some() && choose(3) == 0 {
        said.extend(certify(chain, AUTHORITIES));
    }
    let is_certified = matches!(spec.composition().seal, SealRule::Quorum(_));
    let round = if is_certified { choose(ROUNDS) } else { 0 };
    let proposer = chain.proposer(choose(round + 1) as u32);
    let producer = proposer.unwrap_or_else(|| hub(choose(AUTHORITIES as u64) as usize));
    let now = state.timestamp() + PACES[choose(3) as usize];
    let block = chain.block_at(&producer, &said, now);
    match is_certified {
        true => certified(chain, &block, round as u32, choose),
        false => block,
    }
}

/// The block under the certificate of a round, of all members or all but one.
fn certified(chain: &Chain, block: &Block, round: u32, choose: Choices<'_>) -> Block {
    let mut keys = chain.seal_keys(&block.header().producer);
    let absent = choose(keys.len() as u64 + 1) as usize;
    if absent < keys.len() {
        keys.remove(absent);
    }
    let keys: Vec<&KeyPair> = keys.iter().collect();
    chain.sealed_in(round, &keys, fields(block), block.transactions())
}

/// The same block as another hub may hold it.
fn other_certificate(chain: &Chain, block: &Block, choose: Choices<'_>) -> Option<Block> {
    let Seal::Quorum(certificate) = block.seal() else {
        return None;
    };
    let later = certificate.round() + choose(2) as u32;
    (choose(3) == 0).then(|| certified(chain, block, later, choose))
}

/// The block under the seal of somebody who may not make blocks: what anybody can send, with the hash of the good one.
pub fn badly_sealed(block: &Block) -> Block {
    let seal = Seal::by_authority(&key("mallory"), &block.hash());
    Block::assemble(block.header().clone(), seal, block.transactions()).unwrap()
}
