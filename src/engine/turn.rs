//! Work that one thread at a time does for all: whoever brings news either does the work or leaves it to the one who is at
//! it, who looks again before it goes. Nobody waits, and no news is missed.

use super::sync::{AtomicUsize, Ordering};

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Turn {
    news: AtomicUsize,
}

impl Turn {
    /// Does `work` until there was no news during a round of it; or nothing, if somebody else is at it.
    pub(super) fn take(&self, mut work: impl FnMut()) {
        // The thread that is at it sees a count that is higher than the one it began its round with, and goes on.
        if self.news.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        loop {
            // Before the work: news during it may have been missed, and counts for another round. If the work panics, the
            // count stays above 0 and nobody works again, which is right: the engine has failed.
            let seen = self.news.load(Ordering::Acquire);
            work();
            if self.news.fetch_sub(seen, Ordering::AcqRel) == seen {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sync::{Arc, Mutex, lock};
    use super::*;
    use shuttle::thread;

    #[test]
    fn every_piece_of_news_is_worked_on_by_one_thread_at_a_time() {
        shuttle::check_random(
            || {
                let turn = Arc::new(Turn::default());
                let waiting = Arc::new(Mutex::new(0));
                let done = Arc::new(Mutex::new(0));
                let threads: Vec<_> = (0..3)
                    .map(|_| {
                        let (turn, waiting, done) =
                            (Arc::clone(&turn), Arc::clone(&waiting), Arc::clone(&done));
                        thread::spawn(move || {
                            for _ in 0..2 {
                                *lock(&waiting) += 1;
                                turn.take(|| {
                                    let mut alone = done.try_lock().expect("one at a time");
                                    *alone += std::mem::take(&mut *lock(&waiting));
                                });
                            }
                        })
                    })
                    .collect();
                for thread in threads {
                    thread.join().expect("no assertion failed");
                }
                assert_eq!((*lock(&waiting), *lock(&done)), (0, 6));
            },
            1000,
        );
    }
}
