//! Routes and causal order, asked from a store.

use std::fs;

use serde_json::{Value, json};

use crate::support::{OWN, THEN, key, ok, own_chain, produce, run, send};

/// Makes a transaction of a node that says something in JSON, and gives its id.
fn say(
    folder: &std::path::Path,
    operation: &str,
    sender: &str,
    file: &str,
    said: &Value,
) -> String {
    key(folder, sender);
    let (pem, said) = (format!("{sender}.pem"), said.to_string());
    let mut args = vec!["tx", "--operation", operation, "--sender", sender];
    args.extend(["--receiver", "bob", "--key", &pem, "--at", THEN]);
    args.extend(["--store", OWN, "--out", file, "--payload", &said]);
    let made = ok(folder, &args);
    made["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_message_is_followed_and_its_receipt_holds_without_the_store() {
    let folder = own_chain("");
    let folder = folder.path();
    let way = ["hub_us", "hub_eu", "node_bob"];
    let sent = json!({ "action": "message_route", "routing_path": way, "body": "hello" });
    let message = say(folder, "message", "alice", "message.bin", &sent);
    ok(folder, &produce(&["message.bin"]));
    for (number, node) in way.into_iter().enumerate() {
        let refused = run(
            folder,
            &["route", "receipt", &message, "--out", "r", "--store", OWN],
        );
        assert_eq!(refused.code, 1, "it hasn't arrived");
        let hop = json!({
            "action": "message_forward",
            "original_message_id": message,
            "hop_number": number,
        });
        let file = format!("{node}.bin");
        say(folder, "node_update", node, &file, &hop);
        ok(folder, &produce(&[&file]));
    }
    let path = ok(folder, &["route", "path", &message, "--store", OWN]);
    assert_eq!(path["delivered"], true);
    assert_eq!(path["hops"][2]["node"], "node_bob");
    let shown = ok(folder, &["route", "show", &message, "--store", OWN]);
    assert_eq!(shown["claims"][0]["verdict"], "verified");
    for aim in ["cheapest", "fastest"] {
        let found = ok(folder, &["route", aim, "alice", "node_bob", "--store", OWN]);
        assert_eq!(found["hops"].as_array().unwrap().len(), 3);
    }
    for file in ["bob.receipt", "bob.json"] {
        let made = ok(
            folder,
            &["route", "receipt", &message, "--out", file, "--store", OWN],
        );
        let head = made["head"].as_str().unwrap();
        let verify = ["route", "verify", file, "--head", head];
        let verified = ok(folder, &[&verify[..], &["--tx", &message]].concat());
        assert_eq!(verified["hops"][2]["node"], "node_bob");
        let other = "00".repeat(32);
        let refused = run(folder, &[&verify[..], &["--tx", &other]].concat());
        assert_eq!(refused.code, 3);
        let refused = run(folder, &["route", "verify", file, "--head", &other]);
        assert_eq!(refused.code, 3);
    }
    fs::write(folder.join("forged"), b"HLRECEPT\x01\0\0\0\0").unwrap();
    let refused = run(
        folder,
        &["route", "verify", "forged", "--head", &"00".repeat(32)],
    );
    assert_eq!(refused.code, 3);
}

#[test]
fn causal_order_is_asked_by_messages_and_by_blocks() {
    let folder = own_chain("");
    let folder = folder.path();
    let mut ids = Vec::new();
    for (node, clock) in [
        ("hub_us", json!({ "hub_us": 1 })),
        ("hub_eu", json!({ "hub_eu": 1 })),
        ("hub_eu", json!({ "hub_eu": 2, "hub_us": 1 })),
    ] {
        let file = format!("{}.bin", ids.len());
        let said = json!({ "action": "causal_event", "vector_clock": clock });
        ids.push(say(folder, "message", node, &file, &said));
        ok(folder, &produce(&[&file]));
    }
    let plain = send(folder, "alice", "plain.bin", &[]);
    ok(folder, &produce(&["plain.bin"]));
    let events = |relation: &str, id: &str| -> Vec<Value> {
        let answer = ok(folder, &["causal", relation, id, "--store", OWN]);
        assert_eq!(answer["by"], "messages");
        let events = answer["events"].as_array().unwrap().iter();
        events.map(|event| event["id"].clone()).collect()
    };
    assert_eq!(events("concurrent", &ids[0]), [Value::from(&*ids[1])]);
    assert_eq!(events("after", &ids[0]), [Value::from(&*ids[2])]);
    assert_eq!(events("before", &ids[2]).len(), 2);
    let plain = plain["id"].as_str().unwrap();
    let answer = ok(folder, &["causal", "before", plain, "--store", OWN]);
    assert_eq!(
        (&answer["by"], &answer["below"]),
        (&"blocks".into(), &4.into())
    );
    let refused = run(
        folder,
        &["causal", "after", plain, "--by", "messages", "--store", OWN],
    );
    assert_eq!(refused.code, 1);
}
