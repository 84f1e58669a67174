//! Medians and quartiles: a burst of noise that hits a few turns leaves them where they are, a mean it would move.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

/// Where a set of figures lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// The least, which noise disturbed least if the figures are times.
    pub(crate) least: f64,
    /// A quarter of the figures is not above it.
    pub(crate) lower_quartile: f64,
    /// The middle.
    pub(crate) median: f64,
    /// A quarter of the figures is not below it.
    pub(crate) upper_quartile: f64,
}

impl Spread {
    /// Of at least one figure.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        assert!(!figures.is_empty(), "nothing has no median");
        figures.sort_unstable_by(f64::total_cmp);
        Self {
            least: figures[0],
            lower_quartile: quantile(&figures, 0.25),
            median: quantile(&figures, 0.5),
            upper_quartile: quantile(&figures, 0.75),
        }
    }

    /// Half the distance of the quartiles as a part of the median.
    pub(crate) fn relative(&self) -> f64 {
        (self.upper_quartile - self.lower_quartile) / 2.0 / self.median
    }
}

/// What a part of the figures, at least one and in order, doesn't exceed: between the two neighbours of that place.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

/// Between which bounds something lies, at 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// How often samples are drawn anew.
const RESAMPLES: usize = 4_000;

/// The interval of the ratio of two medians, by the percentile bootstrap: figures are drawn anew from each set, with
/// replacement, and the middle 95 % of the ratios are kept. The same figures give the same interval.
pub(crate) fn bootstrap_ratio(above: &[f64], below: &[f64]) -> Interval {
    let mut random = StdRng::seed_from_u64(95);
    let mut draw = |figures: &[f64]| {
        let drawn = (0..figures.len()).map(|_| figures[random.random_range(0..figures.len())]);
        Spread::of(drawn.collect::<Vec<_>>()).median
    };
    let mut ratios: Vec<f64> = (0..RESAMPLES).map(|_| draw(above) / draw(below)).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    Interval {
        low: quantile(&ratios, 0.025),
        high: quantile(&ratios, 0.975),
    }
}

/// So many digits as a figure that was measured deserves.
pub(crate) fn rounded(figure: f64) -> f64 {
    (figure * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_do_not_depend_on_the_order() {
        for figures in [[1.0, 2.0, 3.0, 4.0, 5.0], [4.0, 1.0, 5.0, 3.0, 2.0]] {
            let spread = Spread::of(figures);
            let Spread {
                least,
                lower_quartile,
                median,
                upper_quartile,
            } = spread;
            assert_eq!(
                [least, lower_quartile, median, upper_quartile],
                [1.0, 2.0, 3.0, 4.0]
            );
            assert_eq!(spread.relative(), 1.0 / 3.0);
        }
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Spread::of([1.0, 9.0, 2.0, 4.0]).median, 3.0);
        assert_eq!(Spread::of([7.0]).median, 7.0);
        assert_eq!(Spread::of([7.0]).upper_quartile, 7.0);
    }

    #[test]
    fn one_wild_turn_moves_the_median_by_a_place_at_most() {
        assert_eq!(Spread::of([2.0, 2.0, 2.0, 2.0, 900.0]).median, 2.0);
    }

    #[test]
    fn the_interval_of_a_ratio_holds_it_and_narrows_with_the_noise() {
        let noisy: Vec<f64> = (0..20).map(|i| 10.0 + f64::from(i % 5)).collect();
        let quiet: Vec<f64> = (0..20).map(|i| 12.0 + 0.01 * f64::from(i % 5)).collect();
        let wide = bootstrap_ratio(&noisy, &quiet);
        assert!(wide.low <= 1.0 && 1.0 <= wide.high, "{wide:?}");
        let narrow = bootstrap_ratio(&quiet, &quiet);
        assert!(narrow.high - narrow.low < wide.high - wide.low);
        assert_eq!(bootstrap_ratio(&noisy, &quiet), wide);
        let twice: Vec<f64> = quiet.iter().map(|figure| 2.0 * figure).collect();
        let two = bootstrap_ratio(&twice, &quiet);
        assert!(two.low > 1.9 && two.high < 2.1);
    }

    #[test]
    fn figures_are_rounded_to_a_ten_thousandth() {
        assert_eq!(rounded(2.123_456), 2.1235);
    }
}
