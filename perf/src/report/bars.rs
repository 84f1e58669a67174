//! Plots of bars: rates, stages, latencies.

use hdrhistogram::Histogram;

use super::svg::{Anchor, Drawing, colour, short, ticks};

const WIDTH: f64 = 760.0;
const LABELS: f64 = 220.0;
const ROW: f64 = 26.0;

/// A bar of one or several parts.
pub(super) struct Bar {
    pub(super) label: String,
    /// How long each part is, by the part's place in the legend.
    pub(super) parts: Vec<(usize, f64)>,
    /// Half the spread, drawn around the end.
    pub(super) spread: Option<(f64, f64)>,
}

/// Bars that go to the right, over an axis of `unit`. With more than one name in the legend, parts are told apart by it.
pub(super) fn bars(title: &str, unit: &str, legend: &[String], bars: &[Bar]) -> String {
    let whole = |bar: &Bar| -> f64 { bar.parts.iter().map(|(_, length)| length).sum() };
    let end = |bar: &Bar| whole(bar).max(bar.spread.map_or(0.0, |(_, high)| high));
    let ticks = ticks(bars.iter().map(end).fold(0.0, f64::max));
    let most = ticks.last().copied().unwrap_or(1.0);
    let top = if legend.len() > 1 { 30.0 } else { 8.0 };
    let bottom = top + ROW * bars.len() as f64;
    let mut drawing = Drawing::new(WIDTH, bottom + 36.0, title);
    let x = |value: f64| LABELS + value / most * (WIDTH - LABELS - 70.0);
    if legend.len() > 1 {
        let mut at = LABELS;
        for (index, name) in legend.iter().enumerate() {
            drawing.bar([at, 6.0, 12.0, 12.0], colour(index), name);
            drawing.text(at + 16.0, 16.0, Anchor::Start, name);
            at += 32.0 + 7.5 * name.chars().count() as f64;
        }
    }
    for &tick in &ticks {
        drawing.line([x(tick), top, x(tick), bottom], "grid");
        drawing.text(x(tick), bottom + 14.0, Anchor::Middle, &short(tick));
    }
    drawing.text(x(most / 2.0), bottom + 30.0, Anchor::Middle, unit);
    for (row, bar) in bars.iter().enumerate() {
        let y = top + ROW * row as f64;
        drawing.text(LABELS - 8.0, y + 17.0, Anchor::End, &bar.label);
        let mut from = 0.0;
        for &(part, length) in &bar.parts {
            let name = legend.get(part).map_or("", String::as_str);
            let tip = format!("{}: {name} {} {unit}", bar.label, short(length));
            drawing.bar(
                [x(from), y + 4.0, x(from + length) - x(from), ROW - 8.0],
                colour(part),
                &tip,
            );
            from += length;
        }
        if let Some((low, high)) = bar.spread {
            drawing.line([x(low), y + ROW / 2.0, x(high), y + ROW / 2.0], "spread");
        }
        drawing.text(
            x(end(bar)) + 6.0,
            y + 17.0,
            Anchor::Start,
            &short(whole(bar)),
        );
    }
    drawing.finish()
}

/// Percentiles that are marked.
pub(super) const MARKS: [(f64, &str); 4] =
    [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")];
/// Bars of a histogram for each tenfold.
const PER_DECADE: f64 = 12.0;

/// How often which latency came, over a logarithmic axis, with percentiles.
pub(super) fn histogram(title: &str, nanoseconds: &Histogram<u64>) -> String {
    let (height, top) = (190.0, 34.0);
    let bottom = height - 38.0;
    let place = |value: u64| (value.max(1) as f64).log10();
    let first = (place(nanoseconds.min()) * PER_DECADE).floor() / PER_DECADE;
    let last = (place(nanoseconds.max()) * PER_DECADE).floor() / PER_DECADE + 1.0 / PER_DECADE;
    let steps = ((last - first) * PER_DECADE).round().max(1.0) as usize;
    let mut counts = vec![0u64; steps];
    for step in nanoseconds.iter_recorded() {
        let index = (place(step.value_iterated_to()) - first) * PER_DECADE;
        let index = (index.max(0.0) as usize).min(steps - 1);
        counts[index] += step.count_at_value();
    }
    let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let mut drawing = Drawing::new(WIDTH, height, title);
    let x = |place: f64| 30.0 + (place - first) / (last - first) * (WIDTH - 60.0);
    for (index, &count) in counts.iter().enumerate() {
        let from = first + index as f64 / PER_DECADE;
        let (left, right) = (x(from), x(from + 1.0 / PER_DECADE));
        let high = count as f64 / most * (bottom - top);
        let tip = format!("{count} from {}", duration(10f64.powf(from)));
        drawing.bar(
            [left, bottom - high, (right - left - 1.0).max(0.5), high],
            colour(0),
            &tip,
        );
    }
    drawing.line([30.0, bottom, WIDTH - 30.0, bottom], "axis");
    for decade in first.ceil() as i32..=last.floor() as i32 {
        let at = x(f64::from(decade));
        drawing.line([at, bottom, at, bottom + 4.0], "axis");
        drawing.text(
            at,
            bottom + 17.0,
            Anchor::Middle,
            &duration(10f64.powi(decade)),
        );
    }
    for (index, (part, name)) in MARKS.iter().enumerate() {
        let value = nanoseconds.value_at_quantile(*part);
        let at = x(place(value));
        drawing.line([at, top - 6.0, at, bottom], "mark");
        // In two rows, since they often stand close together.
        let y = if index % 2 == 0 { 11.0 } else { 24.0 };
        let anchor = if at > WIDTH - 120.0 {
            Anchor::End
        } else {
            Anchor::Start
        };
        drawing.text(
            at + 2.0,
            y,
            anchor,
            &format!("{name} {}", duration(value as f64)),
        );
    }
    drawing.finish()
}

/// Nanoseconds in the unit that suits them.
pub(super) fn duration(nanoseconds: f64) -> String {
    let (scaled, unit) = match nanoseconds {
        ns if ns >= 1e9 => (ns / 1e9, "s"),
        ns if ns >= 1e6 => (ns / 1e6, "ms"),
        ns if ns >= 1e3 => (ns / 1e3, "µs"),
        ns => (ns, "ns"),
    };
    format!("{} {unit}", short(scaled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_a_part_for_each_stage_and_its_sum() {
        let legend = ["a".to_owned(), "b".to_owned()];
        let bar = Bar {
            label: "x & y".to_owned(),
            parts: vec![(0, 1.0), (1, 2.5)],
            spread: Some((3.0, 4.0)),
        };
        let text = bars("t", "s", &legend, &[bar]);
        assert_eq!(text.matches("<rect").count(), 4);
        assert!(text.contains("x &amp; y") && text.contains(">3.5</text>"));
        assert!(!text.contains("NaN") && !bars("t", "s", &[], &[]).contains("NaN"));
    }

    #[test]
    fn a_histogram_counts_everything_and_marks_percentiles() {
        let mut histogram_of = Histogram::<u64>::new(2).expect("a histogram");
        for value in [1, 900, 1_000, 50_000, 2_000_000_000] {
            histogram_of.record(value).expect("in bounds");
        }
        let text = histogram("t", &histogram_of);
        for expected in ["p50", "p99.9", "1 µs", "1 s"] {
            assert!(text.contains(expected), "{expected}");
        }
        assert!(!text.contains("NaN"));
    }

    #[test]
    fn durations_have_their_units() {
        let texts = [5.0, 1_500.0, 2e6, 3.25e9].map(duration);
        assert_eq!(texts, ["5 ns", "1.5 µs", "2 ms", "3.25 s"]);
    }
}
