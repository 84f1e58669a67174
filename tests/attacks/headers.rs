//! Rewriting headers and links: what no composition lets pass, whatever seals a block.

use bytes::Bytes;
use hubledger::consensus::work::Target;
use hubledger::digest::{BlockHash, Digest};
use hubledger::ledger::Staging;
use hubledger::model::{Block, Header, HeaderFields};
use hubledger::rejection::Reason;

use super::in_version;
use crate::common::{Chain, rewritten};

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

/// Whether the header has the work that it claims: another one than the honest block's may have it too, by chance. It is a block of its own
/// then, whose work somebody has done.
fn is_worked(chain: &Chain, header: &Header) -> bool {
    let target = Target::from_difficulty(header.difficulty);
    chain.spec().composition().work().is_some() && target.is_met_by(&header.hash())
}

#[test]
fn rewritten_timestamp() {
    let (chain, honest) = chain_and_next();
    let unsealed = match chain.spec().composition().work() {
        Some(_) => Reason::Difficulty,
        None => Reason::Seal,
    };
    for more in 1..20 {
        for timestamp in [-more, more] {
            let change = |header: &mut HeaderFields| {
                header.timestamp = header.timestamp.wrapping_add_signed(timestamp);
            };
            let block = rewritten(&honest, change);
            if !is_worked(&chain, block.header()) {
                assert_eq!(chain.refusal(&block), (None, unsealed));
            }
        }
    }
}

#[test]
fn rewritten_links_and_roots() {
    assert_eq!(rewrite(|header| header.chain.0[0] ^= 1), Reason::Chain);
    assert_eq!(rewrite(|header| header.height += 1), Reason::Height);
    assert_eq!(
        rewrite(|header| header.previous_hash.0[31] ^= 1),
        Reason::PreviousHash
    );
    assert_eq!(
        rewrite(|header| header.merkle_root.0[7] ^= 128),
        Reason::MerkleRoot
    );
    assert_eq!(
        rewrite(|header| header.history_root.0[8] ^= 1),
        Reason::HistoryRoot
    );
    assert_eq!(
        rewrite(|header| header.state_root.0[0] = 1),
        Reason::StateRoot
    );
}

#[test]
fn the_block_hash_changes_with_every_bit_of_the_header_and_the_block_is_refused() {
    let (chain, honest) = chain_and_next();
    let mut ledger = chain.ledger();
    let original = honest.encode();
    let header = honest.header().bytes();
    let mut decoded = 0;
    for bit in 0..header.len() * 8 {
        let mut bytes = original.clone();
        bytes[4 + bit / 8] ^= 1 << (bit % 8);
        let flipped = Bytes::copy_from_slice(&bytes[4..4 + header.len()]);
        if let Ok(flipped) = Header::decode(flipped) {
            if is_worked(&chain, &flipped) {
                continue;
            }
            assert_ne!(flipped.hash(), honest.hash(), "bit {bit}");
            assert_ne!(
                *flipped,
                **honest.header(),
                "bit {bit} stands for something"
            );
            decoded += 1;
        }
        let outcome = ledger.stage_bytes(&bytes.into()).unwrap();
        assert!(
            matches!(outcome, Staging::Rejected(_)),
            "bit {bit}: {outcome:?}"
        );
        assert_eq!(ledger.state(), chain.state());
    }
    assert!(
        decoded > 1400,
        "most flips are well-formed headers: {decoded}"
    );
    assert_eq!(
        ledger.stage(&honest).unwrap(),
        Staging::Staged,
        "the honest block still fits"
    );
}

#[test]
fn every_bit_of_seal_and_body_is_covered_too() {
    let (chain, honest) = chain_and_next();
    let mut ledger = chain.ledger();
    let original = honest.encode();
    let seal = 4 + honest.header().bytes().len();
    // The frame's lengths and the seal, then the body: whatever is flipped there, the block is refused.
    for bit in (0..32).chain(seal * 8..original.len() * 8) {
        let mut bytes = original.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let outcome = ledger.stage_bytes(&bytes.into()).unwrap();
        let Staging::Rejected(rejected) = outcome else {
            panic!("bit {bit}: {outcome:?}")
        };
        let expected: &[Reason] = match bit / 8 {
            at if at >= seal + 4 + honest.seal_bytes().len() => &[
                Reason::MerkleRoot,
                Reason::Malformed,
                Reason::TransactionCount,
            ],
            at if at >= seal + 4 => &[Reason::Seal, Reason::Quorum, Reason::Malformed],
            _ => &[Reason::Malformed, Reason::BodySize],
        };
        assert!(
            expected.contains(&rejected.reason),
            "byte {}: {rejected}",
            bit / 8
        );
    }
}

#[test]
fn wrong_height() {
    let (chain, _) = chain_and_next();
    for height in [0, 1, 3, 5, u64::MAX] {
        let block = chain.forged(&[], |header| header.height = height);
        assert_eq!(
            chain.refusal(&block),
            (None, Reason::Height),
            "height {height}"
        );
    }
}

#[test]
fn wrong_previous_hash() {
    let (chain, _) = chain_and_next();
    let earlier = chain.blocks[2].hash();
    for hash in [BlockHash::ZERO, earlier, chain.blocks[0].hash()] {
        let block = chain.forged(&[], |header| header.previous_hash = hash);
        assert_eq!(chain.refusal(&block), (None, Reason::PreviousHash));
    }
}

#[test]
fn wrong_history_root() {
    let (chain, _) = chain_and_next();
    // As it was one block ago, as it will be after this block, and none.
    let stale = chain.last().header().history_root;
    let mut longer = chain.clone();
    longer.extend(&[]);
    for root in [stale, longer.state().history_root(), Digest::ZERO] {
        let block = chain.forged(&[], |header| header.history_root = root);
        assert_eq!(chain.refusal(&block), (None, Reason::HistoryRoot));
    }
}

#[test]
fn non_zero_state_root() {
    let (chain, _) = chain_and_next();
    let block = chain.forged(&[], |header| header.state_root.0[31] = 1);
    assert_eq!(chain.refusal(&block), (None, Reason::StateRoot));
}

#[test]
fn a_header_of_an_unknown_version() {
    let (chain, honest) = chain_and_next();
    for version in [0, 3, 255] {
        let mut bytes = honest.encode();
        bytes[4] = version;
        let Staging::Rejected(rejected) = chain.offer(&bytes) else {
            panic!("accepted")
        };
        assert_eq!((rejected.height, rejected.reason), (4, Reason::Version));
    }
}

#[test]
fn a_header_cut_short_is_malformed_wherever_it_is_cut() {
    let (chain, honest) = chain_and_next();
    let header = honest.header().bytes();
    let mut ledger = chain.ledger();
    for length in 0..header.len() {
        let mut bytes = (length as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(&header[..length]);
        bytes.extend_from_slice(&honest.encode()[4 + header.len()..]);
        let outcome = ledger.stage_bytes(&bytes.into()).unwrap();
        let Staging::Rejected(rejected) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(
            rejected.reason,
            Reason::Malformed,
            "cut after {length} bytes: {rejected}"
        );
    }
}
