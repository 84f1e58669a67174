//! What can be said of going on under another specification.

use std::path::PathBuf;

use clap::Args;
use hubledger_storage::StoreUrl;

use super::file;
use super::text::text;

pub(super) const UPGRADE_HELP: &str = "Examples:
  hubledger upgrade --store log:hub --dry-run
  hubledger upgrade --store log:hub --out hub-2.toml
  hubledger upgrade --store log:other-hub --spec hub-2.toml

The blocks stay, under the rules that they were made by; the next one is the first under the new \
specification, which pins the last block and the state after it. Every hub of the chain needs the same \
specification, so it has to hold the same last block: give the file that the first one wrote to the others. \
A crash leaves the chain under the old specification or the new one. Started again, it says that there is nothing to do.";

#[derive(Args)]
pub(crate) struct Upgrade {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The specification under which the chain goes on, a TOML file; [predecessor] is filled in, or checked if it is there. Without
    /// it, the present one in version 2
    #[arg(long, value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    /// Say what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also write the specification to a new TOML file, for the other hubs
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub(crate) out: Option<PathBuf>,
}
