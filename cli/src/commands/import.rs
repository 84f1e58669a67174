//! `import`: a block file, a chain that MPREG kept, or a snapshot, into a store.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hubledger::blockfile::{BlockFileError, BlockFileReader};
use hubledger::clock::SystemClock;
use hubledger::engine::{Committed, Engine, EngineError, Outcome};
use hubledger::ledger::{ChainReader, LedgerError};
use hubledger::rejection::{Reason, Rejected};
use hubledger::spec::ChainSpec;
use hubledger_services::audit::Watch;
use serde_json::{Map, Value, json};

use super::audit::open_log;
use super::read_spec;
use super::stages::{Reading, stage_table};
use crate::args::Import;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::progress::Progress;
use crate::stop::{Stop, Stoppable};

pub(crate) fn import(args: &Import, output: &Output) -> Result {
    if let (Some(folder), Some(head)) = (&args.snapshot, &args.head) {
        return super::snapshot::import(folder, head, &args.store, output);
    }
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
    let stop = output.stop();
    let file = BlockFileReader::open_through(path, |file| Stoppable::new(file, stop.clone()))?;
    let pinned = args.spec.as_deref().map(read_spec).transpose()?;
    // A chain can go on from that of the file, whose blocks are then its own.
    if let Some(pinned) = pinned.as_ref().filter(|spec| !spec.includes(file.spec())) {
        let detail = format!(
            "{} is of chain {}, the specification says {}",
            path.display(),
            file.spec().id(),
            pinned.id()
        );
        return Err(Failure::invalid(Rejected::block(0, Reason::Chain, detail)));
    }
    stop.in_order();
    let log = args.audit.as_deref().map(open_log).transpose()?;
    let engine = open(args, pinned.as_ref().unwrap_or(file.spec()))?;
    let watch = log.map(|log| Watch::start(&engine, log, Arc::new(SystemClock)));
    let watch = watch.transpose().map_err(Failure::message)?;
    let started = Instant::now();
    let mut progress = Progress::new("import", Some(file.length()));
    let source = Source::new(file, stop);
    let imported = take_in(&engine, path, &source, &mut progress)?;
    let receipt = engine.shutdown()?;
    if let Some(watch) = watch {
        watch.finish().map_err(Failure::message)?;
    }
    let seconds = started.elapsed();
    progress.finish();
    let mut report = imported.report(&engine)?;
    if let Some(rejected) = imported.rejected {
        return Err(Failure::Invalid(rejected, report));
    }
    if source.is_cut.get() {
        let durability = receipt.durability.to_string();
        report.insert("durability".to_owned(), durability.into());
        let blocks = imported.taken;
        let detail = format!("{blocks} blocks were imported and stay; start it again to go on");
        return Err(stop.failure(detail, report));
    }
    let reading = Reading {
        busy: source.reading.get(),
        blocks: imported.taken + imported.skipped,
        transactions: imported.transactions,
    };
    report.insert("verdict".to_owned(), "valid".into());
    let durability = receipt.durability.to_string();
    report.insert("durability".to_owned(), durability.into());
    report.insert("seconds".to_owned(), json!(seconds.as_secs_f64()));
    report.extend(stage_table(&engine.metrics(), &reading, seconds));
    output.print(&Value::Object(report));
    Ok(())
}

/// Opens the engine of an import, and says of a store with another chain that its blocks don't belong there. A chain that has gone on
/// from that of `spec` since is no other, unless only that one is accepted.
pub(crate) fn open(args: &Import, spec: &ChainSpec) -> Result<Engine> {
    let url = &args.store;
    let builder = Engine::builder()
        .threads(args.threads.into())
        .durability(args.durability);
    let store = url.open_or_create()?;
    // With a record, the option says how the chain begins behind it.
    let is_pinned = args.spec.is_some() && args.mpreg.is_none();
    let held = ChainReader::held_spec(&*store.reader)?;
    let has_gone_on = held.is_some_and(|held| held != *spec && held.includes(spec));
    if has_gone_on && !is_pinned {
        return Ok(builder.open(store)?);
    }
    match builder.create(store, spec) {
        Err(EngineError::Ledger(error)) if matches!(*error, LedgerError::OtherChain { .. }) => {
            let rejected = Rejected::block(0, Reason::Chain, format!("{url}: {error}"));
            Err(Failure::invalid(rejected))
        }
        other => Ok(other?),
    }
}

/// A block file as the engine takes it: one block after the other, with notes on where they were.
struct Source<'a> {
    file: RefCell<BlockFileReader<Stoppable>>,
    stop: &'a Stop,
    /// Whether blocks were left behind because the process was asked to stop.
    is_cut: Cell<bool>,
    /// Offsets of the blocks whose outcomes haven't come.
    offsets: RefCell<VecDeque<u64>>,
    reading: Cell<Duration>,
    /// Why no more blocks come, if it isn't the file's end.
    ended: Cell<Option<BlockFileError>>,
}

impl<'a> Source<'a> {
    fn new(file: BlockFileReader<Stoppable>, stop: &'a Stop) -> Self {
        Self {
            file: RefCell::new(file),
            stop,
            is_cut: Cell::default(),
            offsets: RefCell::default(),
            reading: Cell::default(),
            ended: Cell::default(),
        }
    }

    fn next(&self) -> Option<Bytes> {
        if self.stop.is_asked() {
            self.is_cut.set(true);
            return None;
        }
        let started = Instant::now();
        let next = self.file.borrow_mut().next_block();
        self.reading.set(self.reading.get() + started.elapsed());
        match next {
            Ok(Some((offset, bytes))) => {
                self.offsets.borrow_mut().push_back(offset);
                Some(bytes)
            }
            Ok(None) => None,
            Err(BlockFileError::Io { .. }) if self.stop.is_asked() => {
                self.is_cut.set(true);
                None
            }
            Err(error) => {
                self.ended.set(Some(error));
                None
            }
        }
    }

    /// The offset of the next block whose outcome has come.
    fn pass(&self) -> u64 {
        self.offsets.borrow_mut().pop_front().unwrap_or_default()
    }
}

/// What was taken in.
#[derive(Default)]
struct Imported {
    taken: u64,
    skipped: u64,
    transactions: u64,
    rejected: Option<Rejected>,
}

fn take_in(
    engine: &Engine,
    path: &Path,
    source: &Source<'_>,
    progress: &mut Progress,
) -> Result<Imported> {
    let mut imported = Imported::default();
    let mut expected = None;
    for outcome in engine.import(std::iter::from_fn(|| source.next())) {
        let offset = source.pass();
        match outcome? {
            Outcome::Committed(Committed {
                height,
                transactions,
                ..
            }) => {
                imported.taken += 1;
                imported.transactions += u64::from(transactions);
                expected = height.checked_add(1);
                progress.block(transactions.into(), offset);
            }
            Outcome::Held { height } => {
                imported.skipped += 1;
                expected = height.checked_add(1);
                progress.block(0, offset);
            }
            Outcome::Rejected(mut rejected) => {
                rejected.detail = format!("{}: byte {offset}: {}", path.display(), rejected.detail);
                imported.rejected = Some(rejected);
                return Ok(imported);
            }
        }
    }
    match source.ended.take() {
        None => Ok(imported),
        Some(error @ BlockFileError::Frame { .. }) => {
            let height = match expected {
                Some(height) => height,
                None => engine.head()?.height + 1,
            };
            imported.rejected = Some(Rejected::block(
                height,
                Reason::Malformed,
                error.to_string(),
            ));
            Ok(imported)
        }
        Some(error) => Err(error.into()),
    }
}

impl Imported {
    /// What is in the store now.
    fn report(&self, engine: &Engine) -> Result<Map<String, Value>> {
        let head = engine.head()?;
        let mut report = Map::new();
        report.insert("blocks".to_owned(), json!(head.height + 1));
        report.insert("transactions".to_owned(), json!(engine.transactions()));
        report.insert("head".to_owned(), json!(head.hash()));
        report.insert("imported".to_owned(), json!(self.taken));
        report.insert("skipped".to_owned(), json!(self.skipped));
        let missing = engine.spec().record_missing(head.height);
        if missing > 0 {
            report.insert("record_missing".to_owned(), missing.into());
        }
        Ok(report)
    }
}
