//! Messages are finished for a group, by acknowledgements or by refusals.

use super::payload::{Acknowledge, MessageName, Refuse};
use super::rows::{
    Done, Group, Message, TABLE_DEAD, TABLE_DONE, TABLE_FLOORS, TABLE_LOG, TABLE_REFUSALS, Topic,
    encode_place, floor_key, key, number,
};
use super::view::{At, group, message, put_group, read, topic};
use crate::view::{Result, Rows};

/// With each transaction a floor rises by so many messages at most; the next one goes on.
const RISE_MAX: usize = 1024;

/// A group and a topic that it consumes, in the word of somebody who may speak for it.
fn spoken_for(
    at: &At<'_>,
    (group_name, topic_name): (&str, &str),
    rows: &mut Rows,
) -> Result<Option<(Group, Topic)>> {
    let group = group(rows, group_name)?.filter(|group| {
        let sender = at.entry.sender();
        group.is_of(sender) && group.has(topic_name)
    });
    let Some(group) = group else {
        return Ok(None);
    };
    Ok(topic(rows, topic_name)?.map(|topic| (group, topic)))
}

/// A message that can still be finished for a group at this time.
fn unfinished(
    at: &At<'_>,
    (group, topic): (&Group, &Topic),
    name: &MessageName,
    rows: &mut Rows,
) -> Result<Option<Message>> {
    let is_meant = |message: &Message| {
        message.id == name.id
            && message.timestamp >= group.since
            && !message.is_expired(at.block.timestamp())
    };
    let Some(message) = message(rows, topic.number, name.offset)?.filter(is_meant) else {
        return Ok(None);
    };
    let key = key([group.number, topic.number], name.offset);
    Ok(rows.get(TABLE_DONE, &key)?.is_none().then_some(message))
}

fn finish(
    at: &At<'_>,
    (group, topic): (u32, u32),
    offset: u64,
    (is_dead, number): (bool, u64),
    rows: &mut Rows,
) {
    let done = Done {
        is_dead,
        number,
        height: at.block.height(),
        index: at.entry.index,
        id: at.entry.id(),
        timestamp: at.block.timestamp(),
        consumer: at.entry.sender().to_owned(),
    };
    rows.put(TABLE_DONE, key([group, topic], offset), done.encode());
}

pub(super) fn acknowledge(at: &At<'_>, said: &Acknowledge, rows: &mut Rows) -> Result<()> {
    let names = (&*said.group, &*said.topic);
    let Some((mut group, topic)) = spoken_for(at, names, rows)? else {
        return Ok(());
    };
    let before = group.acknowledged;
    for name in &said.messages {
        if unfinished(at, (&group, &topic), name, rows)?.is_none() {
            continue;
        }
        let numbers = (group.number, topic.number);
        finish(at, numbers, name.offset, (false, group.acknowledged), rows);
        let place = encode_place(topic.number, name.offset, "");
        rows.put(TABLE_LOG, key([group.number], group.acknowledged), place);
        group.acknowledged += 1;
    }
    if group.acknowledged > before {
        raise_floor(
            rows,
            (group.number, group.since),
            &topic,
            at.block.timestamp(),
        )?;
        put_group(rows, &said.group, &group);
    }
    Ok(())
}

pub(super) fn refuse(at: &At<'_>, said: &Refuse, rows: &mut Rows) -> Result<()> {
    let names = (&*said.group, &*said.topic);
    let Some((mut group, topic)) = spoken_for(at, names, rows)? else {
        return Ok(());
    };
    let Some(message) = unfinished(at, (&group, &topic), &said.message, rows)? else {
        return Ok(());
    };
    let place = key([group.number, topic.number], message.offset);
    let row = rows.get(TABLE_REFUSALS, &place)?;
    let refusals = read(TABLE_REFUSALS, row, |row| number(row))?.unwrap_or(0) + 1;
    rows.put(TABLE_REFUSALS, place, refusals.to_le_bytes().to_vec());
    if group.refusals_max == 0 || refusals < group.refusals_max.into() {
        return Ok(());
    }
    let numbers = (group.number, topic.number);
    finish(at, numbers, message.offset, (true, group.dead), rows);
    let place = encode_place(topic.number, message.offset, &said.reason);
    rows.put(TABLE_DEAD, key([group.number], group.dead), place);
    group.dead += 1;
    raise_floor(
        rows,
        (group.number, group.since),
        &topic,
        at.block.timestamp(),
    )?;
    put_group(rows, &said.group, &group);
    Ok(())
}

/// Below which offset all messages are finished for a group, as it was last noted.
pub(super) fn floor_of(rows: &mut Rows, group: u32, topic: &Topic) -> Result<u64> {
    let row = rows.get(TABLE_FLOORS, &floor_key(group, topic.number))?;
    let floor = read(TABLE_FLOORS, row, |row| number(row))?.unwrap_or(0);
    Ok(floor.max(topic.first))
}

/// Raises the floor of a group, which has messages since a time, over all that is finished now, by whatever means.
pub(super) fn raise_floor(
    rows: &mut Rows,
    (group, since): (u32, u64),
    topic: &Topic,
    now: u64,
) -> Result<u64> {
    let from = floor_of(rows, group, topic)?;
    let mut floor = from;
    for _ in 0..RISE_MAX {
        if floor >= topic.end {
            break;
        }
        let is_done = rows
            .get(TABLE_DONE, &key([group, topic.number], floor))?
            .is_some();
        if !is_done
            && message(rows, topic.number, floor)?
                .is_some_and(|message| !message.is_expired(now) && message.timestamp >= since)
        {
            break;
        }
        floor += 1;
    }
    if floor != from {
        let key = floor_key(group, topic.number).to_vec();
        rows.put(TABLE_FLOORS, key, floor.to_le_bytes().to_vec());
    }
    Ok(floor)
}
