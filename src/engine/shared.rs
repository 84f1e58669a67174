//! What the engine's threads and its callers share.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use hubledger_storage::Durability;

use super::EngineError;
use super::bell::Bells;
use super::branches::Branches;
use super::chain::Chain;
use super::channel::Sender;
use super::error::{Latch, message_of};
use super::message::{Command, InOrder, Job, StateRequest, Submission};
use super::metrics::{Meters, Stage};
use super::parcel::Parcel;
use super::permits::Permits;
use super::pool_journal::Unwritten;
use super::recent::RecentBlocks;
use super::registry::Registry;
use super::replaced::ReplacedBlocks;
use super::settings::Settings;
use super::subscription::Subscribers;
use super::sync::{Arc, Mutex, MutexGuard, lock};
use super::turn::Turn;
use super::watermark::Watermark;
use super::workers::Lane;
use crate::clock::{Clock, Timer};
use crate::format::signature::Verifier;
use crate::format::spec::ChainSpec;
use crate::ledger::{ChainReader, Followers, Lookout, UNSAVED_SHARE};
use crate::pool::{Pool, Terms, Verified};
use crate::state::{EarlierState, InForce, PageSource};

pub(super) struct Shared {
    pub(super) spec: ChainSpec,
    pub(super) settings: Settings,
    pub(super) verifier: Arc<Verifier>,
    pub(super) reader: ChainReader,
    /// The time by which blocks are judged …
    pub(super) clock: Arc<dyn Clock>,
    /// … and the one by which batches of admission close.
    pub(super) timer: Arc<dyn Timer>,
    pub(super) latch: Arc<Latch>,
    pub(super) meters: Meters,
    pub(super) memory: Arc<Permits>,
    pub(super) admission_memory: Arc<Permits>,
    /// One permit, for whoever has a command on its way to the commit thread: so its channel keeps room for every parcel.
    pub(super) commanding: Arc<Permits>,
    pub(super) verified: Verified,
    pub(super) judged: Mutex<InOrder>,
    pub(super) pool: Mutex<Pool>,
    /// What entered the pool and isn't in its journal, where it has one.
    pub(super) unwritten: Unwritten,
    /// How often the pool was told of accounts. Written under the chain's lock.
    pub(super) pool_news: AtomicU64,
    /// Of those who make blocks by themselves.
    pub(super) bells: Bells,
    pub(super) watermark: Arc<Watermark>,
    /// The branches, where the chain can have some.
    pub(super) branches: Mutex<Option<Branches>>,
    /// What was seen of histories that can't be reconciled with this one.
    pub(super) lookout: Mutex<Lookout>,
    /// Never locked for long.
    pub(super) replaced: Arc<Mutex<ReplacedBlocks>>,
    /// Never locked for long.
    pub(super) recent: Arc<RecentBlocks>,
    pub(super) registry: Arc<Registry>,
    pub(super) subscribers: Subscribers,
    chain: Mutex<Chain>,
    pub(super) turn: Turn,
    /// Parcels without an answer.
    pub(super) parcels: AtomicUsize,
    pub(super) snapshot_is_due: AtomicBool,
    /// That a state was written down, until whoever rules takes it up.
    pub(super) written: Mutex<Option<Written>>,
    /// Bytes of the state's pages that changed since they were last written down, as far as writing might help: see
    /// [`Chain::unsaved_bytes`].
    pub(super) unsaved: AtomicU64,
    /// Those who wait for a copy of the state, each with a permit.
    pub(super) state_requests: Mutex<Vec<StateRequest>>,
    /// Whether one of them can be answered. Written while they are locked.
    pub(super) is_state_wanted: AtomicBool,
    pub(super) lane: Lane,
    pub(super) commands: Sender<Command>,
    /// States to be encoded; nothing means that no more will come.
    pub(super) snapshots: Sender<Option<EarlierState>>,
    /// Nothing means that no more will come.
    pub(super) submissions: Sender<Option<Submission>>,
}

/// That a state was to be written down, and what came of it.
pub(super) enum Written {
    /// Its pages can be read from there.
    Pages(Arc<dyn PageSource>),
    /// No other pages than before.
    Nothing,
}

/// What a [`Shared`] is made of, beside what follows from it.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) verifier: Arc<Verifier>,
    pub(super) chain: Chain,
    pub(super) reader: ChainReader,
    pub(super) followers: Followers,
    pub(super) branches: Option<Branches>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timer: Arc<dyn Timer>,
    pub(super) memory: Arc<Permits>,
    pub(super) lane: Lane,
    pub(super) commands: Sender<Command>,
    pub(super) snapshots: Sender<Option<EarlierState>>,
    pub(super) submissions: Sender<Option<Submission>>,
}

/// Once more of what may stay in memory than one part in so many is unsaved, nothing is ruled until it is written down. Meanwhile it is in memory
/// up to three times: as it changes, as it was, and in bytes.
const UNSAVED_MAX_SHARE: u64 = 2;

impl Shared {
    /// Whether so much of the state changed since it was last written down that it should be again.
    pub(super) fn has_much_unsaved(&self) -> bool {
        self.unsaved.load(Ordering::Relaxed) > self.settings.state_bytes / UNSAVED_SHARE
    }

    /// Whether it is as much as may be: nothing more is ruled until it is written down.
    pub(super) fn has_all_unsaved(&self) -> bool {
        self.unsaved.load(Ordering::Relaxed) > self.settings.state_bytes / UNSAVED_MAX_SHARE
    }

    /// The parameters in force in the next block. Not under the chain's lock, nor the pool's.
    pub(super) fn in_force(&self) -> InForce {
        let end = self.committed_end();
        match self.spec.at(end).terms.changeable.is_empty() {
            // Nobody waits for the chain to be told what can't change.
            true => InForce::at(&self.spec, None, end),
            false => self.lock_chain().in_force(),
        }
    }

    /// The timer's reading. One that panics stops the engine, for which any time will do. Not under a lock.
    pub(super) fn steady_us(&self) -> u64 {
        // The caller's timer is not asked again after it panicked.
        if self.latch.is_set() {
            return 0;
        }
        let told = catch_unwind(AssertUnwindSafe(|| self.timer.elapsed_us()));
        told.unwrap_or_else(|payload| {
            let message = message_of(payload);
            self.fail(EngineError::TimerPanicked { message });
            0
        })
    }

    pub(super) fn new(parts: Parts) -> Self {
        let settings = parts.settings;
        let mut replaced = ReplacedBlocks::default();
        if let Some(branches) = &parts.branches {
            // Of what is beside the chain, some may have been in it before the store was opened.
            replaced.note(branches.blocks());
        }
        let end = parts.chain.validator().state().height() + 1;
        let terms = Terms::of(parts.chain.validator().spec().at(end));
        Self {
            spec: parts.chain.validator().spec().clone(),
            verifier: parts.verifier,
            reader: parts.reader,
            clock: parts.clock,
            timer: parts.timer,
            latch: Arc::default(),
            meters: Meters::default(),
            memory: parts.memory,
            admission_memory: Permits::new(settings.admission_bytes),
            commanding: Permits::new(1),
            verified: Verified::new(settings.verified_transactions),
            judged: Mutex::new(InOrder::default()),
            pool: Mutex::new(Pool::new(settings.pool_bounds(), terms)),
            unwritten: Unwritten::default(),
            pool_news: AtomicU64::new(0),
            bells: Bells::default(),
            watermark: Arc::new(Watermark::new(end)),
            replaced: Arc::new(Mutex::new(replaced)),
            branches: Mutex::new(parts.branches),
            lookout: Mutex::default(),
            recent: Arc::default(),
            registry: Arc::new(Registry::new(parts.followers)),
            subscribers: Subscribers::default(),
            chain: Mutex::new(parts.chain),
            turn: Turn::default(),
            parcels: AtomicUsize::new(0),
            snapshot_is_due: AtomicBool::new(false),
            written: Mutex::default(),
            unsaved: AtomicU64::new(0),
            state_requests: Mutex::default(),
            is_state_wanted: AtomicBool::new(false),
            lane: parts.lane,
            commands: parts.commands,
            snapshots: parts.snapshots,
            submissions: parts.submissions,
            settings,
        }
    }

    pub(super) fn lock_chain(&self) -> MutexGuard<'_, Chain> {
        lock(&self.chain)
    }

    /// The end of the chain that no rejection takes back.
    pub(super) fn committed_end(&self) -> u64 {
        self.watermark.end(Durability::Memory)
    }

    /// Parcels without an answer.
    pub(super) fn in_flight(&self) -> usize {
        self.parcels.load(Ordering::Acquire)
    }

    /// Puts a parcel into the chain's order and in front of the workers.
    pub(super) fn enqueue(&self, parcel: Parcel) -> Result<(), EngineError> {
        self.enqueue_at(parcel, Chain::push)
    }

    /// The same, before all that weren't ruled.
    pub(super) fn enqueue_first(&self, parcel: Parcel) -> Result<(), EngineError> {
        self.enqueue_at(parcel, Chain::push_first)
    }

    fn enqueue_at(
        &self,
        parcel: Parcel,
        push: impl FnOnce(&mut Chain, Arc<Parcel>),
    ) -> Result<(), EngineError> {
        let parcel = Arc::new(parcel);
        {
            let mut chain = self.lock_chain();
            // Under the lock, so that either the failure finds the parcel or the parcel the failure.
            self.latch.check()?;
            push(&mut chain, Arc::clone(&parcel));
            self.parcels.fetch_add(1, Ordering::AcqRel);
            self.meters.queued(Stage::Validate, chain.len());
        }
        self.meters.queued(Stage::Decode, self.lane.len().0);
        self.lane.push(Job::Parcel(parcel));
        Ok(())
    }

    pub(super) fn send_commit(&self, command: Command) {
        self.meters.queued(Stage::Commit, self.commands.len());
        // Sending fails only when the thread has ended, and by then no answer is owed.
        let _ = self.commands.send(command);
    }

    /// Whether anybody waits for the state as it is when no block is ruled that isn't settled.
    pub(super) fn wants_state(&self) -> bool {
        self.snapshot_is_due.load(Ordering::Acquire) || self.is_state_wanted.load(Ordering::Acquire)
    }

    /// Calls the probe at a hand-off, and notes the stage that a panic from now on belongs to.
    pub(super) fn enter(&self, stage: Stage, at: &Cell<Stage>) {
        at.set(stage);
        self.probe(stage);
    }

    pub(super) fn probe(&self, stage: Stage) {
        if let Some(probe) = &self.settings.probe {
            probe(stage);
        }
    }

    /// Takes nothing more in: sends away everybody who waits to hand something in, or comes to.
    pub(super) fn close(&self) {
        for permits in [&self.memory, &self.admission_memory, &self.commanding] {
            permits.close();
        }
        self.bells.ring();
    }

    /// Waits, once closed, until all that was taken in is answered. Whoever hands something in takes a permit before it is
    /// sent anywhere, and the permit goes with it; so after this nobody is about to send anything either.
    pub(super) fn wait_idle(&self) {
        for permits in [&self.memory, &self.admission_memory, &self.commanding] {
            permits.wait_idle();
        }
    }

    /// Stops everything for a failure: everybody who waits learns of it. The threads go on, to drop what still comes. Called
    /// with nothing locked.
    pub(super) fn fail(&self, error: EngineError) {
        if self.latch.set(error.clone()) {
            // The reason is noted already: those who are woken by what follows ask for it.
            self.close();
            self.watermark.close();
            self.subscribers.close();
            // There is room for it, and a thread that has been told to stop keeps nothing for later.
            let _ = self.commands.try_send(Command::Failed);
            tracing::error!(%error, "the engine stops");
        }
        // Each is taken out under its lock and dropped outside: dropped promises run callers' wakers, which may call the engine.
        let parcels = self.lock_chain().clear();
        drop(parcels);
        let requests = std::mem::take(&mut *lock(&self.state_requests));
        drop(requests);
        let batches = lock(&self.judged).clear();
        drop(batches);
    }
}
