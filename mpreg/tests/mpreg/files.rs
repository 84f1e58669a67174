//! Files that are not what they should be give errors or verdicts, never a panic.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use hubledger::rejection::Reason;
use hubledger_mpreg::{Source, SourceError, verify_chain};
use rusqlite::Connection;

use crate::support::{Chain, NOW, create_store, data_path, place, verify};

/// Opens and verifies everything in the file; whatever it says, it must say.
fn survive(path: &Path) -> Result<(), String> {
    let source = Source::open(path).map_err(|error| error.to_string())?;
    let mut said = Ok(());
    for chain in source.chains() {
        let report = verify_chain(
            &source,
            &chain.id,
            NOW,
            &mut |_, _| ControlFlow::Continue(()),
            None,
        );
        let verdict = report.map_err(|error| error.to_string());
        said = said.and(verdict.and_then(|report| report.verdict.map_err(|r| r.to_string())));
    }
    said
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_no_store_is_refused_with_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("input");
    assert!(matches!(
        Source::open(&path),
        Err(SourceError::NotFound { .. })
    ));
    assert!(matches!(
        Source::open(directory.path()),
        Err(SourceError::NotAFile { .. })
    ));
    for content in [
        "",
        "hello",
        "[]",
        "{}",
        "7",
        "{\"a\": 1}",
        "{\"chain_id\": \"x\"",
        "{\"chain_id\": 7, \"genesis_block\": {}, \"blocks\": []}",
        "{\"genesis_block\": {}, \"blocks\": []}",
        "{\"chain_id\": \"x\", \"blocks\": 7}",
        "SQLite format 4\0",
    ] {
        fs::write(&path, content).expect("a file");
        let error = Source::open(&path).expect_err(content);
        assert!(
            matches!(error, SourceError::NotAStore { .. }),
            "{content}: {error}"
        );
        assert!(
            error.to_string().starts_with(&path.display().to_string()),
            "{error}"
        );
    }
}

#[test]
fn databases_without_mpregs_tables_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, schema) in [
        ("empty", "CREATE TABLE x (y)"),
        (
            "chains only",
            "CREATE TABLE chains (chain_id, consensus_config, crypto_config)",
        ),
        (
            "other columns",
            "CREATE TABLE chains (a); CREATE TABLE blocks (b)",
        ),
        (
            "no texts of blocks",
            "CREATE TABLE chains (chain_id, consensus_config, crypto_config);
             CREATE TABLE blocks (chain_id, height, block_hash, timestamp)",
        ),
    ] {
        let path = directory.path().join(name);
        Connection::open(&path)
            .and_then(|c| c.execute_batch(schema))
            .expect("a database");
        let error = Source::open(&path).expect_err(name);
        assert!(
            matches!(error, SourceError::NotAStore { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn an_unknown_chain_is_refused_with_those_there_are() {
    let source = Source::open(&data_path("federation.db")).expect("opens");
    let error = source
        .for_each_row("nope", &mut |_| ControlFlow::Break(()))
        .expect_err("unknown");
    let text = error.to_string();
    assert!(
        text.contains("\"pow_chain\"") && text.contains("\"nope\""),
        "{text}"
    );
}

#[test]
fn chains_without_blocks_or_with_a_broken_configuration_are_malformed_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.db");
    let sound = Chain::valid(2, 1, false);
    for (consensus, crypto, with_blocks) in [
        (sound.consensus.to_string(), "{}", false),
        ("{}".to_owned(), "{}", true),
        ("not JSON".to_owned(), "{}", true),
        (
            sound.consensus.to_string().replace("authority\"", "x\""),
            "{}",
            true,
        ),
        (sound.consensus.to_string(), "[]", true),
        (
            sound.consensus.to_string(),
            "{\"require_signatures\": \"no\"}",
            true,
        ),
    ] {
        let _ = fs::remove_file(&path);
        sound.write_sqlite(&path);
        let connection = Connection::open(&path).expect("opens");
        connection
            .execute(
                "UPDATE chains SET consensus_config = ?, crypto_config = ?",
                (&consensus, crypto),
            )
            .expect("updates");
        if !with_blocks {
            connection
                .execute("DELETE FROM blocks", [])
                .expect("deletes");
        }
        drop(connection);
        assert_eq!(
            place(&verify(&path).verdict),
            Some((0, None, Reason::Malformed)),
            "{consensus}"
        );
    }
}

#[test]
fn values_of_the_wrong_type_in_the_table_are_verdicts() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.db");
    let schema = "CREATE TABLE chains (chain_id, consensus_config, crypto_config, created_at);
         CREATE TABLE blocks (chain_id, height, block_hash, timestamp, block_json);";
    let chain = Chain::valid(2, 1, false);
    for (value, expected) in [
        ("NULL", Some((1, None, Reason::Malformed))),
        ("7", Some((1, None, Reason::Malformed))),
        ("1.5", Some((1, None, Reason::Malformed))),
        ("x'ff00'", Some((1, None, Reason::Malformed))),
        ("CAST(block_json AS BLOB)", None),
    ] {
        let _ = fs::remove_file(&path);
        let connection = Connection::open(&path).expect("opens");
        connection.execute_batch(schema).expect("tables");
        let made = directory.path().join("made.db");
        let _ = fs::remove_file(&made);
        chain.write_sqlite(&made);
        let copy = format!(
            "ATTACH '{}' AS made;
             INSERT INTO chains SELECT * FROM made.chains;
             INSERT INTO blocks SELECT * FROM made.blocks;
             INSERT INTO chains VALUES (NULL, NULL, NULL, NULL), (x'00', 1, 2, 3);
             UPDATE blocks SET block_json = {value}, block_hash = x'ff', timestamp = 'late'
             WHERE height = 1;",
            made.display()
        );
        connection.execute_batch(&copy).expect("rows");
        drop(connection);
        assert_eq!(place(&verify(&path).verdict), expected, "{value}");
    }
}

#[test]
fn a_block_of_enormous_text_is_malformed_without_being_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.db");
    Chain::valid(2, 1, false).write_sqlite(&path);
    let connection = Connection::open(&path).expect("opens");
    let grow = "UPDATE blocks SET block_json = zeroblob(67108865) WHERE height = 1";
    connection.execute(grow, []).expect("updates");
    drop(connection);
    let verdict = verify(&path).verdict;
    assert_eq!(place(&verdict), Some((1, None, Reason::Malformed)));
    assert!(verdict.expect_err("malformed").detail.contains("67108865"));
}

#[test]
fn reading_leaves_no_file_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a store?mode=rw&x#%41 é.db");
    Chain::valid(3, 2, false).write_sqlite(&path);
    let names = names_in(directory.path());
    verify(&path).verdict.expect("valid");
    assert_eq!(names_in(directory.path()), names);

    // A database that was closed cleanly in WAL mode has no other files, and gets none.
    let connection = Connection::open(&path).expect("opens");
    connection
        .pragma_update(None, "journal_mode", "wal")
        .expect("WAL");
    drop(connection);
    assert_eq!(names_in(directory.path()), names);
    verify(&path).verdict.expect("valid");
    assert_eq!(names_in(directory.path()), names);
}

#[test]
fn a_store_in_wal_mode_is_read_with_what_is_in_the_wal() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.db");
    let connection = create_store(&path);
    connection
        .pragma_update(None, "journal_mode", "wal")
        .expect("WAL");
    let made = directory.path().join("made.db");
    Chain::valid(3, 2, false).write_sqlite(&made);
    let copy = format!(
        "ATTACH '{}' AS made;
         INSERT INTO chains SELECT * FROM made.chains;
         INSERT INTO blocks SELECT * FROM made.blocks;",
        made.display()
    );
    connection.execute_batch(&copy).expect("rows");
    let report = verify(&path);
    report.verdict.expect("valid");
    assert_eq!(report.blocks, 3);
}

#[test]
fn blocks_appended_after_opening_are_in_no_pass() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.db");
    let whole = Chain::valid(4, 2, false);
    whole.write_sqlite(&path);
    let writer = Connection::open(&path).expect("opens");
    writer
        .pragma_update(None, "journal_mode", "wal")
        .expect("WAL");
    let held = "CREATE TEMP TABLE held AS SELECT * FROM blocks WHERE height = 3;
         DELETE FROM blocks WHERE height = 3;";
    writer.execute_batch(held).expect("a shorter chain");
    let source = Source::open(&path).expect("opens");
    let append = "INSERT INTO blocks SELECT * FROM held";
    writer.execute_batch(append).expect("the last block");
    let report = verify_chain(
        &source,
        &whole.id,
        NOW,
        &mut |_, _| ControlFlow::Continue(()),
        None,
    )
    .expect("readable");
    assert_eq!((report.blocks, report.verdict), (3, Ok(())));
    assert_eq!(verify(&path).blocks, 4, "another source sees it");
}

#[test]
fn a_json_file_that_breaks_off_is_malformed_where_it_does() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.json");
    let text = Chain::valid(4, 2, true).to_json();
    let starts: Vec<usize> = text
        .match_indices("{\"block_id\"")
        .map(|(at, _)| at)
        .collect();
    assert_eq!(starts.len(), 4);
    for cut in (0..text.len()).step_by(7) {
        fs::write(&path, &text[..cut]).expect("a file");
        match Source::open(&path) {
            Err(error) => {
                assert!(
                    matches!(error, SourceError::NotAStore { .. }),
                    "{cut}: {error}"
                );
                assert!(cut <= starts[0], "{cut}: {error}");
            }
            Ok(_) => {
                let report = verify(&path);
                let rejected = report.verdict.expect_err("a part of a chain is not valid");
                assert_eq!(rejected.reason, Reason::Malformed, "{cut}: {rejected}");
                assert_eq!(rejected.height, report.blocks, "{cut}: {rejected}");
                let whole = starts.iter().skip(1).filter(|start| **start < cut).count() as u64;
                assert!(
                    (whole..=whole + 1).contains(&report.blocks),
                    "{cut}: {rejected}"
                );
            }
        }
    }
    fs::write(&path, &text).expect("a file");
    verify(&path).verdict.expect("valid as a whole");
    fs::write(&path, format!("{text} x")).expect("a file");
    assert_eq!(
        place(&verify(&path).verdict),
        Some((4, None, Reason::Malformed))
    );
}

#[test]
fn json_members_may_come_in_any_order_and_spacing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.json");
    let chain = Chain::valid(3, 2, true);
    let blocks = serde_json::Value::from(chain.blocks[1..].to_vec());
    let (consensus, first) = (&chain.consensus, &chain.blocks[0]);
    for text in [
        format!(
            "\n{{\"consensus_config\":{consensus},\"blocks\":{blocks:#},\"genesis_block\":{first},\"chain_id\":\"é\"}}\n"
        ),
        format!(
            "{{\"blocks\":7,\"blocks\":[1],\"blocks\":{blocks},\"crypto_config\":null,\"chain_id\":\"x\",\
                 \"genesis_block\":{first},\"consensus_config\":{consensus},\"x\":[{{\"]\":\"}}\\\"\"}}]}}"
        ),
    ] {
        fs::write(&path, &text).expect("a file");
        let report = verify(&path);
        report
            .verdict
            .unwrap_or_else(|rejected| panic!("{rejected}: {text}"));
        assert_eq!(report.blocks, 3);
    }
    for text in [
        format!("{{\"chain_id\":\"x\",\"blocks\":{blocks},\"consensus_config\":{consensus}}}"),
        format!("{{\"chain_id\":\"x\",\"blocks\":{blocks},\"genesis_block\":{first}}}"),
        format!(
            "{{\"chain_id\":\"\",\"blocks\":{blocks},\"genesis_block\":{first},\"consensus_config\":{consensus}}}"
        ),
    ] {
        fs::write(&path, &text).expect("a file");
        assert_eq!(
            place(&verify(&path).verdict),
            Some((0, None, Reason::Malformed)),
            "{text}"
        );
    }
}

#[test]
fn truncated_databases_give_errors_or_verdicts() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.db");
    let sound = directory.path().join("sound.db");
    Chain::valid(6, 20, false).write_sqlite(&sound);
    let bytes = fs::read(&sound).expect("reads");
    for length in (16..bytes.len()).step_by(1009) {
        fs::write(&path, &bytes[..length]).expect("a file");
        let said = survive(&path);
        assert!(
            said.is_err(),
            "{length} of {} bytes passed for the whole",
            bytes.len()
        );
    }
}

#[test]
fn flipped_bytes_in_a_database_never_panic() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.db");
    let sound = directory.path().join("sound.db");
    Chain::valid(3, 30, false).write_sqlite(&sound);
    let bytes = fs::read(&sound).expect("reads");
    let mut noticed = 0;
    let mut tried = 0;
    for at in (0..bytes.len()).step_by(61) {
        let mut spoiled = bytes.clone();
        spoiled[at] ^= 0xff;
        fs::write(&path, &spoiled).expect("a file");
        noticed += usize::from(survive(&path).is_err());
        tried += 1;
    }
    // What stays unnoticed is free space and what the rules ignore.
    assert!(noticed > tried / 2, "{noticed} of {tried}");
}

#[test]
fn a_row_that_the_index_hides_is_not_passed_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.db");
    let connection = create_store(&path);
    let made = directory.path().join("made.db");
    Chain::valid(3, 2, false).write_sqlite(&made);
    // An index that leaves the last row out, dressed up as one that doesn't.
    let copy = format!(
        "ATTACH '{}' AS made;
         DROP TABLE blocks;
         CREATE TABLE blocks (chain_id, height, block_hash, timestamp, block_json);
         INSERT INTO chains SELECT * FROM made.chains;
         INSERT INTO blocks SELECT * FROM made.blocks;
         CREATE INDEX by_height ON blocks (chain_id, height) WHERE height < 2;
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE INDEX by_height ON blocks (chain_id, height)'
         WHERE name = 'by_height';",
        made.display()
    );
    connection.execute_batch(&copy).expect("rows");
    drop(connection);
    let source = Source::open(&path).expect("opens");
    let error = verify_chain(
        &source,
        "made",
        NOW,
        &mut |_, _| ControlFlow::Continue(()),
        None,
    )
    .expect_err("incomplete");
    let expected = matches!(
        error,
        SourceError::MissingRows {
            found: 2,
            expected: 3,
            ..
        }
    );
    assert!(expected, "{error}");
}

#[test]
fn a_file_that_only_begins_like_a_database_is_corrupt() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.db");
    for length in [16, 100, 5000] {
        let mut bytes = b"SQLite format 3\0".to_vec();
        bytes.resize(length, 0xaa);
        fs::write(&path, bytes).expect("a file");
        let error = Source::open(&path).expect_err("corrupt");
        assert!(
            matches!(
                error,
                SourceError::Corrupt { .. } | SourceError::NotAStore { .. }
            ),
            "{error}"
        );
    }
}
