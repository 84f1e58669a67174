//! What can be said of registered names, their keys and what they hold.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, Subcommand};
use hubledger::signature::PublicKey;
use hubledger_storage::StoreUrl;

use super::author::Authoring;
use super::file;
use super::text::text;

pub(super) const KEYS_EXAMPLES: &str = "Examples:
  hubledger keys register --sender alice --key alice.pem --recovery-key SAFE --store log:hub --out a.bin
  hubledger keys rotate --sender alice --key alice.pem --new-key new.pem --grace 100 --store log:hub --out b.bin
  hubledger keys revoke --sender alice --key safe.pem --store log:hub --out c.bin
  hubledger keys recover --sender alice --key safe.pem --new-key KEY --store log:hub --out d.bin
  hubledger keys attest --sender hub --key hub.pem --subject bob --new-key KEY --store log:hub --out e.bin
  hubledger keys retract --sender hub --key hub.pem --subject bob --store log:hub --out f.bin
  hubledger keys leave --sender alice --key alice.pem --store log:hub --out g.bin
  hubledger keys show alice --store log:hub --at 1200 --prove alice.proof

Transactions are made, checked and written as by `hubledger tx`, whose options for author, chain, signatures and output these are; \
with --partial and `tx --cosign` several sign, each on a machine of its own. Where no --new-key is said, a name is registered with \
the keys that sign; where a recovery says no --recovery-key, those that it had stay. If the chain would make nothing of the payload, since its \
names belong to nobody or JSON doesn't count, the transaction isn't made.";

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    #[command(flatten)]
    Say(KeysPayload),
    /// Say how a name stands, who speaks for it at a height, and which keys it ever had
    #[command(
        after_help = "Examples:\n  hubledger keys show alice --store log:hub\n  \
hubledger keys show alice --store log:hub --at 1200 --prove alice.proof\n\n\
The proof is of the keys that speak at that height; if none do, of the registration; or that the name isn't registered. \
`verify-proof --name` checks it."
    )]
    Show(KeysShow),
}

/// The payloads about names and keys, each with its transaction.
#[derive(Subcommand)]
pub(crate) enum KeysPayload {
    /// Bind the sender's name to keys, and join the federation with --join
    #[command(after_help = KEYS_EXAMPLES)]
    Register(Box<Register>),
    /// Exchange the keys that speak for the sender
    #[command(after_help = KEYS_EXAMPLES)]
    Rotate(Box<Rotate>),
    /// Let the sender's keys speak no more; signed by them, or by the recovery keys
    #[command(after_help = KEYS_EXAMPLES)]
    Revoke(Box<Saying>),
    /// Give the sender new keys; signed by the recovery keys
    #[command(after_help = KEYS_EXAMPLES)]
    Recover(Box<Recover>),
    /// End the sender's identity for ever; its stake goes back to its balance
    #[command(after_help = KEYS_EXAMPLES)]
    Leave(Box<Saying>),
    /// Vouch for keys of another name
    #[command(after_help = KEYS_EXAMPLES)]
    Attest(Box<Attest>),
    /// Take back what the sender vouched for
    #[command(after_help = KEYS_EXAMPLES)]
    Retract(Box<Retract>),
}

impl KeysPayload {
    /// The options that all of them have.
    pub(crate) fn saying(&self) -> &Saying {
        match self {
            Self::Register(args) => &args.saying,
            Self::Rotate(args) => &args.saying,
            Self::Revoke(args) | Self::Leave(args) => args,
            Self::Recover(args) => &args.saying,
            Self::Attest(args) => &args.saying,
            Self::Retract(args) => &args.saying,
        }
    }
}

/// A transaction whose payload says something to the chain itself.
#[derive(Args)]
pub(crate) struct Saying {
    /// Who receives it; decides nothing. The sender, or whom it is about, if left out
    #[arg(long, value_name = "NAME", value_parser = text::<String>(), help_heading = "Fields")]
    pub(crate) receiver: Option<String>,
    /// Write the payload as JSON, which counts where the chain's specification says so
    #[arg(long)]
    pub(crate) json_payload: bool,
    #[command(flatten)]
    pub(crate) author: Authoring,
}

/// Keys that are to speak.
#[derive(Args)]
pub(crate) struct NewKeys {
    /// A key that is to speak for the name: 64 hexadecimal digits, or its key file; may be given several times
    #[arg(long = "new-key", value_name = "KEY|FILE", value_parser = key_name(), help_heading = "Keys")]
    pub(crate) new_keys: Vec<KeyName>,
    /// How many of them have to sign; all if left out
    #[arg(long, value_name = "N", help_heading = "Keys")]
    pub(crate) threshold: Option<u8>,
}

/// Keys that may revoke others and give new ones.
#[derive(Args)]
pub(crate) struct RecoveryKeys {
    /// A key that may revoke the name's keys and give it others; may be given several times
    #[arg(long = "recovery-key", value_name = "KEY|FILE", value_parser = key_name(), help_heading = "Keys")]
    pub(crate) recovery_keys: Vec<KeyName>,
    /// How many of them have to sign; all if left out
    #[arg(
        long,
        value_name = "N",
        requires = "recovery_keys",
        help_heading = "Keys"
    )]
    pub(crate) recovery_threshold: Option<u8>,
}

#[derive(Args)]
pub(crate) struct Register {
    /// Join the federation as well
    #[arg(long)]
    pub(crate) join: bool,
    // Those that sign, if none are given.
    #[command(flatten)]
    pub(crate) new: NewKeys,
    #[command(flatten)]
    pub(crate) recovery: RecoveryKeys,
    /// What it puts up, where the chain keeps balances
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Joining")]
    pub(crate) stake: u64,
    /// The member that attested to these keys for the purpose `membership`
    #[arg(long, value_name = "NAME", value_parser = text::<String>(), help_heading = "Joining")]
    pub(crate) attester: Option<String>,
    #[command(flatten)]
    pub(crate) profile: ProfileFields,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

/// What a node says of itself.
#[derive(Args)]
pub(crate) struct ProfileFields {
    /// Such as full_node
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = text::<String>(), help_heading = "Profile")]
    pub(crate) node_type: String,
    /// Such as hub
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = text::<String>(), help_heading = "Profile")]
    pub(crate) role: String,
    /// Where it is, such as us_east
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = text::<String>(), help_heading = "Profile")]
    pub(crate) region: String,
    /// Where it can be reached
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = text::<String>(), help_heading = "Profile")]
    pub(crate) network_address: String,
    /// What it can do; may be given several times
    #[arg(long = "capability", value_name = "TEXT", value_parser = text::<String>(), help_heading = "Profile")]
    pub(crate) capabilities: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    pub(crate) new: NewKeys,
    /// The height from which on they speak; the one after the transaction's block if left out
    #[arg(
        long,
        value_name = "HEIGHT",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) effective: u64,
    /// For how many heights from there on those before speak as well
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) grace: u32,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

#[derive(Args)]
pub(crate) struct Recover {
    #[command(flatten)]
    pub(crate) new: NewKeys,
    // Those that sign stay, if none are given.
    #[command(flatten)]
    pub(crate) recovery: RecoveryKeys,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

/// Whose keys are vouched for, and what for.
#[derive(Args)]
pub(crate) struct About {
    /// Whose keys they are
    #[arg(long, value_name = "NAME", value_parser = text::<String>())]
    pub(crate) subject: String,
    /// What for; with `membership` the subject can join
    #[arg(long, value_name = "TEXT", default_value = "membership", value_parser = text::<String>())]
    pub(crate) purpose: String,
}

#[derive(Args)]
pub(crate) struct Attest {
    #[command(flatten)]
    pub(crate) about: About,
    // The subject's.
    #[command(flatten)]
    pub(crate) new: NewKeys,
    /// The height from which on it counts no more; never if left out
    #[arg(
        long,
        value_name = "HEIGHT",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) expires_at: u64,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

#[derive(Args)]
pub(crate) struct Retract {
    #[command(flatten)]
    pub(crate) about: About,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

#[derive(Args)]
pub(crate) struct KeysShow {
    /// The name
    #[arg(value_parser = text::<String>())]
    pub(crate) name: String,
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// Who speaks at this height; the next block's if left out
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) at: Option<u64>,
    /// Also write a proof against the last block's hash; JSON if the name ends in .json
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub(crate) prove: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Balance {
    /// The name
    #[arg(value_parser = text::<String>())]
    pub(crate) name: String,
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// Also write a proof against the last block's hash; JSON if the name ends in .json
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub(crate) prove: Option<PathBuf>,
}

/// A public key as people name it.
#[derive(Clone)]
pub(crate) enum KeyName {
    /// By its digits.
    Key(PublicKey),
    /// By the file of its key pair.
    File(PathBuf),
}

pub(super) fn key_name() -> impl TypedValueParser<Value = KeyName> {
    PathBufValueParser::new().try_map(|path| {
        let digits = path.to_str().filter(|text| is_meant_as_digits(text));
        match digits.map(str::parse) {
            Some(Ok(key)) => Ok(KeyName::Key(key)),
            Some(Err(_)) => Err("expected 64 lowercase hexadecimal digits, or a key file"),
            None => Ok(KeyName::File(path)),
        }
    })
}

/// A name of a file so long and without a dot would be taken for one of these.
fn is_meant_as_digits(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
