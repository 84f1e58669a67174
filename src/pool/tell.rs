//! What the pool is told of the chain and of time, and what leaves because of it.

use super::bounds::Terms;
use super::waiting::Pool;
use crate::format::model::Transaction;
use crate::state::Account;

impl Pool {
    /// Says what an account is after a block, or after blocks were taken back. What it used up leaves; what it can't pay stays, until
    /// it can or something else needs the room. Accounts of which nothing waits cost nothing but a look-up.
    pub fn tell_account(&mut self, name: &str, account: &Account) {
        if let Some(sender) = self.senders.find(name) {
            self.retell(sender, account);
        }
    }

    /// Takes up a sender's account.
    fn retell(&mut self, sender: u32, account: &Account) {
        let held = self.senders.get_mut(sender);
        if (held.used, held.balance) == (account.nonce, account.balance) {
            return;
        }
        (held.used, held.balance) = (account.nonce, account.balance);
        let used = held.queue.iter();
        let used: Vec<u32> = used
            .take_while(|(nonce, _)| *nonce <= account.nonce)
            .map(|(_, slot)| slot)
            .collect();
        self.left.used += used.len() as u64;
        for slot in used {
            self.unlink(slot);
        }
        self.list(sender);
    }

    /// Says at which time a block is, or will be: what expires by then can be in no block any more, and leaves.
    pub fn tell_time(&mut self, timestamp_us: u64) {
        while let Some(&(expiry, slot)) = self.expiries.first()
            && expiry <= timestamp_us
        {
            self.take_out(slot);
            self.left.expired += 1;
        }
    }

    /// Lets those go that have waited too long by now.
    pub fn tell_age(&mut self, now_us: u64) {
        self.now_us = self.now_us.max(now_us);
        while let Some((_, &slot)) = self.by_age.first_key_value() {
            let age_us = self.now_us - self.waiting[slot as usize].since_us;
            if age_us <= self.bounds.age_max_us {
                return;
            }
            self.take_out(slot);
            self.left.aged += 1;
        }
    }

    /// Takes up what the chain says about waiting from its next block on. O(n log n) if that is anything new.
    pub fn tell_terms(&mut self, terms: Terms) {
        if self.terms == terms {
            return;
        }
        self.terms = terms;
        for slot in self
            .waiting
            .iter()
            .map(|(slot, _)| slot)
            .collect::<Vec<_>>()
        {
            let cost = self.cost_of(&self.waiting[slot].transaction);
            let waiting = &mut self.waiting[slot];
            let sender = self.senders.get_mut(waiting.sender);
            sender.cost = sender.cost - waiting.cost + cost;
            waiting.cost = cost;
        }
        for sender in self.senders.slots().collect::<Vec<_>>() {
            self.list(sender);
        }
    }

    /// Takes a transaction out that a rule refused, if it waits.
    pub fn refuse(&mut self, transaction: &Transaction) {
        let sender = self.senders.find(transaction.sender());
        let sender = sender.map(|slot| self.senders.get(slot));
        let slot = sender.and_then(|sender| sender.queue.get(transaction.nonce()));
        if let Some(slot) = slot
            && self.waiting[slot as usize].transaction == *transaction
        {
            self.take_out(slot);
            self.left.refused += 1;
        }
    }
}
