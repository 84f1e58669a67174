//! Proofs of what was pruned: carried from before, and made anew from leaf hashes.

use std::sync::Arc;

use hubledger::digest::BlockHash;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{ChainReader, LedgerError, Staging};
use hubledger::proof::{Proof, TransactionProof};
use hubledger_storage::{Durability, Part};
use sha2::{Digest as _, Sha256};

use crate::common::Chain;
use crate::places::{Place, chain};
use crate::pruning::prune;

fn with_leaves(blocks: u64) -> PrunePolicy {
    PrunePolicy {
        leaves: true,
        ..PrunePolicy::of_bodies(Keep::Last(blocks))
    }
}

/// Every transaction's proof for the head of `reader`.
fn proofs(reader: &ChainReader, whole: &Chain) -> Vec<TransactionProof> {
    let places = whole.blocks.iter().flat_map(|block| {
        (0..block.header().transaction_count).map(|index| (block.height(), index))
    });
    places
        .filter(|(height, _)| *height < reader.extent().unwrap().end)
        .map(|(height, index)| reader.prove(height, index, None).unwrap())
        .collect()
}

fn again(proof: &TransactionProof) -> Proof {
    Proof::decode(&proof.encode().into()).unwrap()
}

#[test]
fn a_proof_from_before_is_carried_to_every_later_head() {
    let whole = chain(25);
    for place in Place::all() {
        let short = chain(15);
        let mut ledger = place.ledger(&short);
        let before = proofs(&ledger.reader(), &short);
        prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(1)));
        for block in &whole.blocks[16..] {
            assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
        }
        prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(1)));
        let reader = ledger.reader();
        let fresh = whole.ledger().reader();
        for proof in &before {
            let place = proof.verify(&short.state().head()).unwrap();
            for head in whole.blocks[place.height as usize..].iter() {
                let carried = reader.carry(proof, Some(&head.hash())).unwrap();
                assert_eq!(carried.verify(&head.hash()).unwrap(), place);
                assert_eq!(again(&carried), Proof::Transaction(carried.clone()));
                let new = fresh.prove(place.height, place.index, Some(&head.hash()));
                assert_eq!(
                    carried,
                    new.unwrap(),
                    "the proof it would be without pruning"
                );
            }
            let earlier = whole.blocks[place.height as usize - 1].hash();
            assert!(matches!(
                reader.carry(proof, Some(&earlier)),
                Err(LedgerError::AboveHead { .. })
            ));
            assert!(proof.verify(&whole.state().head()).is_err());
        }
    }
}

#[test]
fn what_does_not_hold_or_is_of_another_chain_is_not_carried() {
    let whole = chain(12);
    let other = Chain::new(1, |fields| fields.name = "other".to_owned());
    let mut stranger = other;
    for nonce in 1..=12 {
        let message = stranger.message("bob", nonce);
        stranger.extend(&[message]);
    }
    let foreign = proofs(&stranger.ledger().reader(), &stranger);
    let reader = whole.ledger().reader();
    for proof in &foreign {
        let refused = reader.carry(proof, None);
        assert!(matches!(refused, Err(LedgerError::NotCarried(_))));
    }
    let genuine = proofs(&reader, &whole);
    let mut refused = 0;
    for proof in genuine.iter().step_by(5) {
        let bytes = proof.encode();
        for at in (0..bytes.len()).step_by(7) {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            let Ok(Proof::Transaction(forged)) = Proof::decode(&forged.into()) else {
                continue;
            };
            // A forged old head leaves nothing of itself in the carried proof; all else is refused.
            match reader.carry(&forged, None) {
                Ok(carried) => assert_eq!(carried, *proof),
                Err(LedgerError::NotCarried(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(refused > 100, "only {refused} forgeries were tried");
}

#[test]
fn new_proofs_are_made_from_kept_leaf_hashes() {
    let whole = chain(30);
    let fresh = whole.ledger().reader();
    for place in Place::all() {
        let mut ledger = place.ledger(&whole);
        // In several goes, so that chunks are continued.
        let kept: u64 = [25, 24, 11, 4]
            .map(|blocks| prune(&mut ledger, &with_leaves(blocks)).leaves_kept)
            .iter()
            .sum();
        let gone: usize = whole.blocks[..27]
            .iter()
            .map(|b| b.transactions().len())
            .sum();
        assert_eq!(kept, gone as u64, "{place}");
        drop(ledger);
        let reader = place.again(&whole).reader();
        let head = whole.state().head();
        for block in &whole.blocks[1..] {
            for (index, transaction) in (0..).zip(block.transactions()) {
                let proof = reader
                    .prove_pruned(transaction, block.height(), None)
                    .unwrap();
                let proven = proof.verify(&head).unwrap();
                assert_eq!((proven.height, proven.index), (block.height(), index));
                assert_eq!(proven.id, transaction.id());
                assert_eq!(proof, fresh.prove(block.height(), index, None).unwrap());
            }
            // Another transaction, or this one with another witness, isn't there.
            let other = whole.blocks[(block.height() as usize % 30) + 1].transactions();
            let forged = crate::common::corrupt_signature(&block.transactions()[0]);
            for stranger in [&other[0], &forged] {
                let refused = reader.prove_pruned(stranger, block.height(), None);
                assert!(
                    matches!(refused, Err(LedgerError::NotInBlock(_))),
                    "{place}"
                );
            }
        }
        let early = whole.blocks[3].hash();
        let late = &whole.blocks[9].transactions()[0];
        assert!(matches!(
            reader.prove_pruned(late, 9, Some(&early)),
            Err(LedgerError::AboveHead { .. })
        ));
        let nowhere = BlockHash([9; 32]);
        assert!(reader.prove_pruned(late, 9, Some(&nowhere)).is_err());
    }
}

#[test]
fn without_leaf_hashes_the_answer_says_so() {
    let whole = chain(20);
    let old = |height: usize| whole.blocks[height].transactions()[0].clone();
    for place in Place::all() {
        let mut ledger = place.ledger(&whole);
        prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(15)));
        prune(&mut ledger, &with_leaves(5));
        let reader = ledger.reader();
        let refused = reader.prove_pruned(&old(5), 5, None);
        assert!(
            matches!(refused, Err(LedgerError::LeavesPruned(5))),
            "{place}"
        );
        assert!(reader.prove_pruned(&old(6), 6, None).is_ok());
        assert!(reader.prove_pruned(&old(19), 19, None).is_ok());
        assert!(matches!(
            reader.prove_pruned(&old(19), 99, None),
            Err(LedgerError::NotInBlock(99))
        ));
    }
    for place in Place::all() {
        let mut ledger = place.ledger(&whole);
        prune(&mut ledger, &with_leaves(5));
        drop(ledger);
        let mut store = place.open();
        store.writer.prune(Part::Header, 10, u64::MAX).unwrap();
        let reader = ChainReader::open(store.reader).unwrap();
        let refused = reader.prove_pruned(&old(9), 9, None);
        assert!(matches!(refused, Err(LedgerError::HeaderPruned(9))));
        assert!(reader.prove_pruned(&old(10), 10, None).is_ok());
    }
}

#[test]
fn leaf_hashes_that_were_tampered_with_prove_nothing() {
    let whole = chain(12);
    let place = &Place::all()[0];
    let mut ledger = place.ledger(&whole);
    prune(&mut ledger, &with_leaves(2));
    drop(ledger);
    let mut store = place.open();
    let reader = ChainReader::open(Arc::clone(&store.reader)).unwrap();
    let transaction = &whole.blocks[7].transactions()[0];
    let genuine = reader.prove_pruned(transaction, 7, None).unwrap();
    for name in ["leaves", "leaves/0"] {
        let value = store.reader.named_value(name).unwrap().unwrap();
        for at in 0..value.len() {
            let mut flipped = value.to_vec();
            flipped[at] ^= 1 << (at % 8);
            // The checksum of what was flipped, too: now only the Merkle root tells.
            let mut forged = flipped[..value.len() - 32].to_vec();
            forged.extend_from_slice(&Sha256::digest(&forged));
            for bytes in [flipped, value[..at].to_vec(), forged] {
                let is_forged = bytes.len() == value.len();
                store
                    .writer
                    .put_named_value(name, &bytes, Durability::Os)
                    .unwrap();
                match reader.prove_pruned(transaction, 7, None) {
                    Ok(proof) => assert!(is_forged && proof == genuine),
                    Err(LedgerError::LeavesPruned(_) | LedgerError::NotInBlock(_)) => {
                        assert!(is_forged, "{name} at {at}");
                    }
                    Err(error) => assert!(error.is_corrupt(), "{name} at {at}: {error}"),
                }
            }
        }
        store
            .writer
            .put_named_value(name, &value, Durability::Os)
            .unwrap();
    }
    assert_eq!(reader.prove_pruned(transaction, 7, None).unwrap(), genuine);
}
