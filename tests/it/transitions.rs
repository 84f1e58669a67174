//! Random acts of a federation beside a naive model: verdicts, keys and parameters of every height, value, undoing, restarts.

use std::collections::BTreeMap;

use hubledger::testing::Numbers;
use hubledger::testing::federation::Federation;

/// So many federations; `HUBLEDGER_TRANSITION_ROUNDS` makes it others.
const ROUNDS: u64 = 40;

/// What has to have been valid, and refused, at least once: else the acts are too tame.
const SEEN: [&str; 24] = [
    "message",
    "transfer",
    "register",
    "join",
    "rotate",
    "revoke",
    "recover",
    "leave",
    "attest",
    "retract",
    "propose",
    "approve",
    "threshold",
    "revoked",
    "key_age",
    "registration",
    "rotation",
    "stake",
    "attestation",
    "member",
    "parameter",
    "proposal",
    "identity",
    "balance",
];

#[test]
fn a_federation_does_what_the_naive_model_says() {
    let rounds = std::env::var("HUBLEDGER_TRANSITION_ROUNDS");
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let mut seen = BTreeMap::new();
    for seed in 0..rounds {
        println!("seed {seed}");
        let mut numbers = Numbers(seed);
        let mut choose = |bound: u64| numbers.below(bound);
        let mut federation = Federation::new(&mut choose);
        while federation.step(&mut choose) {}
        for (word, count) in federation.seen {
            *seen.entry(word).or_insert(0) += count;
        }
    }
    println!("{seen:?}");
    for word in SEEN {
        assert!(seen.contains_key(word), "{word} never came up: {seen:?}");
    }
}
