//! `hubledger-perf ratios`: every ratio that the project promises, each of two contestants that took turns in this run.
//!
//! A figure in microseconds belongs to one machine at one time; a ratio of two figures that were taken in turns is the
//! same an hour later and nearly the same on another machine. So ratios are what is promised, and checked.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use hubledger_signatures::Path;
use serde_json::{Map, Value, json};

use crate::machine::{Machine, TOOLCHAIN, date, headline};
use crate::signatures;
use crate::statistics::{Spread, rounded};
use crate::table::Table;
use crate::turns::Figures;

/// What of the engine is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Area {
    /// Checking signatures.
    Signatures,
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
}

/// How a ratio is formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// How many times as fast the first is as the second: the second's time by the first's. More is better.
    Speed,
    /// How many times as long the first takes as the second: the first's time by the second's. Less is better.
    Cost,
}

/// A ratio that is measured.
#[derive(Debug)]
pub(crate) struct Ratio {
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    /// At least this is wanted of a speed, at most this of a cost.
    pub(crate) goal: Option<f64>,
    pub(crate) meaning: &'static str,
}

/// What has been measured of a ratio.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) ratio: &'static Ratio,
    /// Items that were processed at a time.
    pub(crate) n: usize,
    pub(crate) first: Figures,
    pub(crate) second: Figures,
}

impl Measured {
    /// The ratio of the medians.
    fn value(&self) -> f64 {
        let [above, below] = self.sides();
        above.spread().median / below.spread().median
    }

    /// The ratios within each round.
    fn paired(&self) -> Spread {
        let [above, below] = self.sides();
        above.over(below)
    }

    /// The ratio of the turns that were disturbed least.
    fn of_the_least(&self) -> f64 {
        let [above, below] = self.sides();
        above.spread().least / below.spread().least
    }

    fn sides(&self) -> [&Figures; 2] {
        match self.ratio.kind {
            Kind::Speed => [&self.second, &self.first],
            Kind::Cost => [&self.first, &self.second],
        }
    }

    fn to_json(&self) -> Value {
        let kind = match self.ratio.kind {
            Kind::Speed => "times as fast",
            Kind::Cost => "times as long",
        };
        json!({
            "meaning": self.ratio.meaning,
            "kind": kind,
            "goal": self.ratio.goal,
            "n": self.n,
            "turns": self.first.turns(),
            "within_rounds": spread_json(&self.paired()),
            "of_the_least": rounded(self.of_the_least()),
            "first": figures_json(&self.first),
            "second": figures_json(&self.second),
        })
    }
}

fn figures_json(figures: &Figures) -> Value {
    json!({
        "name": figures.name,
        "clock": figures.clock.name(),
        "passes_in_turn": figures.passes_in_turn,
        "us_per_item": spread_json(&figures.spread()),
        "wall_us_per_item": rounded(figures.wall().median),
        "processor_us_per_item": rounded(figures.processor().median),
    })
}

fn spread_json(spread: &Spread) -> Value {
    json!({
        "median": rounded(spread.median),
        "lower_quartile": rounded(spread.lower_quartile),
        "upper_quartile": rounded(spread.upper_quartile),
        "least": rounded(spread.least),
    })
}

/// Every ratio, with what it means and what is wanted of it.
pub(crate) fn explain() -> String {
    let mut text = String::from(
        "X_over_Y says how many times as fast X is as Y: Y's time by X's. Only where it says \"cost\" is it X's time \
         by Y's.\n\nRatios:\n",
    );
    for ratio in signatures::ratios() {
        let kind = match ratio.kind {
            Kind::Speed => "",
            Kind::Cost => "Cost: ",
        };
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "  {}\n      {kind}{}{}",
            ratio.key,
            ratio.meaning,
            goal(ratio)
        );
    }
    text
}

fn goal(ratio: &Ratio) -> String {
    match (ratio.goal, ratio.kind) {
        (None, _) => String::new(),
        (Some(goal), Kind::Speed) => format!(" [at least {goal}]"),
        (Some(goal), Kind::Cost) => format!(" [at most {goal}]"),
    }
}

/// Measures, and prints into text.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let seconds = arguments.seconds;
    ensure!(
        seconds.is_finite() && seconds >= 0.0,
        "--seconds {seconds} is no length of time"
    );
    let machine = Machine::describe();
    let path = signatures::resolve(arguments.path)?;
    let mut measured = Vec::new();
    if arguments.only.is_none_or(|area| area == Area::Signatures) {
        measured.extend(signatures::measure_ratios(
            path,
            signatures::Sizes::FULL,
            seconds,
        )?);
    }
    match arguments.json {
        true => Ok(format!("{:#}\n", to_json(&machine, path, &measured))),
        false => Ok(headline(&machine, path.name()) + "\n" + &to_table(&measured).to_text()),
    }
}

fn to_json(machine: &Machine, path: Path, measured: &[Measured]) -> Value {
    let mut record: Map<String, Value> = measured
        .iter()
        .map(|measured| {
            (
                measured.ratio.key.to_owned(),
                json!(rounded(measured.value())),
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
    let mut table = Table::new(
        1,
        &[
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
        ],
    );
    for measured in measured {
        let (first, second) = (measured.first.spread(), measured.second.spread());
        let paired = measured.paired();
        let goal = match (measured.ratio.goal, measured.ratio.kind) {
            (None, _) => "-".to_owned(),
            (Some(goal), Kind::Speed) => format!(">= {goal}"),
            (Some(goal), Kind::Cost) => format!("<= {goal}"),
        };
        table.push(vec![
            measured.ratio.key.to_owned(),
            format!("{:.3}", measured.value()),
            goal,
            format!("{:.3}", paired.median),
            percent(&paired),
            format!("{:.3}", first.median),
            percent(&first),
            format!("{:.3}", second.median),
            percent(&second),
            measured.first.turns().to_string(),
        ]);
    }
    table
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
            };
            assert!(run(&arguments).is_err());
        }
    }
}
