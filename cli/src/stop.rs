//! SIGINT and SIGTERM. The first one asks the command to come to an end in good order, or ends the process where there is
//! nothing to bring in order; the second one ends it at once, whatever is under way.

use std::fmt::Display;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::failure::Failure;

/// Whether the process was asked to stop, and what that means now. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// The number of the first signal; 0 before it.
    signal: AtomicI32,
    phase: Mutex<Phase>,
}

/// What the first signal does.
enum Phase {
    /// Ends the process, which says this.
    AtOnce(&'static str),
    /// Is left to the command to see.
    InOrder,
}

impl Default for Phase {
    fn default() -> Self {
        Self::AtOnce("start it again")
    }
}

impl Stop {
    /// From now on a signal ends the process at once, which says so and `detail`: nothing is being written.
    pub(crate) fn at_once(&self, detail: &'static str) {
        self.set(Phase::AtOnce(detail));
    }

    /// From now on the command asks now and then whether it is to stop.
    pub(crate) fn in_order(&self) {
        self.set(Phase::InOrder);
    }

    fn set(&self, phase: Phase) {
        *self.0.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Whether there was a signal.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.signal.load(Ordering::Acquire) != 0
    }

    /// The answer to somebody's progress.
    pub(crate) fn flow(&self) -> ControlFlow<()> {
        match self.is_asked() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// How a command ends that was stopped: `detail` says what was done and how to go on, `report` goes beside it.
    pub(crate) fn failure(&self, detail: impl Display, report: Map<String, Value>) -> Failure {
        // Whoever took the signal holds it until it has said so: that comes before the last word.
        drop(self.0.phase.lock().unwrap_or_else(PoisonError::into_inner));
        self.stopped(detail, report)
    }

    fn stopped(&self, detail: impl Display, report: Map<String, Value>) -> Failure {
        Failure::Stopped {
            signal: self.0.signal.load(Ordering::Acquire),
            detail: detail.to_string(),
            report,
        }
    }
}

/// A signal's name.
pub(crate) const fn name(signal: i32) -> &'static str {
    match signal {
        2 => "SIGINT",
        15 => "SIGTERM",
        _ => "a signal",
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, Read};
    use std::sync::PoisonError;
    use std::sync::atomic::Ordering;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use serde_json::Map;
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::exit;

    use super::{Phase, Stop, name};
    use crate::failure::Failure;
    use crate::output::{Output, complain};

    /// How often a command that waits for bytes looks whether it has to stop.
    const PATIENCE: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };

    impl Stop {
        /// Begins to take the signals. `json` says how a process that ends at once says so.
        pub(crate) fn watch(json: bool) -> Self {
            let stop = Self::default();
            let watched = stop.clone();
            let started = Signals::new([SIGINT, SIGTERM]).and_then(|mut signals| {
                let thread = std::thread::Builder::new().name("signals".to_owned());
                thread.spawn(move || {
                    for signal in signals.forever() {
                        watched.take(signal, json);
                    }
                })
            });
            if let Err(error) = started {
                tracing::warn!(%error, "signals end this process without a word");
            }
            stop
        }

        fn take(&self, signal: i32, json: bool) {
            let code = 128 + signal;
            // What the first signal asked for may hang. This `exit` runs no `atexit` handlers, which could hang as well.
            if self.is_asked() {
                exit(code);
            }
            // Held to the end: the command must not begin to write meanwhile, nor end before this is said. One thread takes all signals.
            let phase = self.0.phase.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.signal.store(signal, Ordering::Release);
            match *phase {
                Phase::AtOnce(detail) => {
                    let failure: Failure = self.stopped(detail, Map::new());
                    Output::new(json, Self::default()).failure(&failure);
                    exit(code);
                }
                Phase::InOrder => complain(&format!(
                    "{}: finishing what is under way; another one ends it at once",
                    name(signal)
                )),
            }
        }
    }

    /// A file, or a stream whose bytes are waited for only until the process is asked to stop.
    pub(crate) struct Stoppable {
        file: File,
        may_wait: bool,
        stop: Stop,
    }

    impl Stoppable {
        pub(crate) fn new(file: File, stop: Stop) -> Self {
            // `poll` calls regular files ready at any time (poll(2)), so only streams can be waited for.
            let may_wait = file.metadata().is_ok_and(|found| !found.is_file());
            Self {
                file,
                may_wait,
                stop,
            }
        }

        /// Until there are bytes, or the end.
        fn wait(&self) -> io::Result<()> {
            while !self.stop.is_asked() {
                let mut file = [PollFd::new(&self.file, PollFlags::IN)];
                match poll(&mut file, Some(&PATIENCE)) {
                    Ok(0) | Err(Errno::INTR) => {}
                    Ok(_) => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
            }
            Err(io::Error::other("stopped while waiting for bytes"))
        }
    }

    impl Read for Stoppable {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.may_wait {
                self.wait()?;
            }
            self.file.read(buffer)
        }
    }
}

#[cfg(unix)]
pub(crate) use self::unix::Stoppable;

#[cfg(not(unix))]
mod elsewhere {
    use std::fs::File;
    use std::io::{self, Read};

    use super::Stop;

    impl Stop {
        /// There are no such signals here.
        pub(crate) fn watch(_json: bool) -> Self {
            Self::default()
        }
    }

    /// A file.
    pub(crate) struct Stoppable(File);

    impl Stoppable {
        pub(crate) fn new(file: File, _stop: Stop) -> Self {
            Self(file)
        }
    }

    impl Read for Stoppable {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }
}

#[cfg(not(unix))]
pub(crate) use self::elsewhere::Stoppable;
