//! Messages in hand: which consumer has which message at this moment. Only this hub knows, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hubledger::clock::Clock;
use hubledger_storage::RangeLimit;

use super::kinds::{Guarantee, Priority};
use super::reader::Queue;
use super::rows::{Group, LANE_ORDERED, Message, Topic};
use crate::view::Result;

/// Most messages in hand at once, in all groups.
pub const LEASES_MAX: usize = 65_536;

/// In a topic, nothing is given out that is so many messages behind the lowest one that isn't finished; the window of messages in progress.
const WINDOW: u64 = 4_096;

/// Topics of a group that one call looks at; the next call goes on behind them.
const TOPICS_MAX: usize = 256;

/// A message that is given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its topic.
    pub topic: String,
    /// The message. Of one that has to be claimed, without its body: whoever acknowledges it finds it in the log of acknowledgements.
    pub message: Message,
    /// So often it was given out before, as far as this hub knows.
    pub redeliveries: u32,
    /// The hub's time at which it is given out again, in microseconds since 1970.
    pub until: u64,
}

#[derive(Debug)]
struct Lease {
    consumer: String,
    until: u64,
    redeliveries: u32,
}

/// A message for a group: by the number of the group, that of the topic, and the offset.
type Place = (u32, u32, u64);

/// Rows that are looked through at a time.
const PAGE: RangeLimit = RangeLimit {
    rows: 256,
    bytes: 4 << 20,
};

/// A topic as it is for a group at this moment.
struct Look {
    name: String,
    topic: Topic,
    /// Nothing is to be done below.
    floor: u64,
    /// Where the window of messages in progress ends.
    below: u64,
    /// What is finished within it.
    done: BTreeSet<u64>,
    /// The lowest ordered message that isn't finished.
    next_ordered: Option<u64>,
}

impl Look {
    fn is_done(&self, queue: &Queue, group: &Group, offset: u64) -> Result<bool> {
        match offset < self.below {
            true => Ok(self.done.contains(&offset)),
            false => Ok(queue.done(group, &self.topic, offset)?.is_some()),
        }
    }
}

/// Whether a message is for a group at all, at this time.
fn is_meant(message: &Message, group: &Group, now: u64) -> bool {
    message.timestamp >= group.since && !message.is_expired(now)
}

/// The leases of a hub.
pub struct Leases {
    clock: Arc<dyn Clock>,
    held: BTreeMap<Place, Lease>,
    /// Behind which topic a group goes on.
    behind: BTreeMap<u32, String>,
}

impl Leases {
    /// None in hand. Timeouts, delays and expiry go by this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            held: BTreeMap::new(),
            behind: BTreeMap::new(),
        }
    }

    /// So many messages are in hand, or were and nobody has looked since.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Gives messages to a consumer of a group, at most so many, the most urgent first: such as aren't finished, aren't in hand, aren't expired and
    /// aren't delayed. Each is in its hand for the group's visibility timeout. Nothing for whoever isn't of the group. O(topics of the group · (log
    /// rows + messages in progress)), 256 topics at a time.
    ///
    /// # Errors
    /// The store failed.
    pub fn take(
        &mut self,
        queue: &Queue,
        group_name: &str,
        consumer: &str,
        most: usize,
    ) -> Result<Vec<Delivery>> {
        let now = self.clock.now_us();
        let Some(group) = queue
            .group(group_name)?
            .filter(|group| group.is_of(consumer))
        else {
            return Ok(Vec::new());
        };
        let mut looks = Vec::new();
        for (name, topic) in self.topics(queue, &group)? {
            looks.push(self.look(queue, &group, (name, topic), now)?);
        }
        let mut given = Vec::new();
        for priority in Priority::ALL {
            for look in &looks {
                let room = LEASES_MAX.saturating_sub(self.held.len());
                let most = most.saturating_sub(given.len()).min(room);
                for message in self.waiting(queue, &group, look, *priority, (most, now))? {
                    given.push(self.give(
                        (&group, consumer),
                        (&look.name, &look.topic),
                        message,
                        now,
                    ));
                }
            }
        }
        Ok(given)
    }

    /// Takes a message out of whoever's hand: it is given out at the next call. Of what isn't in hand, nothing changes.
    pub fn release(&mut self, group: &Group, topic: &Topic, offset: u64) {
        if let Some(lease) = self.held.get_mut(&(group.number, topic.number, offset)) {
            lease.until = 0;
        }
    }

    /// Who has a message in hand now, and until when.
    #[must_use]
    pub fn holder(&self, group: &Group, topic: &Topic, offset: u64) -> Option<(&str, u64)> {
        let lease = self.held.get(&(group.number, topic.number, offset))?;
        (lease.until > self.clock.now_us()).then_some((&*lease.consumer, lease.until))
    }

    /// The topics of a group that it is their turn to be looked at.
    fn topics(&mut self, queue: &Queue, group: &Group) -> Result<Vec<(String, Topic)>> {
        let behind = self.behind.remove(&group.number);
        let mut topics = BTreeMap::new();
        for pattern in &group.patterns {
            topics.extend(queue.topics(pattern, behind.as_deref(), TOPICS_MAX)?);
        }
        while topics.len() > TOPICS_MAX {
            topics.pop_last();
        }
        match topics.last_key_value() {
            Some((last, _)) if topics.len() == TOPICS_MAX => {
                self.behind.insert(group.number, last.clone());
            }
            // Behind the last one, the first comes next.
            None if behind.is_some() => return self.topics(queue, group),
            _ => {}
        }
        Ok(topics.into_iter().collect())
    }

    /// Looks at a topic for a group, and forgets leases below what is finished.
    fn look(
        &mut self,
        queue: &Queue,
        group: &Group,
        (name, topic): (String, Topic),
        now: u64,
    ) -> Result<Look> {
        let floor = queue.floor(group, &topic)?;
        let (group_number, topic_number) = (group.number, topic.number);
        let first = (group_number, topic_number, 0);
        while let Some((place, _)) = self
            .held
            .range(first..(group_number, topic_number, floor))
            .next()
        {
            let place = *place;
            self.held.remove(&place);
        }
        let below = topic.end.min(floor.saturating_add(WINDOW));
        let done = queue.done_between(group, &topic, floor, below)?;
        let mut look = Look {
            name,
            topic,
            floor,
            below,
            done: done.into_iter().collect(),
            next_ordered: None,
        };
        let ordered = queue.of_lane(&look.topic, LANE_ORDERED, floor, WINDOW as usize)?;
        for offset in ordered {
            if !look.is_done(queue, group, offset)?
                && let Some(message) = queue.message(&look.topic, offset)?
                && is_meant(&message, group, now)
            {
                look.next_ordered = Some(offset);
                break;
            }
        }
        Ok(look)
    }

    /// Messages of one priority that can be given out.
    fn waiting(
        &self,
        queue: &Queue,
        group: &Group,
        look: &Look,
        priority: Priority,
        (most, now): (usize, u64),
    ) -> Result<Vec<Message>> {
        let mut found = Vec::new();
        if most == 0 || look.floor >= look.topic.end {
            return Ok(found);
        }
        let can_be_given = |message: &Message| {
            let place = (group.number, look.topic.number, message.offset);
            let is_free = self.held.get(&place).is_none_or(|lease| lease.until <= now);
            let is_next = message.guarantee != Guarantee::Ordered
                || look.next_ordered == Some(message.offset);
            is_free && is_next && is_meant(message, group, now) && message.not_before <= now
        };
        if priority != Priority::Normal {
            for offset in
                queue.of_lane(&look.topic, priority.number(), look.floor, WINDOW as usize)?
            {
                if found.len() < most
                    && !look.is_done(queue, group, offset)?
                    && let Some(message) = queue.message(&look.topic, offset)?
                {
                    found.extend(Some(message).filter(can_be_given));
                }
            }
            return Ok(found);
        }
        let mut from = look.floor;
        while from < look.below && found.len() < most {
            let page = queue.messages(&look.topic, from, PAGE)?;
            let Some(last) = page.last() else { break };
            from = last.offset + 1;
            let waiting = page.into_iter().filter(|message| {
                message.priority == priority
                    && message.offset < look.below
                    && !look.done.contains(&message.offset)
                    && can_be_given(message)
            });
            found.extend(waiting.take(most - found.len()));
        }
        Ok(found)
    }

    fn give(
        &mut self,
        (group, consumer): (&Group, &str),
        (name, topic): (&str, &Topic),
        mut message: Message,
        now: u64,
    ) -> Delivery {
        let place = (group.number, topic.number, message.offset);
        let redeliveries = self
            .held
            .get(&place)
            .map_or(0, |lease| lease.redeliveries + 1);
        let until = now.saturating_add(group.visibility);
        let lease = Lease {
            consumer: consumer.to_owned(),
            until,
            redeliveries,
        };
        self.held.insert(place, lease);
        if message.guarantee.is_claimed() {
            message.body.clear();
        }
        Delivery {
            topic: name.to_owned(),
            message,
            redeliveries,
            until,
        }
    }
}

impl std::fmt::Debug for Leases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leases")
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}
