//! The pool beside a naive one, over random operations.
#![allow(missing_docs, clippy::unwrap_used)]

mod naive;
mod operations;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use operations::Tally;

/// Everything that can come of an operation.
const ALL: [&str; 16] = [
    "again",
    "aged",
    "expired",
    "pool is full",
    "pushed_out",
    "refused",
    "replaced",
    "replaces",
    "selected",
    "sender's share",
    "source's share",
    "taken",
    "uncovered",
    "used",
    "used before",
    "waits",
];

#[test]
fn a_pool_does_what_a_naive_one_does() {
    let config = Config {
        cases: 1_000,
        failure_persistence: None,
        ..Config::default()
    };
    let seeded = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(config, seeded);
    let bytes = prop::collection::vec(any::<u8>(), 0..1_500);
    let all = RefCell::new(Tally::new());
    runner
        .run(&bytes, |bytes| {
            for (what, count) in operations::run(&bytes) {
                *all.borrow_mut().entry(what).or_default() += count;
            }
            Ok(())
        })
        .unwrap();
    let all = all.into_inner();
    println!("{all:#?}");
    for what in ALL {
        let count = all.get(what).copied().unwrap_or_default();
        assert!(count > 100, "{what}: {count} times only");
    }
}
