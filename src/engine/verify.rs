//! Going through a store again, by the same stages as an import: the caller's thread reads, workers decode, hash and check
//! signatures, the rules run in order, and where an import commits the index is compared. Where the state before a block is
//! not known the ledger's [`Walk`] says what can be said, on as many threads.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;

use hubledger_storage::BlockReader;

use super::end::End;
use super::parcel::{Committed, Offered};
use super::sync::Arc;
use super::{Engine, EngineBuilder, EngineError, Outcome};
use crate::clock::FixedClock;
use crate::format::model::Header;
use crate::ledger::step::BlockProgress;
use crate::ledger::{ChainReader, Checker, Findings, LedgerError, StoreReport, Stretch, Walk};
use crate::rules::Validator;

/// Checks every block of the chain in `store` again, signatures and seals included, then that the index finds each
/// transaction where it is and that the state snapshot is what the blocks give, on all cores. `now_us` is the machine's time.
/// Of a store that was pruned everything that is there is checked as far as it can be, see [`StoreReport`].
///
/// # Errors
/// As [`EngineBuilder::verify`].
pub fn verify_store(
    store: Arc<dyn BlockReader>,
    now_us: u64,
    progress: &mut BlockProgress<'_>,
) -> Result<StoreReport, LedgerError> {
    let builder = Engine::builder().clock(Arc::new(FixedClock(now_us)));
    builder.verify(store, progress)
}

/// Of the memory for blocks in flight no more than this for each thread is used: nothing here waits for a disk's pleasure, so
/// that a few parcels keep everybody at work.
const THREAD_BYTES_MAX: u64 = 6 << 20;
/// Parcels are no larger than this, or a block.
const PARCEL_BYTES_MAX: usize = 256 << 10;

impl EngineBuilder {
    /// The same as [`verify_store`], with the threads and the memory of this builder, whose clock is read once. The verdict
    /// is that of the sequential validator, whatever they are. Nothing is written but to a [scratch](EngineBuilder::scratch), and how to commit
    /// and prune is of no interest. `progress` is called in this thread after every block, in order. O(bytes of the chain).
    ///
    /// If no number of threads is asked for, there is one more than the machine has cores. Of the memory no more than 6 MiB
    /// for each thread and one more are used, or a block.
    ///
    /// # Errors
    /// The store failed or is damaged (which is not the same as holding an invalid block, see
    /// [`StoreReport::rejected`]): [`LedgerError::Unreadable`] lists all that can't be read, after the rest was checked;
    /// [`LedgerError::Stopped`] if `progress` stopped it; [`LedgerError::Threads`] if no thread can be started, or one panicked.
    pub fn verify(
        mut self,
        store: Arc<dyn BlockReader>,
        progress: &mut BlockProgress<'_>,
    ) -> Result<StoreReport, LedgerError> {
        let asked = self.settings.threads;
        self.settings.threads = self.settings.threads_to_start();
        if asked == 0 {
            // The last thread works as much as others here, and they wait for each other now and then: one more keeps each
            // core at work.
            self.settings.threads += 1;
        }
        let busy = self.settings.threads as u64 + 1;
        let memory_bytes = &mut self.settings.memory_bytes;
        *memory_bytes = (*memory_bytes).min(THREAD_BYTES_MAX * busy);
        // Nobody shares a commit here: a parcel is looked at as soon as it is valid, and smaller ones keep all at work.
        self.settings.parcel_bytes = self.settings.parcel_bytes.min(PARCEL_BYTES_MAX);
        self.settings.group_bytes = 1;
        // Nothing is admitted here, so there is nothing to remember of it.
        self.settings.verified_transactions = 0;
        self.clock = Arc::new(FixedClock(self.clock.now_us()));
        let chain = ChainReader::open(store)?;
        let mut walk = Walk::begin(&chain)?;
        while let Some(stretch) = walk.stretch() {
            match stretch {
                Stretch::Rules(validator) => self.by_rules(&mut walk, *validator, progress)?,
                Stretch::Parts => walk.parts(self.settings.threads, progress)?,
            }
        }
        walk.report()
    }

    /// Checks blocks whose state before is known, up to the first that can't be read or isn't valid.
    fn by_rules(
        &mut self,
        walk: &mut Walk<'_>,
        validator: Validator,
        progress: &mut BlockProgress<'_>,
    ) -> Result<(), LedgerError> {
        let chain = walk.chain();
        let found = Findings::after(walk.take_losses());
        let mut builder = Self::default().clock(Arc::clone(&self.clock));
        builder.settings = self.settings.clone();
        // From genesis on all of the state is made here. A stored one is read from where it is, and only what changes since is in memory.
        let scratch = self.scratch.take_if(|_| validator.state().height() == 0);
        if scratch.is_none() {
            // Nothing is written then, so that all that changes stays in memory: nobody may wait for it to be written down.
            builder.settings.state_bytes = u64::MAX;
        }
        let checker = Checker::new(chain.clone(), Arc::clone(&found), scratch);
        let end = End::Check(Box::new(checker));
        let engine = builder.launch(validator, end, chain.clone(), None);
        let engine = engine.map_err(threads_failed)?;
        let mut unreadable = None;
        loop {
            // The pipeline runs empty at a halt: only then is the engine's state that of one known block.
            let halt = walk.halt();
            let stored = Stored::new(chain, walk.next()..halt);
            let mut rejected = None;
            for outcome in engine.feed(std::iter::from_fn(|| stored.next())) {
                match outcome.map_err(threads_failed)? {
                    Outcome::Rejected(verdict) => rejected = Some(verdict),
                    // A stored block has the height that it was read at, so that none is one that the chain has passed.
                    Outcome::Held { height } => {
                        return Err(LedgerError::Damaged {
                            record: "block",
                            height,
                            problem: "was there before".to_owned(),
                        });
                    }
                    Outcome::Committed(Committed { height, .. }) => {
                        if height + 1 == halt {
                            // Everything up to here is settled, and nothing else is on its way.
                            walk.compare_state(&engine.state())?;
                        }
                        if let Some(error) = Findings::take_error(&found, height) {
                            return Err(error);
                        }
                        if let Some(header) = stored.pass() {
                            walk.accept(header, progress)?;
                        }
                    }
                }
            }
            if let Some(verdict) = rejected {
                // What is refused may be what can't be read.
                match chain.block(walk.next()) {
                    Ok(_) => walk.reject(verdict),
                    Err(error) => unreadable = Some(error),
                }
                break;
            }
            unreadable = stored.into_error();
            if unreadable.is_some() || halt == walk.end() {
                break;
            }
        }
        // All that was valid is answered, so that all of it was looked up.
        walk.put_losses(Findings::take_losses(&found));
        drop(engine);
        match unreadable {
            Some(error) => walk.unreadable(error, progress),
            None => Ok(()),
        }
    }
}

/// Why a pipeline that writes nothing failed.
fn threads_failed(error: EngineError) -> LedgerError {
    match error {
        EngineError::Ledger(cause) => match Arc::try_unwrap(cause) {
            Ok(error) => error,
            Err(shared) => LedgerError::Threads(shared.to_string()),
        },
        error => LedgerError::Threads(error.to_string()),
    }
}

/// Blocks as they lie in a store, with their headers kept until their outcomes come. Ends before the first that
/// can't be read.
pub(super) struct Stored<'a> {
    chain: &'a ChainReader,
    inner: RefCell<Inner>,
}

struct Inner {
    heights: Range<u64>,
    headers: VecDeque<Header>,
    error: Option<LedgerError>,
}

impl<'a> Stored<'a> {
    pub(super) fn new(chain: &'a ChainReader, heights: Range<u64>) -> Self {
        Self {
            chain,
            inner: RefCell::new(Inner {
                heights,
                headers: VecDeque::new(),
                error: None,
            }),
        }
    }

    /// The next block.
    pub(super) fn next(&self) -> Option<Offered> {
        let mut inner = self.inner.borrow_mut();
        let height = inner.heights.next()?;
        let missing = || LedgerError::Damaged {
            record: "block",
            height,
            problem: "missing below the tip".to_owned(),
        };
        let read = self.chain.parts(height);
        match read.and_then(|parts| parts.ok_or_else(missing)) {
            Ok(parts) => {
                inner.headers.push_back(parts.header.clone());
                Some(Offered::Stored(Box::new(parts)))
            }
            Err(error) => {
                inner.error = Some(error);
                // Behind it the state is not known; asked again, the source must not skip the hole.
                inner.heights = height..height;
                None
            }
        }
    }

    /// The header of the next block whose outcome has come.
    pub(super) fn pass(&self) -> Option<Header> {
        self.inner.borrow_mut().headers.pop_front()
    }

    /// Why it ended, if not at its end.
    pub(super) fn into_error(self) -> Option<LedgerError> {
        self.inner.into_inner().error
    }
}
