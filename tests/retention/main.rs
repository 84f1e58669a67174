//! What is kept of a chain and what isn't: policies, pruning, proofs of what was pruned, archives, copies, checks.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod archive;
mod checking;
mod copying;
mod golden;
mod places;
mod policy;
mod proofs;
mod pruning;
mod salvage;
