//! The message queue on the command line.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{OWN, ok, own_chain, produce, run, send};

/// A block with what each says, as JSON.
fn say(folder: &Path, said: &[(&str, &str)]) -> Vec<Value> {
    let mut files = Vec::new();
    let mut made = Vec::new();
    for (number, (sender, payload)) in said.iter().enumerate() {
        let file = format!("{number}.bin");
        let _earlier = std::fs::remove_file(folder.join(&file));
        let nonce = format!(
            "{}",
            1 + files.len() + std::fs::read_dir(folder).unwrap().count()
        );
        made.push(send(
            folder,
            sender,
            &file,
            &["--payload", payload, "--nonce", &nonce],
        ));
        files.push(file);
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    ok(folder, &produce(&files));
    for file in files {
        std::fs::rename(
            folder.join(file),
            folder.join(format!("{}-{file}", made[0]["id"])),
        )
        .unwrap();
    }
    made
}

fn queue(folder: &Path, args: &[&str]) -> Value {
    ok(folder, &[&["queue"], args, &["--store", OWN]].concat())
}

#[test]
fn messages_are_listed_acknowledged_and_proved() {
    let folder = own_chain("");
    let folder = folder.path();
    let subscribe =
        r#"{"action":"subscribe","group":"billing","patterns":["orders.*"],"consumers":["bob"]}"#;
    let order = r#"{"action":"enqueue","topic":"orders.eu","priority":"high","body":"pears"}"#;
    let torn = r#"{"action":"enqueue","topic":"orders.eu","priority":"#;
    let made = say(
        folder,
        &[("alice", subscribe), ("carol", order), ("dave", torn)],
    );
    let topics = queue(folder, &["topics", "--pattern", "orders.#"]);
    assert_eq!(topics["as_of"]["height"], 1);
    assert_eq!(
        topics["topics"],
        json!([{ "topic": "orders.eu", "first": 0, "end": 1, "refused": 0, "room": null }])
    );
    let list = queue(folder, &["list", "orders.eu"]);
    assert_eq!(list["messages"][0]["body"], "pears");
    let id = made[1]["id"].as_str().unwrap();
    assert_eq!(list["messages"][0]["id"], id);
    let groups = queue(folder, &["groups"]);
    assert_eq!(groups["groups"][0]["owner"], "alice");
    let unproved = [
        "queue",
        "prove",
        "orders.eu",
        "0",
        "--group",
        "billing",
        "--out",
        "no",
        "--store",
        OWN,
    ];
    assert_eq!(run(folder, &unproved).code, 1, "it isn't acknowledged");

    // From here on the views are kept, and go on where they were.
    queue(folder, &["topics", "--keep"]);
    assert!(folder.join("own.db.views").exists());
    let done = format!(
        r#"{{"action":"acknowledge","group":"billing","topic":"orders.eu","messages":[{{"offset":0,"id":"{id}"}}]}}"#
    );
    say(folder, &[("bob", &done)]);
    let got = queue(folder, &["get", "orders.eu", "0", "--group", "billing"]);
    assert_eq!(
        (&got["as_of"]["height"], &got["done"]["consumer"]),
        (&json!(2), &json!("bob"))
    );
    let log = queue(folder, &["log", "billing"]);
    assert_eq!(log["acknowledged"][0]["body"], "pears");
    assert_eq!(queue(folder, &["dead", "billing"])["dead"], json!([]));

    let proved = queue(
        folder,
        &[
            "prove",
            "orders.eu",
            "0",
            "--group",
            "billing",
            "--out",
            "delivered.json",
        ],
    );
    queue(folder, &["prove", "orders.eu", "0", "--out", "sent.json"]);
    let head = proved["head"].as_str().unwrap();
    let delivered = ok(
        folder,
        &["queue", "verify", "delivered.json", "--head", head],
    );
    assert_eq!(
        (&delivered["consumer"], &delivered["sent"]["height"]),
        (&json!("bob"), &json!(1))
    );
    let sent = ok(folder, &["queue", "verify", "sent.json", "--head", head]);
    assert_eq!(sent["body"], "pears");
    let wrong = run(folder, &["queue", "verify", "sent.json", "--head", id]);
    assert_eq!((wrong.code, &wrong.json["verdict"]), (3, &json!("invalid")));
    let unknown = run(folder, &["queue", "list", "nothing", "--store", OWN]);
    assert_eq!(unknown.code, 1);
    assert!(
        unknown.stderr.contains("there is no topic"),
        "{}",
        unknown.stderr
    );
}
