//! What can be said of looking at chains and files: look-ups, proofs, specifications, showing.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use hubledger::digest::BlockHash;
use hubledger::spec::Parameter;
use hubledger_storage::StoreUrl;

use super::file;
use super::params::parameter;
use super::text::text;

pub(super) const SHOW_EXAMPLES: &str = "Examples:
  hubledger show my-chain.toml
  hubledger show blocks.hlb --height 7
  hubledger --json show tx.bin > tx.json
  hubledger tx --draft tx.json --fee 5 --nonce next --store log:hub --key alice.pem --out b.bin
  hubledger get --store log:hub --tx ID --out tx.bin && hubledger show - < tx.bin

What a file is follows from its bytes; --kind says what it has to be. Transactions may lie one after the \
other, as bytes, hexadecimal digits or JSON.";

#[derive(Args)]
#[command(group = ArgGroup::new("what").required(true).args(["tx", "block", "head"]))]
pub(crate) struct Get {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// A transaction by its id, or by its original id in MPREG
    #[arg(long, value_name = "ID", value_parser = text::<String>())]
    pub(crate) tx: Option<String>,
    /// A block by height or hash
    #[arg(long, value_name = "HEIGHT|HASH", value_parser = text::<BlockName>())]
    pub(crate) block: Option<BlockName>,
    /// The last block's header
    #[arg(long)]
    pub(crate) head: bool,
    /// Also write the transaction's bytes to a new file: with them it can be proved when its block is pruned
    // That it requires --tx wouldn't be enough: what excludes that lifts it.
    #[arg(long, value_name = "FILE", requires = "tx", conflicts_with_all = ["block", "head"], value_parser = file())]
    pub(crate) out: Option<PathBuf>,
}

/// A block as people name it.
#[derive(Clone, Copy)]
pub(crate) enum BlockName {
    Height(u64),
    Hash(BlockHash),
}

impl FromStr for BlockName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_number = text.len() < 64 && text.bytes().all(|byte| byte.is_ascii_digit());
        let height = is_number.then(|| text.parse().ok()).flatten();
        let hash = || text.parse().ok().map(Self::Hash);
        let name = height.map(Self::Height).or_else(hash);
        name.ok_or("expected a height or 64 lowercase hexadecimal digits")
    }
}

/// A row of the state as people name it.
#[derive(Clone)]
pub(crate) struct RowName {
    pub(crate) table: u8,
    pub(crate) key: Vec<u8>,
}

impl FromStr for RowName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once(':').and_then(|(table, key)| {
            Some(Self {
                table: table.parse().ok()?,
                key: hex::decode(key).ok()?,
            })
        });
        parts.ok_or("expected the number of a table and hexadecimal digits, such as 13:0500")
    }
}

#[derive(Args)]
#[command(group = ArgGroup::new("what").required(true).args(["tx", "account", "row", "extends", "carry", "transaction"]))]
pub(crate) struct Prove {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The transaction, by its id or its original id in MPREG
    #[arg(long, value_name = "ID", value_parser = text::<String>())]
    pub(crate) tx: Option<String>,
    /// What is known of this name after the last block that names a state root: its balance, last nonce and keys, or that nothing is
    #[arg(long, value_name = "NAME", value_parser = text::<String>())]
    pub(crate) account: Option<String>,
    /// A row of any table of the state, or that it isn't there: the table's number, and the key as hexadecimal digits (FORMAT.md, "State")
    #[arg(long, value_name = "TABLE:KEY", value_parser = text::<RowName>())]
    pub(crate) row: Option<RowName>,
    /// Prove that the chain extends this earlier head
    #[arg(long, value_name = "HASH", value_parser = text::<BlockHash>())]
    pub(crate) extends: Option<BlockHash>,
    /// Carry this proof of a transaction on to another head; works for pruned blocks
    #[arg(long, value_name = "FILE")]
    pub(crate) carry: Option<PathBuf>,
    /// The transaction itself, as `get --out` wrote it; works for pruned blocks whose leaf hashes were kept
    #[arg(long, value_name = "FILE")]
    pub(crate) transaction: Option<PathBuf>,
    /// The height of its block, where the index was pruned too
    #[arg(long, value_name = "HEIGHT", requires = "transaction", conflicts_with_all = ["tx", "extends", "carry"])]
    pub(crate) height: Option<u64>,
    /// The head that the verifier trusts; the last block if left out
    #[arg(long, value_name = "HASH", value_parser = text::<BlockHash>())]
    pub(crate) head: Option<BlockHash>,
    /// The proof to write; JSON if the name ends in .json
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct VerifyProof {
    /// The proof
    pub(crate) file: PathBuf,
    /// The head that you trust
    #[arg(long, value_name = "HASH", value_parser = text::<BlockHash>())]
    pub(crate) head: BlockHash,
    /// The earlier head, for a proof that the chain extends it
    #[arg(long, value_name = "HASH", value_parser = text::<BlockHash>())]
    pub(crate) extends: Option<BlockHash>,
    /// The transaction that the proof must be about
    #[arg(long, value_name = "ID", value_parser = text::<String>(), conflicts_with = "extends")]
    pub(crate) tx: Option<String>,
    /// The name that the proof must be about
    #[arg(long, value_name = "NAME", value_parser = text::<String>(), conflicts_with_all = ["extends", "tx"])]
    pub(crate) account: Option<String>,
    /// The name whose keys, or registration, the proof must be about
    #[arg(long, value_name = "NAME", value_parser = text::<String>(), conflicts_with_all = ["extends", "tx", "account"])]
    pub(crate) name: Option<String>,
    /// The parameter that the proof must be about
    #[arg(long, value_name = "WORD", value_parser = parameter(), conflicts_with_all = ["extends", "tx", "account", "name"])]
    pub(crate) parameter: Option<Parameter>,
}

#[derive(Subcommand)]
pub(crate) enum SpecCommand {
    /// Check specifications, and say what their fields mean
    #[command(after_help = "Example:\n  hubledger spec check my-chain.toml\n\n\
A specification that contradicts itself begins no chain: the exit code is 3. Warnings are about what is \
allowed, and yet may not be meant.")]
    Check(SpecCheck),
}

#[derive(Args)]
pub(crate) struct SpecCheck {
    /// Specifications, as TOML or encoded; - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Show {
    /// The file; - for standard input
    pub(crate) file: PathBuf,
    /// What it has to be; recognised by its bytes if left out
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<Kind>,
    /// Of a block file, only the block of this height
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) height: Option<u64>,
}

/// What a file can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A specification and blocks, as `generate` and `produce --out` write them
    BlockFile,
    /// One encoded block
    Block,
    /// One transaction, or several one after the other
    Transaction,
    /// A proof, encoded or as JSON
    Proof,
    /// Evidence of a fault, as `evidence make` writes it
    Evidence,
    /// A chain specification, as TOML or encoded
    Specification,
}
