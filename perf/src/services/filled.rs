//! Views with many entries: reading messages of a topic, and looking things up.

use std::hint::black_box;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use hubledger::digest::TransactionId;
use hubledger::model::{Operation, VectorClock};
use hubledger_services::cache::{Cache, CachePayload, CachePut, CacheView};
use hubledger_services::queue::{Enqueue, Queue, QueuePayload, QueueView, Topic};
use hubledger_services::registry::{Announce, Registry, RegistryPayload, RegistryView};
use hubledger_services::route::{MessageForward, RoutePayload, RouteView, RoutedMessage, Routes};
use hubledger_services::view::{Settings, Views};
use hubledger_storage::RangeLimit;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;

use super::maker::{Maker, Said, Signed};
use super::talk::profile;
use crate::clock::{Clock, Times};
use crate::storage::{Contender, fresh_directory};
use crate::turns::Contestant;

/// Topics that messages are spread over.
const TOPICS: u64 = 100;
/// Transactions of a block.
const BLOCK: usize = 5_000;
/// Look-ups of a pass.
const LOOK_UPS: usize = 10_000;
/// Messages of a pass at most.
const MESSAGES: u64 = 100_000;
/// What is read at a time.
const PAGE: RangeLimit = RangeLimit {
    rows: 1_000,
    bytes: 8 << 20,
};

/// Views of as many messages in the queue, nodes, routed messages and cache keys.
pub(super) struct Filled {
    entries: u64,
    queue: Queue,
    topics: Vec<Topic>,
    registry: Registry,
    routes: Routes,
    routed: Vec<TransactionId>,
    cache: Cache,
    _open: (Views, Maker, TempDir, TempDir),
}

impl Filled {
    /// Makes a chain of them, unsigned, and the views of it.
    pub(super) fn new(entries: u64, contender: &Contender, under: &Path) -> Result<Self> {
        let (directory, beside) = (fresh_directory(under)?, fresh_directory(under)?);
        let store = contender.store_url(directory.path())?.create()?;
        let mut maker = Maker::new(store, Signed::No)?;
        let mut routed = Vec::with_capacity(entries as usize);
        for number in 0..entries {
            routed.push(say_of_each(number, &mut maker)?);
            if maker.waiting() >= BLOCK {
                maker.block()?;
            }
        }
        maker.block()?;
        let store = contender.store_url(beside.path())?.create()?;
        let registry = RegistryView::new(maker.spec().clone());
        let mut views = Views::open(
            store,
            maker.reader(),
            vec![
                Box::new(QueueView),
                Box::new(registry),
                Box::new(RouteView),
                Box::new(CacheView),
            ],
            Settings::default(),
        )?;
        views.catch_up()?;
        let snapshot = |name| views.reader(name).and_then(|reader| reader.snapshot());
        let queue = Queue::new(snapshot(QueueView::NAME)?);
        let topics = (0..TOPICS.min(entries)).map(|number| {
            let topic = queue.topic(&topic(number))?;
            topic.context("a topic is missing")
        });
        let topics = topics.collect::<Result<Vec<_>>>()?;
        let messages: u64 = topics.iter().map(|topic| topic.end).sum();
        ensure!(messages == entries, "{messages} messages, not {entries}");
        Ok(Self {
            entries,
            topics,
            registry: Registry::new(snapshot(RegistryView::NAME)?),
            routes: Routes::new(snapshot(RouteView::NAME)?),
            routed,
            cache: Cache::new(snapshot(CacheView::NAME)?),
            queue,
            _open: (views, maker, directory, beside),
        })
    }

    /// Messages of topics, read in pages from the first offset on.
    pub(super) fn reading(&self) -> Contestant<'_> {
        let messages = MESSAGES.min(self.entries);
        let name = "read messages of topics";
        Contestant::new(name, Clock::Thread, messages as usize, move || {
            let (read, times) = Times::of(|| self.read(messages));
            ensure!(read? == messages, "not all messages were read");
            Ok(times)
        })
        .that_warms_up()
    }

    fn read(&self, most: u64) -> Result<u64> {
        let mut count = 0;
        for topic in &self.topics {
            let mut from = topic.first;
            while from < topic.end && count < most {
                let rows = PAGE.rows.min((most - count) as usize);
                let page = self
                    .queue
                    .messages(topic, from, RangeLimit { rows, ..PAGE })?;
                let last = page.last().context("a message is missing")?;
                from = last.offset + 1;
                count += page.len() as u64;
                black_box(page);
            }
        }
        Ok(count)
    }

    /// Messages by topic and offset, the topic by its name.
    pub(super) fn offsets(&self) -> Contestant<'_> {
        self.looking_up("a message by topic and offset", |number| {
            let name = topic(number % TOPICS);
            let Some(topic) = self.queue.topic(&name)? else {
                return Ok(false);
            };
            let message = self.queue.message(&topic, number / TOPICS)?;
            Ok(black_box(message).is_some())
        })
    }

    /// Nodes by name.
    pub(super) fn nodes(&self) -> Contestant<'_> {
        self.looking_up("a node by name", |number| {
            Ok(black_box(self.registry.node(&node(number))?).is_some())
        })
    }

    /// The ways of messages by their ids.
    pub(super) fn routes(&self) -> Contestant<'_> {
        self.looking_up("a route by message", |number| {
            let path = self.routes.path(&self.routed[number as usize])?;
            Ok(black_box(path).is_some_and(|path| path.hops.len() == 1))
        })
    }

    /// Values by their keys.
    pub(super) fn keys(&self) -> Contestant<'_> {
        self.looking_up("a value by key", |number| {
            let (namespace, key) = cache_key(number);
            Ok(black_box(self.cache.entry(&namespace, &key)?).is_some())
        })
    }

    fn looking_up<'c>(
        &'c self,
        name: &str,
        look_up: impl Fn(u64) -> Result<bool> + 'c,
    ) -> Contestant<'c> {
        let mut random = StdRng::seed_from_u64(18);
        let look_ups = LOOK_UPS;
        Contestant::new(name, Clock::Thread, look_ups, move || {
            let numbers = (0..look_ups).map(|_| random.random_range(0..self.entries));
            let numbers: Vec<u64> = numbers.collect();
            let (found, times) = Times::of(|| -> Result<usize> {
                let mut found = 0;
                for number in numbers {
                    found += usize::from(look_up(number)?);
                }
                Ok(found)
            });
            ensure!(found? == look_ups, "not all were found");
            Ok(times)
        })
        .that_warms_up()
    }
}

fn topic(number: u64) -> String {
    format!("work.{number}")
}

fn node(number: u64) -> String {
    format!("node-{number}")
}

fn cache_key(number: u64) -> (String, String) {
    (format!("cache-{}", number % 8), format!("key-{number}"))
}

/// A message of the queue, a node, a message that is routed and has arrived, a value; gives the id of the one that is routed.
fn say_of_each(number: u64, maker: &mut Maker) -> Result<TransactionId> {
    let mut say = |operation, sender: String, payload| {
        maker.say(Said {
            sender,
            operation,
            payload,
        })
    };
    let enqueue = Enqueue::new(&topic(number % TOPICS), vec![b'm'; 100]);
    let enqueue = QueuePayload::Enqueue(enqueue).encode();
    say(Operation::Message, "writer".to_owned(), enqueue)?;
    let announce = RegistryPayload::Announce(Announce {
        stake: 1_000,
        profile: profile(number),
    });
    say(Operation::NodeRegister, node(number), announce.encode())?;
    let relay = format!("relay-{}", number % 64);
    let message = RoutePayload::RoutedMessage(RoutedMessage {
        path: vec![relay.clone()],
        body: vec![b'r'; 100],
    });
    let id = say(Operation::Message, "writer".to_owned(), message.encode())?;
    let forward = RoutePayload::MessageForward(MessageForward {
        original_message_id: id,
        hop_number: 0,
        timestamp: 0,
        next_hop: None,
    });
    say(Operation::NodeUpdate, relay, forward.encode())?;
    let (namespace, key) = cache_key(number);
    let put = CachePayload::CachePut(CachePut {
        namespace,
        key,
        value: vec![b'v'; 100],
        clock: VectorClock::empty(),
    });
    say(Operation::Message, "writer".to_owned(), put.encode())?;
    Ok(id)
}
