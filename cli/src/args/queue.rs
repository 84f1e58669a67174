//! What can be said of the message queue.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hubledger::digest::BlockHash;
use hubledger_services::queue::Pattern;

use super::file;
use super::text::text;
use super::views::Viewed;

pub(super) const QUEUE_EXAMPLES: &str = "Examples:
  hubledger queue topics --store log:hub
  hubledger queue list trades.eu --from 100 --limit 20 --store log:hub
  hubledger queue get trades.eu 107 --group billing --store log:hub
  hubledger queue prove trades.eu 107 --group billing --out delivered.json --store log:hub
  hubledger queue verify delivered.json --head HASH
  hubledger queue groups --store log:hub

Answers say after which block they are right. Messages, acknowledgements and the like are transactions (FORMAT.md, \"Service payloads\"): \
hubledger tx makes them of their JSON form.";

#[derive(Subcommand)]
pub(crate) enum QueueCommand {
    /// List topics, how many messages each has, and how many it has room for
    Topics(QueueTopics),
    /// List messages of a topic, from an offset or a time on
    List(QueueList),
    /// Show a message, and whether a group has done it
    Get(QueueGet),
    /// Prove that a message is in the chain, or that it was delivered to a group
    Prove(QueueProve),
    /// Check such a proof against nothing but a head hash
    Verify(QueueVerify),
    /// List consumer groups
    Groups(QueueGroups),
    /// List what a group has acknowledged, in that order
    Log(QueueLog),
    /// List the messages that a group has given up
    Dead(QueueDead),
}

#[derive(Args)]
pub(crate) struct QueueTopics {
    /// Only topics of this pattern: * stands for a part, # at the end for any number of them
    #[arg(long, value_name = "PATTERN", default_value = "#", value_parser = pattern)]
    pub(crate) pattern: Pattern,
    /// Only those behind this one, by name
    #[arg(long, value_name = "TOPIC", value_parser = text::<String>())]
    pub(crate) after: Option<String>,
    /// Topics at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

pub(super) fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::new(text).ok_or_else(|| "not a pattern of topics".to_owned())
}

#[derive(Args)]
pub(crate) struct QueueList {
    /// The topic
    #[arg(value_parser = text::<String>())]
    pub(crate) topic: String,
    /// The offset of the first message
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    pub(crate) from: u64,
    /// Messages in blocks of this time and later, in microseconds since 1970
    #[arg(long, value_name = "MICROSECONDS", conflicts_with = "from")]
    pub(crate) since: Option<u64>,
    /// Messages at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct QueueGet {
    /// The topic
    #[arg(value_parser = text::<String>())]
    pub(crate) topic: String,
    /// The message's offset
    pub(crate) offset: u64,
    /// Also say whether this group has done it
    #[arg(long, value_name = "GROUP", value_parser = text::<String>())]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct QueueProve {
    /// The topic
    #[arg(value_parser = text::<String>())]
    pub(crate) topic: String,
    /// The message's offset
    pub(crate) offset: u64,
    /// Prove that this group has acknowledged it, and not only that it is in the chain
    #[arg(long, value_name = "GROUP", value_parser = text::<String>())]
    pub(crate) group: Option<String>,
    /// The head that the verifier trusts; the last block if left out
    #[arg(long, value_name = "HASH", value_parser = text::<BlockHash>())]
    pub(crate) head: Option<BlockHash>,
    /// The proof to write, JSON
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct QueueVerify {
    /// The proof
    pub(crate) file: PathBuf,
    /// The head that you trust
    #[arg(long, value_name = "HASH", value_parser = text::<BlockHash>())]
    pub(crate) head: BlockHash,
}

#[derive(Args)]
pub(crate) struct QueueGroups {
    /// Only those behind this one, by name
    #[arg(long, value_name = "GROUP", value_parser = text::<String>())]
    pub(crate) after: Option<String>,
    /// Groups at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

/// Numbered entries of a group.
#[derive(Args)]
pub(crate) struct QueueLog {
    /// The group
    #[arg(value_parser = text::<String>())]
    pub(crate) group: String,
    /// The number of the first one
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) from: u64,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

/// The same of dead letters.
pub(crate) type QueueDead = QueueLog;
