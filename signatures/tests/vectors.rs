//! Published vectors, alone and in batches: on every path, with one thread and several, at every size and place, before
//! and after their keys are known.

#[path = "vectors/published.rs"]
mod published;
mod support;

use hubledger_signatures::{Settings, SignatureError, Verifier, check_key};
use support::crafted::{Case, honest, mixed_orders};
use support::{Verdict, bad, items, paths, reference, settings, single, verifier};

/// Sizes of batches: around the vectors' lanes, the cells and the buckets.
const SIZES: [usize; 10] = [1, 2, 3, 7, 16, 31, 32, 33, 100, 500];
/// Uses after which a key has its tables, and some more.
const HOT: usize = 70;
/// A batch of so many is cut for three threads.
const CUT: usize = 1_600;

fn all() -> Vec<(Case, Verdict)> {
    let mixed = mixed_orders().into_iter().step_by(9);
    [
        published::rfc_8032(),
        published::speccheck(),
        published::wycheproof(),
        published::zip_215(),
        mixed.map(|case| (case, Ok(()))).collect(),
    ]
    .concat()
}

/// Whether an item has points, so that it is in the sum of a batch.
fn is_summed(verdict: Verdict) -> bool {
    matches!(verdict, Ok(()) | Err(SignatureError::Equation))
}

#[test]
fn single_verification_says_what_is_written_and_so_does_the_slow_reference() {
    for (case, verdict) in all() {
        assert_eq!(single(&case), verdict, "{}", case.name);
        assert_eq!(reference(&case), verdict, "{}", case.name);
        if is_summed(verdict) {
            assert_eq!(check_key(&case.key), Ok(()), "{}", case.name);
        }
    }
}

/// In two of the three that are accepted the small-order parts do not cancel: only the cofactor helps.
#[test]
fn the_cases_of_taming_the_many_eddsas_tell_the_cofactored_equation_from_the_other() {
    use ed25519_dalek::Verifier as _;
    let cases = published::speccheck();
    let cofactorless = |(case, _): &(Case, Verdict)| {
        let key = ed25519_dalek::VerifyingKey::from_bytes(case.key.as_bytes()).expect("a point");
        let signature = ed25519_dalek::Signature::from_bytes(case.signature.as_bytes());
        key.verify(&case.message, &signature).is_ok()
    };
    assert_eq!(
        [3, 4, 5].map(|i| cofactorless(&cases[i])),
        [true, false, false]
    );
}

#[test]
fn one_at_a_time_is_the_same_for_new_known_and_hot_keys() {
    for path in paths() {
        let change = |change: fn(&mut Settings)| {
            let mut settings = settings(path, 1);
            change(&mut settings);
            Verifier::new(&settings).expect("an available path")
        };
        let cold = change(|settings| settings.cache_bytes = 0);
        let cached = change(|settings| settings.table_bytes = 0);
        let hot = verifier(path, 1);
        for (case, verdict) in all() {
            for verifier in [&cold, &cached, &cached] {
                assert_eq!(verifier.verify_one(&case.item()), verdict, "{}", case.name);
            }
            for use_ in 0..if is_summed(verdict) { HOT } else { 2 } {
                let found = hot.verify_one(&case.item());
                assert_eq!(found, verdict, "{} on {path}, use {use_}", case.name);
            }
        }
    }
}

/// Each item among good ones: items that are in the sum at the first, the middle and the last place, the others, which
/// never get there, at one of them. Where there are many cases, large batches take turns with the places too.
fn assert_same_among_good_ones(cases: &[(Case, Verdict)], sizes: &[usize], threads: usize) {
    let few = cases.len() <= 16;
    let good = honest(*sizes.iter().max().expect("sizes"));
    for verifier in paths().map(|path| verifier(path, threads)) {
        for (number, (case, verdict)) in cases.iter().enumerate() {
            for &size in sizes {
                let mut items = items(&good[..size]);
                let places = [0, size / 2, size - 1];
                let one = number % 3..number % 3 + 1;
                let all = is_summed(*verdict) && (few || size <= 33);
                let places = &places[if all { 0..3 } else { one }];
                for &place in places {
                    items[place] = case.item();
                    let expected: Vec<_> = verdict.err().map(|e| (place, e)).into_iter().collect();
                    for turn in 1..=2 {
                        assert_eq!(
                            verifier.verify(&items).bad(),
                            expected,
                            "{} at {place} of {size} on {}, turn {turn}",
                            case.name,
                            verifier.path()
                        );
                    }
                    items[place] = good[place].item();
                }
            }
        }
    }
}

#[test]
fn rfc_8032_speccheck_and_mixed_orders_are_judged_alike_at_every_size_and_place() {
    let cases = [published::rfc_8032(), published::speccheck()].concat();
    assert_same_among_good_ones(&cases, &SIZES, 1);
    let mixed: Vec<_> = mixed_orders()
        .into_iter()
        .step_by(9)
        .map(|case| (case, Ok(())))
        .collect();
    assert_same_among_good_ones(&mixed, &SIZES, 1);
}

#[test]
fn the_matrix_of_zip_215_is_judged_alike_at_every_size_and_place() {
    assert_same_among_good_ones(&published::zip_215(), &SIZES, 1);
}

#[test]
fn wycheproofs_set_is_judged_alike_at_every_size_and_place() {
    assert_same_among_good_ones(&published::wycheproof(), &SIZES, 1);
}

#[test]
fn several_threads_judge_the_published_cases_alike() {
    let cases = [published::rfc_8032(), published::speccheck()].concat();
    assert_same_among_good_ones(&cases, &[1, 33, CUT], 3);
}

/// All cases in one batch, at ever other places among good ones.
#[test]
fn all_cases_together_are_judged_as_each_is_alone() {
    let cases = all();
    let good = honest(CUT);
    for path in paths() {
        for threads in [1, 3] {
            let verifier = verifier(path, threads);
            for size in [cases.len(), 500, CUT] {
                for shift in [0, size / 3, size / 2] {
                    let mut items = items(&good[..size]);
                    let mut verdicts: Vec<Verdict> = vec![Ok(()); size];
                    for (index, (case, verdict)) in cases.iter().enumerate() {
                        // 7 has no factor in common with the sizes, so that no two get the same place.
                        let place = (shift + 7 * index) % size;
                        items[place] = case.item();
                        verdicts[place] = *verdict;
                    }
                    let expected = bad(verdicts);
                    for _ in 0..2 {
                        assert_eq!(verifier.verify(&items).bad(), expected, "{path} {threads}");
                    }
                }
            }
        }
    }
}
