use curve25519_dalek::scalar::Scalar as DalekScalar;

use super::*;
use crate::oracle::{Random, exported, nasty_points, niels, paths, times_digits, unpacked};

#[test]
fn multiples_by_2_to_the_128_are_those_of_dalek_however_many_there_are() {
    let mut random = Random::new(30);
    let mut points = nasty_points();
    points.extend((0..20).map(|_| random.point()));
    let factor = DalekScalar::from(u128::MAX) + DalekScalar::ONE;
    let expected: Vec<_> = points.iter().map(|point| point * factor).collect();
    for path in paths() {
        let points = niels(path, &points);
        for count in 0..points.len() {
            // The last ones, so that every point gets into every lane.
            let mut multiples = vec![Niels::UNSET; count];
            path.multiples(&points[points.len() - count..], &mut multiples);
            let multiples = multiples.iter().map(|multiple| unpacked(path, multiple));
            assert!(
                multiples
                    .map(|multiple| exported(&multiple))
                    .eq(expected[expected.len() - count..].iter().copied()),
                "{count}"
            );
        }
    }
}

#[test]
fn each_lane_has_its_own_sum_of_points_times_digits() {
    let mut random = Random::new(31);
    let mut points = nasty_points();
    points.extend((0..8).map(|_| random.point()));
    for path in paths() {
        let stored = niels(path, &points);
        for (terms, digits) in [(0, 0), (1, 1), (1, 64), (2, 2), (5, 3), (18, 32)] {
            // For each term and lane, a point and digits; terms may have fewer digits than others.
            let chosen: Vec<[(usize, Vec<i16>); LANES_MAX]> = (0..terms)
                .map(|term| {
                    let length = if term % 3 == 1 { 1 } else { digits };
                    std::array::from_fn(|_| {
                        let point = random.below(points.len());
                        let digits = (0..length).map(|_| random.edge(16) as i16 - 8);
                        (point, digits.collect())
                    })
                })
                .collect();
            let lane_terms: Vec<LaneTerm<'_>> = chosen
                .iter()
                .map(|lanes| LaneTerm {
                    points: std::array::from_fn(|lane| &stored[lanes[lane].0]),
                    digits: std::array::from_fn(|lane| &lanes[lane].1[..]),
                })
                .collect();
            let mut sums = [Point::IDENTITY; LANES_MAX];
            let sums = &mut sums[..path.lanes()];
            path.cell_sums(&lane_terms, &mut Vec::new(), sums);
            for (lane, sum) in sums.iter().enumerate() {
                let terms = chosen.iter().map(|lanes| &lanes[lane]);
                let expected = terms.map(|(point, digits)| times_digits(&points[*point], digits));
                assert_eq!(exported(sum), expected.sum(), "lane {lane}");
            }
        }
    }
}
