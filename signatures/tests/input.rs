//! Input that is large or lopsided, and settings at their limits.

mod support;

use hubledger_signatures::{Item, Path, Settings, SetupError, SignatureError, Verdicts, Verifier};
use support::crafted::{Case, KeyPair, honest};
use support::{items, paths, settings, verifier};

/// Good items, each by another key.
fn strangers(numbers: std::ops::Range<u64>) -> Vec<Case> {
    numbers
        .map(|number| {
            let pair = KeyPair::number(number);
            let message = number.to_le_bytes();
            Case::new("stranger", pair.public_key(), &message, pair.sign(&message))
        })
        .collect()
}

#[test]
fn no_items_have_no_verdicts() {
    for path in paths() {
        for threads in [1, 2] {
            let verifier = verifier(path, threads);
            for _ in 0..2 {
                assert_eq!(verifier.verify(&[]), Verdicts::default());
                assert!(verifier.verify(&[]).all_valid());
            }
        }
    }
}

#[test]
fn one_key_may_sign_any_number_of_items() {
    const COUNT: usize = 100_000;
    let pair = KeyPair::number(1);
    let cases: Vec<Case> = (0..64u8)
        .map(|i| Case::new("one key", pair.public_key(), &[i], pair.sign(&[i])))
        .collect();
    let mut forged = cases[0].clone();
    forged.message.push(1);
    let mut items: Vec<Item<'_>> = cases.iter().cycle().take(COUNT).map(Case::item).collect();
    for path in paths().filter(|&path| path != Path::Portable) {
        assert!(verifier(path, 2).verify(&items).all_valid());
    }
    let few = &items[..9_000];
    assert!(verifier(Path::Portable, 2).verify(few).all_valid());
    items[COUNT / 2] = forged.item();
    let expected = [(COUNT / 2, SignatureError::Equation)];
    for path in paths().filter(|&path| path != Path::Portable) {
        assert_eq!(verifier(path, 1).verify(&items).bad(), expected);
    }
}

#[test]
fn a_cache_of_one_key_or_none_serves_any_number_of_keys() {
    let mut cases = strangers(0..3_000);
    cases[1_234].message.push(0);
    let items = items(&cases);
    for path in paths() {
        for cache_bytes in [0, 1, 500] {
            let mut settings = settings(path, 1);
            settings.cache_bytes = cache_bytes;
            settings.table_bytes = cache_bytes;
            let verifier = Verifier::new(&settings).expect("an available path");
            for _ in 0..2 {
                let verdicts = verifier.verify(&items);
                assert_eq!(
                    verdicts.bad(),
                    [(1_234, SignatureError::Equation)],
                    "{path}"
                );
            }
            assert!(
                items[..40]
                    .iter()
                    .all(|item| verifier.verify_one(item) == Ok(()))
            );
        }
    }
}

#[test]
fn junk_of_every_byte_value_is_refused_with_a_reason() {
    let good = honest(40);
    for path in paths() {
        let verifier = verifier(path, 1);
        for byte in 0..=255 {
            let key = hubledger_signatures::PublicKey::from_bytes([byte; 32]);
            let signature = hubledger_signatures::Signature::from_bytes([byte; 64]);
            let junk = Case::new("junk", key, &[byte], signature);
            let mut items = items(&good);
            items[7] = junk.item();
            let expected = support::single(&junk).expect_err("nobody signed this");
            assert_eq!(verifier.verify(&items).bad(), [(7, expected)], "{byte}");
            assert_eq!(verifier.verify_one(&junk.item()), Err(expected));
        }
    }
}

#[test]
fn long_and_empty_messages_go_together() {
    let pair = KeyPair::number(5);
    let cases: Vec<Case> = [0, 1, 4_096, 0, 1 << 20, 111, 112, 47, 48, 100_000]
        .into_iter()
        .cycle()
        .take(70)
        .map(|length| vec![3; length])
        .map(|message| Case::new("length", pair.public_key(), &message, pair.sign(&message)))
        .collect();
    for path in paths() {
        assert!(
            verifier(path, 1).verify(&items(&cases)).all_valid(),
            "{path}"
        );
    }
}

#[test]
fn one_verifier_serves_many_threads_at_once() {
    let mut cases = strangers(10_000..10_700);
    cases[300].message.push(0);
    for path in paths() {
        let verifier = verifier(path, 2);
        std::thread::scope(|scope| {
            for first in [0, 100, 200, 300] {
                let (verifier, cases) = (&verifier, &cases);
                scope.spawn(move || {
                    let items = items(&cases[first..]);
                    let expected = [(300 - first, SignatureError::Equation)];
                    for _ in 0..3 {
                        assert_eq!(verifier.verify(&items).bad(), expected);
                    }
                });
            }
        });
    }
}

#[test]
fn a_path_that_is_asked_for_is_taken_or_refused() {
    for path in Path::ALL {
        assert_eq!(path.name().parse::<Path>().expect("its name"), path);
        assert_eq!(path.to_string(), path.name());
        match Verifier::new(&settings(path, 1)) {
            Ok(verifier) => assert!(path.is_available() && verifier.path() == path),
            Err(SetupError::Unavailable(which)) => assert!(!path.is_available() && which == path),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(Path::Portable.is_available());
    for name in ["", "AVX2", "sse2", "portable "] {
        let error = name.parse::<Path>().expect_err("no path");
        assert!(
            error.to_string().contains("portable, avx2 or ifma"),
            "{error}"
        );
    }
}

#[test]
fn the_same_seed_and_calls_give_the_same_verdicts() {
    let mut cases = honest(100);
    cases[50].message.push(0);
    for path in paths() {
        let mut settings: Settings = settings(path, 1);
        settings.seed = Some([1; 32]);
        for _ in 0..3 {
            let verifier = Verifier::new(&settings).expect("an available path");
            let verdicts = verifier.verify(&items(&cases));
            assert_eq!(verdicts.bad(), [(50, SignatureError::Equation)]);
        }
    }
}
