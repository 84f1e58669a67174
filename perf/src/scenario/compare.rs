//! Two settings beside each other: the ratio of their medians, and how sure it is.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::execute::Planned;
use super::record::Sample;
use crate::statistics::{Interval, Spread, bootstrap_ratio, rounded};

/// What a comparison has shown: microseconds an item.
#[derive(Debug)]
pub(super) struct Comparison {
    labels: [String; 2],
    spreads: [Spread; 2],
    /// The second's median by the first's: how many times as fast the first is.
    ratio: f64,
    interval: Interval,
    /// The same by the processor time of all threads.
    processor_ratio: f64,
}

/// The two settings to compare, or what there is instead.
pub(super) fn two<'a, 's>(planned: &'a [Planned<'s>]) -> Result<[&'a Planned<'s>; 2]> {
    match planned {
        [first, second] => Ok([first, second]),
        _ => {
            let labels: Vec<String> = planned
                .iter()
                .map(|(scenario, setting)| format!("{}: {}", scenario.name, setting.label))
                .collect();
            bail!(
                "two settings are compared, these are {}:\n  {}",
                labels.len(),
                labels.join("\n  ")
            )
        }
    }
}

impl Comparison {
    /// Of the samples of settings 0 and 1.
    pub(super) fn new(planned: [&Planned<'_>; 2], samples: &[Sample]) -> Result<Self> {
        let figures = |index: usize, figure: fn(&Sample) -> f64| -> Vec<f64> {
            let samples = samples.iter().filter(|sample| sample.setting == index);
            samples.map(figure).collect()
        };
        let [first, second] = [0, 1].map(|index| figures(index, Sample::us_per_item));
        if first.is_empty() || second.is_empty() {
            return Err(anyhow::anyhow!("a setting has no samples")).context("compare");
        }
        let median = |figures: Vec<f64>| Spread::of(figures).median;
        let processor = [0, 1].map(|index| median(figures(index, Sample::processor_us_per_item)));
        let spreads = [&first, &second].map(|figures| Spread::of(figures.iter().copied()));
        Ok(Self {
            labels: planned
                .map(|(scenario, setting)| format!("{}: {}", scenario.name, setting.label)),
            ratio: spreads[1].median / spreads[0].median,
            interval: bootstrap_ratio(&second, &first),
            processor_ratio: processor[1] / processor[0],
            spreads,
        })
    }

    pub(super) fn to_text(&self) -> String {
        let line = |mark: &str, index: usize| {
            let spread = &self.spreads[index];
            format!(
                "{mark}  {}\n   {:.4} µs an item (quartiles {:.4} to {:.4})\n",
                self.labels[index], spread.median, spread.lower_quartile, spread.upper_quartile
            )
        };
        let Interval { low, high } = self.interval;
        let verdict = match (low > 1.0, high < 1.0) {
            (true, _) => "A is faster",
            (_, true) => "B is faster",
            _ => "no difference can be told",
        };
        format!(
            "{}{}A is {:.3} times as fast as B (95 % between {low:.3} and {high:.3}; by processor time {:.3}): {verdict}\n",
            line("A", 0),
            line("B", 1),
            self.ratio,
            self.processor_ratio
        )
    }

    pub(super) fn to_json(&self) -> Value {
        let side = |index: usize| {
            json!({
                "setting": self.labels[index],
                "us_per_item": rounded(self.spreads[index].median),
                "lower_quartile": rounded(self.spreads[index].lower_quartile),
                "upper_quartile": rounded(self.spreads[index].upper_quartile),
            })
        };
        json!({
            "a_times_as_fast_as_b": rounded(self.ratio),
            "confidence_95": [rounded(self.interval.low), rounded(self.interval.high)],
            "by_processor_time": rounded(self.processor_ratio),
            "a": side(0),
            "b": side(1),
        })
    }
}
