//! `snapshot export` and `import --snapshot`.

use std::fs;

use crate::support::{generate, ok, run};

#[test]
fn a_store_starts_from_a_snapshot_and_takes_more_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    generate(folder, "long.hlb", 400, 10);
    generate(folder, "short.hlb", 300, 10);
    for (backend, other) in [("sqlite", "log"), ("log", "sqlite")] {
        let (store, new) = (
            format!("{backend}:a-{backend}"),
            format!("{other}:b-{other}"),
        );
        let out = format!("s-{backend}");
        let imported = ok(folder, &["import", "short.hlb", "--store", &store]);
        let head = imported["head"].as_str().unwrap();
        let export = ["snapshot", "export", "--store", &store, "--out", &out];
        let exported = ok(folder, &export);
        assert_eq!(
            (&exported["head"], &exported["blocks"]),
            (&imported["head"], &31.into())
        );
        assert_eq!(ok(folder, &export)["files_written"], 0, "it is there");
        let import = ["import", "--snapshot", &out, "--store", &new, "--head"];
        let wrong = run(folder, &[&import[..], &["00".repeat(32).as_str()]].concat());
        assert_eq!(wrong.code, 1, "{}", wrong.stderr);
        let loaded = ok(folder, &[&import[..], &[head]].concat());
        assert_eq!(
            (&loaded["verdict"], &loaded["floor"]),
            (&"valid".into(), &30.into())
        );
        let verified = ok(folder, &["verify", "--store", &new]);
        assert_eq!(verified["verdict"], "valid");
        ok(folder, &["stats", "--store", &new]);
        ok(folder, &["get", "--store", &new, "--head"]);
        let longer = ok(folder, &["import", "long.hlb", "--store", &new]);
        assert_eq!(
            (&longer["imported"], &longer["skipped"]),
            (&10.into(), &30.into())
        );
        let verified = ok(folder, &["verify", "--store", &new]);
        assert_eq!(
            (&verified["verdict"], &verified["head"]),
            (&"valid".into(), &longer["head"])
        );
    }
}

#[test]
fn a_damaged_snapshot_is_named_and_makes_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    generate(folder, "a.hlb", 50, 10);
    let imported = ok(folder, &["import", "a.hlb", "--store", "sqlite:a.db"]);
    let head = imported["head"].as_str().unwrap();
    ok(
        folder,
        &["snapshot", "export", "--store", "sqlite:a.db", "--out", "s"],
    );
    let file = folder.join("s/headers-000000000000.zst");
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, bytes).unwrap();
    let import = [
        "import",
        "--snapshot",
        "s",
        "--store",
        "sqlite:b.db",
        "--head",
        head,
    ];
    let refused = run(folder, &import);
    assert_eq!(refused.code, 4);
    assert!(
        refused
            .stderr
            .contains("headers-000000000000.zst is damaged"),
        "{}",
        refused.stderr
    );
    assert!(!folder.join("b.db").exists());
}
