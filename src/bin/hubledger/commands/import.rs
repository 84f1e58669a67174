//! `import`: a block file, or a chain that MPREG kept, into a store.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hubledger::blockfile::{BlockFileError, BlockFileReader};
use hubledger::clock::SystemClock;
use hubledger::ledger::{Ledger, LedgerError, Outcome, malformed};
use hubledger::model::Block;
use hubledger::rejection::{Reason, Rejected};
use hubledger::signature::{Settings, Verifier};
use hubledger::spec::ChainSpec;
use serde_json::{Map, Value, json};

use super::read_spec;
use crate::args::Import;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::progress::Progress;

/// A run is committed when this many transactions are staged, or when the bodies reach the ledger's own bound.
const RUN_TRANSACTIONS: u64 = 20_000;

pub(crate) fn import(args: &Import, output: &Output) -> Result {
    match (&args.file, &args.mpreg) {
        (Some(file), _) => import_file(args, file, output),
        (None, Some(source)) => import_mpreg(args, source, output),
        (None, None) => Err(Failure::message("nothing to import")),
    }
}

#[cfg(feature = "mpreg")]
fn import_mpreg(args: &Import, source: &Path, output: &Output) -> Result {
    super::mpreg::import(args, source, output)
}

#[cfg(not(feature = "mpreg"))]
fn import_mpreg(_args: &Import, _source: &Path, _output: &Output) -> Result {
    Err(Failure::message(
        "this build was made without the feature `mpreg`",
    ))
}

fn import_file(args: &Import, path: &Path, output: &Output) -> Result {
    let mut file = BlockFileReader::open(path)?;
    if let Some(pinned) = &args.spec {
        let pinned = read_spec(pinned)?;
        if pinned != *file.spec() {
            let detail = format!(
                "{} is of chain {}, the specification says {}",
                path.display(),
                file.spec().id(),
                pinned.id()
            );
            return Err(Failure::invalid(Rejected::block(0, Reason::Chain, detail)));
        }
    }
    let spec = file.spec().clone();
    let mut importer = Importer::open(args, &spec)?;
    let mut progress = Progress::new("import", Some(file.length()));
    let mut reading = 0.0;
    let mut expected = None;
    loop {
        let before = Instant::now();
        let next = file.next_block();
        reading += before.elapsed().as_secs_f64();
        let (offset, bytes) = match next {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(error @ BlockFileError::Frame { .. }) => {
                importer.commit()?;
                let height = expected.unwrap_or(importer.ledger.state().height() + 1);
                let rejected = Rejected::block(height, Reason::Malformed, error.to_string());
                return Err(Failure::Invalid(rejected, importer.report()));
            }
            Err(error) => return Err(error.into()),
        };
        let before = Instant::now();
        let outcome = match Block::decode(&bytes) {
            Ok(block) => {
                expected = block.height().checked_add(1);
                importer.ledger.stage(&block)?
            }
            Err(error) => {
                let height = expected.unwrap_or(importer.ledger.state().height() + 1);
                Outcome::Rejected(malformed(height, &error))
            }
        };
        importer.validating += before.elapsed().as_secs_f64();
        if let Outcome::Rejected(mut rejected) = outcome {
            importer.commit()?;
            rejected.detail = format!("{}: byte {offset}: {}", path.display(), rejected.detail);
            return Err(Failure::Invalid(rejected, importer.report()));
        }
        importer.count(&outcome)?;
        progress.block(importer.last_transactions(), file.offset());
    }
    importer.stages.push(("read", reading));
    let seconds = progress.finish();
    importer.finish(seconds, output)
}

/// An open ledger, with what was imported and where the time went.
pub(crate) struct Importer {
    pub(crate) ledger: Ledger,
    pub(crate) validating: f64,
    pub(crate) stages: Vec<(&'static str, f64)>,
    /// What the report says beside the usual.
    pub(crate) extra: Map<String, Value>,
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
