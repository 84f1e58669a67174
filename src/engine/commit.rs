//! The thread that commits: it takes what is settled in order, commits groups of it, and only then lets anybody know. While
//! it waits for the disk, the next group gathers.
//!
//! Only [`ValidBlock`](crate::rules::ValidBlock)s come here, and the receipts of their commits go out with the answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hubledger_storage::Receipt;

use super::EngineError;
use super::advance::advance;
use super::chain::{Settled, Verdict};
use super::channel::{Receiver, RecvTimeoutError};
use super::end::End;
use super::error::message_of;
use super::message::{Command, Pruning};
use super::metrics::{Load, Stage};
use super::parcel::Outcome;
use super::shared::Shared;
use super::subscription::Event;
use super::ticket::Promise;
use crate::ledger::LedgerError;

/// Settled parcels that are committed together.
#[derive(Default)]
struct Group {
    parcels: Vec<Settled>,
    blocks: usize,
    bytes: usize,
}

impl Group {
    fn push(&mut self, settled: Settled) {
        self.blocks += settled.valid.len();
        self.bytes += settled.parcel.bytes;
        self.parcels.push(settled);
    }
}

/// What callers wait for, at most one of each: whoever asks for one waits for it before anybody else may. Outside of what may
/// panic, so that they learn the reason.
#[derive(Default)]
struct Asked {
    pruning: Option<Pruning>,
    sync: Option<Promise<Receipt>>,
}

/// Commits until it is told to stop.
pub(super) fn run(shared: &Shared, mut committer: End, commands: &Receiver<Command>) {
    let mut next = None;
    let mut asked = Asked::default();
    loop {
        let waiting = Instant::now();
        let Some(command) = next.take().or_else(|| commands.recv().ok()) else {
            return;
        };
        shared.meters.commit_idle.add(waiting.elapsed());
        if shared.latch.is_set() {
            // Whoever waits for an answer learns why there is none.
            asked = Asked::default();
            match command {
                Command::Stop(..) => return,
                _ => continue,
            }
        }
        let is_last = matches!(command, Command::Stop(..));
        // Outside of what may panic, so that those who wait for it learn the reason.
        let mut group = Group::default();
        let done = catch_unwind(AssertUnwindSafe(|| match command {
            Command::Settled(settled) => {
                next = gather(shared, settled, &mut group, commands);
                commit(shared, &mut committer, &mut group)?;
                if committer.wants_snapshot() || committer.is_pruning_due() {
                    ask_for_snapshot(shared);
                }
                Ok(())
            }
            command => obey(shared, &mut committer, &mut asked, command),
        }));
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => shared.fail(EngineError::from(error)),
            Err(payload) => shared.fail(EngineError::Panicked {
                stage: Stage::Commit,
                message: message_of(payload),
            }),
        }
        if is_last {
            return;
        }
    }
}

/// Has whoever rules hand over the state, once no block is ruled that isn't settled.
fn ask_for_snapshot(shared: &Shared) {
    if !shared.snapshot_is_due.swap(true, Ordering::AcqRel) {
        advance(shared);
    }
}

/// A command that is no block.
fn obey(
    shared: &Shared,
    committer: &mut End,
    asked: &mut Asked,
    command: Command,
) -> Result<(), LedgerError> {
    match command {
        Command::Settled(_) | Command::Failed => {}
        Command::Snapshot(state) => {
            let now_us = shared.clock.now_us();
            committer.put_snapshot(state.clone())?;
            if let Some(pruning) = &mut asked.pruning {
                let report = committer.prune(pruning, now_us, &|| state.clone());
                if let (Some(report), Some(pruning)) = (report, asked.pruning.take()) {
                    pruning.answer.fulfil(report.map_err(EngineError::from));
                }
            }
            committer.retain(now_us, &|| state.clone())?;
        }
        Command::Prune(pruning) => {
            asked.pruning = Some(*pruning);
            ask_for_snapshot(shared);
        }
        Command::Sync(answer) => sync(shared, committer, asked, answer)?,
        Command::Stop(state, answer) => {
            if let Some(state) = state.filter(|_| committer.has_news()) {
                committer.put_snapshot(state)?;
            }
            sync(shared, committer, asked, answer)?;
        }
    }
    Ok(())
}

fn sync(
    shared: &Shared,
    committer: &mut End,
    asked: &mut Asked,
    answer: Promise<Receipt>,
) -> Result<(), LedgerError> {
    asked.sync = Some(answer);
    let receipt = committer.sync()?;
    shared.watermark.advance(&receipt);
    if let Some(answer) = asked.sync.take() {
        answer.fulfil(receipt);
    }
    Ok(())
}

/// Takes in what is settled until the group is large enough, nothing more is on its way, or its first parcel has waited long
/// enough; gives a command of another kind that came next.
fn gather(
    shared: &Shared,
    first: Settled,
    group: &mut Group,
    commands: &Receiver<Command>,
) -> Option<Command> {
    let settings = &shared.settings;
    let deadline = Instant::now() + settings.group_linger;
    group.push(first);
    while group.bytes < settings.group_bytes && group.blocks < settings.group_blocks {
        let waiting = Instant::now();
        let is_more_coming = shared.in_flight() > group.parcels.len();
        let command = match commands.try_recv() {
            Ok(command) => Ok(command),
            Err(_) if is_more_coming => {
                // Looks again now and then: what was on its way may turn out invalid or be cancelled.
                let patience = deadline.saturating_duration_since(waiting);
                commands.recv_timeout(patience.min(Duration::from_millis(1)))
            }
            Err(_) => break,
        };
        shared.meters.commit_idle.add(waiting.elapsed());
        match command {
            Ok(Command::Settled(settled)) => group.push(settled),
            Ok(other) => return Some(other),
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
            Err(_) => break,
        }
    }
    None
}

fn commit(shared: &Shared, committer: &mut End, group: &mut Group) -> Result<(), LedgerError> {
    shared.probe(Stage::Commit);
    let _span =
        tracing::debug_span!("commit", blocks = group.blocks, bytes = group.bytes).entered();
    let started = Instant::now();
    let on_processor = thread_time();
    let mut receipt = None;
    if group.blocks > 0 {
        let committed = group.parcels.iter().flat_map(|settled| &settled.valid);
        receipt = Some(committer.commit(committed)?);
        let (whole, working) = (
            started.elapsed(),
            thread_time().saturating_sub(on_processor),
        );
        shared.meters.commit(whole, whole.saturating_sub(working));
    }
    let transactions = group.parcels.iter().flat_map(|settled| &settled.valid);
    let load = Load {
        blocks: group.blocks as u64,
        transactions: transactions
            .map(|valid| u64::from(valid.block().header().transaction_count))
            .sum(),
        bytes: group.bytes as u64,
    };
    shared.meters.stage(Stage::Commit, started, load);
    if let Some(receipt) = &receipt {
        shared.watermark.advance(receipt);
    }
    let mut head = None;
    for settled in group.parcels.drain(..) {
        answer(shared, settled, receipt, &mut head);
    }
    if let Some(head) = head {
        shared.subscribers.tell(&head);
    }
    Ok(())
}

/// Lets the caller and the subscribers know what became of a parcel. Its memory is free after that.
fn answer(shared: &Shared, settled: Settled, receipt: Option<Receipt>, head: &mut Option<Event>) {
    let mut valid = settled.valid.iter().map(|valid| valid.block());
    let outcomes = settled.verdicts.into_iter().filter_map(|verdict| {
        let outcome = match verdict {
            Verdict::Final(outcome) => outcome,
            Verdict::Valid => {
                let (block, receipt) = (valid.next()?, receipt?);
                let (height, hash) = (block.height(), block.hash());
                *head = Some(Event::Head { height, hash });
                Outcome::Committed {
                    height,
                    hash,
                    transactions: block.header().transaction_count,
                    receipt,
                }
            }
        };
        match &outcome {
            Outcome::Committed {
                height,
                hash,
                transactions,
                receipt,
            } => shared.subscribers.tell(&Event::Committed {
                height: *height,
                hash: *hash,
                transactions: *transactions,
                receipt: *receipt,
            }),
            Outcome::Rejected(rejected) => {
                shared.subscribers.tell(&Event::Rejected(rejected.clone()));
            }
            Outcome::Held { .. } => {}
        }
        Some(outcome)
    });
    let outcomes = outcomes.collect();
    shared.parcels.fetch_sub(1, Ordering::AcqRel);
    let answer = settled.parcel.take_answer();
    drop(settled.valid);
    drop(settled.parcel);
    if let Some(answer) = answer {
        answer.fulfil(outcomes);
    }
}

/// Time that this thread spent on a processor.
#[cfg(target_os = "linux")]
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Not known here: a commit then counts as work.
#[cfg(not(target_os = "linux"))]
fn thread_time() -> Duration {
    Duration::ZERO
}
