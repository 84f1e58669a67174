//! A message comes into its topic.

use super::acknowledge::{floor_of, raise_floor};
use super::kinds::Overflow;
use super::payload::Enqueue;
use super::rows::{
    COUNT_TOPICS, Limits, Message, TABLE_COUNTS, TABLE_LANES, TABLE_MESSAGES, TABLE_NAMES, Topic,
    key, lane_key, number,
};
use super::view::{At, message, put_topic, read, topic};
use crate::view::{Result, Rows};

/// Of messages that are too many, so many go with each that comes: a lower limit is reached bit by bit, and no transaction costs more than another.
const DROPPED_MAX: usize = 2;

pub(super) fn enqueue(at: &At<'_>, said: Enqueue, rows: &mut Rows) -> Result<()> {
    let name = said.topic;
    let mut topic = topic_or_new(rows, &name)?;
    if is_full(rows, &topic, at.block.timestamp())? {
        topic.refused += 1;
        put_topic(rows, &name, &topic);
        return Ok(());
    }
    let message = Message {
        offset: topic.end,
        height: at.block.height(),
        index: at.entry.index,
        id: at.entry.id(),
        timestamp: at.block.timestamp(),
        priority: said.priority,
        guarantee: said.guarantee,
        expiry: said.expiry,
        not_before: said.not_before,
        body: said.body.into(),
    };
    rows.put(
        TABLE_MESSAGES,
        key([topic.number], topic.end),
        message.encode(),
    );
    for lane in message.lanes() {
        rows.put(
            TABLE_LANES,
            lane_key(topic.number, lane, topic.end),
            Vec::new(),
        );
    }
    topic.end += 1;
    drop_oldest(rows, &mut topic)?;
    put_topic(rows, &name, &topic);
    Ok(())
}

/// A topic begins with whatever is first said of it.
pub(super) fn topic_or_new(rows: &mut Rows, name: &str) -> Result<Topic> {
    if let Some(topic) = topic(rows, name)? {
        return Ok(topic);
    }
    let number = count_one_more(rows, COUNT_TOPICS)?;
    let key = number.to_be_bytes().to_vec();
    rows.put(TABLE_NAMES, key, name.as_bytes().to_vec());
    Ok(Topic {
        number,
        first: 0,
        end: 0,
        refused: 0,
        limits: None,
    })
}

/// The number of the next one. A chain can't hold as many transactions as there are numbers: a topic or group takes one of at least 80 bytes.
pub(super) fn count_one_more(rows: &mut Rows, of: &'static [u8]) -> Result<u32> {
    let row = rows.get(TABLE_COUNTS, of)?;
    let count = read(TABLE_COUNTS, row, |row| number(row))?.unwrap_or(0);
    rows.put(TABLE_COUNTS, of, (count + 1).to_le_bytes().to_vec());
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Whether new messages are refused until groups have done some.
fn is_full(rows: &mut Rows, topic: &Topic, now: u64) -> Result<bool> {
    let Some(limits) = &topic.limits else {
        return Ok(false);
    };
    if limits.messages_max == 0 || limits.overflow != Overflow::Refuse {
        return Ok(false);
    }
    for (group, since) in &limits.groups {
        let has_room = |floor| topic.end - floor < limits.messages_max;
        // Messages that have expired since make room too.
        if !has_room(floor_of(rows, *group, topic)?)
            && !has_room(raise_floor(rows, (*group, *since), topic, now)?)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn drop_oldest(rows: &mut Rows, topic: &mut Topic) -> Result<()> {
    let Some(Limits {
        messages_max: most @ 1..,
        overflow: Overflow::DropOldest,
        ..
    }) = topic.limits
    else {
        return Ok(());
    };
    for _ in 0..DROPPED_MAX {
        if topic.end - topic.first <= most {
            return Ok(());
        }
        if let Some(oldest) = message(rows, topic.number, topic.first)? {
            for lane in oldest.lanes() {
                rows.remove(TABLE_LANES, lane_key(topic.number, lane, oldest.offset));
            }
            rows.remove(TABLE_MESSAGES, key([topic.number], oldest.offset));
        }
        topic.first += 1;
    }
    Ok(())
}
