//! Every kind in both forms, and what is none.

use proptest::prelude::*;

use super::*;
use crate::format::digest::{BlockHash, ChainId, Digest, TransactionId};
use crate::format::evidence::{DoubleVote, Evidence};
use crate::format::signature::{KeyPair, PublicKey};
use crate::format::spec::{Authority, Parameter};
use crate::format::vote::{Vote, VoteKind};

fn key(seed: u8) -> PublicKey {
    KeyPair::from_seed(&[seed; 32]).public_key()
}

fn key_set(seeds: &[u8], threshold: u8) -> KeySet {
    KeySet::new(threshold, seeds.iter().map(|seed| key(*seed)).collect()).expect("distinct keys")
}

fn profile() -> Profile {
    Profile {
        node_type: "full_node".to_owned(),
        role: "hub".to_owned(),
        region: "us_east".to_owned(),
        network_address: "10.0.0.1:9000".to_owned(),
        capabilities: vec!["routing".to_owned(), "storage".to_owned()],
    }
}

fn double_vote() -> Evidence {
    let vote = |block: u8| Vote {
        chain: ChainId([1; 32]),
        height: 5,
        round: 2,
        kind: VoteKind::Prevote,
        block: BlockHash([block; 32]),
    };
    let offender = KeyPair::from_seed(&[7; 32]);
    let signed = |vote: Vote| (vote, vote.sign(&offender));
    let fault = DoubleVote::new(offender.public_key(), signed(vote(1)), signed(vote(2)));
    Evidence::DoubleVote(fault.expect("a fault"))
}

fn certify() -> Certify {
    let vote = Vote {
        chain: ChainId([1; 32]),
        height: 10,
        round: 0,
        kind: VoteKind::Checkpoint,
        block: BlockHash([3; 32]),
    };
    let signed = |seed: u8| (key(seed), vote.sign(&KeyPair::from_seed(&[seed; 32])));
    Certify::new(vote, [1, 2, 3].map(signed).to_vec()).expect("keys that differ")
}

fn every_kind() -> Vec<Payload> {
    vec![
        Payload::Register(Register {
            keys: key_set(&[1, 2, 3], 2),
            recovery: Some(key_set(&[9], 1)),
            stake: 1_000,
            attester: Some("hub".to_owned()),
            profile: profile(),
        }),
        Payload::Register(Register {
            keys: key_set(&[1], 1),
            recovery: None,
            stake: 0,
            attester: None,
            profile: Profile::default(),
        }),
        Payload::Rotate(Rotate {
            keys: key_set(&[4, 5], 2),
            effective: 17,
            grace: 3,
        }),
        Payload::Revoke(Revoke),
        Payload::Recover(Recover {
            keys: key_set(&[6], 1),
            recovery: Some(key_set(&[7, 8], 1)),
        }),
        Payload::Leave(Leave),
        Payload::Attest(Attest {
            subject: "newcomer".to_owned(),
            keys: Digest([3; 32]),
            purpose: "membership".to_owned(),
            expiry: 900,
        }),
        Payload::Retract(Retract {
            subject: "newcomer".to_owned(),
            purpose: "membership".to_owned(),
        }),
        Payload::Propose(Propose {
            parameter: Parameter::FeeMin,
            value: ParameterValue::Number(5),
            effective: 100,
        }),
        Payload::Propose(Propose {
            parameter: Parameter::Members,
            value: ParameterValue::Members(vec![Authority {
                name: "a".to_owned(),
                key: key(1),
                weight: 1,
            }]),
            effective: 100,
        }),
        Payload::Approve(Approve {
            proposer: "a".to_owned(),
            proposal: TransactionId([5; 32]),
        }),
        Payload::Commit(Commit {
            layer: Digest([8; 32]),
        }),
        Payload::Reveal(Reveal {
            layer: Digest([9; 32]),
        }),
        Payload::Stake(Stake {
            key: key(3),
            amount: 700,
        }),
        Payload::Delegate(Delegate {
            to: "hub".to_owned(),
            amount: 1,
        }),
        Payload::Release(Release {
            from: "hub".to_owned(),
            amount: u64::MAX,
        }),
        Payload::Withdraw(Withdraw {
            from: "hub".to_owned(),
            boundary: 31,
        }),
        Payload::Convict(Convict {
            evidence: double_vote(),
        }),
        Payload::Certify(certify()),
    ]
}

#[test]
fn every_kind_comes_back_from_both_of_its_forms() {
    for payload in every_kind() {
        let bytes = payload.encode();
        assert_eq!(Payload::decode(&bytes).expect("canonical"), payload);
        for operation in Operation::ALL {
            let read = Payload::from_json(*operation, payload.to_json().as_bytes());
            let expected = payload
                .operations()
                .contains(operation)
                .then(|| payload.clone());
            assert_eq!(read, expected, "{operation} {}", payload.to_json());
        }
    }
}

#[test]
fn every_operation_that_a_kind_goes_with_is_looked_into() {
    for payload in every_kind() {
        assert!(
            payload
                .operations()
                .iter()
                .all(|one| Payload::has_meaning_in(*one))
        );
    }
}

#[test]
fn the_words_of_the_original_are_a_registration() {
    let json = format!(
        r#"{{"node_type":"full_node","role":"hub","capabilities":["routing"],"network_address":"h:1",
            "public_key":"{}","stake_amount":1000,"joined_at":12.5,"nested":{{"a":[1]}}}}"#,
        key(1)
    );
    let read = Payload::from_json(Operation::FederationJoin, json.as_bytes());
    let Some(Payload::Register(register)) = read else {
        panic!("{read:?}");
    };
    assert_eq!(register.keys, key_set(&[1], 1));
    assert_eq!((register.stake, register.recovery), (1_000, None));
    assert_eq!(register.profile.capabilities, ["routing"]);
}

#[test]
fn json_that_could_be_read_in_two_ways_or_is_of_wrong_types_is_opaque() {
    let (a, b) = (key(1), key(2));
    let deep = format!(
        r#"{{"public_key":"{a}","x":{}1{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let texts = [
        format!(r#"{{"public_key":"{a}","public_key":"{b}"}}"#),
        format!(r#"{{"public_key":"{a}","stake_amount":-1}}"#),
        format!(r#"{{"public_key":"{a}","stake_amount":1.5}}"#),
        format!(r#"{{"public_key":"{a}","stake_amount":"1000"}}"#),
        format!(r#"{{"public_key":"{a}","capabilities":"routing"}}"#),
        format!(r#"{{"public_key":"{a}","public_keys":["{b}"]}}"#),
        format!(r#"{{"public_keys":["{a}","{a}"]}}"#),
        format!(r#"{{"public_keys":["{a}"],"threshold":2}}"#),
        format!(r#"{{"public_keys":["{a}"],"threshold":0}}"#),
        format!(r#"{{"public_key":"{a}","action":"rotate"}}"#),
        format!(r#"{{"public_key":"{a}"}} {{}}"#),
        format!(r#"["{a}"]"#),
        r#"{"public_key":"0000000000000000000000000000000000000000000000000000000000000000"}"#
            .to_owned(),
        "{".to_owned(),
        deep,
        format!(
            r#"{{"public_key":"{a}","x":"{}"}}"#,
            "y".repeat(MEANING_BYTES_MAX)
        ),
    ];
    for text in texts {
        let read = Payload::from_json(Operation::NodeRegister, text.as_bytes());
        assert_eq!(read, None, "{text:.80}");
    }
}

#[test]
fn a_set_of_keys_has_distinct_keys_that_can_sign_and_a_threshold_within() {
    assert!(KeySet::new(1, Vec::new()).is_err());
    assert!(KeySet::new(1, vec![key(1), key(1)]).is_err());
    assert!(KeySet::new(3, vec![key(1), key(2)]).is_err());
    assert!(KeySet::new(0, vec![key(1)]).is_err());
    assert!(KeySet::new(1, vec![PublicKey::from_bytes([0; 32])]).is_err());
    // The identity point by another encoding of its y, which no signature is accepted for either.
    let mut not_canonical = [0xff; 32];
    not_canonical[0] = 0xee;
    not_canonical[31] = 0x7f;
    assert!(KeySet::new(1, vec![PublicKey::from_bytes(not_canonical)]).is_err());
    let many = (0..17).map(key).collect();
    assert!(KeySet::new(1, many).is_err());
    assert_eq!(key_set(&[2, 1], 1), key_set(&[1, 2], 1));
}

proptest! {
    #[test]
    fn what_decodes_is_canonical(which in 0usize..11, at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = every_kind()[which].encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(payload) = Payload::decode(&bytes) {
            prop_assert_eq!(payload.encode(), &bytes[..]);
        }
        let cut = cut.index(bytes.len());
        if let Ok(payload) = Payload::decode(&bytes[..cut]) {
            prop_assert_eq!(payload.encode(), &bytes[..cut]);
        }
    }
}
