//! What can be said of branches, and of chains that part.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hubledger_storage::StoreUrl;

use super::file;
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
    /// Take in the blocks of files, on whatever branch they are, and go on with the best branch that is known
    #[command(
        after_help = "Example:\n  hubledger fork offer theirs.hlb --store log:hub\n\n\
A block may come before the one that it follows. Blocks that are final stay; the first block that is refused ends it, and the exit code is 3. \
`export` writes blocks of a store to a file."
    )]
    Offer(ForkOffer),
    /// Make a new chain from a height of this one, in a new store: it has the blocks up to there, and goes on by itself
    #[command(
        after_help = "Examples:\n  hubledger fork new --store log:hub --at 1207 --to log:east --name east --out east.toml\n  \
hubledger fork new --store log:hub --at 1207 --to log:other-east --spec east.toml\n\n\
Blocks, what was pruned of them, and the index up to there are copied; the new chain's specification pins the last of them \
and the state after it. Every hub of the new chain needs the same specification: give the file that the first one wrote to \
the others, who make the fork from their own store. A fork that was interrupted is simply started again; until it is \
finished the target can't be opened."
    )]
    New(ForkNew),
}

#[derive(Args)]
pub(crate) struct ForkNew {
    /// The store with the chain, which is only read
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The last block that both chains have
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) at: u64,
    /// The store to create
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) to: StoreUrl,
    /// The name of the new chain; all else stays as it is in force there
    #[arg(long, value_name = "NAME", value_parser = text::<String>(), conflicts_with = "spec")]
    pub(crate) name: Option<String>,
    /// The specification of the new chain, a TOML file; [predecessor] is filled in, or checked if it is there
    #[arg(long, value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    /// Also write the specification to a new TOML file, for the other hubs of the new chain
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub(crate) out: Option<PathBuf>,
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
pub(crate) struct ForkOffer {
    /// Block files of this chain
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
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
