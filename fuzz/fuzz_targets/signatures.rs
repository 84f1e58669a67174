//! Whatever items are in a batch, on every path the verdict on each is that of a slow reference written from the
//! equation, once and again, together and alone.
//!
//! An input says how many good items stand around those that it makes, with what settings, and makes items of every
//! kind: valid, changed, of mixed or small order, not canonical (see `Recipe`). In a fuzzing build, batches of a few dozen
//! items are searched, and cut for several threads, as large ones are elsewhere; most inputs make do with fewer.

#![no_main]

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use hubledger_signatures::{Path, Settings, Verifier};
use libfuzzer_sys::fuzz_target;

#[path = "../../signatures/tests/support/mod.rs"]
mod support;

use support::crafted::{Case, honest};
use support::recipe::Recipe;
use support::{Verdict, bad, items, paths, reference, settings};

/// Good items, at most.
const GOOD_MAX: usize = 47;
/// Made items, at most. The reference takes most of a millisecond for each that is new.
const MADE_MAX: usize = 8;
/// Items whose verdicts are remembered, at some 500 bytes each.
const KNOWN_MAX: usize = 100_000;
/// Batches of fewer items are never cut, so that threads would be started in vain.
const CUT_MIN: usize = 32;

static GOOD: LazyLock<Vec<Case>> = LazyLock::new(|| honest(GOOD_MAX));
static KNOWN: LazyLock<Mutex<HashMap<Recipe, (Case, Verdict)>>> = LazyLock::new(Mutex::default);

fn known(recipe: Recipe) -> (Case, Verdict) {
    let mut known = KNOWN.lock().expect("nothing panics while it holds this");
    if known.len() > KNOWN_MAX {
        known.clear();
    }
    let make = || {
        let case = recipe.make();
        let verdict = reference(&case);
        (case, verdict)
    };
    known.entry(recipe).or_insert_with(make).clone()
}

/// How many good items a byte asks for: most ask for a few, an eighth for enough to be searched and cut.
fn good(byte: u8) -> usize {
    match byte {
        0..224 => usize::from(byte % 16),
        224.. => 32 + usize::from(byte - 224) / 2,
    }
}

/// Settings of the path of this number for so many items: a bit each for the threads, the caches and the seed. Threads take longer
/// to start than all the rest, so that one path has them, which another part of the bits chooses: cutting is the same on all.
fn chosen(mut settings: Settings, bits: u8, number: usize, items: usize) -> Settings {
    let has_threads = bits & 1 == 1 && usize::from(bits >> 5) % Path::ALL.len() == number;
    settings.threads = 1 + usize::from(has_threads && items > CUT_MIN);
    settings.cache_bytes = [1 << 20, 500, 0, 1 << 16][usize::from(bits >> 1 & 3)];
    settings.table_bytes = if bits & 8 == 0 { 0 } else { 1 << 18 };
    settings.seed = (bits & 16 != 0).then_some([bits; 32]);
    settings
}

fuzz_target!(|input: &[u8]| {
    let Some((&[good_byte, bits], recipes)) = input.split_first_chunk::<2>() else {
        return;
    };
    let good = good(good_byte);
    let recipes = recipes.as_chunks::<5>().0.iter().take(MADE_MAX);
    let made: Vec<(Case, Verdict)> = recipes
        .map(|bytes| known(Recipe::from_bytes(*bytes)))
        .collect();
    // Made items are spread evenly among the good ones.
    let mut cases: Vec<(&Case, Verdict)> = GOOD[..good].iter().map(|case| (case, Ok(()))).collect();
    let stride = good / (made.len() + 1);
    for (index, (case, verdict)) in made.iter().enumerate() {
        cases.insert((index + 1) * stride + index, (case, *verdict));
    }
    let items = items(cases.iter().map(|(case, _)| *case));
    let expected = bad(cases.iter().map(|(_, verdict)| *verdict));
    for (number, path) in paths().enumerate() {
        let settings = chosen(settings(path, 1), bits, number, items.len());
        let verifier = Verifier::new(&settings).expect("an available path");
        for _ in 0..2 {
            assert_eq!(verifier.verify(&items).bad(), expected, "{path}");
        }
        for (case, verdict) in &made {
            assert_eq!(
                verifier.verify_one(&case.item()),
                *verdict,
                "{path} {}",
                case.name
            );
        }
    }
});
