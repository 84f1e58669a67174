//! What happens in the engine, for those who want to look at it, such as dashboards. Who must not lose a block
//! [follows](super::feed).
//!
//! Invariants: telling never waits for a subscriber; one that is slow loses its oldest events, and learns how many; who has gone is
//! forgotten at once; who comes after the end finds it. Locked are all rings first, then one.

use std::collections::{BTreeMap, VecDeque};

use super::parcel::Committed;
use super::sync::{Arc, Condvar, Mutex, lock, wait_until};
use crate::format::digest::BlockHash;
use crate::format::rejection::Rejected;
use crate::ledger::PruneReport;

/// Something that happened, in the order in which it did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A block is committed.
    Committed(Committed),
    /// The chain has a new head: the last block of a commit.
    Head {
        /// Its height.
        height: u64,
        /// Its hash.
        hash: BlockHash,
    },
    /// A block is no longer in the chain: another branch takes its place. Several come from the highest down.
    Reverted {
        /// Its height.
        height: u64,
        /// Its hash.
        hash: BlockHash,
    },
    /// A block was rejected.
    Rejected {
        /// Why.
        rejected: Rejected,
        /// Who made it, as its header says: nobody has checked that, so it may name an innocent. `None` of bytes that are no block.
        claimed_producer: Option<String>,
    },
    /// What a policy doesn't keep was removed, because somebody asked for it or because it was due. Only told if anything was.
    Pruned(PruneReport),
    /// This many events were lost, because they came faster than they were taken.
    Lagged(u64),
}

/// The receiving end. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    ring: Arc<Ring>,
    number: u64,
    rings: Arc<Mutex<Rings>>,
}

#[derive(Debug)]
struct Ring {
    state: Mutex<RingState>,
    told: Condvar,
}

#[derive(Debug)]
struct RingState {
    events: VecDeque<Event>,
    capacity: usize,
    lost: u64,
    /// No more events will come.
    is_over: bool,
}

impl RingState {
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

/// O(log subscriptions).
impl Drop for Subscription {
    fn drop(&mut self) {
        lock(&self.rings).open.remove(&self.number);
    }
}

/// All subscriptions.
#[derive(Debug)]
pub(super) struct Subscribers {
    rings: Arc<Mutex<Rings>>,
}

#[derive(Debug)]
struct Rings {
    /// By number, so in the order in which they came.
    open: BTreeMap<u64, Arc<Ring>>,
    /// How many there ever were.
    count: u64,
    /// No more events will come.
    is_over: bool,
}

impl Default for Subscribers {
    fn default() -> Self {
        let rings = Rings {
            open: BTreeMap::new(),
            count: 0,
            is_over: false,
        };
        Self {
            rings: Arc::new(Mutex::new(rings)),
        }
    }
}

impl Subscribers {
    /// A subscription that holds at most `capacity` events, at least 1. O(log subscriptions).
    pub(super) fn add(&self, capacity: usize) -> Subscription {
        let mut rings = lock(&self.rings);
        let ring = Arc::new(Ring {
            state: Mutex::new(RingState {
                // Grows as events come: the caller may have named any capacity.
                events: VecDeque::new(),
                capacity: capacity.max(1),
                lost: 0,
                // Read under the lock in which `close` sets it: a subscription that comes meanwhile is either told or knows.
                is_over: rings.is_over,
            }),
            told: Condvar::new(),
        });
        let number = rings.count;
        rings.count += 1;
        if !rings.is_over {
            rings.open.insert(number, Arc::clone(&ring));
        }
        drop(rings);
        Subscription {
            ring,
            number,
            rings: Arc::clone(&self.rings),
        }
    }

    /// Tells everybody. O(subscribers), and no waiting but for each one's lock.
    pub(super) fn tell(&self, event: &Event) {
        for ring in lock(&self.rings).open.values() {
            let mut state = lock(&ring.state);
            if state.events.len() == state.capacity {
                state.events.pop_front();
                state.lost += 1;
            }
            state.events.push_back(event.clone());
            drop(state);
            ring.told.notify_all();
        }
    }

    /// Nothing will happen any more.
    pub(super) fn close(&self) {
        let mut rings = lock(&self.rings);
        rings.is_over = true;
        for ring in std::mem::take(&mut rings.open).into_values() {
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
    fn a_subscription_that_is_dropped_is_forgotten_at_once() {
        shuttle::check_random(
            || {
                let subscribers = Arc::new(Subscribers::default());
                let kept = subscribers.add(4);
                let coming_and_going: Vec<_> = (0..2)
                    .map(|_| {
                        let subscribers = Arc::clone(&subscribers);
                        thread::spawn(move || {
                            for _ in 0..3 {
                                drop(subscribers.add(1));
                            }
                        })
                    })
                    .collect();
                subscribers.tell(&head(0));
                for thread in coming_and_going {
                    thread.join().expect("no panic");
                }
                let held = |subscribers: &Subscribers| lock(&subscribers.rings).open.len();
                assert_eq!(held(&subscribers), 1, "without another event");
                assert_eq!(kept.next(), Some(head(0)));
                drop(kept);
                assert_eq!(held(&subscribers), 0);
            },
            300,
        );
    }

    #[test]
    fn a_subscription_at_the_end_or_after_it_finds_it() {
        shuttle::check_random(
            || {
                let subscribers = Arc::new(Subscribers::default());
                let coming = {
                    let subscribers = Arc::clone(&subscribers);
                    thread::spawn(move || subscribers.add(1).next())
                };
                subscribers.close();
                assert_eq!(subscribers.add(1).next(), None);
                assert_eq!(coming.join().expect("no panic"), None);
                assert!(lock(&subscribers.rings).open.is_empty());
            },
            300,
        );
    }
}
