//! What a light client can check with a head hash alone.

use hubledger_services::queue::{
    Carried, DeliveryProof, Enqueue, MessageName, ProofProblem, QueuePayload,
};

use crate::consumers::{Hub, acknowledge, group};

#[test]
fn a_message_and_its_delivery_are_proved_by_a_head_hash_alone() {
    let mut hub = Hub::new();
    hub.say(&[
        ("alice", QueuePayload::Subscribe(group(&["a"]))),
        ("alice", QueuePayload::Enqueue(Enqueue::new("a", "hello"))),
        ("alice", QueuePayload::Enqueue(Enqueue::new("a", "other"))),
    ]);
    let queue = hub.queue();
    let topic = queue.topic("a").unwrap().unwrap();
    let message = queue.message(&topic, 0).unwrap().unwrap();
    let named = MessageName {
        offset: 0,
        id: message.id,
    };
    hub.say(&[("bob", acknowledge("a", &[named]))]);
    hub.say(&[]);
    let queue = hub.queue();
    let held = queue.group("billing").unwrap().unwrap();
    let done = queue.done(&held, &topic, 0).unwrap().unwrap();
    let (ledger, head) = (hub.chain.ledger(), hub.chain.last().hash());
    let proof = DeliveryProof::of(&ledger.reader(), &message, &done, None).unwrap();
    let text = proof.to_json().to_string();
    let read = DeliveryProof::from_json(&serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(read, proof);
    let delivered = proof.verify(&head).unwrap();
    assert_eq!(
        (&*delivered.consumer, &*delivered.group, delivered.offset),
        ("bob", "billing", 0)
    );
    assert_eq!(delivered.message.body, b"hello");
    assert_eq!(
        (delivered.sent.height, delivered.acknowledged.height),
        (1, 2)
    );

    // Of another head, of another message, or of what is no acknowledgement, it proves nothing.
    let other = hub.chain.blocks[2].hash();
    assert!(matches!(proof.verify(&other), Err(ProofProblem::Path(_))));
    let second = queue.message(&topic, 1).unwrap().unwrap();
    let second = Carried::of(&ledger.reader(), (second.height, second.index), None).unwrap();
    let wrong = DeliveryProof {
        message: second.clone(),
        ..proof.clone()
    };
    assert!(matches!(wrong.verify(&head), Err(ProofProblem::Meaning(_))));
    let wrong = DeliveryProof {
        acknowledgement: second.clone(),
        ..proof.clone()
    };
    assert!(matches!(wrong.verify(&head), Err(ProofProblem::Meaning(_))));
    let swapped = Carried {
        proof: second.proof,
        ..proof.message
    };
    assert!(matches!(
        swapped.verify(&head),
        Err(ProofProblem::OtherTransaction)
    ));
}
