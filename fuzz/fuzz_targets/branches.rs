//! Blocks of many branches under any composition, made and handed in as the input says: after each the ledger's chain is the best valid one of
//! all that came, by a model that looks for it from scratch. Each block that breaks a rule is refused for exactly that by a sequential validator.
//!
//! An input is the composition, the depth at which blocks are final, how often they name the state root, and how many blocks are made; then choices for each block
//! (`src/testing/branches.rs`); then pairs of bytes: which block comes, and from whom. A block may come before its parent, twice or never,
//! or under a seal that isn't valid, and the ledger is opened anew now and then.

#![no_main]

use std::collections::HashSet;

use hubledger::consensus;
use hubledger::digest::BlockHash;
use hubledger::ledger::{Ledger, Placement};
use hubledger::model::Block;
use hubledger::rejection::Reason;
use hubledger::rules::headers;
use hubledger::signature::Verifier;
use hubledger::spec::ConsensusName;
use hubledger::testing::best_branch::{Model, assert_same};
use hubledger::testing::branches::{World, badly_sealed};
use hubledger::testing::{clock, reopenable};
use hubledger::tree::Source;
use libfuzzer_sys::fuzz_target;

/// So few that an input costs milliseconds, and enough for branches of branches that are finally cut off.
const BLOCKS_MAX: u8 = 20;
/// About one block in so many isn't valid.
const INVALID_SHARE: u64 = 6;
/// What the second byte of a pair says besides the source.
const BAD_SEAL: u8 = 0x80;
const OPEN_AGAIN: u8 = 0x40;

fuzz_target!(|input: &[u8]| {
    let [composition, depth, root_interval, blocks, rest @ ..] = input else {
        return;
    };
    let mut bytes = rest.iter();
    let name = ConsensusName::ALL[usize::from(*composition) % ConsensusName::ALL.len()];
    let (depth, root_interval) = (u32::from(depth % 8) + 1, u32::from(root_interval % 4));
    let mut world = World::of(name, depth, root_interval);
    for _ in 0..blocks % (BLOCKS_MAX + 1) {
        let choose = &mut |bound: u64| bytes.next().map_or(0, |byte| u64::from(*byte) % bound);
        world.add(choose, INVALID_SHARE);
    }
    if !world.blocks.is_empty() {
        hand_in(&world, bytes.as_slice());
    }
});

fn hand_in(world: &World, arrivals: &[u8]) {
    let (place, now) = (reopenable(), clock(world.now()));
    let store = || place.open().expect("a store in memory");
    let ledger = Ledger::create(store(), world.spec(), now.clone());
    let mut ledger = ledger.expect("an empty store");
    let mut model = Model::new(world);
    let mut awaited = HashSet::new();
    for arrival in arrivals.chunks_exact(2) {
        let (which, how) = (arrival[0], arrival[1]);
        let block = &world.blocks[usize::from(which) % world.blocks.len()];
        let source = Source(u64::from(how % 4));
        if how & BAD_SEAL != 0 {
            // Whoever does this can't have the good one refused.
            let forged = match world.forged.get(usize::from(which)) {
                Some(forged) => forged.clone(),
                None => badly_sealed(block),
            };
            if is_judged_at_once(world, &model, &awaited, &forged) {
                let offer = ledger.offer(&forged, source).expect("a whole store");
                assert!(offer.changes.is_empty(), "{offer:?}");
            }
        } else {
            let offer = ledger.offer(block, source).expect("a whole store");
            if offer.alarm.as_ref().is_some_and(|alarm| alarm.halts()) {
                // Two quorums decided differently: from here on everything is refused.
                assert!(!consensus::can_be_replaced(world.spec(), 1));
                assert_same(&mut ledger, &model);
                return;
            }
            model.take(block);
            awaited.insert(block.header().previous_hash);
            assert_right(world, &model, block.hash(), &offer.placement);
        }
        assert_same(&mut ledger, &model);
        // Orphans are in memory only.
        let has_orphans = ledger.fork_tree().expect("a whole store").orphans() > 0;
        if how & OPEN_AGAIN != 0 && !has_orphans {
            let before = ledger.branches().expect("a whole store");
            drop(ledger);
            ledger = Ledger::open(store(), now.clone()).expect("a whole store");
            assert_eq!(ledger.branches().expect("a whole store"), before);
            assert_same(&mut ledger, &model);
        }
    }
}

/// Whether a block under this seal doesn't hide the good one for a while, or what waits for that: it is refused by itself, or at once, and nothing has
/// come that follows it.
fn is_judged_at_once(
    world: &World,
    model: &Model<'_>,
    awaited: &HashSet<BlockHash>,
    block: &Block,
) -> bool {
    let seal = headers::check_seal(
        world.spec(),
        block.header(),
        block.seal(),
        &Verifier::default(),
    );
    let is_next = block.header().previous_hash == model.head;
    seal.is_err() || is_next && !awaited.contains(&block.hash())
}

/// That a block is where it belongs, as far as it alone tells.
fn assert_right(world: &World, model: &Model<'_>, hash: BlockHash, placement: &Placement) {
    let is_in_chain = model.blocks().iter().any(|block| block.hash() == hash);
    match placement {
        Placement::InChain => assert!(is_in_chain),
        Placement::Refused(rejected) => {
            let is_right = world.is_invalid(&hash) || rejected.reason == Reason::Fork;
            assert!(is_right && !is_in_chain, "{rejected:?}");
        }
        Placement::NoRoom => panic!("so few blocks have room"),
        _ => {}
    }
}
