//! What can be said of pruning, archives, copies and checks.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use hubledger_storage::StoreUrl;

use super::text::text;

#[derive(Args)]
#[command(group = ArgGroup::new("how").required(true).multiple(true)
    .args(["keep", "below", "older_than", "budget", "policy"]))]
pub(crate) struct Prune {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// Keep the bodies of the last N blocks
    #[arg(long, value_name = "N", conflicts_with_all = ["below", "older_than"])]
    pub(crate) keep: Option<u64>,
    /// Remove the bodies of all blocks below this height
    #[arg(long, value_name = "HEIGHT", conflicts_with = "older_than")]
    pub(crate) below: Option<u64>,
    /// Remove the bodies of blocks older than this, such as 90days or 12h
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) older_than: Option<Duration>,
    /// Remove the oldest bodies, then index entries, until the store's files fit into so many bytes
    #[arg(long, value_name = "BYTES")]
    pub(crate) budget: Option<u64>,
    /// Keep at least the bodies of the last N blocks, whatever age and budget say
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) keep_at_least: u64,
    /// Keep index entries of the last N blocks only
    #[arg(long, value_name = "N")]
    pub(crate) index_keep: Option<u64>,
    /// Keep headers of the last N blocks only
    #[arg(long, value_name = "N", conflicts_with = "keep_leaves")]
    pub(crate) headers_keep: Option<u64>,
    /// Keep the leaf hashes of what is removed, 32 bytes a transaction, from which new proofs are made
    #[arg(long)]
    pub(crate) keep_leaves: bool,
    /// First write the blocks whose bodies go to the archive in this directory, or begin one
    #[arg(long, value_name = "DIR")]
    pub(crate) archive: Option<PathBuf>,
    /// All of this (but for the archive) as a policy, a TOML file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keep", "below", "older_than", "budget",
        "keep_at_least", "index_keep", "headers_keep", "keep_leaves"])]
    pub(crate) policy: Option<PathBuf>,
    /// Write what was removed into this hub's own log, for `audit --local`; begun if it isn't there
    #[arg(long, value_name = "FILE")]
    pub(crate) audit: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Followers {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// Remove this follower: pruning waits no longer for it
    #[arg(long, value_name = "NAME", value_parser = text::<String>())]
    pub(crate) remove: Option<String>,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The archive
    #[arg(long, value_name = "DIR")]
    pub(crate) archive: PathBuf,
    /// The store to restore into; created if it isn't there
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The store whose blocks follow the archive, such as the one that was pruned
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) then: Option<StoreUrl>,
    /// Threads that decode, check and validate; 0 starts one for each core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) threads: u16,
}

#[derive(Args)]
pub(crate) struct Migrate {
    /// The store to copy
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) from: StoreUrl,
    /// The store to copy into; created if it isn't there
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) to: StoreUrl,
    /// Of a damaged store copy what can be read; the report lists what is missing, and the exit code is 4 if anything is
    #[arg(long)]
    pub(crate) skip_damaged: bool,
}

#[derive(Args)]
pub(crate) struct Export {
    /// The store, which is only read
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The height of the first block
    #[arg(long, value_name = "HEIGHT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from: u64,
    /// The height of the last one; the chain's last if left out
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) to: Option<u64>,
    /// The block file to write; - writes it to standard output, and the report to standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct Backup {
    /// The store to copy
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The store to copy into; created if it isn't there
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) to: StoreUrl,
}

#[derive(Args)]
pub(crate) struct Check {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// If there is damage, make again what follows from sound data, and check again
    #[arg(long)]
    pub(crate) repair: bool,
}

#[derive(Subcommand)]
pub(crate) enum SnapshotCommand {
    /// Write the state after the last final block that names a state root, and the headers of all blocks up to it, into a directory
    #[command(
        after_help = "Example:\n  hubledger snapshot export --store log:hub --out hub-snapshot\n\n\
The block has to be of version 2, name the root over its state, and be final. An export that was interrupted is\n\
simply started again: if the chain has gone on meanwhile, it begins anew."
    )]
    Export(SnapshotExport),
}

#[derive(Args)]
pub(crate) struct SnapshotExport {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The directory; created if it isn't there
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}
