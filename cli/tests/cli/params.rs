//! What a chain goes by: shown, proved, and changed by its members.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{OWN, key, ok, produce, registered_chain, run, say, saying};

const CHANGEABLE: &str = "changeable = [\"fee_min\", \"block_time_us\", \"members\"]\n";

fn chain(authorities: &[&str]) -> tempfile::TempDir {
    registered_chain(authorities, CHANGEABLE, "")
}

fn show(folder: &Path, more: &[&str]) -> Value {
    ok(
        folder,
        &[&["params", "show", "--store", OWN][..], more].concat(),
    )
}

fn fee_at(folder: &Path, at: &str) -> Value {
    show(folder, &["--parameter", "fee_min", "--at", at])["parameters"]["fee_min"].clone()
}

const PROPOSE: [&str; 10] = [
    "params",
    "propose",
    "--sender",
    "hub",
    "--parameter",
    "fee_min",
    "--value",
    "5",
    "--effective",
    "4",
];

#[test]
fn a_change_is_proposed_approved_shown_and_proved() {
    let folder = chain(&["hub", "hub-2", "hub-3"]);
    let folder = folder.path();
    let proposal = say(folder, &PROPOSE, &["hub.pem"], "p.bin");
    let id = proposal["id"].as_str().unwrap();
    let open = show(folder, &[]);
    assert_eq!(open["approvals_needed"], 3);
    assert_eq!(
        open["proposals"],
        json!([{ "proposer": "hub", "proposal": id, "parameter": "fee_min", "value": 5, "effective": 4, "approvals": ["hub"] }])
    );
    for member in ["hub-2", "hub-3"] {
        let approve = ["params", "approve", "--proposer", "hub", "--proposal", id];
        let approve = [&approve[..], &["--sender", member]].concat();
        say(
            folder,
            &approve,
            &[&format!("{member}.pem")],
            &format!("{member}.bin"),
        );
    }
    assert_eq!(show(folder, &[])["proposals"], json!([]));
    let (before, after) = (fee_at(folder, "3"), fee_at(folder, "4"));
    assert_eq!(
        (&before["value"], &before["by"], &before["until"]),
        (&json!(0), &json!("specification"), &json!(4))
    );
    assert_eq!(before["later"], json!([{ "from": 4, "value": 5 }]));
    assert_eq!(
        (
            &after["value"],
            &after["by"],
            &after["since"],
            &after["until"]
        ),
        (&json!(5), &json!("change"), &json!(4), &Value::Null)
    );
    // The next block is the fourth: its smallest fee comes by itself.
    let message = [
        "tx",
        "--operation",
        "message",
        "--sender",
        "hub",
        "--receiver",
        "bob",
    ];
    assert_eq!(say(folder, &message, &["hub.pem"], "m.bin")["fee"], 5);
    for (at, from) in [("3", 4), ("9", 4)] {
        let told = show(
            folder,
            &["--parameter", "fee_min", "--at", at, "--prove", "f.proof"],
        );
        let head = told["head"].as_str().unwrap();
        let verify = ["verify-proof", "f.proof", "--head", head, "--parameter"];
        let proven = ok(folder, &[&verify[..], &["fee_min"]].concat());
        assert_eq!(
            (
                &proven["row"],
                &proven["from"],
                &proven["value"],
                &proven["before_from"]
            ),
            (&json!("parameter"), &json!(from), &json!(5), &Value::Null)
        );
        let other = run(folder, &[&verify[..], &["block_time_us"]].concat());
        assert_eq!(other.code, 3);
    }
    // What was never changed has no row.
    let told = show(
        folder,
        &["--parameter", "block_time_us", "--prove", "b.proof"],
    );
    assert_eq!(told["proof"]["present"], false);
}

#[test]
fn members_are_read_from_toml_and_from_json_alike() {
    let folder = chain(&["hub", "hub-2"]);
    let folder = folder.path();
    let (hub, other) = (key(folder, "hub"), key(folder, "hub-2"));
    let list = json!([{ "name": "hub-2", "key": other }, { "name": "hub", "key": hub }]);
    let table = format!(
        "[[members]]\nname = \"hub-2\"\nkey = \"{other}\"\n[[members]]\nname = \"hub\"\nkey = \"{hub}\"\n"
    );
    fs::write(folder.join("members.json"), list.to_string()).unwrap();
    fs::write(folder.join("members.toml"), table).unwrap();
    let propose = |file: &str| {
        let args = [
            "params",
            "propose",
            "--sender",
            "hub",
            "--parameter",
            "members",
        ];
        let args = [
            &args[..],
            &["--effective", "9", "--value", file, "--dry-run"],
        ]
        .concat();
        let signed = ["--key", "hub.pem", "--store", OWN, "--nonce", "7"];
        run(folder, &[&args[..], &signed].concat())
    };
    for file in ["members.json", "members.toml"] {
        let made = propose(file);
        assert_eq!(made.code, 0, "{}", made.stderr);
        assert_eq!(made.json["meaning"]["value"], list, "{file}");
    }
    for (file, text, word) in [
        ("wrong.toml", "[[members]]\nname = \"hub\"\n", "key"),
        ("wrong.json", "[{\"name\": 1}]", "string"),
        ("empty", "", "members"),
    ] {
        fs::write(folder.join(file), text).unwrap();
        let refused = propose(file);
        assert_eq!(refused.code, 1, "{}", refused.json);
        let told = &refused.stderr;
        assert!(told.contains(file) && told.contains(word), "{told}");
    }
    let number = propose("7");
    assert!(
        number.stderr.contains("a file with all of them"),
        "{}",
        number.stderr
    );
    // Each member has at least one vote, but a name that is nobody's has none.
    let many = (0..257).map(|number| json!({ "name": format!("n{number}"), "key": hub }));
    fs::write(
        folder.join("many.json"),
        many.collect::<Value>().to_string(),
    )
    .unwrap();
    let many = propose("many.json");
    assert_eq!(many.code, 1);
    assert!(many.stderr.contains("256"), "{}", many.stderr);
}

#[test]
fn what_breaks_a_rule_is_refused_by_its_word() {
    let folder = chain(&["hub"]);
    let folder = folder.path();
    let propose = |parameter: &str, value: &str, effective: &str| {
        let args = [
            "params",
            "propose",
            "--sender",
            "hub",
            "--parameter",
            parameter,
        ];
        let args = [&args[..], &["--value", value, "--effective", effective]].concat();
        run(folder, &saying(&args, &["hub.pem"], "p.bin"))
    };
    let fixed = propose("witnesses_max", "9", "9");
    assert_eq!(
        (fixed.code, &fixed.json["reason"]),
        (3, &json!("parameter"))
    );
    let late = propose("fee_min", "1", "1");
    assert_eq!((late.code, &late.json["reason"]), (3, &json!("proposal")));
    let unknown = propose("fees", "1", "9");
    assert_eq!((unknown.code, &unknown.json["error"]), (2, &json!("usage")));
    let text = propose("fee_min", "much", "9");
    assert_eq!(text.code, 1);
    assert!(
        text.stderr.contains("fee_min: much is not a number"),
        "{}",
        text.stderr
    );
    let id = "0".repeat(64);
    let approve = [
        "params",
        "approve",
        "--proposer",
        "hub",
        "--proposal",
        &id,
        "--sender",
        "hub",
    ];
    let absent = run(folder, &saying(&approve, &["hub.pem"], "a.bin"));
    assert_eq!(
        (absent.code, &absent.json["reason"]),
        (3, &json!("proposal"))
    );
    let proof = run(folder, &["params", "show", "--store", OWN, "--prove", "p"]);
    assert_eq!((proof.code, &proof.json["error"]), (2, &json!("usage")));
    ok(folder, &produce(&["--allow-empty"]));
}
