//! `queue`: messages by topic.

use hubledger_services::queue::{Message, Queue, QueueView};
use hubledger_storage::RangeLimit;
use serde_json::{Value, json};

use super::views::{as_of, look};
use crate::args::{QueueCommand, QueueList, QueueTopics};
use crate::failure::Result;
use crate::output::Output;

/// Bytes of messages in one answer, at most.
const ANSWER_BYTES_MAX: usize = 64 << 20;

pub(crate) fn queue(command: &QueueCommand, output: &Output) -> Result {
    match command {
        QueueCommand::Topics(args) => topics(args, output),
        QueueCommand::List(args) => list(args, output),
    }
}

fn topics(args: &QueueTopics, output: &Output) -> Result {
    let (snapshot, _) = look(&args.viewed, Box::new(QueueView))?;
    let queue = Queue::new(snapshot);
    let topics = queue.topics()?.into_iter();
    let topics: Vec<Value> = topics
        .map(|(name, topic)| json!({ "topic": name, "end": topic.end }))
        .collect();
    output.print(&json!({ "as_of": as_of(queue.as_of()), "topics": topics }));
    Ok(())
}

fn list(args: &QueueList, output: &Output) -> Result {
    let (snapshot, _) = look(&args.viewed, Box::new(QueueView))?;
    let queue = Queue::new(snapshot);
    let limit = RangeLimit {
        rows: args.limit,
        bytes: ANSWER_BYTES_MAX,
    };
    let messages = queue.messages(&args.topic, args.from, limit)?;
    output.print(&json!({
        "as_of": as_of(queue.as_of()),
        "topic": args.topic,
        "messages": messages.iter().map(describe).collect::<Vec<_>>(),
    }));
    Ok(())
}

fn describe(message: &Message) -> Value {
    json!({
        "offset": message.offset,
        "height": message.height,
        "index": message.index,
        "id": message.id,
        "priority": message.priority.word(),
        "body": String::from_utf8_lossy(&message.body),
    })
}
