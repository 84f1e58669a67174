//! What can be said of the message queue.

use clap::{Args, Subcommand};

use super::text::text;
use super::views::Viewed;

pub(super) const QUEUE_EXAMPLES: &str = "Examples:
  hubledger queue topics --store log:hub
  hubledger queue list trades.eu --from 100 --limit 20 --store log:hub";

#[derive(Subcommand)]
pub(crate) enum QueueCommand {
    /// List the topics
    Topics(QueueTopics),
    /// List messages of a topic, from an offset on
    List(QueueList),
}

#[derive(Args)]
pub(crate) struct QueueTopics {
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct QueueList {
    /// The topic
    #[arg(value_parser = text::<String>())]
    pub(crate) topic: String,
    /// The offset of the first message
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    pub(crate) from: u64,
    /// Messages at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}
