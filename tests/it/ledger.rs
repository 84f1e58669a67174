//! The ledger: what it commits, and that opening it again gives exactly the state it had.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::common::{Chain, clock, memory, reopenable};
use bytes::Bytes;
use hubledger::engine::verify_store;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{ChainReader, Ledger, LedgerError, Lookup, Staging};
use hubledger::rejection::Reason;
use hubledger::state::State;
use hubledger_storage::{
    BlockReader, Durability, Extent, Held, Id, IndexEntry, Location, MemoryStore, Result,
    StoredBlock, StoredHeader, TableReader, Usage,
};

fn chain(blocks: u64) -> Chain {
    let mut chain = Chain::new(2, |_| {});
    for nonce in 1..=blocks {
        let producer = crate::common::hub((nonce % 2) as usize);
        let transactions = [chain.message("alice", nonce), chain.message("bob", nonce)];
        chain.push(chain.block_by(&producer, &transactions));
    }
    chain
}

fn open(store: &MemoryStore, chain: &Chain) -> Ledger {
    Ledger::open(store.open().unwrap(), clock(chain.now())).unwrap()
}

#[test]
fn a_ledger_opened_again_has_exactly_the_state_it_had_at_every_height() {
    let whole = chain(12);
    let mut fresh = Chain::of(whole.spec().clone());
    for cut in 0..whole.blocks.len() {
        if cut > 0 {
            fresh.push(whole.blocks[cut].clone());
        }
        for with_snapshot in [false, true] {
            let store = reopenable();
            let now = clock(whole.now());
            let mut ledger = Ledger::create(store.open().unwrap(), whole.spec(), now).unwrap();
            for block in &whole.blocks[1..=cut] {
                assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
            }
            if with_snapshot {
                ledger.close().unwrap();
            } else {
                drop(ledger);
            }
            let mut again = open(&store, &whole);
            assert_eq!(again.state(), fresh.state(), "at height {cut}");
            for block in &whole.blocks[cut + 1..] {
                assert_eq!(again.submit(block).unwrap(), Staging::Staged);
            }
            assert_eq!(again.state(), whole.state());
        }
    }
}

#[test]
fn a_reader_tells_the_state_of_the_committed_chain() {
    let whole = chain(6);
    let store = reopenable();
    let now = clock(whole.now());
    let mut ledger = Ledger::create(store.open().unwrap(), whole.spec(), now).unwrap();
    let reader = ledger.reader();
    assert_eq!(reader.state().unwrap(), State::genesis(whole.spec()));
    for block in &whole.blocks[1..] {
        ledger.stage(block).unwrap();
    }
    assert_eq!(
        reader.state().unwrap(),
        State::genesis(whole.spec()),
        "what is staged isn't committed"
    );
    ledger.commit().unwrap();
    assert_eq!(reader.state().unwrap(), *whole.state());
    let prune = PrunePolicy::of_bodies(Keep::Last(1));
    ledger
        .prune(&prune, None, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(reader.state().unwrap(), *whole.state(), "from the snapshot");
}

#[test]
fn a_snapshot_that_is_damaged_or_of_another_block_is_ignored() {
    let whole = chain(6);
    let store = reopenable();
    let mut ledger =
        Ledger::create(store.open().unwrap(), whole.spec(), clock(whole.now())).unwrap();
    for block in &whole.blocks[1..] {
        ledger.submit(block).unwrap();
    }
    ledger.close().unwrap();
    let mut damaged = whole.state().encode();
    damaged[60] ^= 1;
    let other = chain(9).state().encode();
    let stranger = Chain::new(1, |_| {}).state().encode();
    for snapshot in [damaged, other, stranger, Vec::new()] {
        let mut opened = store.open().unwrap();
        opened
            .writer
            .put_named_value("state", &snapshot, Durability::Memory)
            .unwrap();
        drop(opened);
        assert_eq!(open(&store, &whole).state(), whole.state());
    }
}

#[test]
fn a_state_survives_its_encoding() {
    let state = chain(5).state().clone();
    let bytes = state.encode();
    assert_eq!(State::decode(&bytes).unwrap(), state);
    for length in 0..bytes.len() {
        assert!(State::decode(&bytes[..length]).is_err());
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(State::decode(&flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn staged_blocks_are_invisible_until_they_are_committed() {
    let whole = chain(3);
    let mut ledger = Ledger::create(memory(), whole.spec(), clock(whole.now())).unwrap();
    let reader = ledger.reader();
    assert_eq!(ledger.stage(&whole.blocks[1]).unwrap(), Staging::Staged);
    assert_eq!(ledger.stage(&whole.blocks[1]).unwrap(), Staging::Held);
    assert_eq!(reader.extent().unwrap().end, 1);
    ledger.commit().unwrap();
    assert_eq!(reader.extent().unwrap().end, 2);
    assert_eq!(ledger.stage(&whole.blocks[1]).unwrap(), Staging::Held);
    let id = whole.blocks[1].transactions()[1].id();
    let Lookup::Found(placed) = reader.transaction(&id).unwrap() else {
        panic!("not found")
    };
    assert_eq!(
        (placed.height, placed.index, placed.transaction().id()),
        (1, 1, id)
    );
    assert!(matches!(
        reader.transaction(&Default::default()).unwrap(),
        Lookup::Absent
    ));
}

#[test]
fn a_store_of_another_chain_is_refused() {
    let store = reopenable();
    let one = chain(2);
    Ledger::create(store.open().unwrap(), one.spec(), clock(one.now())).unwrap();
    let other = Chain::new(1, |_| {});
    let refused = Ledger::create(store.open().unwrap(), other.spec(), clock(other.now()));
    assert!(matches!(
        refused.err(),
        Some(LedgerError::OtherChain { .. })
    ));
    let empty = Ledger::open(memory(), clock(0));
    assert!(matches!(empty.err(), Some(LedgerError::Uninitialised)));
}

/// A store in which one record is not what was committed.
struct Tampered {
    store: Arc<dyn BlockReader>,
    height: u64,
    body: Option<Bytes>,
    answer: Option<(Id, Location)>,
}

impl BlockReader for Tampered {
    fn extent(&self) -> Result<Extent> {
        self.store.extent()
    }
    fn header(&self, height: u64) -> Result<Option<StoredHeader>> {
        self.store.header(height)
    }
    fn block(&self, height: u64) -> Result<Option<StoredBlock>> {
        let mut block = self.store.block(height)?;
        if let (true, Some(body), Some(block)) = (height == self.height, &self.body, &mut block) {
            block.body = Held::Present(body.clone());
        }
        Ok(block)
    }
    fn index(&self, height: u64) -> Result<Option<Held<Vec<IndexEntry>>>> {
        self.store.index(height)
    }

    fn height_of(&self, id: &Id) -> Result<Option<u64>> {
        self.store.height_of(id)
    }
    fn locate(&self, key: &Id) -> Result<Location> {
        match self.answer {
            Some((asked, answer)) if asked == *key => Ok(answer),
            _ => self.store.locate(key),
        }
    }
    fn named_value(&self, key: &str) -> Result<Option<Bytes>> {
        self.store.named_value(key)
    }
    fn usage(&self) -> Result<Usage> {
        self.store.usage()
    }

    fn tables(&self) -> Arc<dyn TableReader> {
        self.store.tables()
    }
}

#[test]
fn checking_a_store_finds_what_was_tampered_with() {
    let whole = chain(5);
    let store = reopenable();
    let mut ledger =
        Ledger::create(store.open().unwrap(), whole.spec(), clock(whole.now())).unwrap();
    for block in &whole.blocks[1..] {
        ledger.submit(block).unwrap();
    }
    ledger.close().unwrap();
    let reader = store.open().unwrap().reader;
    let check = |height, body, answer| {
        let tampered = Tampered {
            store: Arc::clone(&reader),
            height,
            body,
            answer,
        };
        verify_store(Arc::new(tampered), whole.now(), &mut |_| {
            ControlFlow::Continue(())
        })
    };
    let sound = check(0, None, None).unwrap();
    assert_eq!(
        (sound.blocks, sound.transactions, sound.rejected),
        (6, 10, None)
    );
    // A witness replaced in place: everything decodes, the Merkle root tells.
    let mut body = whole.blocks[3].body().to_vec();
    let last = body.len() - 1;
    body[last] ^= 1;
    let report = check(3, Some(body.clone().into()), None).unwrap();
    let rejected = report.rejected.unwrap();
    assert_eq!(
        (rejected.height, rejected.reason.word()),
        (3, "merkle_root")
    );
    // A body that doesn't decode is damage, not a verdict.
    body.truncate(last);
    assert!(check(3, Some(body.into()), None).unwrap_err().is_corrupt());
    let id = whole.blocks[4].transactions()[0].id().0;
    for (height, position) in [(1, 0), (3, 1), (4, 1), (5, 0), (9, 0)] {
        let answer = Location::Found { height, position };
        let error = check(0, None, Some((id, answer))).unwrap_err();
        assert!(error.is_corrupt(), "found at {height}, {position}");
    }
    let absent = Some((id, Location::Absent));
    assert!(check(0, None, absent).unwrap_err().is_corrupt());
}

#[test]
fn readers_see_whole_blocks_while_the_ledger_commits() {
    let whole = chain(40);
    let mut ledger = Ledger::create(memory(), whole.spec(), clock(whole.now())).unwrap();
    let reader = ledger.reader();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (reader, whole) = (reader.clone(), &whole);
                scope.spawn(move || {
                    loop {
                        let head = reader.head().unwrap();
                        assert_eq!(head.hash(), whole.blocks[head.height as usize].hash());
                        let block = reader.block(head.height).unwrap().unwrap();
                        for transaction in block.transactions() {
                            let found = reader.transaction(&transaction.id()).unwrap();
                            assert!(matches!(found, Lookup::Found(placed) if placed.height == head.height));
                        }
                        if head.height == 40 {
                            break;
                        }
                    }
                })
            })
            .collect();
        for block in &whole.blocks[1..] {
            assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn what_threads_share_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<ChainReader>();
    shared::<hubledger::model::Block>();
    shared::<hubledger::model::Transaction>();
    shared::<hubledger::spec::ChainSpec>();
    shared::<State>();
    fn sent<T: Send>() {}
    sent::<Ledger>();
}

#[test]
fn a_held_block_that_comes_again_with_another_body_is_refused() {
    let whole = chain(3);
    let mut ledger = whole.ledger();
    let held = whole.blocks[2].encode();
    assert_eq!(
        ledger.stage_bytes(&Bytes::from(held.clone())).unwrap(),
        Staging::Held
    );
    let mut tampered = held;
    *tampered.last_mut().unwrap() ^= 1;
    let outcome = ledger.stage_bytes(&Bytes::from(tampered)).unwrap();
    let Staging::Rejected(rejected) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!((rejected.height, rejected.reason), (2, Reason::MerkleRoot));
    assert_eq!(ledger.state(), whole.state());
}
