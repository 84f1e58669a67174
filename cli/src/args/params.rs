//! What can be said of the parameters that a chain changes.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use hubledger::digest::TransactionId;
use hubledger::spec::Parameter;
use hubledger_storage::StoreUrl;

use super::file;
use super::keys::Saying;
use super::text::text;

pub(super) const PARAMS_EXAMPLES: &str = "Examples:
  hubledger params show --store log:hub
  hubledger params propose --parameter fee_min --value 5 --effective 1200 \\
    --sender hub-1 --key hub-1.pem --store log:hub --out proposal.bin
  hubledger params propose --parameter members --value members.toml --effective 1200 …
  hubledger params approve --proposer hub-1 --proposal ID --sender hub-2 --key hub-2.pem --store log:hub --out a.bin";

/// One of the words of parameters.
pub(super) fn parameter() -> impl TypedValueParser<Value = Parameter> {
    let words = Parameter::ALL.iter().map(|parameter| parameter.word());
    PossibleValuesParser::new(words)
        .try_map(|word| Parameter::from_word(&word).ok_or("no parameter"))
}

#[derive(Subcommand)]
pub(crate) enum ParamsCommand {
    /// Say every parameter, from when to when its value holds, what is to come, and what members propose
    #[command(
        after_help = "Examples:\n  hubledger params show --store log:hub --at 1200\n  \
hubledger params show --store log:hub --parameter fee_min --prove fee.proof\n\n\
The proof is of the value in force at that height; where that is the specification's, of the first change, which comes later, or \
that there is none. `verify-proof --parameter` checks it."
    )]
    Show(ParamsShow),
    /// Propose to change a parameter, and approve with that
    #[command(after_help = PARAMS_EXAMPLES)]
    Propose(Box<Propose>),
    /// Approve of a member's proposal
    #[command(after_help = PARAMS_EXAMPLES)]
    Approve(Box<Approve>),
}

#[derive(Args)]
pub(crate) struct ParamsShow {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// What is in force at this height; the next block's if left out
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) at: Option<u64>,
    /// Only this parameter
    #[arg(long, value_name = "WORD", value_parser = parameter())]
    pub(crate) parameter: Option<Parameter>,
    /// Also write a proof of its value against the last block's hash; JSON if the name ends in .json
    #[arg(long, value_name = "FILE", requires = "parameter", value_parser = file())]
    pub(crate) prove: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Propose {
    /// Which parameter
    #[arg(long, value_name = "WORD", value_parser = parameter())]
    pub(crate) parameter: Parameter,
    /// What it is to be: a number; of the members a file with all of them in turn order, as TOML with a table
    /// `[[members]]` of name and key for each, or as a JSON list
    #[arg(long, value_name = "N|FILE", value_parser = new_value())]
    pub(crate) value: NewValue,
    /// The height from which on
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) effective: u64,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

#[derive(Args)]
pub(crate) struct Approve {
    /// Whose proposal
    #[arg(long, value_name = "NAME", value_parser = text::<String>())]
    pub(crate) proposer: String,
    /// The transaction in which it was made
    #[arg(long, value_name = "ID", value_parser = text::<TransactionId>())]
    pub(crate) proposal: TransactionId,
    #[command(flatten)]
    pub(crate) saying: Saying,
}

/// A value of a parameter as people give it.
#[derive(Clone)]
pub(crate) enum NewValue {
    Number(u64),
    File(PathBuf),
}

fn new_value() -> impl TypedValueParser<Value = NewValue> {
    PathBufValueParser::new().try_map(|path| {
        let number = path.to_str().and_then(|text| text.parse().ok());
        Ok::<_, Infallible>(match number {
            Some(number) => NewValue::Number(number),
            None => NewValue::File(path),
        })
    })
}
