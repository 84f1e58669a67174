//! What can be said of branches.

use clap::{Args, Subcommand};
use hubledger_storage::StoreUrl;

use super::text::text;

#[derive(Subcommand)]
pub(crate) enum ForkCommand {
    /// Draw the chain from its last final block on, and the branches beside it
    #[command(after_help = "Example:\n  hubledger fork show --store log:hub")]
    Show(ForkShow),
    /// List all blocks that are known at a height, the chain's first
    #[command(after_help = "Example:\n  hubledger fork at 1207 --store log:hub")]
    At(ForkAt),
    /// Take in the blocks of another store of this chain, and go on with the best branch of both
    #[command(
        after_help = "Example:\n  hubledger fork resolve --store log:hub --from log:copy-of-a-peer\n\n\
Blocks that are final stay, whatever the other branch weighs: if the two stores have different final blocks they are apart\n\
for good, and the exit code is 3. It can be started again at any time."
    )]
    Resolve(ForkResolve),
}

#[derive(Args)]
pub(crate) struct ForkShow {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
}

#[derive(Args)]
pub(crate) struct ForkAt {
    /// The height
    pub(crate) height: u64,
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
}

#[derive(Args)]
pub(crate) struct ForkResolve {
    /// The store that is to have the best branch
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The other one, which is only read
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) from: StoreUrl,
}
