//! `hubledger-perf ratios`: every ratio that the project promises, each of two contestants that took turns in this run.
//!
//! A figure in microseconds belongs to one machine at one time; a ratio of two figures that were taken in turns is the
//! same an hour later and nearly the same on another machine. So ratios are what is promised, and checked.

mod json;
mod show;

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::path::{Path as FilePath, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};
use hubledger_signatures::{PATH_VARIABLE, Path};

pub(crate) use self::show::percent;
use self::show::{missing, to_json, to_table};
use crate::machine::{Machine, headline};
use crate::ratio::Measured;
use crate::registry::{ENTRIES, Entry, Test, find};
use crate::storage::Contender;
use crate::{consensus, engine, services, signatures, state, storage};

/// What of the engine is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Area {
    /// Checking signatures.
    Signatures,
    /// Keeping blocks.
    Storage,
    /// The way of a block into a store, signatures and all.
    Engine,
    /// The tree over a state.
    State,
    /// What a kind of consensus costs.
    Consensus,
    /// Views over a chain.
    Services,
}

/// The arguments of `ratios`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Measure only the ratios of this area.
    #[arg(long, value_name = "AREA")]
    only: Option<Area>,
    /// List the ratios, with what they mean and what is wanted of them, and measure nothing.
    #[arg(long)]
    list: bool,
    /// Measure only this ratio; may be given several times.
    #[arg(long = "ratio", value_name = "KEY")]
    keys: Vec<String>,
    /// Print JSON: the ratios, and under `details` what they come from.
    #[arg(long)]
    json: bool,
    /// Seconds of turns for each ratio, warm-up not counted.
    #[arg(long, value_name = "S", default_value_t = 4.0)]
    seconds: f64,
    /// The path of our verifier: portable, avx2 or ifma; the fastest of this machine if not given.
    #[arg(long, value_name = "PATH")]
    path: Option<Path>,
    /// Transactions that stores are filled with; 1,000,000 for storage, 200,000 for engine and state, 50,000 for services if not given.
    #[arg(long, value_name = "N")]
    transactions: Option<u64>,
    /// Accounts of a state.
    #[arg(long, value_name = "N", default_value_t = state::ACCOUNTS)]
    accounts: u32,
    /// Entries of each view of services in which something is looked up.
    #[arg(long, value_name = "N", default_value_t = services::ENTRIES)]
    entries: u64,
    /// The height of a chain at which a message of the queue is compared with one at height 10.
    #[arg(long, value_name = "N", default_value_t = services::HEIGHT)]
    height: u64,
    /// The backend of chains and views of services: log, sqlite, rocksdb or memory.
    #[arg(long, value_name = "NAME", default_value = "log")]
    backend: Contender,
    /// Measure what needs a store of ten times as many transactions, or a state of ten times as many accounts, too: some
    /// minutes, and about 10 GB.
    #[arg(long)]
    large: bool,
    /// A store that MPREG wrote, to be verified; one like it is made up if not given.
    #[arg(long, value_name = "FILE")]
    mpreg: Option<PathBuf>,
    /// Where stores are made (and removed again); the system's temporary directory if not given.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// So many transactions at most.
const TRANSACTIONS_MAX: u64 = 1_000_000_000;
/// Entries of views, and heights: at most so many.
const ENTRIES_MAX: u64 = 100_000_000;
/// As many as are sent by in a block at least, and so many at most.
const ACCOUNTS: RangeInclusive<u32> = 1_000..=10_000_000;

impl Area {
    const fn of(test: Test) -> Self {
        match test {
            Test::Signatures(_) => Self::Signatures,
            Test::Storage(_) => Self::Storage,
            Test::Engine(_) => Self::Engine,
            Test::State(_) => Self::State,
            Test::Consensus(_) => Self::Consensus,
            Test::Services(_) => Self::Services,
        }
    }
}

impl Arguments {
    /// The entries that are to be measured.
    fn wanted(&self) -> Result<Vec<&'static Entry>> {
        for key in &self.keys {
            ensure!(
                find(key).is_some(),
                "no ratio is called {key:?}; --list names them all"
            );
        }
        let is_wanted = |entry: &&Entry| {
            self.only.is_none_or(|only| only == Area::of(entry.test))
                && (self.keys.is_empty() || self.keys.iter().any(|key| key == entry.ratio.key))
        };
        Ok(ENTRIES.iter().filter(is_wanted).collect())
    }

    fn check(&self) -> Result<()> {
        let seconds = self.seconds;
        ensure!(
            seconds.is_finite() && seconds >= 0.0,
            "--seconds {seconds} is no length of time"
        );
        if let Some(transactions) = self.transactions {
            ensure!(
                (1..=TRANSACTIONS_MAX).contains(&transactions),
                "--transactions {transactions} is not between 1 and {TRANSACTIONS_MAX}"
            );
        }
        for (option, number, least) in [("entries", self.entries, 1), ("height", self.height, 10)] {
            ensure!(
                (least..=ENTRIES_MAX).contains(&number),
                "--{option} {number} is not between {least} and {ENTRIES_MAX}"
            );
        }
        ensure!(
            self.backend.is_ours(),
            "--backend {} keeps no views",
            self.backend
        );
        ensure!(
            ACCOUNTS.contains(&self.accounts),
            "--accounts {} is not between {} and {}",
            self.accounts,
            ACCOUNTS.start(),
            ACCOUNTS.end()
        );
        Ok(())
    }
}

/// Ratios, with what they mean and what is wanted of them.
fn list(entries: &[&Entry]) -> String {
    let mut text = String::from(
        "X_over_Y says how many times as fast X is as Y: Y's time by X's. Only where it says \"cost\" is it X's time \
         by Y's.\n\n",
    );
    for Entry { ratio, .. } in entries {
        let wanted = ratio.wanted().map(|wanted| format!(" [{wanted}]"));
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{}\n    {}{}{}",
            ratio.key,
            ratio.kind.prefix(),
            ratio.meaning,
            wanted.unwrap_or_default()
        );
    }
    text
}

/// Measures, and prints into text.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    arguments.check()?;
    let wanted = arguments.wanted()?;
    if arguments.list {
        return Ok(list(&wanted));
    }
    let directory = match &arguments.directory {
        Some(directory) => directory.clone(),
        None => std::env::temp_dir(),
    };
    let machine = Machine::describe();
    let path = signatures::resolve(arguments.path)?;
    let measured = measure(
        arguments,
        path,
        signatures::Sizes::FULL,
        &directory,
        &wanted,
    )?;
    match arguments.json {
        true => json::pretty(&to_json(&machine, path, &measured)),
        false => Ok(format!(
            "{}\n{}{}",
            headline(&machine, path.name()),
            to_table(&measured).to_text(),
            missing(&measured)
        )),
    }
}

/// Measures entries, one after the other. What an area needs is made when its first entry comes.
fn measure(
    arguments: &Arguments,
    path: Path,
    sizes: signatures::Sizes,
    under: &FilePath,
    entries: &[&'static Entry],
) -> Result<Vec<Measured>> {
    let seconds = arguments.seconds;
    let mut signatures = None;
    let mut storage = storage::Bench::new(
        storage::Extent {
            transactions: arguments.transactions.unwrap_or(storage::TRANSACTIONS),
            large: arguments.large,
            seconds,
        },
        under,
    );
    let engine = engine::Bench::new(
        engine::Extent {
            transactions: arguments.transactions.unwrap_or(engine::TRANSACTIONS),
            seconds,
            mpreg: arguments.mpreg.clone(),
            missing: (path != signatures::resolve(None)?)
                .then(|| format!("an engine takes its path from {PATH_VARIABLE}, not from --path")),
        },
        under,
    );
    let state = state::Bench::new(
        state::Extent {
            transactions: arguments.transactions.unwrap_or(engine::TRANSACTIONS),
            accounts: arguments.accounts,
            large: arguments.large,
            seconds,
        },
        under,
    );
    let consensus = consensus::Bench { seconds };
    let services = services::Bench::new(
        services::Extent {
            transactions: arguments.transactions.unwrap_or(services::TRANSACTIONS),
            entries: arguments.entries,
            height: arguments.height,
            backend: arguments.backend.clone(),
            seconds,
        },
        under,
    );
    let measured = entries.iter().map(|Entry { ratio, test }| {
        eprintln!("measuring {}", ratio.key);
        let evidence = match *test {
            Test::Signatures(test) => {
                if signatures.is_none() {
                    signatures = Some(signatures::Bench::new(path, sizes, seconds)?);
                }
                let bench = signatures.as_ref().context("it was just made")?;
                bench.evidence(test)
            }
            Test::Storage(test) => storage.evidence(test),
            Test::Engine(test) => engine.evidence(test),
            Test::State(test) => state.evidence(test),
            Test::Consensus(test) => consensus.evidence(test),
            Test::Services(test) => services.evidence(test),
        };
        let evidence = evidence.with_context(|| ratio.key)?;
        Ok(Measured { ratio, evidence })
    });
    measured.collect()
}

#[cfg(test)]
mod tests;
