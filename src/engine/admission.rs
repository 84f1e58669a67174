//! Admission: transactions come one at a time from many threads, and are judged in batches, since a signature among hundreds
//! costs a fraction of one alone. What is admitted waits in the pool for a block, and is remembered as verified.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::channel::{Receiver, RecvTimeoutError};
use super::message::{Admission, Batch, Job, JudgedBatch, Submission};
use super::metrics::{Load, Stage};
use super::pool::{self, Known, Verdicts};
use super::shared::Shared;
use super::sync::lock;
use super::ticket::ticket;
use super::{EngineError, Ticket, WhenFull};
use crate::format::model::Transaction;
use crate::format::payload::Payload;
use crate::format::rejection::Fault;
use crate::pool::Source;
use crate::rules::{Claims, FaultAt};

/// How long the thread sleeps at most while a batch is open, since the injected time may pass at any speed.
const GLANCE: Duration = Duration::from_micros(250);

/// When a batch closes: by size, or when its first item has waited long enough. Pure: time comes in as an argument.
#[derive(Debug)]
struct Batcher<T> {
    open: Vec<T>,
    opened_us: u64,
    size: usize,
    linger_us: u64,
}

impl<T> Batcher<T> {
    fn new(size: usize, linger: Duration) -> Self {
        Self {
            open: Vec::new(),
            opened_us: 0,
            size: size.max(1),
            linger_us: u64::try_from(linger.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// Adds an item; gives the batch if it is full now.
    fn push(&mut self, item: T, now_us: u64) -> Option<Vec<T>> {
        if self.open.is_empty() {
            self.opened_us = now_us;
        }
        self.open.push(item);
        (self.open.len() >= self.size).then(|| std::mem::take(&mut self.open))
    }

    /// Microseconds until the open batch is due; `None` if there is none.
    fn due_in_us(&self, now_us: u64) -> Option<u64> {
        let due = self.opened_us.saturating_add(self.linger_us);
        (!self.open.is_empty()).then(|| due.saturating_sub(now_us))
    }

    /// Gives the batch if it is due.
    fn close_if_due(&mut self, now_us: u64) -> Option<Vec<T>> {
        (self.due_in_us(now_us) == Some(0)).then(|| std::mem::take(&mut self.open))
    }
}

/// Hands a transaction in: see [`Engine::submit_from`](super::Engine::submit_from).
pub(super) fn submit(
    shared: &Shared,
    source: Source,
    transaction: Transaction,
    when_full: WhenFull,
) -> Result<Ticket<Admission>, EngineError> {
    let since = Instant::now();
    shared.latch.check()?;
    let bytes = shared.settings.admission_memory_of(&transaction);
    let permit = match when_full {
        WhenFull::Wait => shared.admission_memory.acquire(bytes),
        WhenFull::Refuse => match shared.admission_memory.try_acquire(bytes) {
            // A closed budget refuses too, and that is no lack of room.
            None if !shared.admission_memory.is_closed() => return Err(EngineError::Busy),
            permit => permit,
        },
    };
    let permit = permit.ok_or_else(|| shared.latch.reason())?;
    // The permit goes with the submission: a shutdown that closes the budget from here on waits for its answer.
    let (answer, ticket) = ticket(&shared.latch);
    let submission = Submission {
        transaction,
        source,
        answer,
        since,
        permit,
    };
    let sent = shared.submissions.send(Some(submission));
    sent.map_err(|_| shared.latch.reason())?;
    Ok(ticket)
}

/// Gathers submissions until it is told that no more will come. Once the budget is closed, nobody waits for others.
pub(super) fn gather(shared: &Shared, submissions: &Receiver<Option<Submission>>) {
    let settings = &shared.settings;
    let mut batcher = Batcher::new(settings.admission_batch, settings.admission_linger);
    let mut number = 0;
    loop {
        let received = match batcher.due_in_us(shared.steady_us()) {
            None => submissions
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => submissions.recv_timeout(Duration::from_micros(due).min(GLANCE)),
        };
        let now_us = shared.steady_us();
        let is_over = matches!(received, Ok(None) | Err(RecvTimeoutError::Disconnected));
        let is_closed = received.is_err() && shared.admission_memory.is_closed();
        let full = match received {
            Ok(Some(submission)) => batcher.push(submission, now_us),
            _ => None,
        };
        let batch = match full {
            Some(batch) => Some(batch),
            // A closed budget lets nobody fill the batch any more, and a shutdown waits until its members are answered.
            None if is_over || is_closed => Some(std::mem::take(&mut batcher.open)),
            None => batcher.close_if_due(now_us),
        };
        if let Some(batch) = batch
            && !batch.is_empty()
        {
            // Never full: those who submitted hold permits, which bound how many batches there can be.
            shared.lane.push_urgent(Job::Admission(number, batch));
            number += 1;
        }
        if is_over {
            return;
        }
    }
}

/// Judges the batch of a number: every rule first, signatures last.
pub(super) fn judge(shared: &Shared, number: u64, batch: &mut Batch, stage: &Cell<Stage>) {
    shared.enter(Stage::Validate, stage);
    let started = Instant::now();
    let (now_us, steady_us) = (shared.clock.now_us(), shared.steady_us());
    // Before the chain is locked: a payload may have keys to check. If another specification comes into force meanwhile, the block that takes the
    // transaction is judged by that.
    let spec = shared.spec.at(shared.committed_end());
    let meaning = |submission: &Submission| Payload::said_in(spec, &submission.transaction);
    let meanings: Vec<Option<Payload>> = batch.iter().map(meaning).collect();
    let (mut faults, known) = {
        let chain = shared.lock_chain();
        let validator = chain.validator();
        let admit = |(submission, meaning): (&Submission, &Option<Payload>)| {
            let transaction = &submission.transaction;
            let admitted = validator.admit_saying(transaction, meaning.as_ref(), now_us);
            admitted.err()
        };
        let faults: Vec<Option<Fault>> = batch.iter().zip(&meanings).map(admit).collect();
        (faults, Known::of(shared, validator, batch))
    };
    let load = Load {
        transactions: batch.len() as u64,
        ..Load::default()
    };
    shared.meters.stage(Stage::Validate, started, load);

    shared.enter(Stage::Signatures, stage);
    let started = Instant::now();
    let mut claims = Claims::default();
    for (index, submission) in (0u32..).zip(batch.iter()) {
        if faults[index as usize].is_none() {
            let at = FaultAt::Transaction(0);
            claims.add_transaction(index, at, &submission.transaction);
            if let Some(payload) = &meanings[index as usize] {
                claims.add_payload(index, at, payload);
            }
        }
    }
    let count = claims.len();
    if count > 0 {
        let _span = tracing::debug_span!("admission", count).entered();
        shared.meters.signature_batch(count);
        // Outside of the chain's lock: checking signatures takes longer than everything else here.
        for (index, signatures) in claims.verify(0..count, &shared.verifier) {
            faults[index as usize] = signatures.into_fault();
        }
    }
    let load = Load {
        transactions: count as u64,
        ..Load::default()
    };
    shared.meters.stage(Stage::Signatures, started, load);
    let judged = batch.iter().zip(&faults);
    let good: Vec<&Transaction> = judged
        .filter(|(_, fault)| fault.is_none())
        .map(|(submission, _)| &submission.transaction)
        .collect();
    let leaves = Transaction::leaf_hashes(&good);
    shared.verified.insert(leaves.into_iter());
    let mut in_order = lock(&shared.judged);
    let judged = JudgedBatch {
        batch: std::mem::take(batch),
        faults,
        known,
        steady_us,
    };
    in_order.judged.insert(number, judged);
    let mut entered = Vec::new();
    while let Some(judged) = {
        let next = in_order.next;
        in_order.judged.remove(&next)
    } {
        in_order.next += 1;
        entered.push(pool::enter(shared, judged));
    }
    // A batch that panicked leaves a gap, behind which these would wait for ever. Asked under the lock: a failure that
    // comes later clears the batches itself.
    let lost = shared.latch.is_set().then(|| in_order.clear());
    drop(in_order);
    drop(lost);
    // With nothing locked: an answer may run a caller's waker.
    for judged in entered {
        answer(shared, judged);
    }
    shared.bells.ring();
}

fn answer(shared: &Shared, judged: Verdicts) {
    // Before the answers: a caller that has its answer finds room for its next transaction.
    shared.admission_memory.take_back(judged.permits);
    let answers = judged.answers;
    let latencies = answers.iter().map(|(_, since, _)| since.elapsed());
    shared.meters.admission(latencies);
    for (answer, _, admission) in answers {
        answer.fulfil(admission);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_closes_by_size_or_by_the_wait_of_its_first() {
        let mut batcher = Batcher::new(3, Duration::from_micros(100));
        assert_eq!(batcher.due_in_us(1_000), None);
        assert_eq!(batcher.push('a', 1_000), None);
        assert_eq!(batcher.push('b', 1_090), None);
        assert_eq!(batcher.due_in_us(1_090), Some(10), "counted from the first");
        assert_eq!(batcher.close_if_due(1_099), None);
        assert_eq!(batcher.close_if_due(1_100), Some(vec!['a', 'b']));
        assert_eq!(batcher.close_if_due(9_000), None, "nothing is open");
        assert_eq!(batcher.push('c', 9_000), None);
        assert_eq!(batcher.push('d', 9_000), None);
        assert_eq!(batcher.push('e', 9_000), Some(vec!['c', 'd', 'e']));
        assert_eq!(batcher.due_in_us(9_000), None);
    }
}
