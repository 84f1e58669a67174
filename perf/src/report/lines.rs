//! Plots of lines: a rate over threads, over a chain's length.

use super::svg::{Anchor, Drawing, colour, short, ticks};

/// Points of one colour.
pub(super) struct Series {
    pub(super) name: String,
    /// What was varied, and what came out.
    pub(super) points: Vec<(f64, f64)>,
}

/// How what was varied is laid out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Linear,
    Logarithmic,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 560.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 250.0;

/// Lines over an axis named `across`, of a height named `up` that begins at zero.
pub(super) fn lines(title: &str, across: &str, up: &str, axis: Axis, series: &[Series]) -> String {
    let all = || series.iter().flat_map(|series| &series.points);
    let ticks = ticks(all().map(|point| point.1).fold(0.0, f64::max));
    let most = ticks.last().copied().unwrap_or(1.0);
    let place = |value: f64| match axis {
        Axis::Linear => value,
        Axis::Logarithmic => value.max(f64::MIN_POSITIVE).ln(),
    };
    let mut values: Vec<f64> = all().map(|point| point.0).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let least = values.first().copied().map_or(0.0, place);
    let range = values.last().copied().map_or(1.0, place) - least;
    let x = |value: f64| match range > 0.0 {
        true => LEFT + 20.0 + (place(value) - least) / range * (RIGHT - LEFT - 40.0),
        false => (LEFT + RIGHT) / 2.0,
    };
    let y = |value: f64| BOTTOM - value / most * (BOTTOM - TOP);
    let mut drawing = Drawing::new(WIDTH, HEIGHT, title);
    for &tick in &ticks {
        drawing.line([LEFT, y(tick), RIGHT, y(tick)], "grid");
        drawing.text(LEFT - 6.0, y(tick) + 4.0, Anchor::End, &short(tick));
    }
    for &value in &values {
        drawing.line([x(value), BOTTOM, x(value), BOTTOM + 4.0], "axis");
        drawing.text(x(value), BOTTOM + 18.0, Anchor::Middle, &short(value));
    }
    drawing.line([LEFT, BOTTOM, RIGHT, BOTTOM], "axis");
    drawing.text(
        (LEFT + RIGHT) / 2.0,
        BOTTOM + 38.0,
        Anchor::Middle,
        &format!("{across}; up: {up}"),
    );
    for (index, series) in series.iter().enumerate() {
        let tip = |(across, up): &(f64, f64)| {
            format!("{}: {} at {}", series.name, short(*up), short(*across))
        };
        let points: Vec<_> = series
            .points
            .iter()
            .map(|point| (x(point.0), y(point.1), tip(point)))
            .collect();
        drawing.path(&points, colour(index));
        let legend = TOP + 10.0 + 20.0 * index as f64;
        drawing.bar(
            [RIGHT + 20.0, legend - 9.0, 12.0, 12.0],
            colour(index),
            &series.name,
        );
        drawing.text(RIGHT + 38.0, legend + 1.0, Anchor::Start, &series.name);
    }
    drawing.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_drawn_within_the_plot() {
        let series = |points: &[(f64, f64)]| Series {
            name: "a < b".to_owned(),
            points: points.to_vec(),
        };
        for points in [
            &[][..],
            &[(1.0, 5.0)],
            &[(1.0, 5.0), (2.0, 9.0)],
            &[(0.0, 0.0), (0.0, 0.0)],
        ] {
            for axis in [Axis::Linear, Axis::Logarithmic] {
                let text = lines("t", "threads", "a second", axis, &[series(points)]);
                assert_eq!(text.matches("<circle").count(), points.len());
                assert!(text.contains("a &lt; b"));
                assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            }
        }
    }
}
