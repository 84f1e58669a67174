//! Blocks of many branches in any order, against a model that keeps every block and looks for the best valid chain from scratch.

use std::ops::ControlFlow;

use hubledger::ledger::{ChainReader, Ledger, Placement, copy_chain};
use hubledger::model::Block;
use hubledger::rejection::Reason;
use hubledger::tree::Source;

use crate::common::best_branch::{Model, assert_same, assert_stored};
use crate::common::branches::World;
use crate::common::{self, Numbers, clock};
use crate::places::Place;

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
            assert_same(&mut ledger, &model);
            let changes = offer.changes.iter();
            changed += changes.filter(|change| !change.reverted.is_empty()).count();
            if let Placement::Refused(rejected) = &offer.placement {
                refused += 1;
                let is_right = world.is_invalid(&block.hash()) || rejected.reason == Reason::Fork;
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
fn branches_are_copied_with_the_chain_to_every_backend() {
    let mut numbers = Numbers(12);
    let mut world = World::new(6, 2);
    world.grow(&mut numbers, 60, 12);
    let from = Place::new("log").unwrap();
    let mut ledger = Ledger::create(from.open(), world.spec(), clock(world.now())).unwrap();
    for block in &world.blocks {
        ledger.offer(block, Source::of("somebody")).unwrap();
    }
    let before = ledger.branches().unwrap();
    assert!(!before.is_empty());
    ledger.close().unwrap();
    for to in Place::all() {
        let reader = ChainReader::open(from.open().reader).unwrap();
        copy_chain(&reader, to.open(), &mut |_| ControlFlow::Continue(())).unwrap();
        let mut copy = Ledger::open(to.open(), clock(world.now())).unwrap();
        assert_eq!(copy.branches().unwrap(), before, "{to}");
        for side in before.iter().map(|side| side.branch) {
            let block = copy.fork_tree().unwrap().side_block(&side.head);
            assert!(block.is_some_and(|block| world.blocks.contains(block)));
        }
    }
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
            assert_same(&mut ledger, &model);
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
