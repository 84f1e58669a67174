//! What can be said of checkpoints.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hubledger_storage::StoreUrl;

use super::file;
use super::keys::Saying;
use super::text::text;

pub(super) const CHECKPOINT_EXAMPLES: &str = "Examples:
  hubledger checkpoint certify --height 10 --signer hub-0.pem --signer hub-1.pem --signer hub-2.pem \\
    --sender hub-0 --key hub-0.pem --store log:hub --out tx.bin
  hubledger checkpoint show --store log:hub

A checkpoint can be certified from two blocks later on. It and all blocks before it are final once the certificate is in the chain.";

#[derive(Subcommand)]
pub(crate) enum CheckpointCommand {
    /// Sign a checkpoint as members, and make the transaction that hands the certificate in
    #[command(after_help = CHECKPOINT_EXAMPLES)]
    Certify(Box<CheckpointCertify>),
    /// Say which checkpoints wait for a certificate, and which was the last to get one
    #[command(after_help = CHECKPOINT_EXAMPLES)]
    Show(CheckpointShow),
}

#[derive(Args)]
pub(crate) struct CheckpointCertify {
    /// The checkpoint's height
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) height: u64,
    /// The key of a member that signs the checkpoint, a PEM file; may be given several times
    #[arg(long = "signer", value_name = "FILE", required = true)]
    pub(crate) by: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

#[derive(Args)]
pub(crate) struct CheckpointShow {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// Also write a proof of the last checkpoint that is certified, or that there is none
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub(crate) prove: Option<PathBuf>,
}
