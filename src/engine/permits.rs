//! A budget in bytes: whoever wants to hold memory in the engine takes a [`Permit`] first and gives it back by dropping it.
//!
//! Invariants: the permits out never exceed the total; those who wait are served in the order in which they came, so that
//! small requests don't starve a large one; once closed, nobody waits and nobody is served.
//!
//! Those who wait are told once a sixteenth of the total is free: were they told of every small permit, each would cost a
//! change of threads. Permits out come back in time whatever those do who wait, so that this much is free at last.

use std::sync::atomic::{AtomicU64, Ordering};

use super::sync::{Arc, Condvar, Mutex, lock, wait_until};

/// The budget.
#[derive(Debug)]
pub(super) struct Permits {
    total: u64,
    /// A budget that several such are within, if there is one: what is granted here is granted there too.
    outer: Option<Arc<Permits>>,
    state: Mutex<PermitsState>,
    changed: Condvar,
}

#[derive(Debug)]
struct PermitsState {
    free: u64,
    /// The number that the next one to wait gets …
    next: u64,
    /// … and the number whose turn it is.
    serving: u64,
    /// How many wait until nothing is out.
    waiting_idle: u64,
    is_closed: bool,
}

impl PermitsState {
    /// Whether anybody has to be told that something was given back; telling nobody costs a system call too.
    const fn is_waited_for(&self, total: u64) -> bool {
        let is_waited_for = self.next != self.serving && self.free >= total / 16;
        is_waited_for || (self.waiting_idle > 0 && self.free == total)
    }
}

/// A share of the budget, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    permits: Arc<Permits>,
    bytes: AtomicU64,
    outer: Option<Box<Permit>>,
}

impl Permit {
    /// Gives back what is above `bytes`.
    pub(super) fn shrink(&self, bytes: u64) {
        // One step: of two calls at once each gives back only what it has taken off.
        let held = self.bytes.fetch_min(bytes, Ordering::AcqRel);
        self.permits.give_back(held.saturating_sub(bytes));
        if let Some(outer) = &self.outer {
            outer.shrink(bytes);
        }
    }
}

impl Permits {
    pub(super) fn new(total: u64) -> Arc<Self> {
        Self::build(total, None)
    }

    /// A budget within another one. Closing it leaves the other one open, for those who share it.
    pub(super) fn within(total: u64, outer: Arc<Self>) -> Arc<Self> {
        Self::build(total, Some(outer))
    }

    fn build(total: u64, outer: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self {
            total,
            outer,
            state: Mutex::new(PermitsState {
                free: total,
                next: 0,
                serving: 0,
                waiting_idle: 0,
                is_closed: false,
            }),
            changed: Condvar::new(),
        })
    }

    /// Takes a permit if it is free and nobody waits. A request above the total is one for all of it.
    pub(super) fn try_acquire(self: &Arc<Self>, bytes: u64) -> Option<Permit> {
        let bytes = bytes.min(self.total);
        let mut state = lock(&self.state);
        if state.is_closed || state.next != state.serving || state.free < bytes {
            return None;
        }
        state.free -= bytes;
        drop(state);
        // If the outer budget has no room, dropping this permit gives back what was taken here.
        let mut permit = self.permit(bytes);
        if let Some(outer) = &self.outer {
            permit.outer = Some(Box::new(outer.try_acquire(bytes)?));
        }
        Some(permit)
    }

    /// Waits for a permit; `None` once the budget is closed. Where there is an outer budget, a close may be noticed only when it
    /// is this one's turn there, which comes as soon as others give back what they have.
    pub(super) fn acquire(self: &Arc<Self>, bytes: u64) -> Option<Permit> {
        let bytes = bytes.min(self.total);
        let mut state = lock(&self.state);
        let number = state.next;
        state.next += 1;
        let mut state = wait_until(&self.changed, state, |state| {
            state.is_closed || (state.serving == number && state.free >= bytes)
        });
        // Its number is never served, and neither is anybody behind it: a budget that is closed stays so.
        if state.is_closed {
            return None;
        }
        state.serving += 1;
        state.free -= bytes;
        // The next in line has slept through earlier wake-ups, since it was not its turn.
        let is_waited_for = state.next != state.serving;
        drop(state);
        if is_waited_for {
            self.changed.notify_all();
        }
        // Not under the lock: what the outer budget waits for may have to be given back here first.
        let mut permit = self.permit(bytes);
        if let Some(outer) = &self.outer {
            permit.outer = Some(Box::new(outer.acquire(bytes)?));
            // Closed while it waited outside: a shutdown takes in nothing more.
            return (!self.is_closed()).then_some(permit);
        }
        Some(permit)
    }

    /// Bytes out at the moment.
    pub(super) fn used(&self) -> u64 {
        self.total - lock(&self.state).free
    }

    /// Waits until no permit is out.
    pub(super) fn wait_idle(&self) {
        let mut state = lock(&self.state);
        state.waiting_idle += 1;
        let mut state = wait_until(&self.changed, state, |state| state.free == self.total);
        state.waiting_idle -= 1;
    }

    /// Whether nobody is served any more.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.state).is_closed
    }

    /// Sends away everybody who waits or will come.
    pub(super) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.changed.notify_all();
    }

    fn permit(self: &Arc<Self>, bytes: u64) -> Permit {
        Permit {
            permits: Arc::clone(self),
            bytes: AtomicU64::new(bytes),
            outer: None,
        }
    }

    /// Takes permits of this budget back, all at once.
    pub(super) fn take_back(&self, permits: Vec<Permit>) {
        let bytes = permits.into_iter().map(|mut permit| {
            debug_assert!(std::ptr::eq(self, &*permit.permits), "of this budget");
            // Emptied, so that dropping it gives nothing back a second time.
            std::mem::take(permit.bytes.get_mut())
        });
        self.give_back(bytes.sum());
    }

    fn give_back(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let mut state = lock(&self.state);
        state.free += bytes;
        let is_waited_for = state.is_waited_for(self.total);
        drop(state);
        if is_waited_for {
            self.changed.notify_all();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let bytes = *self.bytes.get_mut();
        self.permits.give_back(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shuttle::thread;

    #[test]
    fn permits_never_exceed_the_total_and_everybody_is_served() {
        shuttle::check_random(
            || {
                let permits = Permits::new(160);
                let out = Arc::new(Mutex::new(0_u64));
                let threads: Vec<_> = [112, 3, 1584, 64]
                    .map(|bytes: u64| {
                        let (permits, out) = (Arc::clone(&permits), Arc::clone(&out));
                        thread::spawn(move || {
                            let permit = permits.acquire(bytes).expect("nobody closes it");
                            *lock(&out) += bytes.min(160);
                            assert!(*lock(&out) <= 160);
                            *lock(&out) -= bytes.min(160);
                            permit.shrink(bytes / 2);
                            drop(permit);
                        })
                    })
                    .into();
                for thread in threads {
                    thread.join().expect("no assertion failed");
                }
                permits.wait_idle();
                assert_eq!(permits.used(), 0);
            },
            500,
        );
    }

    #[test]
    fn many_small_permits_given_back_serve_those_who_wait() {
        shuttle::check_random(
            || {
                let permits = Permits::new(320);
                let held: Vec<_> = (0..32).map(|_| permits.try_acquire(10)).collect();
                assert!(permits.try_acquire(1).is_none(), "all are out");
                let waiting: Vec<_> = [15, 310]
                    .map(|bytes| {
                        let permits = Arc::clone(&permits);
                        thread::spawn(move || permits.acquire(bytes).is_some())
                    })
                    .into();
                let (some, others): (Vec<_>, Vec<_>) = held
                    .into_iter()
                    .flatten()
                    .enumerate()
                    .partition(|(at, _)| at % 2 == 0);
                some.into_iter().for_each(drop);
                let others = others.into_iter().map(|(_, permit)| permit).collect();
                permits.take_back(others);
                for thread in waiting {
                    assert!(thread.join().expect("no assertion failed"));
                }
                permits.wait_idle();
            },
            300,
        );
    }

    #[test]
    fn closing_sends_everybody_away() {
        shuttle::check_random(
            || {
                let permits = Permits::new(1);
                let held = permits.try_acquire(1).expect("all is free");
                let waiting = {
                    let permits = Arc::clone(&permits);
                    thread::spawn(move || permits.acquire(1).is_none())
                };
                permits.close();
                assert!(waiting.join().expect("returns"), "closed while one is out");
                drop(held);
                assert!(permits.try_acquire(1).is_none());
            },
            300,
        );
    }
}
