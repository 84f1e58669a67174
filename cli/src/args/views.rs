//! What can be said of views over a chain.

use clap::Args;
use hubledger_storage::StoreUrl;

use super::text::text;

/// The chain, and where its views are.
#[derive(Args)]
pub(crate) struct Viewed {
    /// The store of the chain
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The store of its views; beside the chain's, with .views behind its name, if left out
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) views: Option<StoreUrl>,
    /// Create the store of the views if it isn't there; without this they are worked out in memory, each time anew
    #[arg(long)]
    pub(crate) keep: bool,
}
