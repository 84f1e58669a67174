//! Making native chains of MPREG's.

use std::ops::ControlFlow;
use std::sync::Arc;

use hubledger::clock::FixedClock;
use hubledger::ledger::{Ledger, Outcome};
use hubledger::mpreg::{Source, convert, plan};
use hubledger_storage::StoreUrl;

use crate::support::{Chain, NOW};

/// Imports the chain into a store in memory, at the tests' present.
fn import(chain: &Chain) -> Ledger {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), chain.to_json()).expect("written");
    let source = Source::open(file.path()).expect("opens");
    let (report, spec) = plan(&source, &chain.id, NOW, None, &mut |_, _| {}).expect("readable");
    report.verdict.expect("valid by MPREG's rules");
    let spec = spec.expect("not empty").expect("within the formats");
    let now = FixedClock(u64::try_from(NOW.as_micros()).expect("in range"));
    let url: StoreUrl = "memory:".parse().expect("a store");
    let store = url.create().expect("a store");
    let mut ledger = Ledger::create(store, &spec, Arc::new(now)).expect("created");
    source
        .for_each_row(&chain.id, &mut |row| {
            let block = row.read(0).expect("was valid a moment ago");
            let native = convert(&spec, ledger.state(), &block).expect("within the formats");
            let outcome = ledger.submit(&native).expect("the store works");
            assert_eq!(outcome, Outcome::Staged, "block {}", block.height);
            ControlFlow::Continue(())
        })
        .expect("readable");
    ledger
}

#[test]
fn a_chain_ahead_of_this_machines_clock_is_as_valid_imported_as_it_was() {
    let mut chain = Chain::valid(4, 3, true);
    for (height, block) in (0u64..).zip(&mut chain.blocks) {
        block["timestamp"] = (NOW.as_secs() + 1_000_000_000 + height).into();
    }
    chain.relink(0);
    assert_eq!(import(&chain).state().height(), 4);
}

#[test]
fn a_chain_that_begins_with_the_epoch_and_moves_less_than_a_microsecond() {
    let mut chain = Chain::valid(4, 0, false);
    for (height, block) in (0u64..).zip(&mut chain.blocks) {
        block["timestamp"] = (height as f64 * 1e-7).into();
    }
    chain.relink(0);
    let ledger = import(&chain);
    assert_eq!(
        (ledger.state().height(), ledger.state().timestamp()),
        (4, 4)
    );
}
