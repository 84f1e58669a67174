//! A message of the queue from being submitted to being acknowledged, in chains of different heights.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use hubledger::clock::SystemClock;
use hubledger::engine::{Engine, Outcome, WhenFull};
use hubledger::generate::Generator;
use hubledger::model::{Draft, Kind, Operation};
use hubledger::signature::KeyPair;
use hubledger_services::queue::{
    Acknowledge, Enqueue, Leases, MessageName, Queue, QueuePayload, QueueView,
};
use hubledger_services::view::{Following, ViewReader};
use tempfile::TempDir;

use super::all_views;
use super::maker::{Maker, Said, Signed, key_of};
use super::talk::{GROUP, hub, subscribe};
use crate::clock::{Clock, Times};
use crate::storage::{Contender, fresh_directory};
use crate::turns::Contestant;

/// Messages of a pass.
pub(super) const MESSAGES: usize = 20;
const TOPIC: &str = "work.first";
/// Who takes messages and acknowledges them: a hub of the group that says nothing else.
const CONSUMER: u64 = 1;

/// An engine with all views, at a height, and who sends and takes messages there.
struct Hub {
    engine: Engine,
    following: Following,
    queue: ViewReader,
    leases: Leases,
    /// It has the key that seals.
    generator: Generator,
    writer: Speaker,
    consumer: Speaker,
    _directories: [TempDir; 2],
}

struct Speaker {
    name: String,
    key: KeyPair,
    nonce: u64,
}

impl Speaker {
    fn new(name: String) -> Self {
        Self {
            key: key_of(&name),
            name,
            nonce: 0,
        }
    }
}

impl Hub {
    /// With a chain of light blocks, which are messages of the topic and their acknowledgements by turns.
    fn at(height: u64, contender: &Contender, under: &Path) -> Result<Self> {
        let directories = [fresh_directory(under)?, fresh_directory(under)?];
        let url = contender.store_url(directories[0].path())?;
        let mut maker = Maker::new(url.create()?, Signed::Yes)?;
        subscribe(&mut maker, "work.*")?;
        maker.block()?;
        let mut last = None;
        for number in 1..height {
            let (sender, said) = match last.take() {
                None => ("history".to_owned(), enqueue()),
                Some(message) => (hub(0), acknowledge(message)),
            };
            let is_message = matches!(said, QueuePayload::Enqueue(_));
            let id = maker.say(Said {
                sender,
                operation: Operation::Message,
                payload: said.encode(),
            })?;
            let offset = (number - 1) / 2;
            last = is_message.then_some(MessageName { offset, id });
            maker.block()?;
        }
        let generator = maker.close()?;
        let engine = Engine::builder().open(url.open()?)?;
        let store = contender.store_url(directories[1].path())?.create()?;
        let views = all_views(store, engine.reader())?;
        let queue = views.reader(QueueView::NAME)?;
        let following = views.follow(&engine, "views")?;
        following.wait_for(height)?;
        Ok(Self {
            engine,
            following,
            queue,
            leases: Leases::new(Arc::new(SystemClock)),
            generator,
            writer: Speaker::new("writer".to_owned()),
            consumer: Speaker::new(hub(CONSUMER)),
            _directories: directories,
        })
    }

    /// Sends a message, takes it out of the queue, and acknowledges it.
    fn deliver(&mut self) -> Result<()> {
        say(&self.engine, &mut self.writer, &enqueue())?;
        let queue = self.next_block()?;
        let given = self
            .leases
            .take(&queue, GROUP, &self.consumer.name, MESSAGES)?;
        // The last one of the history, if nobody has acknowledged it, comes with the first.
        ensure!(!given.is_empty(), "no message was given out");
        let messages = given.iter().map(|given| MessageName {
            offset: given.message.offset,
            id: given.message.id,
        });
        let said = QueuePayload::Acknowledge(Acknowledge {
            group: GROUP.to_owned(),
            topic: TOPIC.to_owned(),
            messages: messages.collect(),
        });
        say(&self.engine, &mut self.consumer, &said)?;
        let queue = self.next_block()?;
        let topic = queue.topic(TOPIC)?.context("the topic is missing")?;
        let group = queue.group(GROUP)?.context("the group is missing")?;
        for given in given {
            let offset = given.message.offset;
            let done = queue.done(&group, &topic, offset)?;
            ensure!(done.is_some(), "message {offset} isn't acknowledged");
        }
        Ok(())
    }

    /// The queue as of the next block, which is made of what waits.
    fn next_block(&self) -> Result<Queue> {
        let (_, key) = self.generator.authority();
        let height = match self.engine.produce(key)? {
            Outcome::Committed(block) => block.height,
            other => bail!("no block was made: {other:?}"),
        };
        self.following.wait_for(height)?;
        Ok(Queue::new(self.queue.snapshot()?))
    }

    fn end(self) -> Result<()> {
        self.following.stop()?;
        self.engine.shutdown()?;
        Ok(())
    }
}

fn say(engine: &Engine, by: &mut Speaker, said: &QueuePayload) -> Result<()> {
    by.nonce += 1;
    let draft = Draft {
        kind: Kind::Native,
        chain: engine.spec().id(),
        sender: by.name.clone(),
        receiver: by.name.clone(),
        operation: Operation::Message,
        amount: 0,
        payload: said.encode(),
        timestamp: engine.spec().genesis_time,
        expiry: 0,
        fee: 0,
        nonce: by.nonce,
    };
    let transaction = draft.sign(&[&by.key])?;
    if let Err(rejected) = engine.submit(transaction, WhenFull::Wait)?.wait()? {
        bail!("a message was not admitted: {rejected:?}");
    }
    Ok(())
}

fn enqueue() -> QueuePayload {
    QueuePayload::Enqueue(Enqueue::new(TOPIC, vec![b'm'; 100]))
}

fn acknowledge(message: MessageName) -> QueuePayload {
    QueuePayload::Acknowledge(Acknowledge {
        group: GROUP.to_owned(),
        topic: TOPIC.to_owned(),
        messages: vec![message],
    })
}

/// Messages one after the other in a chain of this height; the first of each pass isn't counted. With `goes_on`, passes are in one chain, which each of them
/// makes longer by two blocks a message; without, each has a chain of its own, so that a low one stays low.
pub(super) fn delivering<'c>(
    height: u64,
    goes_on: bool,
    contender: &Contender,
    under: &'c Path,
) -> Contestant<'c> {
    let name = format!("a message at height {height}");
    let (contender, mut kept) = (contender.clone(), None);
    Contestant::new(name, Clock::Processor, MESSAGES, move || {
        let mut hub = match kept.take() {
            Some(hub) => hub,
            None => Hub::at(height, &contender, under)?,
        };
        hub.deliver()?;
        let (outcome, times) = Times::of(|| (0..MESSAGES).try_for_each(|_| hub.deliver()));
        outcome?;
        match goes_on {
            true => kept = Some(hub),
            false => hub.end()?,
        }
        Ok(times)
    })
}
