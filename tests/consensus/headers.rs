//! A client that has headers and seals and no bodies: it follows a chain, and refuses what doesn't belong to it.

use hubledger::format::FormatVersion;
use hubledger::merkle::{Frontier, history_leaf};
use hubledger::model::{Block, Header, HeaderFields, OriginalHeader, Seal, VectorClock};
use hubledger::rejection::{Fault, Reason};
use hubledger::rules::Claims;
use hubledger::rules::headers::{self, Parent};
use hubledger::signature::{Signature, Verifier};
use hubledger::spec::{ChainSpec, Consensus};

use crate::common::{Chain, entries, fields, hub, key, rewritten};

const BLOCKS: u64 = 1_000;

/// What a client keeps: the last header, and the tree over all before.
struct Client {
    spec: ChainSpec,
    last: Header,
    history: Frontier,
    verifier: Verifier,
}

impl Client {
    fn new(spec: &ChainSpec) -> Self {
        let genesis = spec.genesis();
        let mut history = Frontier::new();
        history.push(history_leaf(&genesis.hash()));
        Self {
            spec: spec.clone(),
            last: genesis.header().clone(),
            history,
            verifier: Verifier::default(),
        }
    }

    fn check(&self, header: &Header, seal: &Seal, now_us: Option<u64>) -> Result<(), Fault> {
        let parent = Parent::of_header(&self.last, Some(&self.history));
        headers::check(&self.spec, &parent, header, now_us)?;
        headers::check_seal(&self.spec, header, seal, &self.verifier)
    }

    fn check_block(&self, block: &Block, now_us: Option<u64>) -> Result<(), Fault> {
        self.check(block.header(), block.seal(), now_us)
    }

    fn reason(&self, header: &Header, seal: &Seal) -> Reason {
        self.check(header, seal, None).expect_err("forged").reason
    }

    fn follow(&mut self, block: &Block) {
        self.check_block(block, None).expect("an honest header");
        self.history.push(history_leaf(&block.hash()));
        self.last = block.header().clone();
    }
}

/// A chain of two authorities that take turns, and the client that followed it.
fn followed(blocks: u64) -> (Chain, Client) {
    followed_in(FormatVersion::V1, blocks)
}

fn followed_in(version: FormatVersion, blocks: u64) -> (Chain, Client) {
    let mut chain = Chain::in_version(version, 2, |fields| {
        let Consensus::ProofOfAuthority(consensus) = &mut fields.consensus else {
            unreachable!("the only consensus");
        };
        consensus.round_robin = true;
    });
    let mut client = Client::new(chain.spec());
    for height in 0..blocks {
        let transactions = [chain.message("alice", height + 1)];
        let block = chain.block_by(&hub(height as usize % 2), &transactions);
        client.follow(&block);
        chain.push(block);
    }
    (chain, client)
}

/// A change of a header, and the reason for which it is refused, whoever seals it.
type Forgery = (fn(&mut HeaderFields), Reason);

/// Each field that headers alone decide about, behind a chain of [`BLOCKS`] and before a block by `hub-0`.
const FORGERIES: &[Forgery] = &[
    (|header| header.chain.0[0] ^= 1, Reason::Chain),
    (|header| header.height += 1, Reason::Height),
    (|header| header.height = 0, Reason::Height),
    (
        |header| header.previous_hash.0[31] ^= 1,
        Reason::PreviousHash,
    ),
    (|header| header.history_root.0[8] ^= 1, Reason::HistoryRoot),
    (|header| header.state_root.0[0] = 1, Reason::StateRoot),
    (|header| header.transaction_count = u32::MAX, Reason::Limit),
    (|header| header.body_size = 1 << 27, Reason::Limit),
    (|header| header.producer = "x".repeat(129), Reason::Limit),
    (|header| header.timestamp -= 10_000_000, Reason::Timestamp),
    (
        |header| header.vector_clock = VectorClock::empty(),
        Reason::VectorClock,
    ),
    (
        |header| header.vector_clock = entries(&[("eve", 1), ("hub-0", 501), ("hub-1", 500)]),
        Reason::VectorClock,
    ),
    (
        |header| header.producer = "mallory".to_owned(),
        Reason::VectorClock,
    ),
    (
        |header| {
            header.producer = "mallory".to_owned();
            header.vector_clock = entries(&[("hub-0", 500), ("hub-1", 500), ("mallory", 1)]);
        },
        Reason::Producer,
    ),
    (
        |header| {
            header.producer = "hub-1".to_owned();
            header.vector_clock = entries(&[("hub-0", 500), ("hub-1", 501)]);
        },
        Reason::Turn,
    ),
    (|header| header.difficulty = 2, Reason::Difficulty),
    (|header| header.nonce = 1, Reason::Difficulty),
];

/// Those of fields that only version 2 has.
const FORGERIES_OF_SUMS: &[Forgery] = &[
    (|header| header.weight -= 1, Reason::Weight),
    (|header| header.transactions += 1, Reason::TransactionCount),
    (|header| header.members_root.0[0] ^= 1, Reason::MembersRoot),
];

#[test]
fn a_client_follows_headers_and_refuses_each_forged_field() {
    for &version in FormatVersion::ALL {
        refuses_each_forged_field(version);
    }
}

fn refuses_each_forged_field(version: FormatVersion) {
    let (chain, client) = followed_in(version, BLOCKS);
    assert_eq!(client.last.height, BLOCKS);
    assert_eq!(client.history.root(), chain.state().history_root());
    let honest = chain.block_by("hub-0", &[chain.message("alice", BLOCKS + 1)]);
    client.check_block(&honest, Some(chain.now())).unwrap();
    let forged = |change: fn(&mut HeaderFields)| {
        let mut fields = fields(&honest);
        change(&mut fields);
        Header::new(fields).unwrap()
    };
    let sums = match version {
        FormatVersion::V1 => &[],
        FormatVersion::V2 => FORGERIES_OF_SUMS,
    };
    for (number, &(change, reason)) in FORGERIES.iter().chain(sums).enumerate() {
        let header = forged(change);
        let again = Seal::by_authority(&key("hub-0"), &header.hash());
        for seal in [honest.seal(), &again] {
            assert_eq!(client.reason(&header, seal), reason, "forgery {number}");
            // The validator, which sees the body too, gives the same reason, where there can be such a block.
            let block = Block::assemble(header.clone(), seal.clone(), honest.transactions());
            if let Ok(block) = block {
                assert_eq!(chain.check(&block).unwrap_err().reason, reason);
            }
        }
    }
    // What commits to the body, and what is within the rules: only the seal tells.
    let within: [fn(&mut HeaderFields); 4] = [
        |header| header.merkle_root.0[7] ^= 1,
        |header| {
            header.transaction_count += 1;
            // Where the header sums them up, one who forges keeps the sum right.
            header.transactions += u64::from(header.version >= FormatVersion::V2);
        },
        |header| header.body_size += 1,
        |header| header.timestamp += 1,
    ];
    for change in within {
        let header = forged(change);
        assert_eq!(client.reason(&header, honest.seal()), Reason::Seal);
    }
}

#[test]
fn a_client_refuses_forged_seals() {
    let (chain, client) = followed(3);
    let honest = chain.block_by("hub-1", &[]);
    client.check_block(&honest, None).unwrap();
    let by = |name: &str, signature: Signature| Seal::Authority {
        key: key(name).public_key(),
        signature,
    };
    let message = Seal::message(&honest.hash());
    let original = Seal::Original(OriginalHeader {
        block_id: "b".into(),
        timestamp: "1.0".into(),
        nonce: "0".into(),
    });
    let seals = [
        Seal::None,
        original,
        chain.last().seal().clone(),
        by("hub-0", key("hub-0").sign(&message)),
        by("hub-1", key("hub-0").sign(&message)),
        by("hub-1", Signature::from_bytes([0; 64])),
    ];
    for seal in seals {
        assert_eq!(client.reason(honest.header(), &seal), Reason::Seal);
    }
}

#[test]
fn a_header_ahead_of_the_clock_is_refused_where_a_clock_is_given() {
    let (chain, client) = followed(2);
    let honest = chain.block_by("hub-0", &[]);
    let drift = chain.spec().rules.clock_drift_max_us;
    let now_us = honest.header().timestamp - drift;
    client.check_block(&honest, Some(now_us)).unwrap();
    let fault = client.check_block(&honest, Some(now_us - 1)).unwrap_err();
    assert_eq!(fault.reason, Reason::Timestamp);
}

#[test]
fn what_a_client_does_not_know_it_does_not_check() {
    let (chain, client) = followed(4);
    let spec = chain.spec();
    let honest = chain.block_by("hub-0", &[]);
    let blind = Parent {
        height: 4,
        hash: None,
        timestamp: None,
        clock: None,
        weight: None,
        transactions: None,
        history: None,
    };
    headers::check(spec, &blind, honest.header(), None).unwrap();
    let other = rewritten(&honest, |fields| {
        fields.previous_hash.0[0] ^= 1;
        fields.history_root.0[0] ^= 1;
        fields.timestamp = 1;
        fields.vector_clock = VectorClock::empty();
    });
    headers::check(spec, &blind, other.header(), None).unwrap();
    let reason = |parent: &Parent<'_>| {
        let fault = headers::check(spec, parent, other.header(), None);
        fault.unwrap_err().reason
    };
    // One piece of knowledge after the other, in the order in which faults are told.
    let known = Parent::of_header(&client.last, Some(&client.history));
    let clock = known.clock;
    let with_clock = Parent { clock, ..blind };
    assert_eq!(reason(&with_clock), Reason::VectorClock);
    let timestamp = known.timestamp;
    let with_time = Parent {
        timestamp,
        ..with_clock
    };
    assert_eq!(reason(&with_time), Reason::Timestamp);
    let history = known.history;
    let with_history = Parent {
        history,
        ..with_time
    };
    assert_eq!(reason(&with_history), Reason::HistoryRoot);
    assert_eq!(reason(&known), Reason::PreviousHash);
    assert_eq!(
        reason(&Parent::of_state(chain.state())),
        Reason::PreviousHash
    );
}

#[test]
fn the_seals_of_many_headers_are_checked_in_one_batch() {
    let (chain, client) = followed(300);
    let mut claims = Claims::default();
    let mut headers: Vec<(Header, Seal)> = chain.blocks[1..]
        .iter()
        .map(|block| (block.header().clone(), block.seal().clone()))
        .collect();
    headers[77].1 = Seal::Authority {
        key: key(&hub(77 % 2)).public_key(),
        signature: Signature::from_bytes([0; 64]),
    };
    for (number, (header, seal)) in (0u32..).zip(&headers) {
        hubledger::consensus::check_seal(chain.spec(), header, seal).unwrap();
        claims.add_seal(number, chain.spec(), header, seal);
    }
    assert_eq!(claims.len(), 300);
    let mut found = claims.verify(0..claims.len(), &client.verifier);
    let (number, signatures) = found.pop().unwrap();
    assert!(found.is_empty());
    assert_eq!(number, 77);
    assert_eq!(signatures.into_fault().unwrap().reason, Reason::Seal);
}
