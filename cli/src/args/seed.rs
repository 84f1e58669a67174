//! What members add to the seeds that choose proposers.

use clap::{Args, Subcommand};
use hubledger::consensus::seed::ONION_DEPTH_MAX;
use hubledger_storage::StoreUrl;

use super::keys::Saying;
use super::text::text;

pub(super) const SEED_EXAMPLES: &str = "Examples:
  hubledger seed commit --sender hub-0 --key hub-0.pem --store log:hub --out commit.bin
  hubledger seed reveal --sender hub-0 --key hub-0.pem --store log:hub --out reveal.bin
  hubledger produce reveal.bin --key hub-0.pem --store log:hub
  hubledger seed show --store log:hub

What is revealed follows from the key, the chain, the sender's name and the number of the onion, so that nothing else has to be kept. A reveal counts in a block of \
its sender's, once, in the first two thirds of an epoch.";

#[derive(Subcommand)]
pub(crate) enum SeedCommand {
    /// Commit to what the sender, a member, reveals from the next epoch on
    #[command(after_help = SEED_EXAMPLES)]
    Commit(Box<SeedSaying>),
    /// Reveal the next part of it, in the next block if that is the sender's
    #[command(after_help = SEED_EXAMPLES)]
    Reveal(Box<SeedSaying>),
    /// Say which seeds are known, and what members have committed to
    #[command(after_help = "Example:\n  hubledger seed show --store log:hub")]
    Show(SeedShow),
}

#[derive(Args)]
pub(crate) struct SeedSaying {
    /// The number of the onion: another one where the one before is used up, or its key was stolen
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) onion: u64,
    /// Its layers, each for one reveal
    #[arg(long, value_name = "N", default_value_t = 1 << 16, value_parser = clap::value_parser!(u32).range(1..=i64::from(ONION_DEPTH_MAX)))]
    pub(crate) depth: u32,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

#[derive(Args)]
pub(crate) struct SeedShow {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
}
