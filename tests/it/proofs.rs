//! Proofs: what they establish, and that nothing else passes for one.

use crate::common::{Chain, account};
use hubledger::format::FormatVersion;
use hubledger::proof::Proof;

fn chain(blocks: u64) -> Chain {
    let mut chain = Chain::new(1, |_| {});
    for nonce in 1..=blocks {
        // Blocks of one to four transactions.
        let senders = ["alice", "bob", "carol", "dora"];
        let count = 1 + (nonce % 4) as usize;
        let transactions: Vec<_> = senders[..count]
            .iter()
            .map(|sender| chain.message(sender, nonce))
            .collect();
        chain.extend(&transactions);
    }
    chain
}

#[test]
fn every_transaction_is_proved_against_every_later_head() {
    let chain = chain(9);
    let reader = chain.ledger().reader();
    for block in &chain.blocks[1..] {
        for (index, transaction) in (0u32..).zip(block.transactions()) {
            for head in &chain.blocks {
                let proof = reader.prove(block.height(), index, Some(&head.hash()));
                if head.height() < block.height() {
                    assert!(
                        proof.is_err(),
                        "a head below the transaction can't vouch for it"
                    );
                    continue;
                }
                let proof = proof.unwrap();
                let proven = proof.verify(&head.hash()).unwrap();
                assert_eq!(
                    (proven.id, proven.height, proven.index, proven.block),
                    (transaction.id(), block.height(), index, block.hash())
                );
                for other in chain
                    .blocks
                    .iter()
                    .filter(|other| other.hash() != head.hash())
                {
                    assert!(proof.verify(&other.hash()).is_err());
                }
            }
        }
    }
}

#[test]
fn every_head_is_proved_to_extend_every_earlier_one() {
    let chain = chain(12);
    let reader = chain.ledger().reader();
    for old in &chain.blocks {
        for new in &chain.blocks {
            let proof = reader.prove_extends(&old.hash(), Some(&new.hash()));
            if old.height() >= new.height() {
                assert!(proof.is_err());
                continue;
            }
            let proof = proof.unwrap();
            proof.verify(&old.hash(), &new.hash()).unwrap();
            assert!(proof.verify(&new.hash(), &old.hash()).is_err());
            let decoded = Proof::decode(&proof.encode().into()).unwrap();
            assert_eq!(decoded, Proof::Extension(proof));
        }
    }
}

/// Whether a verifier accepts a proof, in whatever form it comes.
fn accepts(chain: &Chain, old: u64, proof: Proof) -> bool {
    let head = chain.last().hash();
    match proof {
        Proof::Transaction(proof) => proof.verify(&head).is_ok(),
        Proof::Extension(proof) => proof
            .verify(&chain.blocks[old as usize].hash(), &head)
            .is_ok(),
        Proof::State(proof) => proof.verify(&head).is_ok(),
    }
}

#[test]
fn every_single_bit_change_of_a_proof_of_the_state_is_refused_in_both_forms() {
    let mut chain = Chain::in_version(FormatVersion::V2, 1, |fields| {
        fields.terms.root_interval = 2;
        fields
            .accounts
            .extend(["alice", "bob", "carol", "dave"].map(|name| account(name, 0)));
    });
    while chain.state().height() < 4 {
        let block = chain.block(&[chain.message("alice", chain.state().height() + 1)]);
        chain.push(block);
    }
    let ledger = chain.ledger();
    let state = ledger.state().clone();
    let reader = ledger.reader();
    let prove = |name| Proof::State(reader.prove_account(&state, name, None).unwrap());
    refuses_every_change(&chain, 0, ["alice", "bob", "nobody"].map(prove));
    // Against a later head, and after a block that names no root.
    let block = chain.block(&[]);
    chain.push(block);
    let ledger = chain.ledger();
    let reader = ledger.reader();
    let prove = |name| Proof::State(reader.prove_account(&state, name, None).unwrap());
    refuses_every_change(&chain, 0, ["carol", "somebody"].map(prove));
    let error = reader
        .prove_account(ledger.state(), "alice", None)
        .unwrap_err();
    assert!(
        error.to_string().contains("block 5 names no state root"),
        "{error}"
    );
}

#[test]
fn every_single_bit_change_of_a_proof_is_refused_in_both_forms() {
    let chain = chain(7);
    let reader = chain.ledger().reader();
    let old = 3;
    let proofs = [
        Proof::Transaction(reader.prove(2, 1, None).unwrap()),
        Proof::Transaction(reader.prove(7, 2, None).unwrap()),
        Proof::Extension(
            reader
                .prove_extends(&chain.blocks[old as usize].hash(), None)
                .unwrap(),
        ),
    ];
    refuses_every_change(&chain, old, proofs);
}

fn refuses_every_change<const N: usize>(chain: &Chain, old: u64, proofs: [Proof; N]) {
    for proof in proofs {
        let bytes = proof.encode();
        assert!(accepts(
            chain,
            old,
            Proof::decode(&bytes.clone().into()).unwrap()
        ));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let accepted =
                Proof::decode(&changed.into()).is_ok_and(|proof| accepts(chain, old, proof));
            assert!(!accepted, "bit {bit} of the encoding");
        }
        let json = proof.to_json();
        assert_eq!(Proof::from_json(&json).unwrap(), proof);
        for bit in 0..json.len() * 8 {
            let mut changed = json.clone().into_bytes();
            changed[bit / 8] ^= 1 << (bit % 8);
            let Ok(text) = String::from_utf8(changed) else {
                continue;
            };
            let accepted = Proof::from_json(&text).is_ok_and(|proof| accepts(chain, old, proof));
            assert!(!accepted, "bit {bit} of the JSON form: {text}");
        }
        for length in 0..bytes.len() {
            assert!(Proof::decode(&bytes[..length].to_vec().into()).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Proof::decode(&longer.into()).is_err());
    }
}

#[test]
fn a_proof_from_another_chain_proves_nothing_here() {
    let one = chain(4);
    let mut other = Chain::new(1, |fields| fields.name = "other".to_owned());
    for nonce in 1..5 {
        other.extend(&[other.message("alice", nonce)]);
    }
    let proof = other.ledger().reader().prove(2, 0, None).unwrap();
    assert!(proof.verify(&other.last().hash()).is_ok());
    assert!(proof.verify(&one.last().hash()).is_err());
}
