//! Payloads of the cache, of state updates and of performance records, from which their targets start.

use hubledger::digest::Digest;
use hubledger::model::VectorClock;
use hubledger_services::cache::{CacheCheckpoint, CacheInvalidate, CachePayload, CachePut};
use hubledger_services::records::{PerformanceRecord, RecordPayload};
use hubledger_services::updates::{StateUpdate, UpdatePayload};

/// Both forms of a payload, with names.
fn both(word: &str, encoded: Vec<u8>, json: String) -> [(String, Vec<u8>); 2] {
    [
        (word.to_owned(), encoded),
        (format!("{word}-json"), json.into_bytes()),
    ]
}

/// What can be said to the cache, each in both forms, with names.
///
/// # Panics
/// Never: the clock in it is one.
#[must_use]
pub fn cache_payloads() -> Vec<(String, Vec<u8>)> {
    let clock = [("hub-a".to_owned(), 3), ("hub-b".to_owned(), 1)];
    let clock = VectorClock::new(clock).expect("a clock");
    let payloads = [
        CachePayload::CachePut(CachePut {
            namespace: "users".to_owned(),
            key: "alice".to_owned(),
            value: b"hello".to_vec(),
            clock: clock.clone(),
        }),
        CachePayload::CacheInvalidate(CacheInvalidate {
            namespace: "users".to_owned(),
            key: "alice".to_owned(),
            clock,
        }),
        CachePayload::CacheCheckpoint(CacheCheckpoint {
            height: 7,
            root: Digest([7; 32]),
        }),
    ];
    let both = payloads
        .iter()
        .flat_map(|one| both(one.word(), one.encode(), one.to_json()));
    both.collect()
}

/// What nodes can say of their state, in both forms, with names.
#[must_use]
pub fn update_payloads() -> Vec<(String, Vec<u8>)> {
    let said = UpdatePayload::StateUpdate(StateUpdate {
        update_type: "load".to_owned(),
        version: 3,
        state: b"low".to_vec(),
    });
    both(said.word(), said.encode(), said.to_json()).to_vec()
}

/// What hubs can say of their performance, in both forms, with names.
#[must_use]
pub fn record_payloads() -> Vec<(String, Vec<u8>)> {
    let figures = [("blocks".to_owned(), 4), ("latency_us".to_owned(), 250)];
    let said = RecordPayload::PerformanceRecord(PerformanceRecord {
        start: 1,
        end: 9,
        figures: figures.into(),
    });
    both(said.word(), said.encode(), said.to_json()).to_vec()
}
