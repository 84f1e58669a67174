//! hubledger: a parallel validation engine with pluggable storage for chains of signed transactions.

pub mod digest;
pub mod rejection;
