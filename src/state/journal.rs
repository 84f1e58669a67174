//! How to go back to an earlier state, without a copy of it: the tip, and what the accounts were that changed since.

use std::collections::HashMap;

use super::accounts::RowChange;
use super::rows::Rows;
use super::{Account, Changes, State, Tip};
use crate::format::FormatVersion;

/// How to go back to an earlier state: what the accounts changed since then were before.
#[derive(Debug, Clone)]
pub struct Journal {
    tip: Tip,
    accounts: Vec<(Box<str>, Option<Account>)>,
    /// Rows of other tables as they were.
    rows: Vec<RowChange>,
    /// The accounts as they were, where they moved from a table into a tree since then.
    table: Option<Rows>,
}

/// What a journal takes up besides what it notes of names, and what it takes up for each of those besides its bytes. Roughly.
const JOURNAL_BYTES: u64 = 4096;
const NAME_BYTES: u64 = 96;

impl Journal {
    /// Bytes of memory, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        let names = self.accounts.iter();
        let names = names.map(|(name, _)| NAME_BYTES + name.len() as u64);
        let rows = self.rows.iter().map(|row| {
            let value = row.value.as_ref().map_or(0, |value| value.len());
            NAME_BYTES + (row.key.len() + value) as u64
        });
        JOURNAL_BYTES + names.chain(rows).sum::<u64>()
    }

    /// The names whose accounts changed since then, some of them several times.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().map(|(name, _)| &**name)
    }

    /// Adds what a journal noted that began where this one ends.
    pub(crate) fn append(&mut self, later: Self) {
        self.accounts.extend(later.accounts);
        self.rows.extend(later.rows);
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
            rows: Vec::new(),
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
        let before = changes
            .accounts
            .iter()
            .enumerate()
            .map(|(number, (name, _))| {
                let before = match changes.known.get(number) {
                    Some(known) => (known.before != Account::default()).then_some(known.before),
                    None => self.accounts.get(name),
                };
                (name.clone(), before)
            });
        journal.accounts.extend(before);
        let before = changes.rows.iter().map(|row| RowChange {
            table: row.table,
            key: row.key.clone(),
            value: self.row(row.table, &row.key).map(Into::into),
        });
        journal.rows.extend(before);
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
        let mut first = HashMap::with_capacity(journal.rows.len());
        for row in &journal.rows {
            first.entry((row.table, &row.key)).or_insert(row);
        }
        let rows: Vec<_> = first.into_values().map(RowChange::put).collect();
        self.accounts.put(&rows);
    }
}
