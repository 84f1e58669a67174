//! Making blocks without being asked for each: when what waits fills one, when one is due by the chain's block time, and when
//! somebody asks.
//!
//! A producer has a thread, which is no thread of the engine's: it calls [`Engine::produce`] as any caller would, so a shutdown waits for
//! the block that is being made and lets no other begin. It ends when the engine stops, and holds the engine only while it
//! makes a block.
//!
//! ```
//! use std::sync::Arc;
//!
//! use hubledger::engine::{Engine, Outcome, Producer, ProducerSettings};
//! use hubledger::signature::KeyPair;
//! # use hubledger::spec::ChainSpec;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let spec = ChainSpec::from_toml(&format!(
//! #     "name = \"mine\"\ngenesis_time = 1\n[consensus]\nkind = \"proof_of_authority\"\n\
//! #      [[consensus.authorities]]\nname = \"hub\"\nkey = \"{}\"\n",
//! #     KeyPair::from_seed(&[7; 32]).public_key()
//! # ))?;
//! # let store = "memory:".parse::<hubledger_storage::StoreUrl>()?.create()?;
//! let engine = Arc::new(Engine::builder().create(store, &spec)?);
//! let key = KeyPair::from_seed(&[7; 32]); // or KeyPair::read_pem("hub.pem")
//! let producer = Producer::start(&engine, key, ProducerSettings::default())?;
//! // Blocks come as transactions do, from here on. One right now:
//! assert!(matches!(producer.ask().wait()??, Outcome::Committed(_)));
//! assert_eq!(producer.report().blocks, 1);
//! engine.shutdown()?; // and the producer ends
//! # Ok(())
//! # }
//! ```

use std::borrow::Borrow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Weak};
use std::time::Duration;

use super::bell::{Bell, Listener};
use super::error::message_of;
use super::pace::{Pace, Seen, Step};
use super::shared::Shared;
use super::sync::thread::{self, JoinHandle};
use super::sync::{Arc, lock, lock_std};
use super::ticket::{Promise, ticket};
use super::{Engine, EngineError, Outcome, Ticket};
use crate::format::signature::KeyPair;

/// How long the thread sleeps at most while a block is due at some time, since the injected time may pass at any speed.
const GLANCE: Duration = Duration::from_millis(1);

/// How a producer is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerSettings {
    /// Whether a block is made when one is due and nothing waits for it; what the specification says
    /// ([`Terms::empty_blocks`](crate::format::spec::Terms::empty_blocks)) if it isn't said here. One that is asked for is made in any case.
    pub makes_empty: Option<bool>,
    /// How long it waits after a block couldn't be made, by the engine's timer. After some tries it waits until another block
    /// comes or somebody asks.
    pub retry: Duration,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            makes_empty: None,
            retry: Duration::from_secs(1),
        }
    }
}

/// What became of a block that somebody asked for.
pub type Production = Result<Outcome, EngineError>;

/// What a producer did so far.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ProducerReport {
    /// Blocks that it made.
    pub blocks: u64,
    /// How often none could be made …
    pub failures: u64,
    /// … and why not, the last time.
    pub last_failure: Option<EngineError>,
    /// Whether it has given up until another block comes or somebody asks.
    pub has_given_up: bool,
}

/// Makes blocks as long as it lives and the engine goes on. See the [module](super).
pub struct Producer {
    control: Arc<Control>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread shares with whoever has the producer.
struct Control {
    shared: Arc<Shared>,
    bell: Arc<Bell>,
    is_stopped: AtomicBool,
    /// Who asks for a block; nothing once the thread has ended.
    asked: super::sync::Mutex<Option<Vec<Promise<Production>>>>,
    report: Mutex<ProducerReport>,
}

impl Producer {
    /// Begins to make blocks with `key`, whenever a block is full, when one is due a block time after the last
    /// ([`Terms::block_time_us`](crate::format::spec::Terms::block_time_us); with 0, none is due by time), and when one is
    /// [asked for](Producer::ask). Whether it is this key's turn is for the consensus to say: a block that may not be made counts as a
    /// failure, and is tried again when another one came.
    ///
    /// # Errors
    /// The engine failed or was shut down; no thread can be started.
    pub fn start(
        engine: &Arc<Engine>,
        key: impl Borrow<KeyPair> + Send + 'static,
        settings: ProducerSettings,
    ) -> Result<Self, EngineError> {
        let shared = Arc::clone(&engine.shared);
        shared.latch.check()?;
        let (bell, listener) = shared.bells.add();
        let control = Arc::new(Control {
            shared,
            bell,
            is_stopped: AtomicBool::new(false),
            asked: super::sync::Mutex::new(Some(Vec::new())),
            report: Mutex::default(),
        });
        let (engine, own) = (Arc::downgrade(engine), Arc::clone(&control));
        let thread = thread::Builder::new().name("hubledger-produce".to_owned());
        let thread = thread.spawn(move || {
            run(&engine, &own, &listener, key.borrow(), settings);
            // Dropped promises answer with the reason why the engine stopped.
            let asked = lock(&own.asked).take();
            drop(asked);
        });
        let thread = thread.map_err(|error| EngineError::Threads(Arc::new(error)))?;
        Ok(Self {
            control,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Asks for a block now, which may be empty.
    #[must_use]
    pub fn ask(&self) -> Ticket<Production> {
        let (promise, ticket) = ticket(&self.control.shared.latch);
        let mut asked = lock(&self.control.asked);
        let unheard = match &mut *asked {
            Some(asked) => {
                asked.push(promise);
                None
            }
            // Nobody will answer: dropping it does.
            None => Some(promise),
        };
        drop(asked);
        drop(unheard);
        self.control.bell.ring();
        ticket
    }

    /// What it did so far.
    #[must_use]
    pub fn report(&self) -> ProducerReport {
        lock_std(&self.control.report).clone()
    }

    /// Makes no more blocks, and waits for the one that is being made. Not for a thread of the engine, such as a waker is called in:
    /// the block may need it.
    pub fn stop(self) {
        self.control.stop();
        let thread = lock_std(&self.thread).take();
        if let Some(thread) = thread {
            // What panics there is caught there.
            let _ = thread.join();
        }
    }
}

/// Makes no more blocks; the one that is being made comes.
impl Drop for Producer {
    fn drop(&mut self) {
        self.control.stop();
    }
}

impl Control {
    fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.bell.ring();
    }

    fn is_over(&self) -> bool {
        // Closed by a shutdown and by a failure, before the bells are rung.
        self.is_stopped.load(Ordering::SeqCst) || self.shared.memory.is_closed()
    }

    fn see(&self) -> Seen {
        let shared = &self.shared;
        let end = shared.committed_end();
        let in_force = shared.in_force();
        let pool = lock(&shared.pool);
        Seen {
            end,
            block_time_us: in_force.block_time_us,
            is_asked: lock(&self.asked)
                .as_ref()
                .is_some_and(|asked| !asked.is_empty()),
            is_full: pool.fills(
                in_force.limits.transactions_max as usize,
                in_force.limits.body_bytes_max as usize,
            ),
            has_ready: pool.has_ready(),
        }
    }
}

fn run(
    engine: &Weak<Engine>,
    control: &Control,
    listener: &Listener,
    key: &KeyPair,
    settings: ProducerSettings,
) {
    let shared = &control.shared;
    let retry_us = u64::try_from(settings.retry.as_micros()).unwrap_or(u64::MAX);
    let (end, now_us) = (shared.committed_end(), shared.steady_us());
    let by_specification = shared.spec.at(end).terms.empty_blocks;
    let makes_empty = settings.makes_empty.unwrap_or(by_specification);
    let mut pace = Pace::new(makes_empty, retry_us, end, now_us);
    while !control.is_over() {
        // A timer that panicked has stopped the engine.
        let now_us = shared.steady_us();
        match pace.step(control.see(), now_us) {
            Step::Wait(None) => listener.wait(None),
            Step::Wait(Some(until_us)) => {
                let left = Duration::from_micros(until_us - now_us);
                listener.wait(Some(left.min(GLANCE)));
            }
            Step::Make { may_be_empty } => {
                // Taken before the block is begun: who asks from now on wants another one.
                let asked = lock(&control.asked).as_mut().map(std::mem::take);
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                let made = make(&engine, key, may_be_empty);
                drop(engine);
                note(control, &mut pace, &made);
                for promise in asked.into_iter().flatten() {
                    match &made {
                        Ok(Some(outcome)) => promise.fulfil(Ok(outcome.clone())),
                        // Whoever asks gets one that may be empty.
                        Ok(None) => drop(promise),
                        Err(error) => promise.fulfil(Err(error.clone())),
                    }
                }
            }
        }
    }
}

fn make(
    engine: &Engine,
    key: &KeyPair,
    may_be_empty: bool,
) -> Result<Option<Outcome>, EngineError> {
    // The clock is the caller's, and nobody else is there to hear of its panic.
    let made = catch_unwind(AssertUnwindSafe(|| {
        engine.produce_if(key, |transactions| may_be_empty || !transactions.is_empty())
    }));
    made.unwrap_or_else(|payload| {
        let message = message_of(payload);
        Err(EngineError::Produce(format!("it panicked: {message}")))
    })
}

fn note(control: &Control, pace: &mut Pace, made: &Result<Option<Outcome>, EngineError>) {
    let now_us = control.shared.steady_us();
    let mut report = lock_std(&control.report);
    match made {
        Ok(Some(_)) => {
            report.blocks += 1;
            report.has_given_up = false;
        }
        Ok(None) => pace.found_nothing(now_us),
        Err(error) => {
            report.failures += 1;
            report.has_given_up = !pace.failed(now_us);
            report.last_failure = Some(error.clone());
            let has_given_up = report.has_given_up;
            drop(report);
            tracing::warn!(%error, has_given_up, "no block could be made");
        }
    }
}
