//! What can be said of the cache.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hubledger::digest::Digest;

use super::file;
use super::text::text;
use super::views::Viewed;

pub(super) const CACHE_EXAMPLES: &str = "Examples:
  hubledger cache get users alice --store log:hub
  hubledger cache since users --from 1000 --store log:hub
  hubledger cache prove users alice --out alice.cache --store log:hub
  hubledger cache verify alice.cache --root ROOT";

#[derive(Subcommand)]
pub(crate) enum CacheCommand {
    /// Say what stands at a key
    Get(CacheKey),
    /// List what was written to a namespace from a height on, and stands
    Since(CacheSince),
    /// Prove what stands at a key, or that nothing does, against the root over the whole cache, and say which hubs vouch for that root
    Prove(CacheProve),
    /// Check such a proof against nothing but a root
    Verify(CacheVerify),
}

#[derive(Args)]
pub(crate) struct CacheKey {
    /// The namespace
    #[arg(value_parser = text::<String>())]
    pub(crate) namespace: String,
    /// The key
    #[arg(value_parser = text::<String>())]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct CacheSince {
    /// The namespace
    #[arg(value_parser = text::<String>())]
    pub(crate) namespace: String,
    /// The first height
    #[arg(long, value_name = "HEIGHT", default_value_t = 0)]
    pub(crate) from: u64,
    /// The first index in that block, where an answer before says to go on there
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    pub(crate) index: u32,
    /// Entries at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct CacheProve {
    #[command(flatten)]
    pub(crate) of: CacheKey,
    /// The file to write the proof to; an existing file is never replaced
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct CacheVerify {
    /// The proof
    pub(crate) proof: PathBuf,
    /// The root that you trust, such as that of a checkpoint
    #[arg(long, value_name = "ROOT", value_parser = text::<Digest>())]
    pub(crate) root: Digest,
}
