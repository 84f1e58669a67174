//! The figures that MPREG derives from a chain: its summary, its current difficulty, its balances.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::block::Block;
use super::config::ChainConfig;
use super::entry::Entry;
use hubledger::original::Number;

/// The longest difficulty interval whose timestamps are kept; beyond it no difficulty is given.
const INTERVAL_MAX_BLOCKS: u64 = 1 << 20;

/// MPREG's summary of a chain (`get_chain_summary`). Sums that leave 128 bits are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// MPREG's name for the chain.
    pub chain_id: String,
    /// Height of the last block.
    pub height: u64,
    /// Blocks, the first included.
    pub total_blocks: u64,
    /// Transactions in all blocks.
    pub total_transactions: u64,
    /// Sum of the claimed difficulties, which nothing backs (see the audit).
    pub total_work: Option<i128>,
    /// Hash of the last block.
    pub latest_block_hash: String,
    /// Timestamp of the last block.
    pub latest_timestamp: Number,
    /// How the chain says that it agrees on blocks.
    pub consensus_type: &'static str,
}

/// Gathers the figures block by block.
///
/// Memory: the timestamps of one difficulty interval, at most 2^20; with balances, an entry per name.
#[derive(Debug, Clone)]
pub struct Tally {
    config: ChainConfig,
    interval: Option<u64>,
    blocks: u64,
    transactions: u64,
    work: Option<i128>,
    recent: VecDeque<f64>,
    latest: Option<Latest>,
}

#[derive(Debug, Clone)]
struct Latest {
    height: u64,
    timestamp: Number,
    difficulty: Number,
}

impl Tally {
    /// Nothing gathered yet.
    #[must_use]
    pub fn new(config: &ChainConfig) -> Self {
        let interval = config.difficulty_adjustment_interval.as_u64();
        Self {
            interval: interval.filter(|interval| (1..=INTERVAL_MAX_BLOCKS).contains(interval)),
            config: config.clone(),
            blocks: 0,
            transactions: 0,
            work: Some(0),
            recent: VecDeque::new(),
            latest: None,
        }
    }

    /// Adds the next block.
    pub fn add<T: Entry>(&mut self, block: &Block<T>) {
        let difficulty = block.difficulty.as_i128();
        self.work = self
            .work
            .zip(difficulty)
            // Difficulties are claims of any size: a sum that leaves 128 bits is given as unknown, not wrapped.
            .and_then(|(sum, work)| sum.checked_add(work));
        self.transactions += block.transactions().len() as u64;
        if self.blocks > 0
            && let Some(interval) = self.interval
        {
            self.recent.push_back(block.timestamp.to_f64());
            if self.recent.len() as u64 > interval {
                self.recent.pop_front();
            }
        }
        self.blocks += 1;
        self.latest = Some(Latest {
            height: block.height,
            timestamp: block.timestamp.clone(),
            difficulty: block.difficulty.clone(),
        });
    }

    /// The summary under the name `chain_id`, whose last block has the hash `head`; `None` before the first
    /// block.
    #[must_use]
    pub fn summary(&self, chain_id: &str, head: &str) -> Option<Summary> {
        let latest = self.latest.as_ref()?;
        Some(Summary {
            chain_id: chain_id.to_owned(),
            height: latest.height,
            total_blocks: self.blocks,
            total_transactions: self.transactions,
            total_work: self.work,
            latest_block_hash: head.to_owned(),
            latest_timestamp: latest.timestamp.clone(),
            consensus_type: self.config.consensus.name(),
        })
    }

    /// The difficulty that MPREG would give the next block (`get_current_difficulty`): the interval itself until
    /// there are as many blocks after the first; then the last block's difficulty, doubled up to 100 if the
    /// interval's blocks came in less than half the target time, halved down to 1 if in more than twice it.
    ///
    /// `None` before the first block, for an interval outside 1 to 2^20, and if the last difficulty exceeds 128 bits.
    #[must_use]
    pub fn current_difficulty(&self) -> Option<i128> {
        let interval = self.interval?;
        let current = self.latest.as_ref()?.difficulty.as_i128()?;
        if self.blocks - 1 < interval {
            return Some(i128::from(interval));
        }
        let (first, last) = (self.recent.front()?, self.recent.back()?);
        if self.recent.len() < 2 {
            return Some(1);
        }
        let average = (last - first) / (self.recent.len() - 1) as f64;
        let target = self.config.block_time_target.to_f64();
        Some(if average < target * 0.5 {
            current.saturating_mul(2).min(100)
        } else if average > target * 2.0 {
            (current / 2).max(1)
        } else {
            current
        })
    }
}

/// MPREG's balances: a receiver gains the fee, the sender loses it. They start at nothing and no rule
/// keeps them from falling below it. Memory: an entry per name.
#[derive(Debug, Clone, Default)]
pub struct Balances(BTreeMap<String, Option<i128>>);

impl Balances {
    /// Applies a block's transactions.
    pub fn add(&mut self, block: &Block) {
        for transaction in block.transactions() {
            let fee = transaction.fee.as_i128();
            self.change(&transaction.receiver, fee);
            self.change(&transaction.sender, fee.and_then(i128::checked_neg));
        }
    }

    /// The balance of `name`: zero if it never took part, `None` if it left 128 bits on the way.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<i128> {
        self.0.get(name).copied().unwrap_or(Some(0))
    }

    /// All names that took part, with their balances.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<i128>)> {
        self.0
            .iter()
            .map(|(name, balance)| (name.as_str(), *balance))
    }

    fn change(&mut self, name: &str, amount: Option<i128>) {
        let add = |balance: Option<i128>| balance.zip(amount).and_then(|(a, b)| a.checked_add(b));
        match self.0.get_mut(name) {
            Some(balance) => *balance = add(*balance),
            None => {
                self.0.insert(name.to_owned(), add(Some(0)));
            }
        }
    }
}
