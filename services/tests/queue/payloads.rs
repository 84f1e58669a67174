//! Payloads in both forms, and what is none.

use hubledger::digest::TransactionId;
use hubledger_services::payload::Fields;
use hubledger_services::queue::{
    Acknowledge, Enqueue, Guarantee, Limit, MessageName, Overflow, Pattern, Priority, QueuePayload,
    Refuse, Subscribe,
};
use proptest::prelude::*;

fn every_kind() -> Vec<QueuePayload> {
    let message = MessageName {
        offset: 7,
        id: TransactionId([3; 32]),
    };
    vec![
        QueuePayload::Enqueue(Enqueue::new("a.b", "hello")),
        QueuePayload::Enqueue(Enqueue {
            priority: Priority::Emergency,
            guarantee: Guarantee::ExactlyOnce,
            expiry: 9,
            not_before: 8,
            ..Enqueue::new("a", "")
        }),
        QueuePayload::Acknowledge(Acknowledge {
            group: "billing".to_owned(),
            topic: "a.b".to_owned(),
            messages: vec![message; 3],
        }),
        QueuePayload::Refuse(Refuse {
            group: "billing".to_owned(),
            topic: "a.b".to_owned(),
            message,
            reason: "bad".to_owned(),
        }),
        QueuePayload::Subscribe(Subscribe {
            group: "billing".to_owned(),
            patterns: vec![Pattern::new("a.#").unwrap(), Pattern::new("*.b").unwrap()],
            consumers: vec!["bob".to_owned()],
            visibility: 5,
            refusals_max: 3,
            since: 1,
        }),
        QueuePayload::Limit(Limit {
            topic: "a".to_owned(),
            messages_max: 10,
            overflow: Overflow::Refuse,
            groups: vec!["billing".to_owned()],
        }),
    ]
}

fn from_json(text: &str) -> Option<QueuePayload> {
    QueuePayload::from_fields(&Fields::read(text.as_bytes())?)
}

#[test]
fn every_kind_comes_back_from_both_of_its_forms() {
    for payload in every_kind() {
        assert_eq!(QueuePayload::decode(&payload.encode()).unwrap(), payload);
        assert_eq!(from_json(&payload.to_json()), Some(payload));
    }
}

#[test]
fn json_that_could_be_read_in_two_ways_or_is_of_wrong_types_is_opaque() {
    let deep = format!(
        r#"{{"action":"enqueue","topic":"a","x":{}1{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let huge = format!(
        r#"{{"action":"enqueue","topic":"a","body":"{}"}}"#,
        "x".repeat(70_000)
    );
    let many = format!(
        r#"{{"action":"acknowledge","group":"g","topic":"a","messages":[{}]}}"#,
        vec![format!(r#"{{"offset":0,"id":"{}"}}"#, "00".repeat(32)); 257].join(",")
    );
    for text in [
        r#"{"action":"enqueue","topic":"a","topic":"a"}"#,
        r#"{"action":"enqueue","topic":"a","priority":"urgent"}"#,
        r#"{"action":"enqueue","topic":"a","priority":1}"#,
        r#"{"action":"enqueue","topic":"a.*"}"#,
        r#"{"action":"enqueue","topic":"a","expiry":-1}"#,
        r#"{"action":"enqueue","topic":"a","expiry":1e3}"#,
        r#"{"action":"enqueue","topic":"a","body":["x"]}"#,
        r#"{"action":"acknowledge","group":"g","topic":"a","messages":[]}"#,
        r##"{"action":"subscribe","group":"g","patterns":["#.a"]}"##,
        r#"{"action":"subscribe","group":"g","patterns":[]}"#,
        r#"{"action":"limit","topic":"a","messages_max":1}"#,
        r#"{"topic":"a"}"#,
        r#"["enqueue"]"#,
        "{",
        "",
        "\u{feff}{}",
        &deep,
        &huge,
        &many,
    ] {
        assert_eq!(from_json(text), None, "{text:.80}");
    }
    assert!(from_json(r#"{"action":"enqueue","topic":"a","other":[1]}"#).is_some());
}

proptest! {
    #[test]
    fn what_decodes_is_canonical(which in 0usize..6, at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = every_kind()[which].encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(payload) = QueuePayload::decode(&bytes) {
            prop_assert_eq!(payload.encode(), &bytes[..]);
        }
        let cut = cut.index(bytes.len());
        if let Ok(payload) = QueuePayload::decode(&bytes[..cut]) {
            prop_assert_eq!(payload.encode(), &bytes[..cut]);
        }
    }
}
