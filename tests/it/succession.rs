//! Chains that go on under another specification: what crosses from one to the other, and what doesn't.

use hubledger::consensus;
use hubledger::digest::BlockHash;
use hubledger::format::FormatVersion;
use hubledger::ledger::Staging;
use hubledger::merkle::{Frontier, history_leaf};
use hubledger::model::Header;
use hubledger::rejection::Reason;
use hubledger::rules::headers::{self, Parent};
use hubledger::signature::{KeyPair, Verifier};
use hubledger::spec::{Authority, Consensus, Finality, SpecFields};
use hubledger::state::State;

use crate::common::{Chain, account, fields, hub, key, sealed};

/// A chain of version 1 with three blocks and some accounts.
fn first() -> Chain {
    let mut chain = Chain::new(2, |fields| {
        fields.rules.balances = true;
        fields
            .accounts
            .extend([account("alice", 100), account("bob", 10)]);
    });
    chain.extend(&[chain.transfer("alice", "bob", (7, 1), 1)]);
    chain.push(chain.block_by("hub-1", &[chain.message("carol", 3)]));
    chain.extend(&[]);
    chain
}

#[test]
fn a_chain_of_version_1_goes_on_under_version_2() {
    let first = first();
    let mut chain = first.succeeded(|fields| fields.limits.payload_bytes_max = 100);
    assert_ne!(chain.spec().id(), first.spec().id());
    assert_eq!(chain.state().head(), first.state().head());
    let next = chain.block_by("hub-1", &[chain.message("carol", 4)]);
    let header = next.header();
    assert_eq!(
        (header.version, header.height, header.chain),
        (FormatVersion::V2, 4, chain.spec().id())
    );
    assert_eq!(header.previous_hash, first.state().head());
    assert_eq!(header.history_root, first.state().history_root());
    assert_eq!((header.weight, header.transactions), (4, 3));
    assert_eq!(header.vector_clock.get("hub-0"), 2);
    assert_eq!(header.vector_clock.get("hub-1"), 2);
    chain.push(next);
    // What the accounts are went on, and so did their nonces.
    assert_eq!(chain.state().account("bob").balance, 17);
    let replay = chain.block(&[chain.message("carol", 4)]);
    assert_eq!(chain.refusal(&replay), (Some(0), Reason::Nonce));
    let over = chain.signed("bob", 1, |draft| draft.payload = vec![0; 101]);
    assert_eq!(
        chain.refusal(&chain.block(&[over])),
        (Some(0), Reason::Limit)
    );
    // A ledger that holds it opens and has the same state; so has one that was told the blocks as bytes.
    let ledger = chain.ledger();
    assert_eq!(ledger.state(), chain.state());
    let again = State::decode(&chain.state().encode()).unwrap();
    assert_eq!(&again, chain.state());
    assert_eq!(again.weight(), 4);
}

#[test]
fn each_side_refuses_the_blocks_of_the_other() {
    let first = first();
    let chain = first.succeeded(|_| {});
    // A block of version 1 above the pinned height, and one that only lacks the chain.
    let late = first.block(&[]);
    assert_eq!(chain.refusal(&late), (None, Reason::Version));
    let relabelled = first.forged(&[], |header| header.chain = chain.spec().id());
    assert_eq!(chain.refusal(&relabelled), (None, Reason::Version));
    let of_first = chain.forged(&[], |header| header.chain = first.spec().id());
    assert_eq!(chain.refusal(&of_first), (None, Reason::Chain));
    // A block of version 2 below it.
    let mut young = Chain::of(chain.spec().clone());
    young.push(first.blocks[1].clone());
    let mut early = fields(&chain.block(&[]));
    early.height = 2;
    early.previous_hash = young.state().head();
    early.history_root = young.state().history_root();
    for id in [chain.spec().id(), first.spec().id()] {
        early.chain = id;
        let early = sealed(early.clone(), &key("hub-0"), &[]);
        assert_eq!(young.refusal(&early), (None, Reason::Version));
        // Also where the height is passed.
        let Staging::Rejected(rejected) = chain.offer(&early.encode()) else {
            panic!("taken");
        };
        assert_eq!(rejected.reason, Reason::Version);
    }
    // Nor does the first chain take what comes after it, or the one a transaction of the other's.
    assert_eq!(first.refusal(&chain.block(&[])), (None, Reason::Version));
    let old = chain.block(&[first.message("alice", 2)]);
    assert_eq!(chain.refusal(&old), (Some(0), Reason::Chain));
    // What is held is known again, whichever side it is of.
    for block in &chain.blocks {
        assert_eq!(chain.offer(&block.encode()), Staging::Held);
    }
}

#[test]
fn what_does_not_go_on_from_the_pinned_block_is_refused() {
    let first = first();
    let chain = first.succeeded(|fields| {
        let before = fields.predecessor.as_mut().unwrap();
        before.head = BlockHash([7; 32]);
    });
    let next = chain.block(&[]);
    assert_eq!(chain.refusal(&next), (None, Reason::PreviousHash));
    let pinned = chain.forged(&[], |header| header.previous_hash = BlockHash([7; 32]));
    assert_eq!(chain.refusal(&pinned), (None, Reason::PreviousHash));
}

#[test]
fn a_client_with_headers_alone_crosses_too() {
    let mut chain = first().succeeded(|_| {});
    chain.extend(&[chain.message("carol", 4)]);
    chain.extend(&[chain.message("carol", 5), chain.message("dave", 1)]);
    let (spec, verifier) = (chain.spec(), Verifier::default());
    let mut history = Frontier::new();
    let mut last: Option<&Header> = None;
    for block in &chain.blocks {
        let header = block.header();
        if let Some(last) = last {
            let parent = Parent::of_header(last, Some(&history));
            headers::check(spec, &parent, header, None).unwrap();
            headers::check_seal(spec, header, block.seal(), &verifier).unwrap();
        }
        history.push(history_leaf(&header.hash()));
        last = Some(header);
    }
    // From the second header of version 2 on, it checks the sums.
    let parent = chain.blocks[4].header();
    let forged = |change: fn(&mut hubledger::model::HeaderFields)| {
        let mut fields = fields(chain.last());
        change(&mut fields);
        let parent = Parent::of_header(parent, None);
        headers::check(spec, &parent, &fields, None)
            .unwrap_err()
            .reason
    };
    assert_eq!(forged(|fields| fields.weight += 1), Reason::Weight);
    assert_eq!(
        forged(|fields| fields.transactions -= 1),
        Reason::TransactionCount
    );
    assert_eq!(
        forged(|fields| fields.members_root.0[0] ^= 1),
        Reason::MembersRoot
    );
}

fn authorities(fields: &mut SpecFields) -> &mut Vec<Authority> {
    let Consensus::ProofOfAuthority(consensus) = &mut fields.consensus else {
        unreachable!("the only consensus");
    };
    &mut consensus.authorities
}

#[test]
fn authorities_change_and_their_names_are_theirs_from_then_on() {
    let mut first = first();
    // Somebody has had the name before, under a key of its own.
    let squatter = key("squatter");
    let by =
        |chain: &Chain, nonce, pair: &KeyPair| chain.draft("hub-7", nonce).sign(&[pair]).unwrap();
    first.extend(&[by(&first, 1, &squatter)]);
    let mut chain = first.succeeded(|fields| {
        let name = hub(7);
        let key = key(&name).public_key();
        *authorities(fields) = vec![Authority {
            name,
            key,
            weight: 1,
        }];
    });
    // The old authorities are none any more, the new one was none before.
    assert_eq!(chain.refusal(&chain.block(&[])), (None, Reason::Producer));
    assert_eq!(
        first.refusal(&first.block_by("hub-7", &[])),
        (None, Reason::Producer)
    );
    let stolen = chain.block_by("hub-7", &[by(&chain, 2, &squatter)]);
    assert_eq!(chain.refusal(&stolen), (Some(0), Reason::Identity));
    let next = chain.block_by("hub-7", &[by(&chain, 2, &key("hub-7"))]);
    chain.push(next);
    let stolen = chain.block_by("hub-7", &[by(&chain, 3, &squatter)]);
    assert_eq!(chain.refusal(&stolen), (Some(0), Reason::Identity));
    // Whoever was an authority keeps the name that was bound to its key.
    let old = chain.block_by("hub-7", &[chain.message("hub-0", 1)]);
    chain.push(old);
    // The names that left the consensus stay in the clock, as everybody's entry does.
    assert_eq!(chain.last().header().vector_clock.get("hub-0"), 3);
}

#[test]
fn what_is_pinned_is_final_whatever_the_terms_say() {
    let first = first();
    let mut chain = first.succeeded(|fields| fields.terms.finality = Finality::Depth(2));
    let settled = |chain: &Chain| consensus::final_height(chain.spec(), chain.state());
    // Under version 1, block 3 was final at once.
    let mut found = vec![settled(&chain)];
    for _ in 0..3 {
        chain.extend(&[]);
        found.push(settled(&chain));
    }
    assert_eq!(found, [3, 3, 3, 4]);
}

#[test]
fn specifications_follow_each_other_more_than_once() {
    let mut chain = first();
    for round in 0..3u64 {
        chain = chain.succeeded(|_| {});
        chain.extend(&[chain.message("carol", 10 + round)]);
        assert_eq!(chain.spec().predecessors() as u64, round + 1);
    }
    assert_eq!(chain.state().height(), 6);
    assert_eq!(chain.last().header().weight, 6);
    assert_eq!(chain.ledger().state(), chain.state());
    let ids: std::collections::HashSet<_> = chain
        .blocks
        .iter()
        .map(|block| block.header().chain)
        .collect();
    assert_eq!(ids.len(), 4);
    let last = chain.spec();
    assert!(
        chain
            .blocks
            .iter()
            .all(|block| last.includes(last.at(block.height())))
    );
    assert!(!last.at(0).includes(last), "but not the other way round");
}
