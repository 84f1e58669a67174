//! The same rules for transactions that are in no block yet: whether one could be in the next, and which of many go into it.

use std::collections::HashSet;

use crate::format::model::{TRANSACTION_BYTES_MIN, Transaction};
use crate::format::payload::Payload;
use crate::format::rejection::{Fault, Reason};
use crate::rules::{Accounts, At, Validator};
use crate::state::InForce;

/// How many candidates are passed over at most, so that choosing ends soon after a block is full.
const PASSED_OVER_MAX: usize = 4096;

/// Whether a transaction belongs into a block of its sender's and of nobody else.
fn waits_for_its_block(
    transaction: &Transaction,
    meaning: Option<&Payload>,
    producer: &str,
) -> bool {
    matches!(meaning, Some(Payload::Reveal(_))) && transaction.sender() != producer
}

impl Validator {
    /// Whether `transaction` alone could be in a block made now, by every rule but its signatures; where nonces are
    /// consecutive, behind those that are still to come. One that is longer than any body of this chain breaks a `limit`.
    /// O(its length).
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn admit(&self, transaction: &Transaction, now_us: u64) -> Result<(), Fault> {
        let spec = self.spec().at(self.state().height() + 1);
        self.admit_saying(
            transaction,
            Payload::said_in(spec, transaction).as_ref(),
            now_us,
        )
    }

    /// The same of a transaction whose payload was found to say this to the chain, or nothing.
    pub(crate) fn admit_saying(
        &self,
        transaction: &Transaction,
        meaning: Option<&Payload>,
        now_us: u64,
    ) -> Result<(), Fault> {
        let at = self.next("", now_us);
        if self.spec().is_imported(at.height) {
            let detail = "the record that this chain goes on from isn't complete";
            return Err(Fault::new(Reason::Operation, detail));
        }
        let accounts = Accounts::new(self.spec(), self.state(), at);
        accounts.with_gaps().check(transaction, meaning, &[])
    }

    /// Which of these transactions, that were in blocks which went, could be in the next ones in this order, by every rule but their signatures.
    /// `meanings` are what their payloads say to the chain. Each account is read once.
    pub(crate) fn admit_again(
        &self,
        transactions: &[Transaction],
        meanings: &[Option<Payload>],
        now_us: u64,
    ) -> Vec<bool> {
        let at = self.next("", now_us);
        if self.spec().is_imported(at.height) {
            return vec![false; transactions.len()];
        }
        let mut accounts = Accounts::new(self.spec(), self.state(), at).with_gaps();
        let admitted = transactions.iter().zip(meanings);
        admitted
            .map(|(one, meaning)| accounts.check(one, meaning.as_ref(), &[]).is_ok())
            .collect()
    }

    /// Whether others of its sender have to come before `transaction`, because its nonce leaves a gap where none may be. Then
    /// it can be in no block yet, and nothing is wrong with it.
    #[must_use]
    pub fn has_to_wait(&self, transaction: &Transaction) -> bool {
        let at = self.next("", self.state().timestamp());
        Accounts::new(self.spec(), self.state(), at).leaves_gap(transaction)
    }

    /// Those of `candidates` that the next block can hold together, made now by `producer`, as many as the chain's limits
    /// allow and in their order; and those that break a rule. Their signatures are not checked.
    ///
    /// One that finds no room behind those before it is passed over, and so are all that its sender has behind it: a
    /// later nonce in this block would make the earlier one invalid for ever. After some thousands of these it is enough. One
    /// whose nonce leaves a gap where none may be is passed over too: what belongs before it may still come.
    pub fn choose<'a>(
        &self,
        producer: &str,
        now_us: u64,
        candidates: impl Iterator<Item = &'a Transaction>,
    ) -> (Vec<Transaction>, Vec<Transaction>) {
        let at = self.next(producer, now_us);
        let limits = InForce::at(self.spec(), Some(self.state()), at.height).limits;
        let room_max = limits.body_bytes_max as usize;
        let mut accounts = Accounts::new(self.spec(), self.state(), at);
        let (mut chosen, mut refused, mut room) = (Vec::new(), Vec::new(), room_max);
        let (mut waiting, mut passed_over) = (HashSet::new(), 0);
        for transaction in candidates {
            let is_full = chosen.len() == limits.transactions_max as usize;
            if is_full || room < TRANSACTION_BYTES_MIN || passed_over == PASSED_OVER_MAX {
                break;
            }
            let length = transaction.bytes().len();
            // What no block has room for is left to the rules, which refuse it.
            let fits_later = length > room && length <= room_max;
            if fits_later || waiting.contains(transaction.sender()) {
                waiting.insert(transaction.sender());
                passed_over += 1;
            } else if accounts.leaves_gap(transaction) {
                // Not counted: such a transaction costs its sender nothing, and must not end the choosing.
                waiting.insert(transaction.sender());
            } else {
                let meaning = Payload::said_in(self.spec().at(at.height), transaction);
                match accounts.check(transaction, meaning.as_ref(), &chosen) {
                    Ok(()) => {
                        room -= length;
                        chosen.push(transaction.clone());
                    }
                    // Its sender's own block is still to come.
                    Err(fault)
                        if fault.reason == Reason::Reveal
                            && waits_for_its_block(transaction, meaning.as_ref(), producer) =>
                    {
                        waiting.insert(transaction.sender());
                        passed_over += 1;
                    }
                    Err(_) => refused.push(transaction.clone()),
                }
            }
        }
        (chosen, refused)
    }

    /// Where a transaction of the next block would be, if `producer` made it now.
    fn next<'a>(&self, producer: &'a str, now_us: u64) -> At<'a> {
        let state = self.state();
        At {
            height: state.height() + 1,
            timestamp: now_us.max(state.timestamp().saturating_add(1)),
            producer,
        }
    }
}
