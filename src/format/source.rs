//! Whom something came from, as a number that the caller chooses. No part of any format: everything that keeps what others brought counts
//! by it, so it lies below all of them.

use std::fmt;

use super::digest::sha256;

/// Where a transaction or a block came from, as whoever hands it in tells them apart: a connection, a peer, a customer. Names of senders
/// and blocks that follow nothing cost nothing, so that shares of room go by sources too. Two that have the same number share a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Source(
    /// Any number.
    pub u64,
);

impl Source {
    /// Whatever nobody said anything of.
    pub const UNSAID: Self = Self(0);

    /// The source of a label, such as a peer's key or the prefix of an address: the first bytes of its SHA-256, since a label may be of
    /// somebody else's choice.
    #[must_use]
    pub fn of(label: &str) -> Self {
        let hash = sha256(&[label.as_bytes()]);
        let (first, _) = hash.split_first_chunk().expect("a hash has 32 bytes");
        Self(u64::from_le_bytes(*first))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
