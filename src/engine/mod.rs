//! The engine: one object that a hub embeds and that validates, commits, finds and proves, on threads of its own.
//!
//! ```
//! use hubledger::engine::{Engine, Outcome};
//! use hubledger::generate::{Generator, Recipe};
//! use hubledger_storage::StoreUrl;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut generator = Generator::new(Recipe { transactions: 200, per_block: 50, ..Recipe::default() })?;
//! let store = "memory:".parse::<StoreUrl>()?.create()?;
//! let engine = Engine::builder().threads(2).create(store, generator.spec())?;
//! let blocks = std::iter::from_fn(|| generator.next_block().ok()?).map(|block| block.encode().into());
//! for outcome in engine.import(blocks) {
//!     assert!(matches!(outcome?, Outcome::Committed { .. }));
//! }
//! assert_eq!(engine.head()?.height, 4);
//! engine.shutdown()?;
//! # Ok(())
//! # }
//! ```
//!
//! # The path of a block
//!
//! ```text
//! import ─▸ parcel ─▸ worker: decode ▸ hash ─┬─▸ chain: rules, in order ─┬─▸ commit thread ─▸ answers
//!           (room)                           └─▸ worker: signatures ─────┘    (groups)
//! ```
//!
//! A parcel is a few blocks of one caller. A worker takes it through everything that follows from its bytes and checks its
//! signatures in one batch, while they are in its cache; the rules run over it as soon as it is decoded and its turn has
//! come, by whichever worker brings the news. So there is no thread for a stage that could be the slow one, and two cores
//! work on two parcels. Committing has a thread of its own, because it waits for the disk.
//!
//! # What holds
//!
//! - The verdicts are those of the [sequential validator](crate::validate), whatever the threads, batch sizes and timing:
//!   what follows from bytes is computed apart, everything about the state in one order, and a verdict is given when the rules
//!   and the signatures of a block and of all blocks before it are known.
//! - Only [`ValidBlock`](crate::validate::ValidBlock)s reach the commit thread, and a block is acknowledged when its commit is.
//! - Nothing is unbounded: memory is granted before a parcel is taken in, and every channel has room for all parcels in
//!   flight, so that no stage waits for a later one, and nobody can be in a circle of those who wait.
//! - A stage that fails or panics stops the engine, and everybody who waits gets that as the error.
//!
//! # The modules
//!
//! | module | what it is |
//! |---|---|
//! | `settings`, `error`, `metrics` | how it is set up, why it failed, where the time goes |
//! | `import`, `admission`, `pool`, `verified` | blocks and transactions coming in, waiting, and known to be signed |
//! | `parcel`, `chain`, `worker`, `commit` | what goes through the stages, in which order, and by whom |
//! | `permits`, `ticket`, `turn`, `watermark`, `subscription` | the hand-written concurrency, each checked by itself |
//! | `shared` | what all threads share |

mod admission;
mod builder;
mod chain;
mod commit;
mod error;
mod import;
mod metrics;
mod parcel;
mod permits;
mod pool;
mod settings;
mod shared;
mod subscription;
mod sync;
mod ticket;
mod turn;
mod verified;
mod watermark;
mod worker;

use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use hubledger_storage::{Durability, PruneReceipt, Receipt};

use self::admission::Submission;
use self::commit::Command;
use self::parcel::Offered;
use self::shared::Shared;
use self::sync::{Arc, lock_std as lock};
use self::ticket::ticket;
use self::worker::Job;
use crate::digest::{BlockHash, TransactionId};
use crate::ledger::{ChainReader, LedgerError, Lookup};
use crate::model::{Block, Header, Transaction};
use crate::produce;
use crate::proof::{ExtensionProof, TransactionProof};
use crate::rejection::Reason;
use crate::signature::KeyPair;
use crate::spec::ChainSpec;

pub use self::admission::Admission;
pub use self::builder::EngineBuilder;
pub use self::error::EngineError;
pub use self::import::Import;
pub use self::metrics::{EngineMetrics, Histogram, Stage, StageMetrics};
pub use self::parcel::Outcome;
pub use self::settings::{Probe, Settings};
pub use self::subscription::{Event, Subscription};
pub use self::ticket::Ticket;

/// So often a block is produced anew when others came in between.
const PRODUCE_ATTEMPTS: usize = 8;

/// What a caller wants when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// To wait for it.
    Wait,
    /// To be told [`EngineError::Busy`].
    Refuse,
}

/// A chain at work: see the [module](self). Used from any number of threads; dropping it shuts it down.
pub struct Engine {
    shared: Arc<Shared>,
    threads: Mutex<Option<Threads>>,
    /// Held by whoever has a command on its way to the commit thread.
    commanding: Mutex<()>,
}

struct Threads {
    admission: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
    commit: JoinHandle<()>,
}

impl Engine {
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
        let permit = import::permit_for(&self.shared, &offered, when_full)?;
        let permit = permit.ok_or(EngineError::Busy)?;
        import::enqueue(&self.shared, &Arc::default(), offered, permit)
    }

    /// Submits a transaction for admission. The ticket's verdict is about the chain's state now: whether the transaction
    /// gets into a block is decided when one is made.
    ///
    /// # Errors
    /// [`EngineError::Busy`] if there is no room and the caller refuses to wait; the engine failed or was shut down.
    pub fn submit(
        &self,
        transaction: Transaction,
        when_full: WhenFull,
    ) -> Result<Ticket<Admission>, EngineError> {
        let shared = &self.shared;
        let since = Instant::now();
        shared.latch.check()?;
        let bytes = shared.settings.admission_memory_of(&transaction);
        let permit = match when_full {
            WhenFull::Wait => shared.admission_memory.acquire(bytes),
            WhenFull::Refuse => match shared.admission_memory.try_acquire(bytes) {
                None if !shared.admission_memory.is_closed() => return Err(EngineError::Busy),
                permit => permit,
            },
        };
        let permit = permit.ok_or_else(|| shared.latch.reason())?;
        let (answer, ticket) = ticket(&shared.latch);
        let submission = Submission {
            transaction,
            answer,
            since,
            _permit: permit,
        };
        let sent = shared.submissions.send(Some(submission));
        sent.map_err(|_| shared.latch.reason())?;
        Ok(ticket)
    }

    /// Makes the next block of the transactions that wait, seals it with `key`, and commits it. By fee, the highest first,
    /// each sender's in the order of their nonces, as many as the chain's limits allow. Transactions that have become
    /// invalid are dropped.
    ///
    /// # Errors
    /// [`EngineError::Produce`]: the key is no authority's, or the block is not valid (it is another's turn);
    /// [`EngineError::Busy`]: other blocks came in between again and again; the engine failed or was shut down.
    pub fn produce(&self, key: &KeyPair) -> Result<Outcome, EngineError> {
        let public = key.public_key();
        let authorities = self.shared.spec.authorities();
        let authority = authorities.iter().find(|authority| authority.key == public);
        let producer = authority
            .map(|authority| authority.name.as_str())
            .ok_or_else(|| EngineError::Produce(format!("{public} is no authority's key")))?;
        for _ in 0..PRODUCE_ATTEMPTS {
            let block = self.next_block(producer, key)?;
            let ticket = self.hand_in(vec![Offered::Decoded(Box::new(block))], WhenFull::Wait)?;
            match ticket.wait()?.pop() {
                Some(Outcome::Rejected(rejected)) => match rejected.reason {
                    Reason::Height | Reason::PreviousHash | Reason::Fork => {}
                    _ => return Err(EngineError::Produce(rejected.to_string())),
                },
                Some(outcome) => return Ok(outcome),
                None => return Err(self.shared.latch.reason()),
            }
        }
        Err(EngineError::Busy)
    }

    fn next_block(&self, producer: &str, key: &KeyPair) -> Result<Block, EngineError> {
        let chain = self.shared.lock_chain();
        let validator = chain.validator();
        let now_us = self.shared.clock.now_us();
        let mut pool = lock(&self.shared.pool);
        let (chosen, refused) = validator.choose(producer, now_us, pool.in_order());
        for transaction in &refused {
            pool.remove(transaction);
        }
        drop(pool);
        let (spec, state) = (validator.spec(), validator.state());
        Ok(produce::produce(
            spec, state, producer, key, &chosen, now_us,
        )?)
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
    /// the oldest and learns how many.
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

    /// Makes everything committed so far as durable as the store can.
    ///
    /// # Errors
    /// The store failed; the engine failed or was shut down.
    pub fn sync(&self) -> Result<Receipt, EngineError> {
        self.command(Command::Sync)
    }

    /// Removes the bodies of at most `limit` blocks below a height; headers, and with them proofs, stay.
    ///
    /// # Errors
    /// `below` is beyond the end; the store failed; the engine failed or was shut down.
    pub fn prune(&self, below: u64, limit: u64) -> Result<PruneReceipt, EngineError> {
        self.command(|answer| Command::Prune {
            below,
            limit,
            answer,
        })?
    }

    fn command<T>(
        &self,
        command: impl FnOnce(ticket::Promise<T>) -> Command,
    ) -> Result<T, EngineError> {
        // One at a time, so that the channel keeps room for every parcel.
        let _turn = lock(&self.commanding);
        self.shared.latch.check()?;
        let (answer, ticket) = ticket(&self.shared.latch);
        self.shared.send_commit(command(answer));
        ticket.wait()
    }

    /// Transactions of the chain, those of blocks on their way included.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.shared.lock_chain().validator().state().transactions()
    }

    /// What the engine did so far.
    #[must_use]
    pub fn metrics(&self) -> EngineMetrics {
        let shared = &self.shared;
        let (unsettled, ruled) = {
            let chain = shared.lock_chain();
            (chain.len() as u64, chain.ruled() as u64)
        };
        let queued = [
            shared.jobs.len() as u64,
            0,
            shared.urgent.len() as u64,
            unsettled - ruled,
            shared.commands.len() as u64,
        ];
        let mut metrics = shared.meters.snapshot(queued, shared.settings.threads);
        metrics.waiting_transactions = lock(&shared.pool).len() as u64;
        metrics.memory_used = shared.memory.used();
        metrics
    }

    /// Takes in no more, finishes what is on its way, keeps the state, makes everything durable, and ends the threads. Later
    /// calls that change something fail with [`EngineError::Stopped`]; reading goes on.
    ///
    /// # Errors
    /// Why the engine failed, if it did; the store failed now.
    pub fn shutdown(&self) -> Result<Receipt, EngineError> {
        let Some(threads) = lock(&self.threads).take() else {
            return Err(self.shared.latch.reason());
        };
        let shared = &self.shared;
        shared.memory.close();
        shared.admission_memory.close();
        let _ = shared.submissions.send(None);
        let _ = threads.admission.join();
        shared.memory.wait_idle();
        shared.admission_memory.wait_idle();
        for _ in &threads.workers {
            let _ = shared.jobs.send(Job::Stop);
        }
        for worker in threads.workers {
            let _ = worker.join();
        }
        let state =
            (!shared.latch.is_set()).then(|| shared.lock_chain().validator().state().encode());
        let (answer, ticket) = ticket(&shared.latch);
        shared.send_commit(Command::Stop(state, answer));
        let receipt = ticket.wait();
        let _ = threads.commit.join();
        let outcome = shared.latch.check().and(receipt);
        shared.latch.set(EngineError::Stopped);
        shared.watermark.close();
        shared.subscribers.close();
        outcome
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if lock(&self.threads).is_some()
            && let Err(error) = self.shutdown()
        {
            tracing::error!(%error, "the engine ended with an error");
        }
    }
}
