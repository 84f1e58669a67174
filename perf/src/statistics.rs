//! Medians and quartiles: a burst of noise that hits a few turns leaves them where they are, a mean it would move.

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

/// Interpolates between the two neighbours of the place wanted.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
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
    fn figures_are_rounded_to_a_ten_thousandth() {
        assert_eq!(rounded(2.123_456), 2.1235);
    }
}
