//! The registry of nodes: listed, looked up, proved, brought in from a file.

#[cfg(feature = "mpreg")]
use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::support::{OWN, THEN, key, ok, own_chain, produce, registered_chain, run, say};

fn names(answer: &Value, list: &str) -> Vec<String> {
    let nodes = answer[list].as_array().unwrap().iter();
    nodes
        .map(|node| node["name"].as_str().unwrap().to_owned())
        .collect()
}

fn found(folder: &std::path::Path, args: &[&str]) -> Vec<String> {
    let all = [&["registry"], args, &["--store", OWN]].concat();
    names(&ok(folder, &all), "nodes")
}

#[test]
fn nodes_are_listed_looked_up_and_proved_to_be_there_or_not() {
    let folder = registered_chain(&["hub"], "", "");
    let folder = folder.path();
    for name in ["east", "west"] {
        key(folder, name);
        let (pem, file) = (format!("{name}.pem"), format!("{name}.bin"));
        let joins = [
            "keys",
            "register",
            "--join",
            "--sender",
            name,
            "--role",
            "hub",
            "--region",
            name,
            "--capability",
            "routing",
        ];
        say(folder, &joins, &[&pem], &file);
    }
    say(
        folder,
        &["keys", "leave", "--sender", "west"],
        &["west.pem"],
        "leave.bin",
    );
    assert_eq!(found(folder, &["list"]), ["east"]);
    assert_eq!(
        found(folder, &["find", "--role", "hub", "--region", "west"]),
        [""; 0]
    );
    let alive = [
        "find",
        "--capability",
        "routing",
        "--member",
        "--alive",
        "--now",
    ];
    assert_eq!(found(folder, &[&alive[..], &[THEN]].concat()), ["east"]);
    assert_eq!(
        found(folder, &[&alive[..], &["2025-06-01T12:05:01Z"]].concat()),
        [""; 0]
    );
    let then = ok(folder, &["registry", "at", "2", "--store", OWN]);
    assert_eq!(names(&then, "active"), ["east", "west"]);
    let shown = ok(folder, &["registry", "show", "west", "--store", OWN]);
    assert_eq!(
        (&shown["standing"], &shown["life"]),
        (&json!("left"), &Value::Null)
    );
    assert_eq!(shown["events"].as_array().unwrap().len(), 2);
    let beyond = run(folder, &["registry", "at", "9", "--store", OWN]);
    assert_eq!(beyond.code, 1);

    let proofs = [
        "--registration",
        "tx.proof",
        "--row",
        "row.json",
        "--store",
        OWN,
    ];
    let proved = ok(
        folder,
        &[&["registry", "prove", "east"][..], &proofs].concat(),
    );
    let head = proved["row"]["head"].as_str().unwrap();
    assert_eq!(
        ok(folder, &["verify-proof", "tx.proof", "--head", head])["verdict"],
        "valid"
    );
    assert_eq!(
        ok(folder, &["verify-proof", "row.json", "--head", head])["standing"],
        "active"
    );
    let absent = [
        "registry",
        "prove",
        "nobody",
        "--row",
        "absent.proof",
        "--store",
        OWN,
    ];
    assert_eq!(ok(folder, &absent)["row"]["present"], false);
    let held = ok(folder, &["verify-proof", "absent.proof", "--head", head]);
    assert_eq!(
        (&held["verdict"], &held["present"]),
        (&json!("valid"), &json!(false))
    );
}

#[test]
fn a_registry_in_a_file_is_brought_onto_the_chain_and_compared_with_it() {
    let folder = registered_chain(&["hub"], "", "");
    let folder = folder.path();
    let (steward, foreign) = (key(folder, "steward"), key(folder, "foreign"));
    let file = json!({ "registered_hubs": {
        "global": { "hub_id": "global", "hub_tier": "global", "region": "eu", "connection_url": "ws://a", "max_clusters": 7 },
        "mine": { "role": "node", "public_key": steward, "capabilities": ["storage"] },
        "theirs": { "role": "node", "public_key": foreign },
    } });
    fs::write(folder.join("hubs.json"), file.to_string()).unwrap();
    let compare = ["registry", "compare", "hubs.json", "--store", OWN];
    let before = run(folder, &compare);
    assert_eq!(
        (
            before.code,
            before.json["differences"].as_array().unwrap().len()
        ),
        (1, 3)
    );
    let import = [
        "registry",
        "import",
        "hubs.json",
        "--join",
        "--store",
        OWN,
        "--at",
        THEN,
        "--key",
    ];
    let first = run(
        folder,
        &[&import[..], &["steward.pem", "--out", "a.bin"]].concat(),
    );
    assert_eq!(first.code, 1, "one has to sign for itself");
    assert_eq!(names(&first.json, "made"), ["global", "mine"]);
    assert_eq!(names(&first.json, "left_out"), ["theirs"]);
    ok(folder, &produce(&["a.bin"]));
    let only = json!({ "nodes": [file["registered_hubs"]["theirs"].clone()] });
    let mut only = only;
    only["nodes"][0]["node_id"] = "theirs".into();
    fs::write(folder.join("rest.json"), only.to_string()).unwrap();
    let rest = [
        "registry",
        "import",
        "rest.json",
        "--join",
        "--store",
        OWN,
        "--at",
        THEN,
    ];
    ok(
        folder,
        &[&rest[..], &["--key", "foreign.pem", "--out", "b.bin"]].concat(),
    );
    ok(folder, &produce(&["b.bin"]));
    let after = ok(folder, &compare);
    assert_eq!(
        (&after["equal"], &after["left_aside"]),
        (&json!(true), &json!(["max_clusters"]))
    );
    let again = [&import[..], &["steward.pem", "--out", "c.bin"]].concat();
    let again = ok(folder, &again);
    assert_eq!(again["already"], json!(["global", "mine", "theirs"]));
    assert!(!folder.join("c.bin").exists());
}

#[test]
fn where_the_chain_keeps_no_registrations_nodes_come_without_keys_and_no_absence_is_proved() {
    let folder = own_chain("[rules]\nidentity = \"open\"\n");
    let folder = folder.path();
    key(folder, "steward");
    fs::write(
        folder.join("hubs.json"),
        "[{\"hub_id\":\"a\"},{\"node_id\":\"b\",\"role\":\"node\"}]",
    )
    .unwrap();
    let import = [
        "registry",
        "import",
        "hubs.json",
        "--store",
        OWN,
        "--at",
        THEN,
    ];
    ok(
        folder,
        &[&import[..], &["--key", "steward.pem", "--out", "a.bin"]].concat(),
    );
    ok(folder, &produce(&["a.bin"]));
    ok(
        folder,
        &["registry", "compare", "hubs.json", "--store", OWN],
    );
    assert_eq!(
        found(folder, &["list", "--limit", "1", "--from", "1"]),
        ["b"]
    );
    let absent = [
        "registry",
        "prove",
        "nobody",
        "--row",
        "absent.proof",
        "--store",
        OWN,
    ];
    assert_eq!(run(folder, &absent).code, 1);
    let bad = run(folder, &["registry", "compare", "a.bin", "--store", OWN]);
    assert_eq!(bad.code, 1);
}

/// Who is there after a chain of MPREG's by its own database: whoever joined or registered with an object that names no action, and hasn't left since.
#[cfg(feature = "mpreg")]
fn active_by_database(path: &std::path::Path, chain: &str) -> BTreeSet<String> {
    let database = rusqlite::Connection::open(path).unwrap();
    let mut blocks = database
        .prepare("SELECT CAST(block_json AS TEXT) FROM blocks WHERE chain_id = ? ORDER BY height")
        .unwrap();
    let texts = blocks.query_map([chain], |row| row.get::<_, String>(0));
    let mut active = BTreeSet::new();
    for text in texts.unwrap() {
        let block: Value = serde_json::from_str(&text.unwrap()).unwrap();
        for transaction in block["transactions"].as_array().unwrap() {
            let payload = hex::decode(transaction["payload"].as_str().unwrap()).unwrap();
            let said = serde_json::from_slice::<Value>(&payload).unwrap_or_default();
            if said.get("action").is_some() {
                continue;
            }
            let sender = transaction["sender"].as_str().unwrap().to_owned();
            match transaction["operation_type"].as_str().unwrap() {
                "node_register" | "federation_join" if said.is_object() => active.insert(sender),
                "federation_leave" => active.remove(&sender),
                _ => continue,
            };
        }
    }
    active
}

#[cfg(feature = "mpreg")]
#[test]
fn an_imported_chain_has_the_nodes_that_its_database_tells_of() {
    let data = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../mpreg/tests/data/mpreg/federation.db"
    );
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::copy(data, folder.join("federation.db")).unwrap();
    let mut seen = 0;
    for chain in ["hub_registry", "fabric_governance", "message_routing"] {
        let store = format!("sqlite:{chain}.own");
        let import = ["import", "--mpreg", "federation.db", "--chain", chain];
        ok(folder, &[&import[..], &["--store", &store]].concat());
        let listed = ok(folder, &["registry", "list", "--store", &store]);
        let listed: BTreeSet<String> = names(&listed, "nodes").into_iter().collect();
        assert_eq!(
            listed,
            active_by_database(&folder.join("federation.db"), chain),
            "{chain}"
        );
        seen += listed.len();
    }
    assert!(seen > 3, "{seen} nodes");
}
