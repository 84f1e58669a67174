//! Bytes and values: what a chain is made of and how that is written down. Nothing here knows a state, a store or a thread.
//!
//! | module | what it is |
//! |---|---|
//! | [`codec`] | primitives of the canonical encoding: bounded reading, writing |
//! | [`digest`] | SHA-256, many at a time where the processor can, and ids as types of their own |
//! | [`merkle`] | RFC 9162: roots, trees, inclusion and consistency proofs, the frontier |
//! | [`signature`] | the package `hubledger-signatures` under this name, with key pairs and key files |
//! | [`model`] | transactions, headers, seals, blocks, vector clocks; valid by construction, keeping the bytes they came in |
//! | [`original`] | what is needed to check an imported record: MPREG's numbers and Merkle trees, the digest of a record |
//! | [`vote`] | what members sign when they say of a block that they propose it, prefer it, or decide on it |
//! | [`evidence`] | what proves a member's fault, from bytes alone |
//! | [`payload`] | payloads that the chain itself understands, in canonical bytes and as JSON |
//! | [`spec`] | the chain specification: fields, their limits and contradictions, canonical encoding, TOML |
//! | [`proof`] | self-contained proofs, their encoding and JSON form |
//! | [`blockfile`] | block files, as streams |
//! | [`Source`] | whom a transaction or a block came from, as a number that the caller chooses |
//! | [`rejection`] | a rule's fault and the verdict against a block, as data |

pub mod blockfile;
pub mod codec;
pub mod digest;
pub mod evidence;
pub mod merkle;
pub mod model;
pub mod original;
pub mod payload;
pub mod proof;
pub mod rejection;
pub mod signature;
mod source;
pub mod sparse;
pub mod spec;
mod version;
pub mod vote;

pub use self::source::Source;
pub use self::version::{FormatVersion, UnknownVersion};
