//! Random stakes beside a naive model: verdicts, pools, the members of every height, value, undoing, restarts.

use std::collections::BTreeMap;

use hubledger::testing::Numbers;
use hubledger::testing::stakes::Staking;

/// So many chains; `HUBLEDGER_TRANSITION_ROUNDS` makes it others.
const ROUNDS: u64 = 40;

#[test]
fn stakes_make_the_members_that_the_naive_model_says() {
    let rounds = std::env::var("HUBLEDGER_TRANSITION_ROUNDS");
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let mut seen = BTreeMap::new();
    for seed in 0..rounds {
        println!("seed {seed}");
        let mut numbers = Numbers(seed);
        let mut choose = |bound: u64| numbers.below(bound);
        let mut staking = Staking::new(&mut choose);
        while staking.step(&mut choose) {}
        for (word, count) in staking.seen {
            *seen.entry(word).or_insert(0u64) += count;
        }
    }
    println!("{seen:?}");
    for word in ["transfer", "stake", "delegate", "release", "withdraw"] {
        for word in [word.to_owned(), format!("no {word}")] {
            assert!(seen.contains_key(&word), "{word} never came up: {seen:?}");
        }
    }
}
