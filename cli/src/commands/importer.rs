//! Importing what is handed in block by block, for sources that aren't read as an iterator: parcels go to the engine while the
//! next is made, and what became of them is counted in order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hubledger::engine::{Committed, Engine, Outcome, Ticket, WhenFull};
use hubledger::spec::ChainSpec;
use serde_json::{Map, Value, json};

use super::import::open;
use super::stages::{Reading, stage_table};
use crate::args::Import;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::progress::Progress;
use crate::stop::Stop;

/// A parcel is handed in with so many bytes of blocks …
const PARCEL_BYTES: usize = 1 << 20;
/// … or this many blocks.
const PARCEL_BLOCKS: usize = 512;
/// No more parcels than this wait for their answers; their memory is bounded by the engine.
const PARCELS_MAX: usize = 64;

/// An open engine, with what was imported.
pub(crate) struct Importer {
    engine: Engine,
    progress: Progress,
    parcel: Vec<Bytes>,
    parcel_bytes: usize,
    on_their_way: VecDeque<Ticket<Vec<Outcome>>>,
    /// Time that the caller waited for the engine.
    waited: Duration,
    imported: u64,
    skipped: u64,
    transactions: u64,
}

impl Importer {
    /// Opens the store, or creates it for `spec`.
    pub(crate) fn open(args: &Import, spec: &ChainSpec, blocks: u64) -> Result<Self> {
        let engine = open(args, spec)?;
        Ok(Self {
            engine,
            progress: Progress::new("import", Some(blocks)),
            parcel: Vec::new(),
            parcel_bytes: 0,
            on_their_way: VecDeque::new(),
            waited: Duration::ZERO,
            imported: 0,
            skipped: 0,
            transactions: 0,
        })
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Counts a block that was held before.
    pub(crate) fn skip(&mut self, height: u64) {
        self.skipped += 1;
        self.progress.block(0, height);
    }

    /// Takes the next block. A failure is that of an earlier one.
    pub(crate) fn take(&mut self, block: Bytes) -> Result {
        self.parcel_bytes += block.len();
        self.parcel.push(block);
        match self.parcel_bytes >= PARCEL_BYTES || self.parcel.len() >= PARCEL_BLOCKS {
            true => self.hand_in(),
            false => Ok(()),
        }
    }

    fn hand_in(&mut self) -> Result {
        let since = Instant::now();
        let parcel = std::mem::take(&mut self.parcel);
        self.parcel_bytes = 0;
        let ticket = self.engine.offer(parcel, WhenFull::Wait);
        self.waited += since.elapsed();
        self.on_their_way.push_back(ticket?);
        while let Some(first) = self.on_their_way.pop_front() {
            if self.on_their_way.len() >= PARCELS_MAX {
                self.wait_for(first)?;
                continue;
            }
            match first.try_take() {
                Ok(outcomes) => self.count(outcomes?)?,
                Err(again) => {
                    self.on_their_way.push_front(again);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Waits for everything that was taken.
    pub(crate) fn settle(&mut self) -> Result {
        if !self.parcel.is_empty() {
            self.hand_in()?;
        }
        while let Some(first) = self.on_their_way.pop_front() {
            self.wait_for(first)?;
        }
        Ok(())
    }

    fn wait_for(&mut self, ticket: Ticket<Vec<Outcome>>) -> Result {
        let since = Instant::now();
        let outcomes = ticket.wait();
        self.waited += since.elapsed();
        self.count(outcomes?)
    }

    fn count(&mut self, outcomes: Vec<Outcome>) -> Result {
        for outcome in outcomes {
            match outcome {
                Outcome::Committed(Committed {
                    height,
                    transactions,
                    ..
                }) => {
                    self.imported += 1;
                    self.transactions += u64::from(transactions);
                    self.progress.block(transactions.into(), height);
                }
                Outcome::Held { height } => self.skip(height),
                Outcome::Rejected(rejected) => return Err(Failure::invalid(rejected)),
            }
        }
        Ok(())
    }

    /// What is in the store now.
    fn report(&self) -> Result<Map<String, Value>> {
        let head = self.engine.head()?;
        let mut report = Map::new();
        report.insert("blocks".to_owned(), json!(head.height + 1));
        report.insert("transactions".to_owned(), json!(self.engine.transactions()));
        report.insert("head".to_owned(), json!(head.hash()));
        report.insert("imported".to_owned(), json!(self.imported));
        report.insert("skipped".to_owned(), json!(self.skipped));
        let missing = self.engine.spec().record_missing(head.height);
        if missing > 0 {
            report.insert("record_missing".to_owned(), missing.into());
        }
        Ok(report)
    }

    /// Makes everything durable, and says what was imported before the process was asked to stop.
    pub(crate) fn stopped(mut self, stop: &Stop) -> Result {
        self.settle()?;
        let receipt = self.engine.shutdown()?;
        let mut report = self.report()?;
        report.insert(
            "durability".to_owned(),
            receipt.durability.to_string().into(),
        );
        let blocks = self.imported;
        let detail = format!("{blocks} blocks were imported and stay; start it again to go on");
        Err(stop.failure(detail, report))
    }

    /// Makes everything durable and prints the verdict, the receipt and the stage table. `checked` seconds went before it, and
    /// `extra` is what the report says beside the usual.
    pub(crate) fn finish(
        mut self,
        checked: f64,
        extra: Map<String, Value>,
        output: &Output,
    ) -> Result {
        self.settle()?;
        let since = Instant::now();
        let receipt = self.engine.shutdown()?;
        let mut report = self.report()?;
        self.waited += since.elapsed();
        let taken = self.progress.finish();
        let seconds = checked + taken;
        report.extend(extra);
        report.insert("verdict".to_owned(), "valid".into());
        report.insert(
            "durability".to_owned(),
            receipt.durability.to_string().into(),
        );
        report.insert("seconds".to_owned(), json!(seconds));
        let reading = Reading {
            busy: Duration::from_secs_f64(taken).saturating_sub(self.waited),
            blocks: self.imported + self.skipped,
            transactions: self.transactions,
        };
        let whole = Duration::from_secs_f64(seconds);
        let mut table = stage_table(&self.engine.metrics(), &reading, whole);
        let share = checked / seconds.max(1e-9);
        let check = json!({ "seconds": checked, "share": share });
        if let Some(Value::Object(stages)) = table.get_mut("stages") {
            stages.shift_insert(0, "check".to_owned(), check);
        }
        report.extend(table);
        output.print(&Value::Object(report));
        Ok(())
    }
}
