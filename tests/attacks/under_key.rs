//! The attacks on chains of version 2 whose names are keys. Those about money are left out, since fees go to producers, whose names are no keys,
//! and a test would count in two places; and those about contents, which play with names of other lengths.

use hubledger::format::FormatVersion;
use hubledger::spec::{Identity, SpecFields};

use crate::common::Chain;

#[path = "blocks.rs"]
mod blocks;
#[path = "headers.rs"]
mod headers;
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
        fields.rules.identity = Identity::Key;
    })
    .by_key()
}
