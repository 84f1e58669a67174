//! Names registered with keys that are exchanged, lost and recovered: made, told, proved.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{OWN, key, ok, produce, registered_chain, run, say, saying, specification_2};

/// A chain in which `alice` is registered with the key of her name, and `safe` may recover it.
fn with_alice(top: &str, more: &str) -> tempfile::TempDir {
    let folder = registered_chain(&["hub"], top, more);
    let path = folder.path();
    ["alice", "safe", "new"].iter().for_each(|name| {
        key(path, name);
    });
    let joins = ["keys", "register", "--sender", "alice"];
    let joins = [&joins[..], &["--recovery-key", "safe.pem"]].concat();
    say(path, &joins, &["alice.pem"], "register.bin");
    folder
}

fn shown(folder: &Path, more: &[&str]) -> Value {
    let show = ["keys", "show", "alice", "--store", OWN];
    ok(folder, &[&show[..], more].concat())
}

/// Numbers of the tenures that speak for alice at a height.
fn speaking(folder: &Path, at: u64) -> Vec<u64> {
    let shown = shown(folder, &["--at", &at.to_string()]);
    let speaking = shown["speaking"].as_array().unwrap().iter();
    speaking
        .map(|one| one["number"].as_u64().unwrap())
        .collect()
}

#[test]
fn who_holds_which_keys_is_told_at_every_height_of_a_life() {
    let folder = with_alice("", "");
    let folder = folder.path();
    let (alice, new, safe) = (
        key(folder, "alice"),
        key(folder, "new"),
        key(folder, "safe"),
    );
    let registered = shown(folder, &[]);
    assert_eq!(
        (
            &registered["standing"],
            &registered["since"],
            &registered["at"]
        ),
        (&json!("active"), &json!(1), &json!(2))
    );
    assert_eq!(
        registered["recovery"],
        json!({ "threshold": 1, "keys": [safe] })
    );
    // Digits and file name the same key.
    let rotate = ["keys", "rotate", "--sender", "alice", "--new-key"];
    let rotate = [&rotate[..], &[&new, "--effective", "4", "--grace", "2"]].concat();
    let made = say(folder, &rotate, &["alice.pem"], "rotate.bin");
    assert_eq!(
        made["meaning"],
        json!({ "action": "rotate", "public_key": new, "effective": 4, "grace": 2 })
    );
    let at: Vec<_> = (0..8).map(|height| speaking(folder, height)).collect();
    assert_eq!(
        at,
        [&[][..], &[0], &[0], &[0], &[1, 0], &[1, 0], &[1], &[1]]
    );
    let revoke = ["keys", "revoke", "--sender", "alice"];
    say(folder, &revoke, &["safe.pem"], "revoke.bin");
    let revoked = shown(folder, &[]);
    assert_eq!(revoked["standing"], "revoked");
    assert_eq!(revoked["speaking"], json!([]));
    let recover = [
        "keys",
        "recover",
        "--sender",
        "alice",
        "--new-key",
        "alice.pem",
    ];
    say(folder, &recover, &["safe.pem"], "recover.bin");
    let held = |number: u64, from: u64, until: Option<u64>, key: &str| json!({ "number": number, "from": from, "until": until, "threshold": 1, "keys": [key] });
    assert_eq!(
        shown(folder, &[])["tenures"],
        json!([
            held(2, 5, None, &alice),
            held(1, 4, Some(4), &new),
            held(0, 1, Some(4), &alice)
        ])
    );
    let leave = ["keys", "leave", "--sender", "alice"];
    say(folder, &leave, &["alice.pem"], "leave.bin");
    assert_eq!(shown(folder, &[])["standing"], "left");
    ok(folder, &["verify", "--store", OWN]);
}

#[test]
fn a_proof_of_keys_is_about_the_name_that_is_asked_for_and_no_other() {
    let folder = with_alice("", "");
    let folder = folder.path();
    for file in ["alice.proof", "alice.json"] {
        let shown = shown(folder, &["--prove", file]);
        let head = shown["head"].as_str().unwrap();
        let verify = ["verify-proof", file, "--head", head];
        let proven = ok(folder, &[&verify[..], &["--name", "alice"]].concat());
        assert_eq!(
            (&proven["row"], &proven["name"], &proven["tenures"]),
            (&json!("registration"), &json!("alice"), &json!(1))
        );
        let latest = &proven["latest"];
        assert_eq!(
            (&latest["from"], &latest["until"], &latest["keys"]),
            (&json!(1), &Value::Null, &json!([key(folder, "alice")]))
        );
        for other in [
            ["--name", "bob"],
            ["--account", "alice"],
            ["--parameter", "fee_min"],
        ] {
            let refused = run(folder, &[&verify[..], &other].concat());
            assert_eq!(
                (refused.code, &refused.json["reason"]),
                (3, &json!("proof"))
            );
        }
        assert_eq!(ok(folder, &["show", file])["says"]["tenures"], 1);
    }
    // At a height without keys the registration is proved, and of a name that never was that it isn't there.
    let early = shown(folder, &["--at", "0", "--prove", "early.proof"]);
    assert_eq!(early["proof"]["row"], "registration");
    assert_eq!(early["proof"]["since"], 1);
    let show = [
        "keys", "show", "nobody", "--store", OWN, "--prove", "n.proof",
    ];
    let nobody = ok(folder, &show);
    assert_eq!(nobody["standing"], "unregistered");
    let head = nobody["head"].as_str().unwrap();
    let verify = [
        "verify-proof",
        "n.proof",
        "--head",
        head,
        "--name",
        "nobody",
    ];
    let absent = ok(folder, &verify);
    assert_eq!(
        (&absent["row"], &absent["present"]),
        (&json!("registration"), &json!(false))
    );
}

#[test]
fn several_sign_for_a_name_each_on_a_machine_of_its_own() {
    let folder = registered_chain(&["hub"], "", "");
    let folder = folder.path();
    let board = ["a", "b", "c"];
    let keys = board.map(|name| key(folder, name));
    let mut register = vec!["keys", "register", "--sender", "board", "--threshold", "2"];
    register.extend(keys.iter().flat_map(|key| ["--new-key", key.as_str()]));
    register.extend(["--recovery-key", "a.pem", "--recovery-key", "b.pem"]);
    let alone = run(folder, &saying(&register, &["a.pem"], "alone.bin"));
    assert_eq!((alone.code, &alone.json["reason"]), (3, &json!("identity")));
    let cosigned = |args: &[&str], first: &str, second: &str, file: &str| {
        let (half, partial) = (format!("half-{file}"), [args, &["--partial"]].concat());
        ok(folder, &saying(&partial, &[first], &half));
        let cosign = ["tx", "--cosign", &half];
        say(folder, &cosign, &[second], file);
    };
    cosigned(&register, "a.pem", "c.pem", "register.bin");
    let message = [
        "tx",
        "--operation",
        "message",
        "--sender",
        "board",
        "--receiver",
        "bob",
    ];
    let one = run(folder, &saying(&message, &["a.pem"], "one.bin"));
    assert_eq!((one.code, &one.json["reason"]), (3, &json!("threshold")));
    cosigned(&message, "b.pem", "c.pem", "message.bin");
    // As long as too few recovery keys have signed, a revoked name counts as revoked.
    let revoke = ["keys", "revoke", "--sender", "board"];
    say(folder, &revoke, &["a.pem", "b.pem"], "revoke.bin");
    let recover = ["keys", "recover", "--sender", "board", "--new-key", "c.pem"];
    cosigned(&recover, "a.pem", "b.pem", "recover.bin");
    let shown = ok(folder, &["keys", "show", "board", "--store", OWN]);
    assert_eq!(shown["standing"], "active");
    assert_eq!(shown["speaking"][0]["keys"], json!([keys[2]]));
}

#[test]
fn a_name_joins_by_its_stake_or_by_the_word_of_a_member() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (alice, bob) = (key(folder, "alice"), key(folder, "bob"));
    let top = "joining = \"stake_or_attested\"\nstake_min = 100\n";
    let more = format!(
        "[rules]\nidentity = \"registered\"\nbalances = true\n[accounts.alice]\nbalance = 150\nkey = \"{alice}\"\n"
    );
    specification_2(folder, &["hub"], top, &more);
    ok(folder, &["init", "--store", OWN, "--spec", "own.toml"]);
    let join = ["keys", "register", "--join", "--sender", "alice", "--stake"];
    let poor = saying(&[&join[..], &["99"]].concat(), &["alice.pem"], "poor.bin");
    let poor = run(folder, &poor);
    assert_eq!((poor.code, &poor.json["reason"]), (3, &json!("stake")));
    let joined = say(
        folder,
        &[&join[..], &["100"]].concat(),
        &["alice.pem"],
        "a.bin",
    );
    assert_eq!(joined["operation"], "federation_join");
    let balance = ok(
        folder,
        &["balance", "alice", "--store", OWN, "--prove", "b.proof"],
    );
    assert_eq!(
        (&balance["balance"], &balance["stake"], &balance["nonce"]),
        (&json!(50), &json!(100), &json!(1))
    );
    assert_eq!(balance["speaker"], "registration");
    let head = balance["head"].as_str().unwrap();
    let verify = [
        "verify-proof",
        "b.proof",
        "--head",
        head,
        "--account",
        "alice",
    ];
    assert_eq!(ok(folder, &verify)["balance"], 50);
    // Of bob nobody knows anything yet.
    let nobody = ok(folder, &["balance", "bob", "--store", OWN]);
    assert_eq!(
        (&nobody["speaker"], &nobody["balance"]),
        (&json!("open"), &json!(0))
    );
    let attested = [
        "keys",
        "register",
        "--join",
        "--sender",
        "bob",
        "--attester",
        "alice",
    ];
    let early = run(folder, &saying(&attested, &["bob.pem"], "early.bin"));
    assert_eq!(early.json["reason"], "attestation");
    let attest = [
        "keys",
        "attest",
        "--sender",
        "alice",
        "--subject",
        "bob",
        "--new-key",
        &bob,
    ];
    let vouched = say(folder, &attest, &["alice.pem"], "attest.bin");
    assert_eq!(
        (&vouched["receiver"], &vouched["meaning"]["purpose"]),
        (&json!("bob"), &json!("membership"))
    );
    say(folder, &attested, &["bob.pem"], "bob.bin");
    let shown = ok(folder, &["keys", "show", "bob", "--store", OWN]);
    assert_eq!(
        (&shown["member"], &shown["stake"]),
        (&json!(true), &json!(0))
    );
    let retract = ["keys", "retract", "--sender", "alice", "--subject", "bob"];
    say(folder, &retract, &["alice.pem"], "retract.bin");
    let again = run(folder, &saying(&retract, &["alice.pem"], "again.bin"));
    assert_eq!(again.json["reason"], "attestation");
}

#[test]
fn what_breaks_a_rule_is_refused_by_its_word_and_written_nowhere() {
    let folder = with_alice("", "");
    let folder = folder.path();
    key(folder, "stranger");
    for (args, pem, reason) in [
        (
            &["register", "--sender", "alice"][..],
            "alice.pem",
            "registration",
        ),
        (
            &["rotate", "--sender", "alice", "--new-key", "alice.pem"],
            "alice.pem",
            "rotation",
        ),
        (
            &["rotate", "--sender", "hub", "--new-key", "new.pem"],
            "hub.pem",
            "registration",
        ),
        (&["revoke", "--sender", "alice"], "stranger.pem", "identity"),
        (
            &[
                "attest",
                "--sender",
                "alice",
                "--subject",
                "bob",
                "--new-key",
                "new.pem",
            ],
            "alice.pem",
            "member",
        ),
    ] {
        let args = [&["keys"], args].concat();
        let refused = run(folder, &saying(&args, &[pem], "refused.bin"));
        assert_eq!(
            (refused.code, &refused.json["reason"]),
            (3, &json!(reason)),
            "{args:?} {}",
            refused.stderr
        );
        assert!(!folder.join("refused.bin").exists());
    }
}

#[test]
fn what_the_chain_would_make_nothing_of_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    key(folder, "alice");
    let register = [
        "keys",
        "register",
        "--sender",
        "alice",
        "--nonce",
        "1",
        "--key",
        "alice.pem",
    ];
    let made = |more: &[&str]| run(folder, &[&register[..], &["--out", "a.bin"], more].concat());
    for (text, more, word) in [
        ("[rules]\nidentity = \"open\"\n", &[][..], "rules.identity"),
        ("", &["--json-payload"], "payload_json"),
    ] {
        specification_2(folder, &["hub"], "", text);
        let refused = made(&[&["--spec", "own.toml"], more].concat());
        assert_eq!(refused.code, 1, "{}", refused.json);
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
        assert!(!folder.join("a.bin").exists());
    }
    specification_2(folder, &["hub"], "payload_json = true", "");
    let json = made(&["--spec", "own.toml", "--json-payload"]);
    assert_eq!(json.code, 0, "{}", json.stderr);
    let payload = hex::decode(json.json["payload"].as_str().unwrap()).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(payload["public_key"], key(folder, "alice"));
    assert_eq!(json.json["meaning"]["action"], "register");
}

#[test]
fn a_key_is_its_digits_or_its_file_and_nothing_that_looks_like_one() {
    let folder = with_alice("", "");
    let folder = folder.path();
    let rotate = |key: &str| {
        let args = ["keys", "rotate", "--sender", "alice", "--new-key", key];
        run(folder, &saying(&args, &["alice.pem"], "r.bin"))
    };
    let digits = key(folder, "new");
    for wrong in [&digits[1..], &digits.to_uppercase()] {
        let refused = rotate(wrong);
        assert_eq!((refused.code, &refused.json["error"]), (2, &json!("usage")));
    }
    let missing = rotate("missing.pem");
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("missing.pem"), "{}", missing.stderr);
    // A point of small order, for which no signature is accepted.
    let weak = format!("01{}", "0".repeat(62));
    let weak = rotate(&weak);
    assert_eq!(weak.code, 1);
    assert!(weak.stderr.contains("keys: 01"), "{}", weak.stderr);
    let none = ["keys", "rotate", "--sender", "alice"];
    let none = run(folder, &saying(&none, &["alice.pem"], "r.bin"));
    assert!(none.stderr.contains("--new-key"), "{}", none.stderr);
}

#[test]
fn what_a_transaction_says_is_shown_and_stays_out_of_a_draft() {
    let folder = with_alice("", "");
    let folder = folder.path();
    let rotate = [
        "keys",
        "rotate",
        "--sender",
        "alice",
        "--new-key",
        "new.pem",
    ];
    let made = ok(folder, &saying(&rotate, &["alice.pem"], "r.json"));
    let shown = ok(folder, &["show", "r.json"]);
    assert_eq!(shown["meaning"], made["meaning"]);
    let draft = ["tx", "--draft", "r.json", "--fee", "3"];
    say(folder, &draft, &["alice.pem"], "again.bin");
    let id = ok(folder, &["show", "again.bin"])["id"].clone();
    let found = ok(
        folder,
        &["get", "--store", OWN, "--tx", id.as_str().unwrap()],
    );
    assert_eq!(found["meaning"], made["meaning"]);
    // The same bytes in another operation say nothing.
    let payload = made["payload"].as_str().unwrap();
    let message = [
        "tx",
        "--operation",
        "message",
        "--sender",
        "alice",
        "--receiver",
        "bob",
    ];
    let message = [&message[..], &["--payload-hex", payload]].concat();
    let opaque = ok(folder, &saying(&message, &["new.pem"], "m.bin"));
    assert!(opaque.get("meaning").is_none(), "{opaque}");
    fs::remove_file(folder.join("m.bin")).unwrap();
    ok(folder, &produce(&["--allow-empty"]));
}
