//! What the original gives figures for: building blocks, proving from a Merkle tree, creating transactions, validating chains of
//! empty blocks. The original's blocks have no seals; blocks are built with and without one here, and empty chains are sealed.

use std::hint::black_box;
use std::thread;

use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;
use hubledger::clock::{Clock as _, SystemClock};
use hubledger::digest::Digest;
use hubledger::engine::{Engine, Outcome};
use hubledger::merkle::Tree;
use hubledger::model::{Draft, Kind, Operation, Transaction};
use hubledger::rules::produce::{draft, produce};
use hubledger::rules::{Depth, Validator};
use hubledger::signature::KeyPair;
use hubledger::spec::ChainSpec;
use hubledger::state::State;
use hubledger_storage::StoreUrl;

use super::chain::Chain;
use super::import::Setup;
use crate::clock::{Clock, Times};
use crate::ratio::Stated;
use crate::turns::Contestant;

/// A line of the original's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    BlocksBuilt,
    BlocksSealed,
    MerkleProofs,
    TransactionsCreated,
    EmptyChainsValidated,
}

impl Line {
    /// What the original's table says.
    pub(super) const fn stated(self) -> Stated {
        let (by, a_second) = match self {
            Self::BlocksBuilt | Self::BlocksSealed => {
                ("MPREG's table: 1,000 blocks of 100 a second", 1_000.0)
            }
            Self::MerkleProofs => ("MPREG's table: 10,000 proofs a second", 10_000.0),
            Self::TransactionsCreated => ("MPREG's table: 50,000 transactions a second", 50_000.0),
            Self::EmptyChainsValidated => ("MPREG's table: 100 chains of 1,000 a second", 100.0),
        };
        Stated {
            by,
            us_per_item: 1e6 / a_second,
        }
    }
}

/// Transactions of a block that is built.
const BLOCK: usize = 100;
/// Leaves of a Merkle tree, and blocks of a chain.
const THOUSAND: usize = 1_000;
/// A pass is long enough to be timed.
const BLOCKS_OF_A_PASS: usize = 100;
const TREES_OF_A_PASS: usize = 10;
const TRANSACTIONS_OF_A_PASS: usize = 10_000;

/// What the lines of the table need.
pub(super) struct Inputs<'c> {
    chain: &'c Chain,
    state: State,
    now_us: u64,
    leaves: Vec<Digest>,
    /// A chain of empty blocks after genesis, encoded.
    empty: Vec<Bytes>,
    setup: Setup,
}

impl<'c> Inputs<'c> {
    pub(super) fn new(chain: &'c Chain, setup: &Setup) -> Result<Self> {
        ensure!(!chain.alone.is_empty(), "a chain without transactions");
        let leaves = chain
            .alone
            .iter()
            .map(Transaction::leaf_hash)
            .cycle()
            .take(THOUSAND)
            .collect();
        Ok(Self {
            chain,
            state: State::genesis(&chain.spec),
            now_us: SystemClock.now_us(),
            leaves,
            empty: empty_chain(chain)?,
            setup: setup.clone(),
        })
    }

    /// The contestants for a line; first the one that counts, then what is worth seeing beside it.
    pub(super) fn contestants(&self, line: Line) -> Vec<Contestant<'_>> {
        let spec = &self.chain.spec;
        let (producer, key) = self.chain.authority();
        let transactions = &self.chain.alone[..self.chain.alone.len().min(BLOCK)];
        let (state, now_us) = (&self.state, self.now_us);
        match line {
            Line::BlocksBuilt => {
                let build = move || draft(spec, state, producer, transactions, now_us);
                vec![repeated("blocks built", BLOCKS_OF_A_PASS, build)]
            }
            Line::BlocksSealed => {
                let seal = move || produce(spec, state, producer, key, transactions, now_us);
                vec![repeated("blocks built and sealed", BLOCKS_OF_A_PASS, seal)]
            }
            Line::MerkleProofs => {
                let items = TREES_OF_A_PASS * THOUSAND;
                let name = "Merkle trees with all their proofs";
                vec![Contestant::new(name, Clock::Thread, items, || {
                    let ((), times) = Times::of(|| self.prove());
                    Ok(times)
                })]
            }
            Line::TransactionsCreated => {
                let unsigned = move || blank(spec).with_witnesses(Vec::new());
                let signed = move || blank(spec).sign(&[key]);
                vec![
                    repeated("transactions created", TRANSACTIONS_OF_A_PASS, unsigned),
                    repeated("transactions created and signed", BLOCKS_OF_A_PASS, signed),
                ]
            }
            Line::EmptyChainsValidated => {
                let name = "chains of 1,000 empty, sealed blocks";
                let threads = self.setup.threads;
                vec![Contestant::new(name, Clock::Wall, threads, || {
                    let (done, times) = Times::of(|| self.validate_chains());
                    done.map(|()| times)
                })]
            }
        }
    }

    /// Trees, and all proofs from each.
    fn prove(&self) {
        for _ in 0..TREES_OF_A_PASS {
            let tree = Tree::new(self.leaves.clone());
            for index in 0..THOUSAND as u64 {
                black_box(tree.inclusion_path(index));
            }
        }
    }

    /// A chain for each thread.
    fn validate_chains(&self) -> Result<()> {
        thread::scope(|scope| {
            let validate = || validate_chain(&self.chain.spec, &self.empty);
            let threads: Vec<_> = (0..self.setup.threads)
                .map(|_| scope.spawn(validate))
                .collect();
            for thread in threads {
                thread.join().map_err(|_| anyhow!("a thread panicked"))??;
            }
            Ok(())
        })
    }
}

fn blank(spec: &ChainSpec) -> Draft {
    Draft {
        kind: Kind::Native,
        chain: spec.id(),
        sender: "node-1".to_owned(),
        receiver: "node-2".to_owned(),
        operation: Operation::Message,
        amount: 0,
        payload: vec![7; 100],
        timestamp: spec.genesis_time,
        expiry: 0,
        fee: 0,
        nonce: 1,
    }
}

fn empty_chain(chain: &Chain) -> Result<Vec<Bytes>> {
    let (producer, key): (&str, &KeyPair) = chain.authority();
    let mut validator = Validator::new(chain.spec.clone());
    let blocks = (0..THOUSAND as u64).map(|number| {
        let now_us = chain.spec.genesis_time + 1 + number;
        let block = produce(&chain.spec, validator.state(), producer, key, &[], now_us)?;
        let valid = validator.check(&block, Depth::Replay);
        validator.apply(&valid.map_err(|rejected| anyhow!("{rejected}"))?);
        Ok(Bytes::from(block.encode()))
    });
    blocks.collect()
}

/// A chain into a store in memory, on one thread of the engine.
fn validate_chain(spec: &ChainSpec, blocks: &[Bytes]) -> Result<()> {
    let store = "memory:".parse::<StoreUrl>()?.create()?;
    let engine = Engine::builder().threads(1).create(store, spec)?;
    let mut valid = 0;
    for outcome in engine.import(blocks.iter().cloned()) {
        let outcome = outcome?;
        ensure!(
            matches!(outcome, Outcome::Committed(_)),
            "not valid: {outcome:?}"
        );
        valid += 1;
    }
    ensure!(valid == blocks.len(), "{valid} blocks of {}", blocks.len());
    Ok(())
}

/// One thing, made `items` times in a pass by one thread.
fn repeated<'a, T, E>(
    name: &str,
    items: usize,
    make: impl Fn() -> Result<T, E> + 'a,
) -> Contestant<'a>
where
    E: std::error::Error + Send + Sync + 'static,
{
    Contestant::new(name, Clock::Thread, items, move || {
        let (done, times) =
            Times::of(|| (0..items).try_for_each(|_| make().map(|made| drop(black_box(made)))));
        done?;
        Ok(times)
    })
}
