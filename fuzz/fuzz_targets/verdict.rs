//! Whatever transactions are sealed into blocks, the validator never panics, what it accepts keeps the sum of all
//! balances, never repeats a transaction, and leaves a state that comes back from its snapshot.

#![no_main]

use std::collections::{BTreeSet, HashSet};

use hubledger::model::Block;
use hubledger::rules::produce::produce;
use hubledger::rules::{Depth, Validator};
use hubledger::state::State;
use hubledger_fuzz::{accounting_spec, transactions_of};
use libfuzzer_sys::fuzz_target;

const TRANSACTIONS_MAX: usize = 64;
const PER_BLOCK: usize = 4;

fuzz_target!(|input: &[u8]| {
    let (spec, key) = accounting_spec();
    let transactions = transactions_of(input, TRANSACTIONS_MAX);
    let mut names: BTreeSet<&str> = spec.accounts.keys().map(String::as_str).collect();
    names.insert("hub");
    for transaction in &transactions {
        names.extend([transaction.sender(), transaction.receiver()]);
    }
    let sum = |state: &State| -> u128 {
        names
            .iter()
            .map(|name| u128::from(state.account(name).balance))
            .sum()
    };
    let mut validator = Validator::new(spec.clone());
    let before = sum(validator.state());
    let mut accepted = HashSet::new();
    for run in transactions.chunks(PER_BLOCK) {
        let now = run
            .iter()
            .map(|transaction| transaction.timestamp())
            .max()
            .unwrap_or_default();
        let Ok(block) = produce(spec, validator.state(), "hub", key, run, now) else {
            continue;
        };
        assert_eq!(Block::decode(&block.encode().into()).as_ref(), Ok(&block));
        let Ok(valid) = validator.check(&block, Depth::Replay) else {
            continue;
        };
        validator.apply(&valid);
        assert_eq!(
            sum(validator.state()),
            before,
            "balances came from nowhere or went there"
        );
        for transaction in run {
            assert!(
                accepted.insert(transaction.id()),
                "a transaction was accepted twice"
            );
            assert_eq!(transaction.chain(), spec.id());
        }
    }
    let snapshot = validator.state().encode();
    assert_eq!(State::decode(&snapshot).as_ref(), Ok(validator.state()));
});
