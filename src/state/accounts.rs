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
    /// What is known beforehand of each of them, in their order, or of none.
    pub(crate) known: Vec<KnownAccount>,
    /// What an imported chain's hashes go on from, where the block is of one.
    pub(crate) source: Option<String>,
    /// What it changes because of the chain's consensus.
    pub(crate) consensus: ConsensusChanges,
    /// What all blocks of the chain weigh together after it.
    pub(crate) weight: u128,
}

/// What is known of an account before it changes, so that nobody has to look it up again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownAccount {
    /// Where it is in the tree.
    pub(crate) place: Digest,
    /// What it was.
    pub(crate) before: Account,
}

/// What a block changes in the part of the state that is its consensus's own, as data: the consensus says it, the state
/// applies it and takes it back. A kind that keeps members, stakes or a difficulty there has a variant with what they are
/// after the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ConsensusChanges {
    /// Nothing: what decides about the next block is the specification's, or the block before's.
    #[default]
    None,
}
