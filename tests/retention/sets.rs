//! The state in table sets, and other sets beside it: copied, saved, checked and repaired, in every backend.

use std::ops::ControlFlow;

use bytes::Bytes;
use hubledger::engine::verify_store;
use hubledger::format::FormatVersion;
use hubledger::ledger::policy::{Keep, PolicyError, PrunePolicy};
use hubledger::ledger::{
    ChainReader, CopyReport, Ledger, LedgerError, Phase, Staging, StateRepair, StoreReport,
    copy_chain, repair_state, salvage_chain,
};
use hubledger_storage::{
    Durability, KeyRange, Position, RangeLimit, Row, StoreUrl, TableChange, TableCommit,
    TableReader,
};

use crate::common::{self, Chain};
use crate::places::Place;
use crate::pruning::prune;

/// Rows of tables: table, key, value.
type TableRows = Vec<(u8, Bytes, Bytes)>;

/// Where the pages and the tip are.
const TABLES: [u8; 2] = [0, 1];
const ALL: RangeLimit = RangeLimit {
    rows: usize::MAX,
    bytes: usize::MAX,
};

/// A chain of version 2 with so many names that their rows are in many pages.
fn named(blocks: u64) -> Chain {
    let mut chain = Chain::in_version(FormatVersion::V2, 1, |fields| {
        fields.terms.root_interval = 3;
    });
    for number in 0..blocks {
        let senders = 5 * number..5 * number + 5;
        let messages = senders.map(|sender| chain.message(&format!("name-{sender}"), 1));
        let messages: Vec<_> = messages.collect();
        chain.extend(&messages);
    }
    chain
}

/// A place with the chain, and the state at its end in tables.
fn closed(place: &Place, chain: &Chain) {
    place.ledger(chain).close().unwrap();
}

fn rows(tables: &dyn TableReader, set: &str, table: u8) -> Vec<Row> {
    let view = tables.view(set).unwrap();
    view.range(table, &KeyRange::default(), ALL).unwrap()
}

fn position(tables: &dyn TableReader, set: &str) -> Option<Position> {
    tables.view(set).unwrap().position()
}

fn put((table, key, value): (u8, Bytes, Bytes)) -> TableChange {
    TableChange {
        table,
        key,
        value: Some(value),
    }
}

/// Puts rows in place of a set, with a position or, if it is to be one that is being loaded, without.
fn replace(place: &Place, set: &str, at: Option<Position>, rows: Vec<(u8, Bytes, Bytes)>) {
    let mut store = place.open();
    store.tables.remove(set).unwrap();
    let commit = TableCommit {
        position: at,
        undo_floor: at.map_or(0, |at| at.height),
        changes: rows.into_iter().map(put).collect(),
    };
    store.tables.commit(set, &commit, Durability::Disk).unwrap();
}

/// All rows of the state in tables, changed.
fn tamper(place: &Place, change: impl FnOnce(&mut Vec<(u8, Bytes, Bytes)>)) {
    let tables = place.open().reader.tables();
    let mut all = Vec::new();
    for table in TABLES {
        let found = rows(&*tables, "state", table);
        all.extend(found.into_iter().map(|(key, value)| (table, key, value)));
    }
    let at = position(&*tables, "state");
    assert!(at.is_some());
    drop(tables);
    change(&mut all);
    replace(place, "state", at, all);
}

fn flipped(bytes: &Bytes, at: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes.into()
}

/// The last page, which has rows, with another last byte: of the value of a row.
fn flip_a_page(all: &mut [(u8, Bytes, Bytes)]) {
    let page = all.iter_mut().rfind(|row| row.0 == TABLES[0]).unwrap();
    page.2 = flipped(&page.2, page.2.len() - 1);
}

fn flip_the_tip(all: &mut [(u8, Bytes, Bytes)]) {
    let tip = all.iter_mut().find(|row| row.0 == TABLES[1]).unwrap();
    tip.2 = flipped(&tip.2, 50);
}

fn copy(source: &Place, target: &Place) -> Result<CopyReport, LedgerError> {
    let source = ChainReader::open(source.open().reader)?;
    copy_chain(&source, target.open(), &mut |_| ControlFlow::Continue(()))
}

fn salvage(source: &Place, target: &Place) -> Result<CopyReport, LedgerError> {
    let source = source.open().reader;
    salvage_chain(source, true, target.open(), &mut |_| {
        ControlFlow::Continue(())
    })
}

fn verify(place: &Place, chain: &Chain) -> Result<StoreReport, LedgerError> {
    verify_store(place.open().reader, chain.now(), &mut |_| {
        ControlFlow::Continue(())
    })
}

fn assert_same_sets(source: &Place, target: &Place) {
    let (source, copy) = (source.open().reader.tables(), target.open().reader.tables());
    let names = source.sets().unwrap();
    assert_eq!(copy.sets().unwrap(), names, "{target}");
    for name in names {
        assert_eq!(position(&*copy, &name), position(&*source, &name));
        for table in [0, 1, 7, 255] {
            assert_eq!(rows(&*copy, &name, table), rows(&*source, &name, table));
        }
    }
}

#[test]
fn a_copy_has_the_state_in_tables_wherever_it_is_copied_to() {
    let whole = named(40);
    for source in Place::all() {
        closed(&source, &whole);
        for target in Place::all() {
            let report = copy(&source, &target).unwrap();
            // 200 names are in more pages than one.
            assert!(report.rows > 10, "{source} to {target}: {report:?}");
            assert_eq!((report.compared.rows, report.values), (report.rows, 1));
            assert_same_sets(&source, &target);
            assert_eq!(target.again(&whole).state(), whole.state());
            assert_eq!(verify(&target, &whole).unwrap().rejected, None);
        }
    }
}

#[test]
fn a_copy_of_a_pruned_chain_opens_with_the_state_in_its_tables_and_goes_on() {
    let (whole, longer) = (named(30), named(34));
    for source in Place::all() {
        let mut ledger = source.ledger(&whole);
        prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(4)));
        drop(ledger);
        for target in Place::all() {
            copy(&source, &target).unwrap();
            assert_same_sets(&source, &target);
            let mut again = target.again(&whole);
            assert_eq!(again.state(), whole.state(), "{source} to {target}");
            for block in &longer.blocks[31..] {
                assert_eq!(again.submit(block).unwrap(), Staging::Staged);
            }
            assert_eq!(again.state(), longer.state());
        }
    }
}

#[test]
fn a_copy_that_was_interrupted_among_tables_begins_them_anew() {
    let whole = named(30);
    for source in Place::all() {
        let mut ledger = source.ledger(&whole);
        prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(4)));
        drop(ledger);
        for target in Place::all() {
            let reader = ChainReader::open(source.open().reader).unwrap();
            let stopped = copy_chain(&reader, target.open(), &mut |step| match step.phase {
                Phase::Tables => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            });
            assert!(matches!(stopped, Err(LedgerError::Stopped)), "{stopped:?}");
            // What is there of the set is nobody's state.
            assert_eq!(position(&*target.open().reader.tables(), "state"), None);
            drop(reader);
            copy(&source, &target).unwrap();
            assert_same_sets(&source, &target);
            assert_eq!(target.again(&whole).state(), whole.state());
        }
    }
}

#[test]
fn a_set_that_opening_ignores_is_not_copied() {
    let whole = named(12);
    let head = whole.state().head();
    let of = |height, id| Some(Position { height, id });
    let not_held = [of(12, [7; 32]), of(13, head.0), None];
    for place in Place::all() {
        for number in 0..5 {
            let source = Place::new(place.name).unwrap();
            closed(&source, &whole);
            match number {
                0 => tamper(&source, |all| flip_a_page(all)),
                1 => tamper(&source, |all| flip_the_tip(all)),
                other => replace(&source, "state", not_held[other - 2], Vec::new()),
            }
            let target = Place::new(place.name).unwrap();
            let report = copy(&source, &target).unwrap();
            assert_eq!(report.rows, 0, "{place}, {number}");
            assert!(target.open().reader.tables().sets().unwrap().is_empty());
            assert_eq!(target.again(&whole).state(), whole.state());
        }
    }
}

#[test]
fn where_bodies_are_pruned_a_damaged_state_is_not_copied_but_told() {
    let whole = named(20);
    for source in Place::all() {
        let mut ledger = source.ledger(&whole);
        prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(4)));
        drop(ledger);
        tamper(&source, |all| flip_a_page(all));
        let target = Place::new("memory").unwrap();
        let Err(LedgerError::Unreadable(losses)) = copy(&source, &target) else {
            panic!("{source}: a state that isn't sound was copied");
        };
        assert_eq!(
            (&losses.sets[..], losses.values.len()),
            (&["state".to_owned()][..], 0)
        );
        let refused = salvage(&source, &Place::new("memory").unwrap());
        assert!(
            matches!(refused, Err(LedgerError::NoState { floor: 17 })),
            "{refused:?}"
        );
    }
}

#[test]
fn other_sets_of_the_chain_are_copied_and_those_of_no_block_are_not() {
    let whole = named(12);
    let held = Position {
        height: 5,
        id: whole.blocks[5].hash().0,
    };
    let other = Position {
        height: 5,
        id: [5; 32],
    };
    let entry = |table, key: &'static str, value: &'static str| (table, key.into(), value.into());
    let entries = vec![
        entry(0, "", "of the empty key"),
        entry(0, "a", ""),
        entry(7, "a", "b"),
        entry(255, "last", "row"),
    ];
    for source in Place::all() {
        closed(&source, &whole);
        replace(&source, "view/ours", Some(held), entries.clone());
        let target = Place::new(source.name).unwrap();
        let report = copy(&source, &target).unwrap();
        assert!(report.rows > 4, "{source}");
        assert_same_sets(&source, &target);
        replace(&source, "view/theirs", Some(other), entries.clone());
        replace(&source, "view/unfinished", None, entries.clone());
        let target = Place::new(source.name).unwrap();
        assert_eq!(copy(&source, &target).unwrap().rows, report.rows);
        let copied = target.open().reader.tables().sets().unwrap();
        assert_eq!(copied, ["state", "view/ours"], "{source}");
    }
}

#[test]
fn a_store_with_tables_and_no_chain_is_not_written_over() {
    let source = Place::new("memory").unwrap();
    closed(&source, &named(3));
    for target in Place::all() {
        let at = Some(Position {
            height: 1,
            id: [1; 32],
        });
        replace(&target, "view/foreign", at, Vec::new());
        let refused = copy(&source, &target);
        assert!(
            matches!(refused, Err(LedgerError::TargetInUse)),
            "{refused:?}"
        );
        assert_eq!(
            position(&*target.open().reader.tables(), "view/foreign"),
            at
        );
    }
}

#[test]
fn a_backup_takes_the_state_of_one_moment_while_the_ledger_goes_on() {
    let (short, whole) = (named(20), named(60));
    for place in Place::all() {
        let mut ledger = place.ledger(&short);
        let source = ledger.reader();
        let target = Place::new(place.name).unwrap();
        let mut next = 21;
        let report = copy_chain(&source, target.open(), &mut |_| {
            for block in whole.blocks.iter().skip(next).take(5) {
                assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
                next += 1;
            }
            // Has the state written, too, and takes the bodies before it.
            prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(2)));
            ControlFlow::Continue(())
        });
        let report = report.unwrap();
        assert!(report.rows > 0 && next > 26, "{place}: {report:?}");
        let mut again = target.again(&whole);
        for block in &whole.blocks[report.extent.end as usize..] {
            assert_eq!(again.submit(block).unwrap(), Staging::Staged, "{place}");
        }
        assert_eq!(again.state(), whole.state(), "{place}");
    }
}

#[test]
fn a_salvage_takes_a_sound_state_and_leaves_any_other() {
    let whole = named(20);
    for source in Place::all() {
        closed(&source, &whole);
        let target = Place::new(source.name).unwrap();
        let report = salvage(&source, &target).unwrap();
        assert!(report.rows > 0 && report.losses.is_empty(), "{source}");
        assert_same_sets(&source, &target);
        tamper(&source, |all| flip_a_page(all));
        let target = Place::new(source.name).unwrap();
        let report = salvage(&source, &target).unwrap();
        assert_eq!(
            (report.rows, &report.losses.sets[..]),
            (0, &["state".to_owned()][..])
        );
        assert!(
            report.losses.reasons[0].contains("of the state: row"),
            "{:?}",
            report.losses.reasons
        );
        assert_eq!(target.again(&whole).state(), whole.state(), "{source}");
    }
}

#[test]
fn a_salvage_does_not_believe_a_state_that_a_header_contradicts() {
    let whole = named(12);
    let mut other = Chain::of(whole.spec().clone());
    for block in &whole.blocks[1..12] {
        other.push(block.clone());
    }
    let message = other.message("somebody else", 1);
    other.extend(&[message]);
    let source = Place::new("memory").unwrap();
    closed(&source, &whole);
    let foreign = Place::new("memory").unwrap();
    closed(&foreign, &other);
    let tables = foreign.open().reader.tables();
    let at = position(&*tables, "state");
    let mut all = Vec::new();
    for table in TABLES {
        let found = rows(&*tables, "state", table);
        all.extend(found.into_iter().map(|(key, value)| (table, key, value)));
    }
    replace(&source, "state", at, all);
    let target = Place::new("memory").unwrap();
    assert_eq!(salvage(&source, &target).unwrap().rows, 0);
    assert_eq!(target.again(&whole).state(), whole.state());
    // Of the right block, with another root than its header names.
    let source = Place::new("memory").unwrap();
    closed(&source, &whole);
    let forged = forged_state(&source);
    replace(&source, "state", forged.0, forged.1);
    let target = Place::new("memory").unwrap();
    assert_eq!(salvage(&source, &target).unwrap().rows, 0);
    assert_eq!(target.again(&whole).state(), whole.state());
}

#[test]
fn verification_names_what_is_wrong_with_the_state_in_tables() {
    let whole = named(30);
    for place in Place::all() {
        closed(&place, &whole);
        let report = verify(&place, &whole).unwrap();
        assert_eq!((report.rejected, report.blocks), (None, 31), "{place}");
        let told = |change: &dyn Fn(&mut TableRows)| {
            let fresh = Place::new(place.name).unwrap();
            closed(&fresh, &whole);
            tamper(&fresh, |all| change(all));
            match verify(&fresh, &whole) {
                Err(LedgerError::Unreadable(losses)) => {
                    assert_eq!(losses.sets, ["state"]);
                    losses.reasons.join("; ")
                }
                other => panic!("{place}: {other:?}"),
            }
        };
        let reason = told(&|all| flip_a_page(all));
        assert!(
            reason.contains("has another hash than the page says"),
            "{reason}"
        );
        let reason = told(&|all| flip_the_tip(all));
        assert!(reason.contains("state in tables at height 30"), "{reason}");
        // The top page is that of the shortest key; one below it is missing.
        let reason = told(&|all| drop(all.remove(1)));
        assert!(reason.contains("is missing"), "{reason}");
        // One page in the place of another, each sound by itself.
        let reason = told(&|all| {
            let value = all[1].2.clone();
            all[2].2 = value;
        });
        assert!(
            reason.contains("is not where it belongs") || reason.contains("has another hash"),
            "{reason}"
        );
    }
}

#[test]
fn verification_says_where_a_state_differs_from_what_the_blocks_give() {
    let whole = named(10);
    // The same head with other accounts: as if a bug or a forger had written the state.
    let place = Place::new("memory").unwrap();
    closed(&place, &whole);
    let forged = forged_state(&place);
    replace(&place, "state", forged.0, forged.1);
    let error = verify(&place, &whole).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("is not what the blocks give: row") && error.is_corrupt(),
        "{text}"
    );
}

/// The state in a place's tables with a row less, hashed anew by hand, so that it is sound by itself: the only page of three names.
fn forged_state(place: &Place) -> (Option<Position>, Vec<(u8, Bytes, Bytes)>) {
    use hubledger::format::sparse::{leaf_hash, place as place_of, root, value_hash};
    let tables = place.open().reader.tables();
    let mut tip = rows(&*tables, "state", 1).remove(0).1.to_vec();
    let mut names: Vec<_> = (0..3_u8)
        .map(|number| {
            let key = format!("name-{number}");
            let value = [&[9; 8][..], &[0; 9]].concat();
            (place_of(1, key.as_bytes()), key, value)
        })
        .collect();
    names.sort();
    let hashed: Vec<_> = names
        .iter()
        .map(|(place, _, value)| (*place, value_hash(value)))
        .collect();
    let mut page = vec![0, 3, 0];
    hashed.iter().for_each(|(place, _)| page.extend(place.0));
    for (place, value) in &hashed {
        page.extend(leaf_hash(place, value).0);
    }
    let mut end = 0_u32;
    for (_, key, value) in &names {
        end += (3 + key.len() + value.len()) as u32;
        page.extend(end.to_le_bytes());
    }
    for (_, key, value) in &names {
        page.push(1);
        page.extend((key.len() as u16).to_le_bytes());
        page.extend(key.as_bytes());
        page.extend(value);
    }
    // The count and the root are before the source, which is empty, and the checksum.
    let at = tip.len() - 32 - 4 - 32 - 8;
    tip[at..at + 8].copy_from_slice(&3_u64.to_le_bytes());
    tip[at + 8..at + 40].copy_from_slice(&root(&hashed).0);
    let end = tip.len() - 32;
    let checksum = hubledger::digest::sha256(&[&tip[..end]]);
    tip[end..].copy_from_slice(&checksum);
    let all = vec![
        (0, Bytes::from_static(&[0]), page.into()),
        (1, Bytes::new(), tip.into()),
    ];
    (position(&*tables, "state"), all)
}

#[test]
fn verification_of_a_pruned_chain_begins_with_the_state_in_tables() {
    let (short, whole) = (named(21), named(30));
    for place in Place::all() {
        let mut ledger = place.ledger(&short);
        prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(5)));
        for block in &whole.blocks[22..] {
            assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
        }
        drop(ledger);
        let report = verify(&place, &whole).unwrap();
        assert_eq!(report.rejected, None, "{place}");
        assert_eq!((report.bodies_from, report.rules_from), (17, 22));
        // The header of block 21 names the root over the state.
        let forged = forged_state(&place);
        replace(&place, "state", forged.0, forged.1);
        let error = verify(&place, &whole).unwrap_err();
        assert!(
            error.to_string().contains("is not what the headers give"),
            "{error}"
        );
    }
}

#[test]
fn opening_writes_a_sound_state_in_place_of_a_damaged_one_of_the_same_block() {
    let whole = named(20);
    for place in Place::all() {
        closed(&place, &whole);
        tamper(&place, |all| flip_the_tip(all));
        let mut ledger = place.again(&whole);
        assert_eq!(ledger.state(), whole.state(), "{place}");
        // Bodies go only once a sound state stands in for them.
        prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(4)));
        drop(ledger);
        let reader = ChainReader::open(place.open().reader).unwrap();
        assert_eq!(reader.state_damage().unwrap(), None, "{place}");
        drop(reader);
        assert_eq!(place.again(&whole).state(), whole.state());
    }
}

#[test]
fn a_repair_removes_a_damaged_state_that_blocks_lead_to_and_leaves_any_other() {
    let whole = named(20);
    for place in Place::all() {
        closed(&place, &whole);
        assert_eq!(repair_state(place.open()).unwrap(), StateRepair::Sound);
        tamper(&place, |all| flip_a_page(all));
        let repaired = repair_state(place.open()).unwrap();
        assert!(matches!(repaired, StateRepair::Removed { .. }), "{place}");
        assert!(place.open().reader.tables().sets().unwrap().is_empty());
        let mut ledger = place.again(&whole);
        assert_eq!(ledger.state(), whole.state());
        prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(4)));
        drop(ledger);
        tamper(&place, |all| flip_a_page(all));
        let before = rows(&*place.open().reader.tables(), "state", 0);
        match repair_state(place.open()).unwrap() {
            StateRepair::Left { problem, reason } => {
                assert!(problem.contains("page"), "{problem}");
                assert!(reason.contains("bodies were pruned"), "{reason}");
            }
            other => panic!("{place}: {other:?}"),
        }
        assert_eq!(rows(&*place.open().reader.tables(), "state", 0), before);
    }
}

#[test]
fn a_budget_below_what_the_state_in_tables_takes_is_refused() {
    let accounts = 5_000;
    let mut whole = Chain::in_version(FormatVersion::V2, 1, |fields| {
        // One key for all: names are many enough.
        let (_, account) = common::account("name-1", 1);
        let named = (0..accounts).map(|number| (format!("name-{number}"), account));
        fields.accounts = named.collect();
        fields.rules.balances = true;
    });
    let message = whole.message("name-1", 1);
    whole.extend(&[message]);
    for place in Place::all() {
        if place.url == StoreUrl::Memory {
            continue;
        }
        closed(&place, &whole);
        let mut ledger = place.again(&whole);
        // Two hashes of each name stay, whatever else goes.
        let policy = PrunePolicy {
            budget_bytes: Some(64 * accounts - 1),
            ..PrunePolicy::default()
        };
        let refused = ledger.prune(&policy, None, &mut |_| ControlFlow::Continue(()));
        assert!(
            matches!(
                refused,
                Err(LedgerError::Policy(PolicyError::BudgetTooSmall { .. }))
            ),
            "{place}: {refused:?}"
        );
    }
}

#[test]
fn a_pruned_chain_that_is_opened_and_closed_again_and_again_keeps_its_state() {
    let whole = named(40);
    for place in Place::all() {
        let short = named(10);
        let mut ledger = place.ledger(&short);
        for (number, block) in whole.blocks.iter().enumerate().skip(11) {
            assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
            if number % 6 == 0 {
                prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(2)));
                ledger.close().unwrap();
                ledger = Ledger::open(place.open(), common::clock(whole.now())).unwrap();
            }
        }
        assert_eq!(ledger.state(), whole.state(), "{place}");
        drop(ledger);
        let reader = ChainReader::open(place.open().reader).unwrap();
        assert_eq!(reader.state_damage().unwrap(), None, "{place}");
    }
}
