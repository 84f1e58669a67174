//! What makes a block valid: the plain sequential validator, to which every faster one must be equal.
//!
//! [`Validator::check`] judges one block against the [`State`] that the blocks before it left, and changes nothing;
//! its [`ValidBlock`] is the only thing that can be committed to a store. Rules are pure
//! functions ([`headers`], `transactions`, `imported`, [`consensus`]) that return a [`Fault`]; this module fixes their order, so
//! that every input has one verdict:
//!
//! 1. the header: version, chain, height, previous hash, limits, transactions of the chain, Merkle, history, state and members
//!    root, weight, timestamp, vector clock;
//! 2. the seal, its signature last;
//! 3. the transactions in their order, each with its rules first and its signatures last. The first faulty
//!    transaction is reported, by the first rule that it breaks;
//! 4. the root over the state after the block, where one is due.
//!
//! The check has three parts, which the [engine](crate::engine) takes apart and `check` does one after the other:
//! [`Prepared`] and [`Claims`] follow from the specification and the bytes alone, the [`Ruling`] needs the state and no
//! signature, and [`Ruling::settle`] brings both together. What certificates claim of members whom only the state knows, the ruling tells.

pub mod carry;
mod claims;
pub mod headers;
mod imported;
mod kept;
pub mod light;
mod meanings;
pub mod produce;
mod ruling;
mod senders;
mod transactions;

use std::sync::Arc;

use crate::consensus::{self, Weight};
use crate::format::FormatVersion;
use crate::format::digest::Digest;
use crate::format::model::{Block, Header};
use crate::format::rejection::{Fault, Rejected};
use crate::format::signature::Verifier;
use crate::format::spec::ChainSpec;

pub(crate) use self::claims::Found;
pub use self::claims::{
    CLAIM_MEMORY, Claims, SignatureFindings, further_claims, further_claims_in,
};
pub use self::kept::{NAMED_BLOCKS_MAX, last_named};
use self::produce::Made;
pub use self::ruling::{FaultAt, Prepared, Ruling, ValidBlock};
pub use self::transactions::check_by_specification;
pub(crate) use self::transactions::{Accounts, At};
use crate::state::{Changes, ConsensusChanges, EarlierState, Journal, PageSource, Recent, State};

/// How much of a block is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everything, with this machine's time in microseconds since the Unix epoch: for blocks from anybody.
    Full {
        /// The time against which the chain's clock drift is measured.
        now_us: u64,
    },
    /// Everything but signatures, seals and the machine's time: for blocks that this store committed before.
    Replay,
}

/// The specification of a chain, the state after its last block, how to go back from there as far as that may be wanted, and what checks
/// signatures.
#[derive(Debug, Clone)]
pub struct Validator {
    spec: ChainSpec,
    state: State,
    recent: Recent,
    verifier: Arc<Verifier>,
}

impl Validator {
    /// A validator that stands after genesis.
    #[must_use]
    pub fn new(spec: ChainSpec) -> Self {
        let mut state = State::genesis(&spec);
        state.prepare_for(spec.at(1).version);
        Self {
            spec,
            state,
            recent: Recent::default(),
            verifier: Arc::default(),
        }
    }

    /// A validator that continues from `state`, which is this chain's or that of one that it goes on from, after a block that is both's.
    ///
    /// # Errors
    /// Gives the state back if it is another chain's.
    pub fn resume(spec: ChainSpec, state: State) -> Result<Self, Box<State>> {
        Ok(Self {
            state: state.into_chain(&spec)?,
            spec,
            recent: Recent::default(),
            verifier: Arc::default(),
        })
    }

    /// Sets what checks signatures from now on; a [`Verifier::default`] of its own at first.
    pub fn set_verifier(&mut self, verifier: Arc<Verifier>) {
        self.verifier = verifier;
    }

    /// The chain's specification.
    #[must_use]
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The state after the last applied block.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Judges the next block. Changes nothing. O(transactions + bytes), dominated by one signature check each.
    ///
    /// # Errors
    /// The first rule that the block breaks, in the order given in the [module's](self) description.
    pub fn check(&self, block: &Block, depth: Depth) -> Result<ValidBlock, Rejected> {
        let prepared = Prepared::new(&self.spec, block.clone());
        let mut ruling = self.rule(&prepared, depth);
        if let Ok(changes) = &ruling.outcome
            && headers::state_root_due(&self.spec, block.height())
        {
            let after = self.state.with_changes(changes).root();
            ruling.compare_state_root(&self.spec, after);
        }
        let is_decided = matches!(ruling.fault_at(), Some(FaultAt::Header | FaultAt::Seal));
        // A fault of header or seal is reported before any signature, so that such a block costs no check of signatures.
        if depth == Depth::Replay || is_decided {
            return ruling.settle(SignatureFindings::trusted());
        }
        let mut claims = Claims::default();
        claims.add_block(0, &self.spec, &prepared, |_, _| false);
        ruling.settle(claims.verify_block(&self.verifier))
    }

    /// Judges the next block by every rule but those about signatures and the root over the state after it, which
    /// [`Validator::apply_unsettled`] compares. Changes nothing. O(transactions).
    ///
    /// # Panics
    /// If `prepared` was prepared for another chain: its seal was judged by that chain's consensus.
    #[must_use]
    pub fn rule(&self, prepared: &Prepared, depth: Depth) -> Ruling {
        self.rule_leaving(prepared, depth, None)
    }

    /// The same, and the signatures of members whom only the state knows are left to the caller: they are added to `late` as those of
    /// the block of this number, and what is found of them belongs to the findings that the ruling is settled by.
    ///
    /// # Panics
    /// As [`Validator::rule`].
    pub(crate) fn rule_leaving(
        &self,
        prepared: &Prepared,
        depth: Depth,
        late: Option<(u32, &mut Claims)>,
    ) -> Ruling {
        assert_eq!(
            prepared.chain(),
            self.spec.id(),
            "blocks are prepared for the chain that rules them"
        );
        Ruling {
            block: prepared.block().clone(),
            outcome: self.changes(prepared, depth, late),
        }
    }

    fn changes(
        &self,
        prepared: &Prepared,
        depth: Depth,
        late: Option<(u32, &mut Claims)>,
    ) -> Result<Changes, (FaultAt, Fault)> {
        let (spec, state, block) = (&self.spec, &self.state, prepared.block());
        let at = |at| move |fault| (at, fault);
        headers::check_block(spec, state, prepared, depth).map_err(at(FaultAt::Header))?;
        let (mut source, mut consensus) = (None, ConsensusChanges::default());
        if spec.is_imported(block.height()) {
            source = Some(imported::check(spec, state, block).map_err(at(FaultAt::Seal))?);
        } else {
            if depth != Depth::Replay {
                let verifier = &self.verifier;
                seal(spec, state, prepared, verifier, late).map_err(at(FaultAt::Seal))?;
            }
            consensus = consensus::changes(spec, state, block.header());
        }
        let mut accounts = Accounts::new(spec, state, At::header(block.header()));
        let (transactions, senders) = (block.transactions(), prepared.senders());
        let meanings = prepared.meanings();
        accounts.look_up(senders, transactions);
        for (index, transaction) in transactions.iter().enumerate() {
            accounts.expect(transaction, senders.number(index));
            accounts
                .check(transaction, meanings.get(index), &transactions[..index])
                .map_err(at(FaultAt::Transaction(index as u32)))?;
        }
        let Weight(weight) = consensus::weight(spec, block.header());
        let mut changes = accounts.into_changes();
        changes.rows.extend(consensus.rows);
        Ok(Changes {
            source,
            // The rules for headers refuse a sum that doesn't fit, where the header names it; of version 1 none gets there.
            weight: state.weight().saturating_add(weight),
            ..changes
        })
    }

    /// Moves on to `valid`.
    ///
    /// # Panics
    /// If `valid` was checked against another state than this: blocks are applied in the order they were checked.
    pub fn apply(&mut self, valid: &ValidBlock) {
        let header = valid.block.header();
        // Made once here, or each copy that is asked for a later root would make them again.
        self.advance(header, &valid.changes);
        if kept::are_wanted(&self.spec, header.height) {
            self.settle(header.height);
        }
    }

    /// Moves on to a block whose signatures are yet to be settled, if no rule is broken, and compares the root over the state after it with its
    /// header's. For a copy of a validator, which is thrown away if the block turns out not to be valid; [`Validator::apply_unsettled`] notes how to
    /// take it back.
    pub(crate) fn apply_ruled(&mut self, ruling: &mut Ruling) {
        let Ok(changes) = &ruling.outcome else { return };
        let root = self.advance(ruling.block.header(), changes);
        if headers::state_root_due(&self.spec, ruling.block.height()) {
            ruling.compare_state_root(&self.spec, root);
        }
    }

    /// Changes the state as a block does, and gives the root over it where one is due.
    fn advance(&mut self, header: &Header, changes: &Changes) -> Option<Digest> {
        let next = self.version_after(header.height);
        let mut journal = kept::are_wanted(&self.spec, header.height).then(|| self.state.journal());
        if let Some(journal) = &mut journal {
            self.state.note(next, changes, journal);
        }
        self.state.apply(header, changes);
        let is_due = headers::state_root_due(&self.spec, header.height);
        let root = is_due.then(|| self.state.root()).flatten();
        self.state.prepare_for(next);
        if let Some(journal) = journal {
            self.note_recent(journal);
        }
        root
    }

    /// Moves on to a block that was [made](produce::make) on this state, and that no rule is broken by, with what was worked out for it.
    ///
    /// # Errors
    /// The rule that it breaks. The root over the state isn't compared: it is the one that was worked out.
    pub(crate) fn apply_made(&mut self, made: Made) -> Result<Block, Rejected> {
        let Made { block, after } = made;
        let prepared = Prepared::new(&self.spec, block.clone());
        // Signatures were made a moment ago.
        let signatures = SignatureFindings::trusted();
        let valid = self.rule(&prepared, Depth::Replay).settle(signatures)?;
        let header = valid.block.header();
        match after {
            Some(after) => self.state.apply_made(header, &valid.changes, after),
            None => self.state.apply(header, &valid.changes),
        }
        self.state.prepare_for(self.version_after(header.height));
        Ok(block)
    }

    /// Moves on to a block before its signatures are settled, and notes in `journal` how to take that back. If its header names
    /// another root than that over the state after it, the ruling takes that up, and the state stays. Nothing happens if a rule
    /// is broken.
    ///
    /// # Panics
    /// As [`Validator::apply`].
    pub fn apply_unsettled(&mut self, ruling: &mut Ruling, journal: &mut Journal) {
        let Ok(changes) = &ruling.outcome else { return };
        let header = ruling.block.header().clone();
        let next = self.version_after(header.height);
        let is_due = headers::state_root_due(&self.spec, header.height);
        let is_wanted = kept::are_wanted(&self.spec, header.height);
        let mut own = (is_due || is_wanted).then(|| self.state.journal());
        self.state
            .note(next, changes, own.as_mut().unwrap_or(journal));
        self.state.apply(&header, changes);
        if let Some(own) = own {
            if is_due {
                let after = self.state.root();
                ruling.compare_state_root(&self.spec, after);
            }
            if !ruling.is_sound() {
                self.state.rewind(own);
                return;
            }
            if is_wanted {
                self.note_recent(own.clone());
            }
            journal.append(own);
        }
        self.state.prepare_for(next);
    }

    /// Moves on to a block that this store committed before.
    ///
    /// # Errors
    /// The rule that it breaks; the state stays.
    pub(crate) fn replay(&mut self, block: Block) -> Result<(), Rejected> {
        let height = block.height();
        let prepared = Prepared::new(&self.spec, block);
        let mut ruling = self.rule(&prepared, Depth::Replay);
        let mut journal = self.state.journal();
        // On the state itself, and not on a copy that would have to copy what changes.
        self.apply_unsettled(&mut ruling, &mut journal);
        ruling.settle(SignatureFindings::trusted())?;
        self.settle(height);
        Ok(())
    }

    fn note_recent(&mut self, journal: Journal) {
        let wanted = kept::wanted(&self.spec, &self.state);
        self.recent.note(self.state.height(), journal, wanted);
    }

    /// Notes that no bad signature takes the block at `height` back any more, so that states are let go that nobody will ask for. Blocks that
    /// were [applied](Validator::apply) are settled.
    pub(crate) fn settle(&mut self, height: u64) {
        self.recent.settle(height);
    }

    /// The state after an earlier block, which can be had from the last block that is final to the last one, and as far below as blocks
    /// that name a state root are looked for ([`NAMED_BLOCKS_MAX`]), if not too much was changed since. O(what changed since).
    #[must_use]
    pub fn state_at(&self, height: u64) -> Option<State> {
        let earlier = self.recent.earlier(&self.state, height);
        earlier.map(EarlierState::into_state)
    }

    /// Goes back to the state after an earlier block, if it can be had: see [`Validator::state_at`]. Whether that may be is asked before.
    pub(crate) fn go_back_to(&mut self, height: u64) -> bool {
        let Some(state) = self.state_at(height) else {
            return false;
        };
        self.state = state;
        self.recent.forget_above(height);
        true
    }

    /// The lowest height after whose block the state can be had.
    pub(crate) fn lowest_state(&self) -> u64 {
        self.recent.lowest(self.state.height())
    }

    /// The height up to which the chain is final, as far as its blocks are settled; 0 before any was since it was opened.
    pub(crate) const fn settled_final(&self) -> u64 {
        self.recent.settled_from()
    }

    /// What checks signatures.
    pub(crate) const fn verifier(&self) -> &Arc<Verifier> {
        &self.verifier
    }

    /// The state that is to be written down: that after the last final block that names a root, so that it can be proved from; or after the last
    /// final block, if there is no such one above `written` or it can't be had any more.
    pub(crate) fn base(&self, written: Option<u64>) -> EarlierState {
        let lowest = self.lowest_state();
        let heights = [
            kept::base_height(&self.spec, &self.state, written),
            consensus::final_height(&self.spec, &self.state),
        ];
        let height = heights.into_iter().find(|height| *height >= lowest);
        // What was read as the state of a store that has lost blocks since, which may be above the final one then.
        self.earlier(height.unwrap_or(lowest))
    }

    /// The state after the last block that names a root, if that can be had; else the last one.
    pub(crate) fn named(&self) -> EarlierState {
        let last = self.state.height();
        self.earlier(last_named(&self.spec, last).unwrap_or(last))
    }

    fn earlier(&self, height: u64) -> EarlierState {
        let earlier = self.recent.earlier(&self.state, height);
        earlier.unwrap_or_else(|| EarlierState::from(&self.state))
    }

    /// The version of the block after the one at `height`.
    fn version_after(&self, height: u64) -> FormatVersion {
        self.spec.at(height.saturating_add(1)).version
    }

    /// Makes the hashes of the state. They are made here and not of a copy that is to be written down, which would first have to copy what
    /// changed, and leave them to be made again.
    pub(crate) fn hash_state(&mut self) {
        self.state.root();
    }

    /// From now on reads the state's pages from there: see [`State::adopt`].
    pub(crate) fn adopt(&mut self, pages: Arc<dyn PageSource>, resident_max: u64) {
        self.state.adopt(pages, resident_max);
    }

    /// Goes back to where the state was when `journal` began.
    pub fn rewind(&mut self, journal: Journal) {
        self.state.rewind(journal);
        self.recent.forget_above(self.state.height());
    }
}

/// What is wrong with a native block's seal, signatures aside that its bytes alone tell of, and those that are left to the caller as
/// `late`. What the bytes alone tell was judged when it was prepared.
fn seal(
    spec: &ChainSpec,
    state: &State,
    prepared: &Prepared,
    verifier: &Verifier,
    late: Option<(u32, &mut Claims)>,
) -> Result<(), Fault> {
    if let Some(fault) = prepared.seal_fault() {
        return Err(fault.clone());
    }
    let block = prepared.block();
    consensus::check_entitlement(spec, state, block.header(), block.seal())?;
    let mut own = Claims::default();
    match late {
        Some((number, late)) => late.add_late_seal(number, spec, state, block),
        None => own.add_late_seal(0, spec, state, block),
    }
    match own.is_empty() {
        true => Ok(()),
        false => own.verify_block(verifier).into_fault().map_or(Ok(()), Err),
    }
}
