//! What can be said of routes.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hubledger::digest::{BlockHash, TransactionId};

use super::file;
use super::text::text;
use super::views::Viewed;

pub(super) const ROUTE_EXAMPLES: &str = "Examples:
  hubledger route path MESSAGE --store log:hub
  hubledger route fastest alice node_bob --store log:hub
  hubledger route receipt MESSAGE --out bob.receipt --store log:hub
  hubledger route verify bob.receipt --head HASH --tx MESSAGE";

#[derive(Subcommand)]
pub(crate) enum RouteCommand {
    /// Say what is known of a message and what is to be thought of everything that was said about its hops
    Show(RouteShow),
    /// List the verified hops of a message, with their latencies, and those that are missing
    Path(RoutePath),
    /// Find the route with the lowest fees, from what messages have paid
    Cheapest(RouteSearch),
    /// Find the route with the lowest latencies, from what nodes have said
    Fastest(RouteSearch),
    /// Write a receipt for a message that has arrived
    Receipt(RouteReceipt),
    /// Check a receipt against nothing but a head hash
    Verify(RouteVerify),
}

#[derive(Args)]
pub(crate) struct RouteShow {
    /// The transaction that carries the message
    #[arg(value_name = "ID", value_parser = text::<TransactionId>())]
    pub(crate) message: TransactionId,
    /// Claims about hops at most
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct RoutePath {
    /// The transaction that carries the message
    #[arg(value_name = "ID", value_parser = text::<TransactionId>())]
    pub(crate) message: TransactionId,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct RouteSearch {
    /// The node to begin at
    #[arg(value_parser = text::<String>())]
    pub(crate) from: String,
    /// The node to come to
    #[arg(value_parser = text::<String>())]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct RouteReceipt {
    /// The transaction that carries the message
    #[arg(value_name = "ID", value_parser = text::<TransactionId>())]
    pub(crate) message: TransactionId,
    /// The file to write: JSON if its name ends in .json
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub(crate) out: PathBuf,
    /// The block that whoever checks it trusts; the last one if left out
    #[arg(long, value_name = "HASH", value_parser = text::<BlockHash>())]
    pub(crate) head: Option<BlockHash>,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct RouteVerify {
    /// The receipt; - reads it from standard input
    pub(crate) file: PathBuf,
    /// The hash of the block that you trust
    #[arg(long, value_name = "HASH", value_parser = text::<BlockHash>())]
    pub(crate) head: BlockHash,
    /// It has to be about this message
    #[arg(long, value_name = "ID", value_parser = text::<TransactionId>())]
    pub(crate) tx: Option<TransactionId>,
}
