//! Golden bytes: every format assembled by hand from `FORMAT.md`, compared with what the library writes, and pinned by
//! its hash. A change that breaks one of these breaks every chain there is.

use std::collections::BTreeMap;

use hubledger::digest::sha256;
use hubledger::format::FormatVersion;
use hubledger::generate::{Generator, Recipe};
use hubledger::model::{Block, Draft, Kind, Operation, Seal, Transaction, VectorClock};
use hubledger::rules::produce::produce;
use hubledger::rules::{Depth, Validator};
use hubledger::signature::KeyPair;
use hubledger::spec::{
    Authority, ChainSpec, Consensus, Identity, InitialAccount, Limits, ProofOfAuthority, Rules,
    SpecFields, Terms,
};
use hubledger::state::State;

/// `bytes` of the notation: a length and the bytes.
pub(crate) fn b(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes()[..], bytes].concat()
}

pub(crate) fn u32(number: u32) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

pub(crate) fn u64(number: u64) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

pub(crate) fn hash(parts: &[&[u8]]) -> String {
    hex::encode(sha256(parts))
}

pub(crate) fn key(number: u8) -> KeyPair {
    KeyPair::from_seed(&[number; 32])
}

pub(crate) fn spec() -> ChainSpec {
    let authority = |name: &str, number| Authority {
        name: name.to_owned(),
        key: key(number).public_key(),
        weight: 1,
    };
    ChainSpec::new(SpecFields {
        version: FormatVersion::V1,
        name: "golden".to_owned(),
        genesis_time: 1_700_000_000_000_000,
        consensus: Consensus::ProofOfAuthority(ProofOfAuthority {
            authorities: vec![authority("zeta", 1), authority("alpha", 2)],
            round_robin: true,
        }),
        limits: Limits {
            transactions_max: 1,
            body_bytes_max: 2000,
            payload_bytes_max: 3,
            name_bytes_max: 64,
            clock_entries_max: 5,
            witnesses_max: 6,
        },
        rules: Rules {
            identity: Identity::Key,
            witnesses_min: 1,
            balances: true,
            fee_min: 7,
            clock_drift_max_us: 8,
            clock_advance_max: 9,
        },
        terms: Terms::default(),
        accounts: BTreeMap::from([
            (
                "b".to_owned(),
                InitialAccount {
                    key: Some(key(3).public_key()),
                    balance: 10,
                },
            ),
            (
                "a".to_owned(),
                InitialAccount {
                    key: None,
                    balance: 11,
                },
            ),
        ]),
        import: None,
        predecessor: None,
    })
    .unwrap()
}

#[test]
fn a_chain_specification() {
    let parts: Vec<Vec<u8>> = vec![
        vec![1],
        b(b"golden"),
        u64(1_700_000_000_000_000),
        vec![1, 1],
        u32(2),
        b(b"zeta"),
        key(1).public_key().as_bytes().to_vec(),
        b(b"alpha"),
        key(2).public_key().as_bytes().to_vec(),
        [u32(1), u32(2000), u32(3), u32(64), u32(5), vec![6]].concat(),
        [vec![2, 1, 1], u64(7), u64(8), u64(9)].concat(),
        u32(2),
        [b(b"a"), vec![0], u64(11)].concat(),
        [
            b(b"b"),
            vec![1],
            key(3).public_key().as_bytes().to_vec(),
            u64(10),
        ]
        .concat(),
        vec![0],
    ];
    let spec = spec();
    assert_eq!(hex::encode(spec.bytes()), hex::encode(parts.concat()));
    assert_eq!(
        spec.id().to_string(),
        hash(&[b"hubledger/chain/v1", spec.bytes()])
    );
    assert_eq!(
        ChainSpec::decode(spec.bytes()).unwrap().bytes(),
        spec.bytes()
    );
    assert_eq!(ChainSpec::from_toml(&spec.to_toml()).unwrap(), spec);
    assert_eq!(
        spec.id().to_string(),
        "151f3ba1bafc0407828aab6c9ea77461d59a6be3acf2b228647ec8473c0764cf"
    );
}

#[test]
fn a_chain_specification_with_a_record() {
    let import = hubledger::spec::Import {
        chain: "old".to_owned(),
        blocks: 3,
        head: hubledger::digest::Digest([9; 32]),
        record: hubledger::digest::Digest([8; 32]),
    };
    let with = ChainSpec::new(SpecFields {
        import: Some(import),
        ..(*spec()).clone()
    })
    .unwrap();
    let tail = [vec![1], b(b"old"), u64(3), vec![9; 32], vec![8; 32]].concat();
    assert!(with.bytes().ends_with(&tail));
    assert_eq!(ChainSpec::decode(with.bytes()).unwrap(), with);
    assert_eq!(ChainSpec::from_toml(&with.to_toml()).unwrap(), with);
}

pub(crate) fn draft(operation: Operation) -> Draft {
    Draft {
        kind: Kind::Native,
        chain: spec().id(),
        sender: "alice".to_owned(),
        receiver: "böb".to_owned(),
        operation,
        amount: if operation == Operation::Transfer {
            12
        } else {
            0
        },
        payload: vec![1, 2, 3],
        timestamp: 13,
        expiry: 14,
        fee: 15,
        nonce: 16,
    }
}

fn body(tag: u8, amount: &[u8]) -> Vec<u8> {
    [
        vec![1],
        spec().id().0.to_vec(),
        b(b"alice"),
        b("böb".as_bytes()),
        vec![tag],
        amount.to_vec(),
        b(&[1, 2, 3]),
        u64(13),
        u64(14),
        u64(15),
        u64(16),
    ]
    .concat()
}

#[test]
fn transactions_with_their_ids_witnesses_and_leaves() {
    for (tag, &operation) in (0u8..).zip(Operation::ALL) {
        let amount = if tag == 0 { u64(12) } else { Vec::new() };
        let body = body(tag, &amount);
        let (one, two) = (key(4), key(5));
        let transaction = draft(operation).sign(&[&one, &two]).unwrap();
        let id = sha256(&[b"hubledger/tx/v1", &body]);
        let message = [&b"hl/tx/1"[..], &id].concat();
        let mut entries: Vec<Vec<u8>> = [&one, &two]
            .map(|key| {
                let signature = key.sign(&message);
                [&[1][..], key.public_key().as_bytes(), signature.as_bytes()].concat()
            })
            .to_vec();
        entries.sort();
        let witness = [vec![2], entries.concat()].concat();
        assert_eq!(transaction.id().0, id);
        assert_eq!(transaction.signed_message()[..], message);
        assert_eq!(transaction.witness_bytes(), witness);
        assert_eq!(
            transaction.bytes()[..],
            [b(&body), witness.clone()].concat()
        );
        assert_eq!(transaction.leaf_hash().0, sha256(&[&[0], &id, &witness]));
    }
    let unsigned = draft(Operation::Message)
        .with_witnesses(Vec::new())
        .unwrap();
    assert_eq!(unsigned.bytes().last(), Some(&0));
    assert_eq!(
        draft(Operation::Transfer)
            .sign(&[&key(4)])
            .unwrap()
            .id()
            .to_string(),
        "9c75129caeeb41e1b7cf8b1d2960b4b64552149099043b3d6734036d9128cfe2"
    );
}

#[test]
fn a_block_with_its_header_hash_and_seal() {
    let spec = spec();
    let state = State::genesis(&spec);
    let transaction = draft(Operation::Message).sign(&[&key(4)]).unwrap();
    let block = produce(
        &spec,
        &state,
        "zeta",
        &key(1),
        std::slice::from_ref(&transaction),
        1,
    )
    .unwrap();
    let genesis = spec.genesis();
    let empty = sha256(&[]);
    let genesis_header = [
        vec![1],
        spec.id().0.to_vec(),
        u64(0),
        vec![0; 32],
        empty.to_vec(),
        empty.to_vec(),
        vec![0; 32],
        u32(0),
        u32(0),
        u32(0),
        u64(1_700_000_000_000_000),
        b(b""),
        u64(0),
        u64(0),
    ]
    .concat();
    assert_eq!(
        hex::encode(genesis.header().bytes()),
        hex::encode(&genesis_header)
    );
    assert_eq!(genesis.encode(), [b(&genesis_header), b(&[0])].concat());
    let genesis_hash = sha256(&[b"hubledger/block/v1", &genesis_header]);
    assert_eq!(genesis.hash().0, genesis_hash);

    let header = [
        vec![1],
        spec.id().0.to_vec(),
        u64(1),
        genesis_hash.to_vec(),
        sha256(&[&[0], &transaction.id().0, transaction.witness_bytes()]).to_vec(),
        sha256(&[&[0], &genesis_hash]).to_vec(),
        vec![0; 32],
        u32(1),
        u32(transaction.bytes().len() as u32),
        [u32(1), b(b"zeta"), u64(1)].concat(),
        u64(1_700_000_000_000_001),
        b(b"zeta"),
        u64(1),
        u64(0),
    ]
    .concat();
    let hash = sha256(&[b"hubledger/block/v1", &header]);
    let signature = key(1).sign(&[&b"hl/seal/1"[..], &hash].concat());
    let seal = [
        &[1][..],
        key(1).public_key().as_bytes(),
        signature.as_bytes(),
    ]
    .concat();
    let bytes = [b(&header), b(&seal), transaction.bytes().to_vec()].concat();
    assert_eq!(hex::encode(block.encode()), hex::encode(&bytes));
    assert_eq!(block.hash().0, hash);
    assert_eq!(Block::decode(&bytes.into()).unwrap(), block);
    assert_eq!(
        block.hash().to_string(),
        "b32c134421377eb72ab9961ce68576469f828e02e445fe811e6e072e5fc47d23"
    );
    let original = hubledger::model::OriginalHeader {
        block_id: "i".to_owned(),
        timestamp: "1.5".to_owned(),
        nonce: "0".to_owned(),
    };
    let original = Seal::Original(original);
    assert_eq!(
        original.encode(),
        [vec![2], b(b"i"), b(b"1.5"), b(b"0")].concat()
    );
    assert_eq!(Seal::decode(&original.encode()).unwrap(), original);
}

#[test]
fn a_state_snapshot() {
    let spec = spec();
    let state = State::genesis(&spec);
    let before = [
        b"HLSTATE1".to_vec(),
        spec.id().0.to_vec(),
        u64(0),
        spec.genesis().hash().0.to_vec(),
        u64(1_700_000_000_000_000),
        u64(0),
        u32(0),
        [
            u64(1),
            u32(1),
            sha256(&[&[0], &spec.genesis().hash().0]).to_vec(),
        ]
        .concat(),
        u32(2),
        [b(b"a"), u64(0), u64(11), vec![0]].concat(),
        [
            b(b"b"),
            u64(0),
            u64(10),
            vec![1],
            sha256(&[key(3).public_key().as_bytes()]).to_vec(),
        ]
        .concat(),
        b(b""),
    ]
    .concat();
    let bytes = [before.clone(), sha256(&[&before]).to_vec()].concat();
    assert_eq!(hex::encode(state.encode()), hex::encode(bytes));
}

#[test]
fn the_head_of_a_generated_chain() {
    let recipe = Recipe {
        transactions: 10,
        keys: 3,
        payload_bytes: 5,
        per_block: 4,
        seed: 1,
        version: FormatVersion::V1,
        ..Recipe::default()
    };
    let mut generator = Generator::new(recipe).unwrap();
    let mut validator = Validator::new(generator.spec().clone());
    while let Some(block) = generator.next_block().unwrap() {
        let valid = validator
            .check(&block, Depth::Full { now_us: u64::MAX })
            .unwrap();
        validator.apply(&valid);
    }
    assert_eq!(
        validator.state().head().to_string(),
        "b980b315b8346288ae90b69da31bec89263276f729fa93ca689d4964e78e7a31"
    );
}

#[test]
fn every_truncation_and_every_flipped_bit_is_refused_or_another_value() {
    let transaction = draft(Operation::Transfer).sign(&[&key(4)]).unwrap();
    let bytes = transaction.bytes().to_vec();
    for length in 0..bytes.len() {
        assert!(Transaction::decode(bytes[..length].to_vec().into()).is_err());
    }
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Transaction::decode(changed.clone().into()) {
            assert_ne!(other, transaction);
            assert_eq!(other.bytes()[..], changed);
        }
    }
    assert!(Transaction::decode([&bytes[..], &[0]].concat().into()).is_err());
    let spec = spec();
    for length in 0..spec.bytes().len() {
        assert!(ChainSpec::decode(&spec.bytes()[..length]).is_err());
    }
    for bit in 0..spec.bytes().len() * 8 {
        let mut changed = spec.bytes().to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = ChainSpec::decode(&changed) {
            assert_ne!(other.id(), spec.id());
            assert_eq!(other.bytes(), changed);
        }
    }
    let clock = VectorClock::new([("a".to_owned(), 1), ("b".to_owned(), 2)]).unwrap();
    let mut encoded = Vec::new();
    clock.encode(&mut encoded);
    assert_eq!(encoded, [u32(2), b(b"a"), u64(1), b(b"b"), u64(2)].concat());
}
