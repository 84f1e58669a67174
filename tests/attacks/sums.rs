//! Rewriting what only a header of version 2 has: the roots over state and members, and the sums over the whole chain.

use hubledger::consensus::{self, Weight};
use hubledger::digest::Digest;
use hubledger::format::FormatVersion;
use hubledger::model::HeaderFields;
use hubledger::rejection::Reason;
use hubledger::rules::headers;
use hubledger::spec::{Nonces, SpecFields};

use super::in_version;
use crate::common::{Chain, rewritten};

/// A change of a header, and the reason for which it is refused.
type Forgery = (fn(&mut HeaderFields), Reason);

fn chain(change: impl FnOnce(&mut SpecFields)) -> Chain {
    let mut chain = in_version(2, change);
    for nonce in 1..4 {
        chain.extend(&[chain.message("alice", nonce), chain.message("bob", nonce)]);
    }
    chain
}

#[test]
fn rewritten_roots_and_sums() {
    let chain = chain(|_| {});
    let honest = chain.block(&[chain.message("alice", 4)]);
    let worth = Weight(honest.header().weight - chain.state().weight());
    assert_eq!(worth, consensus::weight(chain.spec(), honest.header()));
    assert_eq!(honest.header().transactions, 7);
    chain.check(&honest).expect("honest");
    let other = Chain::in_version(FormatVersion::V2, 3, |_| {});
    assert_ne!(other.spec().members_root(), chain.spec().members_root());
    let forgeries: [Forgery; 11] = [
        (|header| header.version = FormatVersion::V1, Reason::Version),
        (|header| header.weight += 1, Reason::Weight),
        (|header| header.weight -= 1, Reason::Weight),
        (|header| header.weight = 0, Reason::Weight),
        (|header| header.weight = u128::MAX, Reason::Weight),
        (|header| header.transactions += 1, Reason::TransactionCount),
        (|header| header.transactions -= 1, Reason::TransactionCount),
        (
            |header| header.transactions = u64::MAX,
            Reason::TransactionCount,
        ),
        (|header| header.members_root.0[31] ^= 1, Reason::MembersRoot),
        (
            |header| header.members_root = Digest::ZERO,
            Reason::MembersRoot,
        ),
        (|header| header.state_root.0[0] = 1, Reason::StateRoot),
    ];
    for (number, (change, reason)) in forgeries.into_iter().enumerate() {
        let change = move |header: &mut HeaderFields| {
            change(header);
            if header.version == FormatVersion::V1 {
                (header.members_root, header.weight, header.transactions) = (Digest::ZERO, 0, 0);
            }
        };
        // By somebody without a key, and by the authority itself.
        let stolen = rewritten(&honest, change);
        let sealed = chain.forged(honest.transactions(), change);
        for block in [stolen, sealed] {
            assert_ne!(block.hash(), honest.hash());
            assert_eq!(chain.refusal(&block), (None, reason), "forgery {number}");
        }
    }
    let members = other.spec().members_root();
    let foreign = chain.forged(&[], |header| header.members_root = members);
    assert_eq!(chain.refusal(&foreign), (None, Reason::MembersRoot));
}

#[test]
fn faults_of_a_header_are_told_in_their_order() {
    let chain = chain(|_| {});
    // From the last rule to the first: each forgery breaks one more, and that one is told.
    let changes: [Forgery; 9] = [
        (|header| header.timestamp = 1, Reason::Timestamp),
        (|header| header.weight = 1, Reason::Weight),
        (|header| header.members_root.0[0] ^= 1, Reason::MembersRoot),
        (|header| header.state_root.0[0] ^= 1, Reason::StateRoot),
        (|header| header.history_root.0[0] ^= 1, Reason::HistoryRoot),
        (|header| header.merkle_root.0[0] ^= 1, Reason::MerkleRoot),
        (|header| header.transactions = 1, Reason::TransactionCount),
        (|header| header.height = 9, Reason::Height),
        (|header| header.chain.0[0] ^= 1, Reason::Chain),
    ];
    for end in 1..=changes.len() {
        let block = chain.forged(&[], |header| {
            changes[..end].iter().for_each(|(change, _)| change(header));
        });
        assert_eq!(chain.refusal(&block), (None, changes[end - 1].1));
    }
}

#[test]
fn sums_that_would_wrap_around() {
    let chain = chain(|_| {});
    let parent = headers::Parent::of_state(chain.state());
    let refused = |weight, transactions, change: fn(&mut HeaderFields)| {
        let block = chain.forged(&[chain.message("alice", 4)], change);
        let parent = headers::Parent {
            weight: Some(weight),
            transactions: Some(transactions),
            ..parent
        };
        let verdict = headers::check(chain.spec(), &parent, block.header(), None);
        verdict.unwrap_err().reason
    };
    let wrapped = refused(u128::MAX, 6, |header| header.weight = 0);
    assert_eq!(wrapped, Reason::Weight);
    let full = refused(u128::MAX, 6, |header| header.weight = u128::MAX);
    assert_eq!(full, Reason::Weight);
    let wrapped = refused(3, u64::MAX, |header| header.transactions = 0);
    assert_eq!(wrapped, Reason::Limit);
    let full = refused(3, u64::MAX, |header| header.transactions = u64::MAX);
    assert_eq!(full, Reason::Limit);
}

#[test]
fn a_state_root_is_due_at_every_height_that_the_interval_divides() {
    let due = |interval, version| {
        let chain = Chain::in_version(version, 1, |fields| fields.terms.root_interval = interval);
        let heights = (0..10).filter(|height| headers::state_root_due(chain.spec(), *height));
        heights.collect::<Vec<u64>>()
    };
    assert!(due(0, FormatVersion::V1).is_empty());
    assert!(due(0, FormatVersion::V2).is_empty());
    // The specification tells what genesis leads to.
    assert_eq!(due(1, FormatVersion::V2), (1..10).collect::<Vec<_>>());
    assert_eq!(due(4, FormatVersion::V2), [4, 8]);
    let chain = Chain::in_version(FormatVersion::V2, 1, |fields| {
        fields.terms.root_interval = 2
    });
    let mut header = (**chain.block(&[]).header()).clone();
    let after = Digest([7; 32]);
    // At height 1 none is due, and one that is there is a fault of the header.
    assert_eq!(
        headers::check_state_root(chain.spec(), &header, Some(&after)),
        Ok(())
    );
    header.height = 2;
    let fault = headers::check_state_root(chain.spec(), &header, Some(&after)).unwrap_err();
    assert_eq!(fault.reason, Reason::StateRoot);
    // What can't be told isn't valid either: no block at such a height is, whatever it names.
    let unknown = headers::check_state_root(chain.spec(), &header, None).unwrap_err();
    assert_eq!(unknown.reason, Reason::StateRoot);
    header.state_root = after;
    assert_eq!(
        headers::check_state_root(chain.spec(), &header, Some(&after)),
        Ok(())
    );
}

#[test]
fn a_gap_between_consecutive_nonces() {
    let consecutive = |fields: &mut SpecFields| fields.terms.nonces = Nonces::Consecutive;
    let mut chain = chain(consecutive);
    for nonce in [5, 1000, u64::MAX] {
        let block = chain.block(&[chain.message("alice", nonce)]);
        assert_eq!(
            chain.refusal(&block),
            (Some(0), Reason::Nonce),
            "nonce {nonce}"
        );
    }
    let used = chain.block(&[chain.signed("alice", 3, |draft| draft.payload.clear())]);
    assert_eq!(chain.refusal(&used), (Some(0), Reason::Nonce));
    let gap = chain.block(&[chain.message("alice", 4), chain.message("alice", 6)]);
    assert_eq!(chain.refusal(&gap), (Some(1), Reason::Nonce));
    let first = chain.block(&[chain.message("carol", 2)]);
    assert_eq!(chain.refusal(&first), (Some(0), Reason::Nonce));
    chain.extend(&[chain.message("alice", 4), chain.message("alice", 5)]);
    // Where nonces grow, the same gap is none of the chain's business.
    let mut growing = self::chain(|_| {});
    growing.extend(&[growing.message("alice", 1000)]);
}

#[test]
fn a_transaction_behind_a_gap_waits_and_is_not_chosen() {
    let chain = chain(|fields| fields.terms.nonces = Nonces::Consecutive);
    let (validator, now) = (&chain.validator, chain.now());
    let alice = |nonce| chain.message("alice", nonce);
    // Alone, each may wait for what comes before it; what is used up may not.
    assert_eq!(validator.admit(&alice(6), now), Ok(()));
    assert_eq!(
        validator.admit(&alice(3), now).unwrap_err().reason,
        Reason::Nonce
    );
    assert!(validator.has_to_wait(&alice(6)) && !validator.has_to_wait(&alice(4)));
    let candidates = [
        alice(4),
        alice(6),
        alice(7),
        chain.message("bob", 4),
        chain.message("bob", 5),
    ];
    let (chosen, refused) = validator.choose("hub-0", now, candidates.iter());
    let nonces: Vec<_> = chosen
        .iter()
        .map(|one| (one.sender(), one.nonce()))
        .collect();
    assert_eq!(nonces, [("alice", 4), ("bob", 4), ("bob", 5)]);
    assert!(refused.is_empty(), "they stay for a later block");
    chain.check(&chain.block(&chosen)).expect("a valid block");
}
