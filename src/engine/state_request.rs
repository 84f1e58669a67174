//! The state, for whoever builds or checks a block on it: a copy, taken at a moment when no block is ruled that isn't settled.
//! A copy costs microseconds, so that the chain hardly waits; who [holds](Hold) the chain has the next block to itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use super::EngineError;
use super::advance::advance;
use super::error::message_of;
use super::message::{Job, StateRequest, Which};
use super::metrics::Stage;
use super::parcel::Parcel;
use super::permits::Permit;
use super::shared::Shared;
use super::sync::lock;
use super::ticket::ticket;
use crate::state::{EarlierState, State};

/// A copy of the state. The permit is the caller's: whoever asks holds one until it has its answer, so that no shutdown
/// passes it by.
pub(super) fn copy(shared: &Shared, _permit: &Permit) -> Result<State, EngineError> {
    Ok(request(shared, Which::Last, false)?.into_state())
}

/// A copy of this or that state. What it takes to work it out is done by the caller.
pub(super) fn copy_of(
    shared: &Shared,
    which: Which,
    _permit: &Permit,
) -> Result<EarlierState, EngineError> {
    request(shared, which, false)
}

/// A copy of the state, which stays the chain's until what is held is let go: nothing is ruled meanwhile. A caller who holds
/// must not wait for memory, which others may have that wait for it.
pub(super) fn hold<'a>(
    shared: &'a Shared,
    _permit: &Permit,
) -> Result<(State, Hold<'a>), EngineError> {
    let state = request(shared, Which::Last, true)?;
    Ok((state.into_state(), Hold { shared }))
}

fn request(shared: &Shared, which: Which, holds: bool) -> Result<EarlierState, EngineError> {
    shared.latch.check()?;
    let (answer, ticket) = ticket(&shared.latch);
    {
        let mut requests = lock(&shared.state_requests);
        // Under the lock, so that either a failure finds the request or the request the failure. The same goes for the flag: a
        // round that lowers it has taken every request that was there.
        shared.latch.check()?;
        requests.push(StateRequest {
            answer,
            which,
            holds,
        });
        shared.is_state_wanted.store(true, Ordering::Release);
    }
    // If their lane has no room the workers are busy, and look for the request after each job.
    let _ = shared.lane.try_push_urgent(Job::Advance);
    ticket.wait()
}

/// Lets rules go on when it is dropped.
pub(super) struct Hold<'a> {
    shared: &'a Shared,
}

impl Hold<'_> {
    /// Lets go, with a parcel in front of all that wait to be ruled.
    pub(super) fn enqueue(self, parcel: Parcel) -> Result<(), EngineError> {
        self.shared.enqueue_first(parcel)
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let shared = self.shared;
        // Before the flag is raised: a round in between would find the chain held, lower the flag, and the requests would
        // never be answered.
        shared.lock_chain().is_held = false;
        {
            let requests = lock(&shared.state_requests);
            shared
                .is_state_wanted
                .store(!requests.is_empty(), Ordering::Release);
        }
        // This thread is a caller's: no worker's `catch_unwind` is around it, and a panic would leave everybody waiting.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| advance(shared))) {
            shared.fail(EngineError::Panicked {
                stage: Stage::Validate,
                message: message_of(payload),
            });
        }
    }
}
