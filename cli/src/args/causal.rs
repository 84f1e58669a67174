//! What can be said of the causal order.

use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use hubledger::digest::TransactionId;

use super::text::text;
use super::views::Viewed;

pub(super) const CAUSAL_EXAMPLES: &str = "Examples:
  hubledger causal before ID --store log:hub
  hubledger causal concurrent ID --by blocks --store log:hub

By messages, a transaction is before another one whose vector clock says that its sender knew it. By blocks, it is before all in blocks with a later clock.";

#[derive(Subcommand)]
pub(crate) enum CausalCommand {
    /// List what happened before a transaction
    Before(CausalQuery),
    /// List what happened after it
    After(CausalQuery),
    /// List what happened neither before nor after it
    Concurrent(CausalQuery),
}

/// Whose clocks tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Those in payloads
    Messages,
    /// Those of blocks
    Blocks,
}

/// Where an answer goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Onward {
    Event(TransactionId),
    Height(u64),
}

impl FromStr for Onward {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(height) => Ok(Self::Height(height)),
            Err(_) => match text.parse() {
                Ok(id) => Ok(Self::Event(id)),
                Err(_) => Err("expected the id of a transaction, or a height"),
            },
        }
    }
}

#[derive(Args)]
pub(crate) struct CausalQuery {
    /// The transaction
    #[arg(value_name = "ID", value_parser = text::<TransactionId>())]
    pub(crate) transaction: TransactionId,
    /// Whose clocks tell: by messages if the transaction carries a clock that counts, otherwise by blocks
    #[arg(long)]
    pub(crate) by: Option<By>,
    /// Go on behind this event, or from this height by blocks, where an answer before says so
    #[arg(long, value_name = "ID|HEIGHT", value_parser = text::<Onward>())]
    pub(crate) next: Option<Onward>,
    /// Events, or blocks that have transactions, at most
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}
