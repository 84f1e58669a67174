//! Building the next block and checking one, on a copy of the state: choosing, hashing, sealing and checking hold nobody up.

use std::time::Instant;

use super::parcel::{Offered, Parcel};
use super::permits::Permit;
use super::settings::Content;
use super::sync::{Arc, lock};
use super::ticket::ticket;
use super::{Engine, EngineError, Outcome, state_request};
use crate::consensus;
use crate::format::model::{Block, HEADER_BYTES_MAX, SEAL_BYTES_MAX, Transaction};
use crate::format::rejection::{Reason, Rejected};
use crate::format::signature::{KeyPair, PublicKey};
use crate::ledger::LedgerError;
use crate::pool::Room;
use crate::rules::{
    Claims, Depth, Prepared, SignatureFindings, Validator, carry, further_claims_in, produce,
};
use crate::state::State;

/// What [`Engine::check`] says of a block: nothing against it, or what is wrong.
pub type Verdict = Result<(), Rejected>;

/// How often [`Engine::produce`] rebuilds its block because other blocks came in meanwhile, before it lets no more come in.
const ATTEMPTS: usize = 4;

/// How many transactions are taken from the pool beside those for which a block has room: some may be of no use any more. Each is copied
/// while the pool is locked, so there are not many more. If more than that are of no use the block is not full, and as they are
/// dropped, the next one is.
const fn spare_for(room: usize) -> usize {
    (room / 4).saturating_add(256)
}

/// Transactions from the pool for one block, and the memory that it may take.
struct Candidates {
    transactions: Vec<Transaction>,
    permit: Permit,
}

impl Engine {
    /// Makes the next block of the transactions that wait, seals it with `key`, and commits it. By fee, the highest first,
    /// each sender's in the order of their nonces, as many as the chain's limits allow. Transactions that have become
    /// invalid are dropped; what finds no room behind those before it waits for the next block.
    ///
    /// Where members pay for being absent, it carries the certificate of the block before, in the name of whoever makes it: behind all else,
    /// with that name's next nonce.
    ///
    /// Blocks that come in meanwhile have precedence, and it is rebuilt on top of them; but if that happens again and
    /// again, the next ones wait until this one is made.
    ///
    /// No later block can be older than this one, so the clock is not believed blindly. It may be a day ahead of the last
    /// block, or a day ahead of the time that it was when the engine was opened plus what has passed since by the
    /// [timer](super::EngineBuilder::timer), whichever is later, and never beyond the year 9999. A clock that jumped further is an
    /// error, by which nothing is dropped, and producing goes on once the clock is right. Where it was right all along
    /// (the machine slept for days, and no other hub's block came in meanwhile), opening the engine again says so.
    ///
    /// # Errors
    /// [`EngineError::Produce`]: nobody may produce with this key, the clock is too far ahead, or the block is not valid
    /// (it is another's turn; the clock is further behind the last block than the chain's clock drift allows);
    /// the engine failed or was shut down.
    pub fn produce(&self, key: &KeyPair) -> Result<Outcome, EngineError> {
        let produced = self.produce_if(key, |_| true)?;
        produced.ok_or_else(|| self.shared.latch.reason())
    }

    /// The same of a block that is wanted, by its body; nothing if it isn't.
    pub(super) fn produce_if(
        &self,
        key: &KeyPair,
        is_wanted: impl Fn(&[Transaction]) -> bool,
    ) -> Result<Option<Outcome>, EngineError> {
        let mut attempts = 0;
        loop {
            let outcome = match attempts < ATTEMPTS {
                true => self.produce_on_copy(key, &is_wanted)?,
                false => self.produce_holding(key, &is_wanted)?,
            };
            let Some(outcome) = outcome else {
                return Ok(None);
            };
            attempts += 1;
            match outcome {
                Outcome::Rejected(rejected) => match rejected.reason {
                    // Another block was faster. While the chain is held none can be, so that the last attempt is final.
                    Reason::Height | Reason::PreviousHash | Reason::Fork
                        if attempts <= ATTEMPTS => {}
                    _ => return Err(EngineError::Produce(rejected.to_string())),
                },
                outcome => return Ok(Some(outcome)),
            }
        }
    }

    fn produce_on_copy(
        &self,
        key: &KeyPair,
        is_wanted: impl Fn(&[Transaction]) -> bool,
    ) -> Result<Option<Outcome>, EngineError> {
        let Candidates {
            transactions,
            permit,
        } = self.candidates()?;
        let state = state_request::copy(&self.shared, &permit)?;
        let Some(block) = self.sealed(key, state, &transactions, is_wanted)? else {
            return Ok(None);
        };
        let (parcel, ticket) = self.parcel_of(block, permit);
        self.shared.enqueue(parcel)?;
        self.only(ticket.wait()?).map(Some)
    }

    /// The same while nothing else is ruled.
    fn produce_holding(
        &self,
        key: &KeyPair,
        is_wanted: impl Fn(&[Transaction]) -> bool,
    ) -> Result<Option<Outcome>, EngineError> {
        // Memory comes first: while the chain is held, the parcels that would give it back can't be ruled.
        let Candidates {
            transactions,
            permit,
        } = self.candidates()?;
        let (state, hold) = state_request::hold(&self.shared, &permit)?;
        let Some(block) = self.sealed(key, state, &transactions, is_wanted)? else {
            return Ok(None);
        };
        let (parcel, ticket) = self.parcel_of(block, permit);
        // Lets go of the chain before the outcome is waited for: the block is ruled only then.
        hold.enqueue(parcel)?;
        self.only(ticket.wait()?).map(Some)
    }

    fn parcel_of(&self, block: Block, permit: Permit) -> (Parcel, super::Ticket<Vec<Outcome>>) {
        let (answer, ticket) = ticket(&self.shared.latch);
        let offered = vec![Offered::Decoded(Box::new(block))];
        (Parcel::new(Arc::default(), offered, permit, answer), ticket)
    }

    fn only(&self, mut outcomes: Vec<Outcome>) -> Result<Outcome, EngineError> {
        outcomes.pop().ok_or_else(|| self.shared.latch.reason())
    }

    fn sealed(
        &self,
        key: &KeyPair,
        state: State,
        candidates: &[Transaction],
        is_wanted: impl Fn(&[Transaction]) -> bool,
    ) -> Result<Option<Block>, EngineError> {
        let public = key.public_key();
        let parent = state.clone();
        let draft = self.draft(&public, state, candidates, || false)?;
        if !is_wanted(draft.transactions()) {
            return Ok(None);
        }
        let draft = self.with_attendance(key, &parent, draft)?;
        Ok(Some(produce::sealed(
            &self.shared.spec,
            &parent,
            &[key],
            0,
            draft,
        )?))
    }

    /// The block with the certificate of the one before, where the chain counts who is absent. No block is made for that alone.
    fn with_attendance(
        &self,
        key: &KeyPair,
        parent: &State,
        draft: Block,
    ) -> Result<Block, EngineError> {
        let spec = &self.shared.spec;
        if !consensus::attendance::is_kept(spec, parent.height()) {
            return Ok(draft);
        }
        // What was ruled a moment ago may not be committed yet. Then a later block can still bring its certificate.
        let Some(last) = self.shared.reader.block(parent.height())? else {
            return Ok(draft);
        };
        Ok(carry::with_attendance(
            spec,
            parent,
            key,
            last.seal(),
            draft,
        )?)
    }

    /// Builds the next block for whoever holds the private half of `key`, without a seal: of the transactions that wait, as
    /// [`Engine::produce`] takes them, as many as can be chosen until `deadline`. Nothing is committed, and what was chosen
    /// goes on waiting; other blocks may come in at any time, and then it is no longer the next. [`Block::sealed`] puts a
    /// seal on it. Takes what choosing takes, up to the deadline, and hashing: some 2 µs a transaction.
    ///
    /// # Errors
    /// [`EngineError::Produce`]: nobody may produce with this key, or the clock is too far ahead; the engine failed or was
    /// shut down.
    pub fn build(&self, key: &PublicKey, deadline: Instant) -> Result<Block, EngineError> {
        let Candidates {
            transactions,
            permit,
        } = self.candidates()?;
        let state = state_request::copy(&self.shared, &permit)?;
        self.draft(key, state, &transactions, || Instant::now() >= deadline)
    }

    /// Judges a block as the next one, by every rule and with all signatures, and commits nothing: the verdict that it would
    /// get if it was handed in now. A block that isn't the next one is rejected with `height`, also if it is held. Signatures of a
    /// valid block are remembered, so that handing it in later costs less.
    ///
    /// # Errors
    /// The engine failed or was shut down. What is wrong with the block is the [`Verdict`].
    pub fn check(&self, block: &Block) -> Result<Verdict, EngineError> {
        let shared = &self.shared;
        shared.latch.check()?;
        let bytes = Offered::Decoded(Box::new(block.clone())).bytes();
        let content = Content::of([block]);
        let permit = self.permit(shared.settings.memory_of(content, bytes))?;
        let prepared = Prepared::new(&shared.spec, block.clone());
        let mut claims = Claims::default();
        let known = shared.verified.contains(prepared.leaves());
        claims.add_block(0, &shared.spec, &prepared, |index, _| known[index]);
        let mut signatures = SignatureFindings::unchecked();
        for (_, found) in claims.verify(0..claims.len(), &shared.verifier) {
            signatures.merge(found);
        }
        // The state comes last, so that the verdict is about the chain as it is now.
        let mut validator = self.validator(state_request::copy(shared, &permit)?);
        let now_us = shared.clock.now_us();
        let mut ruling = validator.rule(&prepared, Depth::Full { now_us });
        let mut journal = validator.state().journal();
        validator.apply_unsettled(&mut ruling, &mut journal);
        let failed = validator.state().refuse_failed();
        failed.map_err(LedgerError::from)?;
        let verdict = ruling.settle(signatures);
        if verdict.is_ok() {
            shared.verified.insert(prepared.leaves().iter().copied());
        }
        Ok(verdict.map(drop))
    }

    pub(super) fn permit(&self, bytes: u64) -> Result<Permit, EngineError> {
        let permit = self.shared.memory.acquire(bytes);
        permit.ok_or_else(|| self.shared.latch.reason())
    }

    fn validator(&self, state: State) -> Validator {
        Validator::resume(self.shared.spec.clone(), state)
            .unwrap_or_else(|_| unreachable!("an engine's state is of its chain"))
    }

    /// What waits in the pool, in the order in which a block takes it, as much as one may need.
    fn candidates(&self) -> Result<Candidates, EngineError> {
        let shared = &self.shared;
        shared.latch.check()?;
        let limits = shared.in_force().limits;
        let room = limits.transactions_max as usize;
        let steady_us = shared.steady_us();
        // The pool is locked for selecting alone: admission needs it, and checking what was selected takes longer.
        let transactions: Vec<Transaction> = {
            let mut pool = lock(&shared.pool);
            pool.tell_age(steady_us);
            pool.select(Room {
                transactions: room,
                bytes: limits.body_bytes_max as usize,
                spare: spare_for(room),
            })
        };
        let bytes: usize = transactions.iter().map(|one| one.bytes().len()).sum();
        let body = bytes.min(limits.body_bytes_max as usize);
        let further = transactions.iter().map(further_claims_in).sum::<usize>();
        let content = Content {
            blocks: 1,
            transactions: transactions.len().min(room) as u64,
            further_claims: further as u64,
        };
        let bytes = body + HEADER_BYTES_MAX + SEAL_BYTES_MAX;
        let permit = self.permit(shared.settings.memory_of(content, bytes))?;
        Ok(Candidates {
            transactions,
            permit,
        })
    }

    fn draft(
        &self,
        key: &PublicKey,
        state: State,
        candidates: &[Transaction],
        mut is_over: impl FnMut() -> bool,
    ) -> Result<Block, EngineError> {
        let shared = &self.shared;
        let steady_us = shared.steady_us();
        // A timer that panicked reads 0 and has stopped the engine; no block is made by that.
        shared.latch.check()?;
        let validator = self.validator(state);
        let (spec, state) = (validator.spec(), validator.state());
        let producer = consensus::producer(spec, state, key)
            .map_err(|fault| EngineError::Produce(fault.detail))?;
        let now_us = self.believable_time(steady_us, state.timestamp())?;
        // No block is older than that from here on, for this one isn't.
        lock(&shared.pool).tell_time(now_us);
        let in_time = candidates.iter().take_while(|_| !is_over());
        let (chosen, refused) = validator.choose(&producer, now_us, in_time);
        state.refuse_failed().map_err(LedgerError::from)?;
        if !refused.is_empty() {
            let mut pool = lock(&shared.pool);
            refused
                .iter()
                .for_each(|transaction| pool.refuse(transaction));
        }
        Ok(produce::draft(spec, state, &producer, &chosen, now_us)?)
    }

    /// This machine's time, unless its clock must have jumped ahead.
    fn believable_time(&self, steady_us: u64, head_us: u64) -> Result<u64, EngineError> {
        let now_us = self.shared.clock.now_us();
        let latest_us = self.clocks.latest_us(steady_us, head_us);
        if now_us > latest_us {
            return Err(EngineError::Produce(format!(
                "this machine's clock reads {now_us} µs since the Unix epoch, but it can't be later than {latest_us} µs, \
                 a day after the last block (of {head_us} µs) and after the time that has passed since the engine was \
                 opened: set the clock right, or if it is, open the engine again"
            )));
        }
        Ok(now_us)
    }
}
