//! The chain while blocks are on their way: parcels in the order in which they came, the rules run over them as soon as
//! they are decoded, and verdicts given when their signatures are checked too.
//!
//! Invariants:
//! - the state is that after the last ruled block; `ruled` parcels at the front of the queue have been ruled, the first of
//!   them is the first without a verdict;
//! - a verdict depends on the blocks before it and on nothing else: when a signature turns out bad after later
//!   blocks were ruled, the state goes back to before the bad block, and what came after it is ruled again.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use super::EngineError;
use super::parcel::{LateClaims, Outcome, Parcel};
use super::sync::Arc;
use crate::format::digest::BlockHash;
use crate::format::rejection::Rejected;
use crate::ledger::{self, ChainReader, LedgerError, Unreadable, compare_with_held};
use crate::rules::{Claims, Depth, Prepared, Ruling, SignatureFindings, ValidBlock, Validator};
use crate::state::{EarlierState, InForce, Journal, PageSource};

/// See the [module](self).
pub(super) struct Chain {
    validator: Validator,
    reader: ChainReader,
    slots: VecDeque<Slot>,
    ruled: usize,
    /// Whether somebody builds the next block on the state, which stays as it is until then.
    pub(super) is_held: bool,
    /// Hashes of the last blocks of the state, the newest last: at least those that aren't committed.
    recent: VecDeque<BlockHash>,
    /// Of the state's pages that changed since they were last written down, how many bytes were left the last time: what blocks changed
    /// that aren't final, or name no root.
    unsaved_before: u64,
    /// Height of the last state that was handed over to be written down.
    base_height: u64,
    /// The names whose accounts went back, until somebody asks for them.
    taken_back: Vec<Box<str>>,
}

/// A parcel on its way.
pub(super) struct Slot {
    parcel: Arc<Parcel>,
    judged: Vec<Judged>,
    journal: Option<Journal>,
    /// Signatures that this ruling told and nobody knew before it, if it did.
    late: Option<Arc<LateClaims>>,
    /// Height of the last block of the same call before this parcel, from the first ruling on.
    height_before: Option<Option<u64>>,
}

impl Slot {
    const fn new(parcel: Arc<Parcel>) -> Self {
        Self {
            parcel,
            judged: Vec::new(),
            journal: None,
            late: None,
            height_before: None,
        }
    }

    /// Whether all signatures of its ruled blocks were checked.
    fn is_signed(&self) -> bool {
        let late = self.late.as_ref();
        self.parcel.is_signed() && late.is_none_or(|late| late.found().is_some())
    }

    /// What was found of the signatures of all blocks, once [`Slot::is_signed`].
    fn take_signatures(&mut self) -> Vec<SignatureFindings> {
        let mut signatures = self.parcel.take_signatures();
        let late = self.late.take();
        for (number, found) in late.iter().flat_map(|late| late.found()).flatten() {
            signatures[*number as usize].merge(found.clone());
        }
        signatures
    }
}

/// A block that was ruled, as far as that goes without its signatures.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are the large one")]
enum Judged {
    Ruled(Ruling),
    Held(u64),
    Rejected(Rejected),
}

/// A parcel with its verdicts: valid blocks to commit, then perhaps one that isn't.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) parcel: Arc<Parcel>,
    pub(super) valid: Vec<ValidBlock>,
    pub(super) verdicts: Vec<Verdict>,
}

impl Settled {
    /// Transactions of the valid blocks.
    pub(super) fn transactions(&self) -> u64 {
        let counts = self
            .valid
            .iter()
            .map(|valid| valid.block().header().transaction_count);
        counts.map(u64::from).sum()
    }
}

/// What was decided of one block.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The next of the valid ones.
    Valid,
    /// As the outcome says.
    Final(Outcome),
}

impl Chain {
    pub(super) fn new(validator: Validator, reader: ChainReader) -> Self {
        Self {
            validator,
            reader,
            slots: VecDeque::new(),
            ruled: 0,
            is_held: false,
            recent: VecDeque::new(),
            unsaved_before: 0,
            base_height: 0,
            taken_back: Vec::new(),
        }
    }

    pub(super) fn validator(&self) -> &Validator {
        &self.validator
    }

    /// Bytes of the state's pages that changed since they were last written down, but for what couldn't be written then.
    pub(super) fn unsaved_bytes(&self) -> u64 {
        let unsaved = self.validator.state().unsaved_bytes();
        unsaved.saturating_sub(self.unsaved_before)
    }

    /// Notes that what could be written of the state is written.
    pub(super) fn note_written(&mut self) {
        self.unsaved_before = self.validator.state().unsaved_bytes();
    }

    /// Goes on from where this validator stands, at the end of another branch, which took the place of blocks that changed accounts of
    /// these names. Nothing is ruled that isn't committed.
    pub(super) fn change_to<'n>(
        &mut self,
        validator: Validator,
        names: impl Iterator<Item = &'n str>,
    ) {
        self.validator = validator;
        self.recent.clear();
        self.taken_back.extend(names.map(Box::from));
    }

    /// The state to be written down; one as late as may be if much has changed.
    pub(super) fn base(&mut self, has_much_unsaved: bool) -> EarlierState {
        let written = has_much_unsaved.then_some(self.base_height);
        self.validator.hash_state();
        let base = self.validator.base(written);
        self.base_height = base.height();
        base
    }

    /// The parameters in force in the next block.
    pub(super) fn in_force(&self) -> InForce {
        let (spec, state) = (self.validator.spec(), self.validator.state());
        InForce::at(spec, Some(state), state.height().saturating_add(1))
    }

    /// From now on reads the state's pages from there.
    pub(super) fn adopt(&mut self, pages: std::sync::Arc<dyn PageSource>, resident_max: u64) {
        self.validator.adopt(pages, resident_max);
    }

    /// Puts a parcel last.
    pub(super) fn push(&mut self, parcel: Arc<Parcel>) {
        self.slots.push_back(Slot::new(parcel));
    }

    /// Puts a parcel before all that weren't ruled.
    pub(super) fn push_first(&mut self, parcel: Arc<Parcel>) {
        self.slots.insert(self.ruled, Slot::new(parcel));
    }

    /// Gives away everything that is on its way, to be dropped once nothing is locked: whoever waits for it is told then.
    #[must_use]
    pub(super) fn clear(&mut self) -> VecDeque<Slot> {
        self.ruled = 0;
        std::mem::take(&mut self.slots)
    }

    /// The names whose accounts went back since this was last asked.
    pub(super) fn take_taken_back(&mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.taken_back)
    }

    /// Parcels without a verdict.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Parcels that were ruled and have no verdict yet.
    pub(super) fn ruled(&self) -> usize {
        self.ruled
    }

    /// The next parcel to rule, if it is decoded and nobody holds the chain.
    pub(super) fn next_to_rule(&self) -> Option<Arc<Parcel>> {
        if self.is_held {
            return None;
        }
        let parcel = &self.slots.get(self.ruled)?.parcel;
        parcel.prepared().is_some().then(|| Arc::clone(parcel))
    }

    /// Rules the next parcel, at a time in microseconds since 1970. `committed` is the end of the committed chain. Gives the signatures that
    /// this told of members whom only the state knows: the parcel has no verdict until they are checked.
    pub(super) fn rule(
        &mut self,
        parcel: &Parcel,
        now_us: u64,
        committed: u64,
    ) -> Result<Option<Arc<LateClaims>>, EngineError> {
        self.forget_committed(committed);
        let mut journal = self.validator.state().journal();
        let (mut judged, mut late) = (Vec::new(), Claims::default());
        let blocks = parcel.prepared().unwrap_or_default();
        let slot = &mut self.slots[self.ruled];
        let mut height = *slot
            .height_before
            // Once only: a parcel may be ruled again, and its call must not move on twice.
            .get_or_insert_with(|| parcel.call.pass(last_height(blocks)));
        for (number, block) in (0u32..).zip(blocks) {
            // Asked before each block: behind a refused block the rest of its call would be ruled on a state that lacks it.
            if parcel.call.is_skipped() {
                break;
            }
            let verdict = match block {
                Ok(prepared) => {
                    height = Some(prepared.block().height());
                    self.judge(prepared, now_us, &mut journal, (number, &mut late))?
                }
                Err(unreadable) => Judged::Rejected(self.refuse(height, unreadable)),
            };
            let is_sound = match &verdict {
                Judged::Ruled(ruling) => ruling.is_sound(),
                Judged::Held(_) => true,
                Judged::Rejected(_) => false,
            };
            if !is_sound {
                // Not `is_over`: if an earlier block turns out to be badly signed, this verdict falls with it.
                parcel.call.is_stopped.store(true, Ordering::Release);
            }
            judged.push(verdict);
        }
        let slot = &mut self.slots[self.ruled];
        slot.judged = judged;
        slot.journal = Some(journal);
        slot.late = (!late.is_empty()).then(|| Arc::new(LateClaims::new(late)));
        self.ruled += 1;
        Ok(slot.late.clone())
    }

    fn judge(
        &mut self,
        prepared: &Prepared,
        now_us: u64,
        journal: &mut Journal,
        late: (u32, &mut Claims),
    ) -> Result<Judged, EngineError> {
        let block = prepared.block();
        let state = self.validator.state();
        if block.height() <= state.height() {
            let held = self.hash_at(block.height())?;
            let spec = self.validator.spec();
            let outcome = compare_with_held(spec, block, prepared.merkle_root(), held);
            return Ok(match outcome {
                ledger::Staging::Rejected(rejected) => Judged::Rejected(rejected),
                _ => Judged::Held(block.height()),
            });
        }
        let depth = Depth::Full { now_us };
        let mut ruling = self.validator.rule_leaving(prepared, depth, Some(late));
        // Signatures may still be unchecked: rules don't wait for them, and the journal takes the block back if one is bad.
        self.validator.apply_unsettled(&mut ruling, journal);
        // What was read of a state that can't be read is no ground for a verdict.
        self.validator
            .state()
            .refuse_failed()
            .map_err(LedgerError::from)?;
        if ruling.is_sound() {
            self.recent.push_back(block.hash());
        }
        Ok(Judged::Ruled(ruling))
    }

    /// A block that can't be read, and perhaps doesn't say which it is, was expected after the one before it in its call, or
    /// after the head.
    fn refuse(&self, before: Option<u64>, unreadable: &Unreadable) -> Rejected {
        let before = before.unwrap_or_else(|| self.validator.state().height());
        unreadable.rejected(before.saturating_add(1))
    }

    fn hash_at(&self, height: u64) -> Result<BlockHash, EngineError> {
        // A block that is ruled and not committed is in no store yet.
        let behind = self.validator.state().height() - height;
        if let Some(hash) = self.recent.iter().rev().nth(behind as usize) {
            return Ok(*hash);
        }
        let missing = || LedgerError::Damaged {
            record: "header",
            height,
            problem: "missing below the tip".to_owned(),
        };
        Ok(self.reader.hash_at(height)?.ok_or_else(missing)?)
    }

    fn forget_committed(&mut self, committed: u64) {
        let uncommitted = (self.validator.state().height() + 1).saturating_sub(committed);
        while self.recent.len() as u64 > uncommitted {
            self.recent.pop_front();
        }
    }

    /// The first parcel with its verdicts, if its signatures are checked.
    pub(super) fn settle(&mut self) -> Option<Settled> {
        if self.ruled == 0 || !self.slots.front()?.is_signed() {
            return None;
        }
        let mut slot = self.slots.pop_front()?;
        self.ruled -= 1;
        let mut signatures = slot.take_signatures().into_iter();
        let (mut valid, mut verdicts) = (Vec::new(), Vec::with_capacity(slot.judged.len()));
        for judged in slot.judged {
            let signatures = signatures.next().expect("one for each block");
            let (was_applied, rejected) = match judged {
                Judged::Held(height) => {
                    verdicts.push(Verdict::Final(Outcome::Held { height }));
                    continue;
                }
                Judged::Ruled(ruling) => {
                    let was_applied = ruling.is_sound();
                    match ruling.settle(signatures) {
                        Ok(block) => {
                            valid.push(block);
                            verdicts.push(Verdict::Valid);
                            continue;
                        }
                        Err(rejected) => (was_applied, rejected),
                    }
                }
                Judged::Rejected(rejected) => (false, rejected),
            };
            // Final: all blocks before it are settled, so nothing can take this verdict back.
            slot.parcel.call.is_over.store(true, Ordering::Release);
            if was_applied && let Some(journal) = slot.journal {
                self.go_back(journal, &valid);
            }
            verdicts.push(Verdict::Final(Outcome::Rejected(rejected)));
            break;
        }
        if let Some(last) = valid.last() {
            self.validator.settle(last.block().height());
        }
        Some(Settled {
            parcel: slot.parcel,
            valid,
            verdicts,
        })
    }

    /// Takes back everything since `journal` began, but for the blocks that are valid; later parcels will be ruled again.
    fn go_back(&mut self, journal: Journal, valid: &[ValidBlock]) {
        let before = self.validator.state().height();
        // The newest first: each journal puts back what it found, which those before it had written.
        for slot in self.slots.range_mut(..self.ruled).rev() {
            if let Some(journal) = slot.journal.take() {
                self.taken_back.extend(journal.names().map(Box::from));
                self.validator.rewind(journal);
            }
            // What was ruled here, and what stopped its call, was ruled on a state that has never been.
            slot.judged.clear();
            slot.late = None;
            slot.parcel.call.is_stopped.store(false, Ordering::Release);
        }
        self.ruled = 0;
        self.taken_back.extend(journal.names().map(Box::from));
        self.validator.rewind(journal);
        for block in valid {
            self.validator.apply(block);
        }
        for _ in self.validator.state().height()..before {
            self.recent.pop_back();
        }
    }
}

/// The height of the last block that can be read.
fn last_height(blocks: &[Result<Prepared, Unreadable>]) -> Option<u64> {
    let mut readable = blocks.iter().rev().filter_map(|block| block.as_ref().ok());
    readable.next().map(|prepared| prepared.block().height())
}
