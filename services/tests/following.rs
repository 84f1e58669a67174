//! Views that follow an engine.
#![allow(missing_docs, clippy::unwrap_used)]

use hubledger::engine::{Engine, EngineBuilder};
use hubledger::format::FormatVersion;
use hubledger::model::Block;
use hubledger::spec::Finality;
use hubledger::testing::{Chain, Numbers, clock, reopenable};
use hubledger::tree::Source;
use hubledger_services::queue::{Enqueue, Queue, QueuePayload, QueueView};
use hubledger_services::testing::{made_anew, memory, rows_of};
use hubledger_services::view::{Settings, ViewError, ViewReader, Views};
use hubledger_storage::{RangeLimit, Store};

const FOLLOWER: &str = "views";

fn builder() -> EngineBuilder {
    Engine::builder().threads(2).clock(clock(u64::MAX >> 1))
}

fn chain(finality: Finality) -> Chain {
    Chain::in_version(FormatVersion::V2, 1, |fields| {
        fields.terms.finality = finality
    })
}

/// The chain with one more block, of messages to a topic.
fn longer(chain: &Chain, nonce: u64, messages: u64) -> Chain {
    let mut chain = chain.clone();
    let transactions: Vec<_> = (0..messages)
        .map(|number| {
            let body = format!("{nonce} {number}");
            let said = QueuePayload::Enqueue(Enqueue::new("news", body));
            chain.signed("somebody", nonce + number, |draft| {
                draft.payload = said.encode()
            })
        })
        .collect();
    chain.extend(&transactions);
    chain
}

fn views(store: Store, engine: &Engine) -> Views {
    let views: Vec<Box<dyn hubledger_services::view::View>> = vec![Box::new(QueueView)];
    Views::open(store, engine.reader(), views, Settings::default()).unwrap()
}

fn offer(engine: &Engine, block: &Block) {
    engine.offer_branch(block, Source::of("test")).unwrap();
}

fn assert_same(reader: &ViewReader, chain: &Chain) {
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(snapshot.as_of().unwrap().hash, chain.last().hash());
    let anew = made_anew(chain, Box::new(QueueView), 0);
    assert_eq!(rows_of(&snapshot), rows_of(&anew));
}

#[test]
fn views_follow_an_engine_and_go_on_where_they_were() {
    let (store, rows) = (reopenable(), memory());
    let mut chain = chain(Finality::Immediate);
    let engine = builder()
        .create(store.open().unwrap(), chain.spec())
        .unwrap();
    let following = views(rows(), &engine).follow(&engine, FOLLOWER).unwrap();
    for number in 0..20 {
        chain = longer(&chain, 1 + number * 10, number % 4);
        offer(&engine, chain.last());
    }
    following.wait_for(20).unwrap();
    let views_again = following.stop().unwrap();
    assert_same(&views_again.reader(QueueView::NAME).unwrap(), &chain);
    let finished = engine.followers().get(FOLLOWER).unwrap().unwrap();
    assert_eq!(finished.height, 20);
    drop(views_again);

    chain = longer(&chain, 1_000, 3);
    offer(&engine, chain.last());
    let following = views(rows(), &engine).follow(&engine, FOLLOWER).unwrap();
    engine.shutdown().unwrap();
    following.wait_for(21).unwrap();
    assert_eq!(
        following.wait_for(22).unwrap_err().to_string(),
        ViewError::Stopped.to_string()
    );
    let stopped = following.stop().unwrap();
    let reader = stopped.reader(QueueView::NAME).unwrap();
    assert_same(&reader, &chain);
    let queue = Queue::new(reader.snapshot().unwrap());
    let topic = queue.topic("news").unwrap().unwrap();
    let limit = RangeLimit {
        rows: 2,
        bytes: 1 << 20,
    };
    let messages = queue.messages(&topic, 30, limit).unwrap();
    assert_eq!(messages[1].offset, 31);
    assert_eq!(&messages[1].body[..], b"1000 1");
}

#[test]
fn views_go_with_the_engine_to_another_branch() {
    for seed in 0..12 {
        let (store, rows) = (reopenable(), memory());
        let mut numbers = Numbers(seed);
        let mut after = vec![chain(Finality::Depth(8))];
        let engine = builder()
            .create(store.open().unwrap(), after[0].spec())
            .unwrap();
        let mut following = Some(views(rows(), &engine).follow(&engine, FOLLOWER).unwrap());
        for round in 0..12 {
            let back = numbers.below((after.len() as u64).min(8)) as usize;
            let mut branch = after[..after.len() - back].to_vec();
            for number in 0..back as u64 + 1 + numbers.below(4) {
                let nonce = 1 + (round * 20 + number) * 10;
                let next = longer(branch.last().unwrap(), nonce, 1 + numbers.below(3));
                offer(&engine, next.last());
                branch.push(next);
            }
            after = branch;
            let chain = after.last().unwrap();
            if numbers.below(2) == 0 {
                let running = following.take().unwrap();
                running.wait_for(0).unwrap();
                // What it hadn't come to, it comes to now.
                let mut stopped = running.stop().unwrap();
                stopped.catch_up().unwrap();
                assert_same(&stopped.reader(QueueView::NAME).unwrap(), chain);
                drop(stopped);
                following = Some(views(rows(), &engine).follow(&engine, FOLLOWER).unwrap());
            }
        }
        engine.shutdown().unwrap();
        let chain = after.last().unwrap();
        let running = following.unwrap();
        running.wait_for(chain.last().height()).unwrap();
        let stopped = running.stop().unwrap();
        assert_same(&stopped.reader(QueueView::NAME).unwrap(), chain);
    }
}
