use curve25519_dalek::edwards::EdwardsPoint;

use super::*;
use crate::oracle::{Random, exported, nasty_points, niels, paths, signed_times};

#[test]
fn each_window_has_its_own_sum_of_points_times_digits() {
    let mut random = Random::new(50);
    let mut points = nasty_points();
    points.extend((0..40).map(|_| random.point()));
    for path in paths() {
        let stored = niels(path, &points);
        let stride = 2 * path.lanes();
        for digit_max in [1, 8, 300] {
            let digits: Vec<i16> = (0..points.len() * stride)
                .map(|_| random.edge(2 * digit_max) as i16 - digit_max as i16)
                .collect();
            for (from, to) in [(0, 0), (0, 1), (0, points.len()), (16, points.len())] {
                // In two parts, one of them empty at times.
                let middle = (from + 5).min(to);
                let terms = [from..middle, middle..to].map(|range| Terms {
                    points: &stored[range.clone()],
                    digits: &digits[range.start * stride..range.end * stride],
                });
                for first in [0, path.lanes()] {
                    let group = Group {
                        first,
                        stride,
                        digit_max: digit_max as usize,
                    };
                    let mut sums = [Point::IDENTITY; LANES_MAX];
                    let sums = &mut sums[..path.lanes()];
                    path.window_sums(&terms, group, &mut Vec::new(), sums);
                    for (lane, sum) in sums.iter().enumerate() {
                        let expected = (from..to).map(|i| {
                            let digit = digits[i * stride + first + lane];
                            signed_times(&points[i], digit)
                        });
                        assert_eq!(exported(sum), expected.sum::<EdwardsPoint>());
                    }
                }
            }
        }
    }
}
