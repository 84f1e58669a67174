//! How to go back to an earlier state, without a copy of it: the tip, and what the accounts were that changed since.

use super::{Account, Changes, ConsensusChanges, State, Tip};

/// How to go back to an earlier state: what the accounts changed since then were before.
#[derive(Debug)]
pub struct Journal {
    tip: Tip,
    accounts: Vec<(Box<str>, Option<Account>)>,
}

impl State {
    /// A journal that begins here.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal {
            tip: self.tip.clone(),
            accounts: Vec::new(),
        }
    }

    /// Notes what the accounts are before `changes`.
    pub(crate) fn note(&self, changes: &Changes, journal: &mut Journal) {
        let before = changes.accounts.iter();
        let before = before.map(|(name, _)| (name.clone(), self.accounts.get(name).copied()));
        journal.accounts.extend(before);
        // A variant that changes something notes here what that was before, and `rewind` puts it back.
        match changes.consensus {
            ConsensusChanges::None => {}
        }
    }

    /// Goes back to where `journal` began. O(changes since then).
    pub(crate) fn rewind(&mut self, journal: Journal) {
        self.tip = journal.tip;
        // Backwards, so that a name that changed twice ends as it was first.
        for (name, account) in journal.accounts.into_iter().rev() {
            match account {
                Some(account) => self.accounts.insert(&name, account),
                None => self.accounts.remove(&name),
            }
        }
    }
}
