//! Measuring the ratios of the engine.

use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use hubledger::format::FormatVersion;
use hubledger::generate::Recipe;
use hubledger::spec::Finality;
use hubledger_storage::{Block, Durability};
use serde_json::{Value, json};

use super::chain::Chain;
use super::contestants::Contest;
use super::cores::OneCore;
use super::forks::{self, Rivals};
use super::import::{Before, Setup};
use super::memory;
use super::mpreg;
use super::original::{Inputs, Line};
use super::produce::BLOCK;
use crate::ratio::{Evidence, figures_json};
use crate::statistics::rounded;
use crate::storage::{Contender, fresh_directory};
use crate::turns::{Contestant, Effort, Figures, measure, race};

/// What a ratio compares. Backends go by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    /// Importing into a backend against the signatures alone.
    OverSignatures(&'static str),
    /// Importing into a backend against the smaller of 0.70 of the signatures' rate and the backend's own.
    OverBound(&'static str),
    /// Importing into a backend against what is put together from crates over a peer of the storage area.
    OverPlainStack(&'static str, &'static str),
    /// Two threads against one.
    ImportThreads(&'static str),
    /// Two threads on two cores against one thread on one core.
    ImportCores(&'static str),
    /// Everything admitted before against nothing.
    Admitted(&'static str),
    /// Importing a chain that is final by depth against one that is final at once.
    ByDepth(&'static str),
    /// A branch that takes the place of a whole chain against importing that chain.
    Reorganisation(&'static str),
    /// Latency of admission below the highest rate.
    AdmissionLatency,
    /// Latency of admission into an engine that is busy with snapshots and producing, over a backend.
    AdmissionBeside(&'static str),
    /// Blocks produced into a backend.
    Produce(&'static str),
    /// Memory of an import into a backend.
    Memory(&'static str),
    /// Verifying what MPREG wrote.
    Mpreg,
    /// A line of the original's table.
    Original(Line),
}

/// How much is measured.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    /// Transactions of the chain.
    pub(crate) transactions: u64,
    /// Seconds of turns for each ratio.
    pub(crate) seconds: f64,
    /// A store of MPREG's; one is made up if there is none.
    pub(crate) mpreg: Option<PathBuf>,
    /// Why nothing can be measured, if so.
    pub(crate) missing: Option<String>,
}

/// Transactions of the chain if nothing else is said.
pub(crate) const TRANSACTIONS: u64 = 200_000;
/// What of the signatures' rate is hoped for, where the store doesn't bound it.
const AIM: f64 = 0.7;
/// Whole chains are imported in each turn, so turns get more time than those of shorter work.
pub(super) const IMPORT_TIMES: f64 = 2.0;
/// Rounds of work that is over after its whole workload.
pub(super) const ROUNDS_MIN: usize = 3;
pub(super) const ROUNDS_MAX: usize = 15;

/// The workload, and what is kept from one ratio to the next.
pub(crate) struct Bench<'a> {
    pub(super) extent: Extent,
    pub(super) under: &'a Path,
    pub(super) cores: usize,
    chain: OnceCell<Chain>,
    records: OnceCell<Vec<Block>>,
    /// Blocks of a commit in the last import.
    group: Cell<usize>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(extent: Extent, under: &'a Path) -> Self {
        Self {
            extent,
            under,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            chain: OnceCell::new(),
            records: OnceCell::new(),
            group: Cell::new(1),
        }
    }

    /// The workload, made when it is first asked for.
    pub(super) fn chain(&self) -> Result<&Chain> {
        let transactions = self.extent.transactions;
        once(&self.chain, || {
            eprintln!("making a chain of {transactions} transactions");
            Chain::generate(Recipe {
                transactions,
                // The plain stack reads no later one, and keeps no state to have a root over.
                version: FormatVersion::V1,
                ..Recipe::default()
            })
        })
    }

    /// Measures a ratio, or says what is missing.
    pub(crate) fn evidence(&self, test: Test) -> Result<Evidence> {
        if let Some(missing) = self.missing(test)? {
            return Ok(Evidence::Missing(missing));
        }
        match test {
            Test::OverSignatures(name) => {
                let (contest, setup) = (self.contest()?, self.setup(self.cores)?);
                let import = contest.import(&name.parse()?, &setup, Before::Nothing);
                self.compared([import, contest.signatures(&setup)])
            }
            Test::OverBound(name) => self.over_bound(&name.parse()?),
            Test::OverPlainStack(name, peer) => {
                let (contest, setup) = (self.contest()?, self.setup(self.cores)?);
                let import = contest.import(&name.parse()?, &setup, Before::Nothing);
                self.compared([import, contest.plain_stack(&peer.parse()?, &setup)])
            }
            Test::ImportThreads(name) => self.imports(name, [self.setup(2)?, self.setup(1)?]),
            Test::ImportCores(name) => {
                self.imports(name, [self.setup(2)?, self.setup(1)?.on_one_core()])
            }
            Test::Admitted(name) => {
                let (contest, setup, contender) = (self.contest()?, self.setup(2)?, name.parse()?);
                let import = |before| contest.import(&contender, &setup, before);
                self.compared([import(Before::Admission), import(Before::Nothing)])
            }
            Test::ByDepth(name) => self.by_depth(&name.parse()?),
            Test::Reorganisation(name) => self.reorganisation(&name.parse()?),
            Test::AdmissionLatency => self.admission(),
            Test::AdmissionBeside(name) => self.admission_beside(&name.parse()?),
            Test::Produce(name) => self.produce(&name.parse()?),
            Test::Memory(name) => {
                let transactions = self.extent.transactions.div_ceil(2);
                let (value, from) =
                    memory::long_over_short(transactions, &name.parse()?, self.under)?;
                Ok(Evidence::Figure { value, from })
            }
            Test::Mpreg => self.mpreg(),
            Test::Original(line) => self.original(line),
        }
    }

    /// Why a test can't be done here, if it can't.
    fn missing(&self, test: Test) -> Result<Option<String>> {
        if self.extent.missing.is_some() {
            return Ok(self.extent.missing.clone());
        }
        let backend = match test {
            Test::OverPlainStack(name, peer) => {
                let missing = peer.parse::<Contender>()?.missing();
                missing.or(name.parse::<Contender>()?.missing())
            }
            Test::OverSignatures(name)
            | Test::OverBound(name)
            | Test::ImportThreads(name)
            | Test::ImportCores(name)
            | Test::Admitted(name)
            | Test::ByDepth(name)
            | Test::Reorganisation(name)
            | Test::AdmissionBeside(name)
            | Test::Produce(name)
            | Test::Memory(name) => name.parse::<Contender>()?.missing(),
            Test::AdmissionLatency | Test::Mpreg | Test::Original(_) => None,
        };
        Ok(match test {
            Test::ImportThreads(_) | Test::ImportCores(_) | Test::Admitted(_) if self.cores < 2 => {
                Some("it needs two cores".to_owned())
            }
            Test::ImportCores(_) if !OneCore::is_possible() => {
                Some("work can't be held on one core here".to_owned())
            }
            Test::Memory(_) if !cfg!(target_os = "linux") => {
                Some("it needs Linux, which keeps the peak of a process".to_owned())
            }
            _ => backend,
        })
    }

    fn contest(&self) -> Result<Contest<'_>> {
        Ok(Contest {
            chain: self.chain()?,
            under: self.under,
            group: &self.group,
        })
    }

    pub(super) fn setup(&self, threads: usize) -> Result<Setup> {
        Setup::new(threads, Durability::Disk)
    }

    /// Imports into a backend that differ in how the engine is set up.
    fn imports(&self, name: &str, setups: [Setup; 2]) -> Result<Evidence> {
        let (contest, contender) = (self.contest()?, name.parse()?);
        self.compared(setups.map(|setup| contest.import(&contender, &setup, Before::Nothing)))
    }

    /// The import's rate by the smaller of what signatures and the store alone would let through.
    fn over_bound(&self, contender: &Contender) -> Result<Evidence> {
        let (contest, setup) = (self.contest()?, self.setup(self.cores)?);
        let records = once(&self.records, || contest.chain.records())?;
        let contestants = [
            contest.import(contender, &setup, Before::Nothing),
            contest.signatures(&setup),
            contest.append(records, contender, &setup),
        ];
        let [import, signatures, alone] = race(contestants, self.long_effort())?;
        let rate = |figures: &Figures| 1.0 / figures.spread().median;
        let bound = (AIM * rate(&signatures)).min(rate(&alone));
        Ok(Evidence::Figure {
            value: rate(&import) / bound,
            from: json!({
                "turns": import.turns(),
                "blocks_of_the_last_commits": self.group.get(),
                "import": figures_json(&import),
                "S": figures_json(&signatures),
                "B": figures_json(&alone),
            }),
        })
    }

    /// The workload as a chain that is final by depth against the same as one that is final at once.
    fn by_depth(&self, contender: &Contender) -> Result<Evidence> {
        let transactions = self.extent.transactions;
        eprintln!("making chains of {transactions} transactions");
        let chains = [Finality::Depth(forks::DEPTH), Finality::Immediate]
            .map(|finality| forks::chain(finality, transactions, 0));
        let [deep, immediate] = chains;
        let (deep, immediate) = (deep?, immediate?);
        let contestants = [
            self.alone(&deep, contender)?.named("final by depth"),
            self.alone(&immediate, contender)?.named("final at once"),
        ];
        let [first, second] = race(contestants, self.long_effort())?;
        Ok(Evidence::turns(deep.alone.len(), first, second))
    }

    /// A branch in the place of a chain against importing the chain.
    fn reorganisation(&self, contender: &Contender) -> Result<Evidence> {
        let rivals = Rivals::new(self.extent.transactions / BLOCK as u64)?;
        let setup = self.setup(self.cores)?;
        let contestants = [
            rivals.reorganisation(contender, &setup, self.under),
            self.alone(&rivals.chain, contender)?,
        ];
        let [first, second] = race(contestants, self.long_effort())?;
        Ok(Evidence::turns(rivals.chain.alone.len(), first, second))
    }

    /// An import of a chain of its own, by processor time.
    fn alone<'c>(&'c self, chain: &'c Chain, contender: &Contender) -> Result<Contestant<'c>> {
        let contest = Contest {
            chain,
            under: self.under,
            group: &self.group,
        };
        let import = contest.import(contender, &self.setup(self.cores)?, Before::Nothing);
        Ok(import.by_processor_time())
    }

    /// Two contestants over the whole chain, with the processor time and the cores that each took.
    fn compared(&self, contestants: [Contestant<'_>; 2]) -> Result<Evidence> {
        let [first, second] = race(contestants, self.long_effort())?;
        let processor = |figures: &Figures| figures.processor().median;
        let sides = |figure: &dyn Fn(&Figures) -> f64| json!({ "first": rounded(figure(&first)), "second": rounded(figure(&second)) });
        let by_thread = sides(&processor);
        let busy = sides(&|figures| processor(figures) / figures.wall().median);
        let more = json!(rounded(processor(&first) - processor(&second)));
        let n = self.chain()?.alone.len();
        Ok(Evidence::turns(n, first, second)
            .with("processor_us_per_item", by_thread)
            .with("more_processor_us_per_item", more)
            .with("cores_busy", busy))
    }

    /// For whole chains.
    fn long_effort(&self) -> Effort {
        Effort {
            seconds: self.extent.seconds * IMPORT_TIMES,
            rounds_min: ROUNDS_MIN,
            rounds_max: ROUNDS_MAX,
            warm_up_items: 0,
        }
    }

    fn mpreg(&self) -> Result<Evidence> {
        let directory = fresh_directory(self.under)?;
        let made = directory.path().join("made.db");
        let path = match &self.extent.mpreg {
            Some(path) => path,
            None => {
                mpreg::write_store(&made, mpreg::BLOCKS, mpreg::PER_BLOCK)?;
                &made
            }
        };
        let verifying = mpreg::verifying(path)?;
        let n = verifying.items();
        let [first] = race([verifying], self.short_effort())?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Evidence::stated(n, first, mpreg::VALIDATE_CHAIN)
            .with("store", json!(name))
            .with("store_bytes", json!(path.metadata()?.len())))
    }

    fn original(&self, line: Line) -> Result<Evidence> {
        let inputs = Inputs::new(self.chain()?, &self.setup(self.cores)?)?;
        let mut contestants = inputs.contestants(line);
        let n = contestants.first().map_or(0, Contestant::items);
        let mut figures = measure(&mut contestants, self.short_effort())?.into_iter();
        let first = figures.next().context("a line has a contestant")?;
        let beside: Vec<Value> = figures.map(|figures| figures_json(&figures)).collect();
        let evidence = Evidence::stated(n, first, line.stated());
        Ok(match beside.is_empty() {
            true => evidence,
            false => evidence.with("beside", beside.into()),
        })
    }

    /// For work of which a pass takes milliseconds.
    fn short_effort(&self) -> Effort {
        Effort {
            seconds: self.extent.seconds,
            rounds_min: 5,
            rounds_max: 30,
            warm_up_items: 0,
        }
    }
}

/// What a cell holds, made if it is empty.
fn once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if cell.get().is_none() {
        let made = make()?;
        return Ok(cell.get_or_init(|| made));
    }
    cell.get().context("it was made before")
}
