//! How to go back to an earlier state, without a copy of it: the tip, and what the accounts were that changed since.

use std::collections::HashMap;

use super::rows::Rows;
use super::{Account, Changes, ConsensusChanges, State, Tip};
use crate::format::FormatVersion;

/// How to go back to an earlier state: what the accounts changed since then were before.
#[derive(Debug)]
pub struct Journal {
    tip: Tip,
    accounts: Vec<(Box<str>, Option<Account>)>,
    /// The accounts as they were, where they moved from a table into a tree since then.
    table: Option<Rows>,
}

impl Journal {
    /// The names whose accounts changed since then, some of them several times.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().map(|(name, _)| &**name)
    }

    /// Adds what a journal noted that began where this one ends.
    pub(crate) fn append(&mut self, later: Self) {
        self.accounts.extend(later.accounts);
        if self.table.is_none() {
            self.table = later.table;
        }
    }
}

impl State {
    /// A journal that begins here.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal {
            tip: self.tip.clone(),
            accounts: Vec::new(),
            table: None,
        }
    }

    /// Notes what the accounts are before `changes` of a block, and before they are where a `next` block of this version wants
    /// them.
    pub(crate) fn note(&self, next: FormatVersion, changes: &Changes, journal: &mut Journal) {
        if journal.table.is_none() && self.is_before_move(next) {
            // Once in the life of a chain; a copy shares what it is of.
            journal.table = Some(self.accounts.clone());
        }
        let before = changes.accounts.iter();
        let before = before.map(|(name, _)| (name.clone(), self.accounts.get(name)));
        journal.accounts.extend(before);
        // A variant that changes something notes here what that was before, and `rewind` puts it back.
        match changes.consensus {
            ConsensusChanges::None => {}
        }
    }

    /// Goes back to where `journal` began. O(changes since then).
    pub(crate) fn rewind(&mut self, journal: Journal) {
        self.tip = journal.tip;
        // Of a name that changed several times, what it was first. A table that is put back may have changes in it, too.
        let mut first = HashMap::with_capacity(journal.accounts.len());
        for (name, account) in &journal.accounts {
            first.entry(&**name).or_insert(*account);
        }
        if let Some(table) = journal.table {
            self.accounts = table;
        }
        self.accounts.change(first.into_iter());
    }
}
