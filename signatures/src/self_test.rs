//! What a vector path has to get right before it is used: known answers, and the points on which verifiers disagree.
//!
//! Cases are made from the equation, with curve25519-dalek: plain ones; ones whose key or `R` has a small-order part, which
//! only the cofactored equation accepts; the same made wrong. They go through cells and buckets, with cold and warm keys,
//! alone and among each other, and every verdict has to be that of the rule, which follows from how a case is made. A few
//! milliseconds, once in a process, before the first signature is checked.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest as _, Sha512};

use crate::batch::{Room, Shared};
use crate::bytes::{PublicKey, Signature};
use crate::coefficients::Coefficients;
use crate::item::Item;
use crate::rule::{self, SignatureError};
use crate::vector::VectorPath;

/// Keys and cases for each; more items than are summed in cells.
const KEYS: u64 = 11;
const CASES_OF_KEY: u64 = 12;

struct Case {
    key: PublicKey,
    message: Vec<u8>,
    signature: Signature,
    /// What the rule says of it.
    verdict: Option<SignatureError>,
}

/// Whether the path gives the rule's verdicts.
pub(crate) fn passes(path: &'static dyn VectorPath) -> bool {
    let cases = cases();
    let items: Vec<Item<'_>> = cases.iter().map(Case::item).collect();
    let expected: Vec<Option<SignatureError>> = cases.iter().map(|case| case.verdict).collect();
    let both = items.iter().zip(&expected);
    let good = both
        .filter(|(_, verdict)| verdict.is_none())
        .map(|(item, _)| *item);
    let good: Vec<Item<'_>> = good.collect();
    let breaks = Some(SignatureError::Equation);
    let both = items.iter().zip(&expected);
    let bad = both
        .filter(|(_, verdict)| **verdict == breaks)
        .map(|(item, _)| *item)
        .next();
    // Seeded, so that it is the same test in every process.
    let shared = Shared::new(path, 1 << 20, Coefficients::Seeded([1; 32]));
    let mut room = Room::default();
    let batches = [
        (&items[..], &expected[..]),
        // Again, now that keys are warm and some suspected.
        (&items, &expected),
        (&items[..7], &expected[..7]),
        (&good[..1], &[None]),
    ];
    let mixed = batches
        .iter()
        .all(|(batch, expected)| agrees(&shared, batch, expected, &mut room));
    // Without suspicion: one bad item in a sum of good ones.
    let fresh = Shared::new(path, 0, Coefficients::Seeded([2; 32]));
    let mut one_bad = good.clone();
    one_bad.extend(bad);
    let all_good = vec![None; good.len()];
    let mut last_bad = all_good.clone();
    last_bad.extend(bad.map(|_| breaks));
    let vanish = fresh.sum_vanishes(&good, &mut room) && !fresh.sum_vanishes(&one_bad, &mut room);
    mixed
        && vanish
        && [
            (&good, &all_good),
            (&one_bad, &last_bad),
            (&good, &all_good),
        ]
        .iter()
        .all(|(batch, expected)| agrees(&fresh, batch, expected, &mut room))
}

/// Whether the path finds of each item what is expected of it.
fn agrees(
    shared: &Shared,
    items: &[Item<'_>],
    expected: &[Option<SignatureError>],
    room: &mut Room,
) -> bool {
    let mut found = Vec::new();
    shared.verify(0, 0, items, room, &mut found);
    found.sort_unstable();
    let each = expected.iter().enumerate();
    let expected = each.filter_map(|(index, verdict)| Some((index, (*verdict)?)));
    expected.eq(found)
}

impl Case {
    fn item(&self) -> Item<'_> {
        Item {
            key: &self.key,
            message: &self.message,
            signature: &self.signature,
        }
    }
}

fn cases() -> Vec<Case> {
    let cases = (0..KEYS).flat_map(|key_number| {
        let a = scalar(key_number, 1);
        // Half of the keys are of mixed order.
        let key = EdwardsPoint::mul_base(&a) + torsion(key_number / 2 * (key_number % 2));
        let key = PublicKey::from_bytes(key.compress().to_bytes());
        let number = move |kind| key_number * CASES_OF_KEY + kind;
        (0..CASES_OF_KEY).map(move |kind| case(&a, key, kind, number(kind)))
    });
    cases.collect()
}

fn torsion(number: u64) -> EdwardsPoint {
    EIGHT_TORSION[number as usize % 8]
}

/// A case by the key of the scalar `a`; the kind says what is special about it.
fn case(a: &Scalar, key: PublicKey, kind: u64, number: u64) -> Case {
    let nonce = scalar(number, 2);
    let r = EdwardsPoint::mul_base(&nonce) + torsion(kind);
    let message = vec![number as u8; (number * 17 % 300) as usize];
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(r.compress().as_bytes());
    let k = rule::challenge(&key, &message, &Signature::from_bytes(bytes));
    let mut s = (nonce + k * a).to_bytes();
    // Of the last few kinds, one is wrong in `s`, one has an `s` over the order, one an `R` that is no point.
    let verdict = match kind {
        9 => {
            s[number as usize % 31] ^= 1;
            Some(SignatureError::Equation)
        }
        10 => {
            s[31] |= 0xe0;
            Some(SignatureError::NonCanonicalScalar)
        }
        11 => {
            bytes[..32].fill(2);
            Some(SignatureError::RNotOnCurve)
        }
        _ => None,
    };
    bytes[32..].copy_from_slice(&s);
    Case {
        key,
        message,
        signature: Signature::from_bytes(bytes),
        verdict,
    }
}

/// A scalar that is as good as random.
fn scalar(number: u64, purpose: u64) -> Scalar {
    let mut hasher = Sha512::new_with_prefix(purpose.to_le_bytes());
    hasher.update(number.to_le_bytes());
    Scalar::from_bytes_mod_order_wide(&hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::point::Point;
    use crate::sha512::Preimage;
    use crate::vector::{self, Bucket, COMB_WINDOWS, Group, LaneTerm, Niels, Terms};

    /// Paths have to live as long as the process; kept here, they are no leak.
    static FAULTY: [OnceLock<Faulty>; 2 * Step::ALL.len()] =
        [const { OnceLock::new() }; 2 * Step::ALL.len()];

    /// A path with one step done wrong.
    #[derive(Debug)]
    struct Faulty {
        inner: &'static dyn VectorPath,
        step: Step,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Step {
        Decompress,
        Multiples,
        WindowSums,
        CellSums,
        Challenges,
    }

    impl Step {
        const ALL: [Self; 5] = [
            Self::Decompress,
            Self::Multiples,
            Self::WindowSums,
            Self::CellSums,
            Self::Challenges,
        ];
    }

    impl VectorPath for Faulty {
        fn lanes(&self) -> usize {
            self.inner.lanes()
        }

        fn decompress(&self, encodings: &[[u8; 32]], points: &mut [Niels], valid: &mut [bool]) {
            self.inner.decompress(encodings, points, valid);
            if self.step == Step::Decompress && points.len() > 5 {
                points[5] = points[0];
            }
        }

        fn multiples(&self, points: &[Niels], multiples: &mut [Niels]) {
            self.inner.multiples(points, multiples);
            if self.step == Step::Multiples && points.len() > 1 {
                multiples[1] = points[1];
            }
        }

        fn window_sums(
            &self,
            terms: &[Terms<'_>],
            group: Group,
            buckets: &mut Vec<Bucket>,
            sums: &mut [Point],
        ) {
            self.inner.window_sums(terms, group, buckets, sums);
            if self.step == Step::WindowSums && group.first == 0 {
                sums[0] = sums[0].double();
            }
        }

        fn cell_sums(&self, terms: &[LaneTerm<'_>], tables: &mut Vec<Bucket>, sums: &mut [Point]) {
            self.inner.cell_sums(terms, tables, sums);
            if self.step == Step::CellSums {
                sums[1] = sums[0];
            }
        }

        fn comb_sum(&self, terms: &[(&[Niels], &[i16; COMB_WINDOWS])]) -> Point {
            self.inner.comb_sum(terms)
        }

        fn challenges(
            &self,
            preimages: &[Preimage<'_>],
            digests: &mut [[u64; 8]],
            order: &mut Vec<u32>,
        ) {
            self.inner.challenges(preimages, digests, order);
            if self.step == Step::Challenges {
                digests[0][7] ^= 1;
            }
        }
    }

    #[test]
    fn the_cases_are_of_every_kind_with_the_verdicts_of_the_rule() {
        let cases = cases();
        let verdict = |case: &Case| rule::verify(&case.key, &case.message, &case.signature).err();
        let verdicts: Vec<_> = cases.iter().map(verdict).collect();
        let expected: Vec<_> = cases.iter().map(|case| case.verdict).collect();
        assert_eq!(verdicts, expected);
        for wanted in [
            None,
            Some(SignatureError::Equation),
            Some(SignatureError::NonCanonicalScalar),
            Some(SignatureError::RNotOnCurve),
        ] {
            assert!(
                verdicts
                    .iter()
                    .filter(|&&verdict| verdict == wanted)
                    .count()
                    >= 10
            );
        }
    }

    #[test]
    fn paths_pass_and_a_fault_in_any_step_is_noticed() {
        let mut places = FAULTY.iter();
        for inner in [vector::avx2(), vector::ifma()].into_iter().flatten() {
            assert!(passes(inner), "{inner:?}");
            for (step, place) in Step::ALL.into_iter().zip(&mut places) {
                let faulty = place.get_or_init(|| Faulty { inner, step });
                assert!(!passes(faulty), "{inner:?} {step:?}");
            }
        }
    }
}
