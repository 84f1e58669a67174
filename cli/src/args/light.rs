//! What can be said of following a chain by its headers.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hubledger::digest::BlockHash;
use hubledger_storage::StoreUrl;

use super::text::text;

pub(super) const LIGHT_EXAMPLES: &str = "Examples:
  hubledger light headers --store log:hub --out headers.jsonl
  hubledger light follow headers.jsonl --spec my-chain.toml
  hubledger light headers --store log:hub --from 1200 --sparse --out newer.jsonl
  hubledger light follow newer.jsonl --spec my-chain.toml --trusted HASH
  hubledger verify-proof tx.proof --head HASH

A light client believes its specification, from which genesis follows, and where it says so one header; nobody has to be trusted \
for the rest. What headers don't tell it doesn't check: transactions, and the state but for its root.";

#[derive(Subcommand)]
pub(crate) enum LightCommand {
    /// Write headers with their seals, and members where they change, for light clients
    #[command(after_help = LIGHT_EXAMPLES)]
    Headers(LightHeaders),
    /// Follow a chain by headers alone: check what seals them, and say what the head is and what is final
    #[command(after_help = LIGHT_EXAMPLES)]
    Follow(LightFollow),
}

#[derive(Args)]
pub(crate) struct LightHeaders {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The first height
    #[arg(long, value_name = "HEIGHT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from: u64,
    /// The last height; the last block's if left out
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) to: Option<u64>,
    /// Leave out headers that a client needn't see, because members of more than two thirds of the weight that it knows signed a later
    /// one; only where certificates seal
    #[arg(long)]
    pub(crate) sparse: bool,
    /// The file to write, which must not exist; - for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct LightFollow {
    /// The headers, as `light headers` writes them; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) headers: PathBuf,
    /// The chain's specification, as TOML or encoded, or a block file that begins with it
    #[arg(long, value_name = "FILE")]
    pub(crate) spec: PathBuf,
    /// Believe the header with this hash, which is among the headers, and follow from there; from genesis on if left out
    #[arg(long, value_name = "HASH", value_parser = text::<BlockHash>())]
    pub(crate) trusted: Option<BlockHash>,
}
