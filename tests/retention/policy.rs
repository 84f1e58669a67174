//! Policies as pure functions.

use std::time::Duration;

use hubledger::ledger::policy::{Keep, PolicyError, PrunePolicy, first_since};
use hubledger_storage::{Extent, Usage};
use proptest::prelude::*;

/// Block h of the made-up chain has the timestamp 1,000,000 h.
const BLOCK_US: u64 = 1_000_000;

fn floors(policy: &PrunePolicy, extent: Extent, now_us: u64) -> Result<Extent, PolicyError> {
    policy.floors(extent, now_us, |cutoff_us| {
        first_since(extent.header_floor..extent.end, cutoff_us, |height| {
            Ok(height * BLOCK_US)
        })
    })
}

fn keeps() -> impl Strategy<Value = Keep> {
    prop_oneof![
        Just(Keep::All),
        (1..200u64).prop_map(Keep::Last),
        (0..200u64).prop_map(Keep::From),
        (0..200u64).prop_map(|seconds| Keep::For(Duration::from_secs(seconds))),
    ]
}

fn extents() -> impl Strategy<Value = Extent> {
    (1..120u64, 0..=120u64, 0..=120u64, 0..=120u64).prop_map(|(end, floor, index, header)| {
        let floor = floor % (end + 1);
        Extent {
            body_floor: floor,
            index_floor: index % (floor + 1),
            header_floor: header % (floor + 1),
            end,
        }
    })
}

prop_compose! {
    fn policies()(bodies in keeps(), index in keeps(), headers in keeps(), blocks_min in 1..50u64) -> PrunePolicy {
        PrunePolicy { bodies, index, headers, leaves: false, budget_bytes: None, blocks_min }
    }
}

proptest! {
    #[test]
    fn floors_are_ordered_and_never_go_down(policy in policies(), extent in extents(), now in 0..200u64) {
        if let Ok(after) = floors(&policy, extent, now * BLOCK_US) {
            prop_assert!(after.is_sound(), "{after:?}");
            prop_assert_eq!(after.end, extent.end);
            prop_assert!(after.body_floor >= extent.body_floor);
            prop_assert!(after.index_floor >= extent.index_floor);
            prop_assert!(after.header_floor >= extent.header_floor);
            // What must stay stays, as far as it is there.
            prop_assert!(after.body_floor <= extent.body_floor.max(extent.end.saturating_sub(policy.blocks_min)));
            // Doing it again changes nothing.
            prop_assert_eq!(floors(&policy, after, now * BLOCK_US), Ok(after));
        }
    }

    #[test]
    fn keep_counts_are_exact(keep in 1..200u64, end in 1..120u64) {
        let after = floors(&PrunePolicy::of_bodies(Keep::Last(keep)), Extent::whole(end), 0).unwrap();
        prop_assert_eq!(after.end - after.body_floor, keep.min(end));
        prop_assert_eq!((after.index_floor, after.header_floor), (0, 0));
    }

    #[test]
    fn keeping_more_never_removes_more(keep in 1..200u64, more in 0..200u64, extent in extents()) {
        let floor = |blocks| {
            floors(&PrunePolicy::of_bodies(Keep::Last(blocks)), extent, 0).unwrap().body_floor
        };
        prop_assert!(floor(keep + more) <= floor(keep));
    }

    #[test]
    fn time_never_lowers_a_floor(age in 0..200u64, now in 0..200u64, later in 0..200u64, extent in extents()) {
        let policy = PrunePolicy::of_bodies(Keep::For(Duration::from_secs(age)));
        let floor = |now: u64| floors(&policy, extent, now * BLOCK_US).unwrap().body_floor;
        prop_assert!(floor(now) <= floor(now + later));
    }

    #[test]
    fn an_age_keeps_exactly_the_blocks_that_are_young_enough(age in 0..200u64, now in 0..200u64, end in 1..120u64) {
        let policy = PrunePolicy::of_bodies(Keep::For(Duration::from_secs(age)));
        let floor = floors(&policy, Extent::whole(end), now * BLOCK_US).unwrap().body_floor;
        let expected = (0..end).find(|height| height + age >= now).unwrap_or(end);
        prop_assert_eq!(floor, expected.min(end - 1));
    }

    #[test]
    fn a_budget_step_goes_up_within_bounds_or_ends(
        extent in extents(), on_disk in 0..10_000u64, budget in 0..10_000u64, blocks_min in 1..50u64,
    ) {
        let policy = PrunePolicy { budget_bytes: Some(budget), blocks_min, ..PrunePolicy::default() };
        let usage = Usage { bytes_on_disk: on_disk, blocks: extent.end - extent.body_floor, index_entries: 0 };
        match policy.budget_step(extent, usage) {
            None => {
                let bodies_left = extent.end - extent.body_floor > blocks_min.min(extent.end);
                prop_assert!(on_disk <= budget || !bodies_left && extent.index_floor == extent.body_floor);
            }
            Some(step) => {
                prop_assert!(on_disk > budget && step.is_sound() && step != extent);
                prop_assert!(step.end - step.body_floor >= blocks_min.min(extent.end - extent.body_floor));
                prop_assert_eq!(step.header_floor, extent.header_floor);
            }
        }
    }
}

#[test]
fn what_can_only_be_a_mistake_is_refused() {
    let refused = |policy: PrunePolicy| floors(&policy, Extent::whole(10), 0).unwrap_err();
    assert_eq!(
        refused(PrunePolicy::of_bodies(Keep::Last(0))),
        PolicyError::NothingKept("bodies")
    );
    assert_eq!(
        refused(PrunePolicy::of_bodies(Keep::From(10))),
        PolicyError::BeyondTip { from: 10, tip: 9 }
    );
    let nothing = PrunePolicy {
        blocks_min: 0,
        ..PrunePolicy::default()
    };
    assert_eq!(refused(nothing), PolicyError::NothingKept("blocks_min"));
    let headless = PrunePolicy {
        leaves: true,
        headers: Keep::Last(3),
        ..PrunePolicy::default()
    };
    assert_eq!(refused(headless), PolicyError::LeavesWithoutHeaders);
}

#[test]
fn index_and_headers_are_kept_at_least_as_long_as_bodies() {
    let policy = PrunePolicy {
        bodies: Keep::Last(5),
        index: Keep::Last(2),
        headers: Keep::Last(7),
        ..PrunePolicy::default()
    };
    let after = floors(&policy, Extent::whole(10), 0).unwrap();
    assert_eq!(
        (after.body_floor, after.index_floor, after.header_floor),
        (5, 5, 3)
    );
}

#[test]
fn the_toml_form_round_trips_and_refuses_what_it_does_not_know() {
    let policy = PrunePolicy {
        bodies: Keep::For(Duration::from_secs(90 * 86_400)),
        index: Keep::Last(7),
        headers: Keep::All,
        leaves: true,
        budget_bytes: Some(1 << 30),
        blocks_min: 12,
    };
    let text = toml::to_string(&policy).unwrap();
    assert_eq!(PrunePolicy::from_toml(&text).unwrap(), policy, "{text}");
    assert_eq!(PrunePolicy::from_toml("").unwrap(), PrunePolicy::default());
    let written = "bodies = { for = \"90days\" }\nindex = { from = 3 }\nheaders = \"all\"\n";
    assert_eq!(
        PrunePolicy::from_toml(written).unwrap().index,
        Keep::From(3)
    );
    for wrong in [
        "body = \"all\"",
        "bodies = \"some\"",
        "bodies = { last = 0 }",
        "bodies = { last = -1 }",
        "bodies = { last = 1, from = 2 }",
        "bodies = { for = \"soon\" }",
        "blocks_min = 0",
        "leaves = true\nheaders = { last = 1 }",
    ] {
        assert!(PrunePolicy::from_toml(wrong).is_err(), "{wrong}");
    }
}
