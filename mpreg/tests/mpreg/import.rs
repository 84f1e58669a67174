//! Making native chains of MPREG's.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::Arc;

use hubledger::clock::FixedClock;
use hubledger::digest::sha256;
use hubledger::format::FormatVersion;
use hubledger::ledger::{Ledger, Staging};
use hubledger::model::{
    self, Draft, Header, HeaderFields, OriginalHeader, Scheme, Seal, Transaction, Witness,
};
use hubledger::original::Original;
use hubledger::rejection::{Reason, Rejected};
use hubledger::rules::{Depth, Validator};
use hubledger::signature::KeyPair;
use hubledger::spec::{ChainSpec, SpecFields};
use hubledger::state::State;
use hubledger_mpreg::{Block, Converter, Source, convert, plan};
use hubledger_storage::StoreUrl;
use serde_json::json;

use crate::support::{Chain, NOW, key, sign, spelled, verify};

/// Imports the chain into a store in memory, at the tests' present.
fn import(chain: &Chain) -> Ledger {
    import_before(chain, None)
}

/// The same, as the record of a chain that goes on as `after` says.
fn import_before(chain: &Chain, after: Option<&ChainSpec>) -> Ledger {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), chain.to_json()).expect("written");
    let source = Source::open(file.path()).expect("opens");
    let (report, spec) = plan(
        &source,
        &chain.id,
        NOW,
        NonZero::<usize>::MIN,
        after,
        &mut |_, _| ControlFlow::Continue(()),
    )
    .expect("readable");
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
            assert_eq!(outcome, Staging::Staged, "block {}", block.height);
            ControlFlow::Continue(())
        })
        .expect("readable");
    ledger
}

/// What the import of a chain makes of its specification, in version 2 of the format.
fn in_version_2(chain: &Chain) -> ChainSpec {
    let fields = SpecFields {
        version: FormatVersion::V2,
        ..(**import(chain).spec()).clone()
    };
    ChainSpec::new(fields).expect("as sound as in version 1")
}

#[test]
fn a_record_in_a_chain_of_version_2_has_its_sums() {
    let chain = Chain::valid(9, 3, true);
    let ledger = import_before(&chain, Some(&in_version_2(&chain)));
    let head = ledger
        .reader()
        .block(9)
        .expect("readable")
        .expect("imported");
    let header = head.header();
    assert_eq!(header.version, FormatVersion::V2);
    assert_eq!(header.weight, 9);
    assert_eq!(header.transactions, ledger.state().transaction_count());
    assert_eq!(header.members_root, ledger.spec().members_root());
}

#[test]
fn a_converter_gives_what_the_state_before_each_block_gives_wherever_it_begins() {
    for (signed, transactions, is_of_version_2) in [
        (true, 3, false),
        (false, 0, false),
        (false, 7, false),
        (true, 3, true),
    ] {
        let chain = Chain::valid(9, transactions, signed);
        let after = is_of_version_2.then(|| in_version_2(&chain));
        let ledger = import_before(&chain, after.as_ref());
        let reader = ledger.reader();
        let mut validator = Validator::new(ledger.spec().clone());
        for start in 0..9_u64 {
            let state = validator.state().clone();
            let mut converter = Converter::new(ledger.spec().clone(), state);
            for height in start..9 {
                let text = chain.blocks[height as usize].to_string();
                let block = Block::from_json(text.as_bytes(), height).expect("valid");
                let native = converter.convert(&block).expect("within the formats");
                let held = reader.block(height + 1).expect("readable");
                assert_eq!(Some(&native), held.as_ref(), "{height} from {start}");
            }
            let next = reader.block(start + 1).expect("readable");
            let valid = validator.check(&next.expect("imported"), Depth::Replay);
            validator.apply(&valid.expect("valid"));
        }
    }
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
        let (report, spec) = plan(
            &source,
            &chain.id,
            NOW,
            NonZero::<usize>::MIN,
            None,
            &mut |_, _| ControlFlow::Continue(()),
        )
        .expect("read");
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
    let mut converter = Converter::new(ledger.spec().clone(), state);
    let error = converter
        .convert(&block)
        .expect_err("nothing comes after it");
    assert_eq!(error.field, "nonce");
}

/// What an attacker may change in a block of the record: clock, producer and difficulty in the header, the seal, the
/// transactions.
type Rewrite<'a> = &'a dyn Fn(&mut HeaderFields, &mut OriginalHeader, &mut Vec<Transaction>);

/// Builds the record anew with another block at `height`, as somebody can who only has the record, and checks it.
fn rewritten(ledger: &Ledger, height: u64, rewrite: Rewrite<'_>) -> Result<(), Rejected> {
    let mut validator = Validator::new(ledger.spec().clone());
    for at in 1..=ledger.state().height() {
        let held = ledger.reader().block(at).expect("readable");
        let held = held.expect("imported");
        let mut fields = (**held.header()).clone();
        let Seal::Original(mut original) = held.seal().clone() else {
            panic!("another seal")
        };
        let mut transactions = held.transactions().to_vec();
        if at == height {
            rewrite(&mut fields, &mut original, &mut transactions);
        }
        let leaves: Vec<_> = transactions.iter().map(Transaction::leaf_hash).collect();
        let sizes = transactions.iter().map(|one| one.bytes().len() as u32);
        let header = Header::new(HeaderFields {
            previous_hash: validator.state().head(),
            history_root: validator.state().history_root(),
            merkle_root: hubledger::merkle::root(&leaves),
            transaction_count: transactions.len() as u32,
            body_size: sizes.sum(),
            ..fields
        });
        let seal = Seal::Original(original);
        let block = model::Block::assemble(header.expect("in limits"), seal, &transactions);
        let depth = Depth::Full { now_us: u64::MAX };
        let valid = validator.check(&block.expect("one block"), depth)?;
        validator.apply(&valid);
    }
    Ok(())
}

/// The draft that an imported transaction was made of.
fn draft(of: &Transaction) -> Draft {
    Draft {
        kind: of.kind(),
        chain: of.chain(),
        sender: of.sender().to_owned(),
        receiver: of.receiver().to_owned(),
        operation: of.operation(),
        amount: of.amount(),
        payload: of.payload().to_vec(),
        timestamp: of.timestamp(),
        expiry: of.expiry(),
        fee: of.fee(),
        nonce: of.nonce(),
    }
}

/// The same original, signed with a key of the attacker's.
fn signed_again(of: &Transaction) -> Transaction {
    let original = Original::decode(of.payload()).expect("imported");
    let mut message = Vec::new();
    original.put_signing_bytes(of, &mut message);
    let key = KeyPair::from_seed(&[9; 32]);
    let witness = Witness {
        scheme: Scheme::Mpreg,
        key: key.public_key(),
        signature: key.sign(&message),
    };
    draft(of)
        .with_witnesses(vec![witness])
        .expect("one witness")
}

#[test]
fn a_record_rewritten_where_mpregs_hashes_do_not_look() {
    let mut chain = Chain::valid(4, 3, true);
    let ambiguous = chain.transaction(3, 2);
    ambiguous["receiver"] = json!("r:sender=s");
    ambiguous["sender"] = json!("t");
    sign(ambiguous, &key(1));
    chain.relink(0);
    let ledger = import(&chain);
    rewritten(&ledger, 1, &|_, _, _| {}).expect("nothing was changed");
    let rewrites: [(&str, u64, Rewrite<'_>); 8] = [
        ("producer", 2, &|fields, _, _| {
            fields.producer = "somebody".to_owned();
        }),
        ("difficulty", 3, &|fields, _, _| fields.difficulty = 1000),
        ("vector clock", 4, &|fields, _, _| {
            let clock = &fields.vector_clock;
            fields.vector_clock = clock.increment("somebody").expect("room");
        }),
        ("block id", 2, &|_, original, _| {
            original.block_id = "another".to_owned();
        }),
        ("witness dropped", 3, &|_, _, transactions| {
            transactions[1] = draft(&transactions[1])
                .with_witnesses(vec![])
                .expect("none");
        }),
        ("witness replaced", 3, &|_, _, transactions| {
            transactions[1] = signed_again(&transactions[1]);
        }),
        ("delimiter ambiguity", 4, &|_, _, transactions| {
            let mut other = draft(&transactions[2]);
            other.receiver = "r".to_owned();
            other.sender = "s:sender=t".to_owned();
            let witnesses = transactions[2].witnesses().collect();
            transactions[2] = other.with_witnesses(witnesses).expect("the same witness");
        }),
        ("original hash", 2, &|_, original, _| {
            original.nonce = "7".to_owned();
        }),
    ];
    for (what, height, rewrite) in rewrites {
        let rejected = rewritten(&ledger, height, rewrite).expect_err(what);
        assert_eq!(
            (rejected.height, rejected.reason),
            (4, Reason::Seal),
            "{what}"
        );
    }
}
