//! A queue that is as plain as can be: every block from the first on, every time.

use std::collections::{BTreeMap, BTreeSet};

use hubledger::digest::TransactionId;
use hubledger::model::{Block, Transaction};
use hubledger_services::queue::{Enqueue, Limit, Overflow, QueuePayload, Subscribe};

pub(crate) struct Message {
    pub(crate) id: TransactionId,
    pub(crate) said: Enqueue,
    pub(crate) timestamp: u64,
    pub(crate) is_held: bool,
}

#[derive(Default)]
pub(crate) struct Topic {
    pub(crate) messages: Vec<Message>,
    pub(crate) refused: u64,
    pub(crate) limit: Option<(String, Limit)>,
}

pub(crate) struct Group {
    pub(crate) owner: String,
    pub(crate) said: Subscribe,
    pub(crate) since: u64,
    /// By topic and offset: who acknowledged it, or nobody of a dead letter.
    pub(crate) done: BTreeMap<(String, u64), Option<String>>,
    pub(crate) log: Vec<(String, u64)>,
    pub(crate) dead: Vec<(String, u64, String)>,
    refusals: BTreeMap<(String, u64), u16>,
}

#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) groups: BTreeMap<String, Group>,
}

impl Queue {
    pub(crate) fn of(blocks: &[Block]) -> Self {
        let mut queue = Self::default();
        for block in blocks {
            for transaction in block.transactions() {
                queue.take(block, transaction);
            }
        }
        queue
    }

    fn take(&mut self, block: &Block, transaction: &Transaction) {
        let now = block.header().timestamp;
        let sender = transaction.sender().to_owned();
        match QueuePayload::of_transaction(transaction) {
            Some(QueuePayload::Enqueue(said)) => self.enqueue(said, transaction.id(), now),
            Some(QueuePayload::Acknowledge(said)) => {
                for name in said.messages {
                    let place = (said.topic.clone(), name.offset);
                    if self.can_finish(&said.group, &sender, &place, name.id, now) {
                        let group = self.groups.get_mut(&said.group).unwrap();
                        group.done.insert(place.clone(), Some(sender.clone()));
                        group.log.push(place);
                    }
                }
            }
            Some(QueuePayload::Refuse(said)) => {
                let place = (said.topic.clone(), said.message.offset);
                if self.can_finish(&said.group, &sender, &place, said.message.id, now) {
                    let group = self.groups.get_mut(&said.group).unwrap();
                    let refusals = group.refusals.entry(place.clone()).or_default();
                    *refusals += 1;
                    if *refusals == group.said.refusals_max {
                        group.done.insert(place.clone(), None);
                        group.dead.push((place.0, place.1, said.reason));
                    }
                }
            }
            Some(QueuePayload::Subscribe(said)) => self.subscribe(sender, said, now),
            Some(QueuePayload::Limit(said)) => self.limit(sender, said),
            _ => {}
        }
    }

    fn limit(&mut self, sender: String, said: Limit) {
        let is_there = |group: &String| self.groups.contains_key(group);
        if !said.groups.iter().all(is_there) {
            return;
        }
        let topic = self.topics.entry(said.topic.clone()).or_default();
        if topic
            .limit
            .as_ref()
            .is_none_or(|(owner, _)| *owner == sender)
        {
            topic.limit = Some((sender, said));
        }
    }

    fn subscribe(&mut self, sender: String, said: Subscribe, now: u64) {
        match self.groups.get_mut(&said.group) {
            Some(group) if group.owner != sender => {}
            Some(group) => group.said = said,
            None => {
                let group = Group {
                    owner: sender,
                    since: said.since.min(now),
                    done: BTreeMap::new(),
                    log: Vec::new(),
                    dead: Vec::new(),
                    refusals: BTreeMap::new(),
                    said,
                };
                self.groups.insert(group.said.group.clone(), group);
            }
        }
    }

    fn enqueue(&mut self, said: Enqueue, id: TransactionId, now: u64) {
        let name = said.topic.clone();
        let is_full = self.room(&name, now) == Some(0);
        let topic = self.topics.entry(name).or_default();
        if is_full {
            topic.refused += 1;
            return;
        }
        topic.messages.push(Message {
            id,
            said,
            timestamp: now,
            is_held: true,
        });
        let Some((_, limit)) = &topic.limit else {
            return;
        };
        if limit.overflow == Overflow::DropOldest && limit.messages_max > 0 {
            let held = topic
                .messages
                .iter()
                .filter(|message| message.is_held)
                .count();
            let too_many = (held as u64).saturating_sub(limit.messages_max).min(2);
            let oldest = topic.messages.iter_mut().filter(|message| message.is_held);
            oldest
                .take(too_many as usize)
                .for_each(|message| message.is_held = false);
        }
    }

    /// From the lowest message on that isn't finished for one of the groups.
    fn room(&self, name: &str, now: u64) -> Option<u64> {
        let topic = self.topics.get(name)?;
        let (_, limit) = topic.limit.as_ref()?;
        if limit.overflow != Overflow::Refuse || limit.messages_max == 0 {
            return None;
        }
        let floors = limit.groups.iter().map(|group| {
            let group = &self.groups[group];
            let is_open = |(offset, message): (u64, &Message)| {
                let place = (name.to_owned(), offset);
                message.is_held
                    && !group.done.contains_key(&place)
                    && (message.said.expiry == 0 || now < message.said.expiry)
                    && message.timestamp >= group.since
            };
            (0u64..)
                .zip(&topic.messages)
                .position(is_open)
                .unwrap_or(topic.messages.len())
        });
        let lowest = floors.min().unwrap();
        let waiting = (topic.messages.len() - lowest) as u64;
        Some(limit.messages_max.saturating_sub(waiting))
    }

    fn can_finish(
        &self,
        group: &str,
        sender: &str,
        (topic, offset): &(String, u64),
        id: TransactionId,
        now: u64,
    ) -> bool {
        let (Some(group), Some(held)) = (self.groups.get(group), self.topics.get(topic)) else {
            return false;
        };
        let senders: BTreeSet<&str> = group
            .said
            .consumers
            .iter()
            .map(String::as_str)
            .chain([&*group.owner])
            .collect();
        let Some(message) = held.messages.get(*offset as usize) else {
            return false;
        };
        senders.contains(sender)
            && group.said.patterns.iter().any(|pattern| pattern.has(topic))
            && message.is_held
            && message.id == id
            && message.timestamp >= group.since
            && (message.said.expiry == 0 || now < message.said.expiry)
            && !group.done.contains_key(&(topic.clone(), *offset))
    }
}
