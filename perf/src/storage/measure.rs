//! Measuring the ratios of keeping blocks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::append::{appending, fresh_directory};
use super::child::{self, Resident};
use super::contender::Contender;
use super::lookup::{Asked, Filled, LookUps};
use super::opening::{Opened, open_after_kills};
use super::pruning::prune_half;
use super::workload::Workload;
use crate::clock::Times;
use crate::ratio::Evidence;
use crate::statistics::{Spread, rounded};
use crate::turns::{Contestant, Effort, race};

/// What a ratio compares. Contenders go by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    /// Append rates of two contenders.
    Append(&'static str, &'static str),
    /// Look-up rates of two contenders in stores of the standard size.
    LookUp(Asked, &'static str, &'static str),
    /// The same in large stores, if they are measured.
    LookUpLarge(Asked, &'static str, &'static str),
    /// The append rate of a large store over that of a small one.
    AppendLarge(&'static str),
    /// The most resident memory while a store is filled: small, large, or how much more it is.
    Resident(&'static str, Size),
    /// The time of opening after a kill, large over small.
    Open(&'static str, Files),
    /// Freed over removed bytes.
    Prune(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    Large,
    Growth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    InMemory,
    Forgotten,
}

impl Test {
    /// The names of contenders that it needs.
    fn names(self) -> impl Iterator<Item = &'static str> {
        let (first, second) = match self {
            Self::Append(first, second)
            | Self::LookUp(_, first, second)
            | Self::LookUpLarge(_, first, second) => (first, Some(second)),
            Self::AppendLarge(name)
            | Self::Resident(name, _)
            | Self::Open(name, _)
            | Self::Prune(name) => (name, None),
        };
        std::iter::once(first).chain(second)
    }

    fn needs_large(self) -> bool {
        match self {
            Self::AppendLarge(_) | Self::Open(..) => true,
            Self::Resident(_, size) => size != Size::Small,
            Self::Append(..) | Self::LookUp(..) | Self::LookUpLarge(..) | Self::Prune(_) => false,
        }
    }
}

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

/// The workloads, and what is kept from one ratio to the next.
pub(crate) struct Bench<'a> {
    extent: Extent,
    under: &'a Path,
    small: Workload,
    large: Workload,
    filled: BTreeMap<(&'static str, u64), Filled>,
    resident: BTreeMap<(&'static str, u64), Resident>,
    opened: BTreeMap<&'static str, [Opened; 2]>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(extent: Extent, under: &'a Path) -> Self {
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

    /// Measures a ratio, or says what is missing.
    pub(crate) fn evidence(&mut self, test: Test) -> Result<Evidence> {
        for name in test.names() {
            if let Some(missing) = name.parse::<Contender>()?.missing() {
                return Ok(Evidence::Missing(missing));
            }
        }
        if test.needs_large() && !self.extent.large {
            return Ok(Evidence::Missing(NEEDS_LARGE.to_owned()));
        }
        if !matches!(test, Test::LookUp(..) | Test::LookUpLarge(..)) {
            self.filled.clear();
        }
        match test {
            Test::Append(first, second) => {
                self.race_appends([(first, &self.small, ""), (second, &self.small, "")])
            }
            Test::AppendLarge(name) => {
                self.race_appends([(name, &self.large, "large"), (name, &self.small, "small")])
            }
            Test::LookUp(asked, first, second) => self.look_up(asked, [first, second], false),
            Test::LookUpLarge(asked, first, second) => {
                self.look_up(asked, [first, second], self.extent.large)
            }
            Test::Resident(name, size) => self.resident(name, size),
            Test::Open(name, files) => self.open(name, files),
            Test::Prune(name) => {
                let (value, from) = prune_half(&name.parse()?, &self.small, self.under)?;
                Ok(Evidence::Figure { value, from })
            }
        }
    }

    /// Contenders by name, each with its workload and what sets it apart.
    fn race_appends(&self, sides: [(&str, &Workload, &str); 2]) -> Result<Evidence> {
        let effort = Effort {
            seconds: self.extent.seconds * APPEND_TIMES,
            rounds_min: 3,
            rounds_max: 15,
            warm_up_items: 0,
        };
        let shares: [RefCell<Vec<f64>>; 2] = Default::default();
        let side = |number: usize| -> Result<Contestant<'_>> {
            let (name, workload, apart) = sides[number];
            let appending = appending(name.parse()?, workload, self.under, &shares[number]);
            Ok(match apart {
                "" => appending,
                apart => appending.named(apart),
            })
        };
        let [first, second] = race([side(0)?, side(1)?], effort)?;
        let [of_first, of_second] =
            shares.map(|shares| rounded(Spread::of(shares.into_inner()).median));
        let shares = json!({ "first": of_first, "second": of_second });
        let n = usize::try_from(sides[0].1.transactions)?;
        Ok(Evidence::turns(n, first, second).with("share_of_time_after_last_commit", shares))
    }

    fn look_up(&mut self, asked: Asked, names: [&'static str; 2], large: bool) -> Result<Evidence> {
        let workload = if large { &self.large } else { &self.small };
        for name in names {
            if let Entry::Vacant(entry) = self.filled.entry((name, workload.transactions)) {
                entry.insert(Filled::new(name.parse()?, workload, self.under)?);
            }
        }
        let effort = Effort {
            seconds: self.extent.seconds,
            rounds_min: 5,
            rounds_max: 30,
            warm_up_items: WARM_UP_LOOKUPS,
        };
        let sides = names.map(|name| {
            let filled = &self.filled[&(name, workload.transactions)];
            LookUps::seeded(filled, asked, 0).contestant()
        });
        let [first, second] = race(sides, effort)?;
        let transactions = usize::try_from(workload.transactions)?;
        Ok(Evidence::turns(transactions, first, second))
    }

    fn resident(&mut self, name: &'static str, size: Size) -> Result<Evidence> {
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
    fn fill(&mut self, name: &'static str, transactions: u64) -> Result<Resident> {
        let key = (name, transactions);
        if let Some(resident) = self.resident.get(&key) {
            return Ok(*resident);
        }
        let directory = fresh_directory(self.under)?;
        let resident = child::fill(&name.parse()?, directory.path(), transactions)?;
        self.resident.insert(key, resident);
        Ok(resident)
    }

    fn open(&mut self, name: &'static str, files: Files) -> Result<Evidence> {
        if let Entry::Vacant(entry) = self.opened.entry(name) {
            let sizes = [self.large.transactions, self.small.transactions];
            entry.insert(open_after_kills(&name.parse()?, sizes, self.under)?);
        }
        let median = |opened: &Opened| {
            let times: &[Times] = match files {
                Files::InMemory => &opened.warm,
                Files::Forgotten => &opened.cold,
            };
            Spread::of(times.iter().map(|times| times.wall)).median
        };
        let [large, small] = &self.opened[name];
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
