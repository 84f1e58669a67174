//! The ratios of importing.

use std::path::Path;

use anyhow::{Context as _, Result};
use hubledger::generate::Recipe;
use hubledger_storage::{Block, Durability};
use serde_json::{Map, json};

use super::chain::Chain;
use super::contestants::Way;
use super::import::Means;
use crate::ratios::{Evidence, Kind, Measured, Ratio, figures_json};
use crate::statistics::rounded;
use crate::storage::Contender;
use crate::turns::{Contestant, Effort, Figures, measure};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Transactions of the chain.
    pub(crate) transactions: u64,
    /// Seconds of turns for each ratio.
    pub(crate) seconds: f64,
    /// How signatures are checked.
    pub(crate) path: hubledger_signatures::Path,
}

/// Transactions of the chain if nothing else is said.
pub(crate) const TRANSACTIONS: u64 = 200_000;
/// Blocks of a commit.
const PER_RUN: usize = 20;
/// What of the signatures' rate is hoped for, where the store doesn't bound it.
const AIM: f64 = 0.7;
/// Whole chains are imported in each turn, so turns get more time than those of shorter work.
const IMPORT_TIMES: f64 = 2.0;

/// What a ratio compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    /// Importing into a backend against the signatures alone.
    OverSignatures(&'static str),
    /// Importing into a backend against the smaller of 0.70 of the signatures' rate and the backend's own.
    OverBound(&'static str),
    /// Two threads against one.
    TwoThreads(&'static str),
    /// What is measured elsewhere, or not at all.
    Elsewhere(&'static str),
}

struct Entry {
    ratio: Ratio,
    test: Test,
}

const fn entry(key: &'static str, goal: f64, test: Test, meaning: &'static str) -> Entry {
    Entry {
        ratio: Ratio {
            key,
            kind: Kind::Speed,
            goal: Some(goal),
            meaning,
        },
        test,
    }
}

static ENTRIES: [Entry; 6] = [
    entry(
        "import_log_over_S",
        0.55,
        Test::OverSignatures("log"),
        "Importing the hub workload (64 senders, payloads of 200 bytes, blocks of 1,000, durable every 20) into log: \
         against S, the signature engine alone over the same signatures on the same threads.",
    ),
    entry(
        "import_log_over_bound",
        0.8,
        Test::OverBound("log"),
        "The same into log: against the smaller of 0.70 S and B, the rate at which the backend alone appends the same \
         records.",
    ),
    entry(
        "import_sqlite_over_bound",
        0.8,
        Test::OverBound("sqlite"),
        "The same for sqlite:.",
    ),
    entry(
        "import_rocksdb_over_bound",
        0.8,
        Test::OverBound("rocksdb"),
        "The same for rocksdb:.",
    ),
    entry(
        "import_two_threads_over_one",
        1.7,
        Test::TwoThreads("log"),
        "Importing into log: with two threads against one.",
    ),
    entry(
        "import_admitted_over_not",
        2.0,
        Test::Elsewhere(
            "nothing is admitted before it is imported here; the example engine_speed measures that",
        ),
        "Importing into log: with every transaction admitted before against none.",
    ),
];

/// The ratios of importing.
pub(crate) fn ratios() -> impl Iterator<Item = &'static Ratio> {
    ENTRIES.iter().map(|entry| &entry.ratio)
}

/// Measures those that are wanted.
pub(crate) fn measure_ratios(
    extent: Extent,
    under: &Path,
    wanted: &dyn Fn(&Ratio) -> bool,
) -> Result<Vec<Measured>> {
    eprintln!("making a chain of {} transactions", extent.transactions);
    let chain = Chain::generate(Recipe {
        transactions: extent.transactions,
        ..Recipe::default()
    })?;
    let field = Field {
        extent,
        under,
        records: chain.records()?,
        chain,
    };
    let entries = ENTRIES.iter().filter(|entry| wanted(&entry.ratio));
    let measured = entries.map(|entry| {
        eprintln!("measuring {}", entry.ratio.key);
        let evidence = field.evidence(entry.test);
        Ok(Measured {
            ratio: &entry.ratio,
            evidence: evidence.with_context(|| entry.ratio.key)?,
        })
    });
    measured.collect()
}

struct Field<'a> {
    extent: Extent,
    under: &'a Path,
    chain: Chain,
    records: Vec<Block>,
}

impl Field<'_> {
    fn evidence(&self, test: Test) -> Result<Evidence> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (name, threads) = match test {
            Test::OverSignatures(name) | Test::OverBound(name) => (name, cores),
            Test::TwoThreads(_) if cores < 2 => {
                return Ok(Evidence::Missing("it needs two cores".to_owned()));
            }
            Test::TwoThreads(name) => (name, 2),
            Test::Elsewhere(reason) => return Ok(Evidence::Missing(reason.to_owned())),
        };
        let contender: Contender = name.parse()?;
        if let Some(missing) = contender.missing() {
            return Ok(Evidence::Missing(missing));
        }
        let means = self.means(threads)?;
        let import = Way::import(&self.chain, &contender, &means, self.under);
        let signatures = Way::signatures(&self.chain, &means, self.under);
        match test {
            Test::OverBound(_) => {
                let alone = Way::append(&self.chain, &self.records, &contender, &means, self.under);
                let [import, signatures, alone] = self.race([import, signatures, alone])?;
                Ok(over_bound(&import, &signatures, &alone))
            }
            Test::TwoThreads(_) => {
                let one = Way::import(&self.chain, &contender, &self.means(1)?, self.under);
                self.turns([import, one])
            }
            _ => self.turns([import, signatures]),
        }
    }

    fn means(&self, threads: usize) -> Result<Means> {
        Means::new(threads, Some(self.extent.path), Durability::Disk, PER_RUN)
    }

    fn turns(&self, ways: [Way<'_>; 2]) -> Result<Evidence> {
        let [first, second] = self.race(ways)?;
        let mut more = Map::new();
        let rest = first.processor().median - second.processor().median;
        more.insert(
            "more_processor_us_per_item".to_owned(),
            json!(rounded(rest)),
        );
        Ok(Evidence::Turns {
            n: self.chain.transactions as usize,
            first,
            second,
            more,
        })
    }

    fn race<const N: usize>(&self, mut ways: [Way<'_>; N]) -> Result<[Figures; N]> {
        let effort = Effort {
            seconds: self.extent.seconds * IMPORT_TIMES,
            rounds_min: 3,
            rounds_max: 15,
            warm_up_items: 0,
        };
        let mut sides: Vec<Box<dyn Contestant + '_>> = Vec::with_capacity(N);
        for way in &mut ways {
            sides.push(Box::new(way));
        }
        let figures = measure(&mut sides, effort)?.try_into();
        figures
            .ok()
            .context("there are figures for each contestant")
    }
}

/// The import's rate by the smaller of what signatures and the store alone would let through.
fn over_bound(import: &Figures, signatures: &Figures, alone: &Figures) -> Evidence {
    let rate = |figures: &Figures| 1.0 / figures.spread().median;
    let bound = (AIM * rate(signatures)).min(rate(alone));
    Evidence::Figure {
        value: rate(import) / bound,
        from: json!({
            "turns": import.turns(),
            "import": figures_json(import),
            "S": figures_json(signatures),
            "B": figures_json(alone),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ratio_is_measured_or_says_what_is_missing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = hubledger_signatures::Path::Portable;
        let extent = Extent {
            transactions: 2_000,
            seconds: 0.0,
            path,
        };
        let measured =
            measure_ratios(extent, directory.path(), &|_| true).expect("nothing is found wrong");
        assert_eq!(measured.len(), ENTRIES.len());
        let log = measured
            .iter()
            .find(|m| m.ratio.key == "import_log_over_bound");
        assert!(
            log.and_then(Measured::value)
                .is_some_and(|value| value > 0.0)
        );
        let left = std::fs::read_dir(directory.path()).expect("the directory");
        assert_eq!(left.count(), 0, "stores are removed");
    }
}
