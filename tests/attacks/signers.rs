//! Speaking for others.

use hubledger::rejection::Reason;
use hubledger::spec::InitialAccount;

use super::in_version;
use crate::common::{corrupt_signature, key, witness};

#[test]
fn signature_by_another_key_for_a_sender() {
    let mut chain = in_version(1, |_| {});
    chain.extend(&[chain.message("alice", 1)]);
    let stolen = chain.draft("alice", 2).sign(&[&key("mallory")]).unwrap();
    assert_eq!(
        chain.refusal(&chain.block(&[stolen])),
        (Some(0), Reason::Identity)
    );
    let beside = chain
        .draft("alice", 2)
        .sign(&[&key("alice"), &key("mallory")])
        .unwrap();
    assert_eq!(
        chain.refusal(&chain.block(&[beside])),
        (Some(0), Reason::Identity)
    );
    chain.extend(&[chain.message("alice", 2)]);
}

#[test]
fn a_second_signer_within_the_same_block() {
    let chain = in_version(1, |_| {});
    let stolen = chain.draft("alice", 2).sign(&[&key("mallory")]).unwrap();
    let block = chain.block(&[chain.message("alice", 1), stolen]);
    assert_eq!(chain.refusal(&block), (Some(1), Reason::Identity));
}

#[test]
fn the_first_signer_cannot_take_an_authoritys_or_a_listed_accounts_name() {
    let chain = in_version(2, |fields| {
        let owner = InitialAccount {
            key: Some(key("owner").public_key()),
            balance: 0,
        };
        fields.accounts.insert("treasury".to_owned(), owner);
    });
    let authorities = chain.spec().consensus.members().iter();
    let authorities = authorities.map(|authority| authority.name.as_str());
    for name in authorities.chain(["treasury"]) {
        let taken = chain.draft(name, 1).sign(&[&key("mallory")]).unwrap();
        assert_eq!(
            chain.refusal(&chain.block(&[taken])),
            (Some(0), Reason::Identity)
        );
    }
    let own = chain.draft("treasury", 1).sign(&[&key("owner")]).unwrap();
    chain.check(&chain.block(&[own])).expect("its own key");
}

#[test]
fn an_unsigned_transaction() {
    let chain = in_version(1, |_| {});
    let unsigned = chain.draft("alice", 1).with_witnesses(Vec::new()).unwrap();
    assert_eq!(
        chain.refusal(&chain.block(&[unsigned])),
        (Some(0), Reason::SignatureMissing)
    );
    // Where a chain allows it, it still can't speak for a name that has keys.
    let mut chain = in_version(1, |fields| fields.rules.witnesses_min = 0);
    chain.extend(&[chain
        .draft("anybody", 1)
        .with_witnesses(Vec::new())
        .unwrap()]);
    chain.extend(&[chain.message("alice", 1)]);
    let unsigned = chain.draft("alice", 2).with_witnesses(Vec::new()).unwrap();
    assert_eq!(
        chain.refusal(&chain.block(&[unsigned])),
        (Some(0), Reason::Identity)
    );
}

#[test]
fn a_corrupted_signature_is_named_by_the_first_faulty_transaction() {
    let chain = in_version(1, |_| {});
    let good = |nonce| chain.message("alice", nonce);
    let bad = |nonce| corrupt_signature(&good(nonce));
    let of = |transactions: &[_]| chain.refusal(&chain.block(transactions));
    assert_eq!(
        of(&[good(1), bad(2), good(3), bad(4)]),
        (Some(1), Reason::Signature)
    );
    // A later transaction breaks a cheaper rule: the earlier signature is still the first fault.
    assert_eq!(
        of(&[good(1), bad(2), good(1)]),
        (Some(1), Reason::Signature)
    );
    // An earlier one breaks a rule: the later signature doesn't matter.
    assert_eq!(of(&[good(2), good(1), bad(3)]), (Some(1), Reason::Nonce));
}

#[test]
fn a_signature_over_anything_but_this_id() {
    let chain = in_version(1, |_| {});
    let transaction = chain.message("alice", 1);
    let other = chain.message("alice", 2);
    let body =
        &transaction.bytes()[4..transaction.bytes().len() - transaction.witness_bytes().len()];
    let messages = [
        other.signed_message().to_vec(),
        transaction.id().0.to_vec(),
        [b"hl/seal/1".as_slice(), &transaction.id().0].concat(),
        body.to_vec(),
    ];
    for message in messages {
        let forged = chain
            .draft("alice", 1)
            .with_witnesses(vec![witness(&key("alice"), &message)])
            .unwrap();
        assert_eq!(forged.id(), transaction.id());
        assert_eq!(
            chain.refusal(&chain.block(&[forged])),
            (Some(0), Reason::Signature)
        );
    }
}

#[test]
fn every_one_of_several_witnesses_has_to_verify() {
    let chain = in_version(1, |_| {});
    let draft = chain.draft("alice", 1);
    let message = draft.sign(&[&key("alice")]).unwrap().signed_message();
    let mut second = witness(&key("bob"), b"something else");
    let half = draft
        .with_witnesses(vec![witness(&key("alice"), &message), second])
        .unwrap();
    assert_eq!(
        chain.refusal(&chain.block(&[half])),
        (Some(0), Reason::Signature)
    );
    second = witness(&key("bob"), &message);
    let whole = draft
        .with_witnesses(vec![witness(&key("alice"), &message), second])
        .unwrap();
    chain.check(&chain.block(&[whole])).expect("both verify");
}
