//! The commands `run`, `compare` and `record`.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Args;

use super::Scenario;
use super::compare::{Comparison, two};
use super::execute::{Planned, execute, plan};
use super::record::{Latencies, Record as Shown, Sample};
use crate::files;
use crate::machine::{Machine, headline};
use crate::ratios::percent;
use crate::table::Table;

/// The arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Scenario files.
    #[arg(required = true, value_name = "SCENARIO.toml")]
    scenarios: Vec<PathBuf>,
    /// Where samples are written, a file of JSON lines for each scenario.
    #[arg(long, value_name = "DIR", default_value = "perf/runs")]
    samples: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// The arguments of `compare`.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Scenario files that have two settings together.
    #[arg(required = true, num_args = 1..=2, value_name = "SCENARIO.toml")]
    scenarios: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// The arguments of `record`.
#[derive(Debug, Args)]
pub(crate) struct Record {
    /// Scenario files.
    #[arg(required = true, value_name = "SCENARIO.toml")]
    scenarios: Vec<PathBuf>,
    /// Where results are written, as DATE-NAME.json and DATE-NAME.csv.
    #[arg(long, value_name = "DIR", default_value = "perf/results")]
    results: PathBuf,
    /// Replace results of the same day and name.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Place {
    /// Where stores are made (and removed again); the system's temporary directory if not given.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Place {
    fn path(&self) -> PathBuf {
        self.directory.clone().unwrap_or_else(std::env::temp_dir)
    }
}

/// All files are read before anything is measured, so that a mistake in the last doesn't cost the first's time.
fn read_all(paths: &[PathBuf]) -> Result<Vec<Scenario>> {
    paths.iter().map(|path| Scenario::read(path)).collect()
}

fn show(scenario: &Scenario, under: &Path) -> Result<Shown> {
    let machine = Machine::describe();
    let samples = execute(&plan(scenario), under)?;
    Shown::new(scenario, machine, samples)
}

/// Measures scenarios, keeps the samples, and prints a summary.
pub(crate) fn run(arguments: &Run) -> Result<String> {
    let mut text = String::new();
    for scenario in &read_all(&arguments.scenarios)? {
        let shown = show(scenario, &arguments.place.path())?;
        let time = shown.date.replace(':', "");
        let path = arguments
            .samples
            .join(format!("{time}-{}.jsonl", shown.name));
        files::write(&path, &shown.to_json_lines()?)?;
        text += &format!("{}samples: {}\n\n", summary(&shown), path.display());
    }
    Ok(text)
}

/// Measures two settings in turns.
pub(crate) fn compare(arguments: &Compare) -> Result<String> {
    let scenarios = read_all(&arguments.scenarios)?;
    let planned: Vec<Planned<'_>> = scenarios.iter().flat_map(plan).collect();
    let both = two(&planned)?;
    let samples = execute(&planned, &arguments.place.path())?;
    let comparison = Comparison::new(both, &samples)?;
    Ok(match arguments.json {
        true => format!("{:#}\n", comparison.to_json()),
        false => comparison.to_text(),
    })
}

/// Measures scenarios and writes results.
pub(crate) fn record(arguments: &Record) -> Result<String> {
    let scenarios = read_all(&arguments.scenarios)?;
    let today = crate::machine::date();
    let today = today.get(..10).unwrap_or(&today);
    let file = |scenario: &Scenario, kind: &str| {
        let name = format!("{today}-{}.{kind}", scenario.name);
        arguments.results.join(name)
    };
    for scenario in &scenarios {
        let path = file(scenario, "json");
        ensure!(
            arguments.replace || !path.exists(),
            "{} exists; --replace replaces it",
            path.display()
        );
    }
    let mut text = String::new();
    for scenario in &scenarios {
        let shown = show(scenario, &arguments.place.path())?;
        let (json, csv) = (file(scenario, "json"), file(scenario, "csv"));
        files::write(&json, &shown.to_json()?)?;
        files::write(&csv, &shown.to_csv())?;
        text += &summary(&shown);
        text += &format!("results: {}, {}\n\n", json.display(), csv.display());
    }
    Ok(text)
}

/// A table with a line for each setting.
fn summary(shown: &Shown) -> String {
    let head = [
        "setting",
        "µs an item",
        "±",
        "cpu µs",
        "a second",
        "p50 µs",
        "p99 µs",
        "max µs",
    ];
    let mut table = Table::new(1, &head);
    for (index, setting) in shown.settings.iter().enumerate() {
        let (Some(wall), Some(processor)) = (
            shown.spread(index, Sample::us_per_item),
            shown.spread(index, Sample::processor_us_per_item),
        ) else {
            continue;
        };
        let mut row = vec![
            setting.label.clone(),
            format!("{:.3}", wall.median),
            percent(&wall),
            format!("{:.3}", processor.median),
            format!("{:.0}", 1e6 / wall.median),
        ];
        let latencies = shown
            .samples_of(index)
            .filter_map(|sample| sample.latencies.as_ref());
        if let Ok(histogram) = Latencies::histogram(latencies)
            && !histogram.is_empty()
        {
            let at = |part: f64| histogram.value_at_quantile(part) as f64 / 1e3;
            row.extend([at(0.5), at(0.99), at(1.0)].map(|us| format!("{us:.1}")));
        }
        row.resize(head.len(), "-".to_owned());
        table.push(row);
    }
    let machine = headline(&shown.machine, "as the environment says");
    format!("{}\n{machine}{}", shown.name, table.to_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = "name = 'tiny'\nkind = 'import'\nbackends = ['log']\nthreads = [1, 2]\n\
        transactions = [40]\nkeys = 4\npayload = 20\nblock = 10\ndurability = 'os'\nrepetitions = 3\n";

    fn files() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("tiny.toml");
        files::write(&path, TINY).expect("it can be written");
        (directory, path)
    }

    fn place(directory: &tempfile::TempDir) -> Place {
        Place {
            directory: Some(directory.path().to_owned()),
        }
    }

    #[test]
    fn a_run_keeps_every_sample_beside_what_measured() {
        let (directory, scenario) = files();
        let samples = directory.path().join("samples");
        let text = run(&Run {
            scenarios: vec![scenario],
            samples: samples.clone(),
            place: place(&directory),
        })
        .expect("it works");
        assert!(
            text.contains("log, 1 thread ") && text.contains("log, 2 threads"),
            "{text}"
        );
        let file = std::fs::read_dir(samples)
            .expect("samples")
            .next()
            .expect("a file");
        let lines = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        let lines: Vec<serde_json::Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(lines.len(), 1 + 2 * 3);
        assert!(
            lines[0]["machine"]["cpu"].is_string() && lines[0]["toolchain"]["rustc"].is_string()
        );
        assert_eq!(lines[0]["scenario"]["keys"], 4);
        assert!(
            lines[1]["stages"]
                .as_array()
                .is_some_and(|stages| stages.len() > 2)
        );
    }

    #[test]
    fn results_are_written_once_and_again_only_if_asked() {
        let (directory, scenario) = files();
        let mut arguments = Record {
            scenarios: vec![scenario],
            results: directory.path().join("results"),
            replace: false,
            place: place(&directory),
        };
        record(&arguments).expect("it works");
        assert!(record(&arguments).is_err());
        arguments.replace = true;
        record(&arguments).expect("it works");
        let mut names: Vec<String> = std::fs::read_dir(&arguments.results)
            .expect("results")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        assert_eq!(names.len(), 2);
        assert!(names[0].ends_with("-tiny.csv") && names[1].ends_with("-tiny.json"));
        let csv = std::fs::read_to_string(arguments.results.join(&names[0])).expect("text");
        assert_eq!(csv.lines().count(), 1 + 2 * 3);
        let json = std::fs::read_to_string(arguments.results.join(&names[1])).expect("text");
        let shown: Shown = serde_json::from_str(&json).expect("a record");
        assert_eq!(shown.samples.len(), 2 * 3);
    }

    #[test]
    fn two_settings_are_compared_and_no_other_number() {
        let (directory, scenario) = files();
        let arguments = |scenarios| Compare {
            scenarios,
            json: true,
            place: place(&directory),
        };
        let text = compare(&arguments(vec![scenario.clone()])).expect("it works");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(
            value["a_times_as_fast_as_b"]
                .as_f64()
                .is_some_and(|ratio| ratio > 0.0)
        );
        let error = compare(&arguments(vec![scenario.clone(), scenario])).expect_err("four");
        assert!(error.to_string().contains("these are 4"), "{error}");
    }
}
