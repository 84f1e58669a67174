//! An answer that comes later: a [`Promise`] on the engine's side, a [`Ticket`] on the caller's, who waits, polls, or
//! awaits it in whatever runtime.
//!
//! Invariants: an answer is given once and taken once; a promise that is dropped unfulfilled answers too, with the reason
//! why the engine stopped, so that nobody waits for ever; nothing of a caller's runs while a lock is held here, and if it panics
//! in a thread of the engine, that is the caller's loss alone.

use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::EngineError;
use super::error::{Latch, message_of};
use super::sync::{Arc, Condvar, Mutex, lock, wait_until};

/// What a caller holds until its answer comes.
#[derive(Debug)]
pub struct Ticket<T> {
    slot: Arc<Slot<T>>,
}

/// What the engine holds until it answers.
#[derive(Debug)]
pub(super) struct Promise<T> {
    slot: Arc<Slot<T>>,
    latch: Arc<Latch>,
}

#[derive(Debug)]
struct Slot<T> {
    state: Mutex<AnswerState<T>>,
    answered: Condvar,
}

#[derive(Debug)]
enum AnswerState<T> {
    /// Nobody looks; telling nobody would cost a system call.
    Open,
    /// Somebody waits.
    Waited,
    /// Somebody wants to be woken.
    Awaited(Waker),
    Answered(Result<T, EngineError>),
    Taken,
}

/// A promise and its ticket. `latch` says why the engine stopped, should the promise be dropped.
pub(super) fn ticket<T>(latch: &Arc<Latch>) -> (Promise<T>, Ticket<T>) {
    let slot = Arc::new(Slot {
        state: Mutex::new(AnswerState::Open),
        answered: Condvar::new(),
    });
    let promise = Promise {
        slot: Arc::clone(&slot),
        latch: Arc::clone(latch),
    };
    (promise, Ticket { slot })
}

impl<T> Promise<T> {
    pub(super) fn fulfil(self, answer: T) {
        self.slot.answer(Ok(answer));
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let is_answered = matches!(
            *lock(&self.slot.state),
            AnswerState::Answered(_) | AnswerState::Taken
        );
        if !is_answered {
            self.slot.answer(Err(self.latch.reason()));
        }
    }
}

impl<T> Slot<T> {
    fn answer(&self, answer: Result<T, EngineError>) {
        // The lock is let go at the end of this statement: waking runs the caller's code, which may ask for the answer.
        let before = mem::replace(&mut *lock(&self.state), AnswerState::Answered(answer));
        match before {
            AnswerState::Waited => self.answered.notify_all(),
            AnswerState::Awaited(waker) => wake(waker),
            _ => {}
        }
    }

    /// The answer, if it is there: at most once.
    fn take(state: &mut AnswerState<T>) -> Option<Result<T, EngineError>> {
        match mem::replace(state, AnswerState::Taken) {
            AnswerState::Answered(answer) => Some(answer),
            other => {
                *state = other;
                None
            }
        }
    }
}

/// Wakes whoever awaits an answer, or a block. With nothing locked.
pub(super) fn wake(waker: Waker) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        let message = message_of(payload);
        tracing::warn!(
            message,
            "the waker of somebody who awaits the engine panicked"
        );
    }
}

impl<T> Ticket<T> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// [`EngineError`]: the engine stopped before it could answer.
    pub fn wait(self) -> Result<T, EngineError> {
        let mut answer = None;
        let mut before = AnswerState::Open;
        drop(wait_until(
            &self.slot.answered,
            lock(&self.slot.state),
            |state| {
                // Tried under the lock in which it then says that it waits: an answer in between would wake nobody.
                answer = Slot::take(state);
                if matches!(state, AnswerState::Open | AnswerState::Awaited(_)) {
                    before = mem::replace(state, AnswerState::Waited);
                }
                answer.is_some() || matches!(state, AnswerState::Taken)
            },
        ));
        // A waker from an earlier poll: dropping it is the caller's code, so it comes after the lock.
        drop(before);
        answer.unwrap_or(Err(EngineError::Stopped))
    }

    /// The answer if it has come, else the ticket again.
    ///
    /// # Errors
    /// The ticket: there is no answer yet.
    pub fn try_take(self) -> Result<Result<T, EngineError>, Self> {
        let answer = Slot::take(&mut *lock(&self.slot.state));
        answer.ok_or(self)
    }
}

/// Resolves when the answer comes. Polled again after that it stays pending.
impl<T> Future for Ticket<T> {
    type Output = Result<T, EngineError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.slot.state);
        if let Some(answer) = Slot::take(&mut state) {
            return Poll::Ready(answer);
        }
        match &*state {
            AnswerState::Taken => return Poll::Pending,
            AnswerState::Awaited(held) if held.will_wake(context.waker()) => return Poll::Pending,
            _ => drop(state),
        }
        // Cloning is the caller's code too.
        let waker = context.waker().clone();
        let mut state = lock(&self.slot.state);
        // The answer may have come while the lock was open; it would not wake a waker that is put in after it.
        if let Some(answer) = Slot::take(&mut state) {
            drop(state);
            return Poll::Ready(answer);
        }
        let before = mem::replace(&mut *state, AnswerState::Awaited(waker));
        drop(state);
        drop(before);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shuttle::{future, thread};

    #[test]
    fn an_answer_reaches_whoever_waits_or_awaits() {
        shuttle::check_random(
            || {
                let latch = Arc::new(Latch::default());
                let (first, waited) = ticket(&latch);
                let (second, awaited) = ticket(&latch);
                let answering = thread::spawn(move || {
                    second.fulfil(2);
                    first.fulfil(1);
                });
                assert_eq!(future::block_on(awaited).expect("answered"), 2);
                assert_eq!(waited.wait().expect("answered"), 1);
                answering.join().expect("no panic");
            },
            500,
        );
    }

    #[test]
    fn a_promise_that_is_dropped_answers_too() {
        shuttle::check_random(
            || {
                let latch = Arc::new(Latch::default());
                let (promise, waited) = ticket::<u8>(&latch);
                let dropping = thread::spawn(move || drop(promise));
                assert!(matches!(waited.wait(), Err(EngineError::Stopped)));
                dropping.join().expect("no panic");
                let (promise, polled) = ticket::<u8>(&latch);
                let polled = polled.try_take().expect_err("nothing yet");
                promise.fulfil(7);
                assert!(matches!(polled.try_take(), Ok(Ok(7))));
            },
            300,
        );
    }
}
