//! hubledger: a parallel validation engine with pluggable storage for chains of signed transactions.

pub mod archive;
pub mod blockfile;
pub mod clock;
pub mod codec;
pub mod consensus;
pub mod digest;
pub mod engine;
pub mod generate;
pub mod ledger;
pub mod merkle;
pub mod model;
#[cfg(feature = "mpreg")]
pub mod mpreg;
pub mod produce;
pub mod proof;
pub mod rejection;
pub mod signature;
pub mod spec;
pub mod validate;
