//! What a chain knows about names, and what a block changes of it.

use crate::format::digest::Digest;

/// What a chain knows about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// The last nonce used; 0 before the first transaction.
    pub nonce: u64,
    /// What it holds; 0 where the chain keeps no balances.
    pub balance: u64,
    /// SHA-256 over the keys that speak for the name, ascending, where they are fixed.
    pub keys: Option<Digest>,
}

/// What a block changes in the state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// Accounts as they are after it.
    pub(crate) accounts: Vec<(Box<str>, Account)>,
    /// What an imported chain's hashes go on from, where the block is of one.
    pub(crate) source: Option<String>,
}
