//! What can be said of state updates.

use clap::{Args, Subcommand};
use hubledger::digest::TransactionId;
use hubledger_services::queue::Pattern;

use super::look::BlockName;
use super::queue::pattern;
use super::text::text;
use super::views::Viewed;

pub(super) const UPDATES_EXAMPLES: &str = "Examples:
  hubledger updates since HASH --nodes --registry --topic trades.eu --store log:hub
  hubledger updates since 1000 --index 7 --topic 'trades.#' --store log:hub
  hubledger updates parts HASH ID ID --store log:hub";

#[derive(Subcommand)]
pub(crate) enum UpdatesCommand {
    /// Give what was committed since a block, also one that was replaced: updates of nodes, changes of the registry, messages
    Since(UpdatesSince),
    /// Give transactions of a block by their ids, each with its path to the root in the block's header
    Parts(UpdatesParts),
}

#[derive(Args)]
pub(crate) struct UpdatesSince {
    /// The last block that the peer has; one that was replaced leads to where its branch began
    #[arg(value_name = "HEIGHT|HASH", value_parser = text::<BlockName>())]
    pub(crate) block: BlockName,
    /// Go on at this index of the block behind it, where an answer before says so
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    pub(crate) index: u32,
    /// Updates of nodes
    #[arg(long)]
    pub(crate) nodes: bool,
    /// Changes of the registry
    #[arg(long)]
    pub(crate) registry: bool,
    /// Messages of the topics of this pattern: * stands for a part, # at the end for any number of them; may be given several times
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub(crate) topic: Vec<Pattern>,
    /// Updates at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct UpdatesParts {
    /// The block
    #[arg(value_name = "HEIGHT|HASH", value_parser = text::<BlockName>())]
    pub(crate) block: BlockName,
    /// The transactions
    #[arg(value_name = "ID", required = true, value_parser = text::<TransactionId>())]
    pub(crate) ids: Vec<TransactionId>,
    /// The store of the chain
    #[arg(long, value_name = "URL", value_parser = text::<hubledger_storage::StoreUrl>())]
    pub(crate) store: hubledger_storage::StoreUrl,
}
