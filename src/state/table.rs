//! Accounts by name, as a value whose copies are cheap: names are spread over shards, copies share them, and whoever changes a
//! shard that another copy holds too takes a copy of that shard first. So a state can be kept, written down or built on
//! while the chain goes on, and nobody waits for it.
//!
//! Which shard a name is in depends on a secret of this process, so that nobody can put many names into one.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use super::Account;

/// A power of two. With a million names a shard is copied in some 50 µs.
const SHARDS: usize = 1024;

/// Of the hash, a table uses the lowest bits and the highest seven.
const SHARD_BITS_FROM: u32 = 40;

#[derive(Debug, Clone)]
struct Entry {
    name: Box<str>,
    account: Account,
}

/// The accounts. A copy costs O(shards in use).
#[derive(Clone, Default)]
pub(super) struct AccountTable {
    secret: RandomState,
    /// None at all, or [`SHARDS`]; a shard that was never used is not there.
    shards: Vec<Option<Arc<HashTable<Entry>>>>,
    count: usize,
}

impl AccountTable {
    /// Number of names.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// The account of a name. O(1).
    pub(super) fn get(&self, name: &str) -> Option<&Account> {
        let hash = self.secret.hash_one(name);
        let shard = self.shards.get(shard_of(hash))?.as_ref()?;
        let found = shard.find(hash, |entry| *entry.name == *name)?;
        Some(&found.account)
    }

    /// Sets the account of a name. O(1), or the length of a shard if a copy of the table shares it.
    pub(super) fn insert(&mut self, name: &str, account: Account) {
        let hash = self.secret.hash_one(name);
        if self.shards.is_empty() {
            self.shards.resize(SHARDS, None);
        }
        // If a copy of the table still shares this shard it is copied here, so that the copy stays as it was.
        let shard = Arc::make_mut(self.shards[shard_of(hash)].get_or_insert_default());
        if let Some(held) = shard.find_mut(hash, |entry| *entry.name == *name) {
            held.account = account;
            return;
        }
        let entry = Entry {
            name: name.into(),
            account,
        };
        shard.insert_unique(hash, entry, |entry| self.secret.hash_one(&*entry.name));
        self.count += 1;
    }

    /// Forgets a name, if it is there. As [`AccountTable::insert`].
    pub(super) fn remove(&mut self, name: &str) {
        let hash = self.secret.hash_one(name);
        let Some(Some(shard)) = self.shards.get_mut(shard_of(hash)) else {
            return;
        };
        if let Ok(held) = Arc::make_mut(shard).find_entry(hash, |entry| *entry.name == *name) {
            held.remove();
            self.count -= 1;
        }
    }

    /// Names and accounts, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Account)> {
        let shards = self.shards.iter().flatten();
        let entries = shards.flat_map(|shard| shard.iter());
        entries.map(|entry| (&*entry.name, &entry.account))
    }
}

const fn shard_of(hash: u64) -> usize {
    (hash >> SHARD_BITS_FROM) as usize & (SHARDS - 1)
}

impl PartialEq for AccountTable {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count
            && self
                .iter()
                .all(|(name, account)| other.get(name) == Some(account))
    }
}

impl Eq for AccountTable {}

impl fmt::Debug for AccountTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn account(nonce: u64) -> Account {
        Account {
            nonce,
            ..Account::default()
        }
    }

    proptest! {
        /// Whatever is done to a table, its copies stay as they were.
        #[test]
        fn a_table_is_a_map_and_its_copies_are_independent(
            steps in prop::collection::vec((0_u32..40, prop::option::of(1_u64..9), any::<bool>()), 0..200),
        ) {
            let (mut table, mut model) = (AccountTable::default(), HashMap::new());
            let mut copies = Vec::new();
            for (name, nonce, is_copied) in steps {
                let name = format!("name {name}");
                match nonce {
                    Some(nonce) => {
                        table.insert(&name, account(nonce));
                        model.insert(name, account(nonce));
                    }
                    None => {
                        table.remove(&name);
                        model.remove(&name);
                    }
                }
                if is_copied {
                    copies.push((table.clone(), model.clone()));
                }
            }
            copies.push((table, model));
            for (table, model) in copies {
                prop_assert_eq!(table.len(), model.len());
                let held: HashMap<String, Account> =
                    table.iter().map(|(name, account)| (name.to_owned(), *account)).collect();
                prop_assert_eq!(&held, &model);
                for (name, account) in &model {
                    prop_assert_eq!(table.get(name), Some(account));
                }
            }
        }
    }

    #[test]
    fn tables_with_different_secrets_are_equal_by_what_they_hold() {
        let fill = |names: std::ops::Range<u64>| {
            let mut table = AccountTable::default();
            names.for_each(|number| table.insert(&number.to_string(), account(number)));
            table
        };
        assert_eq!(fill(0..5000), fill(0..5000));
        assert_ne!(fill(0..5000), fill(0..4999));
        assert_ne!(fill(0..5000), fill(1..5001));
    }
}
