//! Holding work on one core.

use std::io;

/// Until it is dropped, this thread and those that it starts run on one core.
#[derive(Debug)]
pub(super) struct OneCore {
    #[cfg(target_os = "linux")]
    before: rustix::thread::CpuSet,
}

impl OneCore {
    /// Whether work can be held on one core here.
    pub(super) const fn is_possible() -> bool {
        cfg!(target_os = "linux")
    }

    /// Holds this thread on the first core that it may use.
    ///
    /// # Errors
    /// The system doesn't let it.
    #[cfg(target_os = "linux")]
    pub(super) fn hold() -> io::Result<Self> {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        let before = sched_getaffinity(None)?;
        let mut cores = 0..CpuSet::MAX_CPU;
        let first = cores.find(|core| before.is_set(*core));
        let mut one = CpuSet::new();
        one.set(first.ok_or_else(|| io::Error::other("there is no core to run on"))?);
        sched_setaffinity(None, &one)?;
        Ok(Self { before })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn hold() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(target_os = "linux")]
impl Drop for OneCore {
    fn drop(&mut self) {
        // It was so before, and a drop has nobody to tell.
        let _ = rustix::thread::sched_setaffinity(None, &self.before);
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
        let held = OneCore::hold().expect("there is a core");
        assert_eq!(may(), 1);
        let started = std::thread::spawn(may).join().expect("it counts");
        assert_eq!(started, 1, "threads that it starts are held too");
        drop(held);
        assert_eq!(may(), before);
    }
}
