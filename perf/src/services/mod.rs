//! Services over a chain: what views cost an import, and how fast they answer.

mod delivery;
mod filled;
mod imports;
mod maker;
mod rebuild;
mod talk;

use std::cell::OnceCell;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use hubledger::ledger::ChainReader;
use hubledger_services::audit::AuditView;
use hubledger_services::cache::CacheView;
use hubledger_services::causal::CausalView;
use hubledger_services::queue::QueueView;
use hubledger_services::records::RecordsView;
use hubledger_services::registry::RegistryView;
use hubledger_services::route::RouteView;
use hubledger_services::updates::UpdatesView;
use hubledger_services::view::{Settings, View, Views};
use hubledger_storage::Store;
use serde_json::json;

use self::filled::Filled;
use self::imports::{BLOCK, Made};
use crate::ratio::{Evidence, figures_json};
use crate::storage::{Contender, fresh_directory};
use crate::turns::{Contestant, Effort, race};

/// What a ratio compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    /// Importing what services are told with all views against without.
    Import,
    /// The same of plain messages.
    ImportPlain,
    /// Reading messages of topics.
    Read,
    /// Looking something up.
    LookUp(Entry),
    /// A message from being submitted to being acknowledged, high against low.
    Delivery,
    /// Rebuilding all views against verifying.
    Rebuild,
}

/// What is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A message of the queue.
    Offset,
    /// A node of the registry.
    Node,
    /// The way of a message.
    Route,
    /// A value of the cache.
    Key,
}

/// How much is measured.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    /// Transactions of chains that are imported.
    pub(crate) transactions: u64,
    /// Entries of each view in which something is looked up.
    pub(crate) entries: u64,
    /// The height at which a message is to cost what it costs at height 10.
    pub(crate) height: u64,
    /// The backend of chains and views.
    pub(crate) backend: Contender,
    /// Seconds of turns for each ratio.
    pub(crate) seconds: f64,
}

/// Transactions if nothing else is said.
pub(crate) const TRANSACTIONS: u64 = 50_000;
/// Entries if nothing else is said.
pub(crate) const ENTRIES: u64 = 1_000_000;
/// The height if nothing else is said.
pub(crate) const HEIGHT: u64 = 100_000;
/// The height at which a message is cheap in any queue.
const LOW: u64 = 10;
/// Blocks of an import in a pass at most: they are in memory.
const BLOCKS_MAX: u64 = 1_000;
/// So many times as many blocks are imported where they are of plain messages.
const PLAIN_TIMES: u64 = 4;
/// Passes of imports, and of messages, get more time than look-ups.
const LONG_TIMES: f64 = 4.0;
/// Look-ups, and messages that are read, before anything counts.
const WARM_UP: usize = 200_000;

/// What measures the ratios of this area, and what is kept from one to the next.
pub(crate) struct Bench<'a> {
    extent: Extent,
    under: &'a Path,
    filled: OnceCell<Filled>,
    talk: OnceCell<Made>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(extent: Extent, under: &'a Path) -> Self {
        Self {
            extent,
            under,
            filled: OnceCell::new(),
            talk: OnceCell::new(),
        }
    }

    /// Measures a ratio, or says what is missing.
    pub(crate) fn evidence(&self, test: Test) -> Result<Evidence> {
        if let Some(missing) = self.extent.backend.missing() {
            return Ok(Evidence::Missing(missing));
        }
        match test {
            Test::Import => self.import(self.talk()?),
            Test::ImportPlain => {
                // What it costs to have views at all is the same for any number of blocks.
                let blocks = PLAIN_TIMES * self.blocks();
                self.import(&imports::of_plain_messages(blocks)?)
            }
            Test::Read => self.alone(self.filled()?.reading()),
            Test::LookUp(entry) => {
                let filled = self.filled()?;
                self.alone(match entry {
                    Entry::Offset => filled.offsets(),
                    Entry::Node => filled.nodes(),
                    Entry::Route => filled.routes(),
                    Entry::Key => filled.keys(),
                })
            }
            Test::Delivery => self.delivery(),
            Test::Rebuild => self.rebuild(),
        }
    }

    fn blocks(&self) -> u64 {
        (self.extent.transactions / BLOCK as u64).clamp(1, BLOCKS_MAX)
    }

    fn talk(&self) -> Result<&Made> {
        if self.talk.get().is_none() {
            // Nobody else sets it: this is one thread.
            let _kept = self.talk.set(imports::of_services(self.blocks())?);
        }
        self.talk.get().context("it was just made")
    }

    fn filled(&self) -> Result<&Filled> {
        let entries = self.extent.entries;
        if self.filled.get().is_none() {
            eprintln!("making views of {entries} entries each");
            let filled = Filled::new(entries, &self.extent.backend, self.under)?;
            let _kept = self.filled.set(filled);
        }
        self.filled.get().context("it was just made")
    }

    fn import(&self, chain: &Made) -> Result<Evidence> {
        let importing =
            |has_views| imports::importing(chain, has_views, &self.extent.backend, self.under);
        let [first, second] = race([importing(true), importing(false)], self.long())?;
        Ok(Evidence::turns(chain.transactions, first, second))
    }

    fn delivery(&self) -> Result<Evidence> {
        let Extent {
            height, backend, ..
        } = &self.extent;
        ensure!(*height >= LOW, "a height of {height} is below {LOW}");
        eprintln!("making a chain of {height} light blocks");
        let contestants = [
            delivery::delivering(*height, true, backend, self.under),
            delivery::delivering(LOW, false, backend, self.under),
        ];
        let [first, second] = race(contestants, self.long())?;
        Ok(Evidence::turns(delivery::MESSAGES, first, second).with("height", json!(height)))
    }

    fn rebuild(&self) -> Result<Evidence> {
        let (chain, directory) = (self.talk()?, fresh_directory(self.under)?);
        let url = self.extent.backend.store_url(directory.path())?;
        rebuild::fill(chain, &url)?;
        let contestants = [
            rebuild::rebuilding(chain, &url, &self.extent.backend, self.under),
            rebuild::verifying(chain, &url),
        ];
        let [first, second] = race(contestants, self.long())?;
        Ok(Evidence::turns(chain.transactions, first, second))
    }

    /// Microseconds of one item.
    fn alone(&self, contestant: Contestant<'_>) -> Result<Evidence> {
        let effort = Effort {
            seconds: self.extent.seconds,
            rounds_min: 5,
            rounds_max: 30,
            warm_up_items: WARM_UP,
        };
        let [figures] = race([contestant], effort)?;
        Ok(Evidence::Figure {
            value: figures.spread().median,
            from: json!({
                "entries": self.extent.entries,
                "backend": self.extent.backend.to_string(),
                "figures": figures_json(&figures),
            }),
        })
    }

    fn long(&self) -> Effort {
        Effort {
            seconds: self.extent.seconds * LONG_TIMES,
            rounds_min: 5,
            rounds_max: 30,
            warm_up_items: 0,
        }
    }
}

/// Every view that there is, over a chain.
fn all_views(store: Store, chain: ChainReader) -> Result<Views> {
    let registry = RegistryView::new(chain.spec().clone());
    let views: Vec<Box<dyn View>> = vec![
        Box::new(QueueView),
        Box::new(registry),
        Box::new(RouteView),
        Box::new(CausalView),
        Box::new(CacheView),
        Box::new(RecordsView),
        Box::new(AuditView),
        Box::new(UpdatesView),
    ];
    Ok(Views::open(store, chain, views, Settings::default())?)
}
