//! The one acceptance rule: published vectors, crafted signatures, an independent reference, and batches that
//! decide like single verification.

#[path = "signature_rule/crafted.rs"]
mod crafted;
#[path = "signature_rule/reference.rs"]
mod reference;

use std::collections::BTreeMap;

use crafted::{Case, edge_scalars, honest, join, mixed_orders, odd_encodings, small_orders};
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signer, SigningKey, Verifier, VerifyingKey};
use hubledger::signature::{
    BATCH_MAX, Item, KeyPair, PublicKey, Signature, SignatureError, Verdicts, check_key, verify,
    verify_batch,
};

fn single(case: &Case) -> Result<(), SignatureError> {
    verify(&case.key, &case.message, &case.signature)
}

fn batch(cases: &[&Case]) -> Verdicts {
    verify_batch(&cases.iter().map(|case| case.item()).collect::<Vec<_>>())
}

fn expected(cases: &[&Case]) -> Vec<(usize, SignatureError)> {
    let verdicts = cases.iter().enumerate().map(|(i, case)| (i, single(case)));
    verdicts
        .filter_map(|(i, verdict)| Some((i, verdict.err()?)))
        .collect()
}

fn assert_batch_equals_single(cases: &[&Case]) {
    let verdicts = batch(cases);
    let expected = expected(cases);
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

/// RFC 8032, section 7.1: secret key, public key, message, signature.
const RFC_8032: [[&str; 4]; 4] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
];

#[test]
fn rfc_8032_vectors_are_signed_and_accepted() {
    for [secret, public, message, signature] in RFC_8032 {
        let mut seed = [0; 32];
        hex::decode_to_slice(secret, &mut seed).expect("hexadecimal");
        let pair = KeyPair::from_seed(&seed);
        assert_eq!(pair.public_key().to_string(), public);
        let message = hex::decode(message).expect("hexadecimal");
        assert_eq!(pair.sign(&message).to_string(), signature);
        assert_eq!(
            verify(&pair.public_key(), &message, &pair.sign(&message)),
            Ok(())
        );
    }
}

type Expected = Result<(), SignatureError>;

/// The twelve cases of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko; IACR ePrint 2020/1244):
/// message, key, signature, and what this rule says.
const SPECCHECK: [(&str, &str, &str, Expected); 12] = [
    (
        "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000000000000000000000000000000000000000000000000000",
        Err(SignatureError::SmallOrderKey),
    ),
    (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        Err(SignatureError::SmallOrderKey),
    ),
    (
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
        Err(SignatureError::SmallOrderR),
    ),
    (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
        Ok(()),
    ),
    (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
        Ok(()),
    ),
    (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
        Ok(()),
    ),
    (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
        Err(SignatureError::NonCanonicalScalar),
    ),
    (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
        Err(SignatureError::NonCanonicalScalar),
    ),
    (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
        Err(SignatureError::NonCanonicalR),
    ),
    (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
        Err(SignatureError::NonCanonicalR),
    ),
    (
        "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        Err(SignatureError::NonCanonicalKey),
    ),
    (
        "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        Err(SignatureError::NonCanonicalKey),
    ),
];

fn speccheck() -> Vec<Case> {
    let case = |(number, (message, key, signature, _)): (usize, (&str, &str, &str, Expected))| {
        let message = hex::decode(message).expect("hexadecimal");
        let key = key.parse().expect("a key");
        let signature = signature.parse().expect("a signature");
        Case::new(format!("speccheck {number}"), key, &message, signature)
    };
    SPECCHECK.into_iter().enumerate().map(case).collect()
}

#[test]
fn the_cases_of_taming_the_many_eddsas_are_decided_as_stated() {
    for (case, (.., verdict)) in speccheck().iter().zip(SPECCHECK) {
        assert_eq!(single(case), verdict, "{}", case.name);
        assert_eq!(
            reference::verify(&case.key, &case.message, &case.signature),
            verdict
        );
    }
    let cases = speccheck();
    // In two of the three that are accepted the small-order parts do not cancel: only the cofactor helps.
    let cofactorless = |case: &Case| {
        let key = VerifyingKey::from_bytes(case.key.as_bytes()).expect("a point");
        let signature = ed25519_dalek::Signature::from_bytes(case.signature.as_bytes());
        key.verify(&case.message, &signature).is_ok()
    };
    assert_eq!(
        [3, 4, 5].map(|i| cofactorless(&cases[i])),
        [true, false, false]
    );
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
        let reference = reference::verify(&case.key, &case.message, &case.signature);
        assert_eq!(verdict, reference, "{}", case.name);
        *reasons.entry(verdict.err()).or_default() += 1;
    }
    assert_eq!(
        reasons.len(),
        9,
        "every reason, and acceptance, occurs: {reasons:?}"
    );
}

#[test]
fn signatures_by_another_library_are_accepted() {
    for seed in 0..50u8 {
        let signing = SigningKey::from_bytes(&[seed; 32]);
        let message = vec![seed; usize::from(seed) * 5];
        let signature = Signature::from_bytes(signing.sign(&message).to_bytes());
        let key = PublicKey::from_bytes(signing.verifying_key().to_bytes());
        assert_eq!(verify(&key, &message, &signature), Ok(()));
    }
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
    assert!(verify_batch(&[]).all_valid());
    assert_eq!(verify_batch(&[]).bad(), []);
}

const SIZES: [usize; 6] = [1, 2, 3, 17, 64, 200];

#[test]
fn one_crafted_item_in_a_batch_is_judged_as_it_is_alone() {
    let honest = honest(200);
    // One of each kind; all of them in every place would only repeat them.
    let crafted: Vec<Case> = [crafted().into_iter().step_by(29).collect(), speccheck()].concat();
    for case in &crafted {
        for size in SIZES {
            for position in [0, size / 2, size - 1] {
                let mut cases: Vec<&Case> = honest[..size].iter().collect();
                cases[position] = case;
                let expected: Vec<_> = single(case)
                    .err()
                    .map(|error| (position, error))
                    .into_iter()
                    .collect();
                let verdicts = batch(&cases);
                assert_eq!(
                    verdicts.bad(),
                    expected,
                    "{} at {position} of {size}",
                    case.name
                );
            }
        }
    }
}

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
    let pool = [crafted(), honest(300), speccheck()].concat();
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

#[test]
fn more_than_one_chunk_is_one_batch_to_the_caller() {
    let honest = honest(64);
    let mut forged = honest[0].clone();
    forged.message.push(1);
    let junk = Case::new(
        "junk",
        honest[1].key,
        b"",
        Signature::from_bytes([0xff; 64]),
    );
    let mut items: Vec<Item<'_>> = honest
        .iter()
        .cycle()
        .take(BATCH_MAX + 40)
        .map(Case::item)
        .collect();
    for index in [3, BATCH_MAX - 1, BATCH_MAX, BATCH_MAX + 39] {
        items[index] = forged.item();
    }
    items[BATCH_MAX + 1] = junk.item();
    let expected = [
        (3, SignatureError::Equation),
        (BATCH_MAX - 1, SignatureError::Equation),
        (BATCH_MAX, SignatureError::Equation),
        (BATCH_MAX + 1, SignatureError::NonCanonicalScalar),
        (BATCH_MAX + 39, SignatureError::Equation),
    ];
    assert_eq!(verify_batch(&items).bad(), expected);
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
