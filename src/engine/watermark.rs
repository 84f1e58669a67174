//! How far the chain is committed, at each level of durability, for callers to wait on, in a thread or with a waker.
//!
//! Invariants: a mark never goes back but where other blocks take the place of some; a level includes those before it, so its mark is never above theirs; whoever waits is
//! woken when its block has reached its level or nothing more will come; nothing of a caller's runs while a lock is held here.

use std::collections::BTreeMap;
use std::task::{Poll, Waker};
use std::time::Instant;

use hubledger_storage::{Durability, Receipt};

use super::sync::{Condvar, Mutex, PoisonError, lock, wait_until};
use super::ticket::wake;

/// Ends of the chain by level: blocks below `ends[level]` have reached it.
#[derive(Debug)]
pub(super) struct Watermark {
    state: Mutex<Marks>,
    moved: Condvar,
}

#[derive(Debug)]
struct Marks {
    ends: [u64; 3],
    is_closed: bool,
    /// Those who want to be woken, one each, by a number of their own.
    wakers: BTreeMap<u64, Awaited>,
    /// How many numbers were given.
    numbers: u64,
    /// How often other blocks took the place of some.
    replacements: u64,
}

/// Why whoever follows was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// The block has reached its level.
    Reached,
    /// Blocks were replaced since: what was seen may not be in the chain any more.
    Replaced,
    /// Nothing more will come.
    Over,
}

/// A block that somebody wants to be woken for.
#[derive(Debug)]
struct Awaited {
    height: u64,
    durability: Durability,
    waker: Waker,
}

impl Marks {
    const fn reached(&self, height: u64, durability: Durability) -> bool {
        self.ends[level(durability)] > height
    }

    /// What there is to say to whoever waits for a block and knows of so many replacements.
    const fn news(&self, height: u64, durability: Durability, known: u64) -> Option<Woken> {
        if self.replacements != known {
            Some(Woken::Replaced)
        } else if self.reached(height, durability) {
            Some(Woken::Reached)
        } else if self.is_closed {
            Some(Woken::Over)
        } else {
            None
        }
    }

    /// Takes those out whose block is there. O(those who want to be woken).
    fn take_reached(&mut self) -> Vec<Awaited> {
        if self.wakers.is_empty() {
            return Vec::new();
        }
        let (reached, waiting): (BTreeMap<_, _>, _) = std::mem::take(&mut self.wakers)
            .into_iter()
            .partition(|(_, awaited)| self.reached(awaited.height, awaited.durability));
        self.wakers = waiting;
        reached.into_values().collect()
    }
}

const fn level(durability: Durability) -> usize {
    match durability {
        Durability::Memory => 0,
        Durability::Os => 1,
        Durability::Disk => 2,
    }
}

impl Watermark {
    /// The marks of a store that was just opened: all that it holds came from a disk, if it has one.
    pub(super) fn new(end: u64) -> Self {
        Self {
            state: Mutex::new(Marks {
                ends: [end; 3],
                is_closed: false,
                wakers: BTreeMap::new(),
                numbers: 0,
                replacements: 0,
            }),
            moved: Condvar::new(),
        }
    }

    /// Notes what a commit reached.
    pub(super) fn advance(&self, receipt: &Receipt) {
        let mut marks = lock(&self.state);
        for end in &mut marks.ends[..=level(receipt.durability)] {
            // A lower level may be further already.
            *end = (*end).max(receipt.end);
        }
        let reached = marks.take_reached();
        drop(marks);
        self.moved.notify_all();
        // With nothing locked: a waker is the caller's code, and may poll again at once.
        for awaited in reached {
            wake(awaited.waker);
        }
    }

    /// Notes a commit that took blocks above `common` off and put others there.
    pub(super) fn replace(&self, common: u64, receipt: &Receipt) {
        let mut marks = lock(&self.state);
        marks.replacements += 1;
        let reached = level(receipt.durability);
        for (at, end) in marks.ends.iter_mut().enumerate() {
            *end = match at <= reached {
                true => receipt.end,
                // Of the new blocks none, and the old ones are gone.
                false => (*end).min(common + 1),
            };
        }
        let wakers = std::mem::take(&mut marks.wakers);
        drop(marks);
        self.moved.notify_all();
        for awaited in wakers.into_values() {
            wake(awaited.waker);
        }
    }

    /// How often other blocks took the place of some.
    pub(super) fn replacements(&self) -> u64 {
        lock(&self.state).replacements
    }

    /// The end of what has reached a level.
    pub(super) fn end(&self, durability: Durability) -> u64 {
        lock(&self.state).ends[level(durability)]
    }

    /// Waits until the block at `height` has reached a level; false if the engine stops before.
    pub(super) fn wait(&self, height: u64, durability: Durability) -> bool {
        let marks = wait_until(&self.moved, lock(&self.state), |marks| {
            marks.is_closed || marks.reached(height, durability)
        });
        marks.reached(height, durability)
    }

    /// The same for whoever knows of so many replacements.
    pub(super) fn wait_for_news(&self, height: u64, durability: Durability, known: u64) -> Woken {
        let mut woken = None;
        drop(wait_until(&self.moved, lock(&self.state), |marks| {
            woken = marks.news(height, durability, known);
            woken.is_some()
        }));
        woken.unwrap_or(Woken::Over)
    }

    /// The same, until `deadline` at most.
    pub(super) fn wait_until(
        &self,
        height: u64,
        durability: Durability,
        known: u64,
        deadline: Instant,
    ) -> Poll<Woken> {
        let mut marks = lock(&self.state);
        loop {
            if let Some(woken) = marks.news(height, durability, known) {
                return Poll::Ready(woken);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Poll::Pending;
            }
            let waited = self.moved.wait_timeout(marks, left);
            (marks, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A number for whoever wants to be woken now and then.
    pub(super) fn number(&self) -> u64 {
        let mut marks = lock(&self.state);
        marks.numbers += 1;
        marks.numbers
    }

    /// What there is to say to whoever waits for the block at `height` to reach a level. Pending has the waker woken when something
    /// is known, in place of the one that was given with this number before. O(log wakers).
    pub(super) fn poll(
        &self,
        number: u64,
        height: u64,
        durability: Durability,
        known: u64,
        waker: Option<&Waker>,
    ) -> Poll<Woken> {
        // Cloning a waker, and dropping one, is the caller's code: neither is done under the lock.
        let awaited = waker.map(|waker| Awaited {
            height,
            durability,
            waker: waker.clone(),
        });
        let mut marks = lock(&self.state);
        if let Some(woken) = marks.news(height, durability, known) {
            return Poll::Ready(woken);
        }
        let before = awaited.and_then(|awaited| marks.wakers.insert(number, awaited));
        drop(marks);
        drop(before);
        Poll::Pending
    }

    /// Forgets the waker that was given with a number. O(log wakers).
    pub(super) fn forget(&self, number: u64) {
        let before = lock(&self.state).wakers.remove(&number);
        drop(before);
    }

    /// Sends away everybody who waits.
    pub(super) fn close(&self) {
        let mut marks = lock(&self.state);
        marks.is_closed = true;
        let wakers = std::mem::take(&mut marks.wakers);
        drop(marks);
        self.moved.notify_all();
        for awaited in wakers.into_values() {
            wake(awaited.waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sync::Arc;
    use super::*;
    use shuttle::thread;

    #[test]
    fn waiting_ends_when_the_level_is_reached_or_the_engine_stops() {
        shuttle::check_random(
            || {
                let watermark = Arc::new(Watermark::new(1));
                let wait = |height, durability| {
                    let watermark = Arc::clone(&watermark);
                    thread::spawn(move || watermark.wait(height, durability))
                };
                let (soft, hard) = (wait(4, Durability::Os), wait(4, Durability::Disk));
                for (end, durability) in [(5, Durability::Os), (3, Durability::Disk)] {
                    watermark.advance(&Receipt { end, durability });
                }
                assert!(soft.join().expect("returns"));
                assert_eq!(watermark.end(Durability::Os), 5, "no mark goes back");
                assert_eq!(watermark.end(Durability::Disk), 3);
                watermark.close();
                assert!(!hard.join().expect("returns"));
            },
            500,
        );
    }

    /// Counts how often it is woken, and lets a thread wait for it.
    #[derive(Default)]
    struct Bell {
        rung: Mutex<usize>,
        changed: Condvar,
    }

    impl std::task::Wake for Bell {
        fn wake(self: Arc<Self>) {
            *lock(&self.rung) += 1;
            self.changed.notify_all();
        }
    }

    #[test]
    fn a_waker_is_woken_whenever_its_block_comes_or_nothing_more_does() {
        shuttle::check_random(
            || {
                let watermark = Arc::new(Watermark::new(1));
                let following = |durability| {
                    let watermark = Arc::clone(&watermark);
                    thread::spawn(move || {
                        let bell = Arc::new(Bell::default());
                        let waker = Waker::from(Arc::clone(&bell));
                        let number = watermark.number();
                        let (mut height, mut woken) = (1, 0);
                        loop {
                            match watermark.poll(number, height, durability, 0, Some(&waker)) {
                                Poll::Ready(Woken::Reached) => height += 1,
                                Poll::Ready(_) => break height,
                                // A wake-up that was lost would be waited for for ever, which shuttle reports.
                                Poll::Pending => {
                                    drop(wait_until(&bell.changed, lock(&bell.rung), |rung| {
                                        *rung > woken
                                    }));
                                    woken += 1;
                                }
                            }
                        }
                    })
                };
                let (soft, hard) = (following(Durability::Memory), following(Durability::Disk));
                let gone = watermark.number();
                let waker = Waker::from(Arc::new(Bell::default()));
                let _ = watermark.poll(gone, 99, Durability::Memory, 0, Some(&waker));
                watermark.forget(gone);
                for (end, durability) in [
                    (2, Durability::Memory),
                    (3, Durability::Os),
                    (3, Durability::Disk),
                    (5, Durability::Memory),
                ] {
                    watermark.advance(&Receipt { end, durability });
                }
                watermark.close();
                assert_eq!(soft.join().expect("returns"), 5);
                assert_eq!(hard.join().expect("returns"), 3);
                assert!(lock(&watermark.state).wakers.is_empty());
            },
            1000,
        );
    }
}
