//! Waking those who make blocks by themselves: there may be news for them. A ring while somebody is busy is not lost, and many are one.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::channel::{Receiver, Sender, bounded};
use super::sync::{Arc, Mutex, lock};

/// What is rung.
pub(super) struct Bell {
    /// With room for one word: whoever hears it looks at everything.
    rung: Sender<()>,
}

/// The side of whoever waits.
pub(super) struct Listener {
    rings: Receiver<()>,
}

/// The bells of an engine.
#[derive(Default)]
pub(super) struct Bells {
    bells: Mutex<Vec<Weak<Bell>>>,
    /// So that who has none rings for nothing.
    is_used: AtomicBool,
}

impl Bell {
    pub(super) fn ring(&self) {
        // No room means that it was rung and not heard yet.
        let _ = self.rung.try_send(());
    }
}

impl Listener {
    /// Waits until it is rung, at most for a time if one is given.
    pub(super) fn wait(&self, at_most: Option<Duration>) {
        match at_most {
            // The other side is there as long as this one: its owner has both.
            None => drop(self.rings.recv()),
            Some(at_most) => drop(self.rings.recv_timeout(at_most)),
        }
    }
}

impl Bells {
    /// Hangs up one more.
    pub(super) fn add(&self) -> (Arc<Bell>, Listener) {
        let (rung, rings) = bounded(1);
        let bell = Arc::new(Bell { rung });
        lock(&self.bells).push(Arc::downgrade(&bell));
        // Behind it: whoever doesn't see the flag yet has nothing to tell that the new one doesn't look at first.
        self.is_used.store(true, Ordering::SeqCst);
        (bell, Listener { rings })
    }

    /// Rings all that are still there. With nothing locked.
    pub(super) fn ring(&self) {
        if !self.is_used.load(Ordering::SeqCst) {
            return;
        }
        let bells: Vec<Arc<Bell>> = {
            let mut bells = lock(&self.bells);
            bells.retain(|bell| bell.strong_count() > 0);
            bells.iter().filter_map(Weak::upgrade).collect()
        };
        bells.iter().for_each(|bell| bell.ring());
    }
}
