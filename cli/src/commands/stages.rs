//! The stage table: where the time of an import went, and who waited for whom.

use std::time::Duration;

use hubledger::engine::{EngineMetrics, Stage, StageMetrics};
use serde_json::{Map, Value, json};

/// What the reading of the source took, in the caller's thread.
pub(crate) struct Reading {
    pub(crate) busy: Duration,
    pub(crate) blocks: u64,
    pub(crate) transactions: u64,
}

/// A stage's line: `share` is that of its threads' time, `per_second` of the whole import.
fn line(busy: Duration, threads: usize, items: u64, whole: Duration) -> Map<String, Value> {
    let whole = whole.as_secs_f64().max(1e-9);
    let mut line = Map::new();
    line.insert("seconds".to_owned(), json!(busy.as_secs_f64()));
    let share = busy.as_secs_f64() / (whole * threads as f64);
    line.insert("share".to_owned(), json!(share));
    line.insert("items".to_owned(), json!(items));
    line.insert("per_second".to_owned(), json!(items as f64 / whole));
    line
}

/// `stages`: reading, the stages of the pool, committing; `waits`: the share of its time that each kind of thread waited,
/// and for whom; `wall`: the stage that had the least to wait for.
pub(crate) fn stage_table(
    metrics: &EngineMetrics,
    reading: &Reading,
    whole: Duration,
) -> Map<String, Value> {
    let mut stages = Map::new();
    let read = line(reading.busy, 1, reading.transactions, whole);
    stages.insert("read".to_owned(), Value::Object(read));
    for stage in &metrics.stages {
        let threads = match stage.stage {
            Stage::Commit => 1,
            _ => metrics.threads,
        };
        let line = line(stage.busy, threads, stage.transactions, whole);
        stages.insert(stage.stage.name().to_owned(), Value::Object(line));
    }
    let share = |waited: Duration, threads: usize| {
        waited.as_secs_f64() / (whole.as_secs_f64().max(1e-9) * threads as f64)
    };
    let waits = json!({
        "read for pool": share(metrics.feed_waiting, 1),
        "pool for read": share(metrics.workers_idle, metrics.threads),
        "commit for pool": share(metrics.commit_idle, 1),
        "commit for disk": share(metrics.sync_waited, 1),
    });
    let pool: Duration = pool_stages(metrics).map(|stage| stage.busy).sum();
    let busiest = pool_stages(metrics).max_by_key(|stage| stage.busy);
    let commit = metrics
        .stages
        .iter()
        .find(|stage| stage.stage == Stage::Commit);
    let commit = commit.map_or(0.0, |commit| share(commit.busy, 1));
    let candidates = [
        ("read", share(reading.busy, 1)),
        (
            busiest.map_or("pool", |stage| stage.stage.name()),
            share(pool, metrics.threads),
        ),
        ("commit", commit),
    ];
    let wall = candidates.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let mut table = Map::new();
    table.insert("stages".to_owned(), Value::Object(stages));
    table.insert("waits".to_owned(), waits);
    table.insert("wall".to_owned(), json!(wall.map(|(stage, _)| stage)));
    table.insert("blocks_read".to_owned(), json!(reading.blocks));
    table
}

fn pool_stages(metrics: &EngineMetrics) -> impl Iterator<Item = &StageMetrics> {
    let stages = metrics.stages.iter();
    stages.filter(|stage| stage.stage != Stage::Commit)
}
