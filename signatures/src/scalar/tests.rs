use curve25519_dalek::scalar::Scalar as DalekScalar;
use num_bigint::{BigInt, BigUint};

use super::*;
use crate::oracle::{Random, number, order, ours, theirs};

fn value(scalar: &Scalar) -> BigUint {
    number(scalar.limbs())
}

/// `Σ digit·2^place` over the windows.
fn joined(windows: &Windows, digits: &[i16]) -> BigInt {
    let mut sum = BigInt::ZERO;
    for window in (0..windows.count()).rev() {
        sum = (sum << windows.width(window)) + digits[window];
    }
    sum
}

fn signed(coefficient: Coefficient) -> BigInt {
    let (size, negative) = coefficient.size();
    let size = BigInt::from(size);
    if negative { -size } else { size }
}

/// Bits where windows and carries have their edges.
fn edge_bits(windows: &Windows) -> Vec<u128> {
    let half = windows.half;
    let bits = [0, 1, u128::MAX, u128::MAX - 1, half, half - 1, half + 1];
    let powers = (0..128).map(|bit| 1 << bit);
    bits.into_iter().chain(powers).collect()
}

fn edge_scalars() -> Vec<DalekScalar> {
    let mut scalars = vec![DalekScalar::ZERO, DalekScalar::ONE, -DalekScalar::ONE];
    for power in 0..252 {
        let mut bytes = [0; 32];
        bytes[power / 8] = 1 << (power % 8);
        let power = DalekScalar::from_bytes_mod_order(bytes);
        scalars.extend([power, power - DalekScalar::ONE, -power]);
    }
    scalars
}

#[test]
fn canonical_scalars_are_those_under_the_order() {
    let order = order();
    let encode = |value: &BigUint| {
        let mut bytes = value.to_bytes_le();
        bytes.resize(32, 0);
        <[u8; 32]>::try_from(bytes).expect("at most 32 bytes")
    };
    for distance in 0..300u32 {
        let below = &order - 1u32 - distance;
        let scalar = Scalar::from_canonical(&encode(&below)).expect("under the order");
        assert_eq!(value(&scalar), below);
        let above = &order + distance;
        assert_eq!(Scalar::from_canonical(&encode(&above)), None);
    }
    // Every limb decides.
    for bit in 0..256u32 {
        let power = BigUint::from(1u32) << bit;
        for candidate in [&power - 1u32, power.clone(), &order ^ &power] {
            let scalar = Scalar::from_canonical(&encode(&candidate));
            assert_eq!(scalar.is_some(), candidate < order, "{candidate}");
        }
    }
}

#[test]
fn differences_are_those_of_dalek() {
    let mut random = Random::new(1);
    let mut scalars = edge_scalars();
    scalars.extend((0..100).map(|_| random.scalar()));
    for a in scalars.iter().step_by(7) {
        for b in &scalars {
            assert_eq!(theirs(&ours(a).sub(ours(b))), a - b);
        }
    }
}

#[test]
fn digests_are_reduced_as_dalek_does() {
    let mut random = Random::new(2);
    for turn in 0..20_000 {
        let mut limbs: [u64; 8] = std::array::from_fn(|_| random.edge(u64::MAX));
        if turn < 8 {
            limbs = [0; 8];
            limbs[turn] = u64::MAX;
        }
        let mut bytes = [0; 64];
        for (bytes, limb) in bytes.chunks_exact_mut(8).zip(limbs) {
            bytes.copy_from_slice(&limb.to_le_bytes());
        }
        let expected = DalekScalar::from_bytes_mod_order_wide(&bytes);
        assert_eq!(theirs(&Scalar::from_digest(&limbs)), expected);
    }
}

#[test]
fn any_number_under_its_documented_bound_is_reduced() {
    let mut random = Random::new(3);
    let order = order();
    let check = |mut limbs: [u64; WIDE_LIMBS]| {
        // Under 2^(128 + 512 + 32).
        limbs[WIDE_LIMBS - 1] &= u64::from(u32::MAX);
        assert_eq!(value(&Wide(limbs).reduce()), number(&limbs) % &order);
    };
    check([0; WIDE_LIMBS]);
    check([u64::MAX; WIDE_LIMBS]);
    for limb in 0..WIDE_LIMBS {
        let mut limbs = [0; WIDE_LIMBS];
        limbs[limb] = u64::MAX;
        check(limbs);
    }
    for _ in 0..20_000 {
        check(std::array::from_fn(|_| random.edge(u64::MAX)));
    }
    // Multiples of the order and their neighbours, as large as they get.
    for bits in 0..410u32 {
        for (add, less) in [(0u32, 0u32), (1, 0), (0, 1)] {
            let multiple = (&order << bits) + add - less;
            let mut limbs = multiple.to_u64_digits();
            limbs.resize(WIDE_LIMBS, 0);
            check(limbs.try_into().expect("as many limbs"));
        }
    }
}

#[test]
fn sums_of_products_carry_through_all_limbs() {
    let mut random = Random::new(4);
    let order = order();
    for start in [0, u64::MAX] {
        // As if many products had been added: every limb but the highest is full.
        let mut wide = Wide([start; WIDE_LIMBS]);
        wide.0[WIDE_LIMBS - 1] = 0;
        let mut expected = number(&wide.0);
        for _ in 0..200 {
            let a = [0, 1, u128::MAX, random.wide()][random.below(4)];
            let b: [u64; 8] = std::array::from_fn(|_| random.edge(u64::MAX));
            let c: [u64; 4] = std::array::from_fn(|_| random.edge(u64::MAX));
            wide.multiply_add(a, &b);
            wide.multiply_add(a, &c);
            expected += a * (number(&b) + number(&c));
            assert_eq!(number(&wide.0), expected);
        }
        assert_eq!(value(&wide.reduce()), expected % &order);
    }
}

#[test]
fn signed_sums_are_reduced_and_negated() {
    let mut random = Random::new(5);
    let order = BigInt::from(order());
    for count in 9..=32 {
        let windows = Windows::new(count);
        let mut sum = SignedWide::default();
        let mut expected = BigInt::ZERO;
        let mut all = edge_bits(&windows);
        all.extend((0..50).map(|_| random.wide()));
        for bits in all {
            let digest: [u64; 8] = std::array::from_fn(|_| random.word());
            let coefficient = windows.coefficient(bits);
            sum.multiply_add(coefficient, &digest);
            expected += signed(coefficient) * BigInt::from(number(&digest));
        }
        let modulo = |x: &BigInt| ((x % &order) + &order) % &order;
        assert_eq!(BigInt::from(value(&sum.reduce())), modulo(&expected));
        assert_eq!(
            BigInt::from(value(&sum.reduce_negated())),
            modulo(&-expected)
        );
    }
}

#[test]
fn bits_are_cut_into_the_digits_of_their_coefficient() {
    let mut random = Random::new(6);
    for count in 9..=32 {
        let windows = Windows::new(count);
        let widths: u32 = (0..count).map(|window| windows.width(window)).sum();
        assert_eq!(widths, 128);
        let mut digits = vec![0; count];
        for bits in edge_bits(&windows)
            .into_iter()
            .chain((0..100).map(|_| random.wide()))
        {
            windows.split(bits, &mut digits);
            let coefficient = signed(windows.coefficient(bits));
            assert_eq!(joined(&windows, &digits), coefficient, "{count} {bits:x}");
            let largest = digits.iter().map(|digit| usize::from(digit.unsigned_abs()));
            assert!(largest.max().expect("digits") <= windows.digit_max());
            for (window, &digit) in digits.iter().enumerate() {
                let half = 1i32 << (windows.width(window) - 1);
                assert!((-half..half).contains(&digit.into()));
            }
        }
        assert_eq!(signed(windows.coefficient(windows.one())), 1.into());
    }
}

#[test]
fn coefficients_are_consecutive_integers() {
    for count in 9..=32 {
        let windows = Windows::new(count);
        let least = signed(windows.coefficient(0));
        for bits in edge_bits(&windows) {
            assert_eq!(signed(windows.coefficient(bits)) - &least, bits.into());
        }
    }
}

#[test]
fn scalars_are_cut_into_digits_of_both_halves() {
    let mut random = Random::new(7);
    let mut scalars = edge_scalars();
    scalars.extend((0..200).map(|_| random.scalar()));
    for count in 9..=32 {
        let windows = Windows::new(count);
        let (mut low, mut high) = (vec![0; count], vec![0; count]);
        for scalar in &scalars {
            let scalar = ours(scalar);
            windows.split_scalar(&scalar, &mut low, &mut high);
            let sum = joined(&windows, &low) + (joined(&windows, &high) << 128);
            assert_eq!(sum, BigInt::from(value(&scalar)), "{count}");
        }
    }
}
