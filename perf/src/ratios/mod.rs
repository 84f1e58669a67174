//! `hubledger-perf ratios`: every ratio that the project promises, each of two contestants that took turns in this run.
//!
//! A figure in microseconds belongs to one machine at one time; a ratio of two figures that were taken in turns is the
//! same an hour later and nearly the same on another machine. So ratios are what is promised, and checked.

mod measured;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use hubledger_signatures::Path;
use serde_json::{Map, Value, json};

pub(crate) use self::measured::{Evidence, Kind, Measured, Ratio, figures_json, spread_json};
use crate::machine::{Machine, TOOLCHAIN, date, headline};
use crate::statistics::{Spread, rounded};
use crate::table::Table;
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
    /// Where stores are made (and removed again); the system's temporary directory if not given.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// So many transactions at most.
const TRANSACTIONS_MAX: u64 = 1_000_000_000;

/// Every ratio, with what it means and what is wanted of it.
pub(crate) fn explain() -> String {
    let mut text = String::from(
        "X_over_Y says how many times as fast X is as Y: Y's time by X's. Only where it says \"cost\" is it X's time \
         by Y's.\n\nRatios:\n",
    );
    let ratios = signatures::ratios()
        .chain(storage::ratios())
        .chain(engine::ratios());
    for ratio in ratios {
        let kind = match ratio.kind {
            Kind::Speed | Kind::Share => "",
            Kind::Cost => "Cost: ",
            Kind::Mebibytes => "MiB: ",
        };
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
    let wanted = |area| arguments.only.is_none_or(|only| only == area);
    let mut measured = Vec::new();
    if wanted(Area::Signatures) {
        let sizes = signatures::Sizes::FULL;
        measured.extend(signatures::measure_ratios(path, sizes, seconds)?);
    }
    if wanted(Area::Storage) {
        let extent = storage::Extent {
            transactions: arguments.transactions.unwrap_or(storage::TRANSACTIONS),
            large: arguments.large,
            seconds,
        };
        measured.extend(storage::measure_ratios(extent, &directory)?);
    }
    if wanted(Area::Engine) {
        let extent = engine::Extent {
            transactions: arguments.transactions.unwrap_or(engine::TRANSACTIONS),
            seconds,
            path,
        };
        measured.extend(engine::measure_ratios(extent, &directory)?);
    }
    match arguments.json {
        true => Ok(format!("{:#}\n", to_json(&machine, path, &measured))),
        false => Ok(format!(
            "{}\n{}{}",
            headline(&machine, path.name()),
            to_table(&measured).to_text(),
            missing(&measured)
        )),
    }
}

fn to_json(machine: &Machine, path: Path, measured: &[Measured]) -> Value {
    let mut record: Map<String, Value> = measured
        .iter()
        .map(|measured| {
            (
                measured.ratio.key.to_owned(),
                json!(measured.value().map(rounded)),
            )
        })
        .collect();
    let details: Map<String, Value> = measured
        .iter()
        .map(|measured| (measured.ratio.key.to_owned(), measured.to_json()))
        .collect();
    let details = json!({
        "date": date(),
        "path": path.name(),
        "machine": machine,
        "toolchain": TOOLCHAIN,
        "measurements": details,
    });
    record.insert("details".to_owned(), details);
    Value::Object(record)
}

fn to_table(measured: &[Measured]) -> Table {
    let head = [
        "ratio",
        "value",
        "goal",
        "in rounds",
        "±",
        "first µs",
        "±",
        "second µs",
        "±",
        "turns",
    ];
    let mut table = Table::new(1, &head);
    for measured in measured {
        let value = measured.value();
        let mut row = vec![
            measured.ratio.key.to_owned(),
            value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.3}")),
            goal(measured.ratio),
        ];
        if let Evidence::Turns { first, second, .. } = &measured.evidence {
            let [above, below] = measured.sides(first, second);
            let paired = above.over(below);
            let (a, b) = (first.spread(), second.spread());
            for spread in [paired, a, b] {
                row.extend([format!("{:.3}", spread.median), percent(&spread)]);
            }
            row.push(first.turns().to_string());
        }
        row.resize(head.len(), "-".to_owned());
        table.push(row);
    }
    table
}

fn goal(ratio: &Ratio) -> String {
    let sign = match ratio.kind.is_more_better() {
        true => ">=",
        false => "<=",
    };
    ratio
        .goal
        .map_or_else(|| "-".to_owned(), |goal| format!("{sign} {goal}"))
}

/// Why ratios were not measured, a line each.
fn missing(measured: &[Measured]) -> String {
    let mut text = String::new();
    for measured in measured {
        if let Evidence::Missing(reason) = &measured.evidence {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{}: {reason}", measured.ratio.key);
        }
    }
    text
}

/// A spread as a part of its median.
pub(crate) fn percent(spread: &Spread) -> String {
    format!("{:.1} %", 100.0 * spread.relative())
}

#[cfg(test)]
mod tests {
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
        let measured = signatures::measure_ratios(path, signatures::Sizes::TINY, 0.0)
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
                json: true,
                seconds,
                path: None,
                transactions: None,
                large: false,
                directory: None,
            };
            assert!(run(&arguments).is_err());
        }
    }
}
