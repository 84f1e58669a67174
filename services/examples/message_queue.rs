//! A message queue on a chain: messages go into topics with a priority, a group takes, acknowledges and refuses them, and what was delivered is proved to
//! whoever knows a head hash.
//!
//! Run it with `cargo run -p hubledger-services --example message_queue`.

use std::sync::Arc;

use anyhow::{Context, ensure};
use hubledger::clock::{Clock, SystemClock};
use hubledger::engine::{Engine, WhenFull};
use hubledger::ledger::Position;
use hubledger::model::{Draft, Kind, Operation};
use hubledger::signature::KeyPair;
use hubledger::spec::ChainSpec;
use hubledger_services::queue::{
    Acknowledge, Delivery, DeliveryProof, Enqueue, Leases, MessageName, Pattern, Priority, Queue,
    QueuePayload, QueueView, Refuse, Subscribe,
};
use hubledger_services::view::{Following, Settings, ViewReader, Views};
use hubledger_storage::{RangeLimit, StoreUrl};

const TOPIC: &str = "orders.eu";
const GROUP: &str = "billing";

/// A hub with one chain and its queue.
struct Hub {
    engine: Engine,
    key: KeyPair,
    following: Following,
    queue: ViewReader,
}

impl Hub {
    fn start() -> anyhow::Result<Self> {
        let key = KeyPair::from_seed(&[1; 32]);
        let spec = ChainSpec::from_toml(&format!(
            "name = \"messaging\"\ngenesis_time = 1_700_000_000_000_000\n[consensus]\nkind = \"proof_of_authority\"\n\
             [[consensus.authorities]]\nname = \"hub\"\nkey = \"{}\"",
            key.public_key()
        ))?;
        let engine = Engine::builder()
            .threads(1)
            .create(StoreUrl::Memory.create()?, &spec)?;
        let views = Views::open(
            StoreUrl::Memory.create()?,
            engine.reader(),
            vec![Box::new(QueueView)],
            Settings::default(),
        )?;
        Ok(Self {
            queue: views.reader(QueueView::NAME)?,
            following: views.follow(&engine, "services")?,
            engine,
            key,
        })
    }

    /// Makes a block of what is said, and waits until the view has it.
    fn say(&self, said: &[QueuePayload]) -> anyhow::Result<Position> {
        let nonce = self.engine.state().account("hub").nonce;
        for (number, payload) in (1..).zip(said) {
            let draft = Draft {
                kind: Kind::Native,
                chain: self.engine.spec().id(),
                sender: "hub".to_owned(),
                receiver: GROUP.to_owned(),
                operation: Operation::Message,
                amount: 0,
                payload: payload.encode(),
                timestamp: SystemClock.now_us(),
                expiry: 0,
                fee: fee_of(payload),
                nonce: nonce + number,
            };
            let ticket = self
                .engine
                .submit(draft.sign(&[&self.key])?, WhenFull::Wait)?;
            ensure!(ticket.wait()?.is_ok(), "our own transaction is refused");
        }
        self.engine.produce(&self.key)?;
        let head = self.engine.head()?;
        self.following.wait_for(head.height)?;
        Ok(Position {
            height: head.height,
            hash: head.hash(),
        })
    }

    fn queue(&self) -> anyhow::Result<Queue> {
        Ok(Queue::new(self.queue.snapshot()?))
    }
}

/// What is more urgent pays more, so that blocks take it first.
fn fee_of(payload: &QueuePayload) -> u64 {
    match payload {
        QueuePayload::Enqueue(said) => said.priority.fee(1),
        _ => 1,
    }
}

fn order(body: &str, priority: Priority) -> QueuePayload {
    QueuePayload::Enqueue(Enqueue {
        priority,
        ..Enqueue::new(TOPIC, body)
    })
}

fn name(delivery: &Delivery) -> MessageName {
    MessageName {
        offset: delivery.message.offset,
        id: delivery.message.id,
    }
}

fn main() -> anyhow::Result<()> {
    let hub = Hub::start()?;
    hub.say(&[QueuePayload::Subscribe(Subscribe {
        group: GROUP.to_owned(),
        patterns: vec![Pattern::new("orders.*").context("a pattern")?],
        consumers: Vec::new(),
        visibility: 30_000_000,
        refusals_max: 1,
        since: 0,
    })])?;
    hub.say(&[
        order("two boxes of pears", Priority::Normal),
        order("an order that nobody can read", Priority::Low),
        order("the bridge is down", Priority::Emergency),
    ])?;

    let queue = hub.queue()?;
    let topic = queue.topic(TOPIC)?.context("a topic")?;
    println!("{TOPIC} has {} messages:", topic.end);
    for message in queue.messages(
        &topic,
        0,
        RangeLimit {
            rows: 10,
            bytes: 1 << 20,
        },
    )? {
        let text = String::from_utf8_lossy(&message.body);
        println!("  {} [{}] {text}", message.offset, message.priority.word());
    }

    let mut leases = Leases::new(Arc::new(SystemClock));
    let taken = leases.take(&queue, GROUP, "hub", 10)?;
    println!("{GROUP} is given, the most urgent first:");
    for delivery in &taken {
        println!("  {}", String::from_utf8_lossy(&delivery.message.body));
    }
    let (urgent, poison) = (&taken[0], &taken[2]);
    hub.say(&[
        QueuePayload::Acknowledge(Acknowledge {
            group: GROUP.to_owned(),
            topic: TOPIC.to_owned(),
            messages: vec![name(urgent), name(&taken[1])],
        }),
        QueuePayload::Refuse(Refuse {
            group: GROUP.to_owned(),
            topic: TOPIC.to_owned(),
            message: name(poison),
            reason: "not in any language that we know".to_owned(),
        }),
    ])?;

    let queue = hub.queue()?;
    let group = queue.group(GROUP)?.context("a group")?;
    println!("{GROUP} has acknowledged {} messages", group.acknowledged);
    for letter in queue.dead_letters(&group, 0, 10)? {
        println!("dead letter {}: {}", letter.offset, letter.reason);
    }

    let done = queue
        .done(&group, &topic, urgent.message.offset)?
        .context("it is done")?;
    let proof = DeliveryProof::of(&hub.engine.reader(), &urgent.message, &done, None)?;
    let head = hub.engine.head()?.hash();
    // All that a light client has is the proof and the head's hash.
    let delivered = proof.verify(&head)?;
    println!(
        "proved by head {head}:\n  message {} in block {} {} of {}\n  acknowledged by {} for {} in block {}",
        delivered.sent.id,
        delivered.sent.height,
        delivered.sent.block,
        delivered.sent.timestamp,
        delivered.consumer,
        delivered.group,
        delivered.acknowledged.height,
    );
    hub.engine.shutdown()?;
    hub.following.stop()?;
    Ok(())
}
