//! Golden bytes of version 2: specification, header and what they hash to, assembled by hand from `FORMAT.md`.

use bytes::Bytes;
use hubledger::digest::{BlockHash, Digest, sha256};
use hubledger::format::FormatVersion;
use hubledger::model::{Block, Header, HeaderFields, Transaction};
use hubledger::rules::produce::produce;
use hubledger::spec::{
    ChainSpec, FeesTo, Finality, Joining, Nonces, Parameter, Predecessor, SpecFields, Terms,
};
use hubledger::state::State;

use crate::golden::{b, hash, key, spec as spec_of_version_1, u32, u64};

fn terms() -> Terms {
    Terms {
        nonces: Nonces::Consecutive,
        stake_min: 12,
        root_interval: 0,
        block_time_us: 14,
        finality: Finality::Depth(15),
        changeable: [
            Parameter::FeeMin,
            Parameter::BlockTimeUs,
            Parameter::Members,
        ]
        .into(),
        payload_json: true,
        joining: Joining::StakeOrAttested,
        key_age_max: 16,
        grace_max: 17,
        fees_to: FeesTo::Treasury("pot".to_owned()),
        approvals_min: 2,
        empty_blocks: true,
    }
}

/// The specification of the golden chain of version 1, in version 2.
fn spec() -> ChainSpec {
    ChainSpec::new(SpecFields {
        version: FormatVersion::V2,
        terms: terms(),
        ..(*spec_of_version_1()).clone()
    })
    .unwrap()
}

/// The one that goes on from the golden chain of version 1.
fn successor() -> ChainSpec {
    ChainSpec::new(SpecFields {
        accounts: [].into(),
        predecessor: Some(Predecessor {
            specification: spec_of_version_1(),
            height: 16,
            head: BlockHash([17; 32]),
            state_root: Digest([18; 32]),
        }),
        ..(*spec()).clone()
    })
    .unwrap()
}

/// What stands between the version and the accounts of an encoded specification: as in version 1, then the terms.
fn middle() -> Vec<u8> {
    let terms = [
        vec![1],
        u64(12),
        u32(0),
        u64(14),
        [vec![1], u32(15)].concat(),
        [u32(3), vec![1, 8, 13]].concat(),
        vec![1],
        vec![3],
        u64(16),
        u32(17),
        [vec![2], b(b"pot")].concat(),
        u32(2),
        vec![1],
    ];
    let first = spec_of_version_1();
    // Behind the version, up to the accounts: their count, 9 + 4 + 1 bytes, and 4 + 1 + 1 + 32 + 8; and no import.
    let accounts = 4 + 14 + 46 + 1;
    let shared = &first.bytes()[1..first.bytes().len() - accounts];
    [shared, &terms.concat()].concat()
}

#[test]
fn a_chain_specification() {
    let spec = spec();
    let first = spec_of_version_1();
    let accounts = &first.bytes()[first.bytes().len() - 65..];
    assert_eq!(accounts[..4], u32(2)[..]);
    let bytes = [&[2][..], &middle(), accounts, &[0]].concat();
    assert_eq!(hex::encode(spec.bytes()), hex::encode(&bytes));
    assert_eq!(
        spec.id().to_string(),
        hash(&[b"hubledger/chain/v2", &bytes])
    );
    assert_eq!(ChainSpec::decode(&bytes).unwrap(), spec);
    assert_eq!(ChainSpec::from_toml(&spec.to_toml()).unwrap(), spec);
    assert_eq!(
        spec.id().to_string(),
        "984155b4d2871d3c039d55d8387d5751a7749a12cdf457d7df222a44a03a7f76"
    );
}

#[test]
fn a_chain_specification_that_goes_on_from_another() {
    let spec = successor();
    let predecessor = [
        vec![1],
        b(spec_of_version_1().bytes()),
        u64(16),
        vec![17; 32],
        vec![18; 32],
    ];
    let bytes = [vec![2], middle(), u32(0), vec![0], predecessor.concat()].concat();
    assert_eq!(hex::encode(spec.bytes()), hex::encode(&bytes));
    assert_eq!(ChainSpec::decode(&bytes).unwrap(), spec);
    assert_eq!(ChainSpec::from_toml(&spec.to_toml()).unwrap(), spec);
    assert_eq!(spec.genesis(), spec_of_version_1().genesis());
    assert_eq!(
        spec.id().to_string(),
        "678898d3f3afbc6d188bb5306f42b803f560a6c4ed79aaa7ff910a9cea9a13ff"
    );
}

#[test]
fn a_block_with_its_header_and_hash() {
    let spec = spec();
    let (zeta, alpha) = (key(1).public_key(), key(2).public_key());
    let leaf = |name: &[u8], key: &[u8]| sha256(&[&[0], &b(name), key, &u64(1)]);
    let (zeta, alpha) = (
        leaf(b"zeta", zeta.as_bytes()),
        leaf(b"alpha", alpha.as_bytes()),
    );
    let members = sha256(&[&[1], &zeta, &alpha]);
    assert_eq!(spec.members_root().0, members);
    let empty = sha256(&[]);
    let genesis_header = [
        vec![2],
        spec.id().0.to_vec(),
        u64(0),
        vec![0; 32],
        empty.to_vec(),
        empty.to_vec(),
        vec![0; 32],
        members.to_vec(),
        vec![0; 16],
        u64(0),
        u32(0),
        u32(0),
        u32(0),
        u64(1_700_000_000_000_000),
        b(b""),
        u64(0),
        u64(0),
    ]
    .concat();
    let genesis = spec.genesis();
    assert_eq!(
        hex::encode(genesis.header().bytes()),
        hex::encode(&genesis_header)
    );
    let genesis_hash = sha256(&[b"hubledger/block/v2", &genesis_header]);
    assert_eq!(genesis.hash().0, genesis_hash);

    let state = State::genesis(&spec);
    let transaction = transaction(&spec);
    let transactions = std::slice::from_ref(&transaction);
    let block = produce(&spec, &state, "zeta", &key(1), transactions, 1).unwrap();
    let header = [
        vec![2],
        spec.id().0.to_vec(),
        u64(1),
        genesis_hash.to_vec(),
        sha256(&[&[0], &transaction.id().0, transaction.witness_bytes()]).to_vec(),
        sha256(&[&[0], &genesis_hash]).to_vec(),
        vec![0; 32],
        members.to_vec(),
        1u128.to_le_bytes().to_vec(),
        u64(1),
        u32(1),
        u32(transaction.bytes().len() as u32),
        [u32(1), b(b"zeta"), u64(1)].concat(),
        u64(1_700_000_000_000_001),
        b(b"zeta"),
        u64(1),
        u64(0),
    ]
    .concat();
    assert_eq!(hex::encode(block.header().bytes()), hex::encode(&header));
    let id = sha256(&[b"hubledger/block/v2", &header]);
    let signature = key(1).sign(&[&b"hl/seal/1"[..], &id].concat());
    let public = key(1).public_key();
    let seal = [&[1][..], public.as_bytes(), signature.as_bytes()].concat();
    let bytes = [b(&header), b(&seal), transaction.bytes().to_vec()].concat();
    assert_eq!(hex::encode(block.encode()), hex::encode(&bytes));
    assert_eq!(Block::decode(&bytes.into()).unwrap(), block);
    assert_eq!(
        block.hash().to_string(),
        "07938645aa1f42b8f39a8c14b3b3fcd76dcc0bcfa98a5518f112ed2b7b1e7ba5"
    );
}

fn transaction(spec: &ChainSpec) -> Transaction {
    let draft = hubledger::model::Draft {
        chain: spec.id(),
        ..crate::golden::draft(hubledger::model::Operation::Message)
    };
    draft.sign(&[&key(4)]).unwrap()
}

#[test]
fn a_header_of_version_1_has_no_field_of_version_2() {
    let genesis = spec_of_version_1().genesis();
    let refused = |change: fn(&mut HeaderFields)| {
        let mut fields = (**genesis.header()).clone();
        change(&mut fields);
        Header::new(fields).unwrap_err().field
    };
    assert_eq!(
        refused(|fields| fields.members_root.0[0] = 1),
        "members_root"
    );
    assert_eq!(refused(|fields| fields.weight = 1), "weight");
    assert_eq!(refused(|fields| fields.transactions = 1), "transactions");
    // What is read from its bytes has none either.
    let read = Header::decode(genesis.header().bytes().clone()).unwrap();
    assert_eq!(
        (read.chain_weight(), read.chain_transactions()),
        (None, None)
    );
    let second = spec().genesis();
    let sums = (
        second.header().chain_weight(),
        second.header().chain_transactions(),
    );
    assert_eq!(sums, (Some(0), Some(0)));
}

#[test]
fn every_truncation_and_every_flipped_bit_is_refused_or_another_value() {
    for spec in [spec(), successor()] {
        let bytes = spec.bytes();
        for length in 0..bytes.len() {
            assert!(ChainSpec::decode(&bytes[..length]).is_err());
        }
        assert!(ChainSpec::decode(&[bytes, &[0]].concat()).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = ChainSpec::decode(&changed) {
                assert_ne!(other.id(), spec.id());
                assert_eq!(other.bytes(), changed);
            }
        }
    }
    let genesis = spec().genesis();
    let bytes = genesis.header().bytes();
    for length in 0..bytes.len() {
        assert!(Header::decode(bytes.slice(..length)).is_err());
    }
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Header::decode(Bytes::from(changed.clone())) {
            assert_ne!(other.hash(), genesis.hash());
            assert_eq!(other.bytes()[..], changed);
        }
    }
}

#[test]
fn changeable_parameters_are_known_and_strictly_ascending() {
    let bytes = spec().bytes().to_vec();
    let list = [u32(3), vec![1, 8, 13]].concat();
    let at = bytes
        .windows(list.len())
        .rposition(|window| window == list)
        .unwrap();
    let with = |changed: &[u8]| {
        let rest = &bytes[at + list.len()..];
        let bytes = [&bytes[..at], &u32(changed.len() as u32), changed, rest].concat();
        ChainSpec::decode(&bytes).map(|spec| spec.terms.changeable.len())
    };
    let every: Vec<u8> = (1..=13).collect();
    assert_eq!(with(&every).unwrap(), 13);
    assert_eq!(with(&[]).unwrap(), 0);
    let refused: [&[u8]; 5] = [&[0], &[14], &[1, 1], &[2, 1], &[0; 14]];
    for changed in refused {
        let error = with(changed).unwrap_err();
        assert_eq!(error.field, "changeable", "{changed:?}: {error}");
    }
}
