//! How far the chain is committed, at each level of durability, for callers to wait on.
//!
//! Invariants: a mark never goes back; a level includes those before it, so its mark is never above theirs.

use hubledger_storage::{Durability, Receipt};

use super::sync::{Condvar, Mutex, lock, wait_until};

/// Ends of the chain by level: blocks below `ends[level]` have reached it.
#[derive(Debug)]
pub(super) struct Watermark {
    state: Mutex<Marks>,
    moved: Condvar,
}

#[derive(Debug, Clone, Copy)]
struct Marks {
    ends: [u64; 3],
    is_closed: bool,
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
            }),
            moved: Condvar::new(),
        }
    }

    /// Notes what a commit reached.
    pub(super) fn advance(&self, receipt: &Receipt) {
        let mut marks = lock(&self.state);
        for end in &mut marks.ends[..=level(receipt.durability)] {
            *end = (*end).max(receipt.end);
        }
        drop(marks);
        self.moved.notify_all();
    }

    /// The end of what has reached a level.
    pub(super) fn end(&self, durability: Durability) -> u64 {
        lock(&self.state).ends[level(durability)]
    }

    /// Waits until the block at `height` has reached a level; false if the engine stops before.
    pub(super) fn wait(&self, height: u64, durability: Durability) -> bool {
        let reached = |marks: &Marks| marks.ends[level(durability)] > height;
        let marks = wait_until(&self.moved, lock(&self.state), |marks| {
            marks.is_closed || reached(marks)
        });
        reached(&marks)
    }

    /// Sends away everybody who waits.
    pub(super) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.moved.notify_all();
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
}
