//! Measuring the ratios of keeping blocks.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::append::{Appending, fresh_directory};
use super::child::{self, Resident};
use super::keeper::{Contender, Scheme};
use super::lookup::{Asked, Filled, LookingUp};
use super::opening::{Opened, open_after_kills};
use super::pruning;
use super::ratios::{ENTRIES, Entry, Size, Test, Warmth};
use super::workload::Workload;
use crate::ratios::{Evidence, Measured, Ratio};
use crate::statistics::{Spread, rounded};
use crate::turns::{Contestant, Effort, Figures, measure};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Transactions that a store is filled with.
    pub(crate) transactions: u64,
    /// Whether ten times as many are tried too.
    pub(crate) large: bool,
    /// Seconds of turns for each ratio.
    pub(crate) seconds: f64,
}

/// Transactions that a store is filled with if nothing else is said.
pub(crate) const TRANSACTIONS: u64 = 1_000_000;
/// How many times as large a large store is.
const LARGE: u64 = 10;
const NEEDS_LARGE: &str = "it needs --large";

/// Whole stores are filled in each turn, so turns get more time than those of shorter work.
const APPEND_TIMES: f64 = 4.0;
/// Look-ups before anything counts.
const WARM_UP_LOOKUPS: usize = 200_000;

/// Measures those that are wanted.
pub(crate) fn measure_ratios(
    extent: Extent,
    under: &Path,
    wanted: &dyn Fn(&Ratio) -> bool,
) -> Result<Vec<Measured>> {
    let mut field = Field::new(extent, under);
    let entries = ENTRIES.iter().filter(|entry| wanted(&entry.ratio));
    let measured = entries.map(|entry| {
        eprintln!("measuring {}", entry.ratio.key);
        let evidence = field.evidence(entry);
        Ok(Measured {
            ratio: &entry.ratio,
            evidence: evidence.with_context(|| entry.ratio.key)?,
        })
    });
    measured.collect()
}

/// The workloads, and what is kept from one ratio to the next.
struct Field<'a> {
    extent: Extent,
    under: &'a Path,
    small: Workload,
    large: Workload,
    filled: BTreeMap<(String, u64), Filled>,
    resident: BTreeMap<(String, u64), Resident>,
    opened: BTreeMap<String, Vec<Opened>>,
}

impl<'a> Field<'a> {
    fn new(extent: Extent, under: &'a Path) -> Self {
        Self {
            extent,
            under,
            small: Workload::standard(extent.transactions),
            large: Workload::standard(extent.transactions * LARGE),
            filled: BTreeMap::new(),
            resident: BTreeMap::new(),
            opened: BTreeMap::new(),
        }
    }

    fn evidence(&mut self, entry: &Entry) -> Result<Evidence> {
        let missing = names(entry.test).find_map(|name| match name.parse::<Contender>() {
            Ok(contender) => contender.missing(),
            Err(error) => Some(error.to_string()),
        });
        if let Some(missing) = missing {
            return Ok(Evidence::Missing(missing));
        }
        if needs_large(entry.test) && !self.extent.large {
            return Ok(Evidence::Missing(NEEDS_LARGE.to_owned()));
        }
        if !matches!(entry.test, Test::LookUp(..)) {
            self.filled.clear();
        }
        match entry.test {
            Test::Append(first, second) => self.append(first, second),
            Test::Growth(name) => self.growth(name),
            Test::LookUp(asked, first, second) => {
                // A peer of which nothing is promised need not be filled for hours.
                let large = self.extent.large && entry.ratio.goal.is_some();
                self.look_up(asked, [first, second], large)
            }
            Test::Resident(name, size) => self.resident(name, size),
            Test::Open(name, warmth) => self.open(name, warmth),
            Test::Prune(name) => {
                let scheme = Scheme(name.to_owned());
                let (value, from) = pruning::prune_half(&scheme, &self.small, self.under)?;
                Ok(Evidence::Figure { value, from })
            }
        }
    }

    fn append(&self, first: &str, second: &str) -> Result<Evidence> {
        let appending = |name: &str| -> Result<Appending<'_>> {
            Ok(Appending::new(name.parse()?, &self.small, self.under))
        };
        self.race_appends(appending(first)?, appending(second)?)
    }

    fn growth(&self, name: &str) -> Result<Evidence> {
        let contender: Contender = name.parse()?;
        let large = Appending::new(contender.clone(), &self.large, self.under).named("large");
        let small = Appending::new(contender, &self.small, self.under).named("small");
        self.race_appends(large, small)
    }

    fn race_appends(
        &self,
        mut first: Appending<'_>,
        mut second: Appending<'_>,
    ) -> Result<Evidence> {
        let effort = Effort {
            seconds: self.extent.seconds * APPEND_TIMES,
            rounds_min: 3,
            rounds_max: 15,
            warm_up_items: 0,
        };
        let figures = measure(&mut [Box::new(&mut first), Box::new(&mut second)], effort)?;
        let shares = json!({
            "first": rounded(first.finishing_share()),
            "second": rounded(second.finishing_share()),
        });
        let mut more = Map::new();
        more.insert("share_of_time_after_last_commit".to_owned(), shares);
        turns(first.items(), figures, more)
    }

    fn look_up(&mut self, asked: Asked, names: [&str; 2], large: bool) -> Result<Evidence> {
        let workload = if large { &self.large } else { &self.small };
        let key = |name: &str| (name.to_owned(), workload.transactions);
        for name in names {
            if !self.filled.contains_key(&key(name)) {
                let filled = Filled::new(name.parse()?, workload, self.under)?;
                self.filled.insert(key(name), filled);
            }
        }
        let effort = Effort {
            seconds: self.extent.seconds,
            rounds_min: 5,
            rounds_max: 30,
            warm_up_items: WARM_UP_LOOKUPS,
        };
        let mut sides: Vec<Box<dyn Contestant + '_>> = Vec::new();
        for name in names {
            let filled = self.filled.get(&key(name)).context("it was filled")?;
            sides.push(Box::new(LookingUp::new(filled, asked)));
        }
        let figures = measure(&mut sides, effort)?;
        let transactions = usize::try_from(workload.transactions)?;
        turns(transactions, figures, Map::new())
    }

    fn resident(&mut self, name: &str, size: Size) -> Result<Evidence> {
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let most = |resident: Resident| mebibytes(resident.most);
        let (small, large) = (self.small.transactions, self.large.transactions);
        let value = match size {
            Size::Small => most(self.fill(name, small)?),
            Size::Large => most(self.fill(name, large)?),
            Size::Growth => most(self.fill(name, large)?) - most(self.fill(name, small)?),
        };
        let before = mebibytes(self.fill(name, small)?.before);
        let from = json!({
            "small_transactions": small,
            "large_transactions": large,
            "before_the_first_block_mib": rounded(before),
            "measured": "RssAnon of /proc/self/status after every commit, in a process that does nothing else",
        });
        Ok(Evidence::Figure { value, from })
    }

    /// What a child needed that filled a store of this size, which is measured once.
    fn fill(&mut self, name: &str, transactions: u64) -> Result<Resident> {
        let key = (name.to_owned(), transactions);
        if let Some(resident) = self.resident.get(&key) {
            return Ok(*resident);
        }
        let directory = fresh_directory(self.under)?;
        let resident = child::fill(&name.parse()?, directory.path(), transactions)?;
        self.resident.insert(key, resident);
        Ok(resident)
    }

    fn open(&mut self, name: &str, warmth: Warmth) -> Result<Evidence> {
        if !self.opened.contains_key(name) {
            let sizes = [self.large.transactions, self.small.transactions];
            let opened = open_after_kills(&Scheme(name.to_owned()), &sizes, self.under)?;
            self.opened.insert(name.to_owned(), opened);
        }
        let opened = self.opened.get(name).context("it was opened")?;
        let median = |opened: &Opened| {
            let seconds = match warmth {
                Warmth::Warm => &opened.warm,
                Warmth::Cold => &opened.cold,
            };
            Spread::of(seconds.iter().copied()).median
        };
        let [large, small] = opened.as_slice() else {
            anyhow::bail!("two sizes were asked for");
        };
        Ok(Evidence::Figure {
            value: median(large) / median(small),
            from: json!({
                "small_transactions": self.small.transactions,
                "large_transactions": self.large.transactions,
                "large": large.to_json(),
                "small": small.to_json(),
            }),
        })
    }
}

fn turns(n: usize, figures: Vec<Figures>, more: Map<String, Value>) -> Result<Evidence> {
    let [first, second]: [Figures; 2] = figures
        .try_into()
        .ok()
        .context("there are figures for each of two contestants")?;
    Ok(Evidence::Turns {
        n,
        first,
        second,
        more,
    })
}

/// Whom a test is about.
fn names(test: Test) -> impl Iterator<Item = &'static str> {
    let (first, second) = match test {
        Test::Append(first, second) | Test::LookUp(_, first, second) => (first, Some(second)),
        Test::Growth(name) | Test::Resident(name, _) | Test::Open(name, _) | Test::Prune(name) => {
            (name, None)
        }
    };
    std::iter::once(first).chain(second)
}

fn needs_large(test: Test) -> bool {
    match test {
        Test::Growth(_) | Test::Open(..) => true,
        Test::Resident(_, size) => size != Size::Small,
        Test::Append(..) | Test::LookUp(..) | Test::Prune(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ratio_is_measured_or_says_what_is_missing() {
        let directory = tempfile::tempdir().expect("a directory");
        let extent = Extent {
            transactions: 2_000,
            large: false,
            seconds: 0.0,
        };
        let mut field = Field::new(extent, directory.path());
        for entry in &ENTRIES {
            // A child is this program, which a test is not.
            if matches!(entry.test, Test::Resident(..)) {
                continue;
            }
            let evidence = field.evidence(entry).expect("nothing is found wrong");
            match evidence {
                Evidence::Turns { first, second, .. } => {
                    assert!(first.turns() > 0 && first.turns() == second.turns());
                }
                Evidence::Figure { value, .. } => assert!(value >= 0.0),
                Evidence::Stated { .. } => panic!("every peer is measured here"),
                Evidence::Missing(reason) => assert!(!reason.is_empty()),
            }
        }
        drop(field);
        let left = std::fs::read_dir(directory.path()).expect("the directory");
        assert_eq!(left.count(), 0, "stores are removed");
    }

    #[test]
    fn every_name_is_a_contender() {
        for name in ENTRIES.iter().flat_map(|entry| names(entry.test)) {
            assert!(name.parse::<Contender>().is_ok(), "{name}");
        }
    }
}
