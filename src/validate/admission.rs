//! The same rules for transactions that are in no block yet: whether one could be in the next, and which of many go into it.

use super::transaction_rules::Accounts;
use super::{Fault, Validator};
use crate::digest::{BlockHash, Digest};
use crate::model::{BODY_BYTES_MAX, HeaderFields, Transaction, VectorClock};
use crate::rejection::Reason;

impl Validator {
    /// Whether `transaction` alone could be in a block made now, by every rule but its signatures. O(its length).
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn admit(&self, transaction: &Transaction, now_us: u64) -> Result<(), Fault> {
        let header = self.next_header("", now_us);
        if self.spec.is_imported(header.height) {
            let detail = "the record that this chain goes on from isn't complete";
            return Err(Fault::new(Reason::Operation, detail));
        }
        Accounts::new(&self.spec, &self.state, &header).check(transaction, &[])
    }

    /// Those of `candidates` that the next block can hold together, made now by `producer`, as many as the chain's limits
    /// allow and in their order; and those that break a rule. Their signatures are not checked.
    pub fn choose<'a>(
        &self,
        producer: &str,
        now_us: u64,
        candidates: impl Iterator<Item = &'a Transaction>,
    ) -> (Vec<Transaction>, Vec<Transaction>) {
        let header = self.next_header(producer, now_us);
        let limits = &self.spec.limits;
        let bytes_max = (limits.body_bytes_max as usize).min(BODY_BYTES_MAX);
        let mut accounts = Accounts::new(&self.spec, &self.state, &header);
        let (mut chosen, mut refused, mut bytes) = (Vec::new(), Vec::new(), 0);
        for transaction in candidates {
            let length = transaction.bytes().len();
            if chosen.len() == limits.transactions_max as usize || bytes + length > bytes_max {
                break;
            }
            if accounts.check(transaction, &chosen).is_ok() {
                bytes += length;
                chosen.push(transaction.clone());
            } else {
                refused.push(transaction.clone());
            }
        }
        (chosen, refused)
    }

    /// What the rules for transactions ask of a header.
    fn next_header(&self, producer: &str, now_us: u64) -> HeaderFields {
        let state = &self.state;
        HeaderFields {
            chain: self.spec.id(),
            height: state.height() + 1,
            previous_hash: BlockHash::ZERO,
            merkle_root: Digest::ZERO,
            history_root: Digest::ZERO,
            state_root: Digest::ZERO,
            transaction_count: 0,
            body_size: 0,
            vector_clock: VectorClock::empty(),
            timestamp: now_us.max(state.timestamp().saturating_add(1)),
            producer: producer.to_owned(),
            difficulty: 1,
            nonce: 0,
        }
    }
}
