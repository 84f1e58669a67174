//! A log that is written by itself: what an engine prunes and refuses.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use hubledger::clock::Clock;
use hubledger::engine::{Engine, Event, Subscription};

use super::ration::Ration;
use super::{LocalAct, LocalError, LocalLog};

/// Events that wait to be written down; of more, the oldest are lost, and the log says how many.
const EVENTS_WAITING: usize = 1024;

/// A thread that writes into a [`LocalLog`] what an engine prunes, and which blocks it refuses: at most
/// [`REJECTIONS_A_MINUTE`](super::REJECTIONS_A_MINUTE) one by one, the others by their number. It ends with the engine, or at an error of the
/// file, which [`Watch::finish`] gives; the engine never waits for it.
#[derive(Debug)]
pub struct Watch {
    thread: JoinHandle<Result<LocalLog, LocalError>>,
}

impl Watch {
    /// Begins to write down what happens from now on, with times by `clock`.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(engine: &Engine, log: LocalLog, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let events = engine.subscribe(EVENTS_WAITING);
        let thread = thread::Builder::new().name("audit".to_owned());
        let thread = thread.spawn(move || write_all(&events, log, &*clock))?;
        Ok(Self { thread })
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until the engine has stopped and everything is written, and gives the log back.
    ///
    /// # Errors
    /// The file couldn't be written.
    pub fn finish(self) -> Result<LocalLog, LocalError> {
        match self.thread.join() {
            Ok(written) => written,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn write_all(
    events: &Subscription,
    mut log: LocalLog,
    clock: &dyn Clock,
) -> Result<LocalLog, LocalError> {
    let mut ration = Ration::default();
    while let Some(event) = events.next() {
        let time = clock.now_us();
        if let Some(count) = ration.left_out(time) {
            log.append(time, &LocalAct::left_out(count))?;
        }
        let act = match event {
            Event::Rejected {
                rejected,
                claimed_producer,
            } if ration.takes(time) => {
                LocalAct::rejected(&claimed_producer.unwrap_or_default(), &rejected)
            }
            Event::Pruned(report) => LocalAct::pruned(&report),
            Event::Lagged(count) => LocalAct::lost(count),
            _ => continue,
        };
        log.append(time, &act)?;
    }
    if let Some(count) = ration.rest() {
        log.append(clock.now_us(), &LocalAct::left_out(count))?;
    }
    Ok(log)
}
