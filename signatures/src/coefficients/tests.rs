use std::collections::HashSet;

use super::*;

fn drawn(coefficients: &Coefficients, batch: u64, count: usize) -> Vec<u128> {
    let mut bits = vec![0; count];
    let drawn = coefficients.draw(batch, &mut bits);
    drawn.expect("random numbers");
    bits
}

const SEED: Coefficients = Coefficients::Seeded([7; 32]);

#[test]
fn a_seed_gives_the_same_coefficients_for_the_same_batch() {
    for count in [0, 1, 63, 64, 65, 127, 128, 1_000] {
        assert_eq!(drawn(&SEED, 3, count), drawn(&SEED, 3, count));
    }
}

#[test]
fn other_batches_and_other_seeds_have_other_coefficients() {
    let mut seen = HashSet::new();
    for seed in 0..10 {
        for batch in [0, 1, 2, u64::MAX] {
            let coefficients = Coefficients::Seeded([seed; 32]);
            for bits in drawn(&coefficients, batch, 100) {
                assert!(seen.insert(bits), "of 128 bits, no two are the same");
            }
        }
    }
}

#[test]
fn fewer_coefficients_are_the_first_of_more() {
    let many = drawn(&SEED, 1, 300);
    for count in 0..300 {
        assert_eq!(drawn(&SEED, 1, count), many[..count]);
    }
}

#[test]
fn the_systems_coefficients_differ_from_call_to_call_and_use_all_bits() {
    let mut seen = HashSet::new();
    let (mut ones, mut zeros) = (0, 0);
    for count in [1, 63, 64, 65, 500] {
        for _ in 0..2 {
            for bits in drawn(&Coefficients::System, 0, count) {
                assert!(seen.insert(bits));
                ones |= bits;
                zeros |= !bits;
            }
        }
    }
    assert_eq!((ones, zeros), (u128::MAX, u128::MAX));
}
