//! The attacks on chains of version 2.

use hubledger::format::FormatVersion;
use hubledger::spec::SpecFields;

use crate::common::Chain;

#[path = "blocks.rs"]
mod blocks;
#[path = "contents.rs"]
mod contents;
#[path = "money.rs"]
mod money;
#[path = "replays.rs"]
mod replays;
#[path = "signers.rs"]
mod signers;
#[path = "times.rs"]
mod times;

/// A chain that is attacked here.
fn in_version(authorities: usize, change: impl FnOnce(&mut SpecFields)) -> Chain {
    Chain::in_version(FormatVersion::V2, authorities, change)
}
