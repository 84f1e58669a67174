//! Codec, hashing and Merkle trees, each beside a baseline in its own group. A figure compares with those of its group only.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hubledger::digest::{Digest, sha256};
use hubledger::generate::{Generator, Recipe};
use hubledger::merkle::{self, Tree};
use hubledger::model::{Block, Transaction};

const TRANSACTIONS: usize = 1_000;

fn block() -> Block {
    let recipe = Recipe {
        transactions: TRANSACTIONS as u64,
        ..Recipe::default()
    };
    Generator::new(recipe)
        .unwrap()
        .next_block()
        .unwrap()
        .unwrap()
}

/// Beside copying the same bytes, which nothing that keeps them undercuts.
fn codec(criterion: &mut Criterion) {
    let block = block();
    let encoded = Bytes::from(block.encode());
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Bytes(encoded.len() as u64));
    group.bench_function("baseline: copy", |bencher| {
        bencher.iter(|| black_box(encoded.to_vec()));
    });
    group.bench_function("decode a block", |bencher| {
        bencher.iter(|| Block::decode(black_box(&encoded)).unwrap());
    });
    group.bench_function("encode a block", |bencher| {
        bencher.iter(|| black_box(&block).encode());
    });
    group.finish();
}

/// Beside SHA-256 of one message after the other.
fn hashing(criterion: &mut Criterion) {
    let block = block();
    let mut group = criterion.benchmark_group("hashing");
    group.throughput(Throughput::Elements(TRANSACTIONS as u64));
    group.bench_function("baseline: leaves one by one", |bencher| {
        let leaf = |transaction: &Transaction| {
            let witness = transaction.witness_bytes();
            sha256(&[&[0], &transaction.id().0, witness])
        };
        bencher.iter(|| block.transactions().iter().map(leaf).collect::<Vec<_>>());
    });
    group.bench_function("leaves of a block", |bencher| {
        bencher.iter(|| black_box(&block).leaf_hashes());
    });
    group.finish();
}

/// Beside the definition of RFC 9162, read as a recursive function; and beside a path from the leaves.
fn trees(criterion: &mut Criterion) {
    fn defined(leaves: &[Digest]) -> Digest {
        match leaves {
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(1 << (leaves.len() - 1).ilog2());
                merkle::node_hash(&defined(left), &defined(right))
            }
        }
    }
    let leaves = block().leaf_hashes();
    let mut group = criterion.benchmark_group("merkle root");
    group.throughput(Throughput::Elements(TRANSACTIONS as u64));
    group.bench_function("baseline: by definition", |bencher| {
        bencher.iter(|| defined(black_box(&leaves)));
    });
    group.bench_function("root", |bencher| {
        bencher.iter(|| merkle::root(black_box(&leaves)));
    });
    group.finish();
    let tree = Tree::new(leaves.clone());
    let mut group = criterion.benchmark_group("merkle path");
    group.bench_function("baseline: from the leaves", |bencher| {
        bencher.iter(|| merkle::inclusion_path(black_box(&leaves), 617));
    });
    group.bench_function("from a tree", |bencher| {
        bencher.iter(|| black_box(&tree).inclusion_path(617));
    });
    group.finish();
}

criterion_group!(benches, codec, hashing, trees);
criterion_main!(benches);
