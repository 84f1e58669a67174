//! Formats, proofs, specifications and the ledger.
#![allow(missing_docs, clippy::unwrap_used)]

use hubledger::testing as common;

mod codec;
mod golden;
mod ledger;
mod merkle_oracle;
mod proofs;
mod spec;
