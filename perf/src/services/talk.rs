//! What hubs say to services: equal parts queue, registry, routes and cache, as hubs would say it to each other.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context as _, Result};
use hubledger::digest::TransactionId;
use hubledger::model::{Operation, VectorClock};
use hubledger::payload::{KeySet, Payload, Profile, Register};
use hubledger_services::cache::{CacheInvalidate, CachePayload, CachePut};
use hubledger_services::queue::{
    Acknowledge, Enqueue, MessageName, Pattern, QueuePayload, Subscribe,
};
use hubledger_services::registry::{Heartbeat, RegistryPayload, UpdateProfile};
use hubledger_services::route::{MessageForward, RoutePayload, RoutedMessage};

use super::maker::{Maker, Said, key_of};

/// Hubs that talk.
const HUBS: u64 = 64;
/// Topics that they write to.
const TOPICS: u64 = 100;
/// Keys of the cache, in all its namespaces together.
const KEYS: u64 = 10_000;
/// Bytes of bodies and values.
const BODY: usize = 100;
/// Messages of the queue are acknowledged when so many groups of three came after them: in a later block.
const LAG: usize = 64;
/// The group that acknowledges.
pub(super) const GROUP: &str = "workers";

/// Goes on talking where it ended.
#[derive(Debug, Default)]
pub(super) struct Talk {
    number: u64,
    /// Messages by topic.
    ends: BTreeMap<u64, u64>,
    /// Messages of one topic that come together.
    together: Vec<MessageName>,
    /// Those that are yet to be acknowledged, by topic.
    open: VecDeque<(u64, Vec<MessageName>)>,
    routed: Option<TransactionId>,
}

pub(super) fn hub(number: u64) -> String {
    format!("node-{}", number % HUBS)
}

fn topic(number: u64) -> String {
    format!("work.{number}")
}

/// All hubs register, and a group begins: what the rest goes back to. To be in a block before it.
pub(super) fn introduce(maker: &mut Maker) -> Result<()> {
    for number in 0..HUBS {
        let sender = hub(number);
        let said = Payload::Register(Register {
            keys: KeySet::new(1, vec![key_of(&sender).public_key()])?,
            recovery: None,
            stake: 0,
            attester: None,
            profile: profile(number),
        });
        maker.say(Said {
            sender,
            operation: Operation::NodeRegister,
            payload: said.encode(),
        })?;
    }
    subscribe(maker, "work.#")
}

/// The first hub begins the group, in which half of the hubs are.
pub(super) fn subscribe(maker: &mut Maker, pattern: &str) -> Result<()> {
    let said = QueuePayload::Subscribe(Subscribe {
        group: GROUP.to_owned(),
        patterns: vec![Pattern::new(pattern).context("not a pattern")?],
        consumers: (1..HUBS / 2).map(hub).collect(),
        visibility: 30_000_000,
        refusals_max: 0,
        since: 0,
    });
    maker.say(Said {
        sender: hub(0),
        operation: Operation::Message,
        payload: said.encode(),
    })?;
    Ok(())
}

pub(super) fn profile(number: u64) -> Profile {
    let word = |text: &str| text.to_owned();
    Profile {
        node_type: word("full_node"),
        role: word("hub"),
        region: format!("region-{}", number % 8),
        network_address: format!("10.0.0.{}:9000", number % 256),
        capabilities: vec![word("routing"), word("storage")],
    }
}

impl Talk {
    /// Says the next thing.
    pub(super) fn go_on(&mut self, maker: &mut Maker) -> Result<()> {
        let (part, number) = (self.number % 4, self.number / 4);
        self.number += 1;
        match part {
            0 => self.queue(number, maker),
            1 => registry(number, maker),
            2 => self.route(number, maker),
            _ => cache(number, maker),
        }
    }

    /// Three messages of a topic, then the acknowledgement of three that came before.
    fn queue(&mut self, number: u64, maker: &mut Maker) -> Result<()> {
        let (group, place) = (number / 4, number % 4);
        if place == 3 {
            let together = std::mem::take(&mut self.together);
            self.open.push_back((group % TOPICS, together));
            if self.open.len() > LAG
                && let Some((of, messages)) = self.open.pop_front()
            {
                let said = QueuePayload::Acknowledge(Acknowledge {
                    group: GROUP.to_owned(),
                    topic: topic(of),
                    messages,
                });
                return say(
                    maker,
                    hub(number % (HUBS / 2)),
                    Operation::Message,
                    said.encode(),
                );
            }
        }
        let of = group % TOPICS;
        let said = QueuePayload::Enqueue(Enqueue::new(&topic(of), vec![b'm'; BODY]));
        let id = maker.say(Said {
            sender: hub(number),
            operation: Operation::Message,
            payload: said.encode(),
        })?;
        let end = self.ends.entry(of).or_default();
        if place < 3 {
            self.together.push(MessageName { offset: *end, id });
        }
        *end += 1;
        Ok(())
    }

    /// A message by way of three hubs, then what each of them says.
    fn route(&mut self, number: u64, maker: &mut Maker) -> Result<()> {
        let (message, place) = (number / 4, number % 4);
        let on_the_way = |hop: u64| hub(message * 7 + hop + 1);
        let Some(id) = self.routed.filter(|_| place > 0) else {
            let said = RoutePayload::RoutedMessage(RoutedMessage {
                path: (0..3).map(on_the_way).collect(),
                body: vec![b'r'; BODY],
            });
            self.routed = Some(maker.say(Said {
                sender: hub(message * 7),
                operation: Operation::Message,
                payload: said.encode(),
            })?);
            return Ok(());
        };
        let hop = place - 1;
        let said = RoutePayload::MessageForward(MessageForward {
            original_message_id: id,
            hop_number: hop as u32,
            timestamp: 0,
            next_hop: None,
        });
        say(maker, on_the_way(hop), Operation::NodeUpdate, said.encode())
    }
}

/// Three heartbeats, then a changed profile.
fn registry(number: u64, maker: &mut Maker) -> Result<()> {
    let said = match number % 4 {
        3 => RegistryPayload::UpdateProfile(UpdateProfile::to(profile(number / 4))),
        _ => RegistryPayload::Heartbeat(Heartbeat::default()),
    };
    say(maker, hub(number / 4), Operation::NodeUpdate, said.encode())
}

/// Three values, then an invalidation, each with its author's clock.
fn cache(number: u64, maker: &mut Maker) -> Result<()> {
    let sender = hub(number);
    let clock = VectorClock::new([(sender.clone(), number + 1)])?;
    // Keys come in no order.
    let key = number.wrapping_mul(7_919) % KEYS;
    let (namespace, key) = (format!("cache-{}", key % 8), format!("key-{key}"));
    let said = match number % 4 {
        3 => CachePayload::CacheInvalidate(CacheInvalidate {
            namespace,
            key,
            clock,
        }),
        _ => CachePayload::CachePut(CachePut {
            namespace,
            key,
            value: vec![b'v'; BODY],
            clock,
        }),
    };
    say(maker, sender, Operation::Message, said.encode())
}

fn say(maker: &mut Maker, sender: String, operation: Operation, payload: Vec<u8>) -> Result<()> {
    maker.say(Said {
        sender,
        operation,
        payload,
    })?;
    Ok(())
}
