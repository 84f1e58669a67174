//! Making the next thing on a thread of its own while the caller works on the present one.
//!
//! Bounds: one thing is made ahead, and no other is begun before the caller has taken it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, Scope};

use crossbeam_channel::{Receiver, bounded};

use super::error::message_of;

/// What another thread takes from an iterator. Dropping this ends that thread, after the thing that it has at hand.
pub(super) struct Ahead<T> {
    made: Receiver<Result<T, String>>,
}

impl<T: Send> Ahead<T> {
    /// Starts the thread. `scope` waits for it, so that this has to be dropped within.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        name: &str,
        mut things: impl Iterator<Item = T> + Send + 'scope,
    ) -> io::Result<Self>
    where
        T: 'scope,
    {
        // Nothing is kept between: each is handed over when it is asked for.
        let (hand_over, made) = bounded(0);
        let work = move || {
            loop {
                // Nothing that a panic broke is used again.
                let next = catch_unwind(AssertUnwindSafe(|| things.next()));
                let Some(next) = next.map_err(message_of).transpose() else {
                    break;
                };
                let is_last = next.is_err();
                // The receiver has gone: nothing more is wanted.
                if hand_over.send(next).is_err() || is_last {
                    break;
                }
            }
        };
        Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, work)?;
        Ok(Self { made })
    }

    /// The next, which is waited for; none after the last.
    ///
    /// # Errors
    /// What a panic said, in its place. Nothing comes after it.
    pub(super) fn next(&self) -> Result<Option<T>, String> {
        self.made.recv().map_or(Ok(None), |next| next.map(Some))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::scope;

    use super::*;

    #[test]
    fn all_come_in_order_and_one_is_made_ahead() {
        let begun = AtomicUsize::new(0);
        let things = (0..50).inspect(|_| {
            begun.fetch_add(1, Ordering::SeqCst);
        });
        scope(|scope| {
            let ahead = Ahead::start(scope, "ahead", things).expect("a thread can be started");
            for number in 0..50 {
                assert!(begun.load(Ordering::SeqCst) <= number + 1);
                assert_eq!(ahead.next(), Ok(Some(number)));
            }
            assert_eq!(ahead.next(), Ok(None));
            assert_eq!(ahead.next(), Ok(None));
        });
    }

    #[test]
    fn a_panic_is_told_in_its_place() {
        scope(|scope| {
            let things = (0..5).inspect(|number| assert!(*number < 2, "broken"));
            let ahead = Ahead::start(scope, "ahead", things).expect("a thread can be started");
            assert_eq!(ahead.next(), Ok(Some(0)));
            assert_eq!(ahead.next(), Ok(Some(1)));
            assert_eq!(ahead.next(), Err("broken".to_owned()));
            assert_eq!(ahead.next(), Ok(None));
        });
    }

    #[test]
    fn nobody_waits_for_what_nobody_takes() {
        scope(|scope| {
            let ahead = Ahead::start(scope, "ahead", 0..).expect("a thread can be started");
            assert_eq!(ahead.next(), Ok(Some(0)));
        });
        let panicked = catch_unwind(|| {
            scope(|scope| {
                let _ahead = Ahead::start(scope, "ahead", 0..).expect("a thread can be started");
                panic!("the caller's");
            });
        });
        assert!(panicked.is_err());
    }
}
