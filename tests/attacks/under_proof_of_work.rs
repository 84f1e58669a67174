//! The attacks on chains of proof of work. What is left out, and why: `composed.rs`.

use hubledger::spec::{ConsensusName, SpecFields};

use crate::common::Chain;

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
#[path = "signers.rs"]
mod signers;
#[path = "sums.rs"]
mod sums;
#[path = "times.rs"]
mod times;

/// A chain that is attacked here.
fn in_version(authorities: usize, change: impl FnOnce(&mut SpecFields)) -> Chain {
    crate::composed::chain(ConsensusName::ProofOfWork, authorities, change)
}
