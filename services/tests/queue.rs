//! The message queue against a naive one.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;

use hubledger::digest::TransactionId;
use hubledger::model::{Block, Draft};
use hubledger::testing::{Chain, Numbers};
use hubledger_services::queue::{Enqueue, Priority, Queue, QueuePayload, QueueView};
use hubledger_services::testing::{Trial, memory};
use hubledger_services::view::{CommittedBlock, Snapshot};
use hubledger_storage::{RangeLimit, StoreUrl};

const TOPICS: [&str; 4] = ["a", "a.b", "trades.eu", "trades.us"];

fn speak(numbers: &mut Numbers, chain: &Chain) -> Draft {
    let mut draft = chain.draft(&format!("sender-{}", numbers.below(3)), 1);
    let said = QueuePayload::Enqueue(Enqueue {
        topic: TOPICS[numbers.below(4) as usize].to_owned(),
        priority: Priority::ALL[numbers.below(5) as usize],
        body: format!("message {}", numbers.draw()).into_bytes(),
    });
    match numbers.below(6) {
        0 => {}
        1 => draft.payload = b"{\"action\":\"enqueue\",\"topic\":\"a\",\"topic\":\"a\"}".to_vec(),
        2 => draft.payload = said.to_json().into_bytes(),
        _ => draft.payload = said.encode(),
    }
    draft
}

/// All messages by topic, from scratch.
fn naive(blocks: &[Block]) -> BTreeMap<String, Vec<(TransactionId, Vec<u8>)>> {
    let mut topics: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for block in blocks {
        for entry in CommittedBlock::new(block).entries() {
            if let Some(QueuePayload::Enqueue(said)) = QueuePayload::of(&entry) {
                let messages = topics.entry(said.topic).or_default();
                messages.push((entry.id(), said.body));
            }
        }
    }
    topics
}

fn compare(blocks: &[Block], snapshot: &Snapshot) {
    let (queue, expected) = (Queue::new(snapshot.clone()), naive(blocks));
    let limit = RangeLimit {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
    for topic in TOPICS {
        let messages = queue.messages(topic, 0, limit).unwrap();
        let found: Vec<_> = messages
            .iter()
            .map(|message| (message.id, message.body.to_vec()))
            .collect();
        let expected = expected.get(topic).cloned().unwrap_or_default();
        assert_eq!(found, expected);
        assert!(
            (0..)
                .zip(&messages)
                .all(|(at, message)| message.offset == at)
        );
    }
}

#[test]
fn whatever_happens_to_the_chain_the_queue_is_what_a_naive_one_is() {
    for seed in 0..60 {
        let trial = Trial {
            view: &|| Box::new(QueueView),
            store: &memory(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed, 40);
    }
}

#[test]
fn the_same_in_stores_with_files() {
    for seed in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let scheme = ["log", "sqlite"][seed as usize % 2];
        let url: StoreUrl = format!("{scheme}:{}", folder.path().join("views").display())
            .parse()
            .unwrap();
        let trial = Trial {
            view: &|| Box::new(QueueView),
            store: &|| url.open_or_create().unwrap(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed / 2, 40);
    }
}
