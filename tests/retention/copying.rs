//! Migration and backup: the same chain in another store, whatever was pruned and whenever it was interrupted.

use std::ops::ControlFlow;

use hubledger::engine::verify_store;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{ChainReader, CopyReport, Ledger, LedgerError, Staging, Step, copy_chain};
use hubledger_storage::{Durability, Extent, Store};

use crate::common::{Chain, clock, memory};
use crate::places::{Place, chain};
use crate::pruning::prune;

fn copy(source: &ChainReader, target: Store) -> Result<CopyReport, LedgerError> {
    copy_chain(source, target, &mut |_| ControlFlow::Continue(()))
}

/// A chain of so many blocks that a copy takes several runs.
fn long_chain() -> Chain {
    let mut chain = Chain::new(1, |_| {});
    for nonce in 1..=2_600 {
        let message = chain.message("alice", nonce);
        chain.extend(&[message]);
    }
    chain
}

#[test]
fn a_chain_is_the_same_in_every_other_backend() {
    let whole = chain(60);
    for source in Place::all() {
        let ledger = source.ledger(&whole);
        for target in Place::all() {
            let report = copy(&ledger.reader(), target.open()).unwrap();
            let what = format!("{source} to {target}");
            assert_eq!(report.extent, Extent::whole(61), "{what}");
            assert_eq!(report.head, whole.state().head());
            let compared = report.compared;
            assert_eq!(
                (compared.ids, compared.blocks, compared.proofs),
                (61, 61, 4)
            );
            let transactions = whole.state().transaction_count();
            assert_eq!(compared.look_ups, transactions);
            assert_eq!(target.again(&whole).state(), whole.state(), "{what}");
            let opened = target.open().reader;
            let verified =
                verify_store(opened, whole.now(), &mut |_| ControlFlow::Continue(())).unwrap();
            assert_eq!((verified.blocks, verified.rejected), (61, None));
        }
    }
}

#[test]
fn a_pruned_chain_is_copied_with_its_floors_and_leaf_hashes() {
    let whole = chain(40);
    let parts = PrunePolicy {
        bodies: Keep::Last(5),
        index: Keep::Last(20),
        headers: Keep::Last(30),
        ..PrunePolicy::default()
    };
    let leaves = PrunePolicy {
        leaves: true,
        ..PrunePolicy::of_bodies(Keep::Last(5))
    };
    for policy in [&leaves, &parts] {
        for source in Place::all() {
            let mut ledger = source.ledger(&whole);
            prune(&mut ledger, policy);
            let extent = ledger.reader().extent().unwrap();
            for target in Place::all() {
                let report = copy(&ledger.reader(), target.open()).unwrap();
                assert_eq!(report.extent, extent, "{source} to {target}");
                let mut again = target.again(&whole);
                assert_eq!(again.state(), whole.state());
                if policy.leaves {
                    let old = &whole.blocks[9].transactions()[1];
                    let proof = again.reader().prove_pruned(old, 9, None).unwrap();
                    assert!(proof.verify(&whole.state().head()).is_ok());
                }
                let longer = chain(44);
                for block in &longer.blocks[41..] {
                    assert_eq!(again.submit(block).unwrap(), Staging::Staged);
                }
            }
        }
    }
}

#[test]
fn a_copy_that_was_interrupted_is_no_chain_until_it_is_finished() {
    let whole = long_chain();
    let mut source = whole.ledger();
    let source = {
        prune(&mut source, &PrunePolicy::of_bodies(Keep::Last(1_500)));
        source.reader()
    };
    for target in Place::all() {
        // Stopped after every step: three runs, pruning, and before the comparison.
        for attempt in 0..6 {
            let outcome = copy_chain(&source, target.open(), &mut |_| match attempt < 5 {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            });
            match outcome {
                Ok(report) => {
                    assert_eq!((attempt, report.extent.body_floor), (5, 1_101));
                    assert_eq!((report.from, report.bytes), (2_601, 0));
                    continue;
                }
                Err(LedgerError::Stopped) => {}
                Err(error) => panic!("{target}: {error}"),
            }
            let refused = |error: LedgerError| {
                assert!(matches!(error, LedgerError::Incomplete), "{error}");
            };
            refused(ChainReader::open(target.open().reader).err().unwrap());
            refused(Ledger::open(target.open(), clock(0)).err().unwrap());
            refused(
                Ledger::create(target.open(), whole.spec(), clock(0))
                    .err()
                    .unwrap(),
            );
        }
        assert_eq!(target.again(&whole).state(), whole.state());
    }
}

#[test]
fn a_target_that_holds_something_else_is_left_alone() {
    let whole = chain(12);
    let source = whole.ledger().reader();
    let mut other = Chain::new(1, |fields| fields.name = "other".to_owned());
    let message = other.message("bob", 1);
    other.extend(&[message]);
    for place in Place::all() {
        drop(place.ledger(&other));
        let refused = copy(&source, place.open());
        assert!(matches!(refused, Err(LedgerError::TargetInUse)), "{place}");
        assert_eq!(place.again(&other).state(), other.state());
    }
    for place in Place::all() {
        // An interrupted copy of another chain.
        let foreign = other.ledger().reader();
        let stopped = copy_chain(&foreign, place.open(), &mut |_| ControlFlow::Break(()));
        assert!(matches!(stopped, Err(LedgerError::Stopped)));
        let refused = copy(&source, place.open());
        assert!(
            matches!(refused, Err(LedgerError::OtherChain { .. })),
            "{place}"
        );
        let mut store = place.open();
        store
            .writer
            .put_named_value("copy", b"HLCOPY", Durability::Os)
            .unwrap();
        drop(store);
        let refused = copy(&source, place.open()).unwrap_err();
        assert!(refused.is_corrupt(), "{refused}");
    }
}

#[test]
fn a_snapshot_that_opening_ignores_is_not_copied() {
    let whole = chain(12);
    let early = chain(20).state().encode();
    for place in Place::all() {
        for snapshot in [&b"not a state"[..], &early] {
            let source = Place::new("memory").unwrap();
            drop(source.ledger(&whole));
            let mut store = source.open();
            let writer = &mut store.writer;
            writer
                .put_named_value("state", snapshot, Durability::Os)
                .unwrap();
            drop(store);
            let target = Place::new(place.name).unwrap();
            let reader = source.again(&whole).reader();
            assert_eq!(copy(&reader, target.open()).unwrap().values, 1, "{place}");
            assert_eq!(target.again(&whole).state(), whole.state());
        }
    }
}

/// Copies while the source goes on as `meanwhile` says, at every step; both end with a sound chain.
fn live(place: &Place, whole: &Chain, mut meanwhile: impl FnMut(&mut Ledger, Step)) {
    let mut short = whole.clone();
    short.blocks.truncate(2_200);
    let mut ledger = place.ledger(&short);
    let target = memory();
    let reader = target.reader.clone();
    let source = ledger.reader();
    let report = copy_chain(&source, target, &mut |step| {
        meanwhile(&mut ledger, step);
        ControlFlow::Continue(())
    });
    let report = report.unwrap();
    assert!(report.extent.end >= 2_200, "{place}");
    assert!(
        ledger.state().height() >= 2_201,
        "{place}: the source went on"
    );
    let copied = ChainReader::open(reader).unwrap();
    let head = copied.head().unwrap();
    assert_eq!(
        Some(head.hash()),
        ledger.reader().hash_at(head.height).unwrap()
    );
    // It opens, and continues where it ends.
    let store = memory();
    let writer_side = store.reader.clone();
    copy(&copied, store).unwrap();
    assert!(ChainReader::open(writer_side).is_ok());
}

#[test]
fn a_backup_is_made_while_the_ledger_goes_on() {
    let whole = long_chain();
    for place in Place::all() {
        let mut next = 2_200;
        live(&place, &whole, |ledger, _| {
            for block in whole.blocks.iter().skip(next).take(20) {
                assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
                next += 1;
            }
        });
    }
}

#[test]
fn a_backup_is_made_while_the_ledger_goes_on_and_is_pruned() {
    let whole = long_chain();
    for place in Place::all() {
        let mut next = 2_200;
        let mut keep = 1_800;
        live(&place, &whole, |ledger, _| {
            for block in whole.blocks.iter().skip(next).take(20) {
                assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
                next += 1;
            }
            prune(ledger, &PrunePolicy::of_bodies(Keep::Last(keep)));
            keep = (keep / 4).max(5);
        });
    }
}
