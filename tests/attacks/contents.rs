//! Changing what a block holds: witnesses, leaves, counts, sizes.

use hubledger::digest::Digest;
use hubledger::ledger::Staging;
use hubledger::merkle;
use hubledger::model::{Block, Draft, Kind, Operation, Scheme, Transaction};
use hubledger::original::Original;
use hubledger::rejection::{Reason, Rejected};

use super::in_version;
use crate::common::{Chain, corrupt_signature, fields, key, merkle_root, witness};

/// A block whose header is the honest one's and whose body is another.
fn with_body(honest: &Block, transactions: &[Transaction]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [honest.header().bytes(), honest.seal_bytes()] {
        bytes.extend((part.len() as u32).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    for transaction in transactions {
        bytes.extend_from_slice(transaction.bytes());
    }
    bytes
}

#[track_caller]
fn rejected(chain: &Chain, bytes: &[u8]) -> (Option<u32>, Reason) {
    match chain.offer(bytes) {
        Staging::Rejected(Rejected {
            transaction,
            reason,
            ..
        }) => (transaction, reason),
        other => panic!("the block was taken: {other:?}"),
    }
}

#[test]
fn replaced_witness_of_a_stored_transaction() {
    let chain = in_version(1, |_| {});
    let transaction = chain.message("alice", 1);
    let honest = chain.block(std::slice::from_ref(&transaction));
    chain.check(&honest).expect("honest");
    // The same body signed by another key: the id stays, the leaf doesn't.
    let other = chain.draft("alice", 1).sign(&[&key("mallory")]).unwrap();
    assert_eq!(other.id(), transaction.id());
    assert_eq!(
        rejected(&chain, &with_body(&honest, &[other])),
        (None, Reason::MerkleRoot)
    );
    let corrupt = corrupt_signature(&transaction);
    assert_eq!(
        rejected(&chain, &with_body(&honest, &[corrupt])),
        (None, Reason::MerkleRoot)
    );
}

#[test]
fn delimiter_ambiguity_between_names() {
    let chain = in_version(1, |_| {});
    // Under MPREG's rules both pairs below have the same signed bytes.
    let make = |sender: &str, timestamp: &str| {
        let original = Original {
            transaction_id: "t",
            timestamp,
            fee: "0",
            nonce: "0",
            payload: b"",
        };
        let draft = Draft {
            kind: Kind::Mpreg,
            operation: Operation::Message,
            payload: original.encode().unwrap(),
            fee: 0,
            ..chain.draft(sender, 1)
        };
        let transaction = draft.with_witnesses(Vec::new()).unwrap();
        let mut signed = Vec::new();
        original.put_signing_bytes(&transaction, &mut signed);
        (transaction, signed)
    };
    let (one, one_signed) = make("a", "1:timestamp=2");
    let (other, other_signed) = make("a:timestamp=1", "2");
    assert_eq!(one_signed, other_signed, "MPREG can't tell them apart");
    assert_ne!(one.id(), other.id(), "here they are two");
    let native = |sender: &str, receiver: &str| {
        let mut draft = chain.draft(sender, 1);
        draft.receiver = receiver.to_owned();
        draft.sign(&[&key(sender)]).unwrap()
    };
    assert_ne!(native("a:b", "c").id(), native("a", "b:c").id());
    assert_ne!(native("ab", "c").id(), native("a", "bc").id());
}

#[test]
fn padding_never_gives_two_bodies_one_root() {
    let chain = in_version(1, |_| {});
    for count in 1..9u64 {
        let transactions: Vec<_> = (1..=count)
            .map(|nonce| chain.message("alice", nonce))
            .collect();
        let honest = chain.block(&transactions);
        chain.check(&honest).expect("honest");
        // CVE-2012-2459: the last transaction again, as Bitcoin's padding does.
        let mut doubled = transactions.clone();
        doubled.push(transactions[transactions.len() - 1].clone());
        assert_ne!(merkle_root(&doubled), merkle_root(&transactions));
        let (_, reason) = rejected(&chain, &with_body(&honest, &doubled));
        assert!(
            matches!(reason, Reason::BodySize | Reason::TransactionCount),
            "{reason}"
        );
        // A padding leaf as MPREG makes it.
        let mut leaves: Vec<Digest> = transactions.iter().map(Transaction::leaf_hash).collect();
        leaves.push(merkle::leaf_hash(&[
            format!("__PADDING_{count}__").as_bytes()
        ]));
        assert_ne!(merkle::root(&leaves), merkle_root(&transactions));
        // An inner node in place of the leaves below it.
        if count == 2 {
            let node = merkle_root(&transactions);
            assert_ne!(merkle::root(&[merkle::leaf_hash(&[&node.0])]), node);
        }
    }
}

#[test]
fn counts_and_sizes_that_are_off_by_one() {
    let chain = in_version(1, |_| {});
    let transactions = [chain.message("alice", 1), chain.message("bob", 1)];
    let honest = chain.block(&transactions);
    let forge = |change: fn(&mut hubledger::model::HeaderFields)| {
        let mut fields = fields(&honest);
        change(&mut fields);
        let header = hubledger::model::Header::new(fields).unwrap();
        let mut bytes = Vec::new();
        for part in [&header.bytes()[..], &honest.seal_bytes()[..]] {
            bytes.extend((part.len() as u32).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        bytes.extend_from_slice(honest.body());
        rejected(&chain, &bytes)
    };
    assert_eq!(
        forge(|header| header.transaction_count += 1),
        (None, Reason::TransactionCount)
    );
    assert_eq!(
        forge(|header| header.transaction_count -= 1),
        (None, Reason::TransactionCount)
    );
    assert_eq!(
        forge(|header| header.transaction_count = u32::MAX),
        (None, Reason::TransactionCount)
    );
    assert_eq!(
        forge(|header| header.body_size += 1),
        (None, Reason::BodySize)
    );
    assert_eq!(
        forge(|header| header.body_size -= 1),
        (None, Reason::BodySize)
    );
}

#[test]
fn every_limit_of_the_specification_holds() {
    let chain = in_version(1, |fields| {
        fields.limits.transactions_max = 2;
        fields.limits.body_bytes_max = 1500;
        fields.limits.payload_bytes_max = 1000;
        fields.limits.name_bytes_max = 20;
        fields.limits.witnesses_max = 2;
    });
    let at_limit = chain.signed("alice", 1, |draft| draft.payload = vec![7; 1000]);
    chain
        .check(&chain.block(&[at_limit]))
        .expect("at the limit");
    let over = chain.signed("alice", 1, |draft| draft.payload = vec![7; 1001]);
    assert_eq!(
        chain.refusal(&chain.block(&[over])),
        (Some(0), Reason::Limit)
    );
    let three: Vec<_> = (1..4).map(|nonce| chain.message("alice", nonce)).collect();
    assert_eq!(chain.refusal(&chain.block(&three)), (None, Reason::Limit));
    let large: Vec<_> = (1..3)
        .map(|nonce| chain.signed("alice", nonce, |draft| draft.payload = vec![7; 900]))
        .collect();
    assert_eq!(chain.refusal(&chain.block(&large)), (None, Reason::Limit));
    let long = "n".repeat(21);
    let sender = chain.message(&long, 1);
    assert_eq!(
        chain.refusal(&chain.block(&[sender])),
        (Some(0), Reason::Limit)
    );
    let receiver = chain.signed("alice", 1, |draft| draft.receiver.clone_from(&long));
    assert_eq!(
        chain.refusal(&chain.block(&[receiver])),
        (Some(0), Reason::Limit)
    );
    let keys = [key("alice"), key("bob"), key("carol")];
    let signers: Vec<_> = keys.iter().collect();
    let many = chain.draft("alice", 1).sign(&signers).unwrap();
    assert_eq!(
        chain.refusal(&chain.block(&[many])),
        (Some(0), Reason::Limit)
    );
}

#[test]
fn an_imported_transaction_has_no_place_in_a_native_chain() {
    let chain = in_version(1, |_| {});
    let mut draft = chain.draft("alice", 1);
    draft.kind = Kind::Mpreg;
    let mut by_mpreg = witness(&key("alice"), b"whatever MPREG signs");
    by_mpreg.scheme = Scheme::Mpreg;
    let imported = draft.with_witnesses(vec![by_mpreg]).unwrap();
    assert_eq!(
        chain.refusal(&chain.block(&[imported])),
        (Some(0), Reason::Operation)
    );
    let native = chain
        .draft("alice", 1)
        .with_witnesses(vec![by_mpreg])
        .unwrap();
    assert_eq!(
        chain.refusal(&chain.block(&[native])),
        (Some(0), Reason::Signature)
    );
}
