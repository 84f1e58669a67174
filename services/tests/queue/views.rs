//! Whatever becomes of the chain and of the view's store, the queue is what a naive one is.

use hubledger::model::{Block, Draft};
use hubledger::testing::{Chain, GENESIS_TIME, Numbers, SECOND};
use hubledger_services::queue::{
    Acknowledge, Enqueue, Guarantee, Limit, MessageName, Overflow, Pattern, Priority, Queue,
    QueuePayload, QueueView, Refuse, Subscribe,
};
use hubledger_services::testing::{Trial, memory};
use hubledger_services::view::Snapshot;
use hubledger_storage::{RangeLimit, StoreUrl};

use crate::naive;

const TOPICS: [&str; 5] = ["a", "a.b", "trades", "trades.eu", "trades.us"];
const GROUPS: [&str; 3] = ["audit", "billing", "copy"];
const PATTERNS: [&str; 6] = ["a", "a.*", "trades.#", "#", "*.eu", "trades.us"];
const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

fn pick<'a>(numbers: &mut Numbers, of: &[&'a str]) -> &'a str {
    of[numbers.below(of.len() as u64) as usize]
}

fn soon(numbers: &mut Numbers, chain: &Chain) -> u64 {
    match numbers.below(3) {
        0 => 0,
        _ => chain.now() + numbers.below(20) * SECOND,
    }
}

fn enqueue(numbers: &mut Numbers, chain: &Chain) -> QueuePayload {
    QueuePayload::Enqueue(Enqueue {
        topic: pick(numbers, &TOPICS).to_owned(),
        priority: Priority::ALL[numbers.below(5) as usize],
        guarantee: Guarantee::ALL[numbers.below(4) as usize],
        expiry: soon(numbers, chain),
        not_before: soon(numbers, chain),
        body: format!("message {}", numbers.draw()).into_bytes(),
    })
}

/// Some message, mostly one that is there.
fn some_message(numbers: &mut Numbers, queue: &naive::Queue) -> (String, MessageName) {
    let topic = pick(numbers, &TOPICS).to_owned();
    let count = queue
        .topics
        .get(&topic)
        .map_or(0, |topic| topic.messages.len() as u64);
    let offset = numbers.below(count + 1);
    let held = queue
        .topics
        .get(&topic)
        .and_then(|topic| topic.messages.get(offset as usize));
    let id = held.map_or_else(Default::default, |message| message.id);
    (topic, MessageName { offset, id })
}

fn acknowledge(numbers: &mut Numbers, queue: &naive::Queue) -> QueuePayload {
    let (topic, first) = some_message(numbers, queue);
    let mut messages = vec![first];
    for _ in 0..numbers.below(6) {
        let (other, message) = some_message(numbers, queue);
        if other == topic {
            messages.push(message);
        }
    }
    QueuePayload::Acknowledge(Acknowledge {
        group: pick(numbers, &GROUPS).to_owned(),
        topic,
        messages,
    })
}

fn settings(numbers: &mut Numbers) -> QueuePayload {
    if numbers.below(2) == 0 {
        let patterns = (0..1 + numbers.below(3)).map(|_| pick(numbers, &PATTERNS));
        return QueuePayload::Subscribe(Subscribe {
            group: "".to_owned(),
            patterns: patterns.map(|text| Pattern::new(text).unwrap()).collect(),
            consumers: vec![pick(numbers, &PEOPLE).to_owned()],
            visibility: SECOND,
            refusals_max: numbers.below(3) as u16,
            since: [0, u64::MAX, GENESIS_TIME + 5 * SECOND][numbers.below(3) as usize],
        });
    }
    let overflow = Overflow::ALL[numbers.below(2) as usize];
    let groups = match overflow {
        Overflow::Refuse => vec![pick(numbers, &GROUPS).to_owned()],
        Overflow::DropOldest => Vec::new(),
    };
    QueuePayload::Limit(Limit {
        topic: pick(numbers, &TOPICS).to_owned(),
        messages_max: numbers.below(12),
        overflow,
        groups,
    })
}

fn speak(numbers: &mut Numbers, chain: &Chain) -> Draft {
    let mut draft = chain.draft(pick(numbers, &PEOPLE), 1);
    let said = match numbers.below(12) {
        0..5 => enqueue(numbers, chain),
        5..9 => acknowledge(numbers, &naive::Queue::of(&chain.blocks)),
        9 => {
            let (topic, message) = some_message(numbers, &naive::Queue::of(&chain.blocks));
            QueuePayload::Refuse(Refuse {
                group: pick(numbers, &GROUPS).to_owned(),
                topic,
                message,
                reason: "no".to_owned(),
            })
        }
        _ => match settings(numbers) {
            QueuePayload::Subscribe(mut said) => {
                said.group = pick(numbers, &GROUPS).to_owned();
                QueuePayload::Subscribe(said)
            }
            said => said,
        },
    };
    draft.payload = match numbers.below(8) {
        0 => said.to_json().into_bytes(),
        1 if numbers.below(3) == 0 => {
            let mut bytes = said.encode();
            let at = numbers.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << numbers.below(8);
            bytes
        }
        _ => said.encode(),
    };
    draft
}

fn compare(blocks: &[Block], snapshot: &Snapshot) {
    let (queue, expected) = (Queue::new(snapshot.clone()), naive::Queue::of(blocks));
    let all = Pattern::new("#").unwrap();
    let topics = queue.topics(&all, None, usize::MAX).unwrap();
    let names: Vec<&String> = topics.iter().map(|(name, _)| name).collect();
    assert_eq!(names, expected.topics.keys().collect::<Vec<_>>());
    let limit = RangeLimit {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
    for (name, topic) in &topics {
        let naive = &expected.topics[name];
        assert_eq!(
            (topic.end, topic.refused),
            (naive.messages.len() as u64, naive.refused)
        );
        let found = queue.messages(topic, 0, limit).unwrap();
        let held = (0u64..)
            .zip(&naive.messages)
            .filter(|(_, message)| message.is_held);
        let held: Vec<_> = held.collect();
        assert_eq!(found.len(), held.len());
        for (message, (offset, expected)) in found.iter().zip(held) {
            assert_eq!((message.offset, message.id), (offset, expected.id));
            assert_eq!(message.body, expected.said.body);
            assert_eq!(
                (message.priority, message.guarantee),
                (expected.said.priority, expected.said.guarantee)
            );
            let first_then = found
                .iter()
                .find(|one| one.timestamp >= message.timestamp)
                .unwrap();
            assert_eq!(
                queue.offset_at(topic, message.timestamp).unwrap(),
                first_then.offset
            );
        }
    }
    let groups = queue.groups(None, usize::MAX).unwrap();
    assert_eq!(groups.len(), expected.groups.len());
    for (name, group) in &groups {
        let naive = &expected.groups[name];
        assert_eq!(
            (&group.owner, &group.patterns, group.since),
            (&naive.owner, &naive.said.patterns, naive.since)
        );
        let log = queue.acknowledged(group, 0, usize::MAX).unwrap();
        let found: Vec<_> = log
            .iter()
            .map(|one| (one.topic.clone(), one.done.number))
            .collect();
        let expected: Vec<_> = (0u64..)
            .zip(&naive.log)
            .map(|(number, (topic, _))| (topic.clone(), number))
            .collect();
        assert_eq!(found, expected);
        let dead = queue.dead_letters(group, 0, usize::MAX).unwrap();
        let dead: Vec<_> = dead
            .into_iter()
            .map(|one| (one.topic, one.offset, one.reason))
            .collect();
        assert_eq!(dead, naive.dead);
        for (topic_name, topic) in &topics {
            for offset in 0..topic.end {
                let done = queue.done(group, topic, offset).unwrap();
                let found = done.map(|done| (!done.is_dead).then_some(done.consumer));
                assert_eq!(
                    found.as_ref(),
                    naive.done.get(&(topic_name.clone(), offset))
                );
            }
        }
    }
}

#[test]
fn whatever_happens_to_the_chain_the_queue_is_what_a_naive_one_is() {
    for seed in 0..40 {
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
        let path = folder.path().join("views");
        let url: StoreUrl = format!("{scheme}:{}", path.display()).parse().unwrap();
        let trial = Trial {
            view: &|| Box::new(QueueView),
            store: &|| url.open_or_create().unwrap(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed / 2, 40);
    }
}
