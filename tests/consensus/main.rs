//! Consensus by its contract, and chains of headers without bodies.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod branches;
mod contract;
mod headers;
