//! Formats, proofs, specifications and the ledger.
#![allow(missing_docs, clippy::unwrap_used)]

use hubledger::testing as common;

mod branch_vectors;
mod codec;
mod golden;
mod golden_consensus;
mod golden_state;
mod golden_v2;
mod ledger;
mod merkle_oracle;
mod model;
mod proofs;
mod spec;
mod spec_v2;
mod stakes;
mod succession;
mod transitions;
mod vectors;
