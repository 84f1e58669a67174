//! Making native chains of MPREG's.

use std::ops::ControlFlow;
use std::sync::Arc;

use hubledger::clock::FixedClock;
use hubledger::digest::sha256;
use hubledger::ledger::{Ledger, Outcome};
use hubledger::mpreg::{Block, Source, convert, plan};
use hubledger::rejection::Reason;
use hubledger::validate::State;
use hubledger_storage::StoreUrl;
use serde_json::json;

use crate::support::{Chain, NOW, spelled, verify};

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

#[test]
fn what_the_native_format_cannot_hold_is_found_before_anything_is_imported() {
    type Spoil<'a> = &'a dyn Fn(&mut Chain);
    let long = "x".repeat(1025);
    let far = spelled("1e10");
    let spoils: [(&str, Spoil<'_>); 7] = [
        ("sender", &|chain| {
            chain.transaction(2, 1)["sender"] = json!(long)
        }),
        ("receiver", &|chain| {
            chain.transaction(2, 1)["receiver"] = json!(long);
        }),
        ("transaction_id", &|chain| {
            chain.transaction(2, 1)["transaction_id"] = json!("i".repeat(8193));
        }),
        ("producer", &|chain| chain.blocks[2]["miner"] = json!(long)),
        ("block_id", &|chain| {
            chain.blocks[2]["block_id"] = json!("i".repeat(8193));
        }),
        ("vector_clock", &|chain| {
            chain.blocks[2]["vector_clock"]["hub_0"] = spelled("18446744073709551616");
            chain.blocks[3]["vector_clock"]["hub_0"] = spelled("18446744073709551617");
        }),
        ("timestamp", &|chain| {
            chain.blocks[2]["timestamp"] = far.clone();
            chain.blocks[3]["timestamp"] = spelled("1e11");
        }),
    ];
    for (field, spoil) in spoils {
        let mut chain = Chain::valid(4, 3, false);
        spoil(&mut chain);
        chain.relink(0);
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), chain.to_json()).expect("written");
        verify(file.path()).verdict.expect("valid by MPREG's rules");
        let source = Source::open(file.path()).expect("opens");
        let (report, spec) = plan(&source, &chain.id, NOW, None, &mut |_, _| {}).expect("read");
        let rejected = report.verdict.expect_err(field);
        assert_eq!((rejected.height, rejected.reason), (2, Reason::Limit));
        let expected = format!("can't be imported: {field}: ");
        assert!(rejected.detail.starts_with(&expected), "{rejected}");
        assert!(spec.is_none());
    }
}

#[test]
fn a_senders_nonce_at_its_end_is_an_error() {
    let chain = Chain::valid(2, 1, false);
    let ledger = import(&chain);
    let text = chain.blocks[1].to_string();
    let block = Block::from_json(text.as_bytes(), 1).expect("valid");
    let sender = &block.transactions()[0].sender;
    // The sender's account in the snapshot, with another nonce.
    let mut snapshot = ledger.state().encode();
    let place = snapshot
        .windows(sender.len())
        .position(|window| window == sender.as_bytes())
        .expect("the sender is known");
    let nonce = place + sender.len()..place + sender.len() + 8;
    snapshot[nonce].copy_from_slice(&u64::MAX.to_le_bytes());
    let summed = snapshot.len() - 32;
    let checksum = sha256(&[&snapshot[..summed]]);
    snapshot[summed..].copy_from_slice(&checksum);
    let state = State::decode(&snapshot).expect("a sound snapshot");
    let error = convert(ledger.spec(), &state, &block).expect_err("nothing comes after it");
    assert_eq!(error.field, "nonce");
}
