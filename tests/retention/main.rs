//! What is kept of a chain and what isn't: policies, pruning, proofs of what was pruned, archives, copies, checks.
#![allow(missing_docs, clippy::unwrap_used)]

use hubledger::testing as common;

mod archive;
mod checking;
mod copying;
mod forking;
mod golden;
mod members;
mod places;
mod policy;
mod proofs;
mod pruning;
mod salvage;
mod sets;
mod snapshot;
mod upgrade;
