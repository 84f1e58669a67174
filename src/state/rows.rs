//! Where the accounts are: in a table by name, where nobody asks for a root over them, or in the tree that it is hashed over.

use super::table::AccountTable;
use super::tree::{Put, StateTree};
use super::{Account, Changes, RowChange, Speaker};
use crate::format::FormatVersion;
use crate::format::codec::{DecodeError, DecodeProblem, Reader};
use crate::format::digest::Digest;
use crate::format::sparse;

/// The number of the table of accounts: of each its name, and [`Account::encode`].
pub const TABLE_ACCOUNTS: u8 = 1;

/// The accounts by name. A copy costs microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rows {
    /// Of a chain of version 1.
    Table(AccountTable),
    /// Of a chain of version 2.
    Tree(StateTree),
}

impl Default for Rows {
    fn default() -> Self {
        Self::Table(AccountTable::default())
    }
}

impl Rows {
    /// None yet, of a chain of this version.
    pub(super) fn for_version(version: FormatVersion) -> Self {
        match version {
            FormatVersion::V1 => Self::default(),
            FormatVersion::V2 => Self::Tree(StateTree::default()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Table(table) => table.len(),
            Self::Tree(tree) => tree.len(),
        }
    }

    /// What is known of a name. O(1) in a table, a hash and O(log names) in a tree.
    pub(super) fn get(&self, name: &str) -> Option<Account> {
        match self {
            Self::Table(table) => table.get(name).copied(),
            Self::Tree(tree) => {
                let value = tree.get(TABLE_ACCOUNTS, name.as_bytes())?;
                // Only encoded accounts are put there, and what a snapshot brings is decoded before.
                Account::decode(value).ok()
            }
        }
    }

    /// What is known of the names at these places, the default for those never seen; `None` in a table. O(places · log names), and the
    /// processor waits for many of them at once.
    pub(super) fn get_at(&self, places: &[Digest]) -> Option<Vec<Account>> {
        let account = |value: Option<&[u8]>| {
            let account = value.and_then(|value| Account::decode(value).ok());
            account.unwrap_or_default()
        };
        let values = self.tree()?.get_at(places);
        Some(values.into_iter().map(account).collect())
    }

    /// Sets accounts, or forgets names; of several changes of one name, the last counts.
    pub(super) fn change<'a>(&mut self, changes: impl Iterator<Item = (&'a str, Option<Account>)>) {
        match self {
            Self::Table(table) => {
                for (name, account) in changes {
                    match account {
                        Some(account) => table.insert(name, account),
                        None => table.remove(name),
                    }
                }
            }
            Self::Tree(tree) => {
                let encoded = |(name, account): (&'a str, Option<Account>)| {
                    // A name of which nothing is known has no row: one state has one set of rows.
                    let account = account.filter(|account| *account != Account::default());
                    (name, account.map(|account| account.encode()))
                };
                put(tree, &changes.map(encoded).collect::<Vec<_>>(), None);
            }
        }
    }

    /// Puts what a block changes.
    pub(super) fn apply(&mut self, changes: &Changes) {
        match self {
            Self::Tree(tree) if changes.known.len() == changes.accounts.len() => {
                let encoded = changes.accounts.iter().map(|(name, account)| {
                    let account = (*account != Account::default()).then(|| account.encode());
                    (&**name, account)
                });
                let places: Vec<Digest> = changes.known.iter().map(|known| known.place).collect();
                put(tree, &encoded.collect::<Vec<_>>(), Some(&places));
            }
            Self::Tree(_) | Self::Table(_) => {
                let accounts = changes.accounts.iter();
                self.change(accounts.map(|(name, account)| (&**name, Some(*account))));
            }
        }
        if !changes.rows.is_empty() {
            let rows: Vec<_> = changes.rows.iter().map(RowChange::put).collect();
            self.put(&rows);
        }
    }

    /// A row of any table; `None` where it isn't there, and in version 1, which has none.
    pub(super) fn row(&self, table: u8, key: &[u8]) -> Option<&[u8]> {
        self.tree()?.get(table, key)
    }

    /// Puts and removes rows of any tables. Nothing happens in version 1, where no transition makes any.
    pub(super) fn put(&mut self, rows: &[Put<'_>]) {
        if let Self::Tree(tree) = self
            && !rows.is_empty()
        {
            tree.change(rows);
        }
    }

    /// The same accounts in a tree. O(names) if they are in a table.
    pub(super) fn into_tree(self) -> Self {
        match self {
            Self::Table(table) => {
                let mut rows = Self::Tree(StateTree::default());
                let accounts = table.iter().map(|(name, account)| (name, Some(*account)));
                rows.change(accounts);
                rows
            }
            Self::Tree(_) => self,
        }
    }

    pub(super) const fn tree(&self) -> Option<&StateTree> {
        match self {
            Self::Table(_) => None,
            Self::Tree(tree) => Some(tree),
        }
    }

    /// The root over all rows; `None` of a table, which has none.
    pub(super) fn root(&mut self) -> Option<Digest> {
        match self {
            Self::Table(_) => None,
            Self::Tree(tree) => Some(tree.root()),
        }
    }
}

/// Puts accounts into a tree, at these places where they are known.
fn put(
    tree: &mut StateTree,
    changes: &[(&str, Option<EncodedAccount>)],
    places: Option<&[Digest]>,
) {
    let puts = changes.iter().map(|(name, value)| Put {
        table: TABLE_ACCOUNTS,
        key: name.as_bytes(),
        value: value.as_ref().map(EncodedAccount::as_bytes),
    });
    let puts: Vec<Put<'_>> = puts.collect();
    match places {
        Some(places) => tree.change_at(&puts, places),
        None => tree.change(&puts),
    }
}

/// Where the accounts of names are in a tree, hashed many at a time.
pub(crate) fn places_of_names(names: &[&str]) -> Vec<Digest> {
    let keys: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    sparse::places(TABLE_ACCOUNTS, &keys)
}

/// The longest encoding of an account.
const ACCOUNT_BYTES_MAX: usize = 57;

/// The bytes of an account: nonce u64, balance u64, speaker u8 and what goes with it.
#[derive(Debug, Clone, Copy)]
pub struct EncodedAccount {
    bytes: [u8; ACCOUNT_BYTES_MAX],
    length: usize,
}

impl EncodedAccount {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Account {
    /// The canonical encoding (`FORMAT.md`, "State"): 17 bytes, 49 with keys, or 57 with keys up to a height.
    #[must_use]
    pub fn encode(&self) -> EncodedAccount {
        let mut bytes = [0; ACCOUNT_BYTES_MAX];
        bytes[..8].copy_from_slice(&self.nonce.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.balance.to_le_bytes());
        if let Some(keys) = self.keys() {
            bytes[17..49].copy_from_slice(&keys.0);
        }
        let (tag, length) = match self.speaker {
            Speaker::Open => (0, 17),
            Speaker::Keys(_) => (1, 49),
            Speaker::Registered => (2, 17),
            Speaker::RegisteredKeys(_, until) => {
                bytes[49..].copy_from_slice(&until.to_le_bytes());
                (3, ACCOUNT_BYTES_MAX)
            }
        };
        bytes[16] = tag;
        EncodedAccount { bytes, length }
    }

    /// Reads exactly one encoded account.
    ///
    /// # Errors
    /// Anything but the canonical encoding of an account.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const FIELD: &str = "account";
        let mut reader = Reader::new(bytes);
        let (nonce, balance) = (reader.u64(FIELD)?, reader.u64(FIELD)?);
        let start = reader.clone();
        let speaker = match reader.u8(FIELD)? {
            0 => Speaker::Open,
            1 => Speaker::Keys(Digest(reader.array(FIELD)?)),
            2 => Speaker::Registered,
            3 => Speaker::RegisteredKeys(Digest(reader.array(FIELD)?), reader.u64(FIELD)?),
            tag => return Err(start.error(FIELD, DecodeProblem::Tag(tag))),
        };
        reader.finish(FIELD)?;
        let account = Self {
            nonce,
            balance,
            speaker,
        };
        // A name of which nothing is known has no row: one state, one set of rows.
        if account == Self::default() {
            return Err(Reader::new(bytes).error(FIELD, DecodeProblem::Value("nothing is known")));
        }
        Ok(account)
    }
}

/// Checks a row of accounts that comes from outside.
pub(super) fn check_account(key: &[u8], value: &[u8]) -> Result<(), DecodeProblem> {
    super::tables::check_name(key)?;
    Account::decode(value)
        .map(|_| ())
        .map_err(|error| error.problem)
}
