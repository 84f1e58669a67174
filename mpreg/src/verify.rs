//! Checks a whole chain of a source: [`verify_chain`] block after block on one thread, [`verify_in_parallel`] on several.
//!
//! The first is the plain validator: what the second decides about a chain equals what it decides.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::time::Duration;

use super::audit::Audit;
use super::block::Block;
use super::check::Checker;
use super::chunk::{Chunk, Rules, judge};
use super::config::ChainConfig;
use super::entry::{Brief, Entry};
use super::line::show_judged;
use super::source::{RawRow, Source, SourceError};
use super::summary::{Summary, Tally};
use super::transaction::Transaction;
use hubledger::rejection::{Reason, Rejected};

/// The verdict on a chain and the figures of its valid part.
#[derive(Debug, Clone)]
#[must_use]
pub struct ChainReport {
    /// MPREG's name for the chain.
    pub chain: String,
    /// Valid blocks, up to the first that isn't.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Signatures verified in them.
    pub signatures: u64,
    /// Hash of the last valid block, if there is one.
    pub head: Option<String>,
    /// MPREG's summary of the valid part, if there is one.
    pub summary: Option<Summary>,
    /// MPREG's difficulty for the next block, if it can be told.
    pub current_difficulty: Option<i128>,
    /// Whether all blocks are valid, or else the first fault.
    pub verdict: Result<(), Rejected>,
}

/// Called after every valid block with the number of those so far and of their transactions; [`ControlFlow::Break`] stops.
pub type Progress<'a> = dyn FnMut(u64, u64) -> ControlFlow<()> + 'a;

/// Checks the chain `id` of `source` by MPREG's rules. `now` (since the Unix epoch) bounds the timestamps in the
/// first block. `progress` hears the number of valid blocks and transactions after each block, and stops by
/// [`ControlFlow::Break`]. Valid blocks are shown to `audit` too.
///
/// Memory: one block, and the audit's.
///
/// # Errors
/// If the source can't be read; [`SourceError::Stopped`] if `progress` stopped it; whatever is wrong with the blocks is the
/// report's verdict.
pub fn verify_chain(
    source: &Source,
    id: &str,
    now: Duration,
    progress: &mut Progress<'_>,
    mut audit: Option<&mut Audit>,
) -> Result<ChainReport, SourceError> {
    verify_and_show(source, id, now, progress, &mut |row, block, hash| {
        if let Some(audit) = &mut audit {
            audit.add(row, block, hash);
        }
    })
}

/// As [`verify_chain`], with the same report whatever the number of `threads`, the caller's own included.
///
/// Without `audit`, blocks keep only a [`Brief`](super::Brief) of each transaction. Memory: the texts of some blocks for each
/// thread, about 2 MiB or a single block; what is read of them; and the audit's.
///
/// # Errors
/// As [`verify_chain`].
pub fn verify_in_parallel(
    source: &Source,
    id: &str,
    now: Duration,
    threads: NonZero<usize>,
    progress: &mut Progress<'_>,
    audit: Option<&mut Audit>,
) -> Result<ChainReport, SourceError> {
    match audit {
        None => judge_and_show::<Brief>(source, id, now, threads, progress, &mut |_, _, _| {}),
        Some(audit) => judge_and_show(
            source,
            id,
            now,
            threads,
            progress,
            &mut |row, block, hash| {
                audit.add(row, block, hash);
            },
        ),
    }
}

/// As [`verify_chain`], with every valid block shown to `visit`, with its row and its hash.
fn verify_and_show(
    source: &Source,
    id: &str,
    now: Duration,
    progress: &mut Progress<'_>,
    visit: &mut Visit<'_, Transaction>,
) -> Result<ChainReport, SourceError> {
    run(source, id, now, |run| {
        source.for_each_row(id, &mut |row| {
            let read = row.read(run.checker.next_height());
            let accepted = read.and_then(|block| {
                run.checker.check(&block)?;
                run.count(&block);
                Ok(block)
            });
            run.proceed(accepted, |run, block| {
                visit(&row, &block, run.checker.head().unwrap_or_default());
                progress(run.blocks, run.transactions)
            })
        })
    })
}

/// As [`verify_in_parallel`], with every valid block shown to `visit`, with its row and its hash.
pub(super) fn judge_and_show<T: Entry>(
    source: &Source,
    id: &str,
    now: Duration,
    threads: NonZero<usize>,
    progress: &mut Progress<'_>,
    visit: &mut Visit<'_, T>,
) -> Result<ChainReport, SourceError> {
    run(source, id, now, |run| {
        let rules = Rules::new(run.config, now);
        let prepare = || {
            rules.verifier();
        };
        let judge = |chunk: &Chunk| judge::<T>(chunk, &rules);
        show_judged(
            source,
            id,
            threads.get(),
            &prepare,
            &judge,
            &mut |row, judged| {
                let accepted = judged.and_then(|judged| {
                    run.checker.check_judged(&judged)?;
                    run.count(&judged.block);
                    Ok(judged)
                });
                run.proceed(accepted, |run, judged| {
                    visit(&row, &judged.block, &judged.hash);
                    progress(run.blocks, run.transactions)
                })
            },
        )
    })
}

/// What sees a valid block, its row and its hash.
pub(super) type Visit<'v, T> = dyn FnMut(&RawRow<'_>, &Block<T>, &str) + 'v;

/// The report on a chain whose rows `go` takes one after the other.
fn run(
    source: &Source,
    id: &str,
    now: Duration,
    go: impl FnOnce(&mut Run<'_>) -> Result<(), SourceError>,
) -> Result<ChainReport, SourceError> {
    let config = match &source.chain(id)?.config {
        Ok(config) => config,
        Err(detail) => return Ok(rejected_whole(id, detail)),
    };
    if id.is_empty() {
        return Ok(rejected_whole(id, "chain_id is empty"));
    }
    let mut run = Run {
        config,
        checker: Checker::new(config, now),
        tally: Tally::new(config),
        transactions: 0,
        signatures: 0,
        blocks: 0,
        verdict: Ok(()),
        is_stopped: false,
    };
    go(&mut run)?;
    if run.is_stopped {
        let path = source.path().to_owned();
        return Err(SourceError::Stopped { path });
    }
    if run.blocks == 0 && run.verdict.is_ok() {
        run.verdict = Err(Rejected::block(
            0,
            Reason::Malformed,
            "the chain has no blocks",
        ));
    }
    Ok(run.into_report(id))
}

fn rejected_whole(id: &str, detail: &str) -> ChainReport {
    ChainReport {
        chain: id.to_owned(),
        blocks: 0,
        transactions: 0,
        signatures: 0,
        head: None,
        summary: None,
        current_difficulty: None,
        verdict: Err(Rejected::block(0, Reason::Malformed, detail)),
    }
}

struct Run<'a> {
    config: &'a ChainConfig,
    checker: Checker,
    tally: Tally,
    blocks: u64,
    transactions: u64,
    signatures: u64,
    verdict: Result<(), Rejected>,
    is_stopped: bool,
}

impl Run<'_> {
    fn count<T: Entry>(&mut self, block: &Block<T>) {
        self.tally.add(block);
        self.blocks += 1;
        self.transactions += block.transactions().len() as u64;
        self.signatures += block.signed().count() as u64;
    }

    /// Goes on with what was accepted, or ends with the verdict.
    fn proceed<B>(
        &mut self,
        accepted: Result<B, Rejected>,
        go_on: impl FnOnce(&Self, B) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match accepted {
            Ok(accepted) => {
                let answer = go_on(self, accepted);
                self.is_stopped = answer.is_break();
                answer
            }
            Err(rejected) => {
                self.verdict = Err(rejected);
                ControlFlow::Break(())
            }
        }
    }

    fn into_report(self, id: &str) -> ChainReport {
        let head = self.checker.head();
        ChainReport {
            chain: id.to_owned(),
            blocks: self.blocks,
            transactions: self.transactions,
            signatures: self.signatures,
            head: head.map(str::to_owned),
            summary: head.and_then(|head| self.tally.summary(id, head)),
            current_difficulty: self.tally.current_difficulty(),
            verdict: self.verdict,
        }
    }
}
