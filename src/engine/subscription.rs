//! What happens in the engine, for those who want to follow it, each at its own pace.
//!
//! Invariants: telling never waits for a subscriber; one that is slow loses its oldest events, and learns how many.

use std::collections::VecDeque;

use hubledger_storage::Receipt;

use super::sync::{Arc, Condvar, Mutex, lock, wait_until};
use crate::digest::BlockHash;
use crate::rejection::Rejected;

/// Something that happened, in the order in which it did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A block is committed.
    Committed {
        /// Its height.
        height: u64,
        /// Its hash.
        hash: BlockHash,
        /// How many transactions it has.
        transactions: u32,
        /// What the commit reached.
        receipt: Receipt,
    },
    /// The chain has a new head: the last block of a commit.
    Head {
        /// Its height.
        height: u64,
        /// Its hash.
        hash: BlockHash,
    },
    /// A block was rejected.
    Rejected(Rejected),
    /// So many events came faster than they were taken, and are lost.
    Lagged(u64),
}

/// The receiving end. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    ring: Arc<Ring>,
}

#[derive(Debug)]
struct Ring {
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Debug)]
struct State {
    events: VecDeque<Event>,
    capacity: usize,
    lost: u64,
    /// No more events will come.
    is_over: bool,
    /// Nobody will take them.
    is_dropped: bool,
}

impl State {
    fn take(&mut self) -> Option<Event> {
        match std::mem::take(&mut self.lost) {
            0 => self.events.pop_front(),
            lost => Some(Event::Lagged(lost)),
        }
    }
}

impl Subscription {
    /// The next event, if there is one.
    #[must_use]
    pub fn try_next(&self) -> Option<Event> {
        lock(&self.ring.state).take()
    }

    /// Waits for the next event; `None` when the engine has stopped and all were taken.
    #[must_use]
    pub fn next(&self) -> Option<Event> {
        let mut event = None;
        drop(wait_until(
            &self.ring.told,
            lock(&self.ring.state),
            |state| {
                event = state.take();
                event.is_some() || state.is_over
            },
        ));
        event
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        lock(&self.ring.state).is_dropped = true;
    }
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    rings: Mutex<Vec<Arc<Ring>>>,
}

impl Subscribers {
    /// A subscription that holds at most `capacity` events, at least 1.
    pub(super) fn add(&self, capacity: usize) -> Subscription {
        let ring = Arc::new(Ring {
            state: Mutex::new(State {
                events: VecDeque::new(),
                capacity: capacity.max(1),
                lost: 0,
                is_over: false,
                is_dropped: false,
            }),
            told: Condvar::new(),
        });
        lock(&self.rings).push(Arc::clone(&ring));
        Subscription { ring }
    }

    /// Tells everybody. O(subscribers), and no waiting but for each one's lock.
    pub(super) fn tell(&self, event: &Event) {
        lock(&self.rings).retain(|ring| {
            let mut state = lock(&ring.state);
            if state.is_dropped {
                return false;
            }
            if state.events.len() == state.capacity {
                state.events.pop_front();
                state.lost += 1;
            }
            state.events.push_back(event.clone());
            drop(state);
            ring.told.notify_all();
            true
        });
    }

    /// Nothing will happen any more.
    pub(super) fn close(&self) {
        for ring in lock(&self.rings).drain(..) {
            lock(&ring.state).is_over = true;
            ring.told.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shuttle::thread;

    fn head(height: u64) -> Event {
        let hash = BlockHash::ZERO;
        Event::Head { height, hash }
    }

    #[test]
    fn a_slow_subscriber_sees_every_event_or_how_many_it_lost() {
        shuttle::check_random(
            || {
                let subscribers = Arc::new(Subscribers::default());
                let subscription = subscribers.add(2);
                let telling = {
                    let subscribers = Arc::clone(&subscribers);
                    thread::spawn(move || {
                        (0..6).for_each(|height| subscribers.tell(&head(height)));
                        subscribers.close();
                    })
                };
                let (mut next, mut lost) = (0, 0);
                while let Some(event) = subscription.next() {
                    match event {
                        Event::Lagged(count) => lost += count,
                        Event::Head { height, .. } => {
                            assert!(height >= next, "in order");
                            next = height + 1;
                            assert!(next <= 6);
                        }
                        other => panic!("{other:?} was not told"),
                    }
                }
                assert_eq!(next, 6, "the newest is never lost");
                assert!(lost <= 4);
                telling.join().expect("no panic");
            },
            500,
        );
    }

    #[test]
    fn a_subscription_that_is_dropped_costs_nothing_more() {
        shuttle::check_random(
            || {
                let subscribers = Subscribers::default();
                drop(subscribers.add(1));
                subscribers.tell(&head(0));
                assert!(lock(&subscribers.rings).is_empty());
            },
            10,
        );
    }
}
