//! Speaking with keys that don't speak any more, or not alone; joining without what the chain asks for.

use hubledger::format::FormatVersion;
use hubledger::model::{Draft, Operation, Transaction};
use hubledger::payload::{
    Attest, KeySet, Leave, Payload, Profile, Recover, Register, Retract, Revoke, Rotate,
};
use hubledger::rejection::Reason;
use hubledger::rules::check_by_specification;
use hubledger::signature::KeyPair;
use hubledger::spec::{
    Authority, Consensus, Identity, Joining, ProofOfAuthority, SpecFields, Terms,
};
use hubledger::state::tables::{Registrations, Standing, Tenures};

use crate::common::{Chain, account, key, spec_fields, witness};

/// A chain of version 2 under an identity rule, with a root in every block.
fn chain_of(identity: Identity, change: impl FnOnce(&mut SpecFields)) -> Chain {
    Chain::in_version(FormatVersion::V2, 3, |fields| {
        fields.terms = Terms::of_new_chains();
        fields.rules.identity = identity;
        fields.limits.witnesses_max = 16;
        change(fields);
    })
}

fn chain() -> Chain {
    chain_of(Identity::Registered, |_| {})
}

fn key_set(names: &[&str], threshold: u8) -> KeySet {
    let keys = names.iter().map(|name| key(name).public_key());
    KeySet::new(threshold, keys.collect()).unwrap()
}

fn register(keys: KeySet) -> Register {
    Register {
        keys,
        recovery: Some(key_set(&["safe"], 1)),
        stake: 0,
        attester: None,
        profile: Profile::default(),
    }
}

fn rotate(keys: &[&str], effective: u64, grace: u32) -> Payload {
    Payload::Rotate(Rotate {
        keys: key_set(keys, keys.len() as u8),
        effective,
        grace,
    })
}

/// A transaction with a payload in the first operation that goes with it, signed by these keys.
fn says(chain: &Chain, name: &str, nonce: u64, payload: &Payload, signers: &[&str]) -> Transaction {
    sign(with(chain.draft(name, nonce), payload), signers)
}

fn with(mut draft: Draft, payload: &Payload) -> Draft {
    draft.operation = payload.operations()[0];
    draft.payload = payload.encode();
    draft
}

fn sign(draft: Draft, signers: &[&str]) -> Transaction {
    let keys: Vec<KeyPair> = signers.iter().map(|name| key(name)).collect();
    draft.sign(&keys.iter().collect::<Vec<_>>()).unwrap()
}

fn message(chain: &Chain, name: &str, nonce: u64, signers: &[&str]) -> Transaction {
    sign(chain.draft(name, nonce), signers)
}

#[track_caller]
fn refused(chain: &Chain, transaction: Transaction) -> Reason {
    let (index, reason) = chain.refusal(&chain.block(&[transaction]));
    assert_eq!(index, Some(0));
    reason
}

/// `alice` registered with the key `alice`, at height 1.
fn with_alice(mut chain: Chain) -> Chain {
    let payload = Payload::Register(register(key_set(&["alice"], 1)));
    let joins = says(&chain, "alice", 1, &payload, &["alice"]);
    chain.extend(&[joins]);
    chain
}

#[test]
fn nobody_speaks_under_a_name_that_is_not_registered() {
    let chain = chain();
    let reason = refused(&chain, message(&chain, "alice", 1, &["alice"]));
    assert_eq!(reason, Reason::Identity);
    let chain = with_alice(chain);
    chain
        .check(&chain.block(&[message(&chain, "alice", 2, &["alice"])]))
        .expect("registered");
    let reason = refused(&chain, message(&chain, "alice", 2, &["mallory"]));
    assert_eq!(reason, Reason::Identity);
}

#[test]
fn a_name_is_registered_once_and_by_its_own_keys() {
    let chain = chain();
    let payload = Payload::Register(register(key_set(&["alice"], 1)));
    let foreign = says(&chain, "alice", 1, &payload, &["mallory"]);
    assert_eq!(refused(&chain, foreign), Reason::Identity);
    let chain = with_alice(chain);
    for identity in [&["alice"], &["mallory"]] {
        let payload = Payload::Register(register(key_set(identity, 1)));
        let again = says(&chain, "alice", 2, &payload, &["alice"]);
        assert_eq!(refused(&chain, again), Reason::Registration);
    }
    // An authority's name has its key from genesis on.
    let payload = Payload::Register(register(key_set(&["mallory"], 1)));
    let taken = says(&chain, "hub-1", 1, &payload, &["mallory"]);
    assert_eq!(refused(&chain, taken), Reason::Identity);
}

#[test]
fn a_stolen_old_key_after_rotation() {
    for identity in [Identity::Registered, Identity::Pinned] {
        let mut chain = with_alice(chain_of(identity, |_| {}));
        // In force from height 4 on, and the old key speaks up to and with 5.
        chain.extend(&[says(
            &chain,
            "alice",
            2,
            &rotate(&["new"], 4, 2),
            &["alice"],
        )]);
        let early = message(&chain, "alice", 3, &["new"]);
        assert_eq!(refused(&chain, early), Reason::Identity, "not before 4");
        chain.extend(&[message(&chain, "alice", 3, &["alice"])]);
        chain.extend(&[
            message(&chain, "alice", 4, &["new"]),
            message(&chain, "alice", 5, &["alice"]),
        ]);
        let both = message(&chain, "alice", 6, &["alice", "new"]);
        assert_eq!(refused(&chain, both), Reason::Identity, "not together");
        chain.extend(&[message(&chain, "alice", 6, &["alice"])]);
        assert_eq!(chain.state().height(), 5);
        let stolen = message(&chain, "alice", 7, &["alice"]);
        assert_eq!(refused(&chain, stolen), Reason::Identity);
        chain.extend(&[message(&chain, "alice", 7, &["new"])]);
        let stolen = message(&chain, "alice", 8, &["alice"]);
        assert_eq!(refused(&chain, stolen), Reason::Identity);
    }
}

#[test]
fn a_replayed_rotation() {
    let mut chain = with_alice(chain());
    let there = says(&chain, "alice", 2, &rotate(&["new"], 0, 0), &["alice"]);
    chain.extend(std::slice::from_ref(&there));
    chain.extend(&[says(
        &chain,
        "alice",
        3,
        &rotate(&["alice"], 0, 0),
        &["new"],
    )]);
    chain.extend(&[]);
    assert_eq!(refused(&chain, there), Reason::Nonce);
}

#[test]
fn two_rotations_in_one_block_or_one_before_the_other_is_in_force() {
    let mut chain = with_alice(chain());
    let one = says(&chain, "alice", 2, &rotate(&["new"], 9, 0), &["alice"]);
    let two = says(&chain, "alice", 3, &rotate(&["newer"], 0, 0), &["alice"]);
    let block = chain.block(&[one.clone(), two.clone()]);
    assert_eq!(chain.refusal(&block), (Some(1), Reason::Rotation));
    chain.extend(&[one]);
    assert_eq!(refused(&chain, two), Reason::Rotation);
}

#[test]
fn a_rotation_that_is_no_change_or_too_early_or_with_too_much_grace() {
    let chain = with_alice(chain());
    let next = chain.state().height() + 1;
    let payloads = [
        rotate(&["alice"], 0, 0),
        rotate(&["new"], next, 0),
        rotate(&["new"], 0, 1_001),
    ];
    for payload in payloads {
        let transaction = says(&chain, "alice", 2, &payload, &["alice"]);
        assert_eq!(refused(&chain, transaction), Reason::Rotation);
    }
    let stranger = says(&chain, "hub-0", 1, &rotate(&["new"], 0, 0), &["hub-0"]);
    assert_eq!(refused(&chain, stranger), Reason::Registration);
}

#[test]
fn a_rotation_raced_by_revocation() {
    let mut chain = with_alice(chain());
    let revoke = Payload::Revoke(Revoke);
    // The thief's rotation is there first; the owner's recovery key ends it before it is in force.
    let thief = says(&chain, "alice", 2, &rotate(&["mallory"], 4, 0), &["alice"]);
    let owner = says(&chain, "alice", 3, &revoke, &["safe"]);
    chain.extend(&[thief, owner]);
    chain.extend(&[]);
    for signer in ["mallory", "alice"] {
        let stolen = message(&chain, "alice", 4, &[signer]);
        assert_eq!(refused(&chain, stolen), Reason::Revoked);
    }
    // The other way round, the rotation comes too late.
    let mut chain = with_alice(self::chain());
    let owner = says(&chain, "alice", 2, &revoke, &["alice"]);
    let thief = says(&chain, "alice", 3, &rotate(&["mallory"], 0, 0), &["alice"]);
    let block = chain.block(&[owner.clone(), thief]);
    assert_eq!(chain.refusal(&block), (Some(1), Reason::Revoked));
    chain.extend(&[owner]);
    let again = says(&chain, "alice", 3, &revoke, &["safe"]);
    assert_eq!(refused(&chain, again), Reason::Revoked);
}

#[test]
fn only_recovery_keys_recover_and_they_say_nothing_else() {
    let mut chain = with_alice(chain());
    let recover = Payload::Recover(Recover {
        keys: key_set(&["fresh"], 1),
        recovery: Some(key_set(&["vault"], 1)),
    });
    let by_own = says(&chain, "alice", 2, &recover, &["alice"]);
    assert_eq!(refused(&chain, by_own), Reason::Identity);
    for payload in [rotate(&["fresh"], 0, 0), Payload::Leave(Leave)] {
        let by_recovery = says(&chain, "alice", 2, &payload, &["safe"]);
        assert_eq!(refused(&chain, by_recovery), Reason::Identity);
    }
    let spends = message(&chain, "alice", 2, &["safe"]);
    assert_eq!(refused(&chain, spends), Reason::Identity);
    let revoke = says(&chain, "alice", 2, &Payload::Revoke(Revoke), &["safe"]);
    let recovered = says(&chain, "alice", 3, &recover, &["safe"]);
    chain.extend(&[revoke, recovered]);
    chain.extend(&[message(&chain, "alice", 4, &["fresh"])]);
    let stolen = message(&chain, "alice", 5, &["alice"]);
    assert_eq!(refused(&chain, stolen), Reason::Identity);
    let old = says(&chain, "alice", 5, &recover, &["safe"]);
    assert_eq!(refused(&chain, old), Reason::Identity, "exchanged as well");
    // Who held which keys, from when to when.
    let state = chain.state();
    let tenure = |number| state.value::<Tenures>(&Tenures::key("alice", number));
    let held = tenure(0).unwrap();
    assert_eq!((held.from, held.until), (1, 3));
    assert!(tenure(1).is_none(), "the registration has it");
    let (number, held) = state.tenures("alice").next().unwrap();
    assert_eq!((number, held.from, held.until), (1, 3, 0));
    assert_eq!(held.keys, key_set(&["fresh"], 1));
    assert_eq!(state.tenures("alice").count(), 2);
    let numbers = |height| {
        let held = state.keys_at("alice", height).into_iter();
        held.map(|(number, _)| number).collect::<Vec<_>>()
    };
    let at: Vec<_> = (0..6).map(numbers).collect();
    assert_eq!(at, [vec![], vec![0], vec![0], vec![1], vec![1], vec![1]]);
}

#[test]
fn fewer_signatures_than_the_threshold_and_foreign_ones_beside() {
    let names = ["a", "b", "c", "d", "e"];
    let mut chain = chain();
    let payload = Payload::Register(register(key_set(&names, 3)));
    let few = says(&chain, "board", 1, &payload, &["a", "b"]);
    assert_eq!(refused(&chain, few), Reason::Identity);
    chain.extend(&[says(&chain, "board", 1, &payload, &["a", "b", "e"])]);
    let two = message(&chain, "board", 2, &["d", "e"]);
    assert_eq!(refused(&chain, two), Reason::Threshold);
    let beside = message(&chain, "board", 2, &["a", "b", "c", "mallory"]);
    assert_eq!(refused(&chain, beside), Reason::Identity);
    chain.extend(&[
        message(&chain, "board", 2, &["c", "d", "e"]),
        message(&chain, "board", 3, &names),
    ]);
    let none = chain.draft("board", 4).with_witnesses(Vec::new()).unwrap();
    assert_eq!(refused(&chain, none), Reason::SignatureMissing);
}

#[test]
fn one_signer_twice_under_two_encodings() {
    let mut chain = chain();
    let payload = Payload::Register(register(key_set(&["a", "b"], 2)));
    chain.extend(&[says(&chain, "board", 1, &payload, &["a", "b"])]);
    let signed = message(&chain, "board", 2, &["a"]);
    let message = [&b"hl/tx/1"[..], &signed.id().0].concat();
    let twice = [witness(&key("a"), &message), witness(&key("a"), &message)];
    let draft = chain.draft("board", 2);
    assert!(
        draft.clone().with_witnesses(twice.to_vec()).is_err(),
        "no transaction has the same witness twice"
    );
    // The same key under another scheme, and the same key with its sign flipped.
    let mut other_scheme = twice;
    other_scheme[1].scheme = hubledger::model::Scheme::Mpreg;
    let block = draft.clone().with_witnesses(other_scheme.to_vec()).unwrap();
    let reason = refused(&chain, block);
    assert_eq!(reason, Reason::Signature);
    let mut flipped = twice;
    let mut bytes = *flipped[1].key.as_bytes();
    bytes[31] ^= 0x80;
    flipped[1].key = hubledger::signature::PublicKey::from_bytes(bytes);
    let block = draft.with_witnesses(flipped.to_vec()).unwrap();
    assert_eq!(refused(&chain, block), Reason::Identity);
}

#[test]
fn keys_older_than_the_chain_allows() {
    let aging = |fields: &mut SpecFields| fields.terms.key_age_max = 3;
    let mut chain = with_alice(chain_of(Identity::Registered, aging));
    chain.extend(&[message(&chain, "alice", 2, &["alice"])]);
    chain.extend(&[message(&chain, "alice", 3, &["alice"])]);
    let old = message(&chain, "alice", 4, &["alice"]);
    assert_eq!(refused(&chain, old), Reason::KeyAge);
    let late = says(&chain, "alice", 4, &rotate(&["new"], 0, 0), &["alice"]);
    assert_eq!(refused(&chain, late), Reason::KeyAge);
    let recover = Payload::Recover(Recover {
        keys: key_set(&["new"], 1),
        recovery: None,
    });
    chain.extend(&[says(&chain, "alice", 4, &recover, &["safe"])]);
    chain.extend(&[message(&chain, "alice", 5, &["new"])]);
}

#[test]
fn whoever_left_never_speaks_again() {
    let mut chain = with_alice(chain());
    let leave = says(&chain, "alice", 2, &Payload::Leave(Leave), &["alice"]);
    let after = message(&chain, "alice", 3, &["alice"]);
    let block = chain.block(&[leave.clone(), after.clone()]);
    assert_eq!(chain.refusal(&block), (Some(1), Reason::Revoked));
    chain.extend(&[leave]);
    assert_eq!(refused(&chain, after), Reason::Revoked);
    let recover = Payload::Recover(Recover {
        keys: key_set(&["new"], 1),
        recovery: None,
    });
    let back = says(&chain, "alice", 3, &recover, &["safe"]);
    assert_eq!(refused(&chain, back), Reason::Revoked);
    let again = Payload::Register(register(key_set(&["new"], 1)));
    let again = says(&chain, "alice", 3, &again, &["new"]);
    assert_eq!(refused(&chain, again), Reason::Revoked);
}

fn attest(subject: &str, keys: &KeySet, expiry: u64) -> Payload {
    Payload::Attest(Attest {
        subject: subject.to_owned(),
        keys: keys.digest(),
        purpose: "membership".to_owned(),
        expiry,
    })
}

#[test]
fn an_attestation_between_names_too_long_for_a_row() {
    let (long, subject) = ("m".repeat(1020), "s".repeat(1020));
    let chain = chain_of(Identity::Registered, |fields| {
        fields.limits.name_bytes_max = 1024;
        let hub = |name: &str| Authority::new(name, key(name).public_key());
        fields.consensus = Consensus::ProofOfAuthority(ProofOfAuthority {
            authorities: vec![hub("hub-0"), hub(&long)],
            round_robin: false,
        });
    });
    let payload = attest(&subject, &key_set(&["bob"], 1), 0);
    let said = says(&chain, &long, 1, &payload, &[&long]);
    assert_eq!(refused(&chain, said), Reason::Limit);
}

#[test]
fn an_attestation_that_is_missing_expired_foreign_or_taken_back() {
    let attested = |fields: &mut SpecFields| fields.terms.joining = Joining::Attested;
    let mut chain = chain_of(Identity::Registered, attested);
    let keys = key_set(&["bob"], 1);
    let joins = |chain: &Chain, keys: &KeySet, attester: Option<&str>| {
        let payload = Payload::Register(Register {
            attester: attester.map(str::to_owned),
            ..register(keys.clone())
        });
        says(chain, "bob", 1, &payload, &["bob"])
    };
    let alone = joins(&chain, &keys, None);
    assert_eq!(refused(&chain, alone), Reason::Attestation);
    let unknown = joins(&chain, &keys, Some("hub-1"));
    assert_eq!(refused(&chain, unknown), Reason::Attestation);
    // In force for the blocks 2 and 3.
    let vouch = says(&chain, "hub-1", 1, &attest("bob", &keys, 4), &["hub-1"]);
    chain.extend(&[vouch]);
    chain
        .check(&chain.block(&[joins(&chain, &keys, Some("hub-1"))]))
        .expect("attested");
    let by_another = joins(&chain, &keys, Some("hub-2"));
    assert_eq!(refused(&chain, by_another), Reason::Attestation);
    let other_keys = joins(&chain, &key_set(&["bob", "x"], 1), Some("hub-1"));
    assert_eq!(refused(&chain, other_keys), Reason::Attestation);
    let retract = Payload::Retract(Retract {
        subject: "bob".to_owned(),
        purpose: "membership".to_owned(),
    });
    let back = says(&chain, "hub-1", 2, &retract, &["hub-1"]);
    let block = chain.block(&[back, joins(&chain, &keys, Some("hub-1"))]);
    assert_eq!(chain.refusal(&block), (Some(1), Reason::Attestation));
    chain.extend(&[]);
    chain.extend(&[]);
    let late = joins(&chain, &keys, Some("hub-1"));
    assert_eq!(refused(&chain, late), Reason::Attestation);
    let nothing = says(&chain, "hub-2", 1, &retract, &["hub-2"]);
    assert_eq!(refused(&chain, nothing), Reason::Attestation);
    let past = says(&chain, "hub-1", 2, &attest("bob", &keys, 4), &["hub-1"]);
    assert_eq!(refused(&chain, past), Reason::Attestation);
}

#[test]
fn only_members_attest() {
    let mut chain = with_alice(chain());
    let keys = key_set(&["bob"], 1);
    let vouch = says(&chain, "alice", 2, &attest("bob", &keys, 0), &["alice"]);
    assert_eq!(refused(&chain, vouch.clone()), Reason::Member);
    let own = says(&chain, "hub-0", 1, &attest("hub-0", &keys, 0), &["hub-0"]);
    assert_eq!(refused(&chain, own), Reason::Attestation);
    // Whoever joined the federation with the keys that it has is a member.
    let mut draft = chain.draft("alice", 2);
    draft.operation = Operation::FederationJoin;
    draft.payload = Payload::Register(register(key_set(&["alice"], 1))).encode();
    chain.extend(&[sign(draft, &["alice"])]);
    let vouch = says(&chain, "alice", 3, &attest("bob", &keys, 0), &["alice"]);
    chain
        .check(&chain.block(&[vouch]))
        .expect("a member attests");
}

#[test]
fn a_joiner_without_stake_and_one_that_gets_it_back() {
    let mut chain = chain_of(Identity::Registered, |fields| {
        fields.rules.balances = true;
        fields.terms.joining = Joining::Stake;
        fields.terms.stake_min = 100;
        fields.accounts = [account("bank", 1_000)].into();
    });
    let joins = |chain: &Chain, stake: u64| {
        let payload = Payload::Register(Register {
            stake,
            ..register(key_set(&["alice"], 1))
        });
        says(chain, "alice", 1, &payload, &["alice"])
    };
    assert_eq!(refused(&chain, joins(&chain, 0)), Reason::Stake);
    assert_eq!(refused(&chain, joins(&chain, 99)), Reason::Stake);
    assert_eq!(refused(&chain, joins(&chain, 100)), Reason::Balance);
    chain.extend(&[chain.transfer("bank", "alice", (130, 0), 1)]);
    assert_eq!(refused(&chain, joins(&chain, 131)), Reason::Balance);
    assert_eq!(refused(&chain, joins(&chain, u64::MAX)), Reason::Balance);
    chain.extend(&[joins(&chain, 120)]);
    assert_eq!(chain.state().account("alice").balance, 10);
    let held = chain.state().value::<Registrations>(b"alice").unwrap();
    assert_eq!((held.stake, held.standing), (120, Standing::Active));
    let spends = chain.transfer("alice", "bank", (11, 0), 2);
    assert_eq!(refused(&chain, spends), Reason::Balance);
    chain.extend(&[says(&chain, "alice", 2, &Payload::Leave(Leave), &["alice"])]);
    assert_eq!(chain.state().account("alice").balance, 130);
}

#[test]
fn a_name_that_is_a_key_has_no_other_but_can_be_revoked() {
    let mut chain = chain_of(Identity::Key, |_| {});
    let name = key("alice").public_key().to_string();
    let other = Payload::Register(register(key_set(&["alice", "b"], 1)));
    let other = says(&chain, &name, 1, &other, &["alice"]);
    assert_eq!(refused(&chain, other), Reason::Identity);
    let own = Payload::Register(register(key_set(&["alice"], 1)));
    chain.extend(&[says(&chain, &name, 1, &own, &["alice"])]);
    let rotation = says(&chain, &name, 2, &rotate(&["b"], 0, 0), &["alice"]);
    assert_eq!(refused(&chain, rotation), Reason::Rotation);
    chain.extend(&[says(&chain, &name, 2, &Payload::Revoke(Revoke), &["safe"])]);
    let stolen = message(&chain, &name, 3, &["alice"]);
    assert_eq!(refused(&chain, stolen), Reason::Revoked);
}

#[test]
fn what_has_no_meaning_changes_nothing_and_is_no_error() {
    let mut chain = with_alice(chain());
    let registered = chain.state().value::<Registrations>(b"alice");
    let canonical = rotate(&["new"], 0, 0).encode();
    let json = rotate(&["new"], 0, 0).to_json().into_bytes();
    let longer = [&canonical[..], &[0]].concat();
    let payloads = [
        (Operation::Message, canonical.clone()),
        (Operation::NodeRegister, canonical.clone()),
        (
            Operation::NodeUpdate,
            canonical[..canonical.len() - 1].to_vec(),
        ),
        (Operation::NodeUpdate, longer),
        (Operation::NodeUpdate, b"\0hl\xff".to_vec()),
        // This chain's specification lets no JSON count.
        (Operation::NodeUpdate, json),
    ];
    for (nonce, (operation, payload)) in (2..).zip(payloads) {
        let mut draft = chain.draft("alice", nonce);
        draft.operation = operation;
        draft.payload = payload;
        chain.extend(&[sign(draft, &["alice"])]);
        assert_eq!(chain.state().value::<Registrations>(b"alice"), registered);
    }
}

#[test]
fn the_json_form_counts_where_the_specification_says_so() {
    let lenient = |fields: &mut SpecFields| fields.terms.payload_json = true;
    let mut chain = chain_of(Identity::Registered, lenient);
    let mut draft = chain.draft("node", 1);
    draft.operation = Operation::FederationJoin;
    let text = format!(
        r#"{{"node_type":"full_node","role":"hub","capabilities":["routing"],"network_address":"a:1",
            "public_key":"{}","stake_amount":1000}}"#,
        key("node").public_key()
    );
    draft.payload = text.into_bytes();
    chain.extend(&[sign(draft, &["node"])]);
    let held = chain.state().value::<Registrations>(b"node").unwrap();
    assert!(held.is_member);
    assert_eq!(held.stake, 0, "this chain keeps no balances");
}

#[test]
fn under_open_names_and_in_version_1_every_payload_is_opaque() {
    let payload = rotate(&["new"], 0, 0);
    let mut open = chain_of(Identity::Open, |_| {});
    open.extend(&[says(&open, "alice", 1, &payload, &["mallory"])]);
    let mut first = Chain::new(1, |_| {});
    first.extend(&[says(&first, "alice", 1, &payload, &["alice"])]);
    let mut fields = spec_fields(1);
    fields.rules.identity = Identity::Registered;
    let error = hubledger::spec::ChainSpec::new(fields).unwrap_err();
    assert_eq!(error.field, "rules.identity");
}

#[test]
fn the_specification_alone_refuses_nothing_that_only_a_state_could_tell() {
    let chain = with_alice(chain());
    let by_specification = |transaction: &Transaction| {
        let verdict = check_by_specification(chain.spec(), transaction, chain.now());
        verdict.map_err(|fault| fault.reason)
    };
    let registered = message(&chain, "alice", 2, &["alice"]);
    assert_eq!(by_specification(&registered), Ok(()));
    let rotation = says(&chain, "alice", 2, &rotate(&["new"], 0, 0), &["alice"]);
    assert_eq!(by_specification(&rotation), Ok(()));
    let stolen = message(&chain, "hub-0", 1, &["mallory"]);
    assert_eq!(by_specification(&stolen), Err(Reason::Identity));
}
