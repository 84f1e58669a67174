//! hubledger: a parallel validation engine with pluggable storage for chains of signed transactions.

pub mod clock;
pub mod consensus;
pub mod engine;
pub mod format;
pub mod generate;
pub mod ledger;
pub mod line;
pub mod pool;
pub mod rules;
pub mod state;
pub mod tree;

pub use self::format::{
    blockfile, codec, digest, merkle, model, original, proof, rejection, signature, spec,
};
