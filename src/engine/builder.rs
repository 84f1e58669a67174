//! Opening an engine.

use std::time::Duration;

use hubledger_storage::{Durability, Store};

use super::branches::Branches;
use super::chain::Chain;
use super::channel::bounded;
use super::end::End;
use super::permits::Permits;
use super::pool_journal::PoolJournal;
use super::resources::new_verifier;
use super::settings::{PARCELS_MAX, Probe, SUBMISSIONS_MAX, Settings};
use super::shared::{Parts, Shared};
use super::snapshot::{self, STATES_MAX};
use super::sync::Arc;
use super::sync::thread::{self, JoinHandle};
use super::threads::Threads;
use super::workers::Workers;
use super::{Engine, EngineError, Resources, admission, commit};
use crate::clock::{self, Clock, SystemClock, SystemTimer, Timer};
use crate::consensus;
use crate::format::spec::ChainSpec;
use crate::ledger::archive::ArchiveWriter;
use crate::ledger::policy::PrunePolicy;
use crate::ledger::{ChainReader, Forks, Ledger, Scratch};
use crate::rules::Validator;

/// How an engine is to be opened.
pub struct EngineBuilder {
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    timer: Arc<dyn Timer>,
    retention: Option<(PrunePolicy, Option<ArchiveWriter>)>,
    pub(super) resources: Option<Resources>,
    /// For [`EngineBuilder::verify`].
    pub(super) scratch: Option<Scratch>,
}

impl Default for EngineBuilder {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            clock: Arc::new(SystemClock),
            timer: Arc::new(SystemTimer::default()),
            retention: None,
            resources: None,
            scratch: None,
        }
    }
}

impl EngineBuilder {
    /// Changes any of the settings.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Threads of the pool; 0 takes as many as the machine has cores.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        self.settings(|settings| settings.threads = threads)
    }

    /// What a commit waits for.
    #[must_use]
    pub fn durability(self, durability: Durability) -> Self {
        self.settings(|settings| settings.durability = durability)
    }

    /// Bytes of memory for blocks in flight.
    #[must_use]
    pub fn memory_bytes(self, bytes: u64) -> Self {
        self.settings(|settings| settings.memory_bytes = bytes)
    }

    /// How long the first transaction of an admission batch waits for others.
    #[must_use]
    pub fn admission_linger(self, linger: Duration) -> Self {
        self.settings(|settings| settings.admission_linger = linger)
    }

    /// Keeps the live chain to `policy`, such as a budget of bytes, into `archive` if one is given: see
    /// [`Ledger::keep_to`].
    #[must_use]
    pub fn keep_to(mut self, policy: PrunePolicy, archive: Option<ArchiveWriter>) -> Self {
        self.retention = Some((policy, archive));
        self
    }

    /// Where [`verify`](EngineBuilder::verify) puts what it works out of a state that takes up more than
    /// [`Settings::state_bytes`]: an empty store, made when it is needed, that nobody wants afterwards. Without it all of the state stays in memory.
    #[must_use]
    pub fn scratch(
        mut self,
        make: impl FnMut() -> hubledger_storage::Result<Store> + Send + 'static,
    ) -> Self {
        self.scratch = Some(Scratch::new(Box::new(make)));
        self
    }

    /// Called at each hand-off between stages.
    #[must_use]
    pub fn probe(self, probe: Probe) -> Self {
        self.settings(|settings| settings.probe = Some(probe))
    }

    /// The time by which blocks and transactions are judged; the system's at first.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The time by which admission closes its batches, and that the clock is held against when a block is
    /// [produced](Engine::produce); a monotonic one at first.
    #[must_use]
    pub fn timer(mut self, timer: Arc<dyn Timer>) -> Self {
        self.timer = timer;
        self
    }

    /// Opens the chain in `store`, and starts the threads.
    ///
    /// # Errors
    /// The store failed, holds no chain, or is damaged; a thread can't be started; no verifier can be set up.
    pub fn open(self, store: Store) -> Result<Engine, EngineError> {
        let state_bytes = self.settings.state_bytes;
        let ledger = Ledger::open_within(store, Arc::clone(&self.clock), state_bytes)?;
        self.start(ledger)
    }

    /// Starts the chain of `spec` in an empty store, or opens it in one that holds it.
    ///
    /// # Errors
    /// As [`EngineBuilder::open`]; the store holds another chain.
    pub fn create(self, store: Store, spec: &ChainSpec) -> Result<Engine, EngineError> {
        let ledger = Ledger::create(store, spec, Arc::clone(&self.clock))?;
        self.start(ledger)
    }

    pub(super) fn start(mut self, ledger: Ledger) -> Result<Engine, EngineError> {
        let (validator, mut committer, reader) = ledger.into_parts();
        committer.set_durability(self.settings.durability);
        if let Some((policy, archive)) = self.retention.take() {
            committer.keep_to(policy, archive)?;
        }
        let next = validator.state().height().saturating_add(1);
        let branches = match consensus::can_be_replaced(validator.spec(), next) {
            true => {
                let now_us = self.clock.now_us();
                let bounds = self.settings.fork_bounds;
                let Forks { tree, saved, .. } = Forks::open(&reader, &validator, bounds, now_us)?;
                committer.set_branches(saved);
                Some(Branches::new(tree))
            }
            false => None,
        };
        self.launch(
            validator,
            End::Commit(Box::new(committer)),
            reader,
            branches,
        )
    }

    /// Starts the threads: blocks that follow the validator's go through them to this end.
    pub(super) fn launch(
        self,
        validator: Validator,
        end: End,
        reader: ChainReader,
        branches: Option<Branches>,
    ) -> Result<Engine, EngineError> {
        // First: an injected clock that panics does so while there is nothing to be ended.
        let clocks = clock::Start::of(&*self.clock, &*self.timer);
        let mut settings = self.settings;
        // A budget of no bytes would count nobody, and a shutdown, which waits until it is all back, would pass by what is on
        // its way.
        settings.memory_bytes = settings.memory_bytes.max(1);
        settings.admission_bytes = settings.admission_bytes.max(1);
        let (workers, memory, verifier) = match self.resources {
            Some(shared) => {
                let memory = Permits::within(settings.memory_bytes, Arc::clone(&shared.memory));
                (shared.workers, memory, shared.verifier)
            }
            None => {
                let workers = Workers::start(settings.threads_to_start())?;
                let memory = Permits::new(settings.memory_bytes);
                (workers, memory, Arc::new(new_verifier()?))
            }
        };
        settings.threads = workers.count();
        let chain = validator.spec().id();
        let journal = settings.pool_journal.as_deref();
        let journal = journal.map(|path| PoolJournal::open(path, chain, &settings.pool_bounds()));
        let journal = journal.transpose()?;
        let followers = reader.followers()?;
        // Room for every parcel in flight and the few other messages at a time; the other two have one place more than can be
        // in use, for the word that nothing more comes. So nobody waits to send while something is locked.
        let (commands, next_command) = bounded(4 * PARCELS_MAX);
        let (snapshots, next_snapshot) = bounded(STATES_MAX + 1);
        let (submissions, next_submission) = bounded(SUBMISSIONS_MAX + 1);
        let shared = Arc::new(Shared::new(Parts {
            settings,
            verifier,
            chain: Chain::new(validator, reader.clone()),
            reader,
            followers,
            branches,
            clock: self.clock,
            timer: self.timer,
            memory,
            lane: workers.lane(),
            commands,
            snapshots,
            submissions,
        }));
        shared.lane.attach(&shared);
        let mut threads = Threads {
            workers,
            admission: None,
            journal: None,
            snapshot: None,
            commit: None,
        };
        let start_all = || {
            threads.commit = Some(start(&shared, "commit", move |shared| {
                commit::run(shared, end, &next_command);
            })?);
            threads.snapshot = Some(start(&shared, "snapshot", move |shared| {
                snapshot::encode(shared, &next_snapshot);
            })?);
            threads.admission = Some(start(&shared, "admit", move |shared| {
                admission::gather(shared, &next_submission);
            })?);
            // Last: it hands in what it has.
            if let Some(journal) = journal {
                threads.journal = Some(start(&shared, "journal", move |shared| {
                    journal.run(shared, &shared.unwritten);
                })?);
            }
            Ok(())
        };
        let started = start_all();
        // If not all could be started, dropping it ends the others.
        let engine = Engine::new(shared, threads, clocks);
        started.map(|()| engine)
    }
}

/// Starts a thread of the engine.
fn start(
    shared: &Arc<Shared>,
    name: &str,
    work: impl FnOnce(&Shared) + Send + 'static,
) -> Result<JoinHandle<()>, EngineError> {
    let shared = Arc::clone(shared);
    let thread = thread::Builder::new().name(format!("hubledger-{name}"));
    let started = thread.spawn(move || work(&shared));
    started.map_err(|error| EngineError::Threads(Arc::new(error)))
}
