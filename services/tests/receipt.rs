//! Receipts for messages, honest and forged.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use hubledger::codec;
use hubledger::digest::{BlockHash, TransactionId};
use hubledger::ledger::Ledger;
use hubledger::model::{Operation, Transaction};
use hubledger::testing::Chain;
use hubledger_services::route::{
    InvalidReceipt, MessageForward, Receipt, ReceiptError, RoutePayload, RouteView, RoutedMessage,
    Routes,
};
use hubledger_services::testing::made_anew;
use proptest::prelude::*;

/// A chain in which two messages of alice's went by way of hub_us and hub_eu to node_bob, and mallory said things too.
struct Mail {
    chain: Chain,
    ledger: Ledger,
    head: BlockHash,
    messages: Vec<TransactionId>,
}

const WAY: [&str; 3] = ["hub_us", "hub_eu", "node_bob"];

fn hop(
    chain: &Chain,
    sender: &str,
    nonce: u64,
    message: TransactionId,
    number: u32,
) -> Transaction {
    let said = RoutePayload::MessageForward(MessageForward {
        original_message_id: message,
        hop_number: number,
        timestamp: 0,
        next_hop: None,
    });
    chain.signed(sender, nonce, |draft| {
        (draft.operation, draft.payload) = (Operation::NodeUpdate, said.encode());
    })
}

fn mail() -> Mail {
    let mut chain = Chain::new(1, |_| {});
    let mut messages = Vec::new();
    for nonce in 1..3 {
        let said = RoutePayload::RoutedMessage(RoutedMessage {
            path: WAY.map(str::to_owned).to_vec(),
            body: b"hello".to_vec(),
        });
        let sent = chain.signed("alice", nonce, |draft| draft.payload = said.encode());
        let id = sent.id();
        messages.push(id);
        let mut transactions = vec![sent];
        for (number, node) in (0..).zip(WAY) {
            transactions.push(hop(&chain, node, nonce, id, number));
        }
        transactions.push(hop(&chain, "mallory", 2 * nonce, id, 2));
        transactions.push(hop(&chain, "mallory", 2 * nonce + 1, id, 3));
        chain.extend(&transactions);
    }
    chain.extend(&[]);
    Mail {
        ledger: chain.ledger(),
        head: chain.last().hash(),
        chain,
        messages,
    }
}

impl Mail {
    fn routes(&self) -> Routes {
        Routes::new(made_anew(&self.chain, Box::new(RouteView), 0))
    }

    fn receipt(&self) -> Receipt {
        let id = &self.messages[0];
        self.routes()
            .receipt(&self.ledger.reader(), id, None)
            .unwrap()
    }

    /// The receipt that somebody makes up of transactions of a block, by their index; each with the proof of another one.
    fn made_up(&self, parts: &[(u64, u32, u32)]) -> Receipt {
        let mut bytes = b"HLRECEPT\x01".to_vec();
        codec::put_count(&mut bytes, parts.len());
        for &(height, index, proven) in parts {
            let transaction = &self.chain.blocks[height as usize].transactions()[index as usize];
            let proof = self.ledger.reader().prove(height, proven, None).unwrap();
            codec::put_bytes(&mut bytes, transaction.bytes());
            codec::put_bytes(&mut bytes, &proof.encode());
        }
        Receipt::decode(&bytes.into()).unwrap()
    }

    fn refusal(&self, indexes: &[u32]) -> String {
        let parts: Vec<_> = indexes.iter().map(|&index| (1, index, index)).collect();
        let refused = self.made_up(&parts).verify(&self.head);
        refused.unwrap_err().to_string()
    }
}

#[test]
fn whoever_trusts_a_head_checks_a_delivery_with_nothing_else() {
    let mail = mail();
    let receipt = mail.receipt();
    let delivery = receipt.verify(&mail.head).unwrap();
    assert_eq!(delivery.message, mail.messages[0]);
    assert_eq!(
        (&*delivery.sender, &*delivery.receiver),
        ("alice", "everyone")
    );
    let nodes: Vec<_> = delivery.hops.iter().map(|hop| &*hop.node).collect();
    assert_eq!(nodes, WAY);
    assert_eq!(
        Receipt::decode(&receipt.encode().into()).as_ref(),
        Ok(&receipt)
    );
    assert_eq!(
        Receipt::from_json(&receipt.to_json()).as_ref(),
        Ok(&receipt)
    );

    // For an earlier head as well, in which the message's block is the last one.
    let earlier = mail.chain.blocks[1].hash();
    let reader = mail.ledger.reader();
    let receipt = mail
        .routes()
        .receipt(&reader, &mail.messages[0], Some(&earlier))
        .unwrap();
    receipt.verify(&earlier).unwrap();
    let refused = receipt.verify(&mail.head).unwrap_err();
    assert!(matches!(refused, InvalidReceipt::Proof { part: 0, .. }));
}

#[test]
fn receipts_that_somebody_makes_up_are_refused() {
    let mail = mail();
    let honest = [(1, 0, 0), (1, 1, 1), (1, 2, 2), (1, 3, 3)];
    assert_eq!(mail.made_up(&honest), mail.receipt());
    for (indexes, problem) in [
        (&[][..], "transaction 0 sends no message by way of nodes"),
        (&[1, 2, 3], "transaction 0 sends no message by way of nodes"),
        (&[0], "the way goes on after 0 hops"),
        (&[0, 1, 2], "the way goes on after 2 hops"),
        (
            &[0, 1, 3],
            "transaction 2: its hop number isn't the next one",
        ),
        (
            &[0, 2, 1, 3],
            "transaction 1: its hop number isn't the next one",
        ),
        (
            &[0, 1, 1, 2, 3],
            "transaction 2: its hop number isn't the next one",
        ),
        (
            &[0, 1, 2, 4],
            "transaction 3: another node was named for this hop",
        ),
        (
            &[0, 1, 2, 3, 5],
            "transaction 4: the message had arrived before",
        ),
        (&[0, 0], "transaction 1: it is no hop"),
    ] {
        assert_eq!(mail.refusal(indexes), problem);
    }
    let of_another = [(1, 0, 0), (2, 1, 1), (1, 2, 2), (1, 3, 3)];
    let refused = mail.made_up(&of_another).verify(&mail.head).unwrap_err();
    let problem = "transaction 1: it is a hop of another message";
    assert_eq!(refused.to_string(), problem);
    let other_proof = [(1, 0, 0), (1, 1, 2), (1, 2, 2), (1, 3, 3)];
    let refused = mail.made_up(&other_proof).verify(&mail.head);
    assert_eq!(refused, Err(InvalidReceipt::OtherTransaction { part: 1 }));
}

#[test]
fn there_is_no_receipt_for_what_has_not_arrived() {
    let mail = mail();
    let reader = mail.ledger.reader();
    let unknown = TransactionId([7; 32]);
    let refused = mail.routes().receipt(&reader, &unknown, None);
    assert!(matches!(refused, Err(ReceiptError::Unknown(_))));

    let mut chain = mail.chain.clone();
    let said = RoutePayload::RoutedMessage(RoutedMessage {
        path: WAY.map(str::to_owned).to_vec(),
        body: Vec::new(),
    });
    let sent = chain.signed("alice", 9, |draft| draft.payload = said.encode());
    let first = hop(&chain, WAY[0], 9, sent.id(), 0);
    chain.extend(&[sent.clone(), first]);
    let routes = Routes::new(made_anew(&chain, Box::new(RouteView), 0));
    let refused = routes.receipt(&chain.ledger().reader(), &sent.id(), None);
    assert!(matches!(
        refused,
        Err(ReceiptError::NotDelivered { hops: 1, .. })
    ));
}

#[test]
fn a_receipt_that_differs_in_one_bit_proves_nothing() {
    let mail = mail();
    let bytes = mail.receipt().encode();
    for at in 0..bytes.len() {
        let mut forged = bytes.clone();
        forged[at] ^= 1 << (at % 8);
        if let Ok(receipt) = Receipt::decode(&forged.into()) {
            assert!(receipt.verify(&mail.head).is_err(), "byte {at}");
        }
    }
    for end in 0..bytes.len() {
        let cut = Bytes::copy_from_slice(&bytes[..end]);
        assert!(Receipt::decode(&cut).is_err(), "cut at {end}");
    }
}

fn payload() -> impl Strategy<Value = RoutePayload> {
    let name = "[a-z]{1,8}|\\PC{1,9}";
    let path = proptest::collection::vec(name, 1..65);
    let message = (path, proptest::collection::vec(any::<u8>(), 0..99));
    let message =
        message.prop_map(|(path, body)| RoutePayload::RoutedMessage(RoutedMessage { path, body }));
    let forward = (
        any::<[u8; 32]>(),
        0..64u32,
        any::<u64>(),
        proptest::option::of(name),
    );
    let forward = forward.prop_map(|(id, hop_number, timestamp, next_hop)| {
        RoutePayload::MessageForward(MessageForward {
            original_message_id: TransactionId(id),
            hop_number,
            timestamp,
            next_hop,
        })
    });
    prop_oneof![message, forward]
}

proptest! {
    #[test]
    fn payloads_have_one_encoding(payload in payload()) {
        let bytes = payload.encode();
        prop_assert_eq!(RoutePayload::decode(&bytes), Ok(payload.clone()));
        let fields = hubledger_services::payload::Fields::read(payload.to_json().as_bytes()).unwrap();
        let read = RoutePayload::from_fields(&fields).unwrap();
        match (read, payload) {
            // JSON has no bytes.
            (RoutePayload::RoutedMessage(read), RoutePayload::RoutedMessage(said)) => prop_assert_eq!(read.path, said.path),
            (read, said) => prop_assert_eq!(read, said),
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic_and_mean_themselves(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), tag in 47u8..51) {
        let mut payload = vec![0, b'h', b'l', tag];
        payload.append(&mut bytes);
        if let Ok(said) = RoutePayload::decode(&payload) {
            prop_assert_eq!(said.encode(), payload.clone());
        }
        prop_assert!(Receipt::decode(&payload.into()).is_err());
    }
}
