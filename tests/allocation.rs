//! Decoders allocate no more than a small multiple of their input, whatever lengths it claims: measured with an allocator
//! that counts.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "common/allocator.rs"]
mod allocator;
use hubledger::testing as common;

use std::io::Write as _;

use allocator::{assert_bounded, peak};
use bytes::Bytes;
use common::{Chain, Numbers};
use hubledger::blockfile::{BlockFileReader, BlockFileWriter};
use hubledger::codec::Reader;
use hubledger::evidence::{DoubleProposal, DoubleVote, Evidence};
use hubledger::ledger::Ledger;
use hubledger::model::{
    Block, Draft, Header, HeaderFields, Kind, Operation, QuorumSeal, SIGNERS_MAX, Seal,
    Transaction, VectorClock,
};
use hubledger::original::Original;
use hubledger::proof::Proof;
use hubledger::signature::Signature;
use hubledger::spec::{
    Authority, ChainSpec, Consensus, InitialAccount, ProofOfAuthority, SpecFields,
};
use hubledger::state::State;
use hubledger::vote::{Vote, VoteKind};

/// What its reader takes for a specification that somebody writes by hand, and that comes from nobody else.
const TOML_MULTIPLE: usize = 40;

type Decode = fn(&Bytes) -> bool;

fn transaction(bytes: &Bytes) -> bool {
    Transaction::decode(bytes.clone()).is_ok()
}

fn header(bytes: &Bytes) -> bool {
    Header::decode(bytes.clone()).is_ok()
}

fn block(bytes: &Bytes) -> bool {
    Block::decode(bytes).is_ok()
}

fn clock(bytes: &Bytes) -> bool {
    VectorClock::decode(&mut Reader::new(bytes)).is_ok()
}

fn json(bytes: &Bytes) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| Proof::from_json(text).is_ok())
}

fn evidence(bytes: &Bytes) -> bool {
    Evidence::decode(bytes).is_ok()
}

/// A seal of the first `signers` members.
fn quorum_seal(signers: usize) -> Bytes {
    let signed = (0..signers).map(|place| (place, Signature::from_bytes([7; 64])));
    Seal::Quorum(QuorumSeal::new(3, signed).unwrap())
        .encode()
        .into()
}

fn double_vote(block: &Block, other: &Block) -> Bytes {
    let key = common::key("hub-0");
    let signed = |block: &Block| {
        let vote = Vote {
            chain: block.header().chain,
            height: 1,
            round: 0,
            kind: VoteKind::Prevote,
            block: block.hash(),
        };
        (vote, vote.sign(&key))
    };
    let fault = DoubleVote::new(key.public_key(), signed(block), signed(other));
    Evidence::DoubleVote(fault.unwrap()).encode().into()
}

fn double_proposal(header: &Header) -> Bytes {
    let key = common::key("hub-0");
    let other = HeaderFields {
        nonce: 1,
        ..(**header).clone()
    };
    let signed = |header: Header| {
        let signature = key.sign(&Seal::message(&header.hash()));
        (header, signature)
    };
    let (one, other) = (signed(header.clone()), signed(Header::new(other).unwrap()));
    let fault = DoubleProposal::new(key.public_key(), one, other);
    Evidence::DoubleProposal(fault.unwrap()).encode().into()
}

/// A valid encoding for every decoder.
fn samples() -> Vec<(&'static str, Decode, Bytes)> {
    let mut chain = Chain::new(2, |fields| {
        fields.accounts.extend([common::account("x", 0)])
    });
    for nonce in 1..5 {
        chain.extend(&[chain.message("alice", nonce), chain.message("bob", nonce)]);
    }
    let ledger: Ledger = chain.ledger();
    let reader = ledger.reader();
    let late = Proof::Transaction(reader.prove(2, 1, None).unwrap());
    let growth = reader.prove_extends(&chain.blocks[2].hash(), None).unwrap();
    let growth = Proof::Extension(growth);
    let next = chain.succeeded(|_| {}).succeeded(|_| {});
    let original = Original {
        transaction_id: "id",
        timestamp: "1.5",
        fee: "0",
        nonce: "1",
        payload: b"payload",
    };
    let last = chain.last();
    let mut bare_clock = Vec::new();
    last.header().vector_clock.encode(&mut bare_clock);
    let first: fn(&Block) -> Bytes = |block| block.transactions()[0].bytes().clone();
    vec![
        ("transaction", transaction, first(last)),
        ("header", header, last.header().bytes().clone()),
        ("block", block, last.encode().into()),
        ("clock", clock, bare_clock.into()),
        (
            "seal",
            |b| Seal::decode(b).is_ok(),
            last.seal_bytes().clone(),
        ),
        ("quorum seal", |b| Seal::decode(b).is_ok(), quorum_seal(9)),
        ("double vote", evidence, double_vote(last, &chain.blocks[1])),
        ("double proposal", evidence, double_proposal(last.header())),
        (
            "original",
            |b| Original::decode(b).is_ok(),
            original.encode().unwrap().into(),
        ),
        (
            "specification",
            |b| ChainSpec::decode(b).is_ok(),
            chain.spec().bytes().to_vec().into(),
        ),
        (
            "specification with predecessors",
            |b| ChainSpec::decode(b).is_ok(),
            next.spec().bytes().to_vec().into(),
        ),
        (
            "header of version 2",
            header,
            next.block(&[]).header().bytes().clone(),
        ),
        (
            "state",
            |b| State::decode(b).is_ok(),
            chain.state().encode().into(),
        ),
        ("proof", |b| Proof::decode(b).is_ok(), late.encode().into()),
        (
            "growth",
            |b| Proof::decode(b).is_ok(),
            growth.encode().into(),
        ),
        ("JSON proof", json, late.to_json().into()),
        ("JSON growth", json, growth.to_json().into()),
    ]
}

/// Lengths and counts that no input here can back, and the largest that each format allows.
const LIES: [u32; 12] = [
    u32::MAX,
    u32::MAX - 3,
    1 << 31,
    256 << 20,
    16 << 20,
    1 << 20,
    100_000,
    65_536,
    8192,
    4096,
    1024,
    128,
];

#[test]
fn a_length_that_lies_anywhere_costs_nothing() {
    for (what, decode, sample) in samples() {
        let (valid, used) = peak(|| decode(&sample));
        assert!(valid, "{what}");
        assert_bounded(what, sample.len(), used);
        for at in 0..sample.len() {
            for lie in LIES {
                let mut bytes = sample.to_vec();
                let end = bytes.len().min(at + 4);
                bytes[at..end].copy_from_slice(&lie.to_le_bytes()[..end - at]);
                let bytes = Bytes::from(bytes);
                let (_, used) = peak(|| decode(&bytes));
                assert_bounded(what, bytes.len(), used);
            }
            let cut = sample.slice(..at);
            let (valid, used) = peak(|| decode(&cut));
            assert!(!valid, "{what} cut at {at}");
            assert_bounded(what, at, used);
        }
    }
}

#[test]
fn noise_costs_nothing() {
    let mut numbers = Numbers(1);
    for (what, decode, sample) in samples() {
        for _ in 0..2000 {
            let mut bytes = sample.to_vec();
            for _ in 0..=numbers.below(4) {
                let at = numbers.below(bytes.len() as u64) as usize;
                bytes[at] = numbers.draw() as u8;
            }
            let bytes = Bytes::from(bytes);
            let (_, used) = peak(|| decode(&bytes));
            assert_bounded(what, bytes.len(), used);
        }
    }
}

/// The smallest transactions that there are, so that a body holds as many as it can.
fn dense_block() -> Bytes {
    let chain = Chain::new(1, |fields| fields.limits.transactions_max = u32::MAX);
    let tiny = Draft {
        kind: Kind::Native,
        sender: "a".to_owned(),
        receiver: "b".to_owned(),
        operation: Operation::Message,
        payload: Vec::new(),
        ..chain.draft("a", 1)
    };
    let tiny = tiny.with_witnesses(Vec::new()).unwrap();
    chain.block(&vec![tiny; 20_000]).encode().into()
}

/// As many entries as a clock may have, with short names.
fn dense_header() -> Bytes {
    let chain = Chain::new(1, |_| {});
    let entries = (0..4096).map(|number| (format!("{number:x}"), 1));
    let fields = HeaderFields {
        vector_clock: VectorClock::new(entries).unwrap(),
        ..common::fields(&chain.block(&[]))
    };
    Header::new(fields).unwrap().bytes().clone()
}

fn dense_spec() -> ChainSpec {
    let mut fields = common::spec_fields(0);
    let key = |number: u32| {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_le_bytes());
        hubledger::signature::PublicKey::from_bytes(key)
    };
    let authorities = (0..20_000).map(|number| Authority {
        name: format!("{number:x}"),
        key: key(number),
        weight: 1,
    });
    fields.consensus = Consensus::ProofOfAuthority(ProofOfAuthority {
        authorities: authorities.collect(),
        round_robin: false,
    });
    let accounts = (0..20_000).map(|number| {
        let account = InitialAccount {
            key: None,
            balance: 0,
        };
        (format!("a{number:x}"), account)
    });
    fields.accounts.extend(accounts);
    ChainSpec::new(fields).unwrap()
}

#[test]
fn the_densest_inputs_take_a_small_multiple() {
    let spec = dense_spec();
    let state = State::genesis(&spec).encode();
    let inputs: [(&str, Decode, Bytes); 5] = [
        (
            "quorum seal",
            |b| Seal::decode(b).is_ok(),
            quorum_seal(SIGNERS_MAX),
        ),
        ("block", block, dense_block()),
        ("header", header, dense_header()),
        (
            "specification",
            |b| ChainSpec::decode(b).is_ok(),
            spec.bytes().to_vec().into(),
        ),
        ("state", |b| State::decode(b).is_ok(), state.into()),
    ];
    for (what, decode, bytes) in inputs {
        let (valid, used) = peak(|| decode(&bytes));
        assert!(valid, "{what}");
        assert_bounded(what, bytes.len(), used);
    }
    let toml = spec.to_toml();
    // Far more authorities than a clock has entries, which is a contradiction, but not before it is read.
    let (read, used) = peak(|| SpecFields::from_toml(&toml).and_then(ChainSpec::new));
    assert_eq!(read.unwrap(), spec);
    let bound = TOML_MULTIPLE * toml.len();
    assert!(used <= bound, "TOML: {used} bytes for {}", toml.len());
}

#[test]
fn a_block_file_that_claims_more_than_it_has_costs_its_buffer() {
    const BUFFERS: usize = 4 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.hlb");
    let mut chain = Chain::new(1, |fields| fields.limits.body_bytes_max = 256 << 20);
    chain.extend(&[chain.message("alice", 1)]);
    let mut writer = BlockFileWriter::create(&path, chain.spec()).unwrap();
    writer.append(chain.last()).unwrap();
    writer.finish().unwrap();
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len())
        .step_by(3)
        .chain([12, 16 + chain.spec().bytes().len()])
    {
        for lie in LIES {
            let mut bad = whole.clone();
            let end = bad.len().min(at + 4);
            bad[at..end].copy_from_slice(&lie.to_le_bytes()[..end - at]);
            let mut file = std::fs::File::create(&path).unwrap();
            file.write_all(&bad).unwrap();
            let (_, used) = peak(|| {
                let mut reader = BlockFileReader::open(&path)?;
                while let Some((_, bytes)) = reader.next_block()? {
                    let _ = Block::decode(&bytes);
                }
                Ok::<_, hubledger::blockfile::BlockFileError>(())
            });
            assert!(used <= BUFFERS, "{used} bytes, {lie} at {at}");
        }
    }
}
