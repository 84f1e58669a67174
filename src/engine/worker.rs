//! The threads of the pool. Each takes a parcel through everything that follows from its bytes, and checks the signatures it
//! gathered while they are still in its cache; whoever brings the news that a parcel is ready rules and settles what is next
//! in the chain. So one core works as one thread, and two work without waiting for each other.
//!
//! A worker blocks on nothing but the lack of work: every channel that it sends to has room for all parcels in flight.

use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::EngineError;
use super::admission;
use super::advance::advance;
use super::error::message_of;
use super::message::Job;
use super::metrics::{Load, Stage};
use super::parcel::{LateClaims, Offered, Parcel};
use super::settings::Content;
use super::shared::Shared;
use super::sync::Arc;
use crate::format::model::Block;
use crate::ledger::Unreadable;
use crate::rules::{Claims, Found, Prepared};

/// Does a job of an engine. What panics in it stops that engine and no other.
pub(super) fn run(shared: &Shared, mut job: Job) {
    // The job is only borrowed below, and dropped when the failure is noted: so those who wait for it learn the reason.
    if shared.latch.is_set() {
        return;
    }
    let stage = Cell::new(Stage::Decode);
    let done = catch_unwind(AssertUnwindSafe(|| match &mut job {
        Job::Parcel(parcel) => take_through(shared, parcel, &stage),
        Job::Advance => advance(shared),
        Job::Signatures(parcel, range) => check(shared, parcel, range.clone(), None, &stage),
        Job::LateSignatures(late) => check_late(shared, late, &stage),
        Job::Admission(number, batch) => admission::judge(shared, *number, batch, &stage),
    }));
    let done = done.and_then(|()| look_after_state(shared));
    if let Err(payload) = done {
        shared.fail(EngineError::Panicked {
            stage: stage.get(),
            message: message_of(payload),
        });
    }
}

/// Hands over the state if it is asked for.
fn look_after_state(shared: &Shared) -> std::thread::Result<()> {
    if !shared.wants_state() {
        return Ok(());
    }
    catch_unwind(AssertUnwindSafe(|| advance(shared)))
}

/// Decodes and hashes a parcel, hands it on, and checks its signatures.
fn take_through(shared: &Shared, parcel: &Arc<Parcel>, stage: &Cell<Stage>) {
    shared.enter(Stage::Decode, stage);
    let started = Instant::now();
    let offered = parcel.take_offered();
    let of_interest = !parcel.call.is_cancelled.load(Ordering::Acquire);
    let decoded: Vec<_> = match of_interest {
        true => offered.into_iter().map(decode).collect(),
        // The parcel of a caller that has gone still goes through, empty: those behind it wait for its turn.
        false => Vec::new(),
    };
    let load = Load {
        blocks: decoded.len() as u64,
        transactions: decoded.iter().flatten().map(transactions).sum(),
        bytes: parcel.bytes as u64,
    };
    shared.meters.stage(Stage::Decode, started, load);
    let content = Content::of(decoded.iter().flatten());
    parcel.shrink(shared.settings.memory_of(content, parcel.bytes));

    shared.enter(Stage::Hash, stage);
    let started = Instant::now();
    let prepared: Vec<_> = decoded
        .into_iter()
        .map(|block| block.map(|block| Prepared::new(&shared.spec, block)))
        .collect();
    let claims = gather(shared, &prepared);
    shared.meters.stage(Stage::Hash, started, load);

    // At least one batch, since the last batch that is checked brings the news that all are.
    let batch = shared.settings.batch_signatures.max(1);
    let count = claims.len();
    let batches = count.div_ceil(batch).max(1);
    let batch = count.div_ceil(batches);
    parcel.set_prepared(prepared, claims, batches);
    for number in 1..batches {
        let range = number * batch..count.min((number + 1) * batch);
        let job = Job::Signatures(Arc::clone(parcel), range.clone());
        if shared.lane.try_push_urgent(job).is_err() {
            // A full lane is no reason to wait: if every worker waited for room in it, nobody would make any.
            check(shared, parcel, range, None, stage);
        }
    }
    shared.enter(Stage::Validate, stage);
    // Before its own signatures: neither its rules nor those of the parcels behind it wait for them.
    advance(shared);
    // If that ruled it, what the state told of certificates is in one batch with all else.
    let late = parcel.begin_first_batch();
    check(shared, parcel, 0..count.min(batch), late.as_deref(), stage);
}

fn decode(offered: Offered) -> Result<Block, Unreadable> {
    match offered {
        Offered::Encoded(bytes) => Unreadable::decode(&bytes),
        Offered::Decoded(block) => Ok(*block),
        Offered::Stored(parts) => Unreadable::assemble(*parts),
    }
}

fn transactions(block: &Block) -> u64 {
    u64::from(block.header().transaction_count)
}

/// What the parcel's blocks claim to be signed, but for blocks that the chain has passed for good (they are compared with
/// what is held) and for transactions that admission has checked.
fn gather(shared: &Shared, prepared: &[Result<Prepared, Unreadable>]) -> Claims {
    let mut claims = Claims::default();
    let committed = shared.committed_end();
    let (mut hits, mut misses) = (0, 0);
    for (number, prepared) in (0u32..).zip(prepared) {
        let Ok(prepared) = prepared else { continue };
        // Nobody asks for the signatures of blocks that are held: sending them again must not cost us work.
        if prepared.block().height() < committed {
            continue;
        }
        let known = shared.verified.contains(prepared.leaves());
        let hit = known.iter().filter(|known| **known).count();
        hits += hit as u64;
        misses += (known.len() - hit) as u64;
        claims.add_block(number, &shared.spec, prepared, |index, _| known[index]);
    }
    shared.meters.cache(hits, misses);
    claims
}

/// Checks some of a parcel's signatures, and those with them that its ruling told.
fn check(
    shared: &Shared,
    parcel: &Parcel,
    range: Range<usize>,
    late: Option<&LateClaims>,
    stage: &Cell<Stage>,
) {
    shared.enter(Stage::Signatures, stage);
    let Some(claims) = parcel.claims() else {
        return;
    };
    let found = verify(shared, (claims, range), late);
    parcel.settle_batch(found);
    if parcel.is_signed() {
        shared.enter(Stage::Validate, stage);
        advance(shared);
    }
}

/// Checks signatures that the ruling of a parcel told after its first batch had begun.
fn check_late(shared: &Shared, late: &Weak<LateClaims>, stage: &Cell<Stage>) {
    shared.enter(Stage::Signatures, stage);
    let Some(late) = late.upgrade() else {
        return;
    };
    verify(shared, (&Claims::default(), 0..0), Some(&late));
    shared.enter(Stage::Validate, stage);
    advance(shared);
}

/// Checks a batch of claims and, in the same one as far as there is room, late ones, which are settled. Gives what it found of the first.
fn verify(
    shared: &Shared,
    (claims, mut range): (&Claims, Range<usize>),
    late: Option<&LateClaims>,
) -> Found {
    let started = Instant::now();
    let batch = shared.settings.batch_signatures.max(1);
    let none = Claims::default();
    let others = late.map_or(&none, LateClaims::claims);
    let count = range.len() + others.len();
    let _span = tracing::debug_span!("signatures", count).entered();
    let (mut found, mut late_found) = (Found::new(), Found::new());
    let mut checked = 0;
    while !range.is_empty() || checked < others.len() {
        let room = batch.saturating_sub(range.len());
        let beside = checked..others.len().min(checked + room);
        checked = beside.end;
        shared.meters.signature_batch(range.len() + beside.len());
        let (own, other) = claims.verify_with(range, (others, beside), &shared.verifier);
        found.extend(own);
        late_found.extend(other);
        range = 0..0;
    }
    let load = Load {
        transactions: count as u64,
        ..Load::default()
    };
    shared.meters.stage(Stage::Signatures, started, load);
    if let Some(late) = late {
        late.settle(late_found);
    }
    found
}
