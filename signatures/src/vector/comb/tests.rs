use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar as DalekScalar;

use super::*;
use crate::oracle::{Random, exported, imported, nasty_points, niels, paths, times_digits};

#[test]
fn a_comb_holds_the_multiples_to_8_in_each_window_of_4_bits() {
    let mut random = Random::new(40);
    for point in nasty_points()
        .into_iter()
        .step_by(3)
        .chain([random.point()])
    {
        let comb = comb_points(imported(&point));
        assert_eq!(comb.len(), COMB_POINTS);
        let mut base = point;
        for window in comb.chunks(TABLE) {
            for (multiple, found) in window.iter().enumerate() {
                assert_eq!(exported(found), base * DalekScalar::from(multiple as u64));
            }
            base *= DalekScalar::from(16u32);
        }
    }
}

#[test]
fn sums_by_combs_are_those_of_dalek() {
    let mut random = Random::new(41);
    let points: Vec<EdwardsPoint> = vec![random.point(), nasty_points()[9], nasty_points()[3]];
    for path in paths() {
        let combs: Vec<Vec<Niels>> = points
            .iter()
            .map(|point| {
                let points: Vec<_> = comb_points(imported(point)).iter().map(exported).collect();
                niels(path, &points)
            })
            .collect();
        for turn in 0..60 {
            let mut digits = [[0i16; COMB_WINDOWS]; 3];
            for digit in digits.as_flattened_mut() {
                *digit = match turn {
                    0 => 0,
                    1 => 8,
                    2 => -8,
                    _ => random.edge(16) as i16 - 8,
                };
            }
            let count = turn % 4;
            let terms: Vec<_> = combs.iter().map(|comb| &comb[..]).zip(&digits).collect();
            let expected = points.iter().zip(&digits).take(count);
            let expected = expected.map(|(point, digits)| times_digits(point, digits));
            let found = path.comb_sum(&terms[..count]);
            assert_eq!(
                exported(&found),
                expected.sum::<EdwardsPoint>(),
                "turn {turn}"
            );
        }
    }
}
