//! `hubledger-perf signatures`: what checking a signature costs, by workload, batch size, share of bad ones, path,
//! threads, and by whom.
//!
//! Rows of the same workload, size and share are contestants that took turns with each other.

mod contestants;
mod measure;
mod workload;

use std::fmt;

use anyhow::{Result, ensure};
use clap::Args;
use hubledger_signatures::{Path, Settings, Verifier};
use serde_json::json;

pub(crate) use self::contestants::Calls;
use self::contestants::{
    Checker, Keys, aws_lc_single, dalek_batch, dalek_single, ours, ring_single, zebra_batch,
};
use self::measure::one_percent;
pub(crate) use self::measure::{Bench, Case, Peer, Sizes, Test};
use self::workload::{Stream, Workload};
use crate::machine::{Machine, TOOLCHAIN, date, headline};
use crate::ratios::percent;
use crate::statistics::rounded;
use crate::table::Table;
use crate::turns::{Effort, Figures, measure};

/// The arguments of `signatures`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print JSON.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values.
    #[arg(long)]
    csv: bool,
    /// Fewer sizes, fewer shares of bad ones, fewer turns: under two minutes.
    #[arg(long)]
    quick: bool,
    /// Seconds of turns for each workload, size and share of bad ones, warm-up not counted.
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Measure only this path of our verifier: portable, avx2 or ifma.
    #[arg(long, value_name = "PATH")]
    path: Option<Path>,
}

/// Messages in a workload.
const MESSAGES: usize = 8192;
/// Fewer are not cut for two threads, so measuring those would repeat the figures of one.
const TWO_THREADS_MIN: usize = 1024;

/// What the table covers.
#[derive(Debug)]
struct Extent {
    messages: usize,
    sizes: &'static [usize],
    shares: &'static [Share],
    paths: Vec<Path>,
    effort: Effort,
}

/// How many of a batch are bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    None,
    One,
    OnePercent,
    Half,
}

impl Share {
    const ALL: [Self; 4] = [Self::None, Self::One, Self::OnePercent, Self::Half];

    /// How many in a batch of `n`, unless a smaller share is as many already.
    fn of(self, n: usize) -> Option<usize> {
        match self {
            Self::None => Some(0),
            Self::One => Some(1),
            Self::OnePercent => Some(one_percent(n)).filter(|&bad| bad > 1),
            Self::Half => Some(n / 2).filter(|&bad| bad > 1),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "0",
            Self::One => "1",
            Self::OnePercent => "1%",
            Self::Half => "50%",
        })
    }
}

/// A line of the table.
#[derive(Debug)]
struct Row {
    workload: &'static str,
    n: usize,
    share: Share,
    threads: usize,
    figures: Figures,
}

/// The path that the verifier takes: the wanted one, or what it chooses.
pub(crate) fn resolve(wanted: Option<Path>) -> Result<Path> {
    let mut settings = Settings::default();
    settings.path = wanted;
    Ok(Verifier::new(&settings)?.path())
}

/// Measures, and prints into text.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let machine = Machine::describe();
    let paths = match arguments.path {
        Some(path) => vec![resolve(Some(path))?],
        None => Path::ALL
            .into_iter()
            .filter(|path| path.is_available())
            .collect(),
    };
    let extent = Extent::new(paths, arguments.quick, arguments.seconds)?;
    let rows = measure_rows(&extent)?;
    if arguments.json {
        return Ok(format!("{:#}\n", to_json(&machine, &rows)));
    }
    if arguments.csv {
        return Ok(to_table(&rows, false).to_csv());
    }
    let names: Vec<&str> = extent.paths.iter().map(|path| path.name()).collect();
    let headline = headline(&machine, &names.join(" "));
    Ok(headline + "\n" + &to_table(&rows, true).to_text())
}

impl Extent {
    fn new(paths: Vec<Path>, quick: bool, seconds: Option<f64>) -> Result<Self> {
        let default = if quick { 0.5 } else { 3.0 };
        let seconds = seconds.unwrap_or(default);
        ensure!(
            seconds.is_finite() && seconds >= 0.0,
            "--seconds {seconds} is no length of time"
        );
        let (sizes, shares, warm_ups): (&[usize], &[Share], usize) = match quick {
            true => (&[1, 64, 512, 8192], &[Share::None, Share::OnePercent], 3),
            false => (&[1, 16, 64, 512, 2048, 8192], &Share::ALL, 4),
        };
        Ok(Self {
            messages: MESSAGES,
            sizes,
            shares,
            paths,
            effort: Effort {
                seconds,
                rounds_min: 5,
                rounds_max: 15,
                warm_up_items: warm_ups * MESSAGES,
            },
        })
    }
}

fn measure_rows(extent: &Extent) -> Result<Vec<Row>> {
    let hub = Workload::hub(extent.messages)?;
    let strangers = Workload::strangers(extent.messages)?;
    let workloads = [
        ("H", &hub, Keys::Known),
        ("C", &strangers, Keys::Known),
        ("D", &strangers, Keys::Unknown),
    ];
    let mut rows = Vec::new();
    for (name, workload, keys) in workloads {
        for &n in extent.sizes {
            for &share in extent.shares {
                let Some(bad) = share.of(n) else { continue };
                let checkers = checkers(extent, keys, n)?;
                let threads: Vec<usize> = checkers.iter().map(|checker| checker.threads).collect();
                // Short passes of small batches, so that turns are short where much is to be measured.
                let span = n.max(workload.len() / 4);
                let stream = || Stream::new(workload, n, span, bad);
                let contestants = checkers.into_iter().map(|checker| checker.on(stream()));
                let mut contestants: Vec<_> = contestants.collect();
                let figures = measure(&mut contestants, extent.effort)?;
                let figures = threads.into_iter().zip(figures);
                rows.extend(figures.map(|(threads, figures)| Row {
                    workload: name,
                    n,
                    share,
                    threads,
                    figures,
                }));
            }
        }
    }
    Ok(rows)
}

/// Who checks batches of `n`. Single verifications are measured where `n` is 1.
fn checkers(extent: &Extent, keys: Keys, n: usize) -> Result<Vec<Checker>> {
    let mut checkers = Vec::new();
    for &path in &extent.paths {
        checkers.push(ours(path, 1, keys, Calls::Batch)?);
        if n >= TWO_THREADS_MIN {
            checkers.push(ours(path, 2, keys, Calls::Batch)?);
        }
    }
    checkers.push(dalek_batch(keys));
    checkers.push(zebra_batch());
    if n == 1 {
        checkers.extend([dalek_single(keys), ring_single(), aws_lc_single(keys)]);
    }
    Ok(checkers)
}

fn to_json(machine: &Machine, rows: &[Row]) -> serde_json::Value {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let spread = row.figures.spread();
            json!({
                "workload": row.workload,
                "n": row.n,
                "bad": row.share.to_string(),
                "by": row.figures.name,
                "threads": row.threads,
                "clock": row.figures.clock.name(),
                "us_per_signature": rounded(spread.median),
                "lower_quartile_us": rounded(spread.lower_quartile),
                "upper_quartile_us": rounded(spread.upper_quartile),
                "wall_us": rounded(row.figures.wall().median),
                "processor_us": rounded(row.figures.processor().median),
                "turns": row.figures.turns(),
            })
        })
        .collect();
    json!({ "date": date(), "machine": machine, "toolchain": TOOLCHAIN, "rows": rows })
}

/// The table. People see where the quartiles lie as a part of the median, programs in microseconds.
fn to_table(rows: &[Row], for_people: bool) -> Table {
    let spread_name = if for_people {
        "±"
    } else {
        "half_quartile_distance_us"
    };
    let head = [
        "workload by bad n threads us_per_signature",
        spread_name,
        "wall_us processor_us signatures_per_second turns",
    ];
    let head: Vec<&str> = head.iter().flat_map(|names| names.split(' ')).collect();
    let mut table = Table::new(3, &head);
    for row in rows {
        let spread = row.figures.spread();
        let half = (spread.upper_quartile - spread.lower_quartile) / 2.0;
        let [wall, processor] = [row.figures.wall(), row.figures.processor()];
        table.push(vec![
            row.workload.to_owned(),
            row.figures.name.clone(),
            row.share.to_string(),
            row.n.to_string(),
            row.threads.to_string(),
            format!("{:.3}", spread.median),
            match for_people {
                true => percent(&spread),
                false => format!("{half:.3}"),
            },
            format!("{:.3}", wall.median),
            format!("{:.3}", processor.median),
            format!("{:.0}", 1e6 / spread.median),
            row.figures.turns().to_string(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_small_batches_are_not_measured_twice() {
        let counts = |n| Share::ALL.map(|share| share.of(n));
        assert_eq!(counts(1), [Some(0), Some(1), None, None]);
        assert_eq!(counts(16), [Some(0), Some(1), None, Some(8)]);
        assert_eq!(counts(512), [Some(0), Some(1), Some(5), Some(256)]);
        assert_eq!(counts(8192), [Some(0), Some(1), Some(82), Some(4096)]);
    }

    #[test]
    fn the_table_has_every_workload_peer_and_path() {
        let paths: Vec<Path> = Path::ALL
            .into_iter()
            .filter(|path| path.is_available())
            .collect();
        let extent = Extent {
            messages: 64,
            sizes: &[1, 64],
            shares: &[Share::None, Share::Half],
            paths: paths.clone(),
            effort: Effort {
                seconds: 0.0,
                rounds_min: 1,
                rounds_max: 1,
                warm_up_items: 1,
            },
        };
        let rows = measure_rows(&extent).expect("nothing is found wrong");
        let per_workload = (paths.len() + 5) + 2 * (paths.len() + 2);
        assert_eq!(rows.len(), 3 * per_workload);
        for table in [
            to_table(&rows, true).to_text(),
            to_table(&rows, false).to_csv(),
        ] {
            assert_eq!(table.lines().count(), rows.len() + 1);
            assert!(table.contains("ring single") && table.contains("aws-lc-rs single"));
        }
        let record = to_json(&Machine::describe(), &rows);
        assert_eq!(record["rows"].as_array().map(Vec::len), Some(rows.len()));
        assert!(record["rows"][0]["us_per_signature"].is_number());
    }
}
