//! What the engine measures reaches whatever recorder the hub has installed. By itself in its process, because a recorder is
//! installed once.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hubledger::engine::{Engine, Outcome};
use hubledger::generate::{Generator, Recipe};
use hubledger_storage::StoreUrl;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// Sums by name and label.
#[derive(Clone, Default)]
struct Sums(Arc<Mutex<BTreeMap<String, f64>>>);

struct Sum(Sums, String);

impl Sum {
    fn add(&self, value: f64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
    }
}

impl CounterFn for Sum {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }

    fn absolute(&self, _value: u64) {}
}

impl GaugeFn for Sum {
    fn increment(&self, _value: f64) {}

    fn decrement(&self, _value: f64) {}

    fn set(&self, value: f64) {
        self.add(value);
    }
}

impl HistogramFn for Sum {
    fn record(&self, value: f64) {
        self.add(value);
    }
}

impl Sums {
    fn sum(&self, key: &Key) -> Arc<Sum> {
        let labels = key.labels().map(|label| format!("/{}", label.value()));
        let name = format!("{}{}", key.name(), labels.collect::<String>());
        Arc::new(Sum(self.clone(), name))
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.0.lock().unwrap().get(name).copied()
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.sum(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.sum(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.sum(key))
    }
}

#[test]
fn an_installed_recorder_gets_what_the_snapshot_says() {
    let sums = Sums::default();
    metrics::set_global_recorder(sums.clone()).unwrap();
    let recipe = Recipe {
        transactions: 60,
        per_block: 20,
        ..Recipe::default()
    };
    let mut generator = Generator::new(recipe).unwrap();
    let spec = generator.spec().clone();
    let store = "memory:".parse::<StoreUrl>().unwrap().create().unwrap();
    let engine = Engine::builder().threads(2).create(store, &spec).unwrap();
    let blocks = std::iter::from_fn(|| generator.next_block().unwrap());
    for outcome in engine.import(blocks.map(|block| block.encode().into())) {
        assert!(matches!(outcome.unwrap(), Outcome::Committed(_)));
    }
    engine.shutdown().unwrap();
    let snapshot = engine.metrics();
    for stage in &snapshot.stages {
        let get = |what: &str| sums.get(&format!("hubledger_stage_{what}_total/{}", stage.stage));
        assert_eq!(
            get("items"),
            Some(stage.transactions as f64),
            "{}",
            stage.stage
        );
        assert_eq!(get("blocks"), Some(stage.blocks as f64), "{}", stage.stage);
        assert_eq!(
            get("busy_nanoseconds"),
            Some(stage.busy.as_nanos() as f64),
            "{}",
            stage.stage
        );
    }
    let signatures = sums.get("hubledger_signature_batch_size");
    assert_eq!(signatures, Some(63.0), "each transaction and each seal");
    assert_eq!(snapshot.signatures, 63);
    assert_eq!(sums.get("hubledger_verified_misses_total"), Some(60.0));
    assert!(sums.get("hubledger_commit_seconds").is_some());
    assert!(sums.get("hubledger_sync_seconds").is_some());
    assert!(sums.get("hubledger_stage_queue_depth/commit").is_some());
    assert_eq!(snapshot.commits, snapshot.commit_latency.count());
    assert_eq!(snapshot.memory_used, 0, "nothing is in flight any more");
}
