//! State updates against naive ones, and the transactions of a block by id.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;

use hubledger::digest::TransactionId;
use hubledger::ledger::LedgerError;
use hubledger::model::{Block, Draft, Operation};
use hubledger::payload::MARK;
use hubledger::testing::{Chain, Numbers};
use hubledger_services::payload::Fields;
use hubledger_services::queue::{Pattern, QueuePayload};
use hubledger_services::testing::{Trial, made_anew, memory};
use hubledger_services::updates::{
    Interests, StateUpdate, Stream, UpdatePayload, Updates, UpdatesView, parts_of,
};
use hubledger_services::view::{CommittedBlock, Snapshot, ViewError};
use hubledger_storage::{RangeLimit, StoreUrl};
use proptest::prelude::*;

const NODES: [&str; 2] = ["hub-a", "hub-b"];
const TYPES: [&str; 2] = ["load", "peers"];
const TOPICS: [&str; 3] = ["trades", "trades.eu", "news"];
const ALL: RangeLimit = RangeLimit {
    rows: 1 << 20,
    bytes: 1 << 30,
};

fn enqueue(topic: &str, body: u64) -> Vec<u8> {
    format!("{{\"action\":\"enqueue\",\"topic\":\"{topic}\",\"body\":\"{body}\"}}").into_bytes()
}

fn speak(numbers: &mut Numbers, chain: &Chain) -> Draft {
    let mut draft = chain.draft(NODES[numbers.below(2) as usize], 1);
    match numbers.below(7) {
        0 | 1 => {
            draft.operation = Operation::NodeUpdate;
            let said = UpdatePayload::StateUpdate(StateUpdate {
                update_type: TYPES[numbers.below(2) as usize].to_owned(),
                version: numbers.below(30),
                state: numbers.draw().to_string().into_bytes(),
            });
            draft.payload = match numbers.below(5) {
                0 => b"{\"action\":\"state_update\",\"version\":-1}".to_vec(),
                1 => [&MARK[..], &[68, 9, 9]].concat(),
                2 => said.to_json().into_bytes(),
                _ => said.encode(),
            };
        }
        2 => draft.operation = Operation::FederationJoin,
        3 => draft.operation = Operation::FederationLeave,
        4 | 5 => draft.payload = enqueue(TOPICS[numbers.below(3) as usize], numbers.draw()),
        _ => {}
    }
    draft
}

/// All that updates something, from scratch, in the order of the chain.
fn naive(blocks: &[Block]) -> Vec<((u64, u32), Stream, TransactionId)> {
    let mut all = Vec::new();
    for block in blocks {
        for entry in CommittedBlock::new(block).entries() {
            let stream = match entry.operation() {
                Operation::NodeUpdate => Stream::Nodes,
                Operation::FederationJoin | Operation::FederationLeave => Stream::Registry,
                Operation::NodeRegister => Stream::Registry,
                _ => match TOPICS.iter().find(|topic| {
                    let text = String::from_utf8_lossy(entry.transaction().payload());
                    text.contains(&format!("\"topic\":\"{topic}\""))
                }) {
                    Some(topic) => Stream::Topic((*topic).to_owned()),
                    None => continue,
                },
            };
            all.push(((block.height(), entry.index), stream, entry.id()));
        }
    }
    all
}

fn interests() -> Vec<Interests> {
    let topic = |name: &str| Interests {
        topics: vec![Pattern::new(name).unwrap()],
        ..Interests::default()
    };
    let nodes = Interests {
        nodes: true,
        ..Interests::default()
    };
    let all = Interests {
        nodes: true,
        registry: true,
        topics: TOPICS.map(|name| Pattern::new(name).unwrap()).to_vec(),
    };
    let mut all = vec![topic("trades"), topic("trades.eu"), nodes, all];
    all.extend(["trades.#", "trades.*", "*", "#", "*.eu"].map(topic));
    let overlapping = ["#", "trades.#", "news"];
    all.push(Interests {
        registry: true,
        topics: overlapping.map(|text| Pattern::new(text).unwrap()).to_vec(),
        ..Interests::default()
    });
    all
}

fn wants(interests: &Interests, stream: &Stream) -> bool {
    match stream {
        Stream::Nodes => interests.nodes,
        Stream::Registry => interests.registry,
        Stream::Topic(name) => interests.topics.iter().any(|pattern| pattern.has(name)),
    }
}

fn compare(blocks: &[Block], snapshot: &Snapshot) {
    compare_states(blocks, snapshot);
    let rows = naive(blocks);
    let held = hubledger_services::testing::rows_of(snapshot);
    let ids = held.iter().filter(|(table, _)| *table == 0);
    let mut ids: Vec<_> = ids.map(|(_, (_, id))| id.to_vec()).collect();
    let mut expected: Vec<_> = rows.iter().map(|(_, _, id)| id.0.to_vec()).collect();
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);
}

fn compare_states(blocks: &[Block], snapshot: &Snapshot) {
    let mut states: BTreeMap<(String, String), StateUpdate> = BTreeMap::new();
    for block in blocks {
        for entry in CommittedBlock::new(block).entries() {
            let Some(UpdatePayload::StateUpdate(said)) = UpdatePayload::of(&entry) else {
                continue;
            };
            let key = (entry.sender().to_owned(), said.update_type.clone());
            match states.get(&key) {
                Some(held) if held.version >= said.version => {}
                _ => drop(states.insert(key, said)),
            }
        }
    }
    let chain = Chain::new(1, |_| {});
    let updates = Updates::new(snapshot.clone(), chain.ledger().reader());
    for node in NODES {
        for kind in TYPES {
            let held = updates.state(node, kind).unwrap();
            let held = held.map(|stated| (stated.version, stated.state.to_vec()));
            let expected = states.get(&(node.to_owned(), kind.to_owned()));
            let expected = expected.map(|said| (said.version, said.state.clone()));
            assert_eq!(held, expected);
        }
    }
}

#[test]
fn whatever_happens_to_the_chain_updates_are_what_naive_ones_are() {
    for seed in 0..40 {
        let trial = Trial {
            view: &|| Box::new(UpdatesView),
            store: &memory(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed, 40);
    }
}

#[test]
fn the_same_in_a_store_with_files() {
    for seed in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("log:{}", folder.path().join("views").display());
        let url: StoreUrl = url.parse().unwrap();
        let trial = Trial {
            view: &|| Box::new(UpdatesView),
            store: &|| url.open_or_create().unwrap(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed, 30);
    }
}

/// A chain of so many blocks of what `speak` thinks up.
fn grown(seed: u64, blocks: u64) -> Chain {
    let (mut numbers, mut chain, mut nonce) = (Numbers(seed), Chain::new(1, |_| {}), 0);
    for _ in 0..blocks {
        let mut transactions = Vec::new();
        for _ in 0..numbers.below(12) {
            nonce += 1;
            let mut draft = speak(&mut numbers, &chain);
            draft.nonce = nonce;
            let signer = hubledger::testing::key(&draft.sender);
            transactions.push(draft.sign(&[&signer]).unwrap());
        }
        chain.extend(&transactions);
    }
    chain
}

fn updates_of(chain: &Chain) -> Updates {
    let snapshot = made_anew(chain, Box::new(UpdatesView), 0);
    Updates::new(snapshot, chain.ledger().reader())
}

#[test]
fn a_peer_gets_what_it_lacks_in_answers_of_any_size_and_each_is_proved() {
    let chain = grown(7, 30);
    let (updates, reader, head) = (
        updates_of(&chain),
        chain.ledger().reader(),
        chain.last().hash(),
    );
    for interests in interests() {
        for limit in [
            ALL,
            RangeLimit {
                rows: 3,
                bytes: 1 << 20,
            },
            RangeLimit {
                rows: 9,
                bytes: 500,
            },
        ] {
            let (mut found, mut from) = (Vec::new(), Some((11, 0)));
            while let Some(place) = from {
                let answer = updates.since(&interests, place, limit).unwrap();
                assert!(answer.updates.len() <= limit.rows);
                for update in answer.updates {
                    let place = (update.recorded.height, update.recorded.index);
                    assert_eq!(update.transaction.unwrap().id(), update.recorded.id);
                    let proof = update.recorded.prove(&reader, None).unwrap();
                    assert_eq!(proof.verify(&head).unwrap().id, update.recorded.id);
                    found.push((place, update.stream, update.recorded.id));
                }
                from = answer.next;
            }
            let mut expected = naive(&chain.blocks);
            expected.retain(|(place, stream, _)| place.0 >= 11 && wants(&interests, stream));
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_peer_names_blocks_and_the_first_that_is_known_counts() {
    let chain = grown(3, 12);
    let updates = updates_of(&chain);
    let unknown = hubledger::digest::BlockHash([9; 32]);
    let fifth = chain.blocks[5].hash();
    let nothing = |_: &_| None;
    let height = |named: &[_]| {
        updates
            .base(named, &nothing)
            .unwrap()
            .map(|base| base.height)
    };
    assert_eq!(height(&[unknown]), None);
    assert_eq!(height(&[unknown, fifth, chain.blocks[9].hash()]), Some(5));
    // One that was replaced leads to where its branch began.
    let began = |hash: &_| (*hash == unknown).then_some(fifth);
    let base = updates.base(&[unknown], &began).unwrap().unwrap();
    assert_eq!((base.height, base.hash), (5, fifth));
}

#[test]
fn an_answer_from_a_chain_that_has_changed_is_an_error() {
    let (chain, other) = (grown(3, 12), grown(4, 12));
    let snapshot = made_anew(&chain, Box::new(UpdatesView), 0);
    let updates = Updates::new(snapshot, other.ledger().reader());
    let outcome = updates.since(&interests()[3], (0, 0), ALL);
    assert!(matches!(outcome, Err(ViewError::Apart { .. })));
}

#[test]
fn transactions_of_a_block_come_by_id_with_their_paths_and_make_it_whole() {
    let chain = grown(5, 20);
    let block = chain
        .blocks
        .iter()
        .max_by_key(|block| block.transactions().len())
        .unwrap();
    let reader = chain.ledger().reader();
    let stranger = TransactionId([3; 32]);
    let mut wanted: Vec<TransactionId> = block.transactions().iter().map(|one| one.id()).collect();
    wanted.push(stranger);
    for bytes_max in [1, 1000, 1 << 20] {
        let (mut transactions, mut absent, mut from) = (Vec::new(), Vec::new(), 0);
        while from < wanted.len() {
            let parts = parts_of(&reader, &block.hash(), &wanted[from..], bytes_max).unwrap();
            assert!(parts.answered > 0);
            for part in &parts.found {
                part.verify(block.header()).unwrap();
                let mut elsewhere = part.clone();
                elsewhere.index ^= 1;
                assert!(elsewhere.verify(block.header()).is_err());
            }
            transactions.extend(parts.found.into_iter().map(|part| part.transaction));
            absent.extend(parts.absent);
            from += parts.answered;
        }
        assert_eq!(absent, [stranger]);
        let seal = block.seal().clone();
        let whole = Block::assemble(block.header().clone(), seal, &transactions).unwrap();
        assert_eq!(whole.computed_merkle_root(), block.header().merkle_root);
    }
    let unknown = hubledger::digest::BlockHash([9; 32]);
    let outcome = parts_of(&reader, &unknown, &wanted, 100);
    assert!(matches!(outcome, Err(LedgerError::UnknownBlock(_))));
}

#[test]
fn what_the_test_enqueues_is_a_message() {
    let fields = Fields::read(&enqueue("trades", 1)).unwrap();
    assert!(QueuePayload::from_fields(&fields).is_some());
}

proptest! {
    #[test]
    fn both_forms_give_back_what_was_said(update_type in "[a-z]{1,9}", version: u64, state in "[a-z \"]{0,30}") {
        let state = state.into_bytes();
        let said = UpdatePayload::StateUpdate(StateUpdate { update_type, version, state });
        prop_assert_eq!(&UpdatePayload::decode(&said.encode()).unwrap(), &said);
        let fields = Fields::read(said.to_json().as_bytes()).unwrap();
        prop_assert_eq!(UpdatePayload::from_fields(&fields), Some(said));
    }

    #[test]
    fn what_decodes_is_canonical(tag in 67u8..70, bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let bytes = [&MARK[..], &[tag], &bytes].concat();
        if let Ok(said) = UpdatePayload::decode(&bytes) {
            prop_assert_eq!(said.encode(), bytes);
        }
    }
}
