//! Branches under every composition: the best valid one is the chain, whatever comes in between, and each reason to refuse a block is reached by what
//! a sequential validator, a ledger and engines of several threads are given alike.

use std::collections::{BTreeSet, HashSet};

use hubledger::consensus;
use hubledger::digest::BlockHash;
use hubledger::engine::{Engine, Outcome};
use hubledger::format::FormatVersion;
use hubledger::ledger::{Ledger, Offer, Placement, Staging};
use hubledger::model::Block;
use hubledger::rejection::{Reason, Rejected};
use hubledger::rules::headers;
use hubledger::signature::Verifier;
use hubledger::spec::{ConsensusName, Parameter};
use hubledger::tree::Source;

use crate::common::best_branch::{Model, assert_same, assert_stored};
use crate::common::branches::{World, badly_sealed};
use crate::common::composed::compose;
use crate::common::spoiled::{is_of_bytes, joining, spoiled, unreachable_because};
use crate::common::{self, Chain, Numbers, clock, fields, key, sealed};
use crate::offers::shuffled;

const BLOCKS: usize = 60;
/// Within so many worlds every reason is reached; about a fifth of them do.
const WORLDS_MAX: u64 = 400;
const THREADS: [usize; 3] = [1, 2, 8];

/// A world of a composition, its depth and its roots by the seed.
fn world(name: ConsensusName, seed: u64) -> (World, Numbers) {
    let mut numbers = Numbers(seed);
    let depth = [2, 5, 30][seed as usize % 3];
    let mut world = World::of(name, depth, [1, 2, 7][seed as usize % 3]);
    world.grow(&mut numbers, BLOCKS, 5);
    (world, numbers)
}

/// What comes, in its order: blocks, and before each now and then one that only pretends to be it.
fn arrivals(world: &World, numbers: &mut Numbers, is_shuffled: bool) -> Vec<(Block, bool)> {
    let blocks = match is_shuffled {
        true => shuffled(numbers, &world.blocks),
        false => world.blocks.clone(),
    };
    let mut all = Vec::new();
    for block in blocks {
        if numbers.below(3) == 0 {
            all.push((badly_sealed(&block), false));
        }
        all.push((block, true));
    }
    for forged in &world.forged {
        let at = numbers.below(all.len() as u64 + 1) as usize;
        all.insert(at, (forged.clone(), false));
    }
    all
}

/// Whether a block may be handed in under this seal without hiding the good one for a while, or what waits for that: it is refused by itself, or at
/// once, and nothing has come that follows it.
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

fn assert_right(world: &World, model: &Model<'_>, block: &Block, offer: &Offer) {
    match &offer.placement {
        Placement::Refused(rejected) => {
            let is_right = world.is_invalid(&block.hash()) || rejected.reason == Reason::Fork;
            assert!(is_right, "{rejected:?}");
        }
        Placement::InChain => {
            let mut hashes = model.blocks().iter().map(Block::hash);
            assert!(hashes.any(|hash| hash == block.hash()));
        }
        _ => {}
    }
}

#[test]
fn blocks_of_every_composition_lead_a_ledger_and_engines_to_the_best_valid_chain() {
    for &name in ConsensusName::ALL {
        for seed in 0..3 {
            let (world, mut numbers) = world(name, seed);
            // Where blocks are final at once an engine keeps none that came too early.
            let is_final_at_once = !consensus::can_be_replaced(world.spec(), 1);
            let (is_shuffled, threads) = match (is_final_at_once, seed) {
                (false, _) => (true, &THREADS[..]),
                (true, 0) => (true, &[][..]),
                (true, _) => (false, &THREADS[..]),
            };
            let arrivals = arrivals(&world, &mut numbers, is_shuffled);
            let now = clock(world.now());
            let mut ledger = Ledger::create(common::memory(), world.spec(), now.clone()).unwrap();
            let engines = threads.iter().map(|&threads| {
                let builder = Engine::builder().threads(threads).clock(now.clone());
                builder.create(common::memory(), world.spec()).unwrap()
            });
            let engines: Vec<Engine> = engines.collect();
            let mut model = Model::new(&world);
            let source = Source::of("somebody");
            let mut awaited = HashSet::new();
            for (block, is_real) in &arrivals {
                if !is_real && !is_judged_at_once(&world, &model, &awaited, block) {
                    continue;
                }
                awaited.insert(block.header().previous_hash);
                let offer = ledger.offer(block, source).unwrap();
                for engine in &engines {
                    let other = engine.offer_branch(block, source).unwrap();
                    assert_eq!(engine.head().unwrap().hash(), ledger.state().head());
                    assert_eq!(other.changes, offer.changes, "{name:?}");
                    assert_eq!(other.alarm, offer.alarm, "{name:?}");
                }
                // Two quorums decided differently: from here on everybody refuses everything.
                if offer.alarm.as_ref().is_some_and(|alarm| alarm.halts()) {
                    assert!(is_final_at_once, "{name:?}");
                    break;
                }
                if *is_real {
                    model.take(block);
                    assert_right(&world, &model, block, &offer);
                } else {
                    assert!(offer.changes.is_empty(), "{name:?}: {offer:?}");
                }
                assert_same(&mut ledger, &model);
            }
            for engine in engines {
                assert_eq!(&engine.state(), model.state());
                assert_stored(&engine.reader(), model.blocks());
            }
        }
    }
}

#[test]
fn worlds_of_every_composition_reach_every_reason() {
    for &name in ConsensusName::ALL {
        let mut reached = BTreeSet::new();
        let reachable = Reason::ALL.iter().filter(|reason| {
            let cannot = unreachable_because(name, **reason);
            cannot.is_none() && !is_of_bytes(**reason)
        });
        let reachable: BTreeSet<&str> = reachable.map(|reason| reason.word()).collect();
        for seed in 0..WORLDS_MAX {
            let mut world = World::of(name, 20, 1);
            world.grow(&mut Numbers(seed), 40, 4);
            reached.extend(world.reached.iter().map(|reason| reason.word()));
            if reached == reachable {
                break;
            }
        }
        assert_eq!(reached, reachable, "{name:?}");
    }
}

/// A chain of a composition that is long enough for a checkpoint and for keys to get too old.
fn chain(name: ConsensusName) -> Chain {
    let mut chain = Chain::of(World::of(name, 30, 1).spec().clone());
    chain.extend(&joining(&chain));
    for _ in 0..5 {
        chain.extend(&[]);
    }
    chain
}

/// What a ledger and engines make of the bytes of the next block, which all refuse alike.
fn refused_by_all(chain: &Chain, bytes: &[u8]) -> Rejected {
    let Staging::Rejected(rejected) = chain.offer(bytes) else {
        panic!("taken")
    };
    for threads in THREADS {
        let builder = Engine::builder().threads(threads).clock(clock(chain.now()));
        let engine = builder.create(common::memory(), chain.spec()).unwrap();
        let held = chain.blocks[1..].iter().map(|held| held.encode().into());
        let offered = held.chain([bytes.to_vec().into()]);
        let last = engine.import(offered).last().unwrap().unwrap();
        assert_eq!(
            last,
            Outcome::Rejected(rejected.clone()),
            "{threads} threads"
        );
    }
    rejected
}

/// Bytes that are refused for a reason which no block can be made for.
fn bytes_for(chain: &Chain, reason: Reason) -> Vec<u8> {
    let block = chain.block(&[chain.message("spoiler", 1_000)]);
    match reason {
        Reason::Malformed => block.encode()[..40].to_vec(),
        Reason::BodySize => {
            let mut bytes = block.encode();
            bytes.push(0);
            bytes
        }
        Reason::Genesis => {
            let mut other = fields(&chain.blocks[0]);
            other.timestamp += 1;
            sealed(other, &key("hub-0"), &[]).encode()
        }
        _ => {
            let mut other = fields(&chain.blocks[3]);
            other.timestamp += 1;
            sealed(other, &key("hub-0"), chain.blocks[3].transactions()).encode()
        }
    }
}

#[test]
fn every_reason_under_every_composition_is_told_alike_on_any_number_of_threads() {
    for &name in ConsensusName::ALL {
        let chain = chain(name);
        for &reason in Reason::ALL {
            if is_of_bytes(reason) {
                let rejected = refused_by_all(&chain, &bytes_for(&chain, reason));
                assert_eq!(rejected.reason, reason, "{name:?}");
                continue;
            }
            let mut numbers = Numbers(7);
            let block = spoiled(&chain, reason, &mut |bound| numbers.below(bound));
            assert_eq!(
                block.is_none(),
                unreachable_because(name, reason).is_some(),
                "{name:?}: {reason}"
            );
            if let Some(block) = block {
                let rejected = chain.check(&block).unwrap_err();
                assert_eq!(rejected.reason, reason, "{name:?}");
                assert_eq!(
                    refused_by_all(&chain, &block.encode()),
                    rejected,
                    "{name:?}"
                );
            }
        }
    }
}

/// A chain of each composition, and one of certificates by members whom only the state tells.
fn chains() -> Vec<Chain> {
    let changing = Chain::in_version(FormatVersion::V2, 4, |fields| {
        fields.terms.changeable = [Parameter::Members].into();
        compose(ConsensusName::Pbft, fields);
    });
    let others = ConsensusName::ALL.iter().map(|&name| chain(name));
    others.chain([changing]).collect()
}

/// The block under a seal that is right.
fn under_right_seal(chain: &Chain, forged: &Block) -> Option<Block> {
    let keys = chain.seal_keys(&forged.header().producer);
    let keys: Vec<_> = keys.iter().collect();
    let rounds =
        (0..9).map(|round| chain.sealed_in(round, &keys, fields(forged), forged.transactions()));
    let mut good = rounds.filter(|block| chain.check(block).is_ok());
    good.find(|good| good.hash() == forged.hash())
}

#[test]
fn nobody_has_a_good_block_refused_by_sending_it_under_another_seal_first() {
    let mut tried = 0;
    for chain in chains() {
        for reason in [Reason::Seal, Reason::Quorum, Reason::Turn] {
            let Some(forged) = spoiled(&chain, reason, &mut |_| 0) else {
                continue;
            };
            let Some(good) = under_right_seal(&chain, &forged) else {
                continue;
            };
            tried += 1;
            let mut ledger = chain.ledger();
            let builder = Engine::builder().threads(2).clock(clock(chain.now()));
            let engine = builder.create(common::memory(), chain.spec()).unwrap();
            for held in &chain.blocks[1..] {
                engine.offer_branch(held, Source::of("somebody")).unwrap();
            }
            let mut offer = |block: &Block| {
                let offer = ledger.offer(block, Source::of("somebody")).unwrap();
                let other = engine.offer_branch(block, Source::of("somebody")).unwrap();
                assert_eq!(other.changes, offer.changes);
                if let Placement::Refused(rejected) = &other.placement {
                    assert_eq!(rejected.reason, reason);
                }
                offer.placement
            };
            for _ in 0..2 {
                let placement = offer(&forged);
                let Placement::Refused(rejected) = placement else {
                    panic!("{placement:?}")
                };
                assert_eq!(rejected.reason, reason);
            }
            assert_eq!(offer(&good), Placement::InChain, "{reason}");
        }
    }
    // Seals of all eight, and of those with certificates also too few and the wrong round.
    assert!(tried >= 14, "{tried}");
}
