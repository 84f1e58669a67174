//! Pruning a ledger, in every backend.

use std::ops::ControlFlow;
use std::time::Duration;

use hubledger::ledger::policy::{Keep, PolicyError, PrunePolicy};
use hubledger::ledger::{Ledger, LedgerError, PruneReport, Staging};
use hubledger_storage::{Durability, Extent, StoreUrl};

use crate::common::{SECOND, clock};
use crate::places::{Place, chain};

pub(crate) fn prune(ledger: &mut Ledger, policy: &PrunePolicy) -> PruneReport {
    ledger
        .prune(policy, None, &mut |_| ControlFlow::Continue(()))
        .unwrap()
}

#[test]
fn bodies_go_and_everything_else_goes_on() {
    let whole = chain(40);
    for place in Place::all() {
        let mut ledger = place.ledger(&whole);
        let report = prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(10)));
        let bytes: usize = whole.blocks[..31].iter().map(|b| b.body().len()).sum();
        assert_eq!(report.bodies.floor, 31, "{place}");
        assert_eq!(
            (report.bodies.blocks, report.bodies.bytes),
            (31, bytes as u64)
        );
        assert!(report.done && report.within_budget.is_none());
        drop(ledger);
        // Opened from the snapshot alone, and it continues.
        let mut again = place.again(&whole);
        assert_eq!(again.state(), whole.state(), "{place}");
        let reader = again.reader();
        let pruned = reader.block(30).unwrap_err();
        assert!(matches!(pruned, LedgerError::Pruned(30)), "{pruned}");
        for block in &whole.blocks[31..] {
            assert_eq!(reader.block(block.height()).unwrap().as_ref(), Some(block));
        }
        for block in &whole.blocks {
            let header = reader.header(block.height()).unwrap();
            assert_eq!(header.as_ref(), Some(block.header()));
        }
        let mut longer = chain(45);
        for block in longer.blocks.drain(41..) {
            assert_eq!(again.submit(&block).unwrap(), Staging::Staged, "{place}");
        }
    }
}

#[test]
fn staged_blocks_are_committed_first() {
    let whole = chain(20);
    for place in Place::all() {
        let mut ledger = Ledger::create(place.open(), whole.spec(), clock(whole.now())).unwrap();
        for block in &whole.blocks[1..] {
            ledger.stage(block).unwrap();
        }
        prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(1)));
        drop(ledger);
        let again = place.again(&whole);
        assert_eq!(again.state(), whole.state());
        assert_eq!(again.reader().extent().unwrap().body_floor, 20);
    }
}

#[test]
fn every_part_has_a_floor_of_its_own() {
    let whole = chain(30);
    for place in Place::all() {
        let mut ledger = place.ledger(&whole);
        let policy = PrunePolicy {
            bodies: Keep::Last(5),
            index: Keep::Last(10),
            headers: Keep::Last(15),
            ..PrunePolicy::default()
        };
        let report = prune(&mut ledger, &policy);
        let extent = Extent {
            body_floor: 26,
            index_floor: 21,
            header_floor: 16,
            end: 31,
        };
        assert_eq!(ledger.reader().extent().unwrap(), extent, "{place}");
        assert_eq!(
            [&report.index, &report.headers].map(|part| part.blocks),
            [21, 16]
        );
        drop(ledger);
        assert_eq!(place.again(&whole).state(), whole.state());
    }
}

#[test]
fn age_is_measured_against_the_injected_clock() {
    let whole = chain(30);
    for place in Place::all() {
        drop(place.ledger(&whole));
        let now = whole.state().timestamp() + SECOND;
        let mut ledger = Ledger::open(place.open(), clock(now)).unwrap();
        let policy = PrunePolicy::of_bodies(Keep::For(Duration::from_secs(10)));
        // Blocks are a second apart, the last one is a second old.
        assert_eq!(prune(&mut ledger, &policy).bodies.floor, 21, "{place}");
    }
}

#[test]
fn a_clock_that_jumped_ahead_makes_no_block_old() {
    let whole = chain(30);
    let policy = PrunePolicy::of_bodies(Keep::For(Duration::from_secs(2 * 86_400)));
    for place in Place::all() {
        drop(place.ledger(&whole));
        let mut ledger = Ledger::open(place.open(), clock(u64::MAX)).unwrap();
        let refused = ledger.prune(&policy, None, &mut |_| ControlFlow::Continue(()));
        assert!(
            matches!(
                refused,
                Err(LedgerError::Policy(PolicyError::Clock { now_us: u64::MAX }))
            ),
            "{place}"
        );
        assert_eq!(ledger.reader().extent().unwrap().body_floor, 0, "{place}");
        drop(ledger);
        // A chain that grows is pruned by itself; there a jump of weeks counts as a day.
        let month = 30 * 86_400 * SECOND;
        let now = whole.state().timestamp() + month;
        let mut ledger = Ledger::open(place.open(), clock(now)).unwrap();
        ledger.keep_to(policy.clone(), None).unwrap();
        for block in &chain(32).blocks[31..] {
            assert_eq!(ledger.submit(block).unwrap(), Staging::Staged, "{place}");
        }
        ledger.commit().unwrap();
        assert_eq!(ledger.reader().extent().unwrap().body_floor, 0, "{place}");
        let older = PrunePolicy::of_bodies(Keep::For(Duration::from_secs(86_400)));
        ledger.keep_to(older, None).unwrap();
        for block in &chain(34).blocks[33..] {
            ledger.submit(block).unwrap();
        }
        ledger.commit().unwrap();
        assert!(ledger.reader().extent().unwrap().body_floor > 25, "{place}");
    }
}

#[test]
fn a_pruning_that_was_stopped_goes_on_where_it_was() {
    let whole = chain(30);
    for place in Place::all() {
        let policy = PrunePolicy {
            bodies: Keep::Last(5),
            index: Keep::Last(10),
            leaves: true,
            ..PrunePolicy::default()
        };
        let mut steps = 0;
        drop(place.ledger(&whole));
        // Stopped after one more step each time, and opened again.
        for stop_after in 1.. {
            let mut ledger = place.again(&whole);
            let mut seen = 0;
            let report = ledger.prune(&policy, None, &mut |_| {
                seen += 1;
                match seen < stop_after {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            });
            let report = report.unwrap();
            assert_eq!(ledger.state(), whole.state());
            steps += 1;
            if report.done {
                let extent = ledger.reader().extent().unwrap();
                assert_eq!((extent.body_floor, extent.index_floor), (26, 21));
                break;
            }
        }
        assert!(steps > 2, "it was never stopped");
    }
}

#[test]
fn a_budget_is_kept_down_to_the_blocks_that_must_stay() {
    // A block of some size, so that files shrink.
    let mut whole = crate::common::Chain::new(1, |_| {});
    for nonce in 1..=40 {
        let big = whole.signed("alice", nonce, |draft| draft.payload = vec![7; 40_000]);
        whole.extend(&[big]);
    }
    for place in Place::all()
        .iter()
        .filter(|place| place.url != StoreUrl::Memory)
    {
        let mut ledger = place.ledger(&whole);
        let before = ledger.reader().usage().unwrap().bytes_on_disk;
        let policy = PrunePolicy {
            budget_bytes: Some(before / 2),
            blocks_min: 3,
            ..PrunePolicy::default()
        };
        let report = prune(&mut ledger, &policy);
        assert_eq!(report.within_budget, Some(true), "{place}: {report:?}");
        assert!(report.usage.bytes_on_disk <= before / 2);
        let left = 41 - report.bodies.floor;
        assert!(left > 10, "{place}: pruned far below the budget: {left}");
        // Nothing that goes on by itself counts. RocksDB may merge files at any time, which does.
        if !place.url.to_string().starts_with("rocksdb:") {
            assert_eq!(ledger.reader().usage().unwrap(), report.usage, "{place}");
        }
    }
}

#[test]
fn a_store_without_the_state_that_stands_in_for_bodies_says_so() {
    let whole = chain(20);
    for place in Place::all() {
        let mut ledger = place.ledger(&whole);
        prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(3)));
        drop(ledger);
        let mut store = place.open();
        store
            .writer
            .put_named_value("state", b"not a state", Durability::Os)
            .unwrap();
        drop(store);
        let error = Ledger::open(place.open(), clock(whole.now()))
            .err()
            .unwrap();
        assert!(
            matches!(error, LedgerError::NoState { floor: 18 }),
            "{error}"
        );
        assert!(error.is_corrupt());
    }
}

#[test]
fn a_refused_policy_changes_nothing() {
    let whole = chain(10);
    for place in Place::all() {
        let mut ledger = place.ledger(&whole);
        let policy = PrunePolicy::of_bodies(Keep::From(11));
        let refused = ledger.prune(&policy, None, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(refused, Err(LedgerError::Policy(_))), "{place}");
        assert_eq!(ledger.reader().extent().unwrap(), Extent::whole(11));
    }
}

#[test]
fn a_live_chain_keeps_to_its_policy() {
    let whole = chain(700);
    for place in Place::all() {
        drop(place.ledger(&chain(1)));
        let mut ledger = place.again(&whole);
        ledger
            .keep_to(PrunePolicy::of_bodies(Keep::Last(50)), None)
            .unwrap();
        let mut most = 0;
        for block in &whole.blocks[2..] {
            assert_eq!(ledger.stage(block).unwrap(), Staging::Staged);
            ledger.commit().unwrap();
            let extent = ledger.reader().extent().unwrap();
            assert!(
                extent.end - extent.body_floor >= extent.end.min(50),
                "{place}"
            );
            most = most.max(extent.end - extent.body_floor);
        }
        assert!(most < 50 + 260, "{place}: {most} bodies were held");
        assert_eq!(ledger.reader().extent().unwrap().end, 701);
        drop(ledger);
        assert_eq!(place.again(&whole).state(), whole.state());
        // A height that the chain hasn't come to is waited for, and nonsense is refused.
        let mut ledger = place.again(&whole);
        let far = PrunePolicy::of_bodies(Keep::From(10_000));
        ledger.keep_to(far, None).unwrap();
        ledger.commit().unwrap();
        let nothing = PrunePolicy::of_bodies(Keep::Last(0));
        assert!(ledger.keep_to(nothing, None).is_err());
    }
}

#[test]
fn a_live_chain_stays_within_its_budget() {
    let mut whole = crate::common::Chain::new(1, |_| {});
    let budget = 3_000_000;
    for nonce in 1..=400 {
        let big = whole.signed("alice", nonce, |draft| draft.payload = vec![7; 20_000]);
        whole.extend(&[big]);
    }
    for place in Place::all()
        .iter()
        .filter(|place| place.url != StoreUrl::Memory)
    {
        let mut short = whole.clone();
        short.blocks.truncate(2);
        let mut ledger = place.ledger(&short);
        let policy = PrunePolicy {
            budget_bytes: Some(budget),
            ..PrunePolicy::default()
        };
        ledger.keep_to(policy, None).unwrap();
        for block in &whole.blocks[2..] {
            ledger.submit(block).unwrap();
            let on_disk = ledger.reader().usage().unwrap().bytes_on_disk;
            // A 32nd of it and one commit, in a journal too, may be there until it is due again. RocksDB has tables that
            // wait for compaction besides.
            let spare = match place.url.to_string().starts_with("rocksdb:") {
                true => budget,
                false => budget / 4,
            };
            assert!(on_disk < budget + spare, "{place}: {on_disk} bytes");
        }
        let extent = ledger.reader().extent().unwrap();
        assert!(
            extent.body_floor > 200 && extent.end - extent.body_floor > 20,
            "{place}: {extent:?}"
        );
    }
}

/// A chain of so many blocks, each of `bytes`.
fn large(blocks: u64, bytes: usize) -> crate::common::Chain {
    let mut whole = crate::common::Chain::new(1, |_| {});
    for nonce in 1..=blocks {
        let big = whole.signed("alice", nonce, |draft| draft.payload = vec![7; bytes]);
        whole.extend(&[big]);
    }
    whole
}

fn on_disk() -> Vec<Place> {
    let places = Place::all().into_iter();
    places
        .filter(|place| place.url != StoreUrl::Memory)
        .collect()
}

#[test]
fn a_budget_that_cannot_be_met_is_refused_before_anything_is_removed() {
    let whole = large(40, 40_000);
    for place in on_disk() {
        let mut ledger = place.ledger(&whole);
        for (budget_bytes, blocks_min) in [(0, 1), (50_000, 1), (1_200_000, 35)] {
            let policy = PrunePolicy {
                bodies: Keep::Last(36),
                budget_bytes: Some(budget_bytes),
                blocks_min,
                leaves: true,
                ..PrunePolicy::default()
            };
            let mut steps = 0;
            let refused = ledger.prune(&policy, None, &mut |_| {
                steps += 1;
                ControlFlow::Continue(())
            });
            let Err(LedgerError::Policy(PolicyError::BudgetTooSmall { budget, least })) = refused
            else {
                panic!("{place}: {refused:?}");
            };
            assert_eq!((budget, steps), (budget_bytes, 0), "{place}");
            assert!(least > budget, "{place}");
            let extent = ledger.reader().extent().unwrap();
            assert_eq!(extent, Extent::whole(41), "{place}");
            // Nor does a live chain take it.
            assert!(ledger.keep_to(policy.clone(), None).is_err(), "{place}");
            ledger.commit().unwrap();
            assert_eq!(ledger.reader().extent().unwrap(), extent, "{place}");
        }
    }
}

#[test]
fn the_smallest_budget_that_a_refusal_names_can_be_met() {
    let shapes = [
        (40, 40_000, false),
        (40, 40_000, true),
        (1_500, 300, false),
        (300, 9_000, true),
    ];
    for (blocks, bytes, leaves) in shapes {
        let whole = large(blocks, bytes);
        // RocksDB has a journal and tables that wait for compaction besides.
        let places = on_disk().into_iter();
        for place in places.filter(|place| place.name != "rocksdb") {
            let mut ledger = place.ledger(&whole);
            let policy = |budget| PrunePolicy {
                budget_bytes: Some(budget),
                leaves,
                ..PrunePolicy::default()
            };
            let refused = ledger.prune(&policy(0), None, &mut |_| ControlFlow::Continue(()));
            let Err(LedgerError::Policy(PolicyError::BudgetTooSmall { least, .. })) = refused
            else {
                panic!("{place}: {refused:?}");
            };
            let report = prune(&mut ledger, &policy(least));
            assert_eq!(
                report.within_budget,
                Some(true),
                "{place}: {least} {report:?}"
            );
        }
    }
}

#[test]
fn a_live_chain_that_outgrows_its_budget_goes_on_without_bodies() {
    let whole = large(900, 300);
    for place in on_disk() {
        let mut short = whole.clone();
        short.blocks.truncate(2);
        let mut ledger = place.ledger(&short);
        let policy = PrunePolicy {
            budget_bytes: Some(300_000),
            ..PrunePolicy::default()
        };
        ledger.keep_to(policy, None).unwrap();
        for run in whole.blocks[2..].chunks(300) {
            for block in run {
                assert_eq!(ledger.stage(block).unwrap(), Staging::Staged);
            }
            ledger.commit().unwrap();
        }
        let extent = ledger.reader().extent().unwrap();
        assert_eq!((extent.body_floor, extent.end), (900, 901), "{place}");
        drop(ledger);
        assert_eq!(place.again(&whole).state(), whole.state(), "{place}");
    }
}
