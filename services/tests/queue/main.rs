//! The message queue: against a naive one, with consumers, and proved.
#![allow(missing_docs, clippy::unwrap_used)]

mod consumers;
mod naive;
mod payloads;
mod proofs;
mod views;
