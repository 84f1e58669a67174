//! The tree over a state: changes of random rows with a root behind each batch, beside the bare hashing of as many nodes, reads and proofs.
//!
//! `STATE_ROWS` says how many rows there are (1,000,000).
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hubledger::format::digest::Digest;
use hubledger::format::merkle::node_hash;
use hubledger::format::sparse;
use hubledger::state::{Put, StateTree};

const BATCH: usize = 1000;

fn rows() -> u32 {
    let rows = std::env::var("STATE_ROWS").ok();
    rows.and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000)
}

fn name(number: u32) -> [u8; 16] {
    let mut name = *b"node-00000000000";
    let digits = format!("{number:011}");
    name[5..].copy_from_slice(digits.as_bytes());
    name
}

fn change(tree: &mut StateTree, numbers: impl Iterator<Item = u32>, nonce: u64) {
    let names: Vec<[u8; 16]> = numbers.map(name).collect();
    let mut value = [7; 49];
    value[..8].copy_from_slice(&nonce.to_le_bytes());
    let puts = names.iter().map(|name| Put {
        table: 1,
        key: name,
        value: Some(&value),
    });
    tree.change(&puts.collect::<Vec<_>>());
}

fn benches(criterion: &mut Criterion) {
    let rows = rows();
    let mut tree = StateTree::default();
    for first in (0..rows).step_by(100_000) {
        change(&mut tree, first..rows.min(first + 100_000), 1);
        tree.root();
    }
    let mut random = 1_u64;
    let mut draw = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % u64::from(rows)) as u32
    };
    let mut group = criterion.benchmark_group("state");
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut nonce = 1;
    group.bench_function("change", |bencher| {
        bencher.iter(|| {
            nonce += 1;
            change(&mut tree, (0..BATCH).map(|_| draw()), nonce);
        });
    });
    tree.root();
    group.bench_function("change and root", |bencher| {
        bencher.iter(|| {
            nonce += 1;
            change(&mut tree, (0..BATCH).map(|_| draw()), nonce);
            black_box(tree.root())
        });
    });
    group.bench_function("get", |bencher| {
        bencher.iter(|| {
            for _ in 0..BATCH {
                black_box(tree.get(1, &name(draw())));
            }
        });
    });
    group.throughput(Throughput::Elements(1));
    let root = tree.root();
    group.bench_function("prove", |bencher| {
        bencher.iter_batched(
            || name(draw()),
            |name| black_box(tree.prove(1, &name)),
            BatchSize::SmallInput,
        );
    });
    let key = name(1);
    let (path, value) = tree.prove(1, &key).expect("the root was asked for");
    group.bench_function("verify", |bencher| {
        bencher.iter(|| path.verify(&sparse::place(1, &key), value, &root));
    });
    let (a, b) = (Digest([1; 32]), Digest([2; 32]));
    group.bench_function("one node", |bencher| bencher.iter(|| node_hash(&a, &b)));
    group.finish();
}

criterion_group!(state, benches);
criterion_main!(state);
