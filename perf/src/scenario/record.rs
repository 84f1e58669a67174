//! What a run has shown: every sample, beside the scenario, the machine and the compiler.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Scenario, Setting};
use crate::clock::Times;
use crate::engine::Stage;
use crate::machine::{Machine, TOOLCHAIN, Toolchain, date};
use crate::statistics::Spread;

/// A run of a scenario.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) date: String,
    pub(crate) machine: Machine,
    pub(crate) toolchain: Toolchain,
    /// What was asked for.
    pub(crate) scenario: Value,
    pub(crate) settings: Vec<Setting>,
    /// In the order in which they were taken.
    pub(crate) samples: Vec<Sample>,
}

/// A repetition of one setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// An index into the settings.
    pub(crate) setting: usize,
    pub(crate) repetition: u32,
    /// Transactions, or look-ups.
    pub(crate) items: u64,
    pub(crate) wall_s: f64,
    /// Of all threads.
    pub(crate) processor_s: f64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) stages: Vec<Stage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latencies: Option<Latencies>,
}

/// What each of many like events took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latencies {
    /// What took so long: a commit, a look-up, an admission.
    pub(crate) of: String,
    /// Nanoseconds, and how many took about that, upwards.
    pub(crate) counts: Vec<(u64, u64)>,
}

/// Latencies are kept to two digits, up to an hour.
const DIGITS: u8 = 2;
const NANOSECONDS_MAX: u64 = 3_600_000_000_000;

/// Gathers latencies.
#[derive(Debug)]
pub(super) struct Gauge {
    of: &'static str,
    histogram: Histogram<u64>,
}

impl Gauge {
    pub(super) fn new(of: &'static str) -> Result<Self> {
        Ok(Self {
            of,
            histogram: new_histogram()?,
        })
    }

    pub(super) fn add(&mut self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(nanoseconds.max(1));
    }

    pub(super) fn read(&self) -> Option<Latencies> {
        let counts: Vec<(u64, u64)> = self
            .histogram
            .iter_recorded()
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
            .collect();
        (!counts.is_empty()).then(|| Latencies {
            of: self.of.to_owned(),
            counts,
        })
    }
}

fn new_histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, NANOSECONDS_MAX, DIGITS).context("make a histogram")
}

impl Latencies {
    /// Puts the latencies of several samples together.
    pub(crate) fn histogram<'a>(all: impl IntoIterator<Item = &'a Self>) -> Result<Histogram<u64>> {
        let mut histogram = new_histogram()?;
        for &(nanoseconds, count) in all.into_iter().flat_map(|latencies| &latencies.counts) {
            let recorded = histogram.record_n(nanoseconds.clamp(1, NANOSECONDS_MAX), count);
            recorded.context("add to a histogram")?;
        }
        Ok(histogram)
    }
}

impl Sample {
    pub(super) fn new(setting: usize, repetition: u32, items: u64, times: &Times) -> Self {
        Self {
            setting,
            repetition,
            items,
            wall_s: times.wall,
            processor_s: times.process,
            stages: Vec::new(),
            latencies: None,
        }
    }

    /// Microseconds of the wall clock for an item.
    pub(crate) fn us_per_item(&self) -> f64 {
        self.wall_s * 1e6 / self.items as f64
    }

    /// Microseconds of processor time for an item.
    pub(crate) fn processor_us_per_item(&self) -> f64 {
        self.processor_s * 1e6 / self.items as f64
    }
}

impl Record {
    pub(super) fn new(scenario: &Scenario, machine: Machine, samples: Vec<Sample>) -> Result<Self> {
        Ok(Self {
            name: scenario.name.clone(),
            date: date(),
            machine,
            toolchain: TOOLCHAIN,
            scenario: serde_json::to_value(scenario)?,
            settings: scenario.settings(),
            samples,
        })
    }

    /// The samples of a setting.
    pub(crate) fn samples_of(&self, setting: usize) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.setting == setting)
    }

    /// Where a figure of a setting's samples lies; none without samples.
    pub(crate) fn spread(&self, setting: usize, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        let mut figures = self.samples_of(setting).map(figure).peekable();
        figures.peek()?;
        Some(Spread::of(figures))
    }

    /// Whether it can be what a run has written.
    pub(crate) fn check(&self) -> Result<()> {
        for sample in &self.samples {
            ensure!(
                sample.setting < self.settings.len(),
                "a sample of no setting"
            );
            let times = [sample.wall_s, sample.processor_s];
            let busy = sample.stages.iter().map(|stage| stage.busy_s);
            ensure!(
                times
                    .into_iter()
                    .chain(busy)
                    .all(|time| time.is_finite() && time >= 0.0),
                "a time that is none"
            );
            ensure!(sample.items > 0, "a sample of no items");
        }
        Ok(())
    }

    /// Lines of JSON: first what was measured by what, then a line for each sample.
    pub(super) fn to_json_lines(&self) -> Result<String> {
        Ok(serde_json::to_string(&self.head())? + "\n" + &self.sample_lines()?.join("\n") + "\n")
    }

    /// One JSON document, with a line for each sample.
    pub(super) fn to_json(&self) -> Result<String> {
        let head = serde_json::to_string_pretty(&self.head())?;
        let samples = self.sample_lines()?.join(",\n    ");
        let (before, after) = head
            .split_once("\"samples\": []")
            .context("a head has samples")?;
        Ok(format!(
            "{before}\"samples\": [\n    {samples}\n  ]{after}\n"
        ))
    }

    /// The record without its samples.
    fn head(&self) -> Self {
        Self {
            samples: Vec::new(),
            ..self.clone()
        }
    }

    fn sample_lines(&self) -> Result<Vec<String>> {
        let lines = self.samples.iter().map(serde_json::to_string);
        Ok(lines.collect::<Result<_, _>>()?)
    }

    /// A line of comma-separated values for each sample.
    pub(super) fn to_csv(&self) -> String {
        let mut text = String::from(
            "date,scenario,setting,backend,threads,transactions,repetition,items,wall_s,processor_s,us_per_item,\
             p50_ns,p99_ns,max_ns,stages\n",
        );
        for sample in &self.samples {
            let Some(setting) = self.settings.get(sample.setting) else {
                continue;
            };
            let optional = |cell: Option<String>| cell.unwrap_or_default();
            let histogram = sample
                .latencies
                .as_ref()
                .and_then(|l| Latencies::histogram([l]).ok());
            let at = |part: f64| {
                histogram
                    .as_ref()
                    .map(|h| h.value_at_quantile(part).to_string())
            };
            let stages = sample.stages.iter();
            let stages: Vec<String> = stages
                .map(|stage| format!("{}={:.6}", stage.name, stage.busy_s))
                .collect();
            let cells = [
                self.date.clone(),
                self.name.clone(),
                setting.label.clone(),
                optional(setting.backend.clone()),
                optional(setting.threads.map(|threads| threads.to_string())),
                setting.transactions.to_string(),
                sample.repetition.to_string(),
                sample.items.to_string(),
                format!("{:.6}", sample.wall_s),
                format!("{:.6}", sample.processor_s),
                format!("{:.4}", sample.us_per_item()),
                optional(at(0.5)),
                optional(at(0.99)),
                optional(histogram.as_ref().map(|h| h.max().to_string())),
                stages.join(";"),
            ];
            let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
            text += &(cells.join(",") + "\n");
        }
        text
    }
}

/// A cell as RFC 4180 wants it.
fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_commas_and_quotes_are_quoted() {
        assert_eq!(quoted("log"), "log");
        assert_eq!(quoted("log, 2 threads"), "\"log, 2 threads\"");
        assert_eq!(quoted("a \"b\""), "\"a \"\"b\"\"\"");
    }

    #[test]
    fn latencies_keep_their_percentiles() {
        let mut gauge = Gauge::new("commit").expect("a gauge");
        assert_eq!(gauge.read(), None);
        for milliseconds in 1..=100 {
            gauge.add(Duration::from_millis(milliseconds));
        }
        let latencies = gauge.read().expect("there are some");
        let histogram = Latencies::histogram([&latencies, &latencies]).expect("a histogram");
        assert_eq!(histogram.len(), 200);
        let median = histogram.value_at_quantile(0.5) as f64 / 1e6;
        assert!((49.0..=51.0).contains(&median), "{median}");
    }
}
