//! Every attack on a chain of signed transactions that we know of, each seen to be refused with exactly its reason, in
//! every version of the format.
//!
//! `blocks` rewrites headers and seals, `contents` the Merkle tree, sizes and limits, `signers` speaks for others,
//! `replays` says things twice, `money` spends what isn't there, `times` plays with clocks; `sums`, `identities`, `parameters`, `stakes`, `evidence`, `attendance` and `checkpoints` are for
//! what only version 2 has.
#![allow(missing_docs, clippy::unwrap_used)]
// Each version has the same attacks, on chains of its own.
#![allow(clippy::duplicate_mod)]

use hubledger::testing as common;

mod attendance;
mod checkpoints;
mod evidence;
mod identities;
mod parameters;
mod stakes;
mod sums;
mod under_key;
mod under_open;
mod under_registered;
mod version_1;
mod version_2;
