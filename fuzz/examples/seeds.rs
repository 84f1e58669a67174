//! Writes the inputs that the fuzz targets start from into `seeds/TARGET/`: `cargo run --example seeds` in this folder.
//! The same program writes the same bytes; the MPREG seeds are copies of the project's test data.

use std::path::Path;
use std::{fs, io};

use hubledger::blockfile::BlockFileWriter;
use hubledger::digest::TransactionId;
use hubledger::evidence::{DoubleProposal, DoubleVote, Evidence, UnauthorisedSeal};
use hubledger::model::{Block, Draft, Header, HeaderFields, Kind, Operation, QuorumSeal, Seal};
use hubledger::payload::{
    Attest, KeySet, ParameterValue, Payload, Profile, Propose, Register, Rotate,
};
use hubledger::signature::KeyPair;
use hubledger::spec::{Authority, ConsensusName, Parameter};
use hubledger::testing::{Numbers, entries};
use hubledger::vote::{Vote, VoteKind};
use hubledger_fuzz::{
    Chain, EDIT_BYTES, GENUINE_SNAPSHOT, GenuineArchive, PrunedChain, accounting_spec,
};
use hubledger_services::causal::{CausalEvent, CausalPayload};
use hubledger_services::route::{MessageForward, RoutePayload, RoutedMessage};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let put = |target: &str, name: &str, bytes: &[u8]| -> io::Result<()> {
        let folder = root.join("seeds").join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };
    let chain = Chain::get();
    put("spec", "generated", chain.spec.bytes())?;
    put("spec", "accounting", accounting_spec().0.bytes())?;
    put("spec", "toml", chain.spec.to_toml().as_bytes())?;
    for block in &chain.blocks[..3] {
        let name = format!("height-{}", block.height());
        put("block", &name, &block.encode())?;
        put("header", &name, block.header().bytes())?;
        for transaction in block.transactions().iter().take(2) {
            put(
                "transaction",
                &transaction.id().to_string()[..16],
                transaction.bytes(),
            )?;
        }
    }
    for (name, block) in sealed_otherwise(&chain.blocks[1]) {
        put("block", name, &block.encode())?;
    }
    for evidence in evidence(chain.blocks[1].header()) {
        put("evidence", evidence.word(), &evidence.encode())?;
    }
    for (index, state) in chain.states.iter().enumerate().take(3) {
        let bytes = state.encode();
        put("state", &format!("after-{index}"), &bytes)?;
        put(
            "state",
            &format!("unsummed-{index}"),
            &bytes[..bytes.len() - 32],
        )?;
    }
    for (name, operation, bytes) in payloads() {
        put("payload", &name, &tagged(operation, &bytes))?;
    }
    for (target, payloads) in [
        ("queue_payload", hubledger_fuzz::queue_payloads()),
        ("cache_payload", hubledger_fuzz::cache_payloads()),
        ("record_payload", hubledger_fuzz::record_payloads()),
        ("update_payload", hubledger_fuzz::update_payloads()),
    ] {
        for (name, bytes) in payloads {
            put(target, &name, &bytes)?;
        }
    }
    for (name, bytes) in hubledger_fuzz::registry_payloads() {
        put("registry_payload", name, &bytes)?;
    }
    for (name, bytes) in route_payloads() {
        put("route_payload", name, &bytes)?;
    }
    let mut numbers = Numbers(1);
    for index in 0..4 {
        let acts: Vec<u8> = (0..600).map(|_| numbers.below(256) as u8).collect();
        put("transitions", &format!("acts-{index}"), &acts)?;
    }
    for (name, input) in targets() {
        put("target", name, &input)?;
    }
    let last = chain.proofs.len() - 1;
    for index in [0, last / 2, last] {
        let genuine = &chain.proofs[index];
        put("proof", &format!("binary-{index}"), &genuine.bytes)?;
        put(
            "proof",
            &format!("json-{index}"),
            genuine.proof.to_json().as_bytes(),
        )?;
        let mut edits = u16::try_from(index)
            .expect("a small chain")
            .to_le_bytes()
            .to_vec();
        edits.extend([1; EDIT_BYTES]);
        put("verify_proof", &format!("edit-{index}"), &edits)?;
    }
    put("verdict", "transfers", &transfers())?;
    for (name, bytes) in signatures() {
        put("signatures", name, &bytes)?;
    }
    for (name, bytes) in pools() {
        put("pool", name, &bytes)?;
    }
    for (name, bytes) in branches() {
        put("branches", &name, &bytes)?;
    }
    put("log_store", "bytes", &[0, 5, 0, 1, 0, 0, 8, 0, 0x40])?;
    put("log_store", "cut", &[1, 3, 0, 0x80, 0, 0])?;
    put("log_store", "gone", &[2, 1])?;
    put("log_store", "longer", &[3, 4, 2, 7, 7])?;
    put("log_store", "frame", &[4, 2, 20, 0, 0, 0])?;
    put("log_store", "run", &[5, 30, 1, 2, 9, 0, 8, 0, 8, 0])?;
    // The mark is gone, or old, and a floor is cut away that index files were made below.
    let floor = |old: u8| [0x4f, 0x1a, 0x1a, 0x0a, 0x1a, 0x1a + old, 0x2d];
    put("log_store", "floor", &floor(0))?;
    put("log_store", "floor-old", &floor(6))?;
    // The same of the log with branches, and forged frames that replace blocks: by none, and by one.
    put("log_store", "branches", &[0x80, 5, 0, 1, 0, 0, 8, 0, 0x40])?;
    put("log_store", "branches-cut", &[0x81, 3, 0, 0x80, 0, 0])?;
    put("log_store", "branches-gone", &[0x82, 1])?;
    let mut branches_floor = floor(6);
    branches_floor[0] |= 0x80;
    put("log_store", "branches-floor-old", &branches_floor)?;
    put("log_store", "replace", &[4, 9, 20, 0, 0, 0])?;
    put("log_store", "branches-replace", &[0x84, 9, 20, 0, 0, 0])?;
    let record = |kind| [kind, 29, 0, 0, 2, 1, 0, 80, 0, 0, 8, 0, 0, 40, 9];
    put("log_store", "replace-record", &record(0x0b))?;
    put("log_store", "branches-replace-record", &record(0x8b))?;
    let archive = GenuineArchive::of(chain);
    put("archive", "manifest", &tagged(0, &archive.manifest))?;
    put("archive", "unsummed", &tagged(1, &archive.unsummed()))?;
    put("archive", "file", &tagged(2, &archive.file))?;
    put("archive", "contents", &tagged(3, &archive.contents()))?;
    let snapshot = &*GENUINE_SNAPSHOT;
    for (kind, files) in [(0, &snapshot.row_files), (1, &snapshot.header_files)] {
        let (first, last) = (&files[0], &files[files.len() - 1]);
        put("snapshot", &format!("first-{kind}"), &tagged(kind, first))?;
        put("snapshot", &format!("last-{kind}"), &tagged(kind, last))?;
    }
    put("snapshot", "manifest", &tagged(2, &snapshot.manifest))?;
    let mut unsummed = snapshot.manifest.clone();
    let end = unsummed.len() - b"\"\n}\n".len();
    unsummed[end - 64..end].fill(b'0');
    put("snapshot", "unsummed", &tagged(3, &unsummed))?;
    let (directory, chunk) = PrunedChain::values();
    for (kind, value) in [(0, &directory), (2, &chunk)] {
        let bare = &value[..value.len() - 32];
        put("leaves", &format!("value-{kind}"), &tagged(kind, value))?;
        put(
            "leaves",
            &format!("unsummed-{kind}"),
            &tagged(kind + 1, bare),
        )?;
    }
    put("block_file", "chain", &block_file(root, chain)?)
}

fn vote(block: &Header) -> Vote {
    Vote {
        chain: block.chain,
        height: block.height,
        round: 1,
        kind: VoteKind::Precommit,
        block: block.hash(),
    }
}

/// The same block under seals that its chain doesn't have.
fn sealed_otherwise(block: &Block) -> [(&'static str, Block); 2] {
    let vote = vote(block.header());
    let signed =
        [0u8, 2, 9].map(|place| (place.into(), vote.sign(&KeyPair::from_seed(&[place; 32]))));
    let quorum = QuorumSeal::new(vote.round, signed).expect("in order");
    [
        ("quorum", block.clone().sealed(Seal::Quorum(quorum))),
        ("work", block.clone().sealed(Seal::Work)),
    ]
}

/// Evidence of each fault, about two headers that differ in their nonces.
fn evidence(header: &Header) -> [Evidence; 3] {
    let offender = KeyPair::from_seed(&[1; 32]);
    let key = offender.public_key();
    let nonce = header.nonce + 1;
    let other = HeaderFields {
        nonce,
        ..(**header).clone()
    };
    let headers = [
        header.clone(),
        Header::new(other).expect("only the nonce differs"),
    ];
    let [one, other] =
        [&headers[0], &headers[1]].map(|header| (vote(header), vote(header).sign(&offender)));
    let votes = DoubleVote::new(key, one, other).expect("two blocks");
    let [one, other] = headers.map(|header| {
        let signature = offender.sign(&Seal::message(&header.hash()));
        (header, signature)
    });
    let proposals = DoubleProposal::new(key, one.clone(), other).expect("two blocks");
    [
        Evidence::DoubleVote(votes),
        Evidence::DoubleProposal(proposals),
        Evidence::UnauthorisedSeal(UnauthorisedSeal::new(key, one.0, one.1)),
    ]
}

/// A chain on schedule, one that is behind and one that is ahead: spacing, half-life (or interval), height and time of the anchor, height,
/// time and difficulty; then a hash, the limit and the anchor's target.
fn targets() -> Vec<(&'static str, Vec<u8>)> {
    let with = |height: u64, time: u64, zeros: usize| {
        let numbers = [600, 172_800, 1, 1_600_000_000, height, time, 64];
        let hash = [0x77; 32];
        let (mut limit, mut target) = ([0xff; 32], [0x42; 32]);
        limit[..zeros].fill(0);
        target[..zeros + 4].fill(0);
        let numbers = numbers.into_iter().flat_map(u64::to_le_bytes);
        numbers
            .chain([hash, limit, target].into_iter().flatten())
            .collect()
    };
    vec![
        ("on-schedule", with(100, 1_600_060_000, 4)),
        ("behind", with(2, 1_600_400_000, 4)),
        ("ahead", with(5_000, 1_600_000_100, 0)),
    ]
}

/// Payloads of several kinds in both forms, each with the number of an operation that goes with it.
fn payloads() -> Vec<(String, u8, Vec<u8>)> {
    let key = |seed| KeyPair::from_seed(&[seed; 32]).public_key();
    let pair = KeySet::new(1, vec![key(1), key(2)]).expect("two keys");
    let payloads = [
        Payload::Register(Register {
            keys: pair.clone(),
            recovery: Some(KeySet::single(key(3)).expect("a key")),
            stake: 1_000,
            attester: Some("hub".to_owned()),
            profile: Profile {
                role: "hub".to_owned(),
                capabilities: vec!["routing".to_owned()],
                ..Profile::default()
            },
        }),
        Payload::Rotate(Rotate {
            keys: pair.clone(),
            effective: 9,
            grace: 3,
        }),
        Payload::Attest(Attest {
            subject: "node".to_owned(),
            keys: pair.digest(),
            purpose: "membership".to_owned(),
            expiry: 90,
        }),
        Payload::Propose(Propose {
            parameter: Parameter::Members,
            value: ParameterValue::Members(vec![Authority {
                name: "a".to_owned(),
                key: key(1),
                weight: 1,
            }]),
            effective: 7,
        }),
    ];
    let both = payloads.iter().flat_map(|payload| {
        let all = Operation::ALL.iter();
        let number = all
            .take_while(|one| !payload.operations().contains(one))
            .count() as u8;
        [
            (payload.word().to_owned(), number, payload.encode()),
            (
                format!("{}-json", payload.word()),
                number,
                payload.to_json().into_bytes(),
            ),
        ]
    });
    both.collect()
}

fn tagged(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], bytes].concat()
}

/// Batches for the target `signatures`: how many good items stand around, settings, then five bytes for each item that the
/// target makes: kind, signer, message, where and what it is changed to.
fn signatures() -> Vec<(&'static str, Vec<u8>)> {
    let kinds: Vec<u8> = (0..12)
        .flat_map(|kind| [kind, kind % 3, kind % 8, 9 * kind, kind])
        .collect();
    let batch = |good: u8, settings: u8, items: &[u8]| [&[good, settings], items].concat();
    // By one signer, so often that it gets a comb, which the last item then doesn't match.
    let mut hot = [0u8, 1, 2, 0, 0].repeat(6);
    hot.extend_from_slice(&[3, 1, 2, 40, 1]);
    vec![
        ("one", batch(0, 0, &kinds[..5])),
        ("kinds-0-5", batch(0, 1, &kinds[..30])),
        ("kinds-6-11", batch(0, 1, &kinds[30..])),
        ("cells", batch(15, 0b0110, &kinds[..30])),
        ("buckets", batch(240, 0b1000, &kinds[30..])),
        ("hot-key", batch(0, 0b1000, &hot)),
        ("search", batch(255, 0b1111, &kinds[20..25])),
    ]
}

/// Transfers between the accounts of the accounting chain, each behind its length.
fn transfers() -> Vec<u8> {
    let (spec, _) = accounting_spec();
    let mut bytes = Vec::new();
    for nonce in 1..6u64 {
        for (sender, receiver) in [("a", "b"), ("b", "c"), ("a", "a")] {
            let draft = Draft {
                kind: Kind::Native,
                chain: spec.id(),
                sender: sender.to_owned(),
                receiver: receiver.to_owned(),
                operation: Operation::Transfer,
                amount: nonce * 7,
                payload: Vec::new(),
                timestamp: 2_000_000 + nonce,
                expiry: 0,
                fee: 1,
                nonce: nonce * 2 + u64::from(receiver == "a"),
            };
            let transaction = draft
                .with_witnesses(Vec::new())
                .expect("within every limit");
            bytes.extend((transaction.bytes().len() as u32).to_le_bytes());
            bytes.extend_from_slice(transaction.bytes());
        }
    }
    bytes
}

fn block_file(root: &Path, chain: &Chain) -> io::Result<Vec<u8>> {
    let path = root.join("seeds/chain.partial-seed");
    let mut file = BlockFileWriter::create(&path, &chain.spec).map_err(io::Error::other)?;
    for block in &chain.blocks[1..4] {
        file.append(block).map_err(io::Error::other)?;
    }
    file.finish().map_err(io::Error::other)?;
    let bytes = fs::read(&path)?;
    fs::remove_file(&path)?;
    Ok(bytes)
}

/// Blocks of each composition that are final at two depths, some twenty each, and the order in which they come.
fn branches() -> Vec<(String, Vec<u8>)> {
    let kinds = [("shallow", 1, 1), ("deep", 7, 2)];
    let names = (0..).zip(ConsensusName::ALL);
    let seed = |(number, name): (u8, &ConsensusName), (kind, depth, root_interval)| {
        let mut numbers = Numbers(u64::from(depth));
        let mut bytes = vec![number, depth, root_interval, 20];
        bytes.extend((0..360).map(|_| numbers.below(256) as u8));
        // By now all blocks are made: the rest is which one comes and how, mostly one after the other.
        for at in 0..60 {
            let ahead = numbers.below(5) as u8;
            let how = match numbers.below(8) {
                0 => 0x80,
                1 => 0x40,
                _ => numbers.below(4) as u8,
            };
            bytes.extend([at / 2 + ahead, how]);
        }
        (format!("{}-{kind}", name.word()), bytes)
    };
    let of_name = |name| kinds.map(|kind: (&str, u8, u8)| seed(name, kind));
    names.flat_map(of_name).collect()
}

/// Operations on pools of all terms, some hundreds each: the first six bytes are bounds and terms.
fn pools() -> Vec<(&'static str, Vec<u8>)> {
    let terms = [
        ("growing", 0),
        ("consecutive", 1),
        ("balances", 2),
        ("consecutive-balances", 3),
        ("stakes", 6),
    ];
    let pool = |(name, terms): (&'static str, u8)| {
        let mut bytes = vec![30, 60, 2, 1, 200, terms];
        let mut state = 0x9e37_79b9_u32 ^ u32::from(terms);
        bytes.extend(
            std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                (state >> 24) as u8
            })
            .take(1_200),
        );
        (name, bytes)
    };
    terms.into_iter().map(pool).collect()
}

/// What is said about routes and the causal order, in both forms.
fn route_payloads() -> Vec<(&'static str, Vec<u8>)> {
    let message = RoutePayload::RoutedMessage(RoutedMessage {
        path: ["hub_us", "hub_eu", "node_bob"].map(str::to_owned).to_vec(),
        body: b"hello".to_vec(),
    });
    let forward = RoutePayload::MessageForward(MessageForward {
        original_message_id: TransactionId([1; 32]),
        hop_number: 1,
        timestamp: 1_767_225_600_500_000,
        next_hop: Some("node_bob".to_owned()),
    });
    let event = CausalPayload::CausalEvent(CausalEvent {
        vector_clock: entries(&[("hub_eu", 7), ("hub_us", 3)]),
        body: b"it happened".to_vec(),
    });
    vec![
        ("message", message.encode()),
        ("message-json", message.to_json().into_bytes()),
        ("forward", forward.encode()),
        ("forward-json", forward.to_json().into_bytes()),
        ("event", event.encode()),
        ("event-json", event.to_json().into_bytes()),
    ]
}
