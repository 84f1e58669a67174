use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar as DalekScalar;
use curve25519_dalek::traits::{Identity, IsIdentity};
use num_bigint::BigUint;

use super::*;
use crate::oracle::{Random, element, exported, imported, nasty_points, prime, value};

/// The largest limb: they are documented to be under `2^52`.
const LIMB_MAX: u64 = (1 << 52) - 1;

/// Elements with every limb at the edges of its bounds, around `p` and its multiples, and others.
fn elements() -> Vec<Fe> {
    let mut random = Random::new(10);
    let p = prime();
    let mut elements = vec![Fe([LIMB_MAX; 5]), Fe::ZERO, Fe::ONE, Fe([MASK_51; 5])];
    for limb in 0..5 {
        for edge in [1, MASK_51, MASK_51 + 1, LIMB_MAX] {
            let mut limbs = [0; 5];
            limbs[limb] = edge;
            elements.push(Fe(limbs));
            let mut limbs = [LIMB_MAX; 5];
            limbs[limb] = edge - 1;
            elements.push(Fe(limbs));
        }
    }
    for distance in 0..40u32 {
        elements.push(element(&(&p - 20u32 + distance.min(38))));
        elements.push(element(&BigUint::from(distance)));
    }
    // p and 2p with limbs that are not reduced.
    elements.push(Fe([(1 << 51) - 19, MASK_51, MASK_51, MASK_51, MASK_51]));
    elements.push(Fe([
        (1 << 52) - 38,
        LIMB_MAX - 1,
        LIMB_MAX - 1,
        LIMB_MAX - 1,
        LIMB_MAX - 1,
    ]));
    elements.extend((0..40).map(|_| Fe(std::array::from_fn(|_| random.edge(LIMB_MAX)))));
    elements
}

#[track_caller]
fn assert_is(found: Fe, expected: BigUint) {
    assert!(found.0.iter().all(|&limb| limb <= LIMB_MAX), "{found:?}");
    let canonical = found.canonical();
    assert_eq!(canonical, element(&(expected % prime())).0, "{found:?}");
    assert_eq!(found.is_zero(), canonical == ZERO);
}

#[test]
fn sums_differences_and_products_are_those_of_whole_numbers() {
    let p = prime();
    let elements = elements();
    for a in &elements {
        let va = value(a);
        for b in &elements {
            let vb = value(b);
            assert_is(*a + *b, &va + &vb);
            assert_is(*a - *b, &va + &p * 4u32 - &vb);
            assert_is(*a * *b, &va * &vb);
        }
        assert_is(*a, va.clone());
        assert_is(-*a, &p * 4u32 - &va);
        assert_is(a.square(), &va * &va);
        assert_is(a.invert(), va.modpow(&(&p - 2u32), &p));
    }
}

#[test]
fn constants_are_what_they_are_called() {
    let d = Fe([121_665, 0, 0, 0, 0]) * Fe([121_666, 0, 0, 0, 0]).invert();
    assert_eq!((-d).canonical(), D);
    assert_eq!((-(d + d)).canonical(), D2);
    assert_eq!(Fe(SQRT_M1).square().canonical(), (-Fe::ONE).canonical());
    assert_eq!(SQRT_M1[0] & 1, 0);
}

fn points() -> Vec<EdwardsPoint> {
    let mut random = Random::new(11);
    let mut points = nasty_points();
    points.extend((0..10).map(|_| random.point()));
    points
}

/// The same point with another `Z`.
fn scaled(point: &Point, by: Fe) -> Point {
    Point {
        x: point.x * by,
        y: point.y * by,
        z: point.z * by,
        t: point.t * by,
    }
}

#[test]
fn sums_differences_and_doubles_of_points_are_those_of_dalek() {
    let points = points();
    for (i, a) in points.iter().enumerate() {
        let ours_a = scaled(&imported(a), Fe([i as u64 + 2, 0, 0, 0, 0]));
        assert_eq!(exported(&ours_a), *a);
        assert_eq!(exported(&ours_a.double()), a + a);
        assert_eq!(exported(&-ours_a), -a);
        assert_eq!(
            exported(&ours_a.double_times(5)),
            a * DalekScalar::from(32u32)
        );
        for b in &points {
            let ours_b = scaled(&imported(b), Fe([7, LIMB_MAX, 0, 0, 1]));
            assert_eq!(exported(&(ours_a + ours_b)), a + b);
            assert_eq!(exported(&(ours_a - ours_b)), a - b);
        }
    }
}

#[test]
fn encodings_are_those_of_dalek_however_many_at_once() {
    let points = points();
    let ours: Vec<Point> = points.iter().map(imported).collect();
    let ours: Vec<Point> = ours.iter().map(|p| scaled(p, p.y + Fe(SQRT_M1))).collect();
    let expected: Vec<[u8; 32]> = points.iter().map(|p| p.compress().0).collect();
    for count in 0..points.len() {
        assert_eq!(Point::compress_all(&ours[..count]), expected[..count]);
    }
}

#[test]
fn exactly_the_eight_points_of_small_order_vanish() {
    assert!(Point::IDENTITY.vanishes());
    for small in &EIGHT_TORSION {
        assert!(imported(small).vanishes());
        assert!(scaled(&imported(small), Fe([3, 1, 4, 1, 5])).vanishes());
        let mut random = Random::new(12);
        for _ in 0..10 {
            let point = random.point() + small;
            assert_eq!(
                imported(&point).vanishes(),
                point.mul_by_cofactor().is_identity()
            );
            assert!(!imported(&point).vanishes());
        }
    }
    assert_eq!(exported(&Point::IDENTITY), EdwardsPoint::identity());
}
