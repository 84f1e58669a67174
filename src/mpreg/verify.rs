//! Checks a whole chain of a source, block after block on one thread.
//!
//! This is the plain validator: what a parallel engine decides about a chain must equal what it decides.

use std::ops::ControlFlow;
use std::time::Duration;

use super::audit::Audit;
use super::block::Block;
use super::check::Checker;
use super::source::{RawRow, Source, SourceError};
use super::summary::{Summary, Tally};
use crate::rejection::{Reason, Rejected};

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

/// Checks the chain `id` of `source` by MPREG's rules. `now` (since the Unix epoch) bounds the timestamps in the
/// first block. `progress` hears the number of valid blocks and transactions after each block. Valid blocks
/// are shown to `audit` too.
///
/// Memory: one block, and the audit's.
///
/// # Errors
/// If the source can't be read; whatever is wrong with the blocks is the report's verdict.
pub fn verify_chain(
    source: &Source,
    id: &str,
    now: Duration,
    progress: &mut dyn FnMut(u64, u64),
    mut audit: Option<&mut Audit>,
) -> Result<ChainReport, SourceError> {
    verify_and_show(source, id, now, progress, &mut |row, block, hash| {
        if let Some(audit) = &mut audit {
            audit.add(row, block, hash);
        }
    })
}

/// As [`verify_chain`], with every valid block shown to `visit`, with its row and its hash.
pub(super) fn verify_and_show(
    source: &Source,
    id: &str,
    now: Duration,
    progress: &mut dyn FnMut(u64, u64),
    visit: &mut dyn FnMut(&RawRow<'_>, &Block, &str),
) -> Result<ChainReport, SourceError> {
    let info = source.chain(id)?;
    let config = match &info.config {
        Ok(config) => config,
        Err(detail) => return Ok(rejected_whole(id, detail)),
    };
    if id.is_empty() {
        return Ok(rejected_whole(id, "chain_id is empty"));
    }
    let mut run = Run {
        checker: Checker::new(config, now),
        tally: Tally::new(config),
        transactions: 0,
        signatures: 0,
        blocks: 0,
    };
    let mut verdict = Ok(());
    source.for_each_row(id, &mut |row| match run.accept(&row) {
        Ok(block) => {
            visit(&row, &block, run.checker.head().unwrap_or_default());
            progress(run.blocks, run.transactions);
            ControlFlow::Continue(())
        }
        Err(rejected) => {
            verdict = Err(rejected);
            ControlFlow::Break(())
        }
    })?;
    if run.blocks == 0 && verdict.is_ok() {
        verdict = Err(Rejected::block(
            0,
            Reason::Malformed,
            "the chain has no blocks",
        ));
    }
    Ok(run.into_report(id, verdict))
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

struct Run {
    checker: Checker,
    tally: Tally,
    blocks: u64,
    transactions: u64,
    signatures: u64,
}

impl Run {
    fn accept(&mut self, row: &RawRow<'_>) -> Result<Block, Rejected> {
        let block = row.read(self.checker.next_height())?;
        self.checker.check(&block)?;
        self.tally.add(&block);
        let transactions = block.transactions();
        self.blocks += 1;
        self.transactions += transactions.len() as u64;
        self.signatures += transactions
            .iter()
            .filter(|t| t.signature.is_some())
            .count() as u64;
        Ok(block)
    }

    fn into_report(self, id: &str, verdict: Result<(), Rejected>) -> ChainReport {
        let head = self.checker.head();
        ChainReport {
            chain: id.to_owned(),
            blocks: self.blocks,
            transactions: self.transactions,
            signatures: self.signatures,
            head: head.map(str::to_owned),
            summary: head.and_then(|head| self.tally.summary(id, head)),
            current_difficulty: self.tally.current_difficulty(),
            verdict,
        }
    }
}
