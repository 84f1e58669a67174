//! Whole histories of a chain in its store beside a naive model of both: blocks that are valid and such that aren't, undoing, crashes,
//! restarts, pruning, moves to other backends, snapshots, and going on under another specification. After every step both agree on everything.
//!
//! `HUBLEDGER_MODEL_ROUNDS` says how many histories there are, `HUBLEDGER_MODEL_SEED` with which seed they begin; one that fails says its own, and
//! is the same again with it.

mod blocks;
mod check;
mod forgetful;
mod history;
mod home;
mod moves;
mod naive;
mod rules;

use std::env;

use self::history::{History, Reached};

/// Enough to go through every kind of step in every backend.
const ROUNDS: u64 = 10;
const STEPS: usize = 60;

fn number(name: &str, otherwise: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => otherwise,
    }
}

#[test]
fn a_chain_and_its_store_are_what_a_naive_model_says_after_every_step() {
    let first = number("HUBLEDGER_MODEL_SEED", 0);
    let rounds = number("HUBLEDGER_MODEL_ROUNDS", ROUNDS);
    let mut reached = Reached::default();
    for seed in first..first + rounds {
        let mut history = History::begin(seed);
        for _ in 0..STEPS {
            history.step();
            history.check();
        }
        history.end(&mut reached);
    }
    if rounds >= ROUNDS {
        let Reached {
            steps,
            reasons,
            lost,
        } = reached;
        assert!(steps.iter().all(|count| *count > 0), "{steps:?}");
        assert!(reasons.len() > 18, "{reasons:?}");
        assert!(lost > 0, "no crash took a block");
    }
}
