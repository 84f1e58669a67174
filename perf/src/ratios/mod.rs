//! `hubledger-perf ratios`: every ratio that the project promises, each of two contestants that took turns in this run.
//!
//! A figure in microseconds belongs to one machine at one time; a ratio of two figures that were taken in turns is the
//! same an hour later and nearly the same on another machine. So ratios are what is promised, and checked.

mod json;
mod measured;
mod show;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use hubledger_signatures::{PATH_VARIABLE, Path};

pub(crate) use self::measured::{
    Evidence, Kind, Measured, Ratio, Stated, all_rounded, figures_json, spread_json,
};
pub(crate) use self::show::percent;
use self::show::{missing, to_json, to_table};
use crate::machine::{Machine, headline};
use crate::{engine, signatures, storage};

/// What of the engine is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Area {
    /// Checking signatures.
    Signatures,
    /// Keeping blocks.
    Storage,
    /// The way of a block into a store, signatures and all.
    Engine,
}

/// The arguments of `ratios`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Measure only the ratios of this area.
    #[arg(long, value_name = "AREA")]
    only: Option<Area>,
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
    /// Transactions that stores are filled with; 1,000,000 for storage and 200,000 for the engine if not given.
    #[arg(long, value_name = "N")]
    transactions: Option<u64>,
    /// Measure what needs a store of ten times as many transactions too: some minutes, and about 10 GB.
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

/// Ratios of an area, or of all.
type Ratios = Box<dyn Iterator<Item = &'static Ratio>>;

fn all() -> Ratios {
    let ratios = signatures::ratios().chain(storage::ratios());
    Box::new(ratios.chain(engine::ratios()))
}

impl Arguments {
    fn is_within(&self, area: Area) -> bool {
        self.only.is_none_or(|only| only == area)
    }

    /// Whether a ratio is to be measured, as far as keys say.
    fn wanted(&self) -> Result<impl Fn(&Ratio) -> bool + '_> {
        for key in &self.keys {
            ensure!(
                all().any(|ratio| ratio.key == key),
                "no ratio is called {key:?}; --help lists them all"
            );
        }
        Ok(|ratio: &Ratio| self.keys.is_empty() || self.keys.iter().any(|key| key == ratio.key))
    }
}

/// Every ratio, with what it means and what is wanted of it.
pub(crate) fn explain() -> String {
    let mut text = String::from(
        "X_over_Y says how many times as fast X is as Y: Y's time by X's. Only where it says \"cost\" is it X's time \
         by Y's.\n\nRatios:\n",
    );
    for ratio in all() {
        let kind = ratio.kind.prefix();
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "  {}\n      {kind}{}{}",
            ratio.key,
            ratio.meaning,
            ratio
                .wanted()
                .map_or_else(String::new, |goal| format!(" [{goal}]"))
        );
    }
    text
}

/// Measures, and prints into text.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let seconds = arguments.seconds;
    ensure!(
        seconds.is_finite() && seconds >= 0.0,
        "--seconds {seconds} is no length of time"
    );
    if let Some(transactions) = arguments.transactions {
        ensure!(
            (1..=TRANSACTIONS_MAX).contains(&transactions),
            "--transactions {transactions} is not between 1 and {TRANSACTIONS_MAX}"
        );
    }
    let directory = match &arguments.directory {
        Some(directory) => directory.clone(),
        None => std::env::temp_dir(),
    };
    let machine = Machine::describe();
    let path = signatures::resolve(arguments.path)?;
    let wanted = arguments.wanted()?;
    let is_wanted = |area, mut ratios: Ratios| arguments.is_within(area) && ratios.any(&wanted);
    let mut measured = Vec::new();
    if is_wanted(Area::Signatures, Box::new(signatures::ratios())) {
        let sizes = signatures::Sizes::FULL;
        measured.extend(signatures::measure_ratios(path, sizes, seconds, &wanted)?);
    }
    if is_wanted(Area::Storage, Box::new(storage::ratios())) {
        let extent = storage::Extent {
            transactions: arguments.transactions.unwrap_or(storage::TRANSACTIONS),
            large: arguments.large,
            seconds,
        };
        measured.extend(storage::measure_ratios(extent, &directory, &wanted)?);
    }
    if is_wanted(Area::Engine, Box::new(engine::ratios())) {
        let extent = engine::Extent {
            transactions: arguments.transactions.unwrap_or(engine::TRANSACTIONS),
            seconds,
            mpreg: arguments.mpreg.clone(),
            missing: (path != signatures::resolve(None)?)
                .then(|| format!("an engine takes its path from {PATH_VARIABLE}, not from --path")),
        };
        measured.extend(engine::measure_ratios(&extent, &directory, &wanted)?);
    }
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

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    /// What others look for in the record.
    const KEYS: [&str; 17] = [
        "hub_over_dalek_batch",
        "cold_over_dalek_batch",
        "warm_over_dalek_batch",
        "hub_over_zebra",
        "warm_over_zebra",
        "cold_over_zebra",
        "hub_512_over_dalek_batch",
        "portable_over_dalek_batch",
        "two_threads_over_one",
        "single_cached_over_dalek_single",
        "single_untabled_over_dalek_single",
        "single_cold_over_dalek_single",
        "one_percent_bad_over_good",
        "one_percent_bad_warm_over_good",
        "one_percent_bad_cold_over_good",
        "half_bad_over_one_by_one",
        "mixed_lengths_over_equal",
    ];

    #[test]
    fn the_record_has_every_ratio_as_a_number_and_where_it_comes_from() {
        let path = signatures::resolve(None).expect("there is a path");
        let measured = signatures::measure_ratios(path, signatures::Sizes::TINY, 0.0, &|_| true)
            .expect("nothing is found wrong");
        let record = to_json(&Machine::describe(), path, &measured);
        assert_eq!(record.as_object().map(Map::len), Some(KEYS.len() + 1));
        for key in KEYS {
            assert!(
                record[key].as_f64().is_some_and(|ratio| ratio > 0.0),
                "{key}"
            );
            let details = &record["details"]["measurements"][key];
            assert!(details["turns"].as_u64() > Some(0), "{key}");
            for side in ["first", "second"] {
                assert!(details[side]["us_per_item"]["median"].is_number(), "{key}");
            }
        }
        for key in ["date", "path", "machine", "toolchain"] {
            assert!(!record["details"][key].is_null(), "{key}");
        }
        assert_eq!(
            to_table(&measured).to_text().lines().count(),
            KEYS.len() + 1
        );
    }

    #[test]
    fn help_explains_every_ratio() {
        let text = explain();
        assert!(KEYS.iter().all(|key| text.contains(key)));
        assert!(text.contains("Cost: "));
    }

    #[test]
    fn a_length_of_time_that_is_none_is_refused() {
        for seconds in [-1.0, f64::NAN, f64::INFINITY] {
            let arguments = Arguments {
                only: None,
                keys: Vec::new(),
                json: true,
                seconds,
                path: None,
                transactions: None,
                large: false,
                mpreg: None,
                directory: None,
            };
            assert!(run(&arguments).is_err());
        }
    }

    #[test]
    fn only_ratios_that_are_named_are_wanted_and_unknown_names_are_refused() {
        let mut arguments = Arguments {
            only: Some(Area::Storage),
            keys: vec!["log_resident_mib".to_owned()],
            json: true,
            seconds: 0.0,
            path: None,
            transactions: None,
            large: false,
            mpreg: None,
            directory: None,
        };
        let wanted = arguments.wanted().expect("it exists");
        let keys: Vec<_> = all()
            .filter(|ratio| wanted(ratio))
            .map(|ratio| ratio.key)
            .collect();
        assert_eq!(keys, ["log_resident_mib"]);
        drop(wanted);
        arguments.keys.push("speed".to_owned());
        assert!(run(&arguments).is_err_and(|error| error.to_string().contains("\"speed\"")));
    }
}
