//! Chains of many chunks, whose blocks are judged out of order: the verdict is that of going through them in order.

use std::num::NonZero;
use std::ops::ControlFlow;

use hubledger::rejection::Reason;
use hubledger_mpreg::{Block, Source, SourceError, verify_in_parallel};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{
    Chain, NOW, Where, data_path, edit_block, key, place, python_spelling, sign, verify,
};

const BLOCKS: usize = 48;

/// A chain of 5 MB, so that it makes more chunks than there are threads, whatever their size.
fn long_chain() -> Chain {
    let mut chain = Chain::valid(BLOCKS as u64, 4, false);
    for height in 1..BLOCKS {
        for index in 0..4 {
            let transaction = chain.transaction(height, index);
            let digits = (height * 131 + index * 17) % 9_000 + 4_000;
            transaction["payload"] = "c0ffee0123".repeat(digits / 5).into();
            if index < 2 {
                sign(transaction, &key(index as u8 + 1));
            }
        }
    }
    chain.relink(0);
    chain
}

fn fault(chain: &mut Chain, height: usize, kind: usize) -> Where {
    let reason = match kind {
        0 => {
            chain.transaction(height, 1)["signature"] = "11".repeat(64).into();
            chain.transaction(height, 0)["fee"] = json!(77);
            let fee = chain.transaction(height, 0);
            sign(fee, &key(9));
            chain.relink(height);
            return (height as u64, Some(1), Reason::Signature);
        }
        1 => {
            chain.blocks[height]["merkle_root"] = "".into();
            Reason::MerkleRoot
        }
        2 => {
            chain.blocks[height]["previous_hash"] = "00".repeat(32).into();
            Reason::PreviousHash
        }
        3 => {
            chain.blocks[height]["vector_clock"] = json!({});
            Reason::VectorClock
        }
        4 => {
            chain.blocks[height]["nonce"] = json!("0");
            Reason::Malformed
        }
        _ => {
            chain.transaction(height, 3)["public_key"] = "aa".into();
            return (height as u64, Some(3), Reason::PublicKey);
        }
    };
    (height as u64, None, reason)
}

#[test]
fn the_first_of_two_faults_is_the_verdict_wherever_they_are() {
    let sound = long_chain();
    let directory = tempfile::tempdir().expect("a directory");
    for (case, (first, second)) in [(1, 2), (1, 40), (13, 14), (20, 47), (30, 31), (46, 47)]
        .into_iter()
        .enumerate()
    {
        let mut chain = sound.clone();
        // The later one first: mending the links behind the earlier leaves it as it is.
        fault(&mut chain, second, (case + 1) % 6);
        let expected = fault(&mut chain, first, case);
        let path = directory.path().join(format!("{case}.db"));
        // Of the blocks, every third is spelled in another way.
        let height = |block: &Value| block["height"].as_u64().unwrap_or_default();
        chain.write_sqlite_as(&path, |block| match height(block) % 3 {
            0 => block.to_string(),
            _ => python_spelling(block),
        });
        let report = verify(&path);
        assert_eq!(place(&report.verdict), Some(expected), "{first}, {second}");
        assert_eq!(report.blocks, expected.0);
    }
}

#[test]
fn a_file_that_breaks_off_after_the_verdict_doesnt_matter() {
    let mut chain = long_chain();
    let json = chain.to_json();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.json");
    // Without a fault, the place where it breaks off is one.
    std::fs::write(&path, &json[..json.len() * 3 / 4]).expect("written");
    let verdict = place(&verify(&path).verdict);
    assert!(matches!(verdict, Some((1.., None, Reason::Malformed))));
    let expected = fault(&mut chain, 5, 2);
    let json = chain.to_json();
    std::fs::write(&path, &json[..json.len() * 3 / 4]).expect("written");
    assert_eq!(place(&verify(&path).verdict), Some(expected));
}

#[test]
fn rows_that_the_index_hides_are_an_error_unless_the_verdict_came_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.db");
    long_chain().write_sqlite(&path);
    // The rows are no longer found by the chain's name as a text, but still there.
    let connection = Connection::open(&path).expect("opens");
    let hide = "UPDATE blocks SET height = CAST('x' AS BLOB) WHERE height = 47";
    connection.execute(hide, []).expect("updates");
    let report = verify(&path);
    assert_eq!(place(&report.verdict), None);
    edit_block(&path, 9, |text| text.replacen("block-9", "", 1));
    let expected = (9, None, Reason::Malformed);
    assert_eq!(place(&verify(&path).verdict), Some(expected));
}

#[test]
fn breaking_off_ends_the_reading() {
    let source = Source::open(&data_path("signed7.db")).expect("opens");
    let id = source.chains()[0].id.clone();
    let mut rows = 0;
    let visit = &mut |_: hubledger_mpreg::RawRow<'_>| {
        rows += 1;
        ControlFlow::Break(())
    };
    source.for_each_row(&id, visit).expect("readable");
    assert_eq!(rows, 1);
    let unknown = verify_in_parallel(
        &source,
        "x",
        NOW,
        NonZero::<usize>::MIN,
        &mut |_, _| ControlFlow::Continue(()),
        None,
    );
    assert!(unknown.is_err());
}

#[test]
fn a_verification_is_stopped_by_who_is_told_of_its_progress() {
    let source = Source::open(&data_path("signed7.db")).expect("opens");
    let id = source.chains()[0].id.clone();
    for threads in 1..=3 {
        let threads = NonZero::new(threads).expect("some");
        let mut seen = Vec::new();
        let stop_at_two = &mut |blocks, _| {
            seen.push(blocks);
            match blocks < 2 {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        let stopped = verify_in_parallel(&source, &id, NOW, threads, stop_at_two, None);
        assert!(
            matches!(stopped, Err(SourceError::Stopped { .. })),
            "{threads}"
        );
        assert_eq!(seen, [1, 2], "{threads}");
    }
}

/// Every block of MPREG's own stores, respelled, is the same block.
#[test]
fn the_spelling_of_a_block_makes_no_difference() {
    for store in ["signed7.db", "federation.db"] {
        let source = Source::open(&data_path(store)).expect("opens");
        for chain in source.chains() {
            let visit = &mut |row: hubledger_mpreg::RawRow<'_>| {
                let text = row.json.expect("a text");
                let value: Value = serde_json::from_slice(text).expect("JSON");
                assert_eq!(
                    python_spelling(&value).as_bytes(),
                    text,
                    "MPREG's own spelling"
                );
                let debug =
                    |text: &[u8]| format!("{:?}", Block::from_json(text, 0).expect("sound"));
                assert_eq!(debug(value.to_string().as_bytes()), debug(text));
                ControlFlow::Continue(())
            };
            source.for_each_row(&chain.id, visit).expect("readable");
        }
    }
}
