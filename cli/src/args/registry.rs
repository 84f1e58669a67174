//! What can be said of the registry of nodes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::author::Authoring;
use super::file;
use super::text::text;
use super::time::time;
use super::views::Viewed;

pub(super) const REGISTRY_EXAMPLES: &str = "Examples:
  hubledger registry list --store log:hub
  hubledger registry show hub_us_east --store log:hub
  hubledger registry find --role hub --capability routing --alive --store log:hub
  hubledger registry at 1200 --store log:hub
  hubledger registry prove hub_us_east --row there.json --registration tx.proof --store log:hub
  hubledger registry import hubs.json --key hub.pem --join --store log:hub --out joins.bin
  hubledger registry compare hubs.json --store log:hub

A node is registered by `hubledger keys register`. It is alive while its last sign of life, a heartbeat or any other change, is not older than its \
registration_ttl (300 s if it says nothing else). A file is JSON in MPREG's form: registered_hubs, nodes or hubs, as a list or by name.";

#[derive(Subcommand)]
pub(crate) enum RegistryCommand {
    /// List the nodes that are active
    List(RegistryList),
    /// Say how a node stands, what it says of itself, whether it is alive, and what happened to it
    Show(RegistryShow),
    /// List the active nodes that have all that is asked for
    Find(RegistryFind),
    /// List the nodes that were active after the block of a height; or how one of them was
    At(RegistryAt),
    /// Prove a registration, or that a name isn't registered, against the last block's hash
    Prove(RegistryProve),
    /// Make the transactions that register the nodes of a file
    Import(Box<RegistryImport>),
    /// Say how a file and the registry differ; the exit code is 1 if they do
    Compare(RegistryCompare),
}

/// Which of many answers are given.
#[derive(Args)]
pub(crate) struct Paged {
    /// From the node of this number on
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) from: u32,
    /// Nodes at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
}

#[derive(Args)]
pub(crate) struct RegistryList {
    #[command(flatten)]
    pub(crate) paged: Paged,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct RegistryShow {
    /// The node
    #[arg(value_parser = text::<String>())]
    pub(crate) name: String,
    /// Whether it is alive at this time, such as 2030-01-31T12:00:00Z; now if left out
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) now: Option<u64>,
    /// Events at most, from the first on
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) events: usize,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct RegistryFind {
    /// What they can do; may be given several times
    #[arg(long = "capability", value_name = "TEXT", value_parser = text::<String>())]
    pub(crate) capabilities: Vec<String>,
    /// What part they play
    #[arg(long, value_name = "TEXT", value_parser = text::<String>())]
    pub(crate) role: Option<String>,
    /// Where they are
    #[arg(long, value_name = "TEXT", value_parser = text::<String>())]
    pub(crate) region: Option<String>,
    /// What they are
    #[arg(long, value_name = "TEXT", value_parser = text::<String>())]
    pub(crate) node_type: Option<String>,
    /// That they joined the federation
    #[arg(long)]
    pub(crate) member: bool,
    /// That they are alive
    #[arg(long)]
    pub(crate) alive: bool,
    /// The time at which they are, such as 2030-01-31T12:00:00Z; now if left out
    #[arg(long, value_name = "TIME", value_parser = time, requires = "alive")]
    pub(crate) now: Option<u64>,
    #[command(flatten)]
    pub(crate) paged: Paged,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct RegistryAt {
    /// Height of the block
    pub(crate) height: u64,
    /// This node only
    #[arg(value_parser = text::<String>())]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) paged: Paged,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("proofs").required(true).multiple(true).args(["registration", "row"]))]
pub(crate) struct RegistryProve {
    /// The node
    #[arg(value_parser = text::<String>())]
    pub(crate) name: String,
    /// Write a proof of the transaction by which it was registered; JSON if the name ends in .json
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub(crate) registration: Option<PathBuf>,
    /// Write a proof of how it stands in the state, or that it isn't there, where the chain keeps registrations
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub(crate) row: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct RegistryImport {
    /// The registry; - for standard input
    #[arg(value_name = "FILE.json")]
    pub(crate) file: PathBuf,
    /// Let the nodes join the federation as well
    #[arg(long)]
    pub(crate) join: bool,
    // Nodes without keys of their own in the file get those that sign, where the chain keeps registrations.
    #[command(flatten)]
    pub(crate) author: Authoring,
}

#[derive(Args)]
pub(crate) struct RegistryCompare {
    /// The registry; - for standard input
    #[arg(value_name = "FILE.json")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}
