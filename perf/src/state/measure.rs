//! Measuring the ratios of the state.

use std::cell::{Cell, OnceCell};
use std::path::Path;

use anyhow::{Context as _, Result};
use hubledger::format::FormatVersion;
use hubledger::generate::Recipe;
use hubledger_storage::Durability;
use serde_json::{Value, json};

use super::chains::{self, Chain, Speakers};
use super::peers::Peer;
use super::rows::{BATCH, Rows};
use super::tree::Tree;
use super::updates::{self, Ours, Writing};
use crate::engine::{self, Before, Contest, Setup, peak_of};
use crate::ratio::{Evidence, figures_json};
use crate::statistics::rounded;
use crate::storage::{Contender, fresh_directory};
use crate::turns::{Contestant, Effort, race};

/// What a ratio compares. Backends go by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    /// Importing with a root in every block against importing without.
    Roots(&'static str),
    /// Importing transactions of ever other senders out of many against those of few.
    Cold(&'static str),
    /// The same out of ten times as many against out of many.
    ColdLarge(&'static str),
    /// The same of registered names against pinned ones.
    Registered(&'static str),
    /// Importing from names for which three of five keys speak against those of one key.
    Several(&'static str),
    /// Memory of an import of many senders.
    ColdMemory(&'static str),
    /// Changes and roots against bare hashing and reading.
    OverHashing,
    /// Updates in the tables of a backend against those of a peer.
    Updates(&'static str, Peer),
    /// Making a proof.
    Prove,
    /// Checking a proof.
    Check,
}

/// How much is measured.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    /// Transactions of a chain of few senders, and further ones of many.
    pub(crate) transactions: u64,
    /// Accounts of a state.
    pub(crate) accounts: u32,
    /// Whether ten times as many are measured, too.
    pub(crate) large: bool,
    /// Seconds of turns for each ratio.
    pub(crate) seconds: f64,
}

/// Accounts if nothing else is said.
pub(crate) const ACCOUNTS: u32 = 1_000_000;
/// How many times as many accounts a large state has.
const LARGER: u32 = 10;
/// Senders of the hub workload.
const HUB: u32 = 64;
/// Names that are registered, at most.
const NAMES: u32 = 100_000;
/// Rounds of work that takes long.
const ROUNDS_MIN: usize = 3;
const ROUNDS_MAX: usize = 15;
/// Passes of such work get more time.
const LONG_TIMES: f64 = 2.0;
/// Blocks of an import, and batches of updates, in a pass at most.
const PASS_MAX: usize = 20;

/// The workload, and what is kept from one ratio to the next.
pub(crate) struct Bench<'a> {
    extent: Extent,
    under: &'a Path,
    tree: OnceCell<Tree>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(extent: Extent, under: &'a Path) -> Self {
        Self {
            extent,
            under,
            tree: OnceCell::new(),
        }
    }

    /// Measures a ratio, or says what is missing.
    pub(crate) fn evidence(&self, test: Test) -> Result<Evidence> {
        if let Some(missing) = self.missing(test)? {
            return Ok(Evidence::Missing(missing));
        }
        match test {
            Test::Roots(name) => self.roots(&name.parse()?),
            Test::Cold(name) => {
                let contender = name.parse()?;
                let few = self.chain(HUB, &contender)?;
                let many = self.chain(self.full(), &contender)?;
                self.going_on([(many, self.full()), (few, HUB)])
            }
            Test::ColdLarge(name) => {
                let (contender, small) = (name.parse()?, self.extent.accounts);
                let few = self.chain(small, &contender)?;
                let many = self.chain(self.full(), &contender)?;
                self.going_on([(many, self.full()), (few, small)])
            }
            Test::Registered(name) => {
                let contender = name.parse()?;
                let senders = self.extent.accounts.min(NAMES);
                let registered = self.chain_of(senders, Speakers::Registered, &contender)?;
                let pinned = self.chain_of(senders, Speakers::Pinned, &contender)?;
                let named = ["import from registered names", "import from pinned names"];
                self.going_on_named([(registered, named[0]), (pinned, named[1])])
            }
            Test::Several(name) => {
                let contender = name.parse()?;
                let several = self.chain_of(HUB, Speakers::Several(3, 5), &contender)?;
                let one = self.chain_of(HUB, Speakers::Registered, &contender)?;
                let named = [
                    "import from names of 3 of 5 keys",
                    "import from names of one key",
                ];
                self.going_on_named([(several, named[0]), (one, named[1])])
            }
            Test::ColdMemory(name) => self.memory(&name.parse()?),
            Test::OverHashing => {
                let tree = self.tree();
                let (hashing, nodes) = tree.hashing()?;
                let [first, second] = race([tree.changes(), hashing], self.short())?;
                let evidence = Evidence::turns(BATCH, first, second);
                Ok(evidence.with("nodes_of_an_update", json!(rounded(nodes))))
            }
            Test::Updates(name, peer) => self.updates(&name.parse()?, peer),
            Test::Prove => self.alone(self.tree().proofs()),
            Test::Check => self.alone(self.tree().checks()?),
        }
    }

    /// Why a test can't be done here, if it can't.
    fn missing(&self, test: Test) -> Result<Option<String>> {
        let (name, here) = match test {
            Test::Roots(name) | Test::Cold(name) | Test::Registered(name) | Test::Several(name) => {
                (name, None)
            }
            Test::ColdLarge(name) => {
                let missing = !self.extent.large;
                (name, missing.then(|| "it needs --large".to_owned()))
            }
            Test::ColdMemory(name) => {
                let missing = !cfg!(target_os = "linux");
                let why = "it needs Linux, which keeps the peak of a process";
                (name, missing.then(|| why.to_owned()))
            }
            Test::Updates(name, peer) => (name, peer.missing()),
            Test::OverHashing | Test::Prove | Test::Check => return Ok(None),
        };
        Ok(here.or(name.parse::<Contender>()?.missing()))
    }

    /// Accounts of the full size.
    fn full(&self) -> u32 {
        match self.extent.large {
            true => LARGER.saturating_mul(self.extent.accounts),
            false => self.extent.accounts,
        }
    }

    fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| {
            eprintln!("making a tree of {} rows", self.full());
            Tree::of(Rows::new(self.full().into(), 1))
        })
    }

    fn chain(&self, senders: u32, contender: &Contender) -> Result<Chain> {
        self.chain_of(senders, Speakers::Pinned, contender)
    }

    fn chain_of(&self, senders: u32, speakers: Speakers, contender: &Contender) -> Result<Chain> {
        eprintln!("making a chain of {senders} senders ({speakers:?})");
        Chain::of(senders, speakers, contender, self.under)
    }

    /// Two chains that go on, by their numbers of senders.
    fn going_on(&self, chains: [(Chain, u32); 2]) -> Result<Evidence> {
        let names = chains
            .each_ref()
            .map(|(_, senders)| format!("import from {senders} senders"));
        let [first, second] = chains.map(|(chain, _)| chain);
        self.going_on_named([(first, &names[0]), (second, &names[1])])
    }

    fn going_on_named(&self, mut chains: [(Chain, &str); 2]) -> Result<Evidence> {
        let blocks = (self.extent.transactions / 10_000).clamp(1, PASS_MAX as u64) as usize;
        let contestants = chains
            .each_mut()
            .map(|(chain, name)| chain.going_on(name, blocks));
        let [first, second] = race(contestants, self.long())?;
        Ok(Evidence::turns(blocks * BATCH, first, second))
    }

    /// A chain with a root in every block against one without, of the same recipe.
    fn roots(&self, contender: &Contender) -> Result<Evidence> {
        let chain = |version| {
            let recipe = Recipe {
                transactions: self.extent.transactions,
                version,
                ..Recipe::default()
            };
            engine::Chain::generate(recipe)
        };
        let chains = [chain(FormatVersion::V2)?, chain(FormatVersion::V1)?];
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let setup = Setup::new(cores, Durability::Disk)?;
        let group = Cell::new(1);
        let [with, without] = chains.each_ref().map(|chain| {
            let contest = Contest {
                chain,
                under: self.under,
                group: &group,
            };
            contest.import(contender, &setup, Before::Nothing)
        });
        let contestants = [with.named("roots"), without.named("no roots")];
        let [first, second] = race(contestants, self.long())?;
        Ok(Evidence::turns(chains[0].alone.len(), first, second))
    }

    fn memory(&self, contender: &Contender) -> Result<Evidence> {
        let directory = fresh_directory(self.under)?;
        let file = directory.path().join("cold.hlb");
        let (senders, more) = (self.full(), self.extent.transactions);
        eprintln!("making a block file of {senders} senders");
        chains::write_file(senders, more, &file)?;
        let peak = peak_of(&file, contender, self.under)?;
        Ok(Evidence::Figure {
            value: peak.own_mib,
            from: json!({
                "accounts": senders,
                "transactions": u64::from(senders) + more,
                "peak_with_files_mib": rounded(peak.all_mib),
            }),
        })
    }

    /// Updates of ours against a peer's, each batch as durable on both sides; beside them ours as an engine writes its pages.
    fn updates(&self, contender: &Contender, peer: Peer) -> Result<Evidence> {
        let rows = Rows::new(self.full().into(), 1);
        let batches = (self.full() as usize / BATCH).clamp(1, PASS_MAX);
        let directories = [(); 3].map(|()| fresh_directory(self.under));
        let [always, seldom, theirs] = directories;
        let (always, seldom, theirs) = (always?, seldom?, theirs?);
        let durability = peer.durability();
        let ours = |directory: &Path, writing, name: &str| {
            let ours = Ours::create(contender, directory, durability, writing)?;
            updates::contestant(name, Box::new(ours), rows.with_seed(1), batches)
        };
        let kept = peer.create(theirs.path());
        let kept = kept.with_context(|| format!("begin with {peer}"))?;
        let contestants = [
            ours(always.path(), Writing::Always, "ours")?,
            updates::contestant(&peer.to_string(), kept, rows.with_seed(1), batches)?,
            ours(
                seldom.path(),
                Writing::AsEngine,
                "ours, written as an engine does",
            )?,
        ];
        let [first, second, seldom] = race(contestants, self.long())?;
        // What is written now and then is in few of the turns, so that no median is of use.
        let mean = seldom.all_processor().sum::<f64>() / seldom.turns() as f64;
        Ok(Evidence::turns(BATCH, first, second)
            .with("commits", json!(format!("durable as {durability}")))
            .with("written_as_an_engine_does", figures_json(&seldom))
            .with(
                "written_as_an_engine_does_mean_processor_us",
                json!(rounded(mean)),
            ))
    }

    /// Microseconds of one item.
    fn alone(&self, contestant: Contestant<'_>) -> Result<Evidence> {
        let [figures] = race([contestant], self.short())?;
        Ok(Evidence::Figure {
            value: figures.spread().median,
            from: with_rows(figures_json(&figures), self.full()),
        })
    }

    /// For work of which a pass takes milliseconds.
    fn short(&self) -> Effort {
        Effort {
            seconds: self.extent.seconds,
            rounds_min: 5,
            rounds_max: 30,
            warm_up_items: 0,
        }
    }

    /// For work of which a pass takes about a second.
    fn long(&self) -> Effort {
        Effort {
            seconds: self.extent.seconds * LONG_TIMES,
            rounds_min: ROUNDS_MIN,
            rounds_max: ROUNDS_MAX,
            warm_up_items: 0,
        }
    }
}

fn with_rows(mut figures: Value, rows: u32) -> Value {
    if let Value::Object(figures) = &mut figures {
        figures.insert("rows".to_owned(), json!(rows));
    }
    figures
}
