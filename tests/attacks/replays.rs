//! Saying a thing twice, on this chain or on another.

use hubledger::ledger::Staging;
use hubledger::rejection::{Reason, Rejected};

use super::in_version;
use crate::common::{corrupt_signature, fields, key, sealed};

#[test]
fn replay_of_a_transaction_in_a_later_block() {
    let mut chain = in_version(1, |_| {});
    let transaction = chain.message("alice", 1);
    chain.extend(std::slice::from_ref(&transaction));
    let other = chain.message("bob", 1);
    let replay = chain.block(&[other, transaction.clone()]);
    assert_eq!(chain.refusal(&replay), (Some(1), Reason::Nonce));
    // Nor much later, after other transactions of the same sender.
    for nonce in 2..6 {
        chain.extend(&[chain.message("alice", nonce)]);
    }
    assert_eq!(
        chain.refusal(&chain.block(&[transaction])),
        (Some(0), Reason::Nonce)
    );
}

#[test]
fn the_same_transaction_twice_in_one_block() {
    let chain = in_version(1, |_| {});
    let transaction = chain.message("alice", 1);
    let between = chain.message("bob", 1);
    let twice = chain.block(&[transaction.clone(), between, transaction]);
    assert_eq!(chain.refusal(&twice), (Some(2), Reason::Duplicate));
}

#[test]
fn the_same_transaction_twice_with_another_witness() {
    let chain = in_version(1, |_| {});
    let draft = chain.draft("alice", 1);
    let one = draft.sign(&[&key("alice")]).unwrap();
    let other = draft.sign(&[&key("alice"), &key("bob")]).unwrap();
    assert_eq!(one.id(), other.id(), "the id doesn't cover the witness");
    assert_ne!(one.leaf_hash(), other.leaf_hash(), "the leaf does");
    let twice = chain.block(&[one, other]);
    assert_eq!(chain.refusal(&twice), (Some(1), Reason::Duplicate));
}

#[test]
fn a_nonce_equal_to_or_below_the_last_one() {
    let mut chain = in_version(1, |_| {});
    chain.extend(&[chain.message("alice", 5)]);
    for nonce in [1, 4, 5] {
        let block = chain.block(&[chain.signed("alice", nonce, |draft| draft.payload.clear())]);
        assert_eq!(
            chain.refusal(&block),
            (Some(0), Reason::Nonce),
            "nonce {nonce}"
        );
    }
    // Gaps are allowed: a lost transaction can't block its sender for ever.
    for nonce in [6, 1000, u64::MAX] {
        chain.extend(&[chain.message("alice", nonce)]);
    }
    // And the end is the end: the nonce doesn't wrap around.
    for nonce in [1, u64::MAX] {
        let block = chain.block(&[chain.signed("alice", nonce, |draft| draft.payload.clear())]);
        assert_eq!(
            chain.refusal(&block),
            (Some(0), Reason::Nonce),
            "nonce {nonce} after the last"
        );
    }
}

#[test]
fn nonces_out_of_order_within_a_block() {
    let chain = in_version(1, |_| {});
    let block = chain.block(&[chain.message("alice", 2), chain.message("alice", 1)]);
    assert_eq!(chain.refusal(&block), (Some(1), Reason::Nonce));
    let ordered = chain.block(&[chain.message("alice", 1), chain.message("alice", 2)]);
    chain.check(&ordered).expect("valid the other way round");
}

#[test]
fn nonce_zero() {
    let chain = in_version(1, |_| {});
    let mut draft = chain.draft("alice", 1);
    draft.nonce = 0;
    assert_eq!(
        draft.sign(&[&key("alice")]).unwrap_err().field,
        "nonce",
        "it can't be made"
    );
    // From raw bytes: the nonce is the last field of the body.
    let honest = chain.block(&[chain.message("alice", 1)]);
    let transaction = &honest.transactions()[0];
    let witness = transaction.witness_bytes().len();
    let mut bytes = honest.encode();
    let nonce = bytes.len() - witness - 8;
    assert_eq!(bytes[nonce..nonce + 8], 1u64.to_le_bytes());
    bytes[nonce] = 0;
    let Staging::Rejected(rejected) = chain.offer(&bytes) else {
        panic!("nonce 0 was accepted")
    };
    assert_eq!(
        (rejected.transaction, rejected.reason),
        (None, Reason::Malformed)
    );
    assert!(rejected.detail.contains("nonce"), "{}", rejected.detail);
}

#[test]
fn a_transaction_for_another_chain() {
    let here = in_version(1, |_| {});
    // The twin differs in one rule only.
    let twin = in_version(1, |fields| fields.rules.fee_min = 1);
    let foreign = twin.message("alice", 1);
    let block = here.block(&[here.message("bob", 1), foreign.clone()]);
    assert_eq!(here.refusal(&block), (Some(1), Reason::Chain));
    twin.check(&twin.block(&[foreign]))
        .expect("it is valid where it belongs");
}

#[test]
fn a_block_for_another_chain() {
    let here = in_version(1, |_| {});
    let twin = in_version(1, |fields| fields.rules.clock_drift_max_us += 1);
    assert_ne!(here.spec().id(), twin.spec().id());
    assert_ne!(here.spec().genesis().hash(), twin.spec().genesis().hash());
    for transactions in [vec![], vec![twin.message("alice", 1)]] {
        assert_eq!(
            here.refusal(&twin.block(&transactions)),
            (None, Reason::Chain)
        );
    }
    // Relabelled, it still doesn't link.
    let mut relabelled = fields(&twin.block(&[]));
    relabelled.chain = here.spec().id();
    let block = sealed(relabelled, &key("hub-0"), &[]);
    assert_eq!(here.refusal(&block), (None, Reason::PreviousHash));
}

#[test]
fn genesis_of_another_specification() {
    let here = in_version(1, |_| {});
    let twin = in_version(1, |fields| fields.name.push('s'));
    let Staging::Rejected(rejected) = here.offer(&twin.spec().genesis().encode()) else {
        panic!("another genesis was accepted");
    };
    assert_eq!((rejected.height, rejected.reason), (0, Reason::Chain));
    assert_eq!(here.offer(&here.spec().genesis().encode()), Staging::Held);
}

#[test]
fn another_block_at_a_held_height() {
    let mut chain = in_version(2, |_| {});
    let rival = chain.block_by("hub-1", &[chain.message("alice", 1)]);
    for _ in 0..3 {
        chain.extend(&[]);
    }
    let Staging::Rejected(rejected) = chain.offer(&rival.encode()) else {
        panic!("a fork was accepted");
    };
    assert_eq!(
        (rejected.height, rejected.transaction, rejected.reason),
        (1, None, Reason::Fork)
    );
    for block in &chain.blocks {
        assert_eq!(chain.offer(&block.encode()), Staging::Held);
    }
    // The validator alone, which knows no earlier blocks, sees a wrong height.
    assert_eq!(chain.refusal(&rival), (None, Reason::Height));
}

#[test]
fn another_genesis_with_this_chain_id() {
    let chain = in_version(1, |_| {});
    let mut forged = fields(&chain.spec().genesis());
    forged.timestamp += 1;
    let block = sealed(forged, &key("hub-0"), &[]);
    let verdict = chain.offer(&block.encode());
    let Staging::Rejected(Rejected {
        height: 0, reason, ..
    }) = verdict
    else {
        panic!("another genesis was accepted: {verdict:?}");
    };
    assert_eq!(reason, Reason::Genesis);
}

#[test]
fn a_corrupted_copy_does_not_shadow_the_transaction_it_copies() {
    // Whoever relays a transaction with a broken witness first must not keep the good one out.
    let mut chain = in_version(1, |_| {});
    let good = chain.message("alice", 1);
    let bad = chain.block(&[corrupt_signature(&good)]);
    assert_eq!(chain.refusal(&bad), (Some(0), Reason::Signature));
    chain.extend(&[good]);
}
