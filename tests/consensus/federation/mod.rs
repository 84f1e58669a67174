//! Random federations beside a naive model: who is a member, whose turn it is, which blocks count, who is convicted, and that nothing of
//! value is lost.
//!
//! The model is written from `FORMAT.md` over plain lists and asks the library for no verdict; only bytes, hashes and signatures are the
//! library's. A chain grows by what is said in its blocks, is offered forged ones beside the good one, and goes back now and then.

mod acts;
mod chosen;
mod model;
mod run;
mod seeds;
mod spoken;
mod stakes;
mod world;

use self::model::Model;
use self::run::{Federation, Seen};
use self::world::Kind;

/// Seeds of each composition; `HUBLEDGER_FEDERATION_ROUNDS` makes it others, `HUBLEDGER_FEDERATION_SEED` begins at another.
const ROUNDS: u64 = 4;
/// Blocks of each chain; `HUBLEDGER_FEDERATION_BLOCKS` makes it others.
const BLOCKS: u64 = 50;

fn number(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => otherwise,
    }
}

/// What came up, or what chain and model don't agree on.
fn run(kind: Kind, seed: u64, blocks: u64, change: fn(&mut Model)) -> Result<Seen, String> {
    let mut federation = Federation::new(kind, seed, change);
    for _ in 0..blocks {
        let step = federation.step();
        step.map_err(|problem| format!("{kind:?}, seed {seed}, {problem}"))?;
    }
    Ok(federation.seen)
}

#[test]
fn a_random_federation_is_what_the_naive_model_says_at_every_height() {
    let first = number("HUBLEDGER_FEDERATION_SEED", 0);
    let rounds = number("HUBLEDGER_FEDERATION_ROUNDS", ROUNDS);
    let blocks = number("HUBLEDGER_FEDERATION_BLOCKS", BLOCKS);
    for kind in Kind::ALL {
        let mut seen = Seen::new();
        for seed in first..first + rounds {
            match run(kind, seed, blocks, |_| {}) {
                Ok(more) => more.into_iter().for_each(|(word, count)| {
                    *seen.entry(word).or_default() += count;
                }),
                Err(problem) => panic!("{problem}"),
            }
        }
        println!("{kind:?}: {seen:#?}");
        if rounds >= ROUNDS && blocks >= BLOCKS {
            for word in kind.words() {
                assert!(seen.contains_key(word), "{kind:?}: never {word:?}");
            }
        }
    }
}

/// That some seed shows it where the model says something else than the text.
#[track_caller]
fn differs(kinds: &[Kind], what: &str, change: fn(&mut Model)) {
    for kind in kinds {
        let problems = (0..8).find_map(|seed| run(*kind, seed, BLOCKS, change).err());
        let problem = problems.expect("a model of other rules disagrees with the chain");
        assert!(problem.contains(what), "{problem}");
    }
}

#[test]
fn a_model_whose_quorum_is_two_thirds_exactly_is_found_out() {
    let certified = [Kind::VotedTurnQuorum, Kind::VotedSeededQuorum];
    differs(&certified, "Err(Quorum), the model Ok(())", |model| {
        model.terms.quorum = |part, whole| 3 * part >= 2 * whole;
    });
}

#[test]
fn a_model_whose_stakes_count_a_height_sooner_is_found_out() {
    let staked = [Kind::StakedWeightedSignature, Kind::StakedWeightedQuorum];
    differs(&staked, "members of", |model| {
        model.terms.stakes.as_mut().unwrap().ahead = 1;
    });
}

#[test]
fn a_model_whose_double_votes_cost_less_is_found_out() {
    differs(&[Kind::StakedWeightedQuorum], "the chain says", |model| {
        model.terms.double_signing -= 1;
    });
}
