//! Admitting transactions one by one, as they come from clients: through [`Engine::submit`], each waited for.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use hubledger::engine::{Admission, Engine, Ticket, WhenFull};
use hubledger::model::Transaction;
use hubledger_storage::{Store, StoreUrl};

use super::chain::Chain;
use super::import::{Setup, Stage, stages};
use crate::clock::Times;

/// Transactions that are handed on together, at most.
const BATCH: usize = 64;
/// Batches whose verdicts somebody waits for, at most; the engine has a bound of its own.
const BATCHES_WAITING_MAX: usize = 1 << 10;
/// The load at which latencies are taken, by the highest rate.
pub(super) const LOAD: f64 = 0.8;
/// The same in words.
pub(crate) const LATENCY_OF: &str = "admission at 80 % of the highest rate";
/// The generator of load doesn't sleep for less, since it would only keep a core busy.
const PAUSE_MIN: Duration = Duration::from_micros(100);

/// Transactions that were submitted together, each with the time at which its turn was.
type Submitted = Vec<(Instant, Ticket<Admission>)>;

/// Submits transactions from this thread, each at its time: the first now, each other `interval` after the one before. What
/// is due and wasn't submitted is submitted at once, however late; with no interval, that is everything. `each` gets the time
/// from when a transaction was due, not from when it was submitted, to its verdict: so that an engine which stops for a
/// while is charged for everybody who comes meanwhile.
///
/// # Errors
/// A transaction was not admitted.
pub(crate) fn submit_all(
    engine: &Engine,
    transactions: &[Transaction],
    interval: Duration,
    each: impl FnMut(Duration) + Send,
) -> Result<Times> {
    let (admitted, times) = Times::of(|| {
        let (sender, receiver) = sync_channel(BATCHES_WAITING_MAX);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| await_verdicts(receiver, each));
            let submitted = on_schedule(interval, transactions.len(), |due| {
                let submit = |(due, number): (Instant, usize)| -> Result<_> {
                    let transaction = transactions[number].clone();
                    Ok((due, engine.submit(transaction, WhenFull::Wait)?))
                };
                let batch = due.map(submit).collect::<Result<Submitted>>()?;
                sender
                    .send(batch)
                    .map_err(|_| anyhow!("nobody waits any more"))
            });
            drop(sender);
            let waited = waiting
                .join()
                .map_err(|_| anyhow!("waiting for verdicts"))?;
            // Why nobody waits any more says more than that nobody does.
            waited.and(submitted)
        })
    });
    admitted?;
    Ok(times)
}

/// Hands out the numbers below `count` with the times at which they are due, in batches of those that are.
fn on_schedule(
    interval: Duration,
    count: usize,
    mut submit: impl FnMut(&mut dyn Iterator<Item = (Instant, usize)>) -> Result<()>,
) -> Result<()> {
    let started = Instant::now();
    let due = |number: usize| started + interval.mul_f64(number as f64);
    let mut next = 0;
    while next < count {
        let now = Instant::now();
        let end = (next..count.min(next + BATCH)).find(|&number| due(number) > now);
        let end = end.unwrap_or(count.min(next + BATCH));
        if end == next {
            thread::sleep(due(next).duration_since(now).max(PAUSE_MIN));
            continue;
        }
        submit(&mut (next..end).map(|number| (due(number), number)))?;
        next = end;
    }
    Ok(())
}

/// Waits for verdicts in the order in which they come, which is that of the submissions.
fn await_verdicts(batches: Receiver<Submitted>, mut each: impl FnMut(Duration)) -> Result<()> {
    for (due, ticket) in batches.into_iter().flatten() {
        let verdict = ticket.wait()?;
        each(due.elapsed());
        verdict
            .map_err(|fault| anyhow!("{}", fault.detail))
            .context("not admitted")?;
    }
    Ok(())
}

/// The highest rate of admission, and the latencies below it.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// All at once: the highest rate.
    pub(crate) flood: Times,
    /// Of the flood.
    pub(crate) stages: Vec<Stage>,
    /// Transactions a second in the flood.
    pub(crate) highest: f64,
    /// At [`LOAD`] of the highest rate, on schedule.
    pub(crate) latencies: Vec<Duration>,
}

/// Has all of a chain's transactions admitted twice, each time by a fresh engine: all at once, then at [`LOAD`] of that rate.
pub(crate) fn admit(chain: &Chain, setup: &Setup) -> Result<Admitted> {
    let engine = setup.engine(chain, memory()?)?;
    let flood = submit_all(&engine, &chain.alone, Duration::ZERO, |_| ())?;
    let stages = stages(&engine.metrics());
    engine.shutdown()?;
    drop(engine);
    let highest = chain.transactions as f64 / flood.wall;
    let engine = setup.engine(chain, memory()?)?;
    let mut latencies = Vec::with_capacity(chain.alone.len());
    let interval = Duration::from_secs_f64(1.0 / (LOAD * highest));
    submit_all(&engine, &chain.alone, interval, |took| latencies.push(took))?;
    engine.shutdown()?;
    Ok(Admitted {
        flood,
        stages,
        highest,
        latencies,
    })
}

/// Admission keeps nothing.
fn memory() -> Result<Store> {
    Ok("memory:".parse::<StoreUrl>()?.create()?)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use hubledger::generate::Recipe;
    use hubledger_storage::Durability;

    use super::*;

    #[test]
    fn a_schedule_hands_out_every_number_once_and_none_before_its_time() {
        for interval in [Duration::ZERO, Duration::from_micros(30)] {
            let (seen, started) = (RefCell::new(Vec::new()), Instant::now());
            on_schedule(interval, 3 * BATCH + 1, |due| {
                let now = Instant::now();
                for (due, number) in due {
                    assert!(due <= now && due >= started + interval.mul_f64(number as f64));
                    seen.borrow_mut().push(number);
                }
                Ok(())
            })
            .expect("nothing fails");
            assert!(seen.into_inner().into_iter().eq(0..=3 * BATCH));
        }
    }

    #[test]
    fn a_chain_is_admitted_with_a_latency_for_each_transaction() {
        let recipe = Recipe {
            transactions: 300,
            keys: 3,
            ..Recipe::default()
        };
        let chain = Chain::generate(recipe).expect("a good recipe");
        let setup = Setup::new(2, Durability::Memory).expect("there is a path");
        let admitted = admit(&chain, &setup).expect("all are good");
        assert_eq!(admitted.latencies.len(), 300);
        assert!(admitted.highest > 0.0 && admitted.stages.iter().any(|stage| stage.busy_s > 0.0));
        let engine = setup
            .engine(&chain, memory().expect("a store"))
            .expect("an engine");
        let twice = [chain.alone[0].clone(), chain.alone[0].clone()];
        let error = submit_all(&engine, &twice, Duration::ZERO, |_| ()).expect_err("a duplicate");
        assert!(format!("{error:#}").contains("not admitted"), "{error:#}");
    }
}
