//! Consumers with leases: order, priority, timeouts, delays; and that nobody sees a message twice who mustn't, whatever is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hubledger::clock::Clock;
use hubledger::digest::TransactionId;
use hubledger::model::Transaction;
use hubledger::testing::{Chain, Numbers, SECOND};
use hubledger_services::queue::{
    Acknowledge, Delivery, Enqueue, Guarantee, Leases, Limit, MessageName, Overflow, Pattern,
    Priority, Queue, QueuePayload, QueueView, Refuse, Subscribe,
};
use hubledger_services::testing::memory;
use hubledger_services::view::{Settings, Views};

/// A clock that a test moves.
#[derive(Default)]
pub(crate) struct Hand(AtomicU64);

impl Hand {
    fn set(&self, now_us: u64) {
        self.0.store(now_us, Ordering::Relaxed);
    }

    fn pass(&self, microseconds: u64) {
        self.0.fetch_add(microseconds, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now_us(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A chain with its queue, worked out anew after each block.
pub(crate) struct Hub {
    pub(crate) chain: Chain,
    nonce: u64,
    clock: Arc<Hand>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let hub = Self {
            chain: Chain::new(1, |_| {}),
            nonce: 0,
            clock: Arc::default(),
        };
        hub.clock.set(hub.chain.now());
        hub
    }

    fn transaction(&mut self, sender: &str, said: &QueuePayload) -> Transaction {
        self.nonce += 1;
        self.chain
            .signed(sender, self.nonce, |draft| draft.payload = said.encode())
    }

    /// A block with what each says.
    pub(crate) fn say(&mut self, said: &[(&str, QueuePayload)]) {
        let transactions: Vec<_> = said
            .iter()
            .map(|(sender, said)| self.transaction(sender, said))
            .collect();
        self.chain.extend(&transactions);
        self.clock.set(self.chain.now());
    }

    pub(crate) fn queue(&self) -> Queue {
        let ledger = self.chain.ledger();
        let views: Vec<Box<dyn hubledger_services::view::View>> = vec![Box::new(QueueView)];
        let mut views =
            Views::open(memory()(), ledger.reader(), views, Settings::default()).unwrap();
        views.catch_up().unwrap();
        Queue::new(views.reader(QueueView::NAME).unwrap().snapshot().unwrap())
    }

    fn leases(&self) -> Leases {
        Leases::new(Arc::clone(&self.clock) as Arc<dyn Clock>)
    }
}

pub(crate) fn group(patterns: &[&str]) -> Subscribe {
    Subscribe {
        group: "billing".to_owned(),
        patterns: patterns
            .iter()
            .map(|text| Pattern::new(text).unwrap())
            .collect(),
        consumers: vec!["bob".to_owned(), "carol".to_owned()],
        visibility: 30 * SECOND,
        refusals_max: 2,
        since: 0,
    }
}

pub(crate) fn acknowledge(topic: &str, messages: &[MessageName]) -> QueuePayload {
    QueuePayload::Acknowledge(Acknowledge {
        group: "billing".to_owned(),
        topic: topic.to_owned(),
        messages: messages.to_vec(),
    })
}

fn name(delivery: &Delivery) -> MessageName {
    MessageName {
        offset: delivery.message.offset,
        id: delivery.message.id,
    }
}

fn bodies(deliveries: &[Delivery]) -> Vec<String> {
    let texts = deliveries
        .iter()
        .map(|one| String::from_utf8_lossy(&one.message.body));
    texts.map(|text| text.into_owned()).collect()
}

fn message(topic: &str, body: &str, change: impl FnOnce(&mut Enqueue)) -> QueuePayload {
    let mut message = Enqueue::new(topic, body);
    change(&mut message);
    QueuePayload::Enqueue(message)
}

#[test]
fn the_most_urgent_come_first_from_all_topics_of_the_group() {
    let mut hub = Hub::new();
    let mut said = vec![("alice", QueuePayload::Subscribe(group(&["a.*", "b"])))];
    for (number, priority) in Priority::ALL.iter().rev().enumerate() {
        let topic = ["a.x", "b", "c"][number % 3];
        said.push((
            "alice",
            message(topic, priority.word(), |one| one.priority = *priority),
        ));
        said.push((
            "alice",
            message("a.y", priority.word(), |one| one.priority = *priority),
        ));
    }
    hub.say(&said);
    let (queue, mut leases) = (hub.queue(), hub.leases());
    let taken = leases.take(&queue, "billing", "bob", 100).unwrap();
    assert_eq!(
        bodies(&taken),
        [
            "emergency",
            "emergency",
            "high",
            "high",
            "normal",
            "low",
            "low",
            "bulk",
            "bulk"
        ]
    );
    assert!(
        leases
            .take(&queue, "billing", "carol", 100)
            .unwrap()
            .is_empty()
    );
    assert!(
        hub.leases()
            .take(&queue, "billing", "mallory", 100)
            .unwrap()
            .is_empty()
    );
    assert!(
        hub.leases()
            .take(&queue, "nobody", "bob", 100)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_is_in_hand_comes_again_when_its_time_is_over_or_it_is_released() {
    let mut hub = Hub::new();
    hub.say(&[
        ("alice", QueuePayload::Subscribe(group(&["a"]))),
        ("alice", message("a", "one", |_| {})),
        ("alice", message("a", "two", |_| {})),
    ]);
    let (queue, mut leases) = (hub.queue(), hub.leases());
    let one = leases.take(&queue, "billing", "bob", 1).unwrap();
    let two = leases.take(&queue, "billing", "carol", 5).unwrap();
    assert_eq!(
        (bodies(&one), bodies(&two)),
        (vec!["one".to_owned()], vec!["two".to_owned()])
    );
    let (held, topic) = (
        queue.group("billing").unwrap().unwrap(),
        queue.topic("a").unwrap().unwrap(),
    );
    assert_eq!(leases.holder(&held, &topic, 0).unwrap().0, "bob");
    leases.release(&held, &topic, 1);
    let again = leases.take(&queue, "billing", "bob", 5).unwrap();
    assert_eq!(
        (bodies(&again), again[0].redeliveries),
        (vec!["two".to_owned()], 1)
    );
    hub.clock.pass(30 * SECOND);
    assert_eq!(leases.holder(&held, &topic, 0), None);
    assert_eq!(
        bodies(&leases.take(&queue, "billing", "carol", 5).unwrap()),
        ["one", "two"]
    );

    hub.say(&[("carol", acknowledge("a", &[name(&one[0])]))]);
    hub.clock.pass(90 * SECOND);
    assert_eq!(
        bodies(&leases.take(&hub.queue(), "billing", "carol", 5).unwrap()),
        ["two"]
    );
    assert_eq!(leases.len(), 1, "what is finished is forgotten");
}

#[test]
fn delayed_messages_wait_and_expired_ones_are_passed_over() {
    let mut hub = Hub::new();
    let now = hub.chain.now();
    hub.say(&[
        ("alice", QueuePayload::Subscribe(group(&["a"]))),
        (
            "alice",
            message("a", "later", |one| one.not_before = now + 50 * SECOND),
        ),
        (
            "alice",
            message("a", "short", |one| one.expiry = now + 10 * SECOND),
        ),
        ("alice", message("a", "plain", |_| {})),
    ]);
    let (queue, mut leases) = (hub.queue(), hub.leases());
    assert_eq!(
        bodies(&leases.take(&queue, "billing", "bob", 5).unwrap()),
        ["short", "plain"]
    );
    hub.clock.pass(60 * SECOND);
    assert_eq!(
        bodies(&leases.take(&queue, "billing", "bob", 5).unwrap()),
        ["later", "plain"]
    );
}

#[test]
fn ordered_messages_come_one_after_the_other() {
    let mut hub = Hub::new();
    let ordered = |one: &mut Enqueue| one.guarantee = Guarantee::Ordered;
    hub.say(&[
        ("alice", QueuePayload::Subscribe(group(&["a"]))),
        ("alice", message("a", "one", ordered)),
        (
            "alice",
            message("a", "two", |one| {
                ordered(one);
                one.priority = Priority::Emergency;
            }),
        ),
        ("alice", message("a", "free", |_| {})),
    ]);
    let mut leases = hub.leases();
    let taken = leases.take(&hub.queue(), "billing", "bob", 5).unwrap();
    assert_eq!(bodies(&taken), ["one", "free"]);
    assert!(
        leases
            .take(&hub.queue(), "billing", "bob", 5)
            .unwrap()
            .is_empty()
    );
    hub.say(&[("bob", acknowledge("a", &[name(&taken[0])]))]);
    assert_eq!(
        bodies(&leases.take(&hub.queue(), "billing", "bob", 5).unwrap()),
        ["two"]
    );
}

#[test]
fn what_is_refused_too_often_is_a_dead_letter() {
    let mut hub = Hub::new();
    hub.say(&[
        ("alice", QueuePayload::Subscribe(group(&["a"]))),
        ("alice", message("a", "poison", |_| {})),
    ]);
    let mut leases = hub.leases();
    for round in 0..2 {
        let taken = leases.take(&hub.queue(), "billing", "bob", 5).unwrap();
        assert_eq!(bodies(&taken), ["poison"]);
        hub.say(&[(
            "bob",
            QueuePayload::Refuse(Refuse {
                group: "billing".to_owned(),
                topic: "a".to_owned(),
                message: name(&taken[0]),
                reason: format!("crash {round}"),
            }),
        )]);
        hub.clock.pass(60 * SECOND);
    }
    let queue = hub.queue();
    assert!(leases.take(&queue, "billing", "bob", 5).unwrap().is_empty());
    let dead = queue
        .dead_letters(&queue.group("billing").unwrap().unwrap(), 0, 5)
        .unwrap();
    assert_eq!((dead.len(), &*dead[0].reason), (1, "crash 1"));
    assert_eq!(&dead[0].message.as_ref().unwrap().body[..], b"poison");
}

#[test]
fn a_full_topic_takes_no_more_until_its_group_has_done_some() {
    let mut hub = Hub::new();
    hub.say(&[
        ("alice", QueuePayload::Subscribe(group(&["a"]))),
        (
            "alice",
            QueuePayload::Limit(Limit {
                topic: "a".to_owned(),
                messages_max: 2,
                overflow: Overflow::Refuse,
                groups: vec!["billing".to_owned()],
            }),
        ),
        ("alice", message("a", "one", |_| {})),
        ("alice", message("a", "two", |_| {})),
        ("alice", message("a", "three", |_| {})),
    ]);
    let queue = hub.queue();
    let topic = queue.topic("a").unwrap().unwrap();
    assert_eq!(
        (topic.end, topic.refused, queue.room(&topic).unwrap()),
        (2, 1, Some(0))
    );
    let taken = hub.leases().take(&queue, "billing", "bob", 1).unwrap();
    hub.say(&[
        ("bob", acknowledge("a", &[name(&taken[0])])),
        ("alice", message("a", "four", |_| {})),
    ]);
    let queue = hub.queue();
    let topic = queue.topic("a").unwrap().unwrap();
    assert_eq!(
        (topic.end, topic.refused, queue.room(&topic).unwrap()),
        (3, 1, Some(0))
    );
}

/// What a consumer keeps: what it has seen and where it is in the log, in one step.
#[derive(Default, Clone)]
struct Kept {
    next: u64,
    seen: Vec<TransactionId>,
}

#[test]
fn nobody_sees_a_message_twice_that_is_for_once_whatever_is_killed() {
    for seed in 0..12 {
        let mut numbers = Numbers(seed);
        let mut hub = Hub::new();
        hub.say(&[("alice", QueuePayload::Subscribe(group(&["a"])))]);
        let (mut leases, mut sent) = (hub.leases(), Vec::new());
        let mut kept = [Kept::default(), Kept::default()];
        for round in 0..30 {
            let mut said = Vec::new();
            if round < 20 {
                for number in 0..numbers.below(4) {
                    let body = format!("{round} {number}");
                    said.push((
                        "alice",
                        message("a", &body, |one| one.guarantee = Guarantee::ExactlyOnce),
                    ));
                }
            }
            let queue = hub.queue();
            for consumer in ["bob", "carol"] {
                // Its hub was killed, and has forgotten what is in hand: another one gets the same messages.
                if numbers.below(2) == 0 {
                    leases = hub.leases();
                }
                let taken = leases.take(&queue, "billing", consumer, 3).unwrap();
                assert!(taken.iter().all(|one| one.message.body.is_empty()));
                let names: Vec<_> = taken.iter().map(name).collect();
                // Or it was killed before it could claim them.
                if !names.is_empty() && (numbers.below(3) > 0 || round >= 20) {
                    said.push((consumer, acknowledge("a", &names)));
                }
            }
            hub.say(&said);
            hub.clock.pass(numbers.below(40) * SECOND);
            sent = hub
                .chain
                .blocks
                .iter()
                .flat_map(|block| block.transactions())
                .filter(|one| {
                    matches!(
                        QueuePayload::of_transaction(one),
                        Some(QueuePayload::Enqueue(_))
                    )
                })
                .map(Transaction::id)
                .collect();
            let queue = hub.queue();
            let held = queue.group("billing").unwrap().unwrap();
            for (kept, consumer) in kept.iter_mut().zip(["bob", "carol"]) {
                let mut now = kept.clone();
                for one in queue.acknowledged(&held, now.next, 2).unwrap() {
                    now.next = one.number + 1;
                    if one.done.consumer == consumer {
                        now.seen.push(one.message.unwrap().id);
                    }
                }
                // Killed before its state was kept: as if it had seen nothing.
                if numbers.below(3) > 0 {
                    *kept = now;
                }
            }
        }
        let queue = hub.queue();
        let held = queue.group("billing").unwrap().unwrap();
        for (kept, consumer) in kept.iter_mut().zip(["bob", "carol"]) {
            for one in queue.acknowledged(&held, kept.next, usize::MAX).unwrap() {
                if one.done.consumer == consumer {
                    kept.seen.push(one.message.unwrap().id);
                }
            }
        }
        let mut seen: Vec<_> = kept.iter().flat_map(|kept| kept.seen.clone()).collect();
        seen.sort();
        sent.sort();
        assert!(!sent.is_empty());
        assert_eq!(seen, sent, "each once, whatever was killed");
    }
}
