//! Golden bytes of what members of a consensus sign and hand on: seals of many, votes, evidence, seeds.

use hubledger::codec::Reader;
use hubledger::consensus::seed::{self, Onion};
use hubledger::digest::{BlockHash, ChainId, Digest, sha256};
use hubledger::evidence::{DoubleProposal, DoubleVote, Evidence, UnauthorisedSeal};
use hubledger::model::{Header, HeaderFields, QuorumSeal, Seal};
use hubledger::signature::Signature;
use hubledger::vote::{Vote, VoteKind};

use crate::golden::{b, hash, key, spec, u32, u64};

fn vote(kind: VoteKind) -> Vote {
    Vote {
        chain: ChainId([1; 32]),
        height: 2,
        round: 3,
        kind,
        block: BlockHash([4; 32]),
    }
}

fn vote_bytes(kind: u8) -> Vec<u8> {
    [vec![1; 32], u64(2), u32(3), vec![kind], vec![4; 32]].concat()
}

#[test]
fn votes_and_what_is_signed_of_them() {
    for (tag, kind) in (1u8..).zip(VoteKind::ALL) {
        let bytes = vote_bytes(tag);
        let mut encoded = Vec::new();
        vote(kind).encode(&mut encoded);
        assert_eq!(hex::encode(&encoded), hex::encode(&bytes));
        assert_eq!(Vote::decode(&mut Reader::new(&bytes)).unwrap(), vote(kind));
        let message = [&b"hl/vote/1"[..], &sha256(&[&bytes])].concat();
        assert_eq!(vote(kind).message()[..], message);
    }
    assert_eq!(
        hash(&[&vote(VoteKind::Precommit).message()]),
        "a25ac3bb7c6a7dfdbbeb715ead99098e82384df2dd65e2a34f49f6e7a0b6fb5d"
    );
}

#[test]
fn seals_of_a_quorum_and_of_work() {
    let signed = [0, 2, 9].map(|place| {
        let signature = vote(VoteKind::Precommit).sign(&key(place as u8));
        (place, signature)
    });
    let seal = Seal::Quorum(QuorumSeal::new(3, signed).unwrap());
    let signatures: Vec<u8> = signed.iter().flat_map(|one| *one.1.as_bytes()).collect();
    let bytes = [vec![3], u32(3), b(&[0b101, 0b10]), signatures].concat();
    assert_eq!(hex::encode(seal.encode()), hex::encode(&bytes));
    assert_eq!(Seal::decode(&bytes).unwrap(), seal);
    assert_eq!(
        hash(&[&bytes]),
        "10853e4db77d19c097e35953f04f6b763c1cfba48226a5339b9828c4f5d7dbdf"
    );
    assert_eq!(Seal::Work.encode(), [4]);
    assert_eq!(Seal::decode(&[4]).unwrap(), Seal::Work);
}

#[test]
fn layers_seeds_and_draws() {
    let chain = ChainId([1; 32]);
    let secret = Digest([2; 32]);
    let layer = sha256(&[
        b"hubledger/onion/v1",
        &chain.0,
        &sha256(&[b"zeta"]),
        &secret.0,
    ]);
    let commitment = Onion::new(&chain, "zeta").commit(&secret, 1);
    assert_eq!(commitment, Some(Digest(layer)));
    let first = sha256(&[b"hubledger/seed/v1", &chain.0]);
    assert_eq!(seed::first(&chain).0, first);
    let collected = sha256(&[b"hubledger/seed/v1", &first, &secret.0]);
    assert_eq!(seed::add(&Digest(first), &secret).0, collected);
    let second = sha256(&[b"hubledger/seed/v1", &collected, &u64(2)]);
    assert_eq!(seed::finish(&Digest(collected), 2).0, second);
    let drawn = sha256(&[b"hubledger/draw/v1", &second, &u64(5), &u32(1)]);
    // Of a hundred, each of weight 1: the hundredth part of 2^128 that the number is in.
    let number = u128::from_le_bytes(*drawn.first_chunk().unwrap());
    let place = (number / (u128::MAX / 100 + 1)) as usize;
    assert_eq!(
        seed::proposer(&Digest(second), 5, 1, &[1; 100]),
        Some(place)
    );
    assert_eq!(
        hash(&[&drawn]),
        "7edc82e1285bbe2b2b25e1c689088e7558da44f05bb72a06684b7f5f548d0bae"
    );
}

#[test]
fn evidence_of_each_fault() {
    let (offender, spec) = (key(1), spec());
    let public = offender.public_key();
    let other = Vote {
        block: BlockHash([3; 32]),
        ..vote(VoteKind::Prevote)
    };
    let voted = [other, vote(VoteKind::Prevote)].map(|vote| (vote, vote.sign(&offender)));
    let double = DoubleVote::new(public, voted[1], voted[0]).unwrap();
    let bytes = [
        vec![1],
        public.as_bytes().to_vec(),
        [vec![1; 32], u64(2), u32(3), vec![2], vec![3; 32]].concat(),
        voted[0].1.as_bytes().to_vec(),
        vec![4; 32],
        voted[1].1.as_bytes().to_vec(),
    ]
    .concat();
    let double = Evidence::DoubleVote(double);
    assert_eq!(hex::encode(double.encode()), hex::encode(&bytes));
    assert_eq!(
        hash(&[&bytes]),
        "10ce4ee3682be6bfba51f06fd7539cf64d9a6cd012bd7c565812fd8c87dd4f71"
    );

    let genesis = spec.genesis().header().clone();
    let changed = HeaderFields {
        nonce: 1,
        ..(*genesis).clone()
    };
    let mut headers = [genesis, Header::new(changed).unwrap()];
    headers.sort_by_key(Header::hash);
    let sealed = headers.map(|header| {
        let signature = offender.sign(&[&b"hl/seal/1"[..], &header.hash().0].concat());
        (header, signature)
    });
    let part = |(header, signature): &(Header, Signature)| {
        [b(header.bytes()), signature.as_bytes().to_vec()].concat()
    };
    let [first, second] = sealed.clone();
    let proposal = DoubleProposal::new(public, second, first.clone()).unwrap();
    let bytes = [
        &[2],
        &public.as_bytes()[..],
        &part(&sealed[0]),
        &part(&sealed[1]),
    ]
    .concat();
    assert_eq!(Evidence::DoubleProposal(proposal).encode(), bytes);
    let seal = UnauthorisedSeal::new(public, first.0, first.1);
    let bytes = [&[3], &public.as_bytes()[..], &part(&sealed[0])].concat();
    assert_eq!(Evidence::UnauthorisedSeal(seal).encode(), bytes);
}
