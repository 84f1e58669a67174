//! The attacks on chains of version 1.

use hubledger::format::FormatVersion;
use hubledger::spec::SpecFields;

use crate::common::Chain;

#[path = "blocks.rs"]
mod blocks;
#[path = "contents.rs"]
mod contents;
#[path = "headers.rs"]
mod headers;
#[path = "key_names.rs"]
mod key_names;
#[path = "money.rs"]
mod money;
#[path = "replays.rs"]
mod replays;
#[path = "seals.rs"]
mod seals;
#[path = "signers.rs"]
mod signers;
#[path = "times.rs"]
mod times;

/// A chain that is attacked here.
fn in_version(authorities: usize, change: impl FnOnce(&mut SpecFields)) -> Chain {
    Chain::in_version(FormatVersion::V1, authorities, change)
}
