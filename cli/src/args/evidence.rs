//! What can be said of members' faults.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hubledger_storage::StoreUrl;

use super::file;
use super::keys::Saying;
use super::text::text;

pub(super) const EVIDENCE_EXAMPLES: &str = "Examples:
  hubledger evidence make theirs.hlb --store log:hub --out faults
  hubledger evidence show faults/double_vote-7-0-20d588473447daeb.evidence --store log:hub
  hubledger evidence submit faults/double_vote-7-0-20d588473447daeb.evidence --sender bob --key bob.pem --store log:hub |
    hubledger produce - --store log:hub --key hub.pem
  hubledger evidence list --store log:hub

Anybody may hand evidence in; the transaction is made, checked and written as by `hubledger tx`.";

const MAKE_HELP: &str = "Examples:
  hubledger evidence make ours.hlb theirs.hlb --store log:hub --out faults
  hubledger evidence make --store log:hub --out faults

Compared are the blocks or headers of the files, those of the chain at the same heights, and the branches beside it. Exit codes: 0 if there is \
evidence that convicts now, 1 if there is none, 3 if two certificates of different rounds decide differently: these convict nobody, and \
whoever sees them has to halt and agree with the others outside the chain which history goes on.";

#[derive(Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Search blocks for what no honest member signs, and write what proves it, a file for each fault
    #[command(after_help = MAKE_HELP)]
    Make(EvidenceMake),
    /// Say whose fault a file proves, and with --store whether it convicts now and what it costs
    #[command(after_help = EVIDENCE_EXAMPLES)]
    Show(EvidenceShow),
    /// Make the transaction that hands evidence in
    #[command(after_help = EVIDENCE_EXAMPLES)]
    Submit(Box<EvidenceSubmit>),
    /// List who was convicted of what
    #[command(after_help = EVIDENCE_EXAMPLES)]
    List(EvidenceList),
}

#[derive(Args)]
pub(crate) struct EvidenceMake {
    /// Block files, or headers as `light headers` writes them; none to search the store and the branches beside its chain alone
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The store with the chain that is to judge
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The folder for the evidence, made if it isn't there
    #[arg(long, value_name = "DIR", value_parser = file())]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct EvidenceShow {
    /// The evidence, as bytes or hexadecimal digits; - for standard input
    pub(crate) file: PathBuf,
    /// The store with the chain that is to judge
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: Option<StoreUrl>,
}

#[derive(Args)]
pub(crate) struct EvidenceSubmit {
    /// The evidence, as bytes or hexadecimal digits; - for standard input
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

#[derive(Args)]
pub(crate) struct EvidenceList {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// Only convictions of this name
    #[arg(long, value_name = "NAME", value_parser = text::<String>())]
    pub(crate) name: Option<String>,
    /// Also prove the convictions that are listed, each in a file of this folder
    #[arg(long, value_name = "DIR", value_parser = file())]
    pub(crate) prove: Option<PathBuf>,
}
