//! Ruling and settling what is ready, in the chain's order: by whoever brings news of it, one thread at a time.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::EngineError;
use super::chain::Chain;
use super::message::{Command, Job, StateRequest, Which};
use super::metrics::{Load, Stage};
use super::pool;
use super::shared::{Shared, Written};
use super::sync::{Arc, lock};
use crate::state::EarlierState;

/// Rules and settles what is ready; called with every piece of news.
pub(super) fn advance(shared: &Shared) {
    shared.turn.take(|| {
        // The round has let go of the chain, which `fail` locks.
        if let Err(error) = rule_and_settle(shared) {
            shared.fail(error);
        }
    });
}

/// Gives copies of the state to those who wait for one; one of them may hold the chain.
fn hand_out(shared: &Shared, chain: &mut Chain) {
    // Lowered before the copy is made: a request that came in between would be lost, and its pruning would never end.
    if shared.snapshot_is_due.swap(false, Ordering::AcqRel) {
        // There is room for all that can be asked for. A copy costs little, and is encoded elsewhere.
        let base = chain.base(shared.has_much_unsaved());
        let _ = shared.snapshots.send(Some(base));
    }
    let mut is_held = chain.is_held;
    let served: Vec<_> = {
        let mut requests = lock(&shared.state_requests);
        // Requests that stay are looked at again when the chain is let go.
        shared.is_state_wanted.store(false, Ordering::Release);
        let is_served = |request: &mut StateRequest| {
            let is_served = !(request.holds && is_held);
            is_held |= request.holds;
            is_served
        };
        requests.extract_if(.., is_served).collect()
    };
    chain.is_held = is_held;
    for request in served {
        let validator = chain.validator();
        let state = match request.which {
            Which::Last => EarlierState::from(validator.state()),
            Which::Named => validator.named(),
            Which::Base => validator.base(None),
        };
        // These are waited for in threads and have no wakers, so that no caller's code runs under the chain's lock.
        request.answer.fulfil(state);
    }
}

/// A round of it.
fn rule_and_settle(shared: &Shared) -> Result<(), EngineError> {
    loop {
        // The clock is the caller's, so it is asked before anything is locked: one that asks the engine for something would wait for
        // ever, and a slow one would keep everybody out.
        let now_us = shared.clock.now_us();
        let mut chain = shared.lock_chain();
        // Under the chain's lock, as `fail` clears it: after a failure nothing more is ruled or handed on.
        shared.latch.check()?;
        let started = Instant::now();
        if let Some(settled) = chain.settle() {
            let load = Load {
                blocks: settled.verdicts.len() as u64,
                transactions: settled.transactions(),
                bytes: settled.parcel.bytes as u64,
            };
            pool::tell(shared, &mut chain, &settled.valid);
            shared.meters.stage(Stage::Validate, started, load);
            // Never waits: the channel has room for every parcel in flight.
            shared.send_commit(Command::Settled(settled));
            continue;
        }
        if shared.wants_state() {
            // What is asked for is a state without unsettled blocks, so that rules wait until it is taken.
            if chain.ruled() > 0 {
                return Ok(());
            }
            hand_out(shared, &mut chain);
        }
        let written = lock(&shared.written).take();
        if let Some(written) = written {
            if let Written::Pages(pages) = written {
                chain.adopt(pages, shared.settings.state_bytes);
            }
            chain.note_written();
            shared
                .unsaved
                .store(chain.unsaved_bytes(), Ordering::Relaxed);
        }
        // Nobody waits for what can't be written yet, as it may still be taken back: that isn't counted. Looked at again when that is done: whoever writes it down brings news.
        if shared.has_all_unsaved() {
            return Ok(());
        }
        let Some(parcel) = chain.next_to_rule() else {
            return Ok(());
        };
        let late = chain.rule(&parcel, now_us, shared.committed_end())?;
        shared
            .unsaved
            .store(chain.unsaved_bytes(), Ordering::Relaxed);
        drop(chain);
        if let Some(late) = late
            && !parcel.leave_to_first_batch(&late)
        {
            shared
                .lane
                .push_urgent(Job::LateSignatures(Arc::downgrade(&late)));
        }
        let meters = &shared.meters;
        meters.stage(Stage::Validate, started, Load::default());
    }
}
