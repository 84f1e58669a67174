//! Groups and the limits of topics.

use super::enqueue::{count_one_more, topic_or_new};
use super::payload::{Limit, Subscribe};
use super::rows::{COUNT_GROUPS, Group, Limits};
use super::view::{At, group, put_group, put_topic};
use crate::view::{Result, Rows};

/// Begins a group or changes it; what somebody else says of it doesn't count.
pub(super) fn subscribe(at: &At<'_>, said: Subscribe, rows: &mut Rows) -> Result<()> {
    let sender = at.entry.sender();
    let group = match group(rows, &said.group)? {
        Some(group) if group.owner != sender => return Ok(()),
        Some(group) => Group {
            patterns: said.patterns,
            consumers: said.consumers,
            visibility: said.visibility,
            refusals_max: said.refusals_max,
            ..group
        },
        None => Group {
            number: count_one_more(rows, COUNT_GROUPS)?,
            owner: sender.to_owned(),
            patterns: said.patterns,
            consumers: said.consumers,
            visibility: said.visibility,
            refusals_max: said.refusals_max,
            since: said.since.min(at.block.timestamp()),
            acknowledged: 0,
            dead: 0,
        },
    };
    put_group(rows, &said.group, &group);
    Ok(())
}

/// Sets the limits of a topic; what somebody else says of them doesn't count, nor what names a group that there is none of.
pub(super) fn limit(at: &At<'_>, said: Limit, rows: &mut Rows) -> Result<()> {
    let mut groups = Vec::with_capacity(said.groups.len());
    for name in &said.groups {
        match group(rows, name)? {
            Some(group) => groups.push((group.number, group.since)),
            None => return Ok(()),
        }
    }
    let (name, sender) = (said.topic, at.entry.sender());
    let mut topic = topic_or_new(rows, &name)?;
    if topic
        .limits
        .as_ref()
        .is_some_and(|limits| limits.owner != sender)
    {
        return Ok(());
    }
    topic.limits = Some(Limits {
        owner: sender.to_owned(),
        messages_max: said.messages_max,
        overflow: said.overflow,
        groups,
    });
    put_topic(rows, &name, &topic);
    Ok(())
}
