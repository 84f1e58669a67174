//! The engine and branches: the same chain as the model's, whatever else is going on; whoever follows is told what went.

use std::task::Poll;

use hubledger::engine::{Change, Engine, EngineBuilder, Follower, Outcome, WhenFull};
use hubledger::format::FormatVersion;
use hubledger::ledger::{Ledger, Placement};
use hubledger::model::Block;
use hubledger::spec::Finality;
use hubledger::tree::Source;

use crate::common::best_branch::{Model, assert_stored};
use crate::common::branches::World;
use crate::common::{self, Chain, Numbers, clock};
use crate::crashes::{Countdown, failing};
use crate::offers::shuffled;
use crate::places::Place;

fn builder(world: &World) -> EngineBuilder {
    with_threads(world, 2)
}

fn with_threads(world: &World, threads: usize) -> EngineBuilder {
    Engine::builder().threads(threads).clock(clock(world.now()))
}

fn same(engine: &Engine, model: &Model<'_>) {
    assert_eq!(engine.head().unwrap().hash(), model.head);
    assert_eq!(&engine.state(), model.state());
    assert_stored(&engine.reader(), model.blocks());
}

/// Takes all that a follower has, into the blocks as it knows them. Gives how many went.
fn drain(follower: &mut Follower, seen: &mut Vec<Block>) -> usize {
    let mut reverted = 0;
    while let Poll::Ready(change) = follower.try_next() {
        match change.unwrap().unwrap() {
            Change::Committed { block } => {
                assert_eq!(block.height() as usize, seen.len());
                seen.push(*block);
            }
            Change::Reverted { height, hash } => {
                let last = seen.pop().unwrap();
                assert_eq!((last.height(), last.hash()), (height, hash));
                reverted += 1;
            }
        }
    }
    reverted
}

#[test]
fn an_engine_keeps_to_the_best_branch_and_followers_go_with_it() {
    let mut reverted = 0;
    for seed in 0..6 {
        let mut numbers = Numbers(200 + seed);
        let mut world = World::new([2, 5, 30][seed as usize % 3], [1, 2][seed as usize % 2]);
        world.grow(&mut numbers, 60, 20);
        let place = Place::new(["memory", "log"][seed as usize % 2]).unwrap();
        let threads = [1, 2, 8][seed as usize % 3];
        let engine = with_threads(&world, threads)
            .create(place.open(), world.spec())
            .unwrap();
        let mut model = Model::new(&world);
        let source = Source::of("somebody");
        let (mut quick, mut slow) = (
            engine.follow(0).unwrap(),
            engine.register("slow", 0).unwrap(),
        );
        let (mut seen, mut seen_slowly) = (Vec::new(), Vec::new());
        for block in shuffled(&mut numbers, &world.blocks) {
            let offer = engine.offer_branch(&block, source).unwrap();
            model.take(&block);
            same(&engine, &model);
            if offer.placement == Placement::InChain {
                assert!(model.blocks().contains(&block));
            }
            reverted += drain(&mut quick, &mut seen);
            assert_eq!(seen, model.blocks());
            if numbers.below(6) == 0 {
                drain(&mut slow, &mut seen_slowly);
                assert_eq!(seen_slowly, model.blocks());
                slow.finished(seen_slowly.len() as u64 - 1).unwrap();
            }
        }
        engine.shutdown().unwrap();
        drop(engine);
        let again = builder(&world).open(place.open()).unwrap();
        same(&again, &model);
        let mut resumed = again.resume("slow").unwrap();
        let from = resumed
            .position()
            .map_or(0, |position| position.height as usize + 1);
        seen_slowly.truncate(from);
        drain(&mut resumed, &mut seen_slowly);
        assert_eq!(seen_slowly, model.blocks());
    }
    assert!(reverted > 20, "{reverted}");
}

#[test]
fn branches_from_many_threads_and_imports_beside_them_come_to_the_best_chain() {
    for seed in 0..4 {
        let mut numbers = Numbers(300 + seed);
        // Nothing becomes final, so that the order in which blocks come doesn't matter.
        let mut world = World::new(1000, 1);
        world.grow(&mut numbers, 80, 25);
        let place = Place::new("memory").unwrap();
        let threads = [1, 2, 8][seed as usize % 3];
        let engine = with_threads(&world, threads)
            .create(place.open(), world.spec())
            .unwrap();
        let orders: Vec<Vec<Block>> = (0..3)
            .map(|_| shuffled(&mut numbers, &world.blocks))
            .collect();
        std::thread::scope(|scope| {
            for (number, order) in orders.iter().enumerate() {
                let engine = &engine;
                scope.spawn(move || {
                    let source = Source::of(&number.to_string());
                    for block in order {
                        engine.offer_branch(block, source).unwrap();
                    }
                });
            }
            let engine = &engine;
            let blocks = &world.blocks;
            scope.spawn(move || {
                for block in blocks {
                    let offered = vec![block.encode().into()];
                    let ticket = engine.offer(offered, WhenFull::Wait).unwrap();
                    let outcome = ticket.wait().unwrap();
                    assert!(matches!(
                        outcome[..],
                        [Outcome::Committed(_) | Outcome::Held { .. } | Outcome::Rejected(_)]
                    ));
                }
            });
        });
        let mut model = Model::new(&world);
        world.blocks.iter().for_each(|block| model.take(block));
        same(&engine, &model);
        let seen: Vec<Block> = {
            let mut seen = Vec::new();
            drain(&mut engine.follow(0).unwrap(), &mut seen);
            seen
        };
        assert_eq!(seen, model.blocks());
        engine.shutdown().unwrap();
    }
}

#[test]
fn what_waited_for_a_block_that_came_otherwise_comes_in_with_the_next_offer() {
    let mut chain = Chain::in_version(FormatVersion::V2, 2, |fields| {
        fields.terms.finality = Finality::Depth(5);
    });
    for _ in 0..3 {
        chain.extend(&[]);
    }
    let [parent, child, last] = [1, 2, 3].map(|height| chain.blocks[height].clone());
    let (source, clock) = (Source::of("peer"), clock(chain.now()));
    let engine = Engine::builder()
        .threads(1)
        .clock(clock.clone())
        .create(common::memory(), chain.spec())
        .unwrap();
    for orphan in [&child, &last] {
        let offer = engine.offer_branch(orphan, source).unwrap();
        assert_eq!(offer.placement, Placement::Orphan);
    }
    let parcel = vec![parent.encode().into()];
    let outcome = engine.offer(parcel, WhenFull::Wait).unwrap();
    assert!(matches!(
        outcome.wait().unwrap()[..],
        [Outcome::Committed(_)]
    ));
    let again = engine.offer_branch(&parent, source).unwrap();
    assert_eq!(again.placement, Placement::Known);
    assert_eq!(engine.head().unwrap().hash(), last.hash());
    engine.shutdown().unwrap();

    let mut ledger = Ledger::create(common::memory(), chain.spec(), clock).unwrap();
    for orphan in [&child, &last] {
        ledger.offer(orphan, source).unwrap();
    }
    ledger.submit(&parent).unwrap();
    ledger.offer(&parent, source).unwrap();
    assert_eq!(ledger.state().head(), last.hash());
}

#[test]
fn transactions_of_blocks_that_went_wait_for_the_next_block_again() {
    let chain = Chain::in_version(FormatVersion::V2, 2, |fields| {
        fields.terms.finality = Finality::Depth(5);
        fields.limits.body_bytes_max = 1 << 20;
    });
    let (mut own, mut other) = (chain.clone(), chain.clone());
    own.extend(&[own.message("alice", 1), own.message("bob", 1)]);
    other.push(other.block_by("hub-1", &[other.message("bob", 1)]));
    other.push(other.block_by("hub-1", &[]));
    let clock = clock(other.now());
    let engine = Engine::builder()
        .threads(1)
        .clock(clock)
        .create(common::memory(), chain.spec())
        .unwrap();
    let source = Source::of("peer");
    engine.offer_branch(own.last(), source).unwrap();
    for block in &other.blocks[1..] {
        engine.offer_branch(block, source).unwrap();
    }
    assert_eq!(engine.head().unwrap().hash(), other.last().hash());
    // Bob's is in the other branch too. What is submitted is judged in order, so that alice's is behind it once this one has its answer.
    let later = engine
        .submit(other.message("carol", 1), WhenFull::Wait)
        .unwrap();
    later.wait().unwrap().unwrap();
    engine.produce(&common::key("hub-0")).unwrap();
    let made = engine.block(3).unwrap().unwrap();
    let mut senders: Vec<&str> = made.transactions().iter().map(|one| one.sender()).collect();
    senders.sort_unstable();
    assert_eq!(senders, ["alice", "carol"]);
    engine.shutdown().unwrap();
}

#[test]
fn a_store_that_fails_under_a_branch_stops_the_engine_and_opens_again() {
    let mut failures = 0;
    for seed in 0..12 {
        let mut numbers = Numbers(400 + seed);
        let mut world = World::new(4, 1);
        world.grow(&mut numbers, 40, 20);
        let place = Place::new(["memory", "log"][seed as usize % 2]).unwrap();
        let mut model = Model::new(&world);
        let source = Source::of("somebody");
        drop(builder(&world).create(place.open(), world.spec()).unwrap());
        let countdown = Countdown::new();
        let open = || {
            builder(&world)
                .open(failing(place.open(), &countdown))
                .unwrap()
        };
        let mut engine = open();
        for (number, block) in world.blocks.iter().enumerate() {
            countdown.set(numbers.below(14) as i64);
            let before = model.head;
            let offered = engine.offer_branch(block, source);
            model.take(block);
            if offered.is_err() {
                failures += 1;
                assert!(
                    engine.offer_branch(block, source).is_err(),
                    "it has stopped"
                );
                countdown.never();
                drop(engine);
                engine = open();
                let head = engine.head().unwrap().hash();
                assert!(head == before || head == model.head);
                // What was beside the chain and not written down yet comes again, from whoever had it.
                for block in &world.blocks[..=number] {
                    engine.offer_branch(block, source).unwrap();
                }
            }
            countdown.never();
            same(&engine, &model);
        }
    }
    assert!(failures > 10, "{failures}");
}

#[test]
fn every_offer_comes_back_whenever_the_engine_is_shut_down() {
    let mut numbers = Numbers(500);
    let mut world = World::new(1000, 1);
    world.grow(&mut numbers, 60, 30);
    for _ in 0..8 {
        let place = Place::new("memory").unwrap();
        let engine = builder(&world).create(place.open(), world.spec()).unwrap();
        let orders: Vec<Vec<Block>> = (0..3)
            .map(|_| shuffled(&mut numbers, &world.blocks))
            .collect();
        let until = numbers.below(60) as usize;
        std::thread::scope(|scope| {
            for (number, order) in orders.iter().enumerate() {
                let engine = &engine;
                scope.spawn(move || {
                    let source = Source::of(&number.to_string());
                    for (at, block) in order.iter().enumerate() {
                        if number == 0 && at == until {
                            engine.shutdown().unwrap();
                        }
                        if engine.offer_branch(block, source).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        drop(engine);
        let again = builder(&world).open(place.open()).unwrap();
        let head = again.head().unwrap().hash();
        assert_eq!(again.state().head(), head);
        assert_stored(&again.reader(), world.path(&head));
    }
}
