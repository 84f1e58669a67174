//! Holding work on one core.

/// Until it is dropped, this thread and those that it starts run on one core; where that can't be asked for, wherever the
/// system likes.
#[derive(Debug)]
pub(super) struct OneCore {
    #[cfg(target_os = "linux")]
    before: Option<rustix::thread::CpuSet>,
}

impl OneCore {
    /// Whether work can be held on one core here.
    pub(super) const fn is_possible() -> bool {
        cfg!(target_os = "linux")
    }

    /// Holds this thread on the first core that it may use.
    #[cfg(target_os = "linux")]
    pub(super) fn hold() -> Self {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        let before = sched_getaffinity(None).ok().filter(|may| {
            let first = (0..CpuSet::MAX_CPU).find(|core| may.is_set(*core));
            first.is_some_and(|first| {
                let mut one = CpuSet::new();
                one.set(first);
                sched_setaffinity(None, &one).is_ok()
            })
        });
        Self { before }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn hold() -> Self {
        Self {}
    }
}

#[cfg(target_os = "linux")]
impl Drop for OneCore {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // It was so before.
            let _ = rustix::thread::sched_setaffinity(None, before);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_held_and_let_go() {
        let may = || {
            let set = rustix::thread::sched_getaffinity(None).expect("a set of cores");
            set.count()
        };
        let before = may();
        let held = OneCore::hold();
        assert_eq!(may(), 1);
        let started = std::thread::spawn(may).join().expect("it counts");
        assert_eq!(started, 1, "threads that it starts are held too");
        drop(held);
        assert_eq!(may(), before);
    }
}
