//! Chains of MPREG: reading a block's JSON, and a whole chain to its verdict, each beside a baseline in its own group. A
//! figure compares with those of its group only.
#![allow(missing_docs, clippy::unwrap_used)]

use std::borrow::Cow;
use std::hint::black_box;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hubledger_mpreg::{Block, Source, verify_chain, verify_in_parallel};
use serde::Deserialize;

const NOW: Duration = Duration::from_secs(2_000_000_000);

fn source() -> Source {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mpreg/signed7.db");
    Source::open(&path).unwrap()
}

/// The text of the store's longest block, as MPREG wrote it.
fn text() -> Vec<u8> {
    let source = source();
    let mut longest = Vec::new();
    let keep = &mut |row: hubledger_mpreg::RawRow<'_>| {
        let text = row.json.unwrap();
        if text.len() > longest.len() {
            longest = text.to_vec();
        }
        ControlFlow::Continue(())
    };
    source.for_each_row(&source.chains()[0].id, keep).unwrap();
    longest
}

/// The fields that are read in any case, and nothing checked or hashed.
#[derive(Deserialize)]
struct Plain<'a> {
    #[serde(borrow)]
    transactions: Vec<PlainTransaction<'a>>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only read")]
struct PlainTransaction<'a> {
    #[serde(borrow)]
    transaction_id: Cow<'a, str>,
    #[serde(borrow)]
    sender: Cow<'a, str>,
    #[serde(borrow)]
    receiver: Cow<'a, str>,
    #[serde(borrow)]
    operation_type: Cow<'a, str>,
    #[serde(borrow)]
    payload: Cow<'a, str>,
    timestamp: serde_json::Number,
    fee: serde_json::Number,
    nonce: serde_json::Number,
    #[serde(borrow)]
    signature: Cow<'a, str>,
    #[serde(borrow)]
    public_key: Cow<'a, str>,
    #[serde(borrow)]
    hash: Cow<'a, str>,
}

/// Beside serde_json into structs that borrow, which leaves numbers, digits, signed bytes and Merkle root to be done.
fn reading(criterion: &mut Criterion) {
    let text = text();
    // One space more than MPREG writes: the block goes by the reader for any JSON.
    let other_spelling = [b" ", &text[..]].concat();
    let transactions = Block::from_json(&text, 0).unwrap().transactions().len();
    let mut group = criterion.benchmark_group("read a block of MPREG");
    group.throughput(Throughput::Elements(transactions as u64));
    group.bench_function("baseline: serde_json, nothing checked", |bencher| {
        bencher.iter(|| {
            let block: Plain<'_> = serde_json::from_slice(black_box(&text)).unwrap();
            block.transactions.len()
        });
    });
    group.bench_function("in any spelling", |bencher| {
        bencher.iter(|| Block::from_json(black_box(&other_spelling), 0).unwrap());
    });
    group.bench_function("in MPREG's spelling", |bencher| {
        bencher.iter(|| Block::from_json(black_box(&text), 0).unwrap());
    });
    group.finish();
}

/// Beside going block after block.
fn verifying(criterion: &mut Criterion) {
    let source = source();
    let chain = &source.chains()[0];
    let mut transactions = 0;
    let progress = &mut |_, so_far| {
        transactions = so_far;
        ControlFlow::Continue(())
    };
    let report = verify_chain(&source, &chain.id, NOW, progress, None).unwrap();
    report.verdict.unwrap();
    let mut group = criterion.benchmark_group("verify a chain of MPREG");
    group.throughput(Throughput::Elements(transactions));
    group.bench_function("baseline: block after block", |bencher| {
        bencher.iter(|| {
            verify_chain(
                &source,
                &chain.id,
                NOW,
                &mut |_, _| ControlFlow::Continue(()),
                None,
            )
            .unwrap()
        });
    });
    let cores = std::thread::available_parallelism().unwrap();
    for threads in [NonZero::<usize>::MIN, cores] {
        group.bench_function(format!("in chunks, {threads} threads"), |bencher| {
            bencher.iter(|| {
                let progress = &mut |_, _| ControlFlow::Continue(());
                verify_in_parallel(&source, &chain.id, NOW, threads, progress, None).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, reading, verifying);
criterion_main!(benches);
