//! Importing block by block, for sources whose next block needs the state after the one before.

use std::sync::Arc;
use std::time::Instant;

use hubledger::clock::SystemClock;
use hubledger::ledger::{Ledger, LedgerError, Outcome};
use hubledger::rejection::{Reason, Rejected};
use hubledger::signature::{Settings, Verifier};
use hubledger::spec::ChainSpec;
use serde_json::{Map, Value, json};

use crate::args::Import;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::stop::Stop;

/// A run is committed when this many transactions are staged, or when the bodies reach the ledger's own bound.
const RUN_TRANSACTIONS: u64 = 20_000;

/// An open ledger, with what was imported and where the time went.
pub(crate) struct Importer {
    pub(crate) ledger: Ledger,
    pub(crate) validating: f64,
    pub(crate) stages: Vec<(&'static str, f64)>,
    /// What the report says beside the usual.
    pub(crate) extra: Map<String, Value>,
    /// Whether blocks were left behind because the process was asked to stop.
    pub(crate) is_cut: bool,
    committing: f64,
    imported: u64,
    skipped: u64,
    committed_transactions: u64,
    seen_transactions: u64,
    last_transactions: u64,
}

impl Importer {
    /// Opens the store, or creates it for `spec`.
    pub(crate) fn open(args: &Import, spec: &ChainSpec) -> Result<Self> {
        let url = &args.store;
        let mut settings = Settings::default();
        settings.threads = args.threads.into();
        let verifier = Verifier::new(&settings).map_err(Failure::message)?;
        let ledger = Ledger::create(url.open_or_create()?, spec, Arc::new(SystemClock));
        let mut ledger = match ledger {
            Err(error @ LedgerError::OtherChain { .. }) => {
                let rejected = Rejected::block(0, Reason::Chain, format!("{url}: {error}"));
                return Err(Failure::invalid(rejected));
            }
            other => other?,
        };
        ledger.set_durability(args.durability);
        ledger.set_verifier(Arc::new(verifier));
        let transactions = ledger.state().transactions();
        Ok(Self {
            ledger,
            validating: 0.0,
            stages: Vec::new(),
            extra: Map::new(),
            is_cut: false,
            committing: 0.0,
            imported: 0,
            skipped: 0,
            committed_transactions: transactions,
            seen_transactions: transactions,
            last_transactions: 0,
        })
    }

    /// Counts a block that was staged or held, and commits when enough is staged.
    pub(crate) fn count(&mut self, outcome: &Outcome) -> Result {
        match outcome {
            Outcome::Staged => self.imported += 1,
            _ => self.skipped += 1,
        }
        let transactions = self.ledger.state().transactions();
        self.last_transactions = transactions - self.seen_transactions;
        self.seen_transactions = transactions;
        if transactions - self.committed_transactions >= RUN_TRANSACTIONS {
            self.commit()?;
        }
        Ok(())
    }

    /// Transactions of the block counted last.
    pub(crate) fn last_transactions(&self) -> u64 {
        self.last_transactions
    }

    pub(crate) fn commit(&mut self) -> Result {
        let before = Instant::now();
        self.ledger.commit()?;
        self.committing += before.elapsed().as_secs_f64();
        self.committed_transactions = self.ledger.state().transactions();
        Ok(())
    }

    /// What is in the store now.
    pub(crate) fn report(&self) -> Map<String, Value> {
        let state = self.ledger.state();
        let value = json!({
            "blocks": state.height() + 1,
            "transactions": state.transactions(),
            "head": state.head(),
            "imported": self.imported,
            "skipped": self.skipped,
        });
        let mut report = match value {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let missing = self.ledger.spec().record_missing(state.height());
        if missing > 0 {
            report.insert("record_missing".to_owned(), missing.into());
        }
        report
    }

    /// Makes everything durable, and says what was imported before the process was asked to stop.
    pub(crate) fn stopped(mut self, stop: &Stop) -> Result {
        self.commit()?;
        let (blocks, mut report) = (self.imported, self.report());
        let receipt = self.ledger.close()?;
        report.insert(
            "durability".to_owned(),
            receipt.durability.to_string().into(),
        );
        let detail = format!("{blocks} blocks were imported and stay; start it again to go on");
        Err(stop.failure(detail, report))
    }

    /// Makes everything durable and prints the verdict, the receipt and the stage table.
    pub(crate) fn finish(mut self, seconds: f64, output: &Output) -> Result {
        let before = Instant::now();
        self.commit()?;
        let (mut report, committed) = (self.report(), before.elapsed());
        let mut stages = std::mem::take(&mut self.stages);
        let receipt = self.ledger.close()?;
        let whole = before.elapsed();
        let committing = self.committing + (whole - committed).as_secs_f64();
        stages.extend([("validate", self.validating), ("commit", committing)]);
        let seconds = seconds + whole.as_secs_f64();
        report.extend(std::mem::take(&mut self.extra));
        report.insert("verdict".to_owned(), "valid".into());
        report.insert(
            "durability".to_owned(),
            receipt.durability.to_string().into(),
        );
        report.insert("seconds".to_owned(), json!(seconds));
        let shares = stages.iter().map(|(stage, busy)| {
            let share = busy / seconds.max(1e-9);
            (
                (*stage).to_owned(),
                json!({ "seconds": busy, "share": share }),
            )
        });
        report.insert("stages".to_owned(), Value::Object(shares.collect()));
        output.print(&Value::Object(report));
        Ok(())
    }
}
