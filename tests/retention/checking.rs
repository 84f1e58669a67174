//! Checking the chain in a pruned store: what is there, and no claim about the rest.

use std::ops::ControlFlow;
use std::sync::Arc;

use hubledger::engine::verify_store;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{LedgerError, Staging, StoreReport};
use hubledger::model::Block;
use hubledger::rejection::{Reason, Rejected};
use hubledger::rules::Depth;
use hubledger_storage::{self as storage, BlockReader, Durability, IndexEntry, Part};

use crate::common::{Chain, corrupt_signature, memory, rewritten};
use crate::places::{Place, chain};
use crate::pruning::prune;

fn verify(store: Arc<dyn BlockReader>, whole: &Chain) -> Result<StoreReport, LedgerError> {
    verify_store(store, whole.now(), &mut |_| ControlFlow::Continue(()))
}

#[test]
fn a_pruned_chain_is_valid_as_far_as_it_is_there() {
    let whole = chain(40);
    for place in Place::all() {
        let short = chain(30);
        let mut ledger = place.ledger(&short);
        prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(10)));
        let from = |report: &StoreReport| {
            assert_eq!(report.rejected, None);
            (report.headers_from, report.bodies_from, report.rules_from)
        };
        drop(ledger);
        let report = verify(place.open().reader, &whole).unwrap();
        // The snapshot was taken at the head.
        assert_eq!(from(&report), (0, 21, 31), "{place}");
        assert_eq!((report.blocks, report.head), (31, short.state().head()));
        assert_eq!(report.transactions, short.state().transaction_count());
        let mut ledger = place.again(&short);
        for block in &whole.blocks[31..] {
            assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
        }
        drop(ledger);
        let report = verify(place.open().reader, &whole).unwrap();
        assert_eq!(from(&report), (0, 21, 31), "{place}");
        assert_eq!((report.blocks, report.head), (41, whole.state().head()));
        let mut store = place.open();
        store.writer.prune(Part::Header, 7, u64::MAX).unwrap();
        store.writer.prune(Part::Index, 9, u64::MAX).unwrap();
        let report = verify(store.reader, &whole).unwrap();
        assert_eq!(from(&report), (7, 21, 31), "{place}");
        let kept = &whole.blocks[7..];
        let count: usize = kept.iter().map(|block| block.transactions().len()).sum();
        assert_eq!((report.blocks, report.transactions), (34, count as u64));
    }
}

/// A block as a ledger files it.
pub(crate) fn filed(block: &Block) -> storage::Block {
    let mut header = Vec::new();
    for part in [block.header().bytes(), block.seal_bytes()] {
        header.extend_from_slice(&(part.len() as u32).to_le_bytes());
        header.extend_from_slice(part);
    }
    let index = (0..)
        .zip(block.transactions())
        .map(|(position, transaction)| IndexEntry {
            key: transaction.id().0,
            position,
        });
    storage::Block {
        height: block.height(),
        id: block.hash().0,
        header: header.into(),
        body: block.body().clone(),
        index: index.collect(),
    }
}

/// The verdict on a store of these blocks, pruned below block 20.
fn verdict_on(
    chain: &Chain,
    blocks: &[Block],
    state: &[u8],
    change: impl Fn(&mut storage::Block),
) -> Result<Option<Rejected>, LedgerError> {
    let mut store = memory();
    let run: Vec<_> = blocks
        .iter()
        .map(filed)
        .map(|mut block| {
            change(&mut block);
            block
        })
        .collect();
    let writer = &mut store.writer;
    writer
        .put_named_value("spec", chain.spec().bytes(), Durability::Memory)
        .unwrap();
    writer.append(&run, Durability::Memory).unwrap();
    writer
        .put_named_value("state", state, Durability::Memory)
        .unwrap();
    writer.prune(Part::Body, 20, u64::MAX).unwrap();
    verify(store.reader, chain).map(|report| report.rejected)
}

#[test]
fn what_was_rewritten_in_a_pruned_store_is_found() {
    let whole = chain(30);
    let state = whole.state().encode();
    let sound = verdict_on(&whole, &whole.blocks, &state, |_| {});
    assert_eq!(sound.unwrap(), None);
    let found = |blocks: &[Block], change: &dyn Fn(&mut storage::Block)| {
        let rejected = verdict_on(&whole, blocks, &state, change).unwrap().unwrap();
        (rejected.height, rejected.reason)
    };
    // Another seal on a block whose body is gone, and on one whose body is there.
    for height in [5, 25] {
        let reseal = |block: &mut storage::Block| {
            if block.height == height {
                let mut header = block.header.to_vec();
                let last = header.len() - 1;
                header[last - 40] ^= 1;
                block.header = header.into();
            }
        };
        assert_eq!(found(&whole.blocks, &reseal), (height, Reason::Seal));
    }
    // Another header, with the hash that it has.
    for height in [5usize, 25] {
        let mut blocks = whole.blocks.clone();
        blocks[height] = rewritten(&blocks[height], |fields| fields.history_root.0[3] ^= 1);
        let place = (height as u64, Reason::HistoryRoot);
        assert_eq!(found(&blocks, &|_| {}), place);
        blocks[height] = rewritten(&whole.blocks[height], |fields| fields.timestamp -= 1);
        assert_eq!(found(&blocks, &|_| {}), (height as u64, Reason::Seal));
        blocks[height] = rewritten(&whole.blocks[height], |fields| fields.timestamp = 5);
        assert_eq!(found(&blocks, &|_| {}), (height as u64, Reason::Timestamp));
        blocks[height] = rewritten(&whole.blocks[height], |fields| {
            fields.previous_hash.0[3] ^= 1;
        });
        let place = (height as u64, Reason::PreviousHash);
        assert_eq!(found(&blocks, &|_| {}), place);
    }
    // Another witness in a body.
    let rewitness = |block: &mut storage::Block| {
        if block.height == 25 {
            let mut body = block.body.to_vec();
            let last = body.len() - 1;
            body[last - 40] ^= 1;
            block.body = body.into();
        }
    };
    assert_eq!(found(&whole.blocks, &rewitness), (25, Reason::MerkleRoot));
    // An index that doesn't find a transaction.
    let forget = |block: &mut storage::Block| block.index.truncate(usize::from(block.height != 24));
    let error = verdict_on(&whole, &whole.blocks, &state, forget).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
}

#[test]
fn a_signature_that_an_authority_let_pass_is_found_before_the_snapshot_too() {
    let mut whole = chain(24);
    let message = corrupt_signature(&whole.message("bob", 1));
    let block = whole.block(&[message]);
    let valid = whole.validator.check(&block, Depth::Replay).unwrap();
    whole.validator.apply(&valid);
    whole.blocks.push(block);
    let state = whole.state().encode();
    let rejected = verdict_on(&whole, &whole.blocks, &state, |_| {})
        .unwrap()
        .unwrap();
    let place = (rejected.height, rejected.transaction, rejected.reason);
    assert_eq!(place, (25, Some(0), Reason::Signature));
}

#[test]
fn a_snapshot_that_the_headers_contradict_is_damage() {
    let whole = chain(30);
    let mut other = Chain::of(whole.spec().clone());
    for nonce in 1..=30 {
        let message = other.message("bob", nonce);
        other.extend(&[message]);
    }
    let early = chain(15);
    let missing = b"";
    for state in [
        &other.state().encode()[..],
        &early.state().encode(),
        missing,
    ] {
        let error = verdict_on(&whole, &whole.blocks, state, |_| {}).unwrap_err();
        assert!(error.is_corrupt(), "{error}");
    }
}

#[test]
fn a_verification_tells_of_every_block_and_can_be_stopped() {
    let whole = chain(40);
    for place in Place::all() {
        drop(place.ledger(&whole));
        for keep in [41, 10] {
            let mut ledger = place.again(&whole);
            prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(keep)));
            drop(ledger);
            let store = || place.open().reader;
            let mut steps = Vec::new();
            verify_store(store(), whole.now(), &mut |step| {
                steps.push((step.height, step.transactions));
                ControlFlow::Continue(())
            })
            .unwrap();
            let expected: Vec<(u64, u64)> = whole
                .blocks
                .iter()
                .map(|block| (block.height(), block.transactions().len() as u64))
                .collect();
            assert_eq!(steps, expected, "{place}");
            let mut seen = 0;
            let stopped = verify_store(store(), whole.now(), &mut |_| {
                seen += 1;
                match seen < 7 {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            });
            assert!(matches!(stopped, Err(LedgerError::Stopped)), "{place}");
            assert_eq!(seen, 7, "{place}");
        }
    }
}
