//! The thread that commits: it takes what is settled in order, commits groups of it, and only then lets anybody know. While
//! it waits for the disk, the next group gathers.
//!
//! Only [`ValidBlock`](crate::rules::ValidBlock)s come here, and the receipts of their commits go out with the answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hubledger_storage::{Durability, Receipt};

use super::EngineError;
use super::chain::{Settled, Verdict};
use super::channel::{Receiver, RecvTimeoutError};
use super::end::End;
use super::error::message_of;
use super::feed::{FeedError, Start, locate};
use super::message::{Command, Job, Pruning, Registering, Replacing};
use super::metrics::{Load, Stage};
use super::parcel::{Committed, Outcome, Parcel};
use super::registry::Claim;
use super::shared::{Shared, Written};
use super::subscription::Event;
use super::sync::lock;
use super::ticket::Promise;
use crate::ledger::{LedgerError, PruneReport, StateAt};
use crate::rules::ValidBlock;

/// What registered followers have finished goes into the store with a commit, but no more often than this: a commit of a few
/// blocks should not cost a second write.
const POSITIONS_LINGER: Duration = Duration::from_millis(100);

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
    registering: Option<Promise<Result<Claim, EngineError>>>,
    replacing: Option<Promise<Receipt>>,
    branches: Option<Promise<()>>,
}

/// Commits until it is told to stop.
pub(super) fn run(shared: &Shared, mut end: End, commands: &Receiver<Command>) {
    let mut next = None;
    let mut asked = Asked::default();
    let mut positions_put = Instant::now();
    loop {
        let waiting = Instant::now();
        let Some(command) = next.take().or_else(|| commands.recv().ok()) else {
            return;
        };
        shared.meters.commit_idle.add(waiting.elapsed());
        if shared.latch.is_set() {
            // Dropped promises answer with the reason of the failure.
            asked = Asked::default();
            match command {
                Command::Stop(..) => return,
                _ => continue,
            }
        }
        let is_last = matches!(command, Command::Stop(..));
        // Outside of what may panic: if unwinding dropped these promises, they would answer before the reason is noted.
        let mut group = Group::default();
        // A thread that died here would leave everybody who waits for a commit without an answer.
        let done = catch_unwind(AssertUnwindSafe(|| match command {
            Command::Settled(settled) => {
                next = gather(shared, settled, &mut group, commands);
                commit(shared, &mut end, &mut group)?;
                if shared.registry.has_news() && positions_put.elapsed() >= POSITIONS_LINGER {
                    positions_put = Instant::now();
                    put_positions(shared, &mut end)?;
                }
                let is_due = end.is_pruning_due() || shared.has_much_unsaved();
                if end.wants_snapshot() || is_due && !end.expects_snapshot() {
                    ask_for_snapshot(shared, &mut end);
                }
                Ok(())
            }
            command => obey(shared, &mut end, &mut asked, command),
        }));
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => shared.fail(EngineError::from(error)),
            Err(payload) => shared.fail(EngineError::Panicked {
                stage: Stage::Commit,
                message: message_of(payload),
            }),
        }
        // Also after a failure: nothing comes behind it, and the shutdown waits for this thread.
        if is_last {
            return;
        }
    }
}

/// Has whoever rules hand over the state, once no block is ruled that isn't settled.
fn ask_for_snapshot(shared: &Shared, end: &mut End) {
    end.expect_snapshot();
    shared.snapshot_is_due.store(true, Ordering::Release);
    // Ruling is left to the workers. If their lane has no room they are busy, and look for the request after each job.
    let _ = shared.lane.try_push_urgent(Job::Advance);
}

/// Carries out a command.
fn obey(
    shared: &Shared,
    end: &mut End,
    asked: &mut Asked,
    command: Command,
) -> Result<(), LedgerError> {
    match command {
        Command::Settled(_) | Command::Failed => {}
        Command::Snapshot {
            state,
            end: taken_at,
        } => {
            let now_us = shared.clock.now_us();
            // Pruning goes by what the store says of followers, so that no crash finds one below the floor.
            put_positions(shared, end)?;
            end.put_snapshot(state.clone())?;
            let encoded = state;
            let state = StateAt::encoded(&encoded, taken_at);
            // It stays in its place until it is done: if pruning panics, the promise must outlive the noting of the reason.
            if let Some(pruning) = &mut asked.pruning
                && pruning.committed <= taken_at
                && let Some(report) = end.prune(pruning, now_us, state)
                && let Some(pruning) = asked.pruning.take()
            {
                if let Ok(report) = &report {
                    tell_pruned(shared, report);
                }
                pruning.answer.fulfil(report.map_err(EngineError::from));
            }
            if asked.pruning.is_some() {
                ask_for_snapshot(shared, end);
            }
            if let Some(report) = end.prune_if_due(now_us, state)? {
                tell_pruned(shared, &report);
            }
            // Before whoever rules takes that up: pages that a copy shares can't be given up.
            drop(encoded);
            let written = end.take_written().map(Written::Pages);
            if written.is_some() || shared.has_all_unsaved() {
                *lock(&shared.written) = Some(written.unwrap_or(Written::Nothing));
                // Rules may wait for it, if what is unsaved had become too much.
                let _ = shared.lane.try_push_urgent(Job::Advance);
            }
            // What changed since that state was handed over may be too much by itself. Nothing more is ruled then, so that no
            // block would come after which it is asked for.
            if shared.has_all_unsaved() && !end.expects_snapshot() {
                ask_for_snapshot(shared, end);
            }
        }
        Command::Prune(pruning) => {
            asked.pruning = Some(Pruning {
                committed: shared.committed_end(),
                ..*pruning
            });
            // A snapshot that is on its way may be of an earlier block; when it comes, another one is asked for.
            if !end.expects_snapshot() {
                ask_for_snapshot(shared, end);
            }
        }
        Command::Register(Registering {
            name,
            start,
            answer,
        }) => {
            asked.registering = Some(answer);
            let changed = register(shared, end, &name, start)?;
            if let Some(answer) = asked.registering.take() {
                answer.fulfil(changed);
            }
        }
        Command::Replace(replacing) => replace(shared, end, asked, *replacing)?,
        Command::Branches(changed, answer) => {
            asked.branches = Some(answer);
            end.keep_branches(changed)?;
            if let Some(answer) = asked.branches.take() {
                answer.fulfil(());
            }
        }
        Command::Sync(answer) => sync(shared, end, asked, answer)?,
        Command::Stop(state, answer) => {
            if let Some(state) = state.filter(|_| end.has_news()) {
                end.put_snapshot(state)?;
            }
            // What is acknowledged from now on is refused, and all before is kept.
            shared.registry.close();
            sync(shared, end, asked, answer)?;
        }
    }
    Ok(())
}

/// Puts a branch in the place of some of the chain's blocks, and lets everybody know.
fn replace(
    shared: &Shared,
    end: &mut End,
    asked: &mut Asked,
    replacing: Replacing,
) -> Result<(), LedgerError> {
    let Replacing {
        common,
        valid,
        replaced,
        answer,
    } = replacing;
    asked.replacing = Some(answer);
    let receipt = end.change_branch(common, &valid, &replaced)?;
    shared.recent.push(valid.iter().map(ValidBlock::block));
    match replaced.is_empty() {
        true => shared.watermark.advance(&receipt),
        false => shared.watermark.replace(common, &receipt),
    }
    for block in replaced.iter().rev() {
        let (height, hash) = (block.height(), block.hash());
        shared.subscribers.tell(&Event::Reverted { height, hash });
    }
    for block in valid.iter().map(ValidBlock::block) {
        let (height, hash) = (block.height(), block.hash());
        shared.subscribers.tell(&Event::Committed(Committed {
            height,
            hash,
            transactions: block.header().transaction_count,
            receipt,
        }));
    }
    if let Some(last) = valid.last().map(ValidBlock::block) {
        let (height, hash) = (last.height(), last.hash());
        shared.subscribers.tell(&Event::Head { height, hash });
    }
    if let Some(answer) = asked.replacing.take() {
        answer.fulfil(receipt);
    }
    let is_due = end.is_pruning_due() || shared.has_much_unsaved();
    if end.wants_snapshot() || is_due && !end.expects_snapshot() {
        ask_for_snapshot(shared, end);
    }
    Ok(())
}

fn sync(
    shared: &Shared,
    end: &mut End,
    asked: &mut Asked,
    answer: Promise<Receipt>,
) -> Result<(), LedgerError> {
    asked.sync = Some(answer);
    put_positions(shared, end)?;
    let receipt = end.sync()?;
    shared.watermark.advance(&receipt);
    if let Some(answer) = asked.sync.take() {
        answer.fulfil(receipt);
    }
    Ok(())
}

/// Puts into the store what registered followers have finished, if there is news.
fn put_positions(shared: &Shared, end: &mut End) -> Result<(), LedgerError> {
    match shared.registry.take_news() {
        Some(followers) => end.put_followers(&followers, Durability::Os),
        None => Ok(()),
    }
}

/// Registers, moves or removes a follower. Here, where nothing is pruned meanwhile. An error of the answer is about what was asked;
/// one of the call means that the store failed.
fn register(
    shared: &Shared,
    end: &mut End,
    name: &str,
    start: Option<Start>,
) -> Result<Result<Claim, EngineError>, LedgerError> {
    let registry = &shared.registry;
    let changed = match start {
        Some(start) => locate(shared, start)
            .and_then(|finished| Ok(registry.register(name, finished).map_err(FeedError::from)?)),
        None => match registry.remove(name) {
            true => Ok(Claim::NOBODY),
            false => Err(FeedError::Unknown(name.to_owned()).into()),
        },
    };
    if changed.is_ok() {
        // On the disk before the caller knows: a pruning after a crash goes by what the store says of followers.
        end.put_followers(&registry.take(), Durability::Disk)?;
    }
    Ok(changed)
}

/// How long the commit thread waits for more before it looks again whether any is on its way.
const GLANCE: Duration = Duration::from_millis(1);

/// Takes in what is settled until the group is large enough, nothing more is on its way, or its first parcel has waited long
/// enough; gives a command of another kind that came next.
fn gather(
    shared: &Shared,
    first: Settled,
    group: &mut Group,
    commands: &Receiver<Command>,
) -> Option<Command> {
    let settings = &shared.settings;
    // A linger longer than time goes on has no deadline: then only what is on its way is waited for.
    let deadline = Instant::now().checked_add(settings.group_linger);
    group.push(first);
    while group.bytes < settings.group_bytes && group.blocks < settings.group_blocks {
        let waiting = Instant::now();
        // A lone block must not wait for others that nobody has handed in.
        let is_more_coming = shared.in_flight() > group.parcels.len();
        let command = match commands.try_recv() {
            Ok(command) => Ok(command),
            Err(_) if is_more_coming => {
                // Looks again now and then: what was on its way may turn out invalid or be cancelled.
                let patience = deadline.map_or(GLANCE, |deadline| {
                    deadline.saturating_duration_since(waiting).min(GLANCE)
                });
                commands.recv_timeout(patience)
            }
            Err(_) => break,
        };
        shared.meters.commit_idle.add(waiting.elapsed());
        match command {
            Ok(Command::Settled(settled)) => group.push(settled),
            Ok(other) => return Some(other),
            Err(RecvTimeoutError::Timeout)
                if deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
            Err(_) => break,
        }
    }
    None
}

fn commit(shared: &Shared, end: &mut End, group: &mut Group) -> Result<(), LedgerError> {
    shared.probe(Stage::Commit);
    let _span =
        tracing::debug_span!("commit", blocks = group.blocks, bytes = group.bytes).entered();
    let started = Instant::now();
    let on_processor = thread_time();
    let mut receipt = None;
    // Blocks that were all held already write nothing, and must not claim a durability.
    if group.blocks > 0 {
        let committed = group.parcels.iter().flat_map(|settled| &settled.valid);
        receipt = Some(end.commit(committed)?);
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
    // Before the answers: a caller that has one may ask at once how far the chain is committed.
    if let Some(receipt) = &receipt {
        let committed = group.parcels.iter().flat_map(|settled| &settled.valid);
        shared.recent.push(committed.map(ValidBlock::block));
        shared.watermark.advance(receipt);
    }
    let mut head = None;
    for settled in group.parcels.drain(..) {
        answer(shared, settled, receipt, &mut head);
    }
    if let Some(head) = head {
        shared.subscribers.tell(&head);
        // Who makes blocks by themselves reckon from the last one.
        shared.bells.ring();
    }
    Ok(())
}

/// A policy that had nothing to remove is no news.
fn tell_pruned(shared: &Shared, report: &PruneReport) {
    let parts = [&report.bodies, &report.index, &report.headers];
    if parts.iter().any(|part| part.blocks > 0) {
        shared.subscribers.tell(&Event::Pruned(report.clone()));
    }
}

/// Lets the caller and the subscribers know what became of a parcel. Its memory is free after that.
fn answer(shared: &Shared, settled: Settled, receipt: Option<Receipt>, head: &mut Option<Event>) {
    let mut valid = settled.valid.iter().map(|valid| valid.block());
    let verdicts = settled.verdicts.into_iter().enumerate();
    let outcomes = verdicts.filter_map(|(place, verdict)| {
        let outcome = match verdict {
            Verdict::Final(outcome) => outcome,
            Verdict::Valid => {
                let (block, receipt) = (valid.next()?, receipt?);
                let (height, hash) = (block.height(), block.hash());
                *head = Some(Event::Head { height, hash });
                Outcome::Committed(Committed {
                    height,
                    hash,
                    transactions: block.header().transaction_count,
                    receipt,
                })
            }
        };
        match &outcome {
            Outcome::Committed(committed) => {
                shared.subscribers.tell(&Event::Committed(*committed));
            }
            Outcome::Rejected(rejected) => shared.subscribers.tell(&Event::Rejected {
                rejected: rejected.clone(),
                claimed_producer: producer_of(&settled.parcel, place),
            }),
            Outcome::Held { .. } => {}
        }
        Some(outcome)
    });
    let outcomes = outcomes.collect();
    shared.parcels.fetch_sub(1, Ordering::AcqRel);
    // The memory goes back before the answer is given: a caller that refuses to wait may hand in its next block at once.
    let answer = settled.parcel.take_answer();
    drop(settled.valid);
    drop(settled.parcel);
    if let Some(answer) = answer {
        answer.fulfil(outcomes);
    }
}

/// Who made the block at a place of a parcel, by its own word.
fn producer_of(parcel: &Parcel, place: usize) -> Option<String> {
    let prepared = parcel.prepared()?.get(place)?.as_ref().ok()?;
    Some(prepared.block().header().producer.clone())
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
