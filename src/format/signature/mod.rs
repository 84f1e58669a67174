//! Ed25519: keys, signing, and the one rule by which a signature is accepted, alone or among thousands.
//!
//! The rule, and the verifier that applies it to many signatures at once, are the package [`hubledger_signatures`], which
//! is used here under this name; keys and key files are added.

mod key;
mod pem;

pub use hubledger_signatures::*;

pub use key::KeyPair;
pub use pem::{KeyError, PEM_BYTES_MAX};
