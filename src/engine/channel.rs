//! The channels between the engine's threads: those of crossbeam, and a stand-in of shuttle's threads in this crate's own unit
//! tests, which walk through interleavings of the whole engine.

#[cfg(not(test))]
pub(super) use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

#[cfg(test)]
pub(super) use self::walked::{Receiver, RecvTimeoutError, Sender, bounded};

/// One thread runs at a time and gives way only where it says so, which is what makes the locks here those of `std`. Nobody
/// is ever told that the other side has gone: as in a channel whose receiver stopped before it went, what is sent to nobody
/// stays where it is.
#[cfg(test)]
mod walked {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex, MutexGuard};
    use std::time::Duration;

    use shuttle::thread::{self, Thread};

    use super::super::sync::lock_std as lock;

    pub(in super::super) use crossbeam_channel::RecvTimeoutError;

    struct Queue<T> {
        items: VecDeque<T>,
        room: usize,
        /// Those who wait for items or room, now or at some time before.
        waiting: Vec<Thread>,
    }

    pub(in super::super) struct Sender<T>(Arc<Mutex<Queue<T>>>);

    pub(in super::super) struct Receiver<T>(Arc<Mutex<Queue<T>>>);

    pub(in super::super) fn bounded<T>(room: usize) -> (Sender<T>, Receiver<T>) {
        let queue = Arc::new(Mutex::new(Queue {
            items: VecDeque::new(),
            room,
            waiting: Vec::new(),
        }));
        (Sender(Arc::clone(&queue)), Receiver(queue))
    }

    /// Lets others run, perhaps.
    fn give_way() {
        thread::sleep(Duration::ZERO);
    }

    impl<T> Queue<T> {
        /// Notes that this thread waits, once: each time it is woken is a step of the walk.
        fn note_waiting(&mut self) {
            let own = thread::current();
            if self.waiting.iter().all(|other| other.id() != own.id()) {
                self.waiting.push(own);
            }
        }
    }

    /// Wakes whoever waits at a queue. Not while it is locked: here others may run.
    fn wake<T>(mut queue: MutexGuard<'_, Queue<T>>) {
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        // An unpark before the park is kept as a token, so that no wake-up is lost between noting and parking.
        waiting.iter().for_each(Thread::unpark);
    }

    impl<T> Sender<T> {
        pub(in super::super) fn try_send(&self, item: T) -> Result<(), T> {
            give_way();
            let mut queue = lock(&self.0);
            if queue.items.len() == queue.room {
                return Err(item);
            }
            queue.items.push_back(item);
            wake(queue);
            Ok(())
        }

        pub(in super::super) fn send(&self, mut item: T) -> Result<(), Infallible> {
            while let Err(again) = self.try_send(item) {
                item = again;
                lock(&self.0).note_waiting();
                thread::park();
            }
            Ok(())
        }

        pub(in super::super) fn len(&self) -> usize {
            lock(&self.0).items.len()
        }
    }

    impl<T> Receiver<T> {
        fn take(&self) -> Option<T> {
            let mut queue = lock(&self.0);
            let item = queue.items.pop_front()?;
            wake(queue);
            Some(item)
        }

        pub(in super::super) fn try_recv(&self) -> Result<T, ()> {
            give_way();
            self.take().ok_or(())
        }

        pub(in super::super) fn recv(&self) -> Result<T, Infallible> {
            give_way();
            loop {
                if let Some(item) = self.take() {
                    return Ok(item);
                }
                lock(&self.0).note_waiting();
                thread::park();
            }
        }

        /// Time passes as fast as others do nothing.
        pub(in super::super) fn recv_timeout(&self, _: Duration) -> Result<T, RecvTimeoutError> {
            thread::yield_now();
            self.take().ok_or(RecvTimeoutError::Timeout)
        }
    }
}
