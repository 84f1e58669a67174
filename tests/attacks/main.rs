//! Every attack on a chain of signed transactions that we know of, each seen to be refused with exactly its reason, in
//! every version of the format and under every composition of a consensus.
//!
//! `headers` rewrites headers and links, `seals` and `blocks` what signatures seal, `contents` the Merkle tree, sizes and limits, `signers` and `key_names`
//! speak for others, `replays` says things twice, `money` spends what isn't there, `times` plays with clocks, `votes` changes what was agreed; `sums`,
//! `identities`, `parameters`, `stakes`, `evidence`, `attendance` and `checkpoints` are for what only version 2 has. `composed` says what is tried under which composition.
#![allow(missing_docs, clippy::unwrap_used)]
// Each version has the same attacks, on chains of its own.
#![allow(clippy::duplicate_mod)]

use hubledger::testing as common;

mod attendance;
mod checkpoints;
mod composed;
mod evidence;
mod identities;
mod parameters;
mod stakes;
mod under_delegated_proof_of_stake;
mod under_federated_byzantine;
mod under_hybrid;
mod under_key;
mod under_open;
mod under_pbft;
mod under_proof_of_stake;
mod under_proof_of_work;
mod under_registered;
mod version_1;
mod version_2;
