//! Values of every table come back from their bytes, and nothing else is one.

use proptest::prelude::*;

use super::*;
use crate::format::digest::{BlockHash, Digest, TransactionId};
use crate::format::payload::{KeySet, ParameterValue};
use crate::format::signature::KeyPair;
use crate::format::spec::Parameter;

fn key_set(seeds: &[u8], threshold: u8) -> KeySet {
    let keys = seeds
        .iter()
        .map(|seed| KeyPair::from_seed(&[*seed; 32]).public_key());
    KeySet::new(threshold, keys.collect()).expect("distinct keys")
}

fn tenure() -> Tenure {
    Tenure {
        from: 3,
        until: 9,
        keys: key_set(&[1, 2], 1),
    }
}

/// Rows of every table.
fn rows() -> Vec<(u8, Vec<u8>, Vec<u8>)> {
    let registration = Registration {
        standing: Standing::Active,
        is_member: true,
        since: 3,
        stake: 10,
        recovery: Some(key_set(&[7], 1)),
        tenures: 2,
        latest: Tenure {
            from: 8,
            until: 0,
            keys: key_set(&[3], 1),
        },
        before: Some(tenure()),
    };
    let change = Change {
        until: 0,
        before: 4,
        value: ParameterValue::Number(9),
    };
    let proposal = Proposal {
        id: TransactionId([4; 32]),
        parameter: Parameter::FeeMin,
        value: ParameterValue::Number(3),
        effective: 90,
        approvals: vec!["a".to_owned(), "b".to_owned()],
    };
    let attestation = Attestation {
        keys: Digest([6; 32]),
        since: 2,
        expiry: 0,
    };
    let fee = Parameter::FeeMin;
    let bonded = Pool {
        tokens: 90,
        shares: 100,
        bond: Some(Bond {
            key: KeyPair::from_seed(&[5; 32]).public_key(),
            releases: vec![21, 31],
        }),
    };
    let released = Pool {
        tokens: 7,
        shares: 7,
        bond: None,
    };
    let conviction = Conviction {
        since: 33,
        basis_points: 500,
        by: TransactionId([8; 32]),
    };
    let commitment = Commitment {
        layer: Digest([1; 32]),
        since: 4,
        before: Some(Digest([2; 32])),
        revealed: 9,
    };
    let mut signers = Signers::default();
    let places = [0, 3, 9, 999];
    assert!(places.into_iter().all(|place| signers.insert(place)));
    assert!(!signers.insert(9), "it is among them");
    assert!(!signers.insert(1_000), "there is no such place");
    assert!((0..2_000).all(|place| signers.contains(place) == places.contains(&place)));
    let turn = ProposerRow {
        previous: BlockHash([9; 32]),
        place: 3,
    };
    let attendance = [
        (
            AttendanceRows::block_key(8),
            AttendanceRow::Block(BlockHash([9; 32])),
        ),
        (
            AttendanceRows::signed_key(8),
            AttendanceRow::Signed(signers),
        ),
        (AttendanceRows::missed_key("a"), AttendanceRow::Missed(3)),
    ];
    let attendance = attendance.map(|(key, row)| (16, key, AttendanceRows::encode(&row)));
    let rows = vec![
        (
            15,
            ProposerRows::key(8).to_vec(),
            ProposerRows::encode(&turn),
        ),
        (2, b"name".to_vec(), Registrations::encode(&registration)),
        (3, Tenures::key("name", 1), Tenures::encode(&tenure())),
        (
            4,
            Attestations::key("a", "b", "membership"),
            Attestations::encode(&attestation),
        ),
        (
            5,
            Parameters::last_key(fee),
            Parameters::encode(&ParameterRow::Last(8)),
        ),
        (
            5,
            Parameters::key(fee, 8),
            Parameters::encode(&ParameterRow::Change(fee, change)),
        ),
        (6, b"a".to_vec(), Proposals::encode(&proposal)),
        (10, Pools::key("name", 0), Pools::encode(&bonded)),
        (10, Pools::key("name", 31), Pools::encode(&released)),
        (11, Shares::key("a", "name", 31), Shares::encode(&7)),
        (
            13,
            Convictions::key("name", 1, 31, 2),
            Convictions::encode(&conviction),
        ),
        (
            12,
            SeedRows::key(7).to_vec(),
            SeedRows::encode(&SeedRow::Seed(Digest([4; 32]))),
        ),
        (
            12,
            SeedRows::COLLECTED.to_vec(),
            SeedRows::encode(&SeedRow::Collected(3, Digest([5; 32]))),
        ),
        (14, b"name".to_vec(), Commitments::encode(&commitment)),
    ];
    rows.into_iter().chain(attendance).collect()
}

fn encoded_again(table: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    Some(match table {
        2 => Registrations::encode(&Registrations::decode(bytes).ok()?),
        3 => Tenures::encode(&Tenures::decode(bytes).ok()?),
        4 => Attestations::encode(&Attestations::decode(bytes).ok()?),
        5 => Parameters::encode(&Parameters::decode(bytes).ok()?),
        6 => Proposals::encode(&Proposals::decode(bytes).ok()?),
        10 => Pools::encode(&Pools::decode(bytes).ok()?),
        12 => SeedRows::encode(&SeedRows::decode(bytes).ok()?),
        14 => Commitments::encode(&Commitments::decode(bytes).ok()?),
        13 => Convictions::encode(&Convictions::decode(bytes).ok()?),
        15 => ProposerRows::encode(&ProposerRows::decode(bytes).ok()?),
        16 => AttendanceRows::encode(&AttendanceRows::decode(bytes).ok()?),
        _ => Shares::encode(&Shares::decode(bytes).ok()?),
    })
}

#[test]
fn rows_of_every_table_are_known() {
    for (table, key, value) in rows() {
        assert_eq!(check(table, &key, &value), Ok(()), "table {table}");
        assert_eq!(encoded_again(table, &value), Some(value.clone()));
        assert!(check(table, b"", &value).is_err(), "table {table}");
        assert!(check(table, &key, &value[1..]).is_err(), "table {table}");
        assert!(check(table + 100, &key, &value).is_err());
    }
}

#[test]
fn keys_speak_from_their_first_height_to_before_their_end() {
    let mut tenure = tenure();
    let heights: Vec<u64> = (0..12).filter(|height| tenure.holds_at(*height)).collect();
    assert_eq!(heights, [3, 4, 5, 6, 7, 8]);
    tenure.end_at(20);
    assert_eq!(tenure.until, 9, "an end is never put off");
    tenure.end_at(1);
    assert_eq!((tenure.from, tenure.until), (3, 3), "it never was");
}

proptest! {
    #[test]
    fn what_decodes_is_canonical(which in 0usize..rows().len(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let (table, _, mut value) = rows().swap_remove(which);
        let at = at.index(value.len());
        value[at] = to;
        if let Some(again) = encoded_again(table, &value) {
            prop_assert_eq!(again, value);
        }
    }
}
