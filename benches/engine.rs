//! Signatures, the stages of the pipeline and the whole of it, each beside a baseline in its own group.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hubledger::clock::SystemClock;
use hubledger::engine::{Engine, Outcome};
use hubledger::generate::{Generator, Recipe};
use hubledger::ledger::Ledger;
use hubledger::model::Block;
use hubledger::rules::{Claims, Depth, Prepared, Validator};
use hubledger::signature::{self, Settings, Verifier};
use hubledger::spec::ChainSpec;
use hubledger_storage::StoreUrl;

const PER_BLOCK: u32 = 1_000;
const DEPTH: Depth = Depth::Full { now_us: u64::MAX };

fn chain(blocks: u64) -> (ChainSpec, Vec<Bytes>) {
    let recipe = Recipe {
        transactions: blocks * u64::from(PER_BLOCK),
        per_block: PER_BLOCK,
        ..Recipe::default()
    };
    let mut generator = Generator::new(recipe).unwrap();
    let spec = generator.spec().clone();
    let blocks = std::iter::from_fn(|| generator.next_block().unwrap());
    (spec, blocks.map(|block| block.encode().into()).collect())
}

/// Beside the rule for one signature after the other.
fn signatures(criterion: &mut Criterion) {
    let (spec, blocks) = chain(1);
    let prepared = Prepared::new(&spec, Block::decode(&blocks[0]).unwrap());
    let mut claims = Claims::default();
    claims.add_block(0, &spec, &prepared, |_, _| false);
    let verifier = Verifier::new(&Settings::default()).unwrap();
    let mut group = criterion.benchmark_group("signatures");
    group.sample_size(20);
    group.throughput(Throughput::Elements(claims.len() as u64));
    group.bench_function("baseline: one by one", |bencher| {
        bencher.iter(|| {
            for transaction in prepared.block().transactions() {
                let message = transaction.signed_message();
                for witness in transaction.witnesses() {
                    signature::verify(&witness.key, &message, &witness.signature).unwrap();
                }
            }
        });
    });
    group.bench_function("a block's claims", |bencher| {
        bencher.iter(|| {
            let found = claims.verify(0..claims.len(), &verifier);
            assert!(found.is_empty());
        });
    });
    group.finish();
}

/// What a block takes in each stage, beside all of them in the sequential validator.
fn stages(criterion: &mut Criterion) {
    let (spec, blocks) = chain(1);
    let block = Block::decode(&blocks[0]).unwrap();
    let prepared = Prepared::new(&spec, block.clone());
    let validator = Validator::new(spec.clone());
    let mut group = criterion.benchmark_group("stages");
    group.throughput(Throughput::Elements(PER_BLOCK.into()));
    group.bench_function("baseline: sequential check", |bencher| {
        bencher.iter(|| {
            validator
                .check(&Block::decode(&blocks[0]).unwrap(), DEPTH)
                .unwrap()
        });
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| Block::decode(black_box(&blocks[0])).unwrap());
    });
    group.bench_function("hash", |bencher| {
        bencher.iter(|| Prepared::new(&spec, black_box(&block).clone()));
    });
    group.bench_function("gather claims", |bencher| {
        bencher.iter(|| {
            let mut claims = Claims::default();
            claims.add_block(0, &spec, black_box(&prepared), |_, _| false);
            claims
        });
    });
    group.bench_function("validate", |bencher| {
        bencher.iter(|| validator.rule(black_box(&prepared), DEPTH));
    });
    group.finish();
}

/// A chain into a store in memory, beside the sequential ledger.
fn pipeline(criterion: &mut Criterion) {
    let (spec, blocks) = chain(50);
    let store = || "memory:".parse::<StoreUrl>().unwrap().create().unwrap();
    let mut group = criterion.benchmark_group("pipeline");
    group.sample_size(10);
    group.throughput(Throughput::Elements(50 * u64::from(PER_BLOCK)));
    group.bench_function("baseline: sequential ledger", |bencher| {
        let open = || Ledger::create(store(), &spec, Arc::new(SystemClock)).unwrap();
        let import = |mut ledger: Ledger| {
            for block in &blocks {
                ledger.stage_bytes(block).unwrap();
            }
            ledger.close().unwrap()
        };
        bencher.iter_batched(open, import, BatchSize::PerIteration);
    });
    for threads in [1, 2] {
        let id = BenchmarkId::new("engine, threads", threads);
        group.bench_function(id, |bencher| {
            let open = || {
                let builder = Engine::builder().threads(threads);
                builder.create(store(), &spec).unwrap()
            };
            let import = |engine: Engine| {
                for outcome in engine.import(blocks.iter().cloned()) {
                    assert!(matches!(outcome.unwrap(), Outcome::Committed(_)));
                }
                engine
            };
            bencher.iter_batched(open, import, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, signatures, stages, pipeline);
criterion_main!(benches);
