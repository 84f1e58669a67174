//! What names put up behind members, and who is a member.

use clap::{Args, Subcommand};
use hubledger_storage::StoreUrl;

use super::keys::{KeyName, Saying, key_name};
use super::text::text;

pub(super) const STAKE_EXAMPLES: &str = "Examples:
  hubledger stake put --seal-key seal.pem --amount 500 --sender alice --key alice.pem --store log:hub --out a.bin
  hubledger stake delegate --to hub --amount 50 --sender bob --key bob.pem --store log:hub --out b.bin
  hubledger stake release --from hub --amount 20 --sender bob --key bob.pem --store log:hub --out c.bin
  hubledger stake withdraw --from hub --boundary 1201 --sender bob --key bob.pem --store log:hub --out d.bin
  hubledger stake show bob --store log:hub

Transactions are made, checked and written as by `hubledger tx`. What counts changes with the next epoch of the chain's specification.";

#[derive(Subcommand)]
pub(crate) enum StakeCommand {
    /// Put value of the sender up behind itself, and say with which key it seals; or exchange that key
    #[command(after_help = STAKE_EXAMPLES)]
    Put(Box<StakePut>),
    /// Put value of the sender up behind another name
    #[command(after_help = STAKE_EXAMPLES)]
    Delegate(Box<StakeDelegate>),
    /// Take back what the sender has put up behind a name
    #[command(after_help = STAKE_EXAMPLES)]
    Release(Box<StakeRelease>),
    /// Pay out what the sender took back
    #[command(after_help = STAKE_EXAMPLES)]
    Withdraw(Box<StakeWithdraw>),
    /// Say what is put up behind a name and by whom, and what the name has behind others
    #[command(after_help = "Example:\n  hubledger stake show alice --store log:hub")]
    Show(StakeShow),
}

#[derive(Args)]
pub(crate) struct StakePut {
    /// The key that it seals and votes with: 64 hexadecimal digits, or its key file
    #[arg(long, value_name = "KEY|FILE", value_parser = key_name())]
    pub(crate) seal_key: KeyName,
    /// How much is added to its stake; with none, the key is exchanged
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) amount: u64,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

#[derive(Args)]
pub(crate) struct StakeDelegate {
    /// Behind whom
    #[arg(long, value_name = "NAME", value_parser = text::<String>())]
    pub(crate) to: String,
    /// How much
    #[arg(long, value_name = "N")]
    pub(crate) amount: u64,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

#[derive(Args)]
pub(crate) struct StakeRelease {
    /// Behind whom it is; the sender itself for its own stake
    #[arg(long, value_name = "NAME", value_parser = text::<String>())]
    pub(crate) from: String,
    /// How much
    #[arg(long, value_name = "N")]
    pub(crate) amount: u64,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

#[derive(Args)]
pub(crate) struct StakeWithdraw {
    /// Behind whom it was
    #[arg(long, value_name = "NAME", value_parser = text::<String>())]
    pub(crate) from: String,
    /// The height from which on it didn't count any more, as `stake show` says
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) boundary: u64,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

#[derive(Args)]
pub(crate) struct StakeShow {
    /// The name
    #[arg(value_parser = text::<String>())]
    pub(crate) name: String,
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
}

#[derive(Args)]
pub(crate) struct Members {
    /// The store
    #[arg(value_name = "STORE", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The height, at most two above the last block's; the next block's if left out
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) at: Option<u64>,
}
