//! Pruning on the command line, and proofs of what was pruned.

use std::path::Path;

use serde_json::Value;

use crate::support::{generate, ok, run};

/// Stores with files, one of each backend.
pub(crate) const STORES: [&str; 2] = ["log:store", "sqlite:store.db"];

/// A store of 41 blocks, and the head.
fn store(folder: &Path, url: &str) -> Value {
    generate(folder, "a.hlb", 400, 10);
    ok(folder, &["import", "a.hlb", "--store", url])["head"].clone()
}

/// The id of a transaction of a block.
fn transaction(folder: &Path, url: &str, height: &str, index: usize) -> String {
    let block = ok(folder, &["get", "--store", url, "--block", height]);
    block["transactions"][index]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_pruned_transaction_is_proved_by_an_old_proof_and_by_its_bytes() {
    for url in STORES {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let head = store(folder, url);
        let head = head.as_str().unwrap();
        let old_head = &ok(folder, &["get", "--store", url, "--block", "30"])["hash"];
        let old_head = old_head.as_str().unwrap();
        let id = transaction(folder, url, "7", 3);
        let id = id.as_str();
        let prove = ["prove", "--store", url, "--tx", id, "--out", "old.proof"];
        ok(folder, &[&prove[..], &["--head", old_head]].concat());
        let get = ["get", "--store", url, "--tx", id, "--out", "tx.bin"];
        ok(folder, &get);
        assert_eq!(run(folder, &get).code, 1, "an existing file is left alone");

        let before = ok(folder, &["stats", "--store", url]);
        let pruned = ok(
            folder,
            &["prune", "--store", url, "--keep", "5", "--keep-leaves"],
        );
        assert_eq!(
            (&pruned["floor"], &pruned["blocks"]),
            (&36.into(), &41.into())
        );
        assert_eq!(pruned["leaves_kept"], 350);
        let after = ok(folder, &["stats", "--store", url]);
        assert_eq!(
            (&after["floor"], &after["header_floor"]),
            (&36.into(), &0.into())
        );
        assert_eq!(after["head"].as_str(), Some(head));
        let on_disk = |stats: &Value| stats["bytes_on_disk"].as_u64().unwrap();
        assert!(on_disk(&after) < on_disk(&before), "{url}");

        assert_eq!(
            run(folder, &prove).code,
            1,
            "there is no body to prove from"
        );
        let carry = [
            "prove",
            "--store",
            url,
            "--carry",
            "old.proof",
            "--out",
            "a.proof",
        ];
        let bytes = [
            "prove",
            "--store",
            url,
            "--transaction",
            "tx.bin",
            "--out",
            "b.proof",
        ];
        for (args, file) in [(carry, "a.proof"), (bytes, "b.proof")] {
            let about = ok(folder, &args);
            assert_eq!((&about["height"], &about["index"]), (&7.into(), &3.into()));
            let proof = ["verify-proof", file, "--head", head, "--tx", id];
            assert_eq!(ok(folder, &proof)["height"], 7, "{url}");
        }
        let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
        assert_eq!(read("a.proof"), read("b.proof"));
    }
}

#[test]
fn a_policy_is_read_from_a_file() {
    for url in STORES {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        store(folder, url);
        let prune = ["prune", "--store", url, "--policy", "policy.toml"];
        assert_eq!(run(folder, &prune).code, 1, "there is no such file");
        for wrong in ["bodies = 3", "budget = 1", "bodies = { from = 99 }"] {
            std::fs::write(folder.join("policy.toml"), wrong).unwrap();
            let refused = run(folder, &prune);
            assert_eq!(refused.code, 1, "{wrong}");
        }
        assert_eq!(ok(folder, &["stats", "--store", url])["floor"], 0);
        std::fs::write(folder.join("policy.toml"), "bodies = { last = 7 }").unwrap();
        assert_eq!(ok(folder, &prune)["floor"], 34);
        assert_eq!(
            ok(folder, &["prune", "--store", url, "--below", "36"])["floor"],
            36
        );
        // Blocks are made up, of a time long ago.
        let aged = [
            "prune",
            "--store",
            url,
            "--older-than",
            "1day",
            "--keep-at-least",
            "2",
        ];
        assert_eq!(ok(folder, &aged)["floor"], 39);
        assert_eq!(run(folder, &["prune", "--store", url]).code, 2);
    }
}

#[test]
fn a_budget_that_cannot_be_met_removes_nothing_and_the_smallest_that_can_is_met() {
    for url in STORES {
        for leaves in [&[][..], &["--keep-leaves"]] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            generate(folder, "a.hlb", 10_000, 50);
            ok(folder, &["import", "a.hlb", "--store", url]);
            let before = ok(folder, &["stats", "--store", url]);
            let prune = |budget: &str| {
                let args = ["prune", "--store", url, "--budget", budget];
                run(folder, &[&args[..], leaves].concat())
            };
            let mut least = String::new();
            for budget in ["0", "1", "50000"] {
                let refused = prune(budget);
                assert_eq!(refused.code, 1, "{url}");
                let detail = refused.json["detail"].as_str().unwrap();
                let named = format!("a budget of {budget} bytes can't be met");
                assert!(detail.contains(&named), "{detail}");
                assert!(refused.stderr.contains(&named), "{}", refused.stderr);
                let number = detail.split("about ").nth(1).unwrap();
                least = number.split(',').next().unwrap().to_owned();
                let after = ok(folder, &["stats", "--store", url]);
                for part in ["floor", "index_floor", "header_floor", "bodies"] {
                    assert_eq!(after[part], before[part], "{url} {budget}");
                }
            }
            let on_disk = before["bytes_on_disk"].as_u64().unwrap();
            let bytes: u64 = least.parse().unwrap();
            assert!(bytes < on_disk * 3 / 4, "{bytes} of {on_disk}");
            let met = prune(&least);
            assert_eq!(met.code, 0, "{url}: {} {}", met.json, met.stderr);
            assert_eq!(met.json["within_budget"], true);
            assert!(met.json["bytes_on_disk"].as_u64().unwrap() <= bytes);
            ok(folder, &["verify", "--store", url]);
        }
    }
}

#[test]
fn what_was_archived_is_restored_into_every_backend() {
    for url in STORES {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let head = store(folder, url);
        let prune = [
            "prune",
            "--store",
            url,
            "--keep",
            "5",
            "--archive",
            "archive",
        ];
        assert_eq!(ok(folder, &prune)["archived"], 36);
        assert_eq!(ok(folder, &prune)["archived"], 0);
        for (number, scheme) in ["log", "sqlite"].iter().enumerate() {
            let target = format!("{scheme}:restored-{number}");
            let restore = ["restore", "--archive", "archive", "--store", &target];
            let alone = ok(folder, &[&restore[..], &["--threads", "1"]].concat());
            assert_eq!(
                (&alone["blocks"], &alone["archived"]),
                (&36.into(), &35.into())
            );
            let whole = ok(folder, &[&restore[..], &["--then", url]].concat());
            assert_eq!((&whole["head"], &whole["further"]), (&head, &5.into()));
            assert_eq!(
                ok(folder, &["verify", "--store", &target])["transactions"],
                400
            );
        }
        let itself = ["restore", "--archive", "archive", "--store", url];
        assert_eq!(run(folder, &itself).code, 1);
        // A damaged archive is damage, something else is a failure; both name the file.
        let file = "archive/blocks-000000000000.hlb.zst";
        let mut bytes = std::fs::read(folder.join(file)).unwrap();
        bytes[1000] ^= 1;
        std::fs::write(folder.join(file), bytes).unwrap();
        let restore = ["restore", "--archive", "archive", "--store", "log:third"];
        let damaged = run(folder, &restore);
        assert_eq!(damaged.code, 4);
        assert!(damaged.stderr.contains(file), "{}", damaged.stderr);
        let absent = ["restore", "--archive", "absent", "--store", "log:third"];
        assert_eq!(run(folder, &absent).code, 1);
        assert!(!folder.join("third").exists());
    }
}

#[test]
fn a_chain_is_migrated_and_backed_up() {
    for url in STORES {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let head = store(folder, url);
        for target in ["sqlite:copy.db", "log:copy"] {
            let migrated = ok(folder, &["migrate", "--from", url, "--to", target]);
            assert_eq!(
                (&migrated["head"], &migrated["blocks"]),
                (&head, &41.into())
            );
            assert_eq!(migrated["equal"]["ids"], 41);
            assert_eq!(ok(folder, &["verify", "--store", target])["head"], head);
            let again = run(folder, &["migrate", "--from", url, "--to", target]);
            assert_eq!(again.code, 1, "the target is not empty");
        }
        ok(
            folder,
            &["prune", "--store", url, "--keep", "3", "--keep-leaves"],
        );
        let backup = ["backup", "--store", url, "--to", "sqlite:backup.db"];
        assert_eq!(ok(folder, &backup)["floor"], 38);
        assert_eq!(
            ok(folder, &["stats", "--store", "sqlite:backup.db"])["head"],
            head
        );
        assert_eq!(
            run(folder, &["migrate", "--from", url, "--to", url]).code,
            1
        );
        let absent = ["migrate", "--from", "log:absent", "--to", "log:never"];
        assert_eq!(run(folder, &absent).code, 1);
        assert!(!folder.join("never").exists());
        let known = ["migrate", "--from", url, "--to", "mysql:x"];
        assert_eq!(run(folder, &known).code, 2);
    }
}

/// Flips a byte in the middle of the store's largest file.
fn damage(folder: &Path, url: &str) -> std::path::PathBuf {
    let place = folder.join(url.split_once(':').unwrap().1);
    let files: Vec<_> = match place.is_dir() {
        true => std::fs::read_dir(&place)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect(),
        false => vec![place],
    };
    let largest = files
        .into_iter()
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&largest, bytes).unwrap();
    largest
}

#[test]
fn a_check_lists_all_damage_and_a_repair_invents_nothing() {
    for url in STORES {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let head = store(folder, url);
        let check = ["check", "--store", url];
        let sound = ok(folder, &check);
        assert_eq!(
            (&sound["sound"], &sound["damage"]),
            (&true.into(), &Value::Array(vec![]))
        );
        assert_eq!(sound["bodies"], 41);
        assert_eq!(sound["index_entries"], 400);
        assert_eq!(
            (&sound["chain"]["verdict"], &sound["chain"]["head"]),
            (&"valid".into(), &head)
        );
        ok(folder, &["prune", "--store", url, "--keep", "30"]);
        let pruned = ok(folder, &check);
        assert_eq!(pruned["bodies"], 30);
        assert_eq!(pruned["chain"]["bodies_from"], 11);
        assert_eq!(
            ok(folder, &["check", "--store", url, "--repair"])["sound"],
            true
        );
        let file = damage(folder, url);
        for check in [&check[..], &["check", "--store", url, "--repair"]] {
            let damaged = run(folder, check);
            assert_eq!(damaged.code, 4, "{url}: {}", damaged.json);
            let list = damaged.json["damage"].as_array().unwrap();
            assert!(!list.is_empty());
            assert_eq!(damaged.json["damage_found"], list.len());
            let name = file.file_name().unwrap().to_str().unwrap();
            let named = |damage: &Value| damage["file"].as_str().unwrap().contains(name);
            assert!(list.iter().any(named), "{url}: {list:?}");
            assert!(damaged.stderr.contains(name));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let absent = run(folder.path(), &["check", "--store", "log:absent"]);
    assert_eq!(absent.code, 1);
}

#[test]
fn a_verification_of_a_pruned_store_says_what_it_covers() {
    for url in STORES {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let head = store(folder, url);
        ok(folder, &["prune", "--store", url, "--keep", "5"]);
        let verified = ok(folder, &["verify", "--store", url]);
        assert_eq!(
            (&verified["head"], &verified["blocks"]),
            (&head, &41.into())
        );
        let from = ["headers_from", "bodies_from", "rules_from"].map(|name| verified[name].clone());
        assert_eq!(from, [0, 36, 41].map(Value::from));
    }
}

/// Runs the program with a limit on the size of the files that it writes, in units of 512 or 1,024 bytes.
#[cfg(unix)]
fn run_limited(folder: &Path, args: &[&str], limit: u32) -> (i32, String) {
    let program = env!("CARGO_BIN_EXE_hubledger");
    // Without the signal a write beyond the limit fails, as on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$0\" \"$@\"");
    let output = std::process::Command::new("sh")
        .args(["-c", &script, program, "--json"])
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code().expect("was not killed"), stderr)
}

#[cfg(unix)]
#[test]
fn a_full_disk_stops_an_archiving_before_anything_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let url = "log:store";
    let head = store(folder, url);
    let prune = [
        "prune",
        "--store",
        url,
        "--keep",
        "5",
        "--archive",
        "archive",
    ];
    let (code, stderr) = run_limited(folder, &prune, 48);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("archive/blocks-000000000000.hlb.zst"),
        "{stderr}"
    );
    let stats = ok(folder, &["stats", "--store", url]);
    assert_eq!((&stats["head"], &stats["floor"]), (&head, &0.into()));
    // With room it goes on, over what was left.
    assert_eq!(ok(folder, &prune)["archived"], 36);
    let restore = [
        "restore",
        "--archive",
        "archive",
        "--then",
        url,
        "--store",
        "log:new",
    ];
    assert_eq!(ok(folder, &restore)["head"], head);
}

#[test]
fn pruning_waits_for_followers_and_names_the_one() {
    use hubledger::engine::Engine;
    use hubledger_storage::StoreUrl;

    for url in STORES {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        store(folder, url);
        let (scheme, place) = url.split_once(':').unwrap();
        let place: StoreUrl = format!("{scheme}:{}", folder.join(place).display())
            .parse()
            .unwrap();
        let engine = Engine::builder().threads(1).open(place.open().unwrap());
        let engine = engine.unwrap();
        engine.register("search", 12).unwrap();
        engine.register("audit", 41).unwrap();
        engine.register("new", 0).unwrap();
        engine.shutdown().unwrap();
        drop(engine);

        let list = ["followers", "--store", url];
        let listed = ok(folder, &list);
        let row = |index: usize| {
            let follower = &listed["followers"][index];
            let field = |name: &str| follower[name].clone();
            (field("name"), field("height"), field("behind"))
        };
        assert_eq!(row(0), ("audit".into(), 40.into(), 0.into()));
        assert_eq!(row(1), ("new".into(), Value::Null, 41.into()));
        assert_eq!(row(2), ("search".into(), 11.into(), 29.into()));
        assert_eq!(
            (&listed["blocks"], &listed["removed"]),
            (&41.into(), &Value::Null)
        );

        let prune = ["prune", "--store", url, "--keep", "5"];
        let held = run(folder, &prune);
        assert_eq!((held.code, &held.json["floor"]), (0, &0.into()));
        assert_eq!(held.json["held_back_by"]["name"], "new");
        assert_eq!(held.json["held_back_by"]["height"], 0);
        assert!(held.stderr.contains("follower new"), "{}", held.stderr);
        let remove = |name: &str| run(folder, &[&list[..], &["--remove", name]].concat());
        let removed = remove("new");
        assert_eq!((removed.code, &removed.json["removed"]), (0, &"new".into()));
        assert_eq!(removed.json["followers"].as_array().unwrap().len(), 2);
        let again = remove("new");
        assert_eq!((again.code, &again.json["error"]), (1, &"failed".into()));
        let held = ok(folder, &prune);
        assert_eq!(
            (&held["floor"], &held["held_back_by"]["name"]),
            (&12.into(), &"search".into())
        );
        assert_eq!(remove("search").code, 0);
        let pruned = ok(folder, &prune);
        assert_eq!(
            (&pruned["floor"], &pruned["held_back_by"]),
            (&36.into(), &Value::Null)
        );
        assert_eq!(ok(folder, &["check", "--store", url])["sound"], true);
    }
}

#[test]
fn what_was_pruned_and_refused_is_in_the_hubs_own_log_beside_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    store(folder, "log:store");
    let prune = ["prune", "--store", "log:store", "--keep", "5"];
    ok(folder, &[&prune[..], &["--audit", "audit.jsonl"]].concat());
    // The same chain, but other blocks: its first one doesn't belong where the others are.
    generate(folder, "other.hlb", 400, 20);
    let import = ["import", "other.hlb", "--store", "log:store"];
    let refused = run(folder, &[&import[..], &["--audit", "audit.jsonl"]].concat());
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    let told = ok(
        folder,
        &["audit", "--store", "log:store", "--local", "audit.jsonl"],
    );
    let own: Vec<_> = told["lines"].as_array().unwrap().iter().collect();
    let own: Vec<_> = own.iter().filter(|line| line["source"] == "hub").collect();
    assert_eq!(own.len(), 2, "{told}");
    assert_eq!(
        (&own[0]["act"], &own[0]["bodies_below"]),
        (&"prune".into(), &36.into())
    );
    assert_eq!(
        (&own[1]["act"], &own[1]["height"]),
        (&"reject".into(), &1.into())
    );
    let text = std::fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    std::fs::write(
        folder.join("audit.jsonl"),
        text.replace("\"bodies_below\":36", "\"bodies_below\":35"),
    )
    .unwrap();
    let refused = run(folder, &[&prune[..], &["--audit", "audit.jsonl"]].concat());
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("audit.jsonl: line 2"),
        "{}",
        refused.stderr
    );
}
