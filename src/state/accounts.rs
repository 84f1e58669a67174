//! What a chain knows about names, and what a block changes of it.

use super::tables::Table;
use super::tree::Put;
use crate::format::digest::Digest;

/// What a chain knows about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// The last nonce used; 0 before the first transaction.
    pub nonce: u64,
    /// What it holds; 0 where the chain keeps no balances.
    pub balance: u64,
    /// Who speaks for the name.
    pub speaker: Speaker,
}

/// Who speaks for a name. Digests are SHA-256 over keys, ascending, all of which have to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Speaker {
    /// That isn't fixed.
    #[default]
    Open,
    /// The keys of this digest, for ever, unless the name is registered.
    Keys(Digest),
    /// Whom its [registration](super::tables::Registration) names.
    Registered,
    /// The same, which at the heights before this one are the keys of this digest and no others: so that a registered name
    /// costs no more than another while nothing changes.
    RegisteredKeys(Digest, u64),
}

impl Account {
    /// The digest of the keys that speak for the name, where the account itself names them.
    #[must_use]
    pub const fn keys(&self) -> Option<Digest> {
        match self.speaker {
            Speaker::Keys(keys) | Speaker::RegisteredKeys(keys, _) => Some(keys),
            Speaker::Open | Speaker::Registered => None,
        }
    }
}

impl Account {
    /// Whether a [registration](super::tables::Registration) says who speaks for the name.
    #[must_use]
    pub const fn is_registered(&self) -> bool {
        matches!(
            self.speaker,
            Speaker::Registered | Speaker::RegisteredKeys(..)
        )
    }
}

/// A row of a table other than that of accounts, as it is after a change; none if it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowChange {
    pub(crate) table: u8,
    pub(crate) key: Box<[u8]>,
    pub(crate) value: Option<Box<[u8]>>,
}

impl RowChange {
    pub(super) fn put(&self) -> Put<'_> {
        Put {
            table: self.table,
            key: &self.key,
            value: self.value.as_deref(),
        }
    }
}

/// What a block changes in the state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// Accounts as they are after it.
    pub(crate) accounts: Vec<(Box<str>, Account)>,
    /// Rows of other tables, each once.
    pub(crate) rows: Vec<RowChange>,
    /// What is known beforehand of each of them, in their order, or of none.
    pub(crate) known: Vec<KnownAccount>,
    /// What an imported chain's hashes go on from, where the block is of one.
    pub(crate) source: Option<String>,
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
/// applies it with what transactions change and takes both back together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsensusChanges {
    /// Rows that nothing else writes in the same block.
    pub(crate) rows: Vec<RowChange>,
}

impl ConsensusChanges {
    /// Whether it changes nothing: what decides about the next block is the specification's, or the block before's.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn put<T: Table>(&mut self, key: &[u8], value: &T::Value) {
        self.rows.push(RowChange {
            table: T::NUMBER,
            key: key.into(),
            value: Some(T::encode(value).into()),
        });
    }

    /// Takes a row out, if the state before the block has it.
    pub(crate) fn remove_held<T: Table>(&mut self, parent: &super::State, key: &[u8]) {
        if parent.row(T::NUMBER, key).is_some() {
            self.rows.push(RowChange {
                table: T::NUMBER,
                key: key.into(),
                value: None,
            });
        }
    }
}
