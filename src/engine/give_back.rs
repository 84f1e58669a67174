//! Transactions of blocks that another branch took the place of go back into the pool: in batches, and without their signatures being checked, which
//! was done when those blocks came.

use super::metrics::tell_of_pool;
use super::shared::Shared;
use super::sync::lock;
use crate::format::model::{Block, Transaction};
use crate::format::payload::Payload;
use crate::pool::{Entered, Source};

/// Both clocks' readings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// By which transactions are judged.
    pub(super) day_us: u64,
    /// By which they age in the pool.
    pub(super) steady_us: u64,
}

/// Lets what is still valid of these blocks wait again, as far as there is room, in the order in which it was in the chain: the earlier nonce of a sender
/// first.
pub(super) fn give_back(shared: &Shared, replaced: &[Block], now: Now) {
    // The chain and the pool are locked for a batch at a time, as long as admission does.
    let batch = shared.settings.admission_batch.max(1);
    for block in replaced {
        for transactions in block.transactions().chunks(batch) {
            give_back_batch(shared, transactions, now);
        }
    }
    if !replaced.is_empty() {
        shared.bells.ring();
    }
}

fn give_back_batch(shared: &Shared, transactions: &[Transaction], now: Now) {
    // Before the chain is locked: a payload may have keys to check.
    let spec = shared.spec.at(shared.committed_end());
    let meanings = transactions.iter().map(|one| Payload::said_in(spec, one));
    let meanings: Vec<Option<Payload>> = meanings.collect();
    let is_journalled = shared.settings.pool_journal.is_some();
    let (mut entered, mut unwritten) = (Vec::new(), Vec::new());
    let chain = shared.lock_chain();
    let validator = chain.validator();
    let mut pool = lock(&shared.pool);
    pool.tell_age(now.steady_us);
    let admitted = validator.admit_again(transactions, &meanings, now.day_us);
    let admitted = transactions
        .iter()
        .zip(admitted)
        .filter(|(_, is_admitted)| *is_admitted);
    for (transaction, _) in admitted {
        let account = validator.state().account(transaction.sender());
        // A copy: else one that waits would keep the whole block in memory.
        let copy = transaction.copied();
        let outcome = pool.enter(copy.clone(), Source::UNSAID, &account, now.steady_us);
        if matches!(outcome, Entered::Waits | Entered::Replaces) {
            unwritten.extend(is_journalled.then_some((Source::UNSAID, copy)));
            entered.push(transaction);
        }
    }
    tell_of_pool(&pool);
    drop(pool);
    drop(chain);
    let leaves = Transaction::leaf_hashes(&entered);
    shared.verified.insert(leaves.into_iter());
    shared.unwritten.add(unwritten);
}
