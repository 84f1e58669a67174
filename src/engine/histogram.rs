//! Durations, counted by their size: fixed memory, and quantiles that an operator can act on.

use std::time::Duration;

/// Durations in microseconds, to two digits, up to a day; a longer one counts as a day.
///
/// The counts take 32 KiB, allocated once: recording never allocates, and takes some 7 ns. Counting by powers of two would
/// take 3, and couldn't tell 6 ms from 10.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
}

/// Counts can be compared exactly.
impl Eq for Histogram {}

impl Default for Histogram {
    fn default() -> Self {
        let counts = hdrhistogram::Histogram::new_with_bounds(1, Self::MICROS_MAX, Self::DIGITS);
        Self {
            counts: counts.expect("constants that hdrhistogram allows"),
        }
    }
}

impl Histogram {
    /// A day.
    const MICROS_MAX: u64 = 24 * 60 * 60 * 1_000_000;
    const DIGITS: u8 = 2;

    pub(super) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts.saturating_record(micros);
    }

    /// How many durations were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// A duration that the share `quantile` (0 to 1) of all doesn't exceed: at most a microsecond and one per cent longer than the exact
    /// one.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.counts.value_at_quantile(quantile.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_at_most_a_hundredth_above_the_exact_one() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.99), Duration::ZERO);
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (quantile, exact) in [(0.5, 500), (0.99, 990), (1.0, 1000)] {
            let found = histogram.quantile(quantile).as_micros();
            assert!(
                (exact..=exact + exact / 100).contains(&found),
                "{quantile}: {found}"
            );
        }
    }

    #[test]
    fn durations_beyond_the_bounds_are_counted_at_them() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        assert_eq!(
            (histogram.count(), histogram.quantile(0.5)),
            (2, Duration::ZERO)
        );
        let day = Duration::from_micros(Histogram::MICROS_MAX);
        let most = histogram.quantile(1.0);
        assert!(day <= most && most < day * 102 / 100, "{most:?}");
    }
}
