//! Batches of anything are judged as the slow reference judges each item, whatever the path, threads and caches.

mod support;

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use hubledger_signatures::{Settings, Verifier};
use proptest::prelude::*;
use support::crafted::Case;
use support::recipe::{KINDS, Recipe};
use support::{Verdict, bad, items, paths, reference, settings, single};

/// Bytes of a cache that holds one key on every path, and not two.
const ONE_KEY: usize = 500;

/// Items and what the reference says of them, which takes milliseconds each.
static KNOWN: LazyLock<Mutex<HashMap<Recipe, (Case, Verdict)>>> = LazyLock::new(Mutex::default);

fn known(recipe: &Recipe) -> (Case, Verdict) {
    let mut known = KNOWN.lock().expect("no test panics while it holds this");
    let make = || {
        let case = recipe.make();
        let verdict = reference(&case);
        (case, verdict)
    };
    known.entry(*recipe).or_insert_with(make).clone()
}

/// Few signers, so that keys come again; few places, so that the reference has little to do.
fn recipe(kinds: impl Strategy<Value = u8>) -> impl Strategy<Value = Recipe> {
    (kinds, 0..6u8, 0..4u8, 0..64u8, 0..16u8).prop_map(|(kind, signer, message, at, value)| {
        // A valid item is the same wherever it would be changed.
        let (at, value) = if kind < 2 { (0, 0) } else { (at, value) };
        Recipe {
            kind,
            signer,
            message,
            at,
            value,
        }
    })
}

/// Mixtures with a share of good items from none to nearly all.
fn mixture() -> impl Strategy<Value = Vec<Recipe>> {
    (0..100u8, 1..300usize).prop_flat_map(|(good, size)| {
        let kinds =
            (0..100u8, 0..KINDS).prop_map(move |(roll, kind)| if roll < good { 0 } else { kind });
        prop::collection::vec(recipe(kinds), size)
    })
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let paths: Vec<_> = paths().collect();
    let bytes = || prop::sample::select(vec![0, ONE_KEY, 1 << 20]);
    let tables = prop::sample::select(vec![0, 1 << 20]);
    let seed = prop::option::of(any::<[u8; 32]>());
    (
        prop::sample::select(paths),
        1..=2usize,
        bytes(),
        tables,
        seed,
    )
        .prop_map(|(path, threads, cache_bytes, table_bytes, seed)| {
            let mut settings = settings(path, threads);
            settings.cache_bytes = cache_bytes;
            settings.table_bytes = table_bytes;
            settings.seed = seed;
            settings
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_mixture_is_judged_as_the_reference_judges_each_item(
        recipes in mixture(),
        settings in any_settings(),
    ) {
        let cases: Vec<(Case, Verdict)> = recipes.iter().map(known).collect();
        let items = items(cases.iter().map(|(case, _)| case));
        let expected = bad(cases.iter().map(|(_, verdict)| *verdict));
        let verifier = Verifier::new(&settings).expect("an available path");
        for turn in 0..3 {
            let verdicts = verifier.verify(&items);
            prop_assert_eq!(verdicts.bad(), &expected[..], "turn {}", turn);
            prop_assert_eq!(verdicts.all_valid(), expected.is_empty());
        }
        for (case, verdict) in &cases[..cases.len().min(60)] {
            prop_assert_eq!(verifier.verify_one(&case.item()), *verdict, "{}", case.name);
            prop_assert_eq!(single(case), *verdict, "{}", case.name);
        }
        // The halves, with what the verifier knows of the keys by now.
        let (left, right) = items.split_at(items.len() / 2);
        let mut bad = verifier.verify(left).bad().to_vec();
        let right = verifier.verify(right);
        bad.extend(right.bad().iter().map(|(index, error)| (left.len() + index, *error)));
        prop_assert_eq!(bad, expected);
    }
}

#[test]
fn the_kinds_of_items_have_every_verdict() {
    let places = (0..64).flat_map(|at| (0..16).step_by(5).map(move |value| (at, value)));
    let recipes = (0..KINDS).flat_map(|kind| {
        places.clone().map(move |(at, value)| Recipe {
            kind,
            signer: 1,
            message: 1,
            at,
            value,
        })
    });
    let mut verdicts: Vec<Verdict> = recipes.map(|recipe| single(&recipe.make())).collect();
    verdicts.sort_unstable();
    verdicts.dedup();
    assert_eq!(verdicts.len(), 9, "{verdicts:?}");
}
