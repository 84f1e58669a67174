//! The followers that are registered: how far each has got, in memory for whoever acknowledges a block, and in the store by the
//! thread that commits.
//!
//! Invariants: the store's positions are never ahead of these; what is acknowledged before [`Registry::close`] is in what is taken
//! after it. A name has one follower at a time: whoever held it before is told so. Nothing waits while it is locked here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::feed::FeedError;
use super::sync::{Mutex, lock};
use crate::format::digest::BlockHash;
use crate::ledger::{FollowerRefused, Followers, Position};

pub(super) struct Registry {
    table: Mutex<RegistryTable>,
    /// Somebody has got further since the table was taken. Apart from it, so that a commit without news costs a look.
    has_news: AtomicBool,
}

#[derive(Default)]
struct RegistryTable {
    followers: Followers,
    /// Who holds each name at present.
    holders: BTreeMap<String, u64>,
    /// How many holders there ever were.
    count: u64,
    /// Nothing more will be put into the store.
    is_closed: bool,
}

/// What whoever holds a name shows for it, and what was finished under that name when it took it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) holder: u64,
    pub(super) finished: Option<Position>,
}

impl Claim {
    /// What a follower that was removed has left.
    pub(super) const NOBODY: Self = Self {
        holder: 0,
        finished: None,
    };
}

impl Registry {
    /// That of a store that was just opened.
    pub(super) fn new(followers: Followers) -> Self {
        Self {
            table: Mutex::new(RegistryTable {
                followers,
                ..RegistryTable::default()
            }),
            has_news: AtomicBool::new(false),
        }
    }

    /// All of them, as far as they have got. O(followers).
    pub(super) fn followers(&self) -> Followers {
        lock(&self.table).followers.clone()
    }

    /// Takes over the name of a registered follower; `None` if there is none.
    pub(super) fn claim(&self, name: &str) -> Option<Claim> {
        let mut table = lock(&self.table);
        let finished = table.followers.get(name)?;
        Some(table.claim(name, finished))
    }

    /// Notes that a follower has finished a block and all before. Its error is `None` once the engine has ended.
    pub(super) fn finished(
        &self,
        name: &str,
        holder: u64,
        position: Position,
        is_gone: &dyn Fn(&BlockHash) -> bool,
    ) -> Result<(), Option<FeedError>> {
        let mut table = lock(&self.table);
        if table.is_closed {
            return Err(None);
        }
        // A follower whose name was taken over would otherwise vouch for blocks that its successor has not finished.
        let holds = table.holders.get(name) == Some(&holder);
        if !holds || !table.followers.advance(name, position, is_gone) {
            return Err(Some(FeedError::NotRegistered));
        }
        // Under the lock: raised after it, the end of the engine could come between, and an acknowledged position be lost.
        self.has_news.store(true, Ordering::Release);
        Ok(())
    }

    /// Registers a name, or puts its follower elsewhere. The thread that commits calls this, and then puts the table into the store.
    pub(super) fn register(
        &self,
        name: &str,
        finished: Option<Position>,
    ) -> Result<Claim, FollowerRefused> {
        let mut table = lock(&self.table);
        table.followers.put(name, finished)?;
        Ok(table.claim(name, finished))
    }

    /// Removes a follower; false if there is none of that name. Otherwise as [`Registry::register`].
    pub(super) fn remove(&self, name: &str) -> bool {
        let mut table = lock(&self.table);
        // Its follower may still be there; from now on it is told that it is not registered.
        table.holders.remove(name);
        table.followers.remove(name)
    }

    /// Whether somebody has got further since the table was taken. A load.
    pub(super) fn has_news(&self) -> bool {
        self.has_news.load(Ordering::Acquire)
    }

    /// The table, if there is news.
    pub(super) fn take_news(&self) -> Option<Followers> {
        self.has_news().then(|| self.take())
    }

    /// The table, to be put into the store now.
    pub(super) fn take(&self) -> Followers {
        let table = lock(&self.table);
        self.has_news.store(false, Ordering::Release);
        table.followers.clone()
    }

    /// Notes no more positions.
    pub(super) fn close(&self) {
        lock(&self.table).is_closed = true;
    }
}

impl RegistryTable {
    fn claim(&mut self, name: &str, finished: Option<Position>) -> Claim {
        self.count += 1;
        let holder = self.count;
        self.holders.insert(name.to_owned(), holder);
        Claim { holder, finished }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sync::{Arc, thread};
    use super::*;
    use crate::format::digest::BlockHash;

    fn at(height: u64) -> Position {
        let hash = BlockHash([height as u8; 32]);
        Position { height, hash }
    }

    #[test]
    fn what_is_acknowledged_before_the_end_is_taken() {
        shuttle::check_random(
            || {
                let registry = Arc::new(Registry::new(Followers::default()));
                let claim = registry.register("a", None).expect("there is room");
                let acknowledging = {
                    let registry = Arc::clone(&registry);
                    thread::spawn(move || {
                        let mut last = None;
                        for height in 0..4 {
                            match registry.finished("a", claim.holder, at(height), &|_| false) {
                                Ok(()) => last = Some(at(height)),
                                Err(error) => assert!(error.is_none(), "closed"),
                            }
                        }
                        last
                    })
                };
                let mut kept = registry.take_news();
                registry.close();
                kept = registry.take_news().or(kept);
                let last = acknowledging.join().expect("no panic");
                assert_eq!(kept.and_then(|kept| kept.get("a")).flatten(), last);
                assert!(registry.take_news().is_none(), "nothing comes after it");
            },
            1000,
        );
    }

    #[test]
    fn a_name_has_one_follower_at_a_time() {
        shuttle::check_random(
            || {
                let registry = Registry::new(Followers::default());
                let is_refused = |result: Result<(), Option<FeedError>>| {
                    assert!(matches!(result, Err(Some(FeedError::NotRegistered))));
                };
                assert!(registry.claim("a").is_none());
                let first = registry.register("a", None).expect("there is room");
                let second = registry.claim("a").expect("it is there");
                is_refused(registry.finished("a", first.holder, at(9), &|_| false));
                assert!(
                    registry
                        .finished("a", second.holder, at(3), &|_| false)
                        .is_ok()
                );
                let third = registry.register("a", Some(at(1))).expect("it goes back");
                is_refused(registry.finished("a", second.holder, at(4), &|_| false));
                assert_eq!(registry.followers().get("a"), Some(Some(at(1))));
                assert!(registry.remove("a") && !registry.remove("a"));
                is_refused(registry.finished("a", third.holder, at(4), &|_| false));
            },
            1,
        );
    }
}
