//! Blocks under wrong seals that only the state tells of: the good one isn't hidden behind them.

use hubledger::engine::Engine;
use hubledger::generate::{Generator, Recipe};
use hubledger::ledger::{Ledger, Placement};
use hubledger::model::{Block, Seal};
use hubledger::spec::{ChainSpec, ConsensusName};
use hubledger::testing::{clock, key, memory};
use hubledger::tree::Source;

/// A chain whose members are made by stakes, and its first blocks.
fn chain(blocks: usize) -> (ChainSpec, Vec<Block>) {
    let recipe = Recipe {
        consensus: ConsensusName::ProofOfStake,
        members: 4,
        transactions: 100,
        per_block: 1,
        keys: 2,
        ..Recipe::default()
    };
    let mut generator = Generator::new(recipe).unwrap();
    let made = (0..blocks).map(|_| generator.next_block().unwrap().unwrap());
    let made = made.collect();
    (generator.spec().clone(), made)
}

/// The block under the seal of somebody who is no member.
fn by_stranger(block: &Block, name: &str) -> Block {
    let seal = Seal::by_authority(&key(name), &block.hash());
    block.clone().sealed(seal)
}

const NAMES: [&str; 3] = ["mallory", "malvin", "malte"];

#[test]
fn a_good_block_that_came_behind_a_wrong_seal_is_in_the_chain_once_its_parent_is() {
    let (spec, blocks) = chain(4);
    let now = clock(blocks[3].header().timestamp);
    let mut ledger = Ledger::create(memory(), &spec, now.clone()).unwrap();
    let engine = Engine::builder().threads(2).clock(now);
    let engine = engine.create(memory(), &spec).unwrap();
    // Without their parents these can't be judged. Strangers are first, and each sends several.
    let mut arrivals = Vec::new();
    for block in &blocks[1..] {
        for (source, name) in (10..).zip(NAMES) {
            arrivals.push((by_stranger(block, "somebody else"), Source(source)));
            arrivals.push((by_stranger(block, name), Source(source)));
        }
        arrivals.push((block.clone(), Source(1)));
    }
    for (block, source) in &arrivals {
        for offer in [
            ledger.offer(block, *source).unwrap(),
            engine.offer_branch(block, *source).unwrap(),
        ] {
            assert_eq!(offer.placement, Placement::Orphan);
        }
    }
    ledger.offer(&blocks[0], Source(1)).unwrap();
    engine.offer_branch(&blocks[0], Source(1)).unwrap();
    assert_eq!(ledger.state().head(), blocks[3].hash());
    assert_eq!(engine.head().unwrap().hash(), blocks[3].hash());
    let held = ledger.reader().block(4).unwrap().unwrap();
    assert_eq!(held.seal(), blocks[3].seal());
    engine.shutdown().unwrap();
}

#[test]
fn a_block_of_which_every_seal_is_wrong_is_refused_and_may_come_again() {
    let (spec, blocks) = chain(2);
    let now = clock(blocks[1].header().timestamp);
    let mut ledger = Ledger::create(memory(), &spec, now).unwrap();
    for (source, name) in (10..).zip(NAMES) {
        ledger
            .offer(&by_stranger(&blocks[1], name), Source(source))
            .unwrap();
    }
    ledger.offer(&blocks[0], Source(1)).unwrap();
    assert_eq!(ledger.state().head(), blocks[0].hash());
    assert_eq!(ledger.branches().unwrap(), vec![]);
    ledger.offer(&blocks[1], Source(1)).unwrap();
    assert_eq!(ledger.state().head(), blocks[1].hash());
}
