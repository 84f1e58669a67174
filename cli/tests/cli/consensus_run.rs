//! A chain of each kind from the command line alone: specified, generated, imported, verified, forked; a member that misbehaves is convicted
//! and pays; and whoever has nothing but headers follows.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Run, key, ok, run};

/// What is behind a block.
#[derive(Clone, Copy, PartialEq)]
enum Sealed {
    Signature,
    Quorum,
    Work,
}

/// A kind of chain, by its example.
struct Kind {
    text: &'static str,
    sealed: Sealed,
    /// Whether blocks can be replaced by those of a better branch.
    has_branches: bool,
    /// What a member that works on two branches is guilty of; nothing where there are no members.
    fault: Option<&'static str>,
    has_stakes: bool,
}

macro_rules! kinds {
    ($($test:ident: $example:literal, $sealed:ident, $branches:literal, $fault:expr, $stakes:literal;)+) => {
        $(#[test]
        fn $test() {
            Chain::specified(Kind {
                text: include_str!(concat!("../../../examples/", $example, ".toml")),
                sealed: Sealed::$sealed,
                has_branches: $branches,
                fault: $fault,
                has_stakes: $stakes,
            })
            .goes_through_everything();
        })+
    };
}

kinds! {
    a_chain_of_authorities_goes_through_everything:
        "governance", Signature, false, Some("double_proposal"), false;
    a_chain_of_stakes_goes_through_everything:
        "proof_of_stake", Signature, true, Some("double_proposal"), true;
    a_chain_of_delegated_stakes_goes_through_everything:
        "delegated_proof_of_stake", Signature, true, Some("double_proposal"), true;
    a_federated_chain_goes_through_everything:
        "federated_byzantine", Quorum, false, Some("double_vote"), false;
    a_chain_of_pbft_goes_through_everything: "pbft", Quorum, false, Some("double_vote"), false;
    a_chain_of_work_goes_through_everything: "proof_of_work", Work, true, None, false;
    a_chain_of_work_with_checkpoints_goes_through_everything:
        "hybrid", Work, true, Some("double_vote"), false;
}

/// A folder with `spec.toml`, the keys `k0.pem`, `k1.pem`, … that it names, and the stores `sqlite:a.db` and `sqlite:b.db`.
pub(crate) struct Chain {
    folder: tempfile::TempDir,
    kind: Kind,
    keys: Vec<String>,
}

pub(crate) const A: &str = "sqlite:a.db";
pub(crate) const B: &str = "sqlite:b.db";

impl Chain {
    /// The example with keys of our own, a fee that nobody has to have, and no more work than a test has time for.
    fn specified(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut text, mut keys) = (kind.text.to_owned(), Vec::new());
        let is_key = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let words = kind.text.split(|c: char| !c.is_ascii_alphanumeric());
        for theirs in words.filter(is_key) {
            if text.contains(theirs) {
                let name = format!("k{}", keys.len());
                text = text.replace(theirs, &key(folder.path(), &name));
                keys.push(format!("{name}.pem"));
            }
        }
        let text = text
            .replace("difficulty = 1_000_000", "difficulty = 300")
            .replace("fee_min = 1\n", "fee_min = 0\n");
        fs::write(folder.path().join("spec.toml"), text).unwrap();
        let chain = Self { folder, kind, keys };
        let checked = chain.ok("spec check spec.toml");
        assert_eq!(checked["verdict"], "valid");
        chain
    }

    fn goes_through_everything(self) {
        self.is_generated_imported_and_verified();
        let lost = self.forks();
        match self.kind.fault {
            Some(fault) => self.convicts(fault, &lost),
            None => self.has_nobody_to_convict(),
        }
        self.ok("verify --store sqlite:a.db");
        self.is_followed();
    }

    fn is_generated_imported_and_verified(&self) {
        let keys: Vec<&str> = self.keys.iter().flat_map(|key| ["--key", key]).collect();
        let generate =
            "generate --spec spec.toml --transactions 6 --per-block 1 --keys 2 --out base.hlb";
        let generated = ok(self.path(), &[&words(generate)[..], &keys].concat());
        for store in [A, B] {
            let imported = self.ok(&format!("import base.hlb --store {store}"));
            assert_eq!(imported["head"], generated["head"]);
            let verified = self.ok(&format!("verify --store {store}"));
            assert_eq!(verified["verdict"], "valid");
        }
    }

    /// Two stores make different blocks from height 7 on, in `a.hlb` and `b.hlb`. The better branch is the chain of both, or each store keeps
    /// to what is final. Gives the hash of the block that `a` made.
    fn forks(&self) -> Value {
        let own = self.block(A, &[]);
        self.ok("export --store sqlite:a.db --from 7 --out a.hlb");
        self.block(B, &[]);
        let theirs = self.block(B, &[]);
        self.ok("export --store sqlite:b.db --from 7 --out b.hlb");
        assert_eq!((&own["height"], &theirs["height"]), (&json!(7), &json!(8)));
        let offered = self.run("fork offer b.hlb --store sqlite:a.db");
        let head = self.ok("get --store sqlite:a.db --head");
        if self.kind.has_branches {
            assert_eq!(offered.code, 0, "{}", offered.stderr);
            assert_eq!(head["hash"], theirs["hash"]);
            assert_eq!(offered.json["best"]["head"], theirs["hash"]);
            let changes = &offered.json["changes"];
            assert!(
                changes.to_string().contains(own["hash"].as_str().unwrap()),
                "{changes}"
            );
            // Whoever has the better one already stays with it.
            let back = self.ok("fork offer a.hlb --store sqlite:b.db");
            assert_eq!(
                (&back["changes"], &back["branches"]),
                (&json!([]), &json!(1))
            );
        } else {
            assert_eq!((offered.code, &offered.json["reason"]), (3, &json!("fork")));
            assert_eq!(
                (&offered.json["height"], &head["hash"]),
                (&json!(7), &own["hash"])
            );
        }
        own["hash"].clone()
    }

    /// Whoever worked on both sides is convicted, once, and pays where there is something to pay with.
    fn convicts(&self, fault: &str, lost: &Value) {
        if self.kind.sealed == Sealed::Work {
            self.certify_different_checkpoints();
        }
        let made = self.ok("evidence make b.hlb --store sqlite:a.db --out faults");
        let found = &made["found"][0];
        assert_eq!(
            (&found["fault"], &found["convicts"]),
            (&json!(fault), &json!(true))
        );
        if self.kind.sealed == Sealed::Signature {
            assert!(
                found["blocks"].as_array().unwrap().contains(lost),
                "{found}"
            );
        }
        if self.kind.sealed == Sealed::Quorum {
            let conflict = &made["conflicts"][0];
            assert_eq!(conflict["rounds"], json!([0, 0]));
            assert_eq!(conflict["convicts"].as_array().unwrap().len(), 4);
        }
        if self.kind.has_branches && self.kind.sealed == Sealed::Signature {
            // What was replaced is beside the chain, and found there without anybody's file.
            let beside = self.ok("evidence make --store sqlite:a.db --out faults");
            assert_eq!(beside["found"], made["found"]);
        }
        let member = found["member"].as_str().unwrap();
        let file = found["file"].as_str().unwrap();
        let before = self.ok(&format!("evidence show {file} --store sqlite:a.db"));
        assert_eq!(
            (&before["member"], &before["signatures"]),
            (&json!(member), &json!("valid"))
        );

        key(self.path(), "witness");
        let submit =
            format!("evidence submit {file} --sender witness --key witness.pem --store {A}");
        self.ok(&format!("{submit} --out convict.bin"));
        let block = self.block(A, &["convict.bin"]);
        let listed = self.ok("evidence list --store sqlite:a.db --prove proofs");
        let conviction = &listed["convictions"][0];
        assert_eq!(
            (&conviction["name"], &conviction["fault"]),
            (&json!(member), &json!(fault))
        );
        assert_eq!(conviction["since"], block["height"]);

        let again = self.run(&format!("evidence show {file} --store sqlite:a.db"));
        assert_eq!(
            (again.code, &again.json["convicted_at"]),
            (1, &block["height"])
        );
        let twice = self.run(&format!("{submit} --out again.bin"));
        assert_eq!((twice.code, &twice.json["reason"]), (3, &json!("evidence")));
        if self.kind.has_stakes {
            let stake = before["stake"].as_u64().unwrap();
            assert_eq!(before["cost"], stake / 20, "5 % for signing twice");
            let shown = self.ok(&format!("stake show {member} --store sqlite:a.db"));
            assert_eq!(shown["pool"]["tokens"], stake - stake / 20);
        }
        let proof = conviction["out"].as_str().unwrap();
        let head = block["hash"].as_str().unwrap();
        let proven = self.ok(&format!(
            "verify-proof {proof} --head {head} --name {member}"
        ));
        assert_eq!(
            (&proven["row"], &proven["fault"]),
            (&json!("conviction"), &json!(fault))
        );
    }

    /// Where anybody makes blocks, two at one height are nobody's fault.
    fn has_nobody_to_convict(&self) {
        let made = self.run("evidence make a.hlb b.hlb --store sqlite:a.db --out faults");
        assert_eq!((made.code, &made.json["found"]), (1, &json!([])));
        assert_eq!(
            (&made.json["heights"], &made.json["blocks"]),
            (&json!(2), &json!(3))
        );
        self.mines_for_others();
        let none = self.run("checkpoint certify --height 10 --signer k0.pem --sender k --key k0.pem --store sqlite:a.db --out c.bin");
        assert_eq!(none.code, 1);
        assert!(none.stderr.contains("no checkpoints"), "{}", none.stderr);
        let round = self.run("produce --allow-empty --round 1 --store sqlite:a.db --key k0.pem");
        assert_eq!(round.code, 1);
        assert!(round.stderr.contains("no rounds"), "{}", round.stderr);
    }

    /// Blocks that are mined go to a file, too, which others take in.
    fn mines_for_others(&self) {
        let mined = "mine --store sqlite:a.db --key k0.pem --blocks 2 --out mined.hlb";
        let mined = Command::new(env!("CARGO_BIN_EXE_hubledger"))
            .args(words(mined))
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(mined.status.success());
        let offered = self.ok("fork offer mined.hlb --store sqlite:b.db");
        let head = self.ok("get --store sqlite:a.db --head");
        assert_eq!(
            (&offered["offered"], &offered["best"]["head"]),
            (&json!(2), &head["hash"])
        );
    }

    /// The stores go on apart up to a checkpoint, and the same members sign that of each.
    fn certify_different_checkpoints(&self) {
        for store in [A, B] {
            while self.ok(&format!("get --store {store} --head"))["height"].as_u64() < Some(11) {
                self.block(store, &[]);
            }
            let signers = self.keys.iter().map(|key| format!("--signer {key}"));
            let signers = signers.collect::<Vec<_>>().join(" ");
            key(self.path(), "witness");
            let few = format!(
                "checkpoint certify --signer k0.pem --signer k1.pem --sender notary --key witness.pem --store {store} --out few.bin"
            );
            let weak = self.run(&format!("{few} --height 10"));
            assert_eq!((weak.code, &weak.json["reason"]), (3, &json!("quorum")));
            for height in [9, 20] {
                assert_eq!(self.run(&format!("{few} --height {height}")).code, 1);
            }
            let file = format!("{}.bin", &store[7..8]);
            self.ok(&format!(
                "checkpoint certify --height 10 {signers} --sender notary --key witness.pem --store {store} --out {file}"
            ));
            self.block(store, &[&file]);
            let shown = self.ok(&format!("checkpoint show --store {store}"));
            assert_eq!(shown["certified"], 10);
        }
        fs::remove_file(self.path().join("b.hlb")).unwrap();
        self.ok("export --store sqlite:b.db --out b.hlb");
        // Final is final, whatever the other branch weighs.
        let offered = self.run("fork offer b.hlb --store sqlite:a.db");
        assert_eq!((offered.code, &offered.json["reason"]), (3, &json!("fork")));
    }

    fn is_followed(&self) {
        let head = self.ok("get --store sqlite:a.db --head");
        let written = self.ok("light headers --store sqlite:a.db --out headers.jsonl");
        assert_eq!(
            (&written["headers"], &written["left_out"]),
            (&head["height"], &json!(0))
        );
        let followed = self.ok("light follow headers.jsonl --spec spec.toml");
        assert_eq!(
            (&followed["verdict"], &followed["head"]),
            (&json!("valid"), &head["hash"])
        );
        assert_eq!(followed["height"], head["height"]);
        let is_final = followed["final"] == followed["height"];
        assert_eq!(is_final, !self.kind.has_branches);

        let transaction = self.ok("get --store sqlite:a.db --block 3");
        let id = transaction["transactions"][0]["id"].as_str().unwrap();
        self.ok(&format!(
            "prove --store sqlite:a.db --tx {id} --out tx.proof"
        ));
        let head = followed["head"].as_str().unwrap();
        self.ok(&format!("verify-proof tx.proof --head {head} --tx {id}"));

        // A header that somebody changed is named, and those before it are followed.
        let path = self.path().join("headers.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut line: Value = serde_json::from_str(&lines[4]).unwrap();
        line["seal"] = match self.kind.sealed {
            // The nonce is in the header, so that nothing of a seal could be changed.
            Sealed::Work => "00".into(),
            _ => serde_json::from_str::<Value>(&lines[3]).unwrap()["seal"].clone(),
        };
        lines[4] = line.to_string();
        fs::write(path, lines.join("\n")).unwrap();
        let refused = self.run("light follow headers.jsonl --spec spec.toml");
        let json = &refused.json;
        assert_eq!((refused.code, &json["height"]), (3, &json!(5)), "{json}");
        assert_eq!(json["followed_to"], 4, "{json}");
        assert!(refused.stderr.contains("line 5"), "{}", refused.stderr);
    }

    /// The next block of a store, by whoever may make it.
    pub(crate) fn block(&self, store: &str, files: &[&str]) -> Value {
        if self.kind.sealed == Sealed::Work {
            let mine = ["mine", "--store", store, "--key", &self.keys[0]];
            return ok(self.path(), &[&mine[..], files].concat());
        }
        let mut last = Value::Null;
        for first in &self.keys {
            let mut produce = vec!["produce", "--store", store, "--key", first];
            let others = self.keys.iter().filter(|key| *key != first);
            if self.kind.sealed == Sealed::Quorum {
                produce.extend(others.flat_map(|key| ["--key", key]));
            }
            if files.is_empty() {
                produce.push("--allow-empty");
            }
            let made = run(self.path(), &[&produce[..], files].concat());
            if made.code == 0 {
                return made.json;
            }
            assert_eq!(made.code, 3, "{}", made.stderr);
            last = made.json;
        }
        panic!("nobody may make a block: {last}");
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn ok(&self, command: &str) -> Value {
        ok(self.path(), &words(command))
    }

    pub(crate) fn run(&self, command: &str) -> Run {
        run(self.path(), &words(command))
    }
}

pub(crate) fn words(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}

/// A chain of pbft with two stores at height 6.
pub(crate) fn agreeing() -> Chain {
    let chain = Chain::specified(Kind {
        text: include_str!("../../../examples/pbft.toml"),
        sealed: Sealed::Quorum,
        has_branches: false,
        fault: Some("double_vote"),
        has_stakes: false,
    });
    chain.is_generated_imported_and_verified();
    chain
}
