//! Making room for what has entered: who leaves for it, or that it has to leave itself.

use super::enter::Bound;
use super::sender::Worth;
use super::waiting::{Pool, Waiting};
use crate::state::Account;

/// No more leave for one: else a large one could have thousands looked at, again and again, and be refused in the end.
const LEAVE_MAX: usize = 64;

/// A transaction is long if it takes more than one of so many parts of the room.
const SMALL_PART: usize = 1024;

impl Pool {
    /// Lets others leave until the transaction at `slot`, which was put in just now, is within all bounds with what is there. All or nothing:
    /// if that would take what is worth more, or too many, everything stays, and `slot` is for the caller to take out.
    ///
    /// # Errors
    /// The bound that it can't be within.
    pub(super) fn make_room(&mut self, slot: u32) -> Result<(), Bound> {
        let mut leaving: Vec<(Waiting, Account)> = Vec::new();
        while let Some((bound, victim)) = self.next_to_leave(slot) {
            let victim = victim.filter(|victim| *victim != slot && leaving.len() < LEAVE_MAX);
            let Some(victim) = victim else {
                // The last first: each comes back to the place that it had.
                for (waiting, account) in leaving.into_iter().rev() {
                    self.put_in(waiting, &account);
                }
                return Err(bound);
            };
            leaving.push(self.take_out(victim));
        }
        self.left.pushed_out += leaving.len() as u64;
        Ok(())
    }

    /// The bound that is exceeded, and who is to leave for it, if anybody may; nothing if all bounds are kept.
    fn next_to_leave(&self, slot: u32) -> Option<(Bound, Option<u32>)> {
        let entering = &self.waiting[slot as usize];
        let own = self.senders.get(entering.sender).worth;
        let own = own.map(|(worth, _)| worth);
        let (bound, candidate) = if self.is_sender_over(entering.sender) {
            (Bound::Sender, own)
        } else if self.is_source_over(entering.source_slot) {
            (Bound::Source, self.worth.first_of(entering.source_slot))
        } else if self.is_over() {
            (Bound::Pool, self.worth.first())
        } else {
            return None;
        };
        // What enters is worth at least as much as its sender's last one, which may be of another source.
        let victim = candidate.filter(|worth| own.is_some_and(|own| *worth <= own));
        Some((bound, victim.and_then(|worth| self.last_of(worth))))
    }

    fn last_of(&self, worth: Worth) -> Option<u32> {
        let last = self.senders.get(worth.sender).queue.last();
        last.map(|(_, slot)| slot)
    }

    fn is_sender_over(&self, sender: u32) -> bool {
        let sender = self.senders.get(sender);
        let (transactions_max, bytes_max) = self.bounds.of_sender();
        let count = sender.queue.len();
        count > 1 && (count > transactions_max || sender.bytes > bytes_max)
    }

    fn is_source_over(&self, source: u32) -> bool {
        let held = self.sources.get(source);
        let bounds = &self.bounds;
        let free = bounds.transactions_max.saturating_sub(self.len());
        let free_bytes = bounds.bytes_max.saturating_sub(self.bytes);
        // Of a source that has nothing else, only what is long can be too much: where many share the room, a single one competes by fee.
        let is_small = held.transactions == 1 && held.bytes <= bounds.bytes_max / SMALL_PART;
        !is_small
            && (held.transactions > 1 && bounds.is_over_share(held.transactions, free)
                || bounds.is_over_share(held.bytes, free_bytes))
    }

    fn is_over(&self) -> bool {
        self.len() > self.bounds.transactions_max || self.bytes > self.bounds.bytes_max
    }
}
