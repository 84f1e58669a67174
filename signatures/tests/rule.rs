//! The one acceptance rule: crafted signatures, an independent reference, and batches that decide like single
//! verification.

mod support;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::scalar::Scalar;
use hubledger_signatures::{PublicKey, Signature, SignatureError, Verdicts, Verifier, check_key};
use support::crafted::{
    self, Case, KeyPair, edge_scalars, honest, join, mixed_orders, odd_encodings, small_orders,
};
use support::{bad, items, paths, reference, single, verifier};

/// A verifier for each path and for one and two threads, used by all tests.
static VERIFIERS: LazyLock<Vec<Verifier>> = LazyLock::new(|| {
    let verifiers = paths().flat_map(|path| [1, 2].map(|threads| verifier(path, threads)));
    verifiers.collect()
});

/// What every verifier says of a batch.
fn batch(cases: &[&Case]) -> Verdicts {
    let items = items(cases.iter().copied());
    let mut verdicts = VERIFIERS.iter().map(|verifier| verifier.verify(&items));
    let first = verdicts.next().expect("there is a path");
    for (verdicts, verifier) in verdicts.zip(&VERIFIERS[1..]) {
        assert_eq!(verdicts, first, "{}", verifier.path());
    }
    first
}

fn assert_batch_equals_single(cases: &[&Case]) {
    let verdicts = batch(cases);
    let expected = bad(cases.iter().map(|case| single(case)));
    assert_eq!(verdicts.bad(), expected, "a batch of {}", cases.len());
    assert_eq!(verdicts.all_valid(), expected.is_empty());
}

fn crafted() -> Vec<Case> {
    [
        mixed_orders(),
        small_orders(),
        odd_encodings(),
        edge_scalars(),
    ]
    .concat()
}

#[test]
fn mixed_order_keys_and_points_are_accepted_where_the_cofactored_equation_holds() {
    for case in mixed_orders() {
        assert_eq!(single(&case), Ok(()), "{}", case.name);
        assert_eq!(check_key(&case.key), Ok(()), "{}", case.name);
    }
}

#[test]
fn small_order_points_are_refused_in_every_encoding_though_the_equation_holds() {
    let cases = small_orders();
    assert_eq!(cases.len(), 14 * 16);
    let mut reasons = BTreeMap::<_, usize>::new();
    for case in &cases {
        let reason = single(case).expect_err(&case.name);
        *reasons.entry(reason).or_default() += 1;
    }
    let expected = [
        // 6 of 14 encodings are not canonical: alone, and as key with any R.
        (SignatureError::NonCanonicalKey, 6 + 6 * 14),
        (SignatureError::NonCanonicalR, 6 + 8 * 6),
        (SignatureError::SmallOrderKey, 8 + 8 * 8),
        (SignatureError::SmallOrderR, 8),
    ];
    assert_eq!(reasons, BTreeMap::from(expected));
}

#[test]
fn only_the_one_reduced_scalar_is_accepted() {
    for case in edge_scalars() {
        let expected = match case.name.as_str() {
            "scalar zero" | "scalar 2^252" | "scalar order - 1" => SignatureError::Equation,
            _ => SignatureError::NonCanonicalScalar,
        };
        assert_eq!(single(&case), Err(expected), "{}", case.name);
    }
}

#[test]
fn every_verdict_and_reason_is_that_of_the_independent_reference() {
    let cases = [crafted(), honest(40)].concat();
    let mut reasons = BTreeMap::<_, usize>::new();
    for case in &cases {
        let verdict = single(case);
        assert_eq!(verdict, reference(case), "{}", case.name);
        *reasons.entry(verdict.err()).or_default() += 1;
    }
    assert_eq!(
        reasons.len(),
        9,
        "every reason, and acceptance, occurs: {reasons:?}"
    );
}

#[test]
fn every_single_bit_flip_is_refused() {
    let pair = KeyPair::from_seed(&[9; 32]);
    let message = *b"pay 10 to bob";
    let signature = pair.sign(&message);
    let flip = |bytes: &mut [u8], bit: usize| bytes[bit / 8] ^= 1 << (bit % 8);
    let mut cases = Vec::new();
    for bit in 0..512 {
        let mut bytes = *signature.as_bytes();
        flip(&mut bytes, bit);
        let changed = Signature::from_bytes(bytes);
        cases.push(Case::new("signature", pair.public_key(), &message, changed));
    }
    for bit in 0..256 {
        let mut bytes = *pair.public_key().as_bytes();
        flip(&mut bytes, bit);
        cases.push(Case::new(
            "key",
            PublicKey::from_bytes(bytes),
            &message,
            signature,
        ));
    }
    for bit in 0..8 * message.len() {
        let mut changed = message;
        flip(&mut changed, bit);
        cases.push(Case::new("message", pair.public_key(), &changed, signature));
    }
    for (bit, case) in cases.iter().enumerate() {
        assert!(single(case).is_err(), "{} {bit}", case.name);
    }
    let cases: Vec<&Case> = cases.iter().collect();
    assert_batch_equals_single(&cases);
}

#[test]
fn no_items_are_all_valid() {
    assert!(batch(&[]).all_valid());
    assert_eq!(batch(&[]).bad(), []);
}

const SIZES: [usize; 6] = [1, 2, 3, 17, 64, 200];

#[test]
fn a_forgery_is_found_at_every_position() {
    let honest = honest(200);
    let forged = Case::new(
        "forged",
        honest[0].key,
        b"another message",
        honest[0].signature,
    );
    for size in SIZES {
        for position in 0..size {
            let mut cases: Vec<&Case> = honest[..size].iter().collect();
            cases[position] = &forged;
            assert_eq!(batch(&cases).bad(), [(position, SignatureError::Equation)]);
        }
    }
}

#[test]
fn mixtures_of_everything_are_judged_as_each_item_is_alone() {
    let pool = [crafted(), honest(300)].concat();
    let mut state = 1u64;
    let mut below = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for size in SIZES {
        for _ in 0..4 {
            let cases: Vec<&Case> = (0..size).map(|_| &pool[below(pool.len())]).collect();
            assert_batch_equals_single(&cases);
        }
    }
    assert_batch_equals_single(&pool.iter().collect::<Vec<_>>());
    assert_batch_equals_single(&mixed_orders().iter().collect::<Vec<_>>());
}

/// Two wrong signatures whose errors cancel in an unweighted sum.
#[test]
fn errors_that_cancel_each_other_are_found() {
    let mut cases = honest(64);
    let shift = crafted::scalar(1);
    for (index, shift) in [(20, shift), (40, -shift)] {
        let (r, s) = cases[index].signature.as_bytes().split_at(32);
        let s = Scalar::from_bytes_mod_order(s.try_into().expect("32 bytes")) + shift;
        let r = r.try_into().expect("32 bytes");
        cases[index].signature = join(r, s.as_bytes());
    }
    let cases: Vec<&Case> = cases.iter().collect();
    let bad = [
        (20, SignatureError::Equation),
        (40, SignatureError::Equation),
    ];
    assert_eq!(batch(&cases).bad(), bad);
}

/// Items whose errors are all of small order would spoil one draw of coefficients and pass another, if the
/// equation had no cofactor.
#[test]
fn verdicts_do_not_depend_on_the_draw() {
    let cases = [mixed_orders(), honest(10)].concat();
    let cases: Vec<&Case> = cases.iter().collect();
    for _ in 0..50 {
        assert!(batch(&cases).all_valid());
    }
}

#[test]
fn a_batch_of_forgeries_names_them_all() {
    let mut cases = honest(600);
    cases.iter_mut().for_each(|case| case.message.push(0));
    assert_batch_equals_single(&cases.iter().collect::<Vec<_>>());
    let every_third = |(index, case): (usize, &mut Case)| {
        if index % 3 > 0 {
            case.message.pop();
        }
    };
    cases.iter_mut().enumerate().for_each(every_third);
    let verdicts = batch(&cases.iter().collect::<Vec<_>>());
    let bad: Vec<usize> = verdicts.bad().iter().map(|(index, _)| *index).collect();
    assert_eq!(bad, (0..600).step_by(3).collect::<Vec<_>>());
}

/// So many items are summed at once.
const BATCH_MAX: usize = 8192;

#[test]
fn more_than_one_batch_is_one_to_the_caller() {
    let honest = honest(64);
    let mut forged = honest[0].clone();
    forged.message.push(1);
    let key = honest[1].key;
    let junk = Case::new("junk", key, b"", Signature::from_bytes([0xff; 64]));
    let mut cases: Vec<&Case> = honest.iter().cycle().take(BATCH_MAX + 40).collect();
    for index in [3, BATCH_MAX - 1, BATCH_MAX, BATCH_MAX + 39] {
        cases[index] = &forged;
    }
    cases[BATCH_MAX + 1] = &junk;
    let expected = [
        (3, SignatureError::Equation),
        (BATCH_MAX - 1, SignatureError::Equation),
        (BATCH_MAX, SignatureError::Equation),
        (BATCH_MAX + 1, SignatureError::NonCanonicalScalar),
        (BATCH_MAX + 39, SignatureError::Equation),
    ];
    assert_eq!(batch(&cases).bad(), expected);
}

#[test]
fn keys_are_judged_without_a_signature() {
    assert_eq!(
        check_key(&KeyPair::from_seed(&[1; 32]).public_key()),
        Ok(())
    );
    let identity = PublicKey::from_bytes((ED25519_BASEPOINT_POINT * Scalar::ZERO).compress().0);
    assert_eq!(check_key(&identity), Err(SignatureError::SmallOrderKey));
    let unreduced = PublicKey::from_bytes([0xff; 32]);
    assert_eq!(check_key(&unreduced), Err(SignatureError::NonCanonicalKey));
    let mut bytes = [0; 32];
    bytes[0] = 2;
    assert_eq!(
        check_key(&PublicKey::from_bytes(bytes)),
        Err(SignatureError::KeyNotOnCurve)
    );
}
