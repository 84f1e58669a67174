//! What can be said of making transactions and blocks of one's own.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args};
use hubledger::digest::ChainId;
use hubledger::model::Operation;
use hubledger_storage::{Durability, StoreUrl};

use super::text::text;
use super::time::{When, time};

pub(super) const TX_EXAMPLES: &str = "Examples:
  hubledger tx --store log:hub --key alice.pem --operation message \\
    --sender alice --receiver bob --payload hello --expiry 10m --out tx.bin
  hubledger tx --spec my-chain.toml --key alice.pem --operation transfer \\
    --sender alice --receiver bob --amount 5 --nonce 7 --out tx.json
  hubledger tx … --store log:hub --key alice.pem | hubledger produce - --store log:hub --key hub.pem
  hubledger --json show tx.bin | jq '.fee = 9' | hubledger tx --draft - --key alice.pem --out b.bin
  hubledger tx … --key alice.pem --partial | hubledger tx --cosign - --key bob.pem --out tx.bin

With --store or --spec the transaction is checked by the chain's rules before it is given out; if it breaks one, the \
exit code is 3. The form follows from the name of --out: JSON for .json, hexadecimal digits for .hex, else bytes. Without \
--out it goes to standard output and the report to standard error; with --json both are one document on standard output.";

pub(super) const PRODUCE_EXAMPLES: &str = "Examples:
  hubledger produce tx1.bin tx2.json --store log:hub --key hub.pem
  cat pending/*.bin | hubledger produce - --store log:hub --key hub.pem --rest left.bin
  hubledger produce --allow-empty --store log:hub --key hub.pem --out block.hlb

Files hold one transaction or several, as bytes, hexadecimal digits or JSON. The report lists which are in the block, and \
which were left out and why. If one was left out because it breaks a rule, the exit code is 3, though the block is made; \
if only room was lacking, it is 1.";

/// One of the eight words.
fn operation() -> impl TypedValueParser<Value = Operation> {
    let words = Operation::ALL.iter().map(|operation| operation.word());
    PossibleValuesParser::new(words)
        .try_map(|word| Operation::from_word(&word).ok_or("no operation"))
}

fn bytes(text: &str) -> Result<Vec<u8>, hex::FromHexError> {
    hex::decode(text)
}

/// Who makes a transaction and signs it, for which chain, and where it goes: the same for every command that makes one.
#[derive(Args)]
#[command(group = ArgGroup::new("signers").required(true).args(["keys", "unsigned"]))]
#[command(group = ArgGroup::new("rules").args(["store", "spec", "chain"]))]
pub(crate) struct Authoring {
    /// Who sends; the key's own name where the chain's names are keys
    #[arg(long, value_name = "NAME", value_parser = text::<String>(), help_heading = "Fields")]
    pub(crate) sender: Option<String>,
    /// What the producer gets; the chain's smallest fee if left out
    #[arg(long, value_name = "N", help_heading = "Fields")]
    pub(crate) fee: Option<u64>,
    /// From when on no block may have it: a time such as 2030-01-31T12:00:00Z, microseconds since the Unix epoch, a
    /// duration from now such as 10m, or never, which it is if left out
    #[arg(long, value_name = "WHEN", value_parser = text::<When>(), help_heading = "Fields")]
    pub(crate) expiry: Option<When>,
    /// Above the sender's last one; `next`, which it is if left out, takes the lowest that the chain in --store accepts
    #[arg(long, value_name = "N|next", value_parser = text::<Nonce>(), help_heading = "Fields")]
    pub(crate) nonce: Option<Nonce>,
    /// For the next nonce, these transactions come first, though they are in no block yet
    #[arg(long, value_name = "FILE", requires = "store", help_heading = "Fields")]
    pub(crate) after: Vec<PathBuf>,
    /// When it is made, a time such as 2030-01-31T12:00:00Z; the clock's if left out. Durations count from there
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Fields")]
    pub(crate) at: Option<u64>,
    /// The chain that it is for, whose rules it is checked by
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>(), help_heading = "Chain")]
    pub(crate) store: Option<StoreUrl>,
    /// The same by its specification: what only the chain itself tells, such as balances, isn't checked
    #[arg(long, value_name = "FILE", help_heading = "Chain")]
    pub(crate) spec: Option<PathBuf>,
    /// The same by its id alone: nothing is checked
    #[arg(long, value_name = "ID", value_parser = text::<ChainId>(), help_heading = "Chain")]
    pub(crate) chain: Option<ChainId>,
    /// A key that signs, a PEM file; may be given several times
    #[arg(long = "key", value_name = "FILE", help_heading = "Signatures")]
    pub(crate) keys: Vec<PathBuf>,
    /// Nobody signs
    #[arg(long, help_heading = "Signatures")]
    pub(crate) unsigned: bool,
    /// Others are still to sign, so it isn't refused for lack of witnesses
    #[arg(long, help_heading = "Signatures")]
    pub(crate) partial: bool,
    /// The file to write, which must not exist; - for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// On standard output, write hexadecimal digits instead of bytes; so it is on a terminal
    #[arg(long)]
    pub(crate) hex: bool,
    /// Make and check it, report, and write nothing
    #[arg(long, conflicts_with_all = ["out", "hex"])]
    pub(crate) dry_run: bool,
}

#[derive(Args)]
#[command(group = ArgGroup::new("content").args(["payload", "payload_hex", "payload_file"]))]
pub(crate) struct Tx {
    /// What it does
    #[arg(long, value_name = "WORD", value_parser = operation(), help_heading = "Fields")]
    pub(crate) operation: Option<Operation>,
    /// Who receives
    #[arg(long, value_name = "NAME", value_parser = text::<String>(), help_heading = "Fields")]
    pub(crate) receiver: Option<String>,
    /// What a transfer moves
    #[arg(long, value_name = "N", help_heading = "Fields")]
    pub(crate) amount: Option<u64>,
    /// The payload, as text
    #[arg(long, value_name = "TEXT", value_parser = text::<String>(), help_heading = "Fields")]
    pub(crate) payload: Option<String>,
    /// The payload, as hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = bytes, help_heading = "Fields")]
    // Not a list of values, but one value that is a list.
    pub(crate) payload_hex: Option<std::vec::Vec<u8>>,
    /// The payload, as it is in a file; - for standard input
    #[arg(long, value_name = "FILE", help_heading = "Fields")]
    pub(crate) payload_file: Option<PathBuf>,
    /// Take the fields that aren't given from this JSON, as `show --json` prints it; - for standard input. Ids and
    /// witnesses in it are left aside: both are made anew
    #[arg(long, value_name = "FILE")]
    pub(crate) draft: Option<PathBuf>,
    /// Add signatures to this transaction, which stays as it is otherwise; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["draft", "operation", "sender", "receiver", "amount", "content",
        "fee", "expiry", "nonce", "after", "unsigned"])]
    pub(crate) cosign: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) author: Authoring,
}

/// A nonce as people say it.
#[derive(Clone, Copy)]
pub(crate) enum Nonce {
    /// The lowest that the chain accepts.
    Next,
    /// This one.
    Number(u64),
}

impl FromStr for Nonce {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.parse()) {
            ("next", _) => Ok(Self::Next),
            (_, Ok(number @ 1..)) => Ok(Self::Number(number)),
            _ => Err("expected a number from 1 on, or next"),
        }
    }
}

#[derive(Args)]
pub(crate) struct Produce {
    /// Files with transactions; - for standard input
    #[arg(value_name = "FILE", required_unless_present = "allow_empty")]
    pub(crate) files: Vec<PathBuf>,
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The key that seals the block, a PEM file; where it takes a certificate, several: the first is that of the block's maker
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) key: Vec<PathBuf>,
    /// The round in which the members decide, where it takes a certificate: if the proposer of round 0 is away, that of round 1
    /// proposes, and so on
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) round: u32,
    /// Make a block also if no transaction can be in it
    #[arg(long)]
    pub(crate) allow_empty: bool,
    /// Make it as of this time, such as 2030-01-31T12:00:00Z, instead of the clock's. No later block can be older
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) at: Option<u64>,
    /// Also write the block to this new block file
    #[arg(long, value_name = "FILE", value_parser = super::file())]
    pub(crate) out: Option<PathBuf>,
    /// Write the transactions that were left out to this new file, if there are any
    #[arg(long, value_name = "FILE", value_parser = super::file())]
    pub(crate) rest: Option<PathBuf>,
    /// What the commit waits for: disk, os or memory
    #[arg(long, value_name = "LEVEL", value_parser = text::<Durability>(), default_value = "disk")]
    pub(crate) durability: Durability,
    /// Threads that check and validate; 0 starts one for each core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) threads: u16,
}

#[derive(Args)]
pub(crate) struct Mine {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The key whose name the blocks are to have, a PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Files with transactions for the first block
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Blocks to find
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) blocks: u64,
    /// Also write the blocks to this new block file
    #[arg(long, value_name = "FILE", value_parser = super::file())]
    pub(crate) out: Option<PathBuf>,
    /// Threads that search; 0 starts one for each core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) threads: u16,
    /// What a commit waits for: disk, os or memory
    #[arg(long, value_name = "LEVEL", value_parser = text::<Durability>(), default_value = "disk")]
    pub(crate) durability: Durability,
}
