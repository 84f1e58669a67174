//! The cache, state updates, the audit and performance records on the command line.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{OWN, THEN, key, ok, own_chain, produce, run};

/// A block in which each says something in a transaction of an operation.
fn say(folder: &Path, block: u32, said: &[(&str, &str, &str)]) -> Vec<Value> {
    let mut made = Vec::new();
    let mut files = Vec::new();
    for (number, (sender, operation, payload)) in said.iter().enumerate() {
        let (pem, file) = (format!("{sender}.pem"), format!("{block}-{number}.bin"));
        key(folder, sender);
        let fields = ["tx", "--operation", operation, "--sender", sender];
        let more = ["--receiver", "bob", "--payload", payload, "--at", THEN];
        let into = ["--key", &pem, "--store", OWN, "--out", &file];
        made.push(ok(folder, &[&fields[..], &more, &into].concat()));
        files.push(file);
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    ok(folder, &produce(&files));
    made
}

fn ask(folder: &Path, args: &[&str]) -> Value {
    ok(folder, &[args, &["--store", OWN]].concat())
}

const PUT: &str = r#"{"action":"cache_put","namespace":"users","key":"alice","value":"1"}"#;
const INVALIDATE: &str = r#"{"action":"cache_invalidate","namespace":"users","key":"alice"}"#;
const LOAD: &str = r#"{"action":"state_update","update_type":"load","version":1,"state":"low"}"#;
const TRADE: &str = r#"{"action":"enqueue","topic":"trades","body":"pears"}"#;
const RECORD: &str =
    r#"{"action":"performance_record","start":1,"end":9,"figures":{"latency_us":250}}"#;

#[test]
fn what_stands_in_the_cache_is_told_and_proved() {
    let folder = own_chain("");
    let folder = folder.path();
    let put = &say(folder, 1, &[("alice", "message", PUT)])[0];
    let told = ask(folder, &["cache", "get", "users", "alice"]);
    assert_eq!(
        (&told["entry"]["value"], &told["entry"]["id"]),
        (&json!("1"), &put["id"])
    );
    let missed = ask(folder, &["cache", "since", "users", "--from", "1"]);
    assert_eq!(missed["entries"][0]["key"], "alice");
    assert_eq!(missed["next"], Value::Null);

    let proven = ask(
        folder,
        &["cache", "prove", "users", "alice", "--out", "alice.cache"],
    );
    let root = proven["root"].as_str().unwrap();
    let verdict = ok(folder, &["cache", "verify", "alice.cache", "--root", root]);
    assert_eq!(
        (&verdict["verdict"], &verdict["standing"]["id"]),
        (&json!("valid"), &put["id"])
    );
    let other = run(
        folder,
        &["cache", "verify", "alice.cache", "--root", &"0".repeat(64)],
    );
    assert_eq!((other.code, &other.json["verdict"]), (3, &json!("invalid")));
    let absent = ask(
        folder,
        &["cache", "prove", "users", "bob", "--out", "bob.cache"],
    );
    assert_eq!(absent["standing"], Value::Null);
    ok(folder, &["cache", "verify", "bob.cache", "--root", root]);

    let checkpoint = format!(r#"{{"action":"cache_checkpoint","height":1,"root":"{root}"}}"#);
    let word = &say(folder, 2, &[("carol", "message", &checkpoint)])[0];
    let again = ask(
        folder,
        &["cache", "prove", "users", "alice", "--out", "again.cache"],
    );
    assert_eq!(
        (&again["root"], &again["vouching"][0]["id"]),
        (&json!(root), &word["id"])
    );
    say(folder, 3, &[("dave", "message", INVALIDATE)]);
    let gone = run(folder, &["cache", "get", "users", "alice", "--store", OWN]);
    assert_eq!((gone.code, &gone.json["entry"]["value"]), (1, &Value::Null));
}

#[test]
fn a_peer_gets_updates_since_a_block_and_parts_of_one() {
    let folder = own_chain("");
    let folder = folder.path();
    say(folder, 1, &[("alice", "node_update", LOAD)]);
    let first = ok(folder, &["get", "--store", OWN, "--head"]);
    let said = [
        ("carol", "message", TRADE),
        ("dave", "federation_join", "{}"),
        ("erin", "message", "x"),
    ];
    let made = say(folder, 2, &said);
    let hash = first["hash"].as_str().unwrap();
    let all = [
        "updates",
        "since",
        hash,
        "--nodes",
        "--registry",
        "--topic",
        "trades",
    ];
    let told = ask(folder, &all);
    let updates = told["updates"].as_array().unwrap();
    let streams: Vec<&Value> = updates.iter().map(|update| &update["stream"]).collect();
    let mut sorted: Vec<&str> = streams.iter().map(|one| one.as_str().unwrap()).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, ["message", "registry"]);
    let one = ask(folder, &[&all[..], &["--limit", "1"]].concat());
    assert_eq!(one["next"]["height"], 2);
    let unknown = run(
        folder,
        &[
            "updates",
            "since",
            &"7".repeat(64),
            "--nodes",
            "--store",
            OWN,
        ],
    );
    assert_eq!(unknown.code, 1);

    let id = made[2]["id"].as_str().unwrap();
    let parts = ask(folder, &["updates", "parts", "2", id, &"7".repeat(64)]);
    assert_eq!(parts["found"][0]["id"], made[2]["id"]);
    assert_eq!(parts["absent"], json!(["7".repeat(64)]));
}

#[test]
fn the_audit_is_filtered_exported_and_proved() {
    let folder = own_chain("");
    let folder = folder.path();
    let said = [
        ("alice", "federation_join", "{}"),
        ("carol", "node_update", LOAD),
    ];
    let made = say(folder, 1, &said);
    let told = ask(folder, &["audit", "--actor", "alice", "--prove"]);
    let [line] = told["lines"].as_array().unwrap().as_slice() else {
        panic!("{told}")
    };
    assert_eq!(
        (&line["act"], &line["id"]),
        (&json!("join"), &made[0]["id"])
    );
    fs::write(folder.join("line.json"), line["proof"].to_string()).unwrap();
    let head = told["as_of"]["hash"].as_str().unwrap();
    let verdict = ok(folder, &["verify-proof", "line.json", "--head", head]);
    assert_eq!(verdict["transaction"], made[0]["id"]);

    ask(
        folder,
        &["audit", "--act", "update", "--out", "export.jsonl"],
    );
    let text = fs::read_to_string(folder.join("export.jsonl")).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["source"], &lines[0]["actor"]),
        (&json!("chain"), &json!("carol"))
    );
    assert_eq!(
        run(folder, &["audit", "--act", "dance", "--store", OWN]).code,
        2
    );

    fs::write(
        folder.join("local.jsonl"),
        "{\"source\":\"hub\",\"number\":3}\n",
    )
    .unwrap();
    let damaged = run(folder, &["audit", "--local", "local.jsonl", "--store", OWN]);
    assert_eq!(damaged.code, 1);
    assert!(damaged.stderr.contains("line 1"), "{}", damaged.stderr);
}

#[test]
fn records_are_told_by_hub_and_time() {
    let folder = own_chain("");
    let folder = folder.path();
    say(folder, 1, &[("alice", "message", RECORD)]);
    let told = ask(folder, &["records", "--hub", "alice"]);
    assert_eq!(told["records"][0]["figures"]["latency_us"], 250);
    assert_eq!(told["summaries"][0]["mean"], 250.0);
    assert_eq!(
        ask(folder, &["records", "--from", "10"])["records"],
        json!([])
    );
}
