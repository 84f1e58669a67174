//! Looking at the pool: who waits, since when, where from, and for what.

use std::collections::HashMap;

use super::Source;
use super::sender::Sender;
use super::waiting::{Pool, Waiting};
use crate::format::digest::TransactionId;
use crate::format::model::Transaction;

/// A transaction that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingTransaction {
    /// Its id.
    pub id: TransactionId,
    /// Its sender.
    pub sender: String,
    /// Its nonce.
    pub nonce: u64,
    /// Its fee.
    pub fee: u64,
    /// Its length in bytes.
    pub bytes: usize,
    /// Where it came from.
    pub source: Source,
    /// How long it has waited, in microseconds.
    pub age_us: u64,
    /// What it waits for.
    pub waits_for: WaitsFor,
}

/// What a transaction waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    /// For a block with room behind those with higher fees: only its fee, and its source's share, say when.
    Room,
    /// For the sender's transaction with this nonce, which isn't here.
    Gap {
        /// The first nonce that is missing.
        nonce: u64,
    },
    /// For its sender to have more: it and those before it cost more than the sender holds.
    Cover {
        /// By how much.
        missing: u128,
    },
}

/// How much waits of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceCount {
    /// The source.
    pub source: Source,
    /// Transactions that wait.
    pub transactions: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// Where in a sender's queue something begins that can be in no block yet.
#[derive(Debug, Clone, Copy)]
struct Obstacles {
    /// The first nonce that is missing, if one that waits is above it.
    gap: Option<u64>,
    /// The first nonce without cover.
    uncovered: Option<u64>,
}

impl Pool {
    /// Whether this transaction waits, with whatever witnesses. O(log n).
    #[must_use]
    pub fn has(&self, transaction: &Transaction) -> bool {
        let sender = self.senders.find(transaction.sender());
        let queue = sender.map(|slot| &self.senders.get(slot).queue);
        let slot = queue.and_then(|queue| queue.get(transaction.nonce()));
        slot.is_some_and(|slot| self.waiting[slot as usize].transaction.id() == transaction.id())
    }

    /// What waits of a sender, in the order of nonces. O(its transactions).
    #[must_use]
    pub fn of_sender(&self, name: &str) -> Vec<WaitingTransaction> {
        let Some(sender) = self.senders.find(name).map(|slot| self.senders.get(slot)) else {
            return Vec::new();
        };
        let obstacles = self.obstacles(sender);
        let queue = sender.queue.iter();
        let mut cost = 0;
        queue
            .map(|(_, slot)| {
                let waiting = &self.waiting[slot as usize];
                cost += waiting.cost;
                self.describe(waiting, sender, obstacles, cost)
            })
            .collect()
    }

    /// Those that have waited longest, the oldest first, at most `count`. O(`count` log n) and what their senders have waiting.
    #[must_use]
    pub fn oldest(&self, count: usize) -> Vec<WaitingTransaction> {
        let mut seen: HashMap<u32, (Obstacles, HashMap<u64, u128>)> = HashMap::new();
        let oldest = self.by_age.values().take(count);
        oldest
            .map(|slot| {
                let waiting = &self.waiting[*slot as usize];
                let sender = self.senders.get(waiting.sender);
                let (obstacles, costs) = seen
                    .entry(waiting.sender)
                    .or_insert_with(|| (self.obstacles(sender), self.costs(sender)));
                let cost = costs.get(&waiting.nonce).copied().unwrap_or_default();
                self.describe(waiting, sender, *obstacles, cost)
            })
            .collect()
    }

    /// How much waits of each source, the most first. O(sources).
    #[must_use]
    pub fn by_source(&self) -> Vec<SourceCount> {
        let mut counts: Vec<_> = self
            .sources
            .iter()
            .map(|held| SourceCount {
                source: held.source,
                transactions: held.transactions,
                bytes: held.bytes,
            })
            .collect();
        counts.sort_by_key(|count| (std::cmp::Reverse(count.transactions), count.source));
        counts
    }

    /// How many sources have something waiting.
    #[must_use]
    pub fn source_count(&self) -> usize {
        self.sources.len()
    }

    /// How many senders have something waiting.
    #[must_use]
    pub fn sender_count(&self) -> usize {
        self.senders.len()
    }

    /// Whether what waits fills a block: so many transactions, or so many bytes of them. What waits behind gaps or without cover doesn't
    /// count, nor does what else there is of such a sender.
    #[must_use]
    pub const fn fills(&self, transactions: usize, bytes: usize) -> bool {
        self.ready.0 >= transactions || self.ready.1 >= bytes
    }

    /// Whether a block could take anything.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        self.best.first().is_some()
    }

    fn obstacles(&self, sender: &Sender) -> Obstacles {
        let (mut expected, mut cost) = (sender.used.checked_add(1), 0);
        let mut obstacles = Obstacles {
            gap: None,
            uncovered: None,
        };
        for (nonce, slot) in sender.queue.iter() {
            if self.terms.is_consecutive && expected != Some(nonce) && obstacles.gap.is_none() {
                obstacles.gap = expected;
            }
            expected = nonce.checked_add(1);
            cost += self.waiting[slot as usize].cost;
            if !self.is_covered(sender.balance, cost) && obstacles.uncovered.is_none() {
                obstacles.uncovered = Some(nonce);
            }
        }
        obstacles
    }

    /// What each costs together with those before it.
    fn costs(&self, sender: &Sender) -> HashMap<u64, u128> {
        let mut cost = 0;
        let queue = sender.queue.iter();
        queue
            .map(|(nonce, slot)| {
                cost += self.waiting[slot as usize].cost;
                (nonce, cost)
            })
            .collect()
    }

    fn describe(
        &self,
        waiting: &Waiting,
        sender: &Sender,
        obstacles: Obstacles,
        cost: u128,
    ) -> WaitingTransaction {
        let waits_for = match obstacles {
            Obstacles {
                gap: Some(nonce), ..
            } if nonce < waiting.nonce => WaitsFor::Gap { nonce },
            Obstacles {
                uncovered: Some(first),
                ..
            } if first <= waiting.nonce => WaitsFor::Cover {
                missing: cost.saturating_sub(u128::from(sender.balance)),
            },
            _ => WaitsFor::Room,
        };
        WaitingTransaction {
            id: waiting.transaction.id(),
            sender: sender.name.to_string(),
            nonce: waiting.nonce,
            fee: waiting.fee,
            bytes: waiting.bytes(),
            source: waiting.source,
            age_us: self.now_us - waiting.since_us,
            waits_for,
        }
    }
}
