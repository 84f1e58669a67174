//! What enters the pool, and what is refused.

use super::Source;
use super::waiting::{Pool, Waiting};
use crate::format::model::Transaction;
use crate::state::Account;

/// The part of its fee by which a replacement has to be dearer: a tenth.
const RAISE: u64 = 10;

/// What became of a transaction that was to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// It waits.
    Waits,
    /// It waits instead of another one of this sender with the same nonce, which it outbids.
    Replaces,
    /// This very transaction waits already.
    Again,
    /// Another one of this sender with the same nonce waits. A replacement needs this fee, if there is such a fee.
    Taken(Option<u64>),
    /// The sender has used this nonce or a later one.
    Used,
    /// The sender holds less than its waiting transactions would cost together with this one.
    Uncovered {
        /// What the sender holds.
        balance: u64,
        /// What all of them would cost.
        cost: u128,
    },
    /// There is no room for it, and what is worth less doesn't make enough.
    Full(Bound),
}

/// What a transaction found no room within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The share of its sender.
    Sender,
    /// The share of its source.
    Source,
    /// The whole pool.
    Pool,
}

impl Pool {
    /// Lets a transaction wait that a block could hold now, or once others of its sender have come. `account` is its sender's, by the
    /// chain as it is, and counts if nothing of that sender waits; else what the pool was [told](Pool::tell_account) last does, for a chain
    /// may say something of blocks that are taken back a moment later. `now_us` tells how old the transaction gets, by any
    /// timer that doesn't go back. O(log n), and as much again for each that leaves for it.
    pub fn enter(
        &mut self,
        transaction: Transaction,
        source: Source,
        account: &Account,
        now_us: u64,
    ) -> Entered {
        self.now_us = self.now_us.max(now_us);
        let sender = self.senders.find(transaction.sender());
        let account = sender.map_or(*account, |slot| self.senders.get(slot).account());
        let (nonce, fee) = (transaction.nonce(), transaction.fee());
        if nonce <= account.nonce {
            return Entered::Used;
        }
        let cost = self.cost_of(&transaction);
        let (mut all, mut held) = (cost, None);
        if let Some(sender) = sender.map(|slot| self.senders.get(slot)) {
            held = sender.queue.get(nonce);
            all += sender.cost;
        }
        if let Some(held) = held.map(|slot| &self.waiting[slot as usize]) {
            if let Some(refusal) = held.withstands(&transaction) {
                return refusal;
            }
            all -= held.cost;
        }
        let balance = account.balance;
        if self.terms.keeps_balances && all > u128::from(balance) {
            return Entered::Uncovered { balance, cost: all };
        }
        let replaced = held.map(|slot| self.take_out(slot));
        self.arrivals += 1;
        let slot = self.put_in(
            Waiting {
                transaction,
                nonce,
                fee,
                cost,
                arrival: self.arrivals,
                since_us: self.now_us,
                source,
                source_slot: 0,
                sender: 0,
            },
            &account,
        );
        match self.make_room(slot) {
            Ok(()) if replaced.is_some() => {
                self.left.replaced += 1;
                Entered::Replaces
            }
            Ok(()) => Entered::Waits,
            Err(bound) => {
                self.take_out(slot);
                if let Some((replaced, account)) = replaced {
                    self.put_in(replaced, &account);
                }
                Entered::Full(bound)
            }
        }
    }
}

impl Waiting {
    /// Why another one with the same sender and nonce doesn't replace it; nothing if it does.
    fn withstands(&self, other: &Transaction) -> Option<Entered> {
        if self.transaction == *other {
            return Some(Entered::Again);
        }
        let wanted = raised(self.fee);
        let is_outbid = wanted.is_some_and(|wanted| other.fee() >= wanted);
        (!is_outbid).then_some(Entered::Taken(wanted))
    }
}

/// The fee that outbids one: a tenth higher, and at least by one; `None` if there is none so high.
fn raised(fee: u64) -> Option<u64> {
    fee.checked_add(fee.div_ceil(RAISE).max(1))
}
