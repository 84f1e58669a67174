//! What rows of the consensus say.
#![allow(clippy::unwrap_used)]

use hubledger::digest::{BlockHash, Digest, TransactionId};
use hubledger::state::tables::{
    CheckpointRow, CheckpointRows, Commitment, Commitments, Conviction, Convictions, SeedRow,
    SeedRows, Table, TurnRows, Turns, WorkRow, WorkRows,
};
use serde_json::{Value, json};

/// The row without what every row says.
fn said<T: Table>(key: &[u8], value: &T::Value) -> Value {
    let mut row = super::row(T::NUMBER, key, Some(&T::encode(value)));
    let fields = row.as_object_mut().unwrap();
    assert_eq!(fields.remove("table"), Some(T::NUMBER.into()));
    assert_eq!(fields.remove("present"), Some(true.into()));
    row
}

#[test]
fn rows_of_the_consensus_are_told_in_words() {
    let turns = Turns {
        height: 7,
        priorities: vec![-5, 5],
    };
    let work = WorkRow::Last {
        first: (1, 1_000),
        difficulty: 9,
    };
    let hash = BlockHash([1; 32]);
    let seed = Digest([2; 32]);
    for (said, expected) in [
        (
            said::<TurnRows>(TurnRows::KEY, &turns),
            json!({ "row": "turns", "at": 7, "priorities": [-5, 5] }),
        ),
        (
            said::<WorkRows>(WorkRows::LAST, &work),
            json!({ "row": "work", "first_height": 1, "first_time": 1_000, "difficulty": 9 }),
        ),
        (
            said::<WorkRows>(&WorkRows::key(12, 10), &WorkRow::Time(8)),
            json!({ "row": "block_time", "slot": 2, "time": 8 }),
        ),
        (
            said::<CheckpointRows>(&CheckpointRows::last_key(), &CheckpointRow::Certified(20)),
            json!({ "row": "last_checkpoint", "certified": 20 }),
        ),
        (
            said::<CheckpointRows>(&CheckpointRows::key(30), &CheckpointRow::Block(hash)),
            json!({ "row": "checkpoint", "at": 30, "hash": hash }),
        ),
        (
            said::<SeedRows>(&SeedRows::key(4), &SeedRow::Seed(seed)),
            json!({ "row": "seed", "epoch": 4, "seed": seed }),
        ),
        (
            said::<SeedRows>(SeedRows::COLLECTED, &SeedRow::Collected(3, seed)),
            json!({ "row": "collected_seed", "collecting": 3, "collected": seed }),
        ),
        (
            said::<Commitments>(
                b"hub-1",
                &Commitment {
                    layer: seed,
                    since: 4,
                    before: None,
                    revealed: 0,
                },
            ),
            json!({
                "row": "commitment",
                "name": "hub-1",
                "layer": seed,
                "since_epoch": 4,
                "layer_before": null,
                "last_reveal": null,
            }),
        ),
    ] {
        assert_eq!(said, expected);
    }
}

#[test]
fn a_conviction_says_whose_fault_it_was_and_what_it_cost() {
    let conviction = Conviction {
        since: 9,
        basis_points: 500,
        by: TransactionId([3; 32]),
    };
    let said = said::<Convictions>(&Convictions::key("hub-1", 2, 7, 0), &conviction);
    let expected = json!({
        "row": "conviction",
        "name": "hub-1",
        "fault": "double_proposal",
        "fault_height": 7,
        "round": 0,
        "since": 9,
        "basis_points": 500,
        "by": TransactionId([3; 32]),
    });
    assert_eq!(said, expected);
}

#[test]
fn keys_that_are_none_of_the_table_are_given_as_they_are() {
    for table in [
        TurnRows::NUMBER,
        WorkRows::NUMBER,
        CheckpointRows::NUMBER,
        SeedRows::NUMBER,
        Convictions::NUMBER,
    ] {
        let row = super::row(table, b"no key", None);
        assert_eq!(row["key"], hex::encode(b"no key"), "table {table}");
    }
}
