//! A chain of each composition as a file, for other implementations (`tests/vectors/consensus/README.md`): who is a member and who proposes at
//! each height, what is valid there and what isn't. `HUBLEDGER_WRITE_VECTORS=1` writes the files anew.

mod chains;
mod naive;
mod offers;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use hubledger::consensus::{self, work::Target};
use hubledger::engine::{Engine, Outcome};
use hubledger::model::Block;
use hubledger::payload::{Convict, Payload};
use hubledger::rejection::Rejected;
use hubledger::rules::light::LightClient;
use hubledger::signature::Verifier;
use hubledger::spec::{ChainSpec, Proposer};
use hubledger::state::tables::{Convictions, Pools, SeedRow, SeedRows, TurnRows};
use serde_json::{Value, json};

use self::chains::{CHAINS, OFFERS_EACH};
use self::offers::Noted;
use crate::common::{Chain, clock, memory};

/// The proposers of so many rounds are in the files.
const ROUNDS: u32 = 4;
/// A file is no longer than this.
const FILE_BYTES_MAX: usize = 200 << 10;

fn path(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/consensus");
    folder.join(format!("{name}.json"))
}

/// What the chain says of the next height before its block is known.
fn schedule(chain: &Chain) -> Value {
    let (spec, state) = (chain.spec(), chain.state());
    let height = state.height() + 1;
    let (parts, members) = (spec.composition(), chain.members(height));
    let total: u64 = members.iter().map(|member| member.weight).sum();
    let proposer = |round| {
        let place = consensus::proposer(spec, state, round)?;
        Some(members.get(place)?.name.clone())
    };
    let turns = state.value::<TurnRows>(TurnRows::KEY);
    let priorities = match parts.proposer {
        // Before the first height nobody is ahead.
        Proposer::WeightedTurn => {
            Some(turns.map_or(vec![0; members.len()], |turns| turns.priorities))
        }
        _ => None,
    };
    let seed = match parts.proposer {
        Proposer::Seeded { epoch } => {
            let epochs = consensus::seed::Epochs::new(epoch).unwrap();
            let kept = state.value::<SeedRows>(&SeedRows::key(epochs.of(height)));
            Some(match kept {
                Some(SeedRow::Seed(seed)) => seed,
                _ => consensus::seed::first(&spec.id()),
            })
        }
        _ => None,
    };
    let difficulty = consensus::draft(spec, state).difficulty;
    let works = parts.work().is_some();
    json!({
        "height": height,
        "members": members.iter().map(|member| json!({
            "name": member.name,
            "key": member.key.to_string(),
            "weight": member.weight,
        })).collect::<Vec<_>>(),
        "members_root": hubledger::spec::members_root(&members),
        "total": total,
        "quorum": parts.quorum().map(|quorum| quorum.least(total)),
        "priorities": priorities,
        "seed": seed,
        "proposers": (0..ROUNDS).map(proposer).collect::<Vec<_>>(),
        "difficulty": difficulty,
        "target": works.then(|| hex::encode(Target::from_difficulty(difficulty).to_be_bytes())),
    })
}

/// What there is behind the last block.
fn outcome(chain: &Chain) -> Value {
    let (spec, mut state) = (chain.spec(), chain.state().clone());
    let convictions = chain
        .last()
        .transactions()
        .iter()
        .filter_map(|transaction| {
            let Ok(Payload::Convict(Convict { evidence })) = Payload::decode(transaction.payload())
            else {
                return None;
            };
            let members = chain_members(chain, evidence.height());
            let key = evidence.key();
            let (name, _) = members.into_iter().find(|(_, held)| *held == key)?;
            let row = Convictions::key(&name, evidence.tag(), evidence.height(), evidence.round());
            let conviction = state.value::<Convictions>(&row)?;
            let left = state.value::<Pools>(&Pools::key(&name, 0));
            Some(json!({
                "name": name,
                "kind": evidence.tag(),
                "height": evidence.height(),
                "round": evidence.round(),
                "basis_points": conviction.basis_points,
                "stake_left": left.map(|pool| pool.tokens),
            }))
        });
    let convictions: Vec<_> = convictions.collect();
    json!({
        "weight": state.weight().to_string(),
        "final": consensus::final_height(spec, &state),
        "state_root": state.root(),
        "convictions": convictions,
    })
}

fn chain_members(chain: &Chain, height: u64) -> Vec<(String, hubledger::signature::PublicKey)> {
    let members = consensus::members(chain.spec(), chain.state(), height);
    let members = members.iter();
    members.map(|one| (one.name.clone(), one.key)).collect()
}

/// The verdict on a block, at the time that it says.
fn verdict(chain: &Chain, block: &Block) -> Result<(), Rejected> {
    let now_us = block.header().timestamp;
    chain.check_at(block, now_us).map(drop)
}

fn append(chain: &mut Chain, block: Block) {
    let valid = chain.check_at(&block, block.header().timestamp).unwrap();
    chain.validator.apply(&valid);
    chain.blocks.push(block);
}

fn made(chain: &Chain) -> Value {
    let mut grown = Chain::of(chain.spec().clone());
    let mut heights = Vec::new();
    for block in &chain.blocks[1..] {
        let schedule = schedule(&grown);
        let is_shown = block.height() % OFFERS_EACH == 1;
        let (mut refused, mut others) = (Vec::new(), Vec::new());
        if is_shown {
            // Of round 0, whatever round the chain's own block is of.
            let due = grown.due(0, &[], &[]);
            refused = offers::refused(&grown, &due);
            others = offers::others(&grown, &due);
        }
        let refused = refused.iter().map(|(note, block): &Noted| {
            let rejected = verdict(&grown, block).expect_err(note);
            json!({
                "note": note,
                "block": hex::encode(block.encode()),
                "reason": rejected.reason,
            })
        });
        let others = others.iter().map(|(note, block)| {
            verdict(&grown, block).expect(note);
            json!({ "note": note, "block": hex::encode(block.encode()) })
        });
        let (refused, others): (Vec<_>, Vec<_>) = (refused.collect(), others.collect());
        append(&mut grown, block.clone());
        heights.push(json!({
            "schedule": schedule,
            "refused": refused,
            "also_valid": others,
            "block": hex::encode(block.encode()),
            "hash": block.hash(),
            "then": outcome(&grown),
        }));
    }
    json!({
        "specification": hex::encode(chain.spec().bytes()),
        "toml": chain.spec().to_toml(),
        "chain": chain.spec().id(),
        "genesis": chain.blocks[0].hash(),
        "heights": heights,
    })
}

/// Writes the file if that is asked for, and reads it.
fn vectors(name: &str, make: impl FnOnce() -> Chain) -> Value {
    let path = path(name);
    if std::env::var_os("HUBLEDGER_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&made(&make())).unwrap();
        fs::write(&path, text + "\n").unwrap();
    }
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    assert!(text.len() <= FILE_BYTES_MAX, "{name}: {}", text.len());
    serde_json::from_str(&text).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn block(value: &Value) -> Block {
    let bytes = hex::decode(value["block"].as_str().unwrap()).unwrap();
    Block::decode(&bytes.into()).unwrap()
}

/// The chain in a file, every word of which is what this implementation says: its validator, and alike an engine.
fn read(name: &str, file: &Value, reasons: &mut BTreeSet<String>) -> Chain {
    let bytes = hex::decode(file["specification"].as_str().unwrap()).unwrap();
    let spec = ChainSpec::decode(&bytes).unwrap();
    assert_eq!(json!(spec.id()), file["chain"]);
    let text = file["toml"].as_str().unwrap();
    assert_eq!(
        ChainSpec::from_toml(text).unwrap().id(),
        spec.id(),
        "{text}"
    );
    let mut chain = Chain::of(spec);
    assert_eq!(json!(chain.blocks[0].hash()), file["genesis"]);
    let heights = list(&file["heights"]);
    let last = block(&heights[heights.len() - 1]);
    let builder = Engine::builder().threads(2);
    let builder = builder.clock(clock(last.header().timestamp));
    let engine = builder.create(memory(), chain.spec()).unwrap();
    let import = |block: &Block| {
        let outcome = engine.import([block.encode().into()]).next();
        outcome.unwrap().unwrap()
    };
    for height in heights {
        let at = chain.state().height() + 1;
        assert_eq!(schedule(&chain), height["schedule"], "{name} {at}");
        for refused in list(&height["refused"]) {
            let (note, block) = (&refused["note"], block(refused));
            let rejected = verdict(&chain, &block).unwrap_err();
            assert_eq!(json!(rejected.reason), refused["reason"], "{name} {note}");
            assert_eq!(import(&block), Outcome::Rejected(rejected), "{name} {note}");
            reasons.insert(refused["reason"].as_str().unwrap().to_owned());
        }
        for valid in list(&height["also_valid"]) {
            let (note, block) = (&valid["note"], block(valid));
            assert_eq!(verdict(&chain, &block), Ok(()), "{name} {at} {note}");
        }
        let block = block(height);
        assert_eq!(json!(block.hash()), height["hash"]);
        assert!(
            matches!(import(&block), Outcome::Committed(_)),
            "{name} {at}"
        );
        append(&mut chain, block);
        assert_eq!(outcome(&chain), height["then"], "{name} {at}");
    }
    chain
}

#[test]
fn every_composition_says_of_its_vectors_what_they_say() {
    let mut reasons = BTreeSet::new();
    for (name, make) in CHAINS {
        let file = vectors(name, make);
        let chain = read(name, &file, &mut reasons);
        assert!(list(&file["heights"]).len() >= 10, "{name}");
        // By headers alone too.
        let mut client = LightClient::new(chain.spec().clone());
        let (steps, now) = (chain.steps(), chain.now());
        client.follow(&steps, now, &Verifier::default()).unwrap();
        assert_eq!(client.header().hash(), chain.state().head(), "{name}");
    }
    let expected = [
        "difficulty",
        "members_root",
        "producer",
        "quorum",
        "seal",
        "turn",
        "vector_clock",
        "weight",
    ];
    assert_eq!(reasons, expected.map(str::to_owned).into(), "all are there");
}

#[test]
fn a_naive_reading_of_the_format_comes_to_the_same() {
    let mut refused = 0;
    for (name, make) in CHAINS {
        let file = vectors(name, make);
        refused += naive::read(name, &file);
    }
    assert!(refused > 100, "{refused} refused");
}
