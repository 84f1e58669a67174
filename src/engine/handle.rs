//! The object that a hub embeds.

use std::sync::Mutex;

use bytes::Bytes;
use hubledger_storage::{Durability, Receipt};

use super::import::Feeding;
use super::message::{Command, Pruning};
use super::parcel::Offered;
use super::shared::Shared;
use super::sync::{Arc, lock, lock_std, thread};
use super::threads::Threads;
use super::ticket::{Promise, ticket};
use super::{
    Admission, EngineBuilder, EngineError, EngineMetrics, Import, Outcome, Subscription, Ticket,
    WhenFull, admission,
};
use crate::clock;
use crate::format::digest::{BlockHash, TransactionId};
use crate::format::model::{Block, Header, Transaction};
use crate::format::proof::{ExtensionProof, TransactionProof};
use crate::format::spec::ChainSpec;
use crate::ledger::archive::ArchiveWriter;
use crate::ledger::policy::PrunePolicy;
use crate::ledger::{ChainReader, LedgerError, Lookup, PruneReport};
use crate::pool::Source;
use crate::state::State;

/// A chain at work: see the [module](super). Used from any number of threads; dropping it shuts it down.
pub struct Engine {
    pub(super) shared: Arc<Shared>,
    threads: Mutex<Option<Threads>>,
    /// What the clocks read when the engine was opened.
    pub(super) clocks: clock::Start,
}

impl Engine {
    pub(super) fn new(shared: Arc<Shared>, threads: Threads, clocks: clock::Start) -> Self {
        Self {
            shared,
            threads: Mutex::new(Some(threads)),
            clocks,
        }
    }

    /// An engine that is yet to be opened.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Takes encoded blocks from `blocks`, as there is room, and gives their outcomes in order: each when its commit has
    /// reached the engine's durability. Ends after the first block that is rejected. Several imports may run at once.
    pub fn import<I>(&self, blocks: I) -> Import<'_, I::IntoIter>
    where
        I: IntoIterator<Item = Bytes>,
    {
        Import::new(&self.shared, blocks.into_iter())
    }

    /// The same of blocks in any form.
    pub(super) fn feed<I>(&self, blocks: I) -> Feeding<'_, I>
    where
        I: Iterator<Item = Offered>,
    {
        Feeding::new(&self.shared, blocks)
    }

    /// Hands in a few encoded blocks at once, to be waited for or awaited. They take their memory together, so that this
    /// is for what a peer just sent; [`Engine::import`] is for long chains.
    ///
    /// # Errors
    /// [`EngineError::Busy`] if there is no room and the caller refuses to wait; the engine failed or was shut down.
    pub fn offer(
        &self,
        blocks: Vec<Bytes>,
        when_full: WhenFull,
    ) -> Result<Ticket<Vec<Outcome>>, EngineError> {
        self.hand_in(
            blocks.into_iter().map(Offered::Encoded).collect(),
            when_full,
        )
    }

    fn hand_in(
        &self,
        offered: Vec<Offered>,
        when_full: WhenFull,
    ) -> Result<Ticket<Vec<Outcome>>, EngineError> {
        let permit = super::import::permit_for(&self.shared, &offered, when_full)?;
        let permit = permit.ok_or(EngineError::Busy)?;
        super::import::enqueue(&self.shared, &Arc::default(), offered, permit)
    }

    /// Submits a transaction for admission, of a source that isn't said: see [`Engine::submit_from`].
    ///
    /// # Errors
    /// As [`Engine::submit_from`].
    pub fn submit(
        &self,
        transaction: Transaction,
        when_full: WhenFull,
    ) -> Result<Ticket<Admission>, EngineError> {
        self.submit_from(Source::UNSAID, transaction, when_full)
    }

    /// Submits a transaction for admission, as it came from `source`: whatever a hub tells those who use it apart by, such as
    /// a connection's address. No source gets all the room that there is for waiting transactions, nor all of a block that others have
    /// something for, so that none can keep the others out. The ticket's verdict is about the chain's state now: whether the transaction
    /// gets into a block is decided when one is made.
    ///
    /// # Errors
    /// [`EngineError::Busy`] if there is no room and the caller refuses to wait; the engine failed or was shut down.
    pub fn submit_from(
        &self,
        source: Source,
        transaction: Transaction,
        when_full: WhenFull,
    ) -> Result<Ticket<Admission>, EngineError> {
        admission::submit(&self.shared, source, transaction, when_full)
    }

    /// The chain's specification.
    #[must_use]
    pub fn spec(&self) -> &ChainSpec {
        &self.shared.spec
    }

    /// Reads the committed chain, from any thread, also after the engine has gone.
    #[must_use]
    pub fn reader(&self) -> ChainReader {
        self.shared.reader.clone()
    }

    /// The committed transaction `id`.
    ///
    /// # Errors
    /// The store failed or is damaged.
    pub fn transaction(&self, id: &TransactionId) -> Result<Lookup, EngineError> {
        Ok(self.shared.reader.transaction(id)?)
    }

    /// The committed block at `height`.
    ///
    /// # Errors
    /// The store failed or is damaged; the body was pruned.
    pub fn block(&self, height: u64) -> Result<Option<Block>, EngineError> {
        Ok(self.shared.reader.block(height)?)
    }

    /// The header of the last committed block.
    ///
    /// # Errors
    /// The store failed or is damaged.
    pub fn head(&self) -> Result<Header, EngineError> {
        Ok(self.shared.reader.head()?)
    }

    /// Proves that the transaction `id` is in the chain that ends in `head` (the last block if `None`).
    ///
    /// # Errors
    /// As [`ChainReader::prove`]; an unknown, pruned or not yet indexed transaction.
    pub fn prove(
        &self,
        id: &TransactionId,
        head: Option<&BlockHash>,
    ) -> Result<TransactionProof, EngineError> {
        let reader = &self.shared.reader;
        let placed = match reader.transaction(id)? {
            Lookup::Found(placed) => placed,
            Lookup::Pruned { height, .. } => return Err(LedgerError::Pruned(height).into()),
            Lookup::Forgotten { below } => return Err(LedgerError::Forgotten(below).into()),
            Lookup::NotIndexed { watermark } => {
                return Err(LedgerError::NotIndexed(watermark).into());
            }
            Lookup::Absent => return Err(LedgerError::UnknownTransaction(id.to_string()).into()),
        };
        Ok(reader.prove(placed.height, placed.index, head)?)
    }

    /// Proves that the chain that ends in `new` (the last block if `None`) extends the one that ends in `old`.
    ///
    /// # Errors
    /// As [`ChainReader::prove_extends`].
    pub fn prove_extends(
        &self,
        old: &BlockHash,
        new: Option<&BlockHash>,
    ) -> Result<ExtensionProof, EngineError> {
        Ok(self.shared.reader.prove_extends(old, new)?)
    }

    /// Follows what happens from now on. At most `capacity` events (at least 1) wait for the subscriber; who is slower loses
    /// the oldest and learns how many. For whoever must not lose any there is [`Engine::follow`].
    #[must_use]
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        self.shared.subscribers.add(capacity)
    }

    /// The end of the chain at a level of durability: every block below has reached it.
    #[must_use]
    pub fn committed(&self, durability: Durability) -> u64 {
        self.shared.watermark.end(durability)
    }

    /// Waits until the block at `height` has reached a level of durability. May wait for ever for a block that nobody
    /// hands in, or a level that the engine doesn't commit at unless [`Engine::sync`] is called.
    ///
    /// # Errors
    /// The engine failed or was shut down before.
    pub fn wait_committed(&self, height: u64, durability: Durability) -> Result<(), EngineError> {
        match self.shared.watermark.wait(height, durability) {
            true => Ok(()),
            false => Err(self.shared.latch.reason()),
        }
    }

    /// Makes everything committed so far as durable as the store can, and what registered followers have finished.
    ///
    /// # Errors
    /// The store failed; the engine failed or was shut down.
    pub fn sync(&self) -> Result<Receipt, EngineError> {
        self.command(Command::Sync)
    }

    /// Removes what `policy` doesn't keep, into `archive` first if one is given, and waits for it: see
    /// [`Ledger::prune`](crate::ledger::Ledger::prune). Commits wait meanwhile; readers don't.
    ///
    /// # Errors
    /// As [`Ledger::prune`](crate::ledger::Ledger::prune); the engine failed or was shut down.
    pub fn prune(
        &self,
        policy: PrunePolicy,
        archive: Option<ArchiveWriter>,
    ) -> Result<PruneReport, EngineError> {
        self.command(|answer| {
            Command::Prune(Box::new(Pruning {
                policy,
                archive,
                committed: 0,
                answer,
            }))
        })?
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn command<T>(
        &self,
        command: impl FnOnce(Promise<T>) -> Command,
    ) -> Result<T, EngineError> {
        self.shared.latch.check()?;
        let permit = self.shared.commanding.acquire(1);
        // Held until the answer is there: a shutdown waits for it, so no command is sent to a thread that has ended.
        let _permit = permit.ok_or_else(|| self.shared.latch.reason())?;
        let (answer, ticket) = ticket(&self.shared.latch);
        self.shared.send_commit(command(answer));
        ticket.wait()
    }

    /// Transactions of the chain, those of blocks on their way included.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.shared
            .lock_chain()
            .validator()
            .state()
            .transaction_count()
    }

    /// The state after the last block that no rule refuses: once nothing is on its way, after the last committed one. A copy
    /// that shares what it can, so that it costs microseconds.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.lock_chain().validator().state().clone()
    }

    /// What the engine did so far.
    #[must_use]
    pub fn metrics(&self) -> EngineMetrics {
        let shared = &self.shared;
        let (unsettled, ruled) = {
            let chain = shared.lock_chain();
            (chain.len() as u64, chain.ruled() as u64)
        };
        let (jobs, urgent) = shared.lane.len();
        let queued = [
            jobs as u64,
            0,
            urgent as u64,
            unsettled - ruled,
            shared.commands.len() as u64,
        ];
        let mut metrics = shared.meters.snapshot(queued, shared.settings.threads);
        metrics.take_pool(&lock(&shared.pool));
        metrics.memory_used = shared.memory.used();
        metrics.alarms = lock(&shared.lookout).raised();
        metrics
    }

    /// Takes in no more, finishes what is on its way, keeps the state, makes everything durable, and ends the threads. Later
    /// calls that change something fail with [`EngineError::Stopped`], and so do those that come meanwhile; reading goes on.
    ///
    /// A thread of the engine, in which a [`Waker`](std::task::Waker) or a [`Clock`](crate::clock::Clock) of the caller's is
    /// called, can't wait for its own end: there this only begins it, and gives [`EngineError::Stopped`].
    ///
    /// # Errors
    /// Why the engine failed, if it did; the store failed now; another call has shut it down or is about to.
    pub fn shutdown(&self) -> Result<Receipt, EngineError> {
        // Taken by the first caller: a second word to stop would reach a thread that has ended, and never be answered.
        let Some(threads) = lock_std(&self.threads).take() else {
            return Err(self.shared.latch.reason());
        };
        if !threads.have_caller() {
            return threads.stop(&self.shared);
        }
        // Handed over through a cell: if no thread can be started, the threads are still there to be ended by a later call.
        let handed = Arc::new(Mutex::new(Some(threads)));
        let (shared, taken) = (Arc::clone(&self.shared), Arc::clone(&handed));
        let ending = thread::Builder::new().name("hubledger-end".to_owned());
        let ending = ending.spawn(move || {
            let threads = lock_std(&taken).take();
            if let Some(threads) = threads {
                note(threads.stop(&shared));
            }
        });
        if let Err(error) = ending {
            *lock_std(&self.threads) = lock_std(&handed).take();
            return Err(EngineError::Threads(Arc::new(error)));
        }
        Err(EngineError::Stopped)
    }
}

/// Notes an end that nobody waits for.
fn note(ended: Result<Receipt, EngineError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the engine ended with an error");
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if lock_std(&self.threads).is_some() {
            match self.shutdown() {
                Err(EngineError::Stopped) => {}
                ended => note(ended),
            }
        }
    }
}
