//! `queue`: messages by topic, consumer groups, and proofs of both.

use hubledger::ledger::ChainReader;
use hubledger_services::queue::{
    Carried, DeliveryProof, Done, Group, Message, Queue, QueueView, Topic,
};
use hubledger_storage::RangeLimit;
use serde_json::{Value, json};

use super::views::{as_of, look};
use super::{read_file, write_new};
use crate::args::{
    QueueCommand, QueueDead, QueueGet, QueueGroups, QueueList, QueueLog, QueueProve, QueueTopics,
    QueueVerify, Viewed,
};
use crate::describe::extend;
use crate::failure::{Failure, Result};
use crate::output::Output;

/// Bytes of messages in one answer, at most.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Bytes of a proof of delivery, at most: two transactions of the size of payloads with a meaning, in hexadecimal, and two proofs.
const PROOF_BYTES_MAX: u64 = 1 << 20;

pub(crate) fn queue(command: &QueueCommand, output: &Output) -> Result {
    match command {
        QueueCommand::Topics(args) => topics(args, output),
        QueueCommand::List(args) => list(args, output),
        QueueCommand::Get(args) => get(args, output),
        QueueCommand::Prove(args) => prove(args, output),
        QueueCommand::Verify(args) => verify(args, output),
        QueueCommand::Groups(args) => groups(args, output),
        QueueCommand::Log(args) => log(args, output),
        QueueCommand::Dead(args) => dead(args, output),
    }
}

fn open(viewed: &Viewed) -> Result<(Queue, ChainReader)> {
    let (snapshot, chain) = look(viewed, Box::new(QueueView))?;
    Ok((Queue::new(snapshot), chain))
}

fn topics(args: &QueueTopics, output: &Output) -> Result {
    let (queue, _) = open(&args.viewed)?;
    let mut topics = Vec::new();
    for (name, topic) in queue.topics(&args.pattern, args.after.as_deref(), args.limit)? {
        let room = queue.room(&topic)?;
        topics.push(json!({
            "topic": name,
            "first": topic.first,
            "end": topic.end,
            "refused": topic.refused,
            "room": room,
        }));
    }
    output.print(&json!({ "as_of": as_of(queue.as_of()), "topics": topics }));
    Ok(())
}

fn the_topic(queue: &Queue, name: &str) -> Result<Topic> {
    let unknown = || Failure::message(format!("queue: there is no topic {name:?}"));
    queue.topic(name)?.ok_or_else(unknown)
}

fn the_group(queue: &Queue, name: &str) -> Result<Group> {
    let unknown = || Failure::message(format!("queue: there is no group {name:?}"));
    queue.group(name)?.ok_or_else(unknown)
}

fn the_message(queue: &Queue, (name, topic): (&str, &Topic), offset: u64) -> Result<Message> {
    let unknown = || Failure::message(format!("queue: topic {name:?} has no message {offset}"));
    queue.message(topic, offset)?.ok_or_else(unknown)
}

fn list(args: &QueueList, output: &Output) -> Result {
    let (queue, _) = open(&args.viewed)?;
    let topic = the_topic(&queue, &args.topic)?;
    let from = match args.since {
        Some(since) => queue.offset_at(&topic, since)?,
        None => args.from,
    };
    let limit = RangeLimit {
        rows: args.limit,
        bytes: ANSWER_BYTES_MAX,
    };
    let messages = queue.messages(&topic, from, limit)?;
    let messages = messages.iter().take(args.limit).map(describe);
    output.print(&json!({
        "as_of": as_of(queue.as_of()),
        "topic": args.topic,
        "end": topic.end,
        "messages": messages.collect::<Vec<_>>(),
    }));
    Ok(())
}

fn get(args: &QueueGet, output: &Output) -> Result {
    let (queue, _) = open(&args.viewed)?;
    let topic = the_topic(&queue, &args.topic)?;
    let message = the_message(&queue, (&args.topic, &topic), args.offset)?;
    let mut report = json!({ "as_of": as_of(queue.as_of()), "topic": args.topic });
    extend(&mut report, describe(&message));
    if let Some(name) = &args.group {
        let group = the_group(&queue, name)?;
        let done = queue.done(&group, &topic, args.offset)?;
        report["group"] = name.as_str().into();
        report["done"] = done.as_ref().map_or(Value::Null, describe_done);
    }
    output.print(&report);
    Ok(())
}

fn prove(args: &QueueProve, output: &Output) -> Result {
    let (queue, chain) = open(&args.viewed)?;
    let topic = the_topic(&queue, &args.topic)?;
    let message = the_message(&queue, (&args.topic, &topic), args.offset)?;
    let head = args.head.as_ref();
    let proof = match &args.group {
        Some(name) => {
            let done = queue.done(&the_group(&queue, name)?, &topic, args.offset)?;
            let done = done.filter(|done| !done.is_dead).ok_or_else(|| {
                Failure::message(format!("queue: group {name:?} hasn't acknowledged it"))
            })?;
            DeliveryProof::of(&chain, &message, &done, head)?.to_json()
        }
        None => {
            let carried = Carried::of(&chain, (message.height, message.index), head)?;
            json!({ "message": carried.to_json() })
        }
    };
    // A file that is begun is written.
    output.stop().in_order();
    write_new(&args.out, proof.to_string().as_bytes())?;
    output.print(&json!({
        "as_of": as_of(queue.as_of()),
        "topic": args.topic,
        "offset": args.offset,
        "id": message.id,
        "group": args.group,
        "head": match head {
            Some(head) => *head,
            None => chain.head()?.hash(),
        },
        "out": args.out.display().to_string(),
    }));
    Ok(())
}

fn verify(args: &QueueVerify, output: &Output) -> Result {
    let bytes = read_file(&args.file, PROOF_BYTES_MAX)?;
    let place = args.file.display();
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::message(format!("{place}: {error}")))?;
    let failed = |error| Failure::message(format!("{place}: {error}"));
    let proven = match value.get("acknowledgement") {
        Some(_) => {
            let proof = DeliveryProof::from_json(&value).map_err(failed)?;
            proof.verify(&args.head).map(|delivered| {
                json!({
                    "verdict": "valid",
                    "topic": delivered.message.topic,
                    "body": String::from_utf8_lossy(&delivered.message.body),
                    "sent": delivered.sent,
                    "group": delivered.group,
                    "consumer": delivered.consumer,
                    "offset": delivered.offset,
                    "acknowledged": delivered.acknowledged,
                })
            })
        }
        None => {
            let message = Carried::from_json(&value["message"]).map_err(failed)?;
            message.verify_message(&args.head).map(|(message, sent)| {
                json!({
                    "verdict": "valid",
                    "topic": message.topic,
                    "body": String::from_utf8_lossy(&message.body),
                    "sent": sent,
                })
            })
        }
    };
    match proven {
        Ok(report) => {
            output.print(&report);
            Ok(())
        }
        Err(problem) => {
            output.print(&json!({ "verdict": "invalid", "detail": problem.to_string() }));
            Err(Failure::InvalidVerdict)
        }
    }
}

fn groups(args: &QueueGroups, output: &Output) -> Result {
    let (queue, _) = open(&args.viewed)?;
    let groups = queue.groups(args.after.as_deref(), args.limit)?;
    let groups = groups.iter().map(|(name, group)| {
        let patterns: Vec<&str> = group.patterns.iter().map(|one| one.as_str()).collect();
        json!({
            "group": name,
            "owner": group.owner,
            "consumers": group.consumers,
            "patterns": patterns,
            "visibility": group.visibility,
            "refusals_max": group.refusals_max,
            "since": group.since,
            "acknowledged": group.acknowledged,
            "dead": group.dead,
        })
    });
    output.print(&json!({
        "as_of": as_of(queue.as_of()),
        "groups": groups.collect::<Vec<_>>(),
    }));
    Ok(())
}

fn log(args: &QueueLog, output: &Output) -> Result {
    let (queue, _) = open(&args.viewed)?;
    let group = the_group(&queue, &args.group)?;
    let entries = queue.acknowledged(&group, args.from, args.limit)?;
    let entries = entries.iter().map(|one| {
        let mut entry = json!({ "number": one.number, "topic": one.topic });
        if let Some(message) = &one.message {
            extend(&mut entry, describe(message));
        }
        entry["done"] = describe_done(&one.done);
        entry
    });
    output.print(&json!({
        "as_of": as_of(queue.as_of()),
        "group": args.group,
        "acknowledged": entries.collect::<Vec<_>>(),
    }));
    Ok(())
}

fn dead(args: &QueueDead, output: &Output) -> Result {
    let (queue, _) = open(&args.viewed)?;
    let group = the_group(&queue, &args.group)?;
    let letters = queue.dead_letters(&group, args.from, args.limit)?;
    let letters = letters.iter().map(|one| {
        let mut letter = json!({
            "number": one.number,
            "topic": one.topic,
            "offset": one.offset,
            "reason": one.reason,
        });
        if let Some(message) = &one.message {
            extend(&mut letter, describe(message));
        }
        letter
    });
    output.print(&json!({
        "as_of": as_of(queue.as_of()),
        "group": args.group,
        "dead": letters.collect::<Vec<_>>(),
    }));
    Ok(())
}

fn describe(message: &Message) -> Value {
    json!({
        "offset": message.offset,
        "height": message.height,
        "index": message.index,
        "id": message.id,
        "timestamp": message.timestamp,
        "priority": message.priority.word(),
        "delivery_guarantee": message.guarantee.word(),
        "expiry": message.expiry,
        "not_before": message.not_before,
        "body": String::from_utf8_lossy(&message.body),
    })
}

fn describe_done(done: &Done) -> Value {
    json!({
        "how": match done.is_dead {
            true => "dead",
            false => "acknowledged",
        },
        "consumer": done.consumer,
        "number": done.number,
        "height": done.height,
        "index": done.index,
        "id": done.id,
        "timestamp": done.timestamp,
    })
}
