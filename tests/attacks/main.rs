//! Every attack on a chain of signed transactions that we know of, each seen to be refused with exactly its reason.
//!
//! `blocks` rewrites headers and seals, `contents` the Merkle tree, sizes and limits, `signers` speaks for others,
//! `replays` says things twice, `money` spends what isn't there, `times` plays with clocks.
#![allow(missing_docs, clippy::unwrap_used)]

use hubledger::testing as common;

mod blocks;
mod contents;
mod money;
mod replays;
mod signers;
mod times;
