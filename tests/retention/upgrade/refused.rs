//! What is no successor is refused, and so is a state that both chains don't have.

use hubledger::format::FormatVersion;
use hubledger::ledger::{Ledger, LedgerError, UpgradeError};
use hubledger::rules::Validator;
use hubledger::spec::{Predecessor, SpecFields, Terms};
use hubledger_storage::Error;

use super::{assert_holds, extend, succeeded, successor};
use crate::common::{Chain, account, clock};
use crate::places::{Place, chain};

/// A change to the fields of a specification, and what is said of it.
type Case<'a> = (&'a dyn Fn(&mut SpecFields), &'a str);

#[test]
fn what_is_no_successor_is_refused_and_changes_nothing() {
    let first = chain(6);
    let place = Place::new("memory").unwrap();
    let ledger = place.ledger(&first);
    let second = succeeded(&first);
    let with = |change: &dyn Fn(&mut SpecFields)| {
        let mut fields = (**second.spec()).clone();
        change(&mut fields);
        successor(&ledger, fields).unwrap_err().to_string()
    };
    let other = Chain::new(2, |fields| fields.name = "other".to_owned());
    let cases: [Case<'_>; 9] = [
        (
            &|fields| pinned(fields).height = 5,
            "goes on from block 5, but the chain has blocks up to 6",
        ),
        (
            &|fields| pinned(fields).height = 7,
            "goes on from block 7, the chain ends at block 6",
        ),
        (&|fields| pinned(fields).head.0[0] ^= 1, "predecessor.head"),
        (
            &|fields| pinned(fields).state_root.0[0] ^= 1,
            "predecessor.state_root",
        ),
        (
            &|fields| pinned(fields).specification = other.spec().clone(),
            "predecessor.specification",
        ),
        (&|fields| fields.genesis_time += 1, "genesis_time"),
        (
            &|fields| fields.accounts.extend([account("eve", 0)]),
            "accounts",
        ),
        (
            &|fields| fields.limits.clock_entries_max = 1,
            "limits.clock_entries_max",
        ),
        (
            &|fields| {
                fields.version = FormatVersion::V1;
                fields.terms = Terms::default();
            },
            "predecessor",
        ),
    ];
    for (change, expected) in cases {
        let refused = with(change);
        assert!(refused.contains(expected), "{refused}");
    }
    // As a whole specification it is refused too, whoever made it.
    let young = Chain::of(first.spec().clone());
    let refused = ledger.upgrade(succeeded(&young).spec());
    assert!(matches!(
        refused,
        Err(UpgradeError::Beyond { pinned: 0, tip: 6 })
    ));
    assert_holds(&place, &first);
}

fn pinned(fields: &mut SpecFields) -> &mut Predecessor {
    fields.predecessor.as_mut().unwrap()
}

#[test]
fn a_store_without_a_chain_or_with_a_writer_is_refused() {
    for place in Place::all() {
        let first = chain(2);
        let empty = Ledger::open(place.open(), clock(0));
        assert!(matches!(empty, Err(LedgerError::Uninitialised)), "{place}");
        let held = place.ledger(&first);
        let second = match place.name {
            "memory" => None,
            _ => Some(place.url.open().unwrap_err()),
        };
        let is_in_use = |error| matches!(error, Error::InUse { .. });
        assert!(second.is_none_or(is_in_use), "{place}");
        drop(held);
    }
}

#[test]
fn a_state_above_the_border_of_its_chain_counts_for_nothing() {
    // The earlier chain goes on by itself, and one of its later states lies in the store of the other.
    let first = chain(4);
    let second = succeeded(&first);
    let mut fork = first.clone();
    extend(&mut fork, 1);
    let state = fork.state().clone();
    let refused = Validator::resume(second.spec().clone(), state);
    assert!(refused.is_err());
    let shared = Validator::resume(second.spec().clone(), first.state().clone());
    assert_eq!(shared.unwrap().state(), second.state());
    let back = Validator::resume(first.spec().clone(), second.state().clone());
    assert!(
        back.is_err(),
        "nor does the earlier chain go on from the later one"
    );
}
