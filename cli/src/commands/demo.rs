//! `demo`: the whole job once, on made-up data, with a report that says what each step showed.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use hubledger::blockfile::{BlockFileReader, BlockFileWriter};
use hubledger::clock::{Clock, SystemClock};
use hubledger::engine::{Engine, Outcome, verify_store};
use hubledger::generate::{Generator, Recipe};
use hubledger::ledger::{ChainReader, Lookup};
use hubledger::proof::Proof;
use hubledger_storage::StoreUrl;
use serde_json::{Value, json};

use crate::args::Demo;
use crate::failure::{Failure, Result};
use crate::output::Output;

pub(crate) fn demo(args: &Demo, output: &Output) -> Result {
    // The folder is removed in any case.
    output.stop().in_order();
    let folder = Folder::create()?;
    let (file, store) = (folder.0.join("blocks.hlb"), folder.0.join("hub.db"));
    let url: StoreUrl = format!("sqlite:{}", store.display()).parse()?;
    let mut report = Report {
        output,
        steps: serde_json::Map::new(),
    };
    generate(args, &file, &mut report)?;
    import(&file, &url, &mut report)?;
    verify(&url, &mut report)?;
    look_up_and_prove(&url, &mut report)?;
    output.note("\nDone. Every step above ran on real files, and the proofs were checked without the store.");
    report.finish();
    Ok(())
}

/// Prints each step as it is done, and keeps the figures.
struct Report<'a> {
    output: &'a Output,
    steps: serde_json::Map<String, Value>,
}

impl Report<'_> {
    fn step(&mut self, name: &str, started: Instant, line: &str, figures: Value) {
        let seconds = started.elapsed().as_secs_f64();
        self.output
            .note(&format!("{name:<10} {seconds:>8.3} s   {line}"));
        let mut figures = figures;
        figures["seconds"] = json!(seconds);
        self.steps.insert(name.to_owned(), figures);
    }

    /// Refuses to, once the process was asked to stop.
    fn go_on(&self) -> Result {
        let stop = self.output.stop();
        match stop.is_asked() {
            true => Err(stop.failure(
                "nothing is left of it; start it again",
                serde_json::Map::new(),
            )),
            false => Ok(()),
        }
    }

    fn finish(self) {
        self.output.document(&Value::Object(self.steps));
    }
}

fn generate(args: &Demo, path: &Path, report: &mut Report<'_>) -> Result {
    let started = Instant::now();
    let recipe = Recipe {
        transactions: args.transactions,
        ..Recipe::default()
    };
    let mut generator = Generator::new(recipe)?;
    let mut file = BlockFileWriter::create(path, generator.spec())?;
    while let Some(block) = generator.next_block()? {
        report.go_on()?;
        file.append(&block)?;
    }
    file.finish()?;
    let bytes = std::fs::metadata(path)
        .context("the file just written")?
        .len();
    let line = format!(
        "{} signed transactions in a block file of {bytes} bytes",
        args.transactions
    );
    report.step("generate", started, &line, json!({ "bytes": bytes }));
    Ok(())
}

fn import(path: &Path, url: &StoreUrl, report: &mut Report<'_>) -> Result {
    let started = Instant::now();
    let mut file = BlockFileReader::open(path)?;
    let engine = Engine::builder().create(url.create()?, file.spec())?;
    let mut ended = Ok(());
    let blocks = std::iter::from_fn(|| {
        let next = file.next_block().unwrap_or_else(|error| {
            ended = Err(error);
            None
        });
        next.map(|(_, bytes)| bytes)
    });
    for outcome in engine.import(blocks) {
        report.go_on()?;
        if let Outcome::Rejected(rejected) = outcome? {
            return Err(Failure::invalid(rejected));
        }
    }
    ended?;
    let receipt = engine.shutdown()?;
    let (transactions, head) = (engine.transactions(), engine.head()?.hash());
    let rate = transactions as f64 / started.elapsed().as_secs_f64();
    let line = format!(
        "validated and committed {} blocks, {transactions} transactions ({rate:.0}/s), durable: {}",
        receipt.end, receipt.durability
    );
    report.step(
        "import",
        started,
        &line,
        json!({ "transactions": transactions, "head": head }),
    );
    Ok(())
}

fn verify(url: &StoreUrl, report: &mut Report<'_>) -> Result {
    let started = Instant::now();
    let stop = report.output.stop();
    let found = verify_store(url.open_read_only()?, SystemClock.now_us(), &mut |_| {
        stop.flow()
    });
    report.go_on()?;
    let found = found?;
    if let Some(rejected) = found.rejected {
        return Err(Failure::invalid(rejected));
    }
    let line = format!("{} blocks valid, head {}", found.blocks, found.head);
    report.step("verify", started, &line, json!({ "blocks": found.blocks }));
    Ok(())
}

fn look_up_and_prove(url: &StoreUrl, report: &mut Report<'_>) -> Result {
    let reader = ChainReader::open(url.open_read_only()?)?;
    let head = reader.head()?;
    let Some(block) = reader.block(head.height.min(1))? else {
        return Err(Failure::message("block 1 is gone"));
    };
    let Some(transaction) = block.transactions().first() else {
        return Ok(());
    };
    let started = Instant::now();
    let Lookup::Found(placed) = reader.transaction(&transaction.id())? else {
        return Err(Failure::message("the index lost a transaction"));
    };
    let line = format!(
        "{} is transaction {} of block {}",
        transaction.id(),
        placed.index,
        placed.height
    );
    report.step(
        "look up",
        started,
        &line,
        json!({ "transaction": transaction.id() }),
    );

    let started = Instant::now();
    let proof = Proof::Transaction(reader.prove(placed.height, placed.index, None)?).encode();
    let decoded = Proof::decode(&proof.clone().into()).context("the proof just written")?;
    let Proof::Transaction(decoded) = decoded else {
        return Err(Failure::message("another kind of proof came back"));
    };
    decoded
        .verify(&head.hash())
        .context("the proof just made")?;
    let line = format!(
        "{} bytes prove it to whoever trusts head {}",
        proof.len(),
        head.hash()
    );
    report.step("prove", started, &line, json!({ "bytes": proof.len() }));

    let started = Instant::now();
    report.go_on()?;
    let refused = (0..proof.len() * 8).filter(|bit| {
        let mut damaged = proof.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        match Proof::decode(&damaged.into()) {
            Ok(Proof::Transaction(proof)) => proof.verify(&head.hash()).is_err(),
            _ => true,
        }
    });
    let refused = refused.count();
    let line = format!(
        "{refused} of {} one-bit changes of that proof are refused",
        proof.len() * 8
    );
    report.step(
        "tamper",
        started,
        &line,
        json!({ "refused": refused, "changes": proof.len() * 8 }),
    );
    Ok(())
}

/// A new folder under the system's temporary one, removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn create() -> Result<Self> {
        for attempt in 0..100 {
            let name = format!("hubledger-demo-{}-{attempt}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(anyhow::Error::new(error)
                        .context(path.display().to_string())
                        .into());
                }
            }
        }
        Err(Failure::message("no free name for a temporary folder"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a temporary folder is left");
        }
    }
}
