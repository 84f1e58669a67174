//! Consensus by its contract, and chains of headers without bodies.
#![allow(missing_docs, clippy::unwrap_used)]

use hubledger::testing as common;

mod alarm;
mod asert;
mod branches;
mod compositions;
mod contract;
mod difficulty;
mod federation;
mod headers;
mod light;
mod seeds;
mod vectors;
