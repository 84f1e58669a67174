//! The nightly run over signatures: tens of millions of random ones, good and spoilt, on every path.
//!
//! `HUBLEDGER_MANY=20000000 cargo test --release -p hubledger-signatures many -- --ignored --nocapture` runs this and
//! the run over field elements, scalars and encodings in `src/many.rs`; the variable says how many cases of each sort,
//! 10 million if it isn't set. `HUBLEDGER_MANY_SEED` repeats a run by the seed that it printed.

mod support;

use curve25519_dalek::edwards::CompressedEdwardsY;
use hubledger_signatures::{PublicKey, Signature, SignatureError};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use support::crafted::{Case, KeyPair};
use support::{Verdict, bad, items, paths, single, verifier};

/// Items of a batch. As many batches have few keys as many.
const BATCH: usize = 2_048;
const KEYS: [usize; 4] = [1, 64, 500, BATCH];
/// One item of so many is spoilt, depending on the batch: none in most batches of an honest stream.
const SPOILT: [u64; 4] = [u64::MAX, 1_000, 50, 2];

/// Spoils one bit anywhere, or puts in a key or an `R` that is no point at all half of the time.
fn spoil(case: &mut Case, random: &mut ChaCha12Rng) {
    let bit = random.next_u64() as usize;
    let mut key = *case.key.as_bytes();
    let mut signature = *case.signature.as_bytes();
    match random.next_u64() % 5 {
        0 => key[bit / 8 % 32] ^= 1 << (bit % 8),
        1 => signature[bit / 8 % 64] ^= 1 << (bit % 8),
        2 => case.message.push(bit as u8),
        3 => random.fill_bytes(&mut key),
        _ => random.fill_bytes(&mut signature[..32]),
    }
    case.key = PublicKey::from_bytes(key);
    case.signature = Signature::from_bytes(signature);
}

/// The verdict by the single rule; where no point has the encoding, by curve25519-dalek too.
fn expected(case: &Case) -> Verdict {
    let verdict = single(case);
    let on_curve = |encoding: &[u8]| {
        let encoding = CompressedEdwardsY::from_slice(encoding).expect("32 bytes");
        encoding.decompress().is_some()
    };
    if verdict == Err(SignatureError::Equation) {
        assert!(on_curve(case.key.as_bytes()) && on_curve(&case.signature.as_bytes()[..32]));
    }
    verdict
}

#[test]
#[ignore = "minutes"]
fn many_signatures() {
    let variable = |name| std::env::var(name).ok();
    let count = variable("HUBLEDGER_MANY").map_or(10_000_000, |n| n.parse().expect("a number"));
    let seed = variable("HUBLEDGER_MANY_SEED").map_or_else(
        || getrandom::u64().expect("the system's random numbers"),
        |seed| seed.parse().expect("a number"),
    );
    println!("signatures: HUBLEDGER_MANY_SEED={seed}");
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let verifiers: Vec<_> = paths().map(|path| verifier(path, 1)).collect();
    let pairs: Vec<KeyPair> = (0..BATCH)
        .map(|_| KeyPair::number(random.next_u64()))
        .collect();
    let (mut checked, mut refused) = (0usize, 0usize);
    while checked < count {
        let (keys, spoilt) = (
            KEYS[random.next_u64() as usize % 4],
            SPOILT[random.next_u64() as usize % 4],
        );
        let mut cases: Vec<Case> = (0..BATCH)
            .map(|_| {
                let pair = &pairs[random.next_u64() as usize % keys];
                let mut message = vec![0; random.next_u64() as usize % 300];
                random.fill_bytes(&mut message);
                Case::new("", pair.public_key(), &message, pair.sign(&message))
            })
            .collect();
        let mut verdicts: Vec<Verdict> = vec![Ok(()); BATCH];
        for (case, verdict) in cases.iter_mut().zip(&mut verdicts) {
            if random.next_u64() % spoilt == 0 {
                spoil(case, &mut random);
                *verdict = expected(case);
            }
        }
        let (items, expected) = (items(&cases), bad(verdicts));
        for verifier in &verifiers {
            let verdicts = verifier.verify(&items);
            assert_eq!(
                verdicts.bad(),
                expected,
                "{} after {checked}",
                verifier.path()
            );
            for at in [0, 1, BATCH / 2] {
                let verdict = expected.iter().find(|(index, _)| *index == at);
                let verdict = verdict.map_or(Ok(()), |(_, error)| Err(*error));
                assert_eq!(verifier.verify_one(&items[at]), verdict);
            }
        }
        checked += BATCH;
        refused += expected.len();
    }
    println!(
        "signatures on each of {} paths: {checked}, of which bad: {refused}",
        verifiers.len()
    );
}
