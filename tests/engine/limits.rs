//! Backpressure: whoever is faster than the disk waits or is told so, and memory stays within its limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hubledger::engine::{Engine, EngineError, Outcome, Stage, WhenFull};

use crate::common::reopenable;
use crate::support::{encoded, engine, messages};

#[test]
fn a_caller_that_is_faster_than_the_disk_is_told_so_or_waits() {
    let (chain, blocks) = messages(40, 2);
    let blocks = encoded(&blocks);
    let is_open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&is_open);
    let probe = Arc::new(move |stage| {
        while stage == Stage::Commit && !gate.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
    });
    let builder = Engine::builder()
        .threads(2)
        .memory_bytes(64 * 1024)
        .probe(probe);
    let engine = engine(&chain, &reopenable(), builder);
    let mut tickets = Vec::new();
    let mut refused = None;
    for block in &blocks {
        match engine.offer(vec![block.clone()], WhenFull::Refuse) {
            Ok(ticket) => tickets.push(ticket),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    assert!(matches!(refused, Some(EngineError::Busy)));
    assert!(engine.metrics().memory_used <= 64 * 1024);
    let taken = tickets.len();
    assert!(taken < blocks.len());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| engine.offer(vec![blocks[taken].clone()], WhenFull::Wait));
        is_open.store(true, Ordering::Release);
        let outcome = waiting.join().unwrap().unwrap().wait().unwrap();
        assert!(matches!(outcome[..], [Outcome::Committed(_)]));
    });
    engine.shutdown().unwrap();
}

#[test]
fn transactions_beyond_the_room_for_admission_are_refused() {
    let (chain, _) = messages(1, 1);
    let is_open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&is_open);
    let probe = Arc::new(move |_| {
        while !gate.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
    });
    let builder = Engine::builder().threads(1).probe(probe);
    let builder = builder.settings(|settings| settings.admission_bytes = 8 * 1024);
    let engine = engine(&chain, &reopenable(), builder);
    let submit = |nonce| engine.submit(chain.message("zoe", nonce), WhenFull::Refuse);
    let tickets: Vec<_> = (1..100).map(submit).take_while(Result::is_ok).collect();
    assert!((1..20).contains(&tickets.len()), "{}", tickets.len());
    assert!(matches!(submit(100), Err(EngineError::Busy)));
    is_open.store(true, Ordering::Release);
    for ticket in tickets {
        assert!(ticket.unwrap().wait().unwrap().is_ok());
    }
    engine.shutdown().unwrap();
}
