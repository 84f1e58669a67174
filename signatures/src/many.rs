//! The nightly run over fields, scalars and encodings: tens of millions of random cases against whole numbers and
//! curve25519-dalek.
//!
//! `HUBLEDGER_MANY=20000000 cargo test --release -p hubledger-signatures many -- --ignored --nocapture` runs this and
//! `tests/many.rs`; the variable says how many cases of each sort, 10 million if it isn't set.

use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar as DalekScalar;

use crate::oracle::{Random, element, paths, prime, theirs, unpacked, value};
use crate::point::{Fe, Point};
use crate::scalar::Scalar;
use crate::vector::Niels;

fn count() -> usize {
    let wanted = std::env::var("HUBLEDGER_MANY").ok();
    wanted.map_or(10_000_000, |count| {
        count.parse().expect("HUBLEDGER_MANY is a number")
    })
}

/// Another seed for every run, printed so that a failure can be repeated.
fn random(what: &str) -> Random {
    let seed = std::env::var("HUBLEDGER_MANY_SEED").ok();
    let seed = seed.map_or_else(
        || getrandom::u64().expect("the system's random numbers"),
        |seed| seed.parse().expect("HUBLEDGER_MANY_SEED is a number"),
    );
    println!("{what}: HUBLEDGER_MANY_SEED={seed}");
    Random::new(seed)
}

#[test]
#[ignore = "minutes"]
fn many_field_elements() {
    let mut random = random("field elements");
    let p = prime();
    let canonical = |expected| element(&(expected % &p)).0;
    let mut b = Fe::ONE;
    for _ in 0..count() {
        let a = Fe(std::array::from_fn(|_| random.edge((1 << 52) - 1)));
        let (va, vb) = (value(&a), value(&b));
        assert_eq!((a * b).canonical(), canonical(&va * &vb), "{a:?} {b:?}");
        assert_eq!((a + b).canonical(), canonical(&va + &vb), "{a:?} {b:?}");
        assert_eq!(
            (a - b).canonical(),
            canonical(va + &p * 4u32 - vb),
            "{a:?} {b:?}"
        );
        b = a * b - a;
    }
    println!("field elements: {} cases", count());
}

#[test]
#[ignore = "minutes"]
fn many_scalars() {
    let mut random = random("scalars");
    for _ in 0..count() {
        let limbs: [u64; 8] = std::array::from_fn(|_| random.edge(u64::MAX));
        let mut bytes = [0; 64];
        for (bytes, limb) in bytes.chunks_exact_mut(8).zip(limbs) {
            bytes.copy_from_slice(&limb.to_le_bytes());
        }
        let found = theirs(&Scalar::from_digest(&limbs));
        assert_eq!(
            found,
            DalekScalar::from_bytes_mod_order_wide(&bytes),
            "{limbs:x?}"
        );
    }
    println!("scalars: {} cases", count());
}

#[test]
#[ignore = "minutes"]
fn many_encodings() {
    const TOGETHER: usize = 512;
    for path in paths() {
        let mut random = random(&format!("{path:?}"));
        let mut points = vec![Niels::UNSET; TOGETHER];
        let mut valid = vec![false; TOGETHER];
        for _ in 0..count().div_ceil(TOGETHER) {
            let encodings: Vec<[u8; 32]> = (0..TOGETHER)
                .map(|_| {
                    let limbs: [u64; 4] = std::array::from_fn(|_| random.edge(u64::MAX));
                    let mut bytes = [0; 32];
                    for (bytes, limb) in bytes.chunks_exact_mut(8).zip(limbs) {
                        bytes.copy_from_slice(&limb.to_le_bytes());
                    }
                    bytes
                })
                .collect();
            path.decompress(&encodings, &mut points, &mut valid);
            let on_curve = encodings
                .iter()
                .zip(&points)
                .zip(&valid)
                .filter(|(_, valid)| **valid);
            let unpacked: Vec<Point> = on_curve.map(|((_, p), _)| unpacked(path, p)).collect();
            let mut found = Point::compress_all(&unpacked).into_iter();
            for (encoding, &valid) in encodings.iter().zip(&valid) {
                let expected = CompressedEdwardsY(*encoding).decompress();
                assert_eq!(valid, expected.is_some(), "{encoding:02x?}");
                if let Some(expected) = expected {
                    let expected = expected.compress().0;
                    assert_eq!(found.next(), Some(expected), "{encoding:02x?}");
                }
            }
        }
        println!("encodings on {path:?}: {} cases", count());
    }
}
