//! Rewriting producers, clocks and seals where each authority seals alone and at any time.

use hubledger::consensus;
use hubledger::model::{Block, Header, HeaderFields, OriginalHeader, Seal, VectorClock};
use hubledger::rejection::Reason;
use hubledger::signature::Signature;
use hubledger::spec::Consensus;

use super::in_version;
use crate::common::{Chain, entries, fields, key, rewritten, sealed};

/// A chain of two authorities and three blocks, and the next block with two transactions.
fn chain_and_next() -> (Chain, Block) {
    let mut chain = in_version(2, |_| {});
    for nonce in 1..4 {
        chain.extend(&[chain.message("alice", nonce), chain.message("bob", nonce)]);
    }
    let next = chain.block(&[chain.message("alice", 4), chain.message("bob", 4)]);
    chain.check(&next).expect("honest");
    (chain, next)
}

/// The reason for the block with header fields changed under its old seal; the hash has to change too.
#[track_caller]
fn rewrite(change: impl FnOnce(&mut HeaderFields)) -> Reason {
    let (chain, honest) = chain_and_next();
    let block = rewritten(&honest, change);
    assert_ne!(block.hash(), honest.hash(), "the hash covers the field");
    let (transaction, reason) = chain.refusal(&block);
    assert_eq!(transaction, None);
    reason
}

#[test]
fn rewritten_producer() {
    // To the other authority, whose clock entry then stands still.
    assert_eq!(
        rewrite(|header| header.producer = "hub-1".into()),
        Reason::VectorClock
    );
    // With a clock that fits, only the seal is left to tell.
    let with_clock = rewrite(|header| {
        header.producer = "hub-1".into();
        header.vector_clock = entries(&[("hub-0", 3), ("hub-1", 1)]);
    });
    assert_eq!(with_clock, Reason::Seal);
    let stranger = rewrite(|header| {
        header.producer = "mallory".into();
        header.vector_clock = entries(&[("hub-0", 3), ("mallory", 1)]);
    });
    assert_eq!(stranger, Reason::Producer);
}

#[test]
fn rewritten_difficulty() {
    for difficulty in [0, 2, u64::MAX] {
        assert_eq!(
            rewrite(|header| header.difficulty = difficulty),
            Reason::Difficulty
        );
    }
    for nonce in [1, u64::MAX] {
        assert_eq!(rewrite(|header| header.nonce = nonce), Reason::Difficulty);
    }
}

#[test]
fn difficulty_that_the_authority_itself_claims() {
    let (chain, _) = chain_and_next();
    let claims = |change: fn(&mut HeaderFields)| chain.refusal(&chain.forged(&[], change));
    assert_eq!(
        claims(|header| header.difficulty = 2),
        (None, Reason::Difficulty)
    );
    assert_eq!(
        claims(|header| header.difficulty = 0),
        (None, Reason::Difficulty)
    );
    assert_eq!(
        claims(|header| header.nonce = 1),
        (None, Reason::Difficulty)
    );
}

#[test]
fn rewritten_vector_clock() {
    let clock = |clock: VectorClock| rewrite(move |header| header.vector_clock = clock);
    // All that the clock rules allow: the other authority's entry a step ahead. The seal tells.
    assert_eq!(clock(entries(&[("hub-0", 4), ("hub-1", 1)])), Reason::Seal);
    assert_eq!(clock(entries(&[("hub-0", 5)])), Reason::VectorClock);
    assert_eq!(clock(VectorClock::empty()), Reason::VectorClock);
}

#[test]
fn unauthorised_producer() {
    let (chain, _) = chain_and_next();
    // With a seal that is right in itself.
    let block = chain.block_by("mallory", &[chain.message("alice", 4)]);
    assert_eq!(chain.refusal(&block), (None, Reason::Producer));
    // A sender whose key the chain knows is not an authority either, and nobody isn't.
    assert_eq!(
        chain.refusal(&chain.block_by("alice", &[])),
        (None, Reason::Producer)
    );
    let nobody = chain.forged(&[], |header| {
        header.producer = String::new();
        header.vector_clock = entries(&[("hub-0", 3), ("hub-1", 1)]);
    });
    assert_eq!(chain.refusal(&nobody), (None, Reason::VectorClock));
}

#[test]
fn authority_sealing_with_another_authoritys_key() {
    let (chain, honest) = chain_and_next();
    let block = sealed(fields(&honest), &key("hub-1"), honest.transactions());
    assert_eq!(chain.refusal(&block), (None, Reason::Seal));
}

#[test]
fn seal_by_an_authority_under_anothers_name() {
    let (chain, _) = chain_and_next();
    // hub-1 seals in the name of hub-0 …
    let honest = fields(&chain.block(&[]));
    let block = sealed(honest, &key("hub-1"), &[]);
    assert_eq!(chain.refusal(&block), (None, Reason::Seal));
    // … and claims hub-0's key with its own signature.
    let header = Header::new(fields(&block)).unwrap();
    let signature = key("hub-1").sign(&Seal::message(&header.hash()));
    let seal = Seal::Authority {
        key: key("hub-0").public_key(),
        signature,
    };
    let block = Block::assemble(header, seal, &[]).unwrap();
    assert_eq!(chain.refusal(&block), (None, Reason::Seal));
}

#[test]
fn seal_missing_or_of_another_kind() {
    let (chain, honest) = chain_and_next();
    let original = Seal::Original(OriginalHeader {
        block_id: "b".into(),
        timestamp: "1.0".into(),
        nonce: "0".into(),
    });
    for seal in [Seal::None, original] {
        let block = Block::assemble(honest.header().clone(), seal, honest.transactions()).unwrap();
        assert_eq!(chain.refusal(&block), (None, Reason::Seal));
    }
}

#[test]
fn a_transactions_or_another_kinds_signature_is_no_seal() {
    let (chain, honest) = chain_and_next();
    let authority = key("hub-0");
    let hash = honest.hash();
    let messages = [
        hash.0.to_vec(),
        [b"hl/tx/1".as_slice(), &hash.0].concat(),
        [b"hl/seal/2".as_slice(), &hash.0].concat(),
        honest.header().bytes().to_vec(),
    ];
    let seals = messages.map(|message| authority.sign(&message));
    for signature in seals.into_iter().chain([Signature::from_bytes([0; 64])]) {
        let seal = Seal::Authority {
            key: authority.public_key(),
            signature,
        };
        let block = Block::assemble(honest.header().clone(), seal, honest.transactions()).unwrap();
        assert_eq!(chain.refusal(&block), (None, Reason::Seal));
    }
}

#[test]
fn out_of_turn_under_round_robin() {
    let mut chain = in_version(3, |fields| {
        let Consensus::ProofOfAuthority(consensus) = &mut fields.consensus else {
            unreachable!()
        };
        consensus.round_robin = true;
    });
    for height in 1..=7u64 {
        let turn = (height - 1) % 3;
        for number in (0..3).filter(|&number| number != turn) {
            let block = chain.block_by(&format!("hub-{number}"), &[]);
            assert_eq!(
                chain.refusal(&block),
                (None, Reason::Turn),
                "hub-{number} at {height}"
            );
        }
        chain.push(chain.block_by(&format!("hub-{turn}"), &[]));
    }
    // Without turns the same authority may go on.
    let mut chain = in_version(3, |_| {});
    for _ in 0..3 {
        chain.push(chain.block_by("hub-2", &[]));
    }
}

#[test]
fn a_clock_entry_at_its_end_stays_no_longer_an_advance() {
    const FAR: u64 = i64::MAX as u64;
    let mut chain = in_version(2, |fields| fields.rules.clock_advance_max = FAR);
    let by = |chain: &Chain, producer: &str, clock: &[(&str, u64)]| {
        let mut fields = fields(&chain.block(&[]));
        fields.producer = producer.to_owned();
        fields.vector_clock = entries(clock);
        sealed(fields, &key(producer), &[])
    };
    chain.push(by(&chain, "hub-0", &[("hub-0", 1), ("hub-1", FAR)]));
    chain.push(by(&chain, "hub-0", &[("hub-0", 2), ("hub-1", 2 * FAR)]));
    chain.push(by(&chain, "hub-1", &[("hub-0", 2), ("hub-1", u64::MAX)]));
    let stuck = by(&chain, "hub-1", &[("hub-0", 3), ("hub-1", u64::MAX)]);
    assert_eq!(chain.refusal(&stuck), (None, Reason::VectorClock));
    chain.push(by(&chain, "hub-0", &[("hub-0", 3), ("hub-1", u64::MAX)]));
}

#[test]
fn a_seal_on_a_block_at_height_zero() {
    for round_robin in [false, true] {
        let chain = in_version(2, |fields| {
            let Consensus::ProofOfAuthority(consensus) = &mut fields.consensus else {
                unreachable!("the only consensus");
            };
            consensus.round_robin = round_robin;
        });
        let block = chain.forged(&[], |header| header.height = 0);
        let fault = consensus::check_seal(chain.spec(), block.header(), block.seal())
            .expect_err("nobody's to seal");
        assert_eq!(fault.reason, Reason::Height);
    }
}

#[test]
fn a_vector_clock_that_does_not_advance_as_it_must() {
    let mut chain = in_version(3, |fields| fields.rules.clock_advance_max = 10);
    chain.extend(&[]);
    chain.push(chain.block_by("hub-1", &[]));
    let refuse = |clock: &[(&str, u64)]| {
        let clock = entries(clock);
        chain.refusal(&chain.forged(&[], |header| header.vector_clock = clock))
    };
    let bad: &[&[(&str, u64)]] = &[
        &[("hub-0", 1), ("hub-1", 1)],
        &[],
        &[("hub-0", 2)],
        &[("hub-0", 3), ("hub-1", 1)],
        &[("hub-0", u64::MAX), ("hub-1", 1)],
        &[("hub-0", 1), ("hub-1", 2)],
        &[("hub-0", 2), ("hub-1", 12)],
        &[("hub-0", 2), ("hub-1", u64::MAX)],
        &[("hub-0", 2), ("hub-1", 1), ("stranger", 1)],
    ];
    for clock in bad {
        assert_eq!(refuse(clock), (None, Reason::VectorClock), "{clock:?}");
    }
    let good: &[&[(&str, u64)]] = &[
        &[("hub-0", 2), ("hub-1", 1)],
        &[("hub-0", 2), ("hub-1", 11)],
        &[("hub-0", 2), ("hub-1", 1), ("hub-2", 10)],
    ];
    for clock in good {
        let clock = entries(clock);
        chain
            .check(&chain.forged(&[], |header| header.vector_clock = clock))
            .expect("allowed");
    }
}
