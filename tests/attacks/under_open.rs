//! The attacks on chains of version 2 whose names are nobody's: all that are not about whose a name is.

use hubledger::format::FormatVersion;
use hubledger::spec::{Identity, SpecFields};

use crate::common::Chain;

#[path = "blocks.rs"]
mod blocks;
#[path = "contents.rs"]
mod contents;
#[path = "headers.rs"]
mod headers;
#[path = "money.rs"]
mod money;
#[path = "replays.rs"]
mod replays;
#[path = "seals.rs"]
mod seals;
#[path = "times.rs"]
mod times;

/// A chain that is attacked here.
fn in_version(authorities: usize, change: impl FnOnce(&mut SpecFields)) -> Chain {
    Chain::in_version(FormatVersion::V2, authorities, |fields| {
        change(fields);
        fields.rules.identity = Identity::Open;
    })
}
