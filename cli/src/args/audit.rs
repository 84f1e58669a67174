//! What can be said of the audit, and of performance records.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use hubledger_services::audit::Act;

use super::file;
use super::text::text;
use super::views::Viewed;

pub(super) const AUDIT_EXAMPLES: &str = "Examples:
  hubledger audit --store log:hub --actor us_east
  hubledger audit --store log:hub --act join --act leave --from 1000 --prove
  hubledger audit --store log:hub --local audit.jsonl --out export.jsonl";

pub(super) const RECORDS_EXAMPLES: &str = "Examples:
  hubledger records --store log:monitoring --hub us_east
  hubledger records --store log:monitoring --from 1764547200000000";

/// An act by its word.
#[derive(Clone, Copy)]
pub(crate) struct ActWord(pub(crate) Act);

impl FromStr for ActWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<_> = Act::ALL.iter().map(|act| act.word()).collect();
        let act = Act::from_word(text).map(Self);
        act.ok_or_else(|| format!("expected one of {}", words.join(", ")))
    }
}

#[derive(Args)]
pub(crate) struct Audit {
    /// Only this act, such as join, leave, rotate or propose; may be given several times
    #[arg(long, value_name = "ACT", value_parser = text::<ActWord>())]
    pub(crate) act: Vec<ActWord>,
    /// Only what this name did
    #[arg(long, value_name = "NAME", value_parser = text::<String>())]
    pub(crate) actor: Option<String>,
    /// Only what was done to this name or parameter
    #[arg(long, value_name = "NAME", value_parser = text::<String>())]
    pub(crate) subject: Option<String>,
    /// The first height
    #[arg(long, value_name = "HEIGHT", default_value_t = 0)]
    pub(crate) from: u64,
    /// The first index in that block, where an answer before says to go on there
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    pub(crate) index: u32,
    /// Only what is below this height
    #[arg(long, value_name = "HEIGHT", default_value_t = u64::MAX, hide_default_value = true)]
    pub(crate) below: u64,
    /// Lines of the chain at most
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) limit: usize,
    /// Put a proof into each line of the chain, against the last block
    #[arg(long)]
    pub(crate) prove: bool,
    /// Also give the lines of this hub's own log, which is checked
    #[arg(long, value_name = "FILE")]
    pub(crate) local: Option<PathBuf>,
    /// Write the lines to a new file, one JSON object a line, instead of printing them
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

#[derive(Args)]
pub(crate) struct Records {
    /// Only this hub
    #[arg(long, value_name = "NAME", value_parser = text::<String>())]
    pub(crate) hub: Option<String>,
    /// Only periods that ended at this time or later, in microseconds since 1970
    #[arg(long, value_name = "TIME", default_value_t = 0)]
    pub(crate) from: u64,
    /// Only periods that ended before this time
    #[arg(long, value_name = "TIME", default_value_t = u64::MAX, hide_default_value = true)]
    pub(crate) below: u64,
    /// Go on behind this place, HEIGHT:INDEX, where an answer before says so
    #[arg(long, value_name = "HEIGHT:INDEX", value_parser = text::<Place>(), default_value = "0:0", hide_default_value = true)]
    pub(crate) place: Place,
    /// Records at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) viewed: Viewed,
}

/// A place on the chain.
#[derive(Clone, Copy)]
pub(crate) struct Place(pub(crate) u64, pub(crate) u32);

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = text
            .split_once(':')
            .and_then(|(height, index)| Some(Self(height.parse().ok()?, index.parse().ok()?)));
        place.ok_or("expected HEIGHT:INDEX")
    }
}
