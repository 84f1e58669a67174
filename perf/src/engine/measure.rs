//! Measuring the ratios of the engine.

use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hubledger::generate::Recipe;
use hubledger_storage::{Block, Durability};
use serde_json::{Map, Value, json};

use super::admission::{Admitted, LOAD, admit};
use super::chain::Chain;
use super::contestants::{Group, Way, Ways};
use super::cores::OneCore;
use super::import::{Before, Means};
use super::memory;
use super::mpreg::{self, Verifying};
use super::original::{Line, Workshop};
use super::produce::{BLOCK, produce_blocks};
use super::ratios::{ENTRIES, Test};
use crate::ratios::{Evidence, Measured, Ratio, all_rounded, figures_json, spread_json};
use crate::statistics::{Spread, quantile, rounded};
use crate::storage::{Contender, fresh_directory};
use crate::turns::{Contestant, Effort, Figures, measure};

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
const IMPORT_TIMES: f64 = 2.0;
/// Rounds of work that is over after its whole workload.
const ROUNDS_MIN: usize = 3;
const ROUNDS_MAX: usize = 15;
/// Blocks that are produced into one store.
const PRODUCED_MAX: usize = 50;

/// Measures those that are wanted.
pub(crate) fn measure_ratios(
    extent: &Extent,
    under: &Path,
    wanted: &dyn Fn(&Ratio) -> bool,
) -> Result<Vec<Measured>> {
    let field = Field::new(extent, under);
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
    extent: &'a Extent,
    under: &'a Path,
    cores: usize,
    chain: OnceCell<Chain>,
    records: OnceCell<Vec<Block>>,
    group: Group,
}

impl<'a> Field<'a> {
    fn new(extent: &'a Extent, under: &'a Path) -> Self {
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
    fn chain(&self) -> Result<&Chain> {
        let transactions = self.extent.transactions;
        once(&self.chain, || {
            eprintln!("making a chain of {transactions} transactions");
            Chain::generate(Recipe {
                transactions,
                ..Recipe::default()
            })
        })
    }

    fn evidence(&self, test: Test) -> Result<Evidence> {
        if let Some(missing) = self.missing(test)? {
            return Ok(Evidence::Missing(missing));
        }
        match test {
            Test::OverSignatures(name) => {
                let (ways, means) = (self.ways()?, self.means(self.cores)?);
                let import = ways.import(&name.parse()?, &means, Before::Nothing);
                self.turns([import, ways.signatures(&means)])
            }
            Test::OverBound(name) => self.over_bound(&name.parse()?),
            Test::TwoThreads(name) => {
                let (ways, contender) = (self.ways()?, name.parse()?);
                let import = |threads| -> Result<Way<'_>> {
                    Ok(ways.import(&contender, &self.means(threads)?, Before::Nothing))
                };
                self.turns([import(2)?, import(1)?])
            }
            Test::TwoCores(name) => {
                let (ways, contender) = (self.ways()?, name.parse()?);
                let import = |means| ways.import(&contender, &means, Before::Nothing);
                self.turns([import(self.means(2)?), import(self.means(1)?.on_one_core())])
            }
            Test::Admitted(name) => {
                let (ways, means, contender) = (self.ways()?, self.means(2)?, name.parse()?);
                let import = |before| ways.import(&contender, &means, before);
                self.turns([import(Before::Admission), import(Before::Nothing)])
            }
            Test::AdmissionLatency => self.admission(),
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
            Test::OverSignatures(name)
            | Test::OverBound(name)
            | Test::TwoThreads(name)
            | Test::TwoCores(name)
            | Test::Admitted(name)
            | Test::Produce(name)
            | Test::Memory(name) => name.parse::<Contender>()?.missing(),
            Test::AdmissionLatency | Test::Mpreg | Test::Original(_) => None,
        };
        Ok(match test {
            Test::TwoThreads(_) | Test::TwoCores(_) | Test::Admitted(_) if self.cores < 2 => {
                Some("it needs two cores".to_owned())
            }
            Test::TwoCores(_) if !OneCore::is_possible() => {
                Some("work can't be held on one core here".to_owned())
            }
            Test::Memory(_) if !cfg!(target_os = "linux") => {
                Some("it needs Linux, which keeps the peak of a process".to_owned())
            }
            _ => backend,
        })
    }

    fn ways(&self) -> Result<Ways<'_>> {
        Ok(Ways {
            chain: self.chain()?,
            under: self.under,
            group: &self.group,
        })
    }

    fn means(&self, threads: usize) -> Result<Means> {
        Means::new(threads, Durability::Disk)
    }

    /// The import's rate by the smaller of what signatures and the store alone would let through.
    fn over_bound(&self, contender: &Contender) -> Result<Evidence> {
        let (ways, means) = (self.ways()?, self.means(self.cores)?);
        let records = once(&self.records, || ways.chain.records())?;
        let [import, signatures, alone] = self.race([
            ways.import(contender, &means, Before::Nothing),
            ways.signatures(&means),
            ways.append(records, contender, &means),
        ])?;
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

    fn turns(&self, ways: [Way<'_>; 2]) -> Result<Evidence> {
        let [first, second] = self.race(ways)?;
        let sides = |figure: fn(&Figures) -> f64| json!({ "first": rounded(figure(&first)), "second": rounded(figure(&second)) });
        let processor = |figures: &Figures| figures.processor().median;
        let mut more = Map::new();
        let mut put = |key: &str, value: Value| more.insert(key.to_owned(), value);
        put(
            "processor_us_per_item",
            sides(|figures| figures.processor().median),
        );
        let rest = processor(&first) - processor(&second);
        put("more_processor_us_per_item", json!(rounded(rest)));
        put(
            "cores_busy",
            sides(|figures| figures.processor().median / figures.wall().median),
        );
        Ok(Evidence::Turns {
            n: self.chain()?.alone.len(),
            first,
            second,
            more,
        })
    }

    fn race<const N: usize>(&self, mut ways: [Way<'_>; N]) -> Result<[Figures; N]> {
        let effort = Effort {
            seconds: self.extent.seconds * IMPORT_TIMES,
            rounds_min: ROUNDS_MIN,
            rounds_max: ROUNDS_MAX,
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

    /// As many rounds of something as there is time for; the first doesn't count.
    fn rounds<T>(&self, mut round: impl FnMut() -> Result<T>) -> Result<Vec<T>> {
        round()?;
        let end = Instant::now() + Duration::from_secs_f64(self.extent.seconds * IMPORT_TIMES);
        let mut rounds = Vec::new();
        while rounds.len() < ROUNDS_MIN || (Instant::now() < end && rounds.len() < ROUNDS_MAX) {
            rounds.push(round()?);
        }
        Ok(rounds)
    }

    fn admission(&self) -> Result<Evidence> {
        let (chain, means) = (self.chain()?, self.means(self.cores)?);
        let rounds = self.rounds(|| admit(chain, &means))?;
        let highest = rounds.iter().map(|round| round.highest);
        let at = |part: f64| rounds.iter().map(move |round| milliseconds_at(round, part));
        let value = Spread::of(at(0.99)).median;
        let percentiles = [
            ("p50_ms", 0.5),
            ("p90_ms", 0.9),
            ("p99_ms", 0.99),
            ("p999_ms", 0.999),
        ];
        let percentiles: Map<String, Value> = percentiles
            .into_iter()
            .map(|(name, part)| (name.to_owned(), json!(all_rounded(at(part)))))
            .collect();
        Ok(Evidence::Figure {
            value,
            from: json!({
                "n": chain.alone.len(),
                "turns": rounds.len(),
                "threads": self.cores,
                "load": LOAD,
                "highest_per_second": spread_json(&Spread::of(highest.clone())),
                "turns_highest_per_second": all_rounded(highest.map(f64::round)),
                "percentiles": percentiles,
            }),
        })
    }

    fn produce(&self, contender: &Contender) -> Result<Evidence> {
        let (chain, means) = (self.chain()?, self.means(self.cores)?);
        let once = || produce_blocks(chain, contender, &means, PRODUCED_MAX, self.under);
        let rounds = self.rounds(once)?;
        let milliseconds: Vec<f64> = rounds
            .iter()
            .flatten()
            .map(|took| took.as_secs_f64() * 1e3)
            .collect();
        let spread = Spread::of(milliseconds.iter().copied());
        Ok(Evidence::Figure {
            value: spread.median,
            from: json!({
                "n": BLOCK,
                "turns": milliseconds.len(),
                "threads": self.cores,
                "ms": spread_json(&spread),
                "most_ms": rounded(milliseconds.iter().copied().fold(0.0, f64::max)),
                "turns_ms": all_rounded(milliseconds.iter().copied()),
            }),
        })
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
        let mut verifying = Verifying::new(path)?;
        let n = verifying.items();
        let mut sides: [Box<dyn Contestant + '_>; 1] = [Box::new(&mut verifying)];
        let [first] = measure(&mut sides, self.short_effort())?
            .try_into()
            .ok()
            .context("there are figures for one contestant")?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut more = Map::new();
        more.insert("store".to_owned(), json!(name));
        more.insert("store_bytes".to_owned(), json!(path.metadata()?.len()));
        Ok(Evidence::Stated {
            n,
            first,
            second: mpreg::VALIDATE_CHAIN,
            more,
        })
    }

    fn original(&self, line: Line) -> Result<Evidence> {
        let workshop = Workshop::new(self.chain()?, &self.means(self.cores)?)?;
        let mut crafts = workshop.crafts(line);
        let n = crafts.first().map_or(0, Contestant::items);
        let mut sides: Vec<Box<dyn Contestant + '_>> = Vec::new();
        for craft in &mut crafts {
            sides.push(Box::new(craft));
        }
        let mut figures = measure(&mut sides, self.short_effort())?.into_iter();
        let first = figures.next().context("somebody works")?;
        let beside: Vec<Value> = figures.map(|figures| figures_json(&figures)).collect();
        let mut more = Map::new();
        if !beside.is_empty() {
            more.insert("beside".to_owned(), beside.into());
        }
        Ok(Evidence::Stated {
            n,
            first,
            second: line.stated(),
            more,
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

fn milliseconds_at(round: &Admitted, part: f64) -> f64 {
    let mut seconds: Vec<f64> = round.latencies.iter().map(Duration::as_secs_f64).collect();
    seconds.sort_unstable_by(f64::total_cmp);
    quantile(&seconds, part) * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny(missing: Option<String>) -> Extent {
        Extent {
            transactions: 2_000,
            seconds: 0.0,
            mpreg: None,
            missing,
        }
    }

    #[test]
    fn every_ratio_is_measured_or_says_what_is_missing() {
        let directory = tempfile::tempdir().expect("a directory");
        // A child is this program, which a test is not.
        let wanted = |ratio: &Ratio| ratio.key != "import_memory_long_over_short";
        let stores = tempfile::tempdir().expect("a directory");
        let mpreg = stores.path().join("small.db");
        mpreg::write_store(&mpreg, 3, 20).expect("it can be written");
        let mut extent = tiny(None);
        extent.mpreg = Some(mpreg);
        let measured =
            measure_ratios(&extent, directory.path(), &wanted).expect("nothing is found wrong");
        assert_eq!(measured.len(), ENTRIES.len() - 1);
        for measured in &measured {
            match &measured.evidence {
                Evidence::Missing(reason) => assert!(!reason.is_empty()),
                _ => assert!(
                    measured.value().is_some_and(|value| value > 0.0),
                    "{measured:?}"
                ),
            }
        }
        let log = measured
            .iter()
            .find(|m| m.ratio.key == "import_log_over_bound");
        assert!(log.is_some_and(|log| log.value().is_some()));
        let left = std::fs::read_dir(directory.path()).expect("the directory");
        assert_eq!(left.count(), 0, "stores are removed");
    }

    #[test]
    fn what_keeps_everything_from_being_measured_is_said_of_each() {
        let extent = tiny(Some("another path".to_owned()));
        let measured = measure_ratios(&extent, Path::new("nowhere"), &|_| true);
        for measured in measured.expect("nothing is tried") {
            assert!(matches!(&measured.evidence, Evidence::Missing(why) if why == "another path"));
        }
    }
}
