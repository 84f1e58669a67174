//! The engine's threads, and the order in which they end.
//!
//! Invariant: a thread takes what comes until it is told to stop, also after a failure, and it is told only when nobody can
//! send to it any more. So nothing stays behind in a channel, and nobody waits for what it would have answered.

use hubledger_storage::Receipt;

use super::EngineError;
use super::message::Command;
use super::shared::Shared;
use super::sync::Arc;
use super::sync::thread::{self, JoinHandle};
use super::ticket::ticket;
use super::workers::Workers;
use crate::ledger::EncodedState;

/// Those that were started.
pub(super) struct Threads {
    /// Perhaps other engines' too.
    pub(super) workers: Arc<Workers>,
    pub(super) admission: Option<JoinHandle<()>>,
    pub(super) journal: Option<JoinHandle<()>>,
    pub(super) snapshot: Option<JoinHandle<()>>,
    pub(super) commit: Option<JoinHandle<()>>,
}

impl Threads {
    /// Whether the caller is one of them.
    pub(super) fn have_caller(&self) -> bool {
        let own = thread::current().id();
        let others = [&self.admission, &self.journal, &self.snapshot, &self.commit];
        let mut others = others.into_iter().flatten();
        self.workers.have_caller() || others.any(|thread| thread.thread().id() == own)
    }

    /// Ends them: takes nothing more in, finishes what is on its way, keeps the state, and makes everything durable.
    pub(super) fn stop(self, shared: &Shared) -> Result<Receipt, EngineError> {
        shared.close();
        // While all threads still run: what is on its way needs each of them to be answered.
        shared.wait_idle();
        let _ = shared.submissions.send(None);
        // One after the other, each behind those who send to it: admission feeds the workers, these hand out states and
        // commands, and encoded states go to the commit thread.
        join(self.admission);
        shared.lane.close();
        drop(self.workers);
        // Nothing enters the pool any more.
        shared.unwritten.finish();
        join(self.journal);
        let _ = shared.snapshots.send(None);
        join(self.snapshot);
        // Nothing is on its way, so this is the state after the last committed block; after a failure it may be of more.
        let state = (!shared.latch.is_set()).then(|| {
            let state = shared.lock_chain().validator().base(None);
            EncodedState::of(state)
        });
        let state = state.transpose().unwrap_or_else(|error| {
            shared.fail(error.into());
            None
        });
        let (answer, ticket) = ticket(&shared.latch);
        shared.send_commit(Command::Stop(state, answer));
        let receipt = ticket.wait();
        join(self.commit);
        let outcome = shared.latch.check().and(receipt);
        // Before anybody is woken: those who wait ask the latch why nothing more comes.
        shared.latch.set(EngineError::Stopped);
        shared.watermark.close();
        shared.subscribers.close();
        outcome
    }
}

/// Waits for threads to end. Whatever panics in one is caught there.
fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        let _ = thread.join();
    }
}
