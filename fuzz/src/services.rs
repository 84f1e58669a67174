//! Payloads of services, from which their targets start.

use hubledger::digest::TransactionId;
use hubledger_services::queue::{
    Acknowledge, Enqueue, Guarantee, Limit, MessageName, Overflow, Pattern, Priority, QueuePayload,
    Refuse, Subscribe,
};

/// What can be said to the queue, each in both forms, with names.
///
/// # Panics
/// Never: the pattern in it is one.
#[must_use]
pub fn queue_payloads() -> Vec<(String, Vec<u8>)> {
    let message = MessageName {
        offset: 7,
        id: TransactionId([3; 32]),
    };
    let payloads = [
        QueuePayload::Enqueue(Enqueue {
            priority: Priority::High,
            guarantee: Guarantee::Ordered,
            expiry: 9,
            ..Enqueue::new("a.b", "hello")
        }),
        QueuePayload::Acknowledge(Acknowledge {
            group: "g".to_owned(),
            topic: "a.b".to_owned(),
            messages: vec![message; 2],
        }),
        QueuePayload::Refuse(Refuse {
            group: "g".to_owned(),
            topic: "a.b".to_owned(),
            message,
            reason: "no".to_owned(),
        }),
        QueuePayload::Subscribe(Subscribe {
            group: "g".to_owned(),
            patterns: vec![Pattern::new("a.#").expect("a pattern")],
            consumers: vec!["bob".to_owned()],
            visibility: 5,
            refusals_max: 3,
            since: 1,
        }),
        QueuePayload::Limit(Limit {
            topic: "a".to_owned(),
            messages_max: 10,
            overflow: Overflow::Refuse,
            groups: vec!["g".to_owned()],
        }),
    ];
    let both = payloads.iter().flat_map(|payload| {
        [
            (payload.word().to_owned(), payload.encode()),
            (
                format!("{}-json", payload.word()),
                payload.to_json().into_bytes(),
            ),
        ]
    });
    both.collect()
}
