//! The pool beside the chain: what enters it, what blocks tell it, and looking at it.
//!
//! Invariant: what the pool knows of an account is what settled blocks said last; or what the chain said when the first of its sender
//! entered, until those blocks are settled or taken back. It is told under the chain's lock, and [`Known`] says whether
//! it was since an account was read. The chain is locked before the pool, never the other way round.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Engine;
use super::chain::Chain;
use super::message::{Admission, Batch, JudgedBatch};
use super::metrics::tell_of_pool;
use super::permits::Permit;
use super::shared::Shared;
use super::sync::{MutexGuard, lock};
use super::ticket::Promise;
use crate::format::model::Transaction;
use crate::format::rejection::{Fault, Reason};
use crate::pool::{Bound, Entered, Left, Pool, SourceCount, Terms, WaitingTransaction};
use crate::rules::{ValidBlock, Validator};
use crate::state::Account;

/// The accounts of a batch's senders as the chain said at some moment.
pub(super) struct Known {
    accounts: Vec<Account>,
    /// How often the pool had been told of accounts by then.
    news: u64,
}

impl Known {
    /// Reads them. The chain is locked.
    pub(super) fn of(shared: &Shared, validator: &Validator, batch: &Batch) -> Self {
        let state = validator.state();
        let senders = batch
            .iter()
            .map(|submission| submission.transaction.sender());
        Self {
            accounts: senders.map(|sender| state.account(sender)).collect(),
            news: shared.pool_news.load(Ordering::Acquire),
        }
    }

    /// The pool, locked, and the accounts as it has to know them: read again if blocks have told of any since. A sender of whom nothing
    /// waited wasn't told of, and by what was known before, its transactions would wait behind a gap that isn't there.
    fn up_to_date<'a>(
        self,
        shared: &'a Shared,
        batch: &Batch,
    ) -> (MutexGuard<'a, Pool>, Vec<Account>) {
        let pool = lock(&shared.pool);
        if shared.pool_news.load(Ordering::Acquire) == self.news {
            return (pool, self.accounts);
        }
        drop(pool);
        let chain = shared.lock_chain();
        let again = Self::of(shared, chain.validator(), batch);
        // Before the chain is let go, so that nobody tells of anything in between.
        (lock(&shared.pool), again.accounts)
    }
}

/// What became of a batch, yet to be told.
pub(super) struct Verdicts {
    pub(super) answers: Vec<(Promise<Admission>, Instant, Admission)>,
    pub(super) permits: Vec<Permit>,
}

/// Lets what is good of a batch into the pool.
pub(super) fn enter(shared: &Shared, judged: JudgedBatch) -> Verdicts {
    let JudgedBatch {
        batch,
        faults,
        known,
        steady_us,
    } = judged;
    let mut answers = Vec::with_capacity(batch.len());
    let mut permits = Vec::with_capacity(batch.len());
    let (mut pool, accounts) = known.up_to_date(shared, &batch);
    pool.tell_age(steady_us);
    let is_journalled = shared.settings.pool_journal.is_some();
    let mut entered = Vec::new();
    for ((submission, fault), account) in batch.into_iter().zip(faults).zip(&accounts) {
        let transaction = submission.transaction;
        let admission = match fault {
            Some(fault) => Err(fault),
            None => {
                let (source, copy) = (submission.source, transaction.clone());
                let outcome = pool.enter(transaction, source, account, steady_us);
                match refusal(outcome, &copy) {
                    Some(fault) => Err(fault),
                    None => {
                        let id = copy.id();
                        entered.extend(is_journalled.then_some((source, copy)));
                        Ok(id)
                    }
                }
            }
        };
        answers.push((submission.answer, submission.since, admission));
        permits.push(submission.permit);
    }
    tell_of_pool(&pool);
    drop(pool);
    shared.unwritten.add(entered);
    Verdicts { answers, permits }
}

/// Why a transaction didn't enter; nothing if it waits now.
fn refusal(entered: Entered, transaction: &Transaction) -> Option<Fault> {
    let (id, sender) = (transaction.id(), transaction.sender());
    let (reason, detail) = match entered {
        Entered::Waits | Entered::Replaces => return None,
        Entered::Again => (Reason::Duplicate, format!("{id} waits for a block already")),
        Entered::Taken(wanted) => {
            let another = "another transaction of this sender waits with this nonce";
            let detail = match wanted {
                Some(fee) => format!("{another}, a fee of {fee} would replace it"),
                None => format!("{another}, no fee could replace it"),
            };
            (Reason::Nonce, detail)
        }
        Entered::Used => (
            Reason::Nonce,
            format!("a block that came meanwhile has used this nonce of {sender:?}"),
        ),
        Entered::Uncovered { balance, cost } => (
            Reason::Balance,
            format!("{sender:?} holds {balance}, with all of it that waits {cost} are due"),
        ),
        Entered::Full(bound) => {
            let detail = match bound {
                Bound::Sender => "too many transactions of this sender wait for a block",
                Bound::Source => "too many transactions from this source wait for a block",
                Bound::Pool => "too many transactions wait for a block",
            };
            (Reason::Limit, detail.to_owned())
        }
    };
    Some(Fault::new(reason, detail))
}

/// Tells the pool what valid blocks, and blocks that were taken back, have made of accounts. The chain is locked.
pub(super) fn tell(shared: &Shared, chain: &mut Chain, valid: &[ValidBlock]) {
    // Before anything else: whoever has read an account by now reads it again.
    shared.pool_news.fetch_add(1, Ordering::AcqRel);
    let taken_back = chain.take_taken_back();
    let state = chain.validator().state();
    let mut pool = lock(&shared.pool);
    pool.tell_terms(Terms::of(shared.spec.at(state.height() + 1)));
    if pool.is_empty() {
        return;
    }
    for block in valid {
        for (name, account) in block.accounts() {
            // A sender's transactions that are used up would fill the pool, and be refused in every block that is made.
            pool.tell_account(name, account);
        }
    }
    for name in &taken_back {
        pool.tell_account(name, &state.account(name));
    }
    if let Some(last) = valid.last() {
        let timestamp = last.block().header().timestamp;
        pool.tell_time(timestamp.saturating_add(1));
    }
    tell_of_pool(&pool);
}

/// The transactions that wait for a block, to be looked at. Each answer is about the moment at which it is asked for; admission waits
/// meanwhile.
#[derive(Clone, Copy)]
pub struct PoolView<'a> {
    shared: &'a Shared,
}

impl Engine {
    /// The transactions that wait for a block.
    #[must_use]
    pub fn pool(&self) -> PoolView<'_> {
        PoolView {
            shared: &self.shared,
        }
    }
}

impl PoolView<'_> {
    /// What waits of a sender, in the order of nonces, and what each waits for. O(its transactions).
    #[must_use]
    pub fn of_sender(&self, name: &str) -> Vec<WaitingTransaction> {
        lock(&self.shared.pool).of_sender(name)
    }

    /// Those that have waited longest, the oldest first, at most `count`.
    #[must_use]
    pub fn oldest(&self, count: usize) -> Vec<WaitingTransaction> {
        lock(&self.shared.pool).oldest(count)
    }

    /// How much waits of each source, the most first. O(sources).
    #[must_use]
    pub fn by_source(&self) -> Vec<SourceCount> {
        lock(&self.shared.pool).by_source()
    }

    /// How many wait, and bytes of them.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let pool = lock(&self.shared.pool);
        (pool.len(), pool.bytes())
    }

    /// Why the journal isn't up to date, if it was last written in vain: see [`Settings::pool_journal`](super::Settings::pool_journal). It is
    /// tried again with the next that enters.
    #[must_use]
    pub fn journal_failure(&self) -> Option<String> {
        self.shared.unwritten.failure()
    }

    /// How many wait no more, and why.
    #[must_use]
    pub fn left(&self) -> Left {
        lock(&self.shared.pool).left()
    }
}
