//! A new chain from a height of a chain, in every backend.

use std::ops::ControlFlow;

use hubledger::engine::verify_store;
use hubledger::format::FormatVersion;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{ForkError, Ledger, LedgerError, Lookup, Staging, Step, copy_chain};
use hubledger::rejection::Reason;
use hubledger::spec::SpecFields;

use crate::common::{Chain, clock};
use crate::places::{Place, chain};
use crate::pruning::prune;

fn go_on<T>(_: T) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The fields under which a new chain of this name goes on from a height.
fn named(chain: &Chain, name: &str) -> SpecFields {
    SpecFields {
        name: name.to_owned(),
        ..chain.spec().successor_fields()
    }
}

/// A chain of version 2, whose blocks each have a message of a name that nobody else has.
fn second_version(blocks: u64) -> Chain {
    let mut chain = Chain::in_version(FormatVersion::V2, 2, |_| {});
    for number in 0..blocks {
        chain.extend(&[chain.message(&format!("sender-{number}"), 1)]);
    }
    chain
}

/// The reason why a ledger refuses a chain's block above the last one that both have.
fn refusal(ledger: &mut Ledger, chain: &Chain, height: u64) -> Reason {
    match ledger.stage(&chain.blocks[height as usize]).unwrap() {
        Staging::Rejected(rejected) => rejected.reason,
        staging => panic!("{staging:?}"),
    }
}

/// Forks the chain at the place, and checks both chains there.
fn fork_and_check(place: &Place, before: &Chain, height: u64, is_stored: bool) {
    let ledger = place.ledger(before);
    match is_stored {
        // The state after the last block is written down: below it, blocks are replayed.
        true => {
            ledger.close().unwrap();
        }
        false => drop(ledger),
    }
    let source = place.again(before).reader();
    let target = Place::new(place.name).unwrap();
    let fork = source
        .fork_at(height, Some(named(before, "other")))
        .unwrap();
    let (mut ledger, report) = fork
        .make_in(target.open(), clock(before.now()), &mut go_on)
        .unwrap();
    assert_eq!((report.extent.end, report.from), (height + 1, 0));
    let head = before.blocks[height as usize].hash();
    assert_eq!(ledger.state().head(), head, "{place}");
    let predecessor = ledger.spec().predecessor().unwrap();
    assert_eq!((predecessor.height, predecessor.head), (height, head));
    assert_eq!(ledger.spec().name, "other");
    // Each of the two refuses what the other one goes on with.
    let next = height + 1;
    let mut old = place.again(before);
    let mut shared = Chain::of(before.spec().clone());
    before.blocks[1..next as usize]
        .iter()
        .for_each(|block| shared.push(block.clone()));
    let mut new = shared.succeeded(|fields| *fields = (**ledger.spec()).clone());
    assert_eq!(new.spec(), ledger.spec());
    new.extend(&[new.message("new", 1)]);
    if next < before.blocks.len() as u64 {
        let reason = refusal(&mut ledger, before, next);
        assert!(
            matches!(reason, Reason::Chain | Reason::Version),
            "{reason:?}"
        );
        let reason = refusal(&mut old, &new, next);
        assert!(
            matches!(reason, Reason::Chain | Reason::Version),
            "{reason:?}"
        );
    }
    assert_eq!(ledger.submit(new.last()).unwrap(), Staging::Staged);
    assert_eq!(ledger.state(), new.state());
    let reader = ledger.reader();
    for block in &before.blocks {
        for transaction in block.transactions() {
            match reader.transaction(&transaction.id()).unwrap() {
                Lookup::Found(found) => {
                    assert_eq!(found.height, block.height());
                    let proof = reader.prove(found.height, found.index, None).unwrap();
                    proof.verify(&new.state().head()).unwrap();
                }
                _ => assert!(block.height() > height, "{place}: {}", block.height()),
            }
        }
    }
    ledger.close().unwrap();
    drop(reader);
    let report = verify_store(target.open().reader, new.now(), &mut go_on).unwrap();
    assert!(report.rejected.is_none(), "{place}: {:?}", report.rejected);
    assert_eq!(old.state(), before.state(), "the source stays as it is");
}

#[test]
fn a_new_chain_has_the_blocks_up_to_the_height_and_goes_on_by_itself() {
    for name in ["memory", "log", "sqlite"] {
        for before in [chain(12), second_version(12)] {
            for height in [0, 5, 12] {
                for is_stored in [false, true] {
                    let Some(place) = Place::new(name) else {
                        continue;
                    };
                    fork_and_check(&place, &before, height, is_stored);
                }
            }
        }
    }
}

#[test]
fn a_fork_below_an_upgrade_goes_on_from_the_specification_that_was_in_force() {
    let first = chain(6);
    let mut second = first.succeeded(|_| {});
    second.extend(&[second.message("later", 1)]);
    let place = Place::new("memory").unwrap();
    let mut ledger = place.ledger(&first).upgrade(second.spec()).unwrap();
    assert_eq!(ledger.submit(second.last()).unwrap(), Staging::Staged);
    let source = ledger.reader();
    for (height, before) in [(4, first.spec()), (6, second.spec()), (7, second.spec())] {
        let fork = source.fork_at(height, None).unwrap();
        assert_eq!(fork.before(), before, "{height}");
        let target = Place::new("memory").unwrap();
        let made = fork.make_in(target.open(), clock(second.now()), &mut go_on);
        let (ledger, _) = made.unwrap();
        let predecessor = ledger.spec().predecessor().unwrap();
        assert_eq!(
            (&predecessor.specification, predecessor.height),
            (before, height)
        );
    }
}

#[test]
fn what_leads_to_no_state_is_refused_before_anything_is_copied() {
    let before = second_version(40);
    let place = Place::new("log").unwrap();
    place.ledger(&before).close().unwrap();
    let mut ledger = place.again(&before);
    prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(10)));
    let source = ledger.reader();
    let floor = source.extent().unwrap().body_floor;
    assert!(floor > 20, "{floor}");
    for height in [3, floor, 39] {
        let refused = source.fork_at(height, None).err().unwrap();
        assert!(matches!(refused, ForkError::NoState { .. }), "{refused}");
    }
    let above = source.fork_at(41, None).err().unwrap();
    assert!(matches!(
        above,
        ForkError::AboveTip {
            height: 41,
            tip: 40
        }
    ));
    // At the stored state it can be made, and what is pruned stays pruned.
    let fork = source.fork_at(40, None).unwrap();
    let target = Place::new("sqlite").unwrap();
    let (ledger, report) = fork
        .make_in(target.open(), clock(before.now()), &mut go_on)
        .unwrap();
    assert_eq!(report.extent.body_floor, floor);
    assert_eq!(ledger.state().head(), before.last().hash());
    assert!(matches!(
        ledger.reader().block(3),
        Err(LedgerError::Pruned(3))
    ));
}

#[test]
fn a_fork_that_was_interrupted_goes_on_as_that_fork_and_as_nothing_else() {
    let before = second_version(30);
    let place = Place::new("memory").unwrap();
    let source = place.ledger(&before).reader();
    let fork = source.fork_at(20, None).unwrap();
    let whole = fork
        .make_in(
            Place::new("memory").unwrap().open(),
            clock(before.now()),
            &mut go_on,
        )
        .unwrap();
    let mut stops = 0;
    for stop_at in 0.. {
        let target = Place::new("memory").unwrap();
        let mut steps = 0;
        let mut stop = |_: Step| {
            steps += 1;
            match steps > stop_at {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        match fork.make_in(target.open(), clock(before.now()), &mut stop) {
            Ok(_) => break,
            Err(ForkError::Ledger(LedgerError::Stopped)) => stops += 1,
            Err(error) => panic!("{error}"),
        }
        let opened = Ledger::open(target.open(), clock(0));
        assert!(matches!(opened, Err(LedgerError::Incomplete)));
        let copied = copy_chain(&source, target.open(), &mut go_on);
        assert!(matches!(copied, Err(LedgerError::OtherCopy(_))));
        let other = source.fork_at(19, None).unwrap();
        let other = other.make_in(target.open(), clock(0), &mut go_on);
        assert!(matches!(
            other,
            Err(ForkError::Ledger(LedgerError::OtherCopy(_)))
        ));
        let (ledger, _) = fork
            .make_in(target.open(), clock(before.now()), &mut go_on)
            .unwrap();
        assert_eq!(ledger.spec(), whole.0.spec());
        assert_eq!(ledger.state(), whole.0.state());
        drop(ledger);
        let again = fork.make_in(target.open(), clock(0), &mut go_on);
        assert!(matches!(
            again,
            Err(ForkError::Ledger(LedgerError::TargetInUse))
        ));
    }
    assert!(stops > 3, "{stops}");
}
