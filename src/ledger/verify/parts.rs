//! Going through a chain: what is there, as far as what is there allows. As long as every block is, all rules are checked. Behind
//! bodies that were pruned, were lost, or can't be read: headers commit to each other, to all earlier ids and, by their
//! seals, to their producers; bodies to their headers. The rules about accounts need the state before a block, and begin again after
//! the stored snapshot.
//!
//! So a chain is a row of stretches, each of one kind. Blocks whose state before is known are for whoever has the rules on
//! several threads, and this only follows them; of the others threads say what [can be said alone](super::seen), and this
//! brings it together in order.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hubledger_storage::Extent;

use super::index::{IndexCheck, note_loss};
use super::seen::{Eye, Seen, SeenHeader, Verdict};
use super::{StoreReport, check_genesis, check_snapshot, missing, read_snapshot};
use crate::format::digest::BlockHash;
use crate::format::merkle::Frontier;
use crate::format::merkle::history_leaf;
use crate::format::model::Header;
use crate::format::rejection::Rejected;
use crate::format::signature::Verifier;
use crate::ledger::missing::{Losses, LostPart};
use crate::ledger::step::{BlockProgress, BlockStep, go_on};
use crate::ledger::{ChainReader, LedgerError};
use crate::line::Work;
use crate::rules::Validator;
use crate::rules::headers::{self, Parent};
use crate::state::State;

/// No more heights than this are one piece of work; towards the end of a stretch they get fewer, so that no thread is left with
/// many while the others are done.
const HEIGHTS_MAX: u64 = 64;

/// Some blocks one after the other, and how they can be checked.
pub(crate) enum Stretch {
    /// By all rules, from this state on: see [`Walk::accept`].
    Rules(Box<Validator>),
    /// Without a state: see [`Walk::parts`].
    Parts,
}

/// What is known of the blocks so far.
pub(crate) struct Walk<'a> {
    chain: &'a ChainReader,
    extent: Extent,
    snapshot: Option<State>,
    /// The first height that wasn't gone through.
    next: u64,
    /// The state before that, until somebody takes it to go on.
    validator: Option<Box<Validator>>,
    verifier: Arc<Verifier>,
    /// Over the ids so far, while all are known but perhaps the last one.
    history: Option<Frontier>,
    /// How many ids could not be read since.
    unknown: u64,
    /// The last valid block if it is known, and its header if it is held.
    last: Option<BlockHash>,
    last_header: Option<Header>,
    /// The last valid block that is known.
    head: BlockHash,
    blocks: u64,
    transactions: u64,
    rules_from: u64,
    losses: Losses,
    rejected: Option<Rejected>,
}

impl<'a> Walk<'a> {
    /// A walk that begins at genesis.
    pub(crate) fn begin(chain: &'a ChainReader) -> Result<Self, LedgerError> {
        let mut losses = Losses::default();
        let snapshot = read_snapshot(chain, &mut losses)?;
        let extent = chain.extent()?;
        let is_pruned = extent.body_floor > 0;
        let snapshot = match is_pruned && losses.is_empty() {
            true => Some(snapshot.unwrap_or_else(|| State::genesis(chain.spec()))),
            false => snapshot,
        };
        if let Some(state) = snapshot.as_ref().filter(|_| is_pruned)
            // Asked before hours of work: such a store can't be opened by anybody.
            && (state.height() + 1 < extent.body_floor || state.height() >= extent.end)
        {
            return Err(LedgerError::NoState {
                floor: extent.body_floor,
            });
        }
        Ok(Self {
            chain,
            extent,
            snapshot,
            next: 0,
            validator: (!is_pruned).then(|| Box::new(Validator::new(chain.spec().clone()))),
            verifier: Arc::default(),
            history: Some(Frontier::new()),
            unknown: 0,
            last: None,
            last_header: None,
            head: BlockHash::ZERO,
            blocks: 0,
            transactions: 0,
            rules_from: 0,
            losses,
            rejected: None,
        })
    }

    pub(crate) const fn chain(&self) -> &'a ChainReader {
        self.chain
    }

    /// The first height that wasn't gone through.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// The height after the last block.
    pub(crate) const fn end(&self) -> u64 {
        self.extent.end
    }

    /// How the next blocks can be checked; nothing once the chain is at its end, or at a block that isn't valid.
    pub(crate) fn stretch(&mut self) -> Option<Stretch> {
        if self.rejected.is_some() || self.next >= self.extent.end {
            return None;
        }
        // Genesis is no block that rules are for.
        match self.validator.take_if(|_| self.next > 0) {
            Some(validator) => Some(Stretch::Rules(validator)),
            None => Some(Stretch::Parts),
        }
    }

    /// Where blocks that are checked by all rules have to make a halt next: behind the snapshot, or at the end.
    pub(crate) fn halt(&self) -> u64 {
        let snapshot = self.snapshot.as_ref().map(|state| state.height() + 1);
        let halt = snapshot.filter(|halt| *halt > self.next);
        halt.map_or(self.extent.end, |halt| halt.min(self.extent.end))
    }

    /// Compares the state after a block, as all rules give it, with the snapshot, if that is of the same block.
    pub(crate) fn compare_state(&self, state: &State) -> Result<(), LedgerError> {
        check_snapshot(self.snapshot.as_ref(), state)
    }

    /// Goes on behind a block that was valid by all rules.
    pub(crate) fn accept(
        &mut self,
        header: Header,
        progress: &mut BlockProgress<'_>,
    ) -> Result<(), LedgerError> {
        self.advance(header.hash(), Some(header));
        self.tell(progress)
    }

    /// Notes that the next block isn't valid.
    pub(crate) fn reject(&mut self, rejected: Rejected) {
        self.rejected = Some(rejected);
    }

    pub(crate) fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }

    pub(crate) fn put_losses(&mut self, losses: Losses) {
        self.losses = losses;
    }

    /// Goes on behind a block whose body can't be read, so that the state is not known from there on.
    pub(crate) fn unreadable(
        &mut self,
        error: LedgerError,
        progress: &mut BlockProgress<'_>,
    ) -> Result<(), LedgerError> {
        let (chain, extent) = (self.chain, self.extent);
        let mut eye = Eye::new(chain, extent, &self.verifier, self.snapshot.as_ref());
        let seen = eye.see_without_body(self.next, error);
        self.judge(seen, progress).map(drop)
    }

    /// Goes through blocks without a state, on so many threads, until one is known.
    pub(crate) fn parts(
        &mut self,
        threads: usize,
        progress: &mut BlockProgress<'_>,
    ) -> Result<(), LedgerError> {
        if self.next == 0 && self.validator.is_some() {
            return self.genesis(progress);
        }
        let (chain, extent, verifier) = (self.chain, self.extent, Arc::clone(&self.verifier));
        // A copy, of which each thread reads the members of heights.
        let snapshot = self.snapshot.clone();
        let see = |heights: &std::ops::Range<u64>| {
            // A panic on one block of a foreign store is an error of this check, and not the end of the caller's process.
            catch_unwind(AssertUnwindSafe(|| {
                let mut eye = Eye::new(chain, extent, &verifier, snapshot.as_ref());
                heights.clone().map(|height| eye.see(height)).collect()
            }))
            .map_err(|_| LedgerError::Threads("the checking of blocks panicked".to_owned()))
        };
        let threads = threads.max(1) as u64;
        let work = Work {
            threads: threads as usize,
            name: "hubledger-parts",
            prepare: &|| {},
            work: &see,
            weight_max: (4 * threads * HEIGHTS_MAX) as usize,
        };
        let (mut next, end) = (self.next, self.halt());
        let mut outcome = Ok(());
        let mut show = |_, seen: Result<Vec<Seen>, LedgerError>| {
            let judged = seen.and_then(|seen| {
                for seen in seen {
                    if self.judge(seen, progress)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            });
            judged.unwrap_or_else(|error| {
                outcome = Err(error);
                ControlFlow::Break(())
            })
        };
        let _ = work.run(&mut show, |line| {
            while next < end {
                let share = ((end - next) / (2 * threads)).clamp(1, HEIGHTS_MAX);
                let heights = next..end.min(next + share);
                next = heights.end;
                line.push(heights, share as usize)?;
            }
            ControlFlow::Continue(())
        });
        // Members that could not be read are no verdict on who sealed.
        snapshot.map_or(Ok(()), |state| state.refuse_failed())?;
        outcome
    }

    /// Goes on behind genesis, which has to be the one of the specification; then the state is known.
    fn genesis(&mut self, progress: &mut BlockProgress<'_>) -> Result<(), LedgerError> {
        let block = match self
            .chain
            .block(0)
            .and_then(|block| block.ok_or_else(|| missing(0)))
        {
            Ok(block) => block,
            Err(error) => return self.unreadable(error, progress),
        };
        check_genesis(self.chain, &block)?;
        if let Some(validator) = &self.validator {
            check_snapshot(self.snapshot.as_ref(), validator.state())?;
        }
        self.advance(block.hash(), Some(block.header().clone()));
        let index = IndexCheck::new(self.chain.clone()).check(&block);
        note_loss(&mut self.losses, 0, index)?;
        self.tell(progress)
    }

    /// Judges the next height by what was seen there and what is known of those before. Breaks off where a block isn't valid, and
    /// where the state is known again.
    fn judge(
        &mut self,
        seen: Seen,
        progress: &mut BlockProgress<'_>,
    ) -> Result<ControlFlow<()>, LedgerError> {
        let height = seen.height;
        let body = match seen.body {
            Some(read) => {
                let body = self.read(LostPart::Body, height, read)?;
                // The state is not known from here on.
                self.validator = None;
                self.rules_from = self.extent.end;
                body
            }
            None => None,
        };
        if let Err(rejected) = self.header(height, seen.id, seen.header)? {
            self.rejected = Some(rejected);
            return Ok(ControlFlow::Break(()));
        }
        if let Some(state) = self
            .snapshot
            .as_ref()
            .filter(|state| state.height() == height)
        {
            self.compare(state)?;
            self.validator = Some(Box::new(resume(self.chain, state)?));
            self.rules_from = height + 1;
        }
        if let Some(body) = body {
            if let Err(rejected) = body.verdict {
                self.rejected = Some(rejected);
                return Ok(ControlFlow::Break(()));
            }
            note_loss(&mut self.losses, height, body.index)?;
        }
        self.tell(progress)?;
        Ok(match self.validator {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        })
    }

    /// What was read of a height; nothing if that was lost before, or can't be read, which is noted.
    fn read<T>(
        &mut self,
        part: LostPart,
        height: u64,
        read: Result<Option<T>, LedgerError>,
    ) -> Result<Option<T>, LedgerError> {
        match read.and_then(|found| found.ok_or_else(|| missing(height))) {
            Ok(found) => Ok(Some(found)),
            Err(LedgerError::Lost { .. }) => Ok(None),
            Err(error) if error.is_corrupt() => {
                self.losses
                    .note(part, height..height + 1, &error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Goes on behind a block, of which the header may be held.
    fn advance(&mut self, id: BlockHash, header: Option<Header>) {
        match &mut self.history {
            Some(history) if self.unknown == 0 => history.push(history_leaf(&id)),
            history => *history = None,
        }
        self.last = Some(id);
        if let Some(header) = &header {
            self.blocks += 1;
            self.transactions += u64::from(header.transaction_count);
        }
        self.last_header = header;
    }

    /// Goes on behind a block of which nothing is known. One alone is told by the next header.
    fn skip(&mut self) {
        self.unknown += 1;
        if self.unknown > 1 {
            self.history = None;
        }
        (self.last, self.last_header) = (None, None);
    }

    /// Tells of the block that was gone through.
    fn tell(&mut self, progress: &mut BlockProgress<'_>) -> Result<(), LedgerError> {
        let height = self.next;
        self.next += 1;
        self.head = self.last.unwrap_or(self.head);
        let header = self.last_header.as_ref();
        go_on(progress(BlockStep {
            height,
            transactions: header.map_or(0, |header| header.transaction_count.into()),
        }))
    }

    /// Checks the header at a height against the ids before it, if it is held.
    fn header(
        &mut self,
        height: u64,
        id: Result<Option<BlockHash>, LedgerError>,
        header: Option<Result<Option<SeenHeader>, LedgerError>>,
    ) -> Result<Verdict, LedgerError> {
        let id = match id {
            Err(LedgerError::Lost { .. }) => None,
            // Of a header that can't be read, the id can't be either.
            id => self.read(LostPart::Header, height, id)?,
        };
        let Some(id) = id else {
            self.skip();
            return Ok(Ok(()));
        };
        if height == 0 && id != self.chain.spec().genesis().hash() {
            return Err(LedgerError::Damaged {
                record: "block",
                height: 0,
                problem: "not the genesis of the specification".to_owned(),
            });
        }
        let header = match header {
            Some(header) => self.read(LostPart::Header, height, header)?,
            None => None,
        };
        if let Some(seen) = &header
            && height > 0
            && let Err(rejected) = self.check_header(seen)
        {
            return Ok(Err(rejected));
        }
        self.advance(id, header.map(|seen| seen.header));
        Ok(Ok(()))
    }

    fn check_header(&mut self, seen: &SeenHeader) -> Verdict {
        let (spec, header) = (self.chain.spec(), &seen.header);
        // One unknown id can be taken from the next header: if that lies, the history roots from there on don't match.
        if let (None, Some(history)) = (self.last, &mut self.history) {
            // The hash that the header names is the lost one: the root over both proves it.
            history.push(history_leaf(&header.previous_hash));
        }
        let before = self.last_header.as_ref();
        let parent = Parent {
            // The record says its height, and was read by it; genesis is not checked here.
            height: header.height.saturating_sub(1),
            hash: self.last,
            timestamp: before.map(|before| before.timestamp),
            clock: before.map(|before| &before.vector_clock),
            weight: before.and_then(|before| before.chain_weight()),
            transactions: before.and_then(|before| before.chain_transactions()),
            history: self.history.as_ref(),
        };
        headers::check(spec, &parent, header, None)
            .map_err(|fault| Rejected::block(header.height, fault.reason, fault.detail))?;
        if self.history.is_some() {
            self.unknown = 0;
        }
        seen.seal.clone()
    }

    /// Compares the snapshot with what headers and ids say of the chain up to its block.
    fn compare(&self, state: &State) -> Result<(), LedgerError> {
        let header = self.last_header.as_ref();
        let history = self.history.as_ref().filter(|_| self.unknown == 0);
        // Every header is known if as many are as there are blocks.
        // A snapshot is only as good as what commits to it: the number of transactions is in no root, so it is counted.
        let is_counted = self.blocks == state.height() + 1;
        let is_same = state.chain() == self.chain.spec().id()
            && self.last.is_none_or(|last| state.head() == last)
            && history.is_none_or(|history| state.history_root() == history.root())
            && header.is_none_or(|header| {
                let root = header.state_root;
                header.timestamp == state.timestamp()
                    && header.vector_clock == *state.clock()
                    // Zero says nothing of the state; the root over no rows is another.
                    && (root.is_zero() || state.clone().root() == Some(root))
            })
            && (!is_counted || state.transaction_count() == self.transactions);
        match is_same {
            true => Ok(()),
            false => Err(snapshot_error(state, "is not what the headers give")),
        }
    }

    /// What was found. What can't be read is an error.
    pub(crate) fn report(self) -> Result<StoreReport, LedgerError> {
        if !self.losses.is_empty() {
            return Err(LedgerError::Unreadable(Box::new(self.losses)));
        }
        Ok(StoreReport {
            blocks: self.blocks,
            transactions: self.transactions,
            headers_from: self.extent.header_floor,
            bodies_from: self.extent.body_floor,
            rules_from: self.rules_from,
            head: self.head,
            rejected: self.rejected,
            missing: self.chain.missing()?,
        })
    }
}

fn resume(chain: &ChainReader, state: &State) -> Result<Validator, LedgerError> {
    Validator::resume(chain.spec().clone(), state.clone())
        .map_err(|_| snapshot_error(state, "is of another chain"))
}

fn snapshot_error(state: &State, problem: &str) -> LedgerError {
    LedgerError::Damaged {
        record: "state snapshot",
        height: state.height(),
        problem: problem.to_owned(),
    }
}
