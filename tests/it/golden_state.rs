//! Golden bytes of the state of version 2: its tree, its pages and tip in tables, proofs of what it says; assembled by hand from
//! `FORMAT.md`.

use hubledger::digest::sha256;
use hubledger::format::FormatVersion;
use hubledger::ledger::{Ledger, Staging};
use hubledger::proof::Proof;
use hubledger_storage::{KeyRange, RangeLimit, TableReader};
use serde_json::json;

use crate::common::{Chain, account, clock, key, reopenable};
use crate::golden::{b, u32, u64};

pub(crate) type Hash = [u8; 32];

/// A row: its place, table, key and value.
pub(crate) type Row = (Hash, u8, Vec<u8>, Vec<u8>);

pub(crate) fn row(key: &str, value: Vec<u8>) -> Row {
    let place = sha256(&[&[2, 1], key.as_bytes()]);
    (place, 1, key.as_bytes().to_vec(), value)
}

fn leaf((place, _, _, value): &Row) -> Hash {
    sha256(&[&[0], place, &sha256(&[&[3], value])])
}

fn bit(place: &Hash, depth: usize) -> bool {
    place[depth / 8] >> (7 - depth % 8) & 1 == 1
}

fn halves(rows: &[Row], depth: usize) -> (&[Row], &[Row]) {
    rows.split_at(rows.partition_point(|row| !bit(&row.0, depth)))
}

/// The hash of rows whose places begin with the same bits.
pub(crate) fn node(rows: &[Row], depth: usize) -> Hash {
    match rows {
        [] => sha256(&[]),
        [row] => leaf(row),
        _ => {
            let (left, right) = halves(rows, depth);
            match (left.len(), right.len()) {
                // One row alone has the hash of its leaf, on either side of nothing.
                (1, 0) | (0, 1) => leaf(&rows[0]),
                _ => sha256(&[&[1], &node(left, depth + 1), &node(right, depth + 1)]),
            }
        }
    }
}

/// The hashes beside the way to a place, and the rows at its end: one at most.
fn path<'a>(mut rows: &'a [Row], place: &Hash) -> (Vec<Hash>, &'a [Row]) {
    let mut siblings = Vec::new();
    while rows.len() > 1 {
        let depth = siblings.len();
        let (left, right) = halves(rows, depth);
        let (ours, other) = match bit(place, depth) {
            false => (left, right),
            true => (right, left),
        };
        siblings.push(node(other, depth + 1));
        rows = ours;
    }
    (siblings, rows)
}

fn nibble(place: &Hash, number: usize) -> u8 {
    place[number / 2] >> (4 * (1 - number % 2)) & 15
}

/// The pages of rows whose places begin with the same `nibbles` fours of bits: keys and values.
fn pages(rows: &[Row], nibbles: usize, into: &mut Vec<(Vec<u8>, Vec<u8>)>) {
    let mut key = rows[0].0[..nibbles.div_ceil(2)].to_vec();
    if nibbles % 2 == 1 {
        *key.last_mut().unwrap() &= 0xf0;
    }
    key.push(nibbles as u8);
    let mut page;
    if rows.len() <= 20 {
        page = [vec![0], (rows.len() as u16).to_le_bytes().to_vec()].concat();
        rows.iter().for_each(|row| page.extend(row.0));
        rows.iter().for_each(|row| page.extend(leaf(row)));
        let packed = |(_, table, key, value): &Row| {
            let length = (key.len() as u16).to_le_bytes();
            [&[*table][..], &length, key, value].concat()
        };
        let mut end = 0;
        for row in rows {
            end += packed(row).len() as u32;
            page.extend(u32(end));
        }
        rows.iter().for_each(|row| page.extend(packed(row)));
    } else {
        page = [vec![1], u64(rows.len() as u64)].concat();
        for number in 0..16 {
            let below = rows.iter().filter(|row| nibble(&row.0, nibbles) == number);
            let below: Vec<Row> = below.cloned().collect();
            match below.len() {
                0 => page.push(0),
                count => {
                    page.push(if count == 1 { 1 } else { 2 });
                    page.extend(node(&below, 4 * (nibbles + 1)));
                    pages(&below, nibbles + 1, into);
                }
            }
        }
    }
    into.push((key, page));
}

/// A chain of one block after genesis and its rows: names with a balance of which one sent something, and the authority, whose name
/// belongs to its key.
fn chain() -> (Chain, Vec<Row>) {
    let mut chain = Chain::in_version(FormatVersion::V2, 1, |fields| {
        let names = (0..25).map(|number| account(&format!("name-{number}"), 7));
        fields.accounts = names.collect();
        fields.rules.balances = true;
        fields.terms.root_interval = 1;
    });
    chain.extend(&[chain.message("name-3", 5)]);
    let keys = |name: &str| sha256(&[key(name).public_key().as_bytes()]).to_vec();
    let rows = (0..25).map(|number| {
        let (name, nonce) = (format!("name-{number}"), if number == 3 { 5 } else { 0 });
        row(&name, [u64(nonce), u64(7), vec![1], keys(&name)].concat())
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.push(row(
        "hub-0",
        [u64(0), u64(0), vec![1], keys("hub-0")].concat(),
    ));
    rows.sort();
    (chain, rows)
}

fn stored(tables: &dyn TableReader, table: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
    let limit = RangeLimit {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
    let view = tables.view("state").unwrap();
    let rows = view.range(table, &KeyRange::default(), limit).unwrap();
    let owned = rows
        .into_iter()
        .map(|(key, value)| (key.to_vec(), value.to_vec()));
    owned.collect()
}

#[test]
fn the_root_over_the_state() {
    let (chain, rows) = chain();
    let root = node(&rows, 0);
    assert_eq!(chain.last().header().state_root.0, root);
    assert_eq!(
        hex::encode(root),
        "b28b9d02aae65e33eb5464f4672295ee6ffb6fc4ebf032f5c96394fad23ccad7"
    );
}

#[test]
fn the_state_in_tables() {
    let (chain, rows) = chain();
    let store = reopenable();
    let time = clock(chain.now());
    let mut ledger = Ledger::create(store.open().unwrap(), chain.spec(), time).unwrap();
    assert_eq!(ledger.submit(chain.last()).unwrap(), Staging::Staged);
    ledger.close().unwrap();
    let tables = store.open().unwrap().reader.tables();
    assert_eq!(tables.sets().unwrap(), ["state"]);
    let position = tables.view("state").unwrap().position().unwrap();
    assert_eq!((position.height, position.id), (1, chain.last().hash().0));
    let mut expected = Vec::new();
    pages(&rows, 0, &mut expected);
    expected.sort();
    assert_eq!(stored(&*tables, 0), expected);
    let header = chain.last().header();
    let hashes = [&chain.blocks[0], &chain.blocks[1]].map(|block| sha256(&[&[0], &block.hash().0]));
    let before = [
        b"HLSTTIP2".to_vec(),
        chain.spec().id().0.to_vec(),
        u64(1),
        chain.last().hash().0.to_vec(),
        u64(header.timestamp),
        u64(1),
        1_u128.to_le_bytes().to_vec(),
        [u32(1), b(b"hub-0"), u64(1)].concat(),
        [
            u64(2),
            u32(1),
            sha256(&[&[1], &hashes[0], &hashes[1]]).to_vec(),
        ]
        .concat(),
        u64(26),
        node(&rows, 0).to_vec(),
        b(b""),
    ]
    .concat();
    let tip = [before.clone(), sha256(&[&before]).to_vec()].concat();
    assert_eq!(stored(&*tables, 1), [(Vec::new(), tip)]);
}

#[test]
fn a_snapshot_with_rows() {
    let (chain, rows) = chain();
    let header = chain.last().header();
    let hashes = [&chain.blocks[0], &chain.blocks[1]].map(|block| sha256(&[&[0], &block.hash().0]));
    let list = rows
        .iter()
        .map(|(_, table, key, value)| [vec![*table], b(key), b(value)].concat());
    let before = [
        b"HLSTATE2".to_vec(),
        chain.spec().id().0.to_vec(),
        u64(1),
        chain.last().hash().0.to_vec(),
        u64(header.timestamp),
        u64(1),
        1_u128.to_le_bytes().to_vec(),
        [u32(1), b(b"hub-0"), u64(1)].concat(),
        [
            u64(2),
            u32(1),
            sha256(&[&[1], &hashes[0], &hashes[1]]).to_vec(),
        ]
        .concat(),
        u64(26),
        list.collect::<Vec<_>>().concat(),
        b(b""),
    ]
    .concat();
    let bytes = [before.clone(), sha256(&[&before]).to_vec()].concat();
    assert_eq!(hex::encode(chain.state().encode()), hex::encode(bytes));
}

#[test]
fn a_state_proof() {
    let (mut chain, rows) = chain();
    let state = chain.state().clone();
    let first = chain.last().clone();
    chain.extend(&[]);
    let reader = chain.ledger().reader();
    // A name that is there, and enough others that both ways of being absent are among them.
    let mut ends = std::collections::BTreeSet::new();
    for name in (0..40).map(|number| match number {
        0 => "name-3".to_owned(),
        _ => format!("nobody-{number}"),
    }) {
        let place = row(&name, Vec::new()).0;
        let (siblings, end) = path(&rows, &place);
        let (tag, end) = match end {
            [] => (1, place.to_vec()),
            [found] if found.0 == place => (0, b(&found.3)),
            [other, ..] => (2, [place, other.0, sha256(&[&[3], &other.3])].concat()),
        };
        let way: Vec<u8> = siblings.concat();
        let genesis = sha256(&[&[0], &chain.blocks[0].hash().0]);
        let at_head = vec![0];
        let at_first = [vec![1], b(first.header().bytes()), u32(1), genesis.to_vec()].concat();
        for (head, later) in [(&first, at_head), (chain.last(), at_first)] {
            let proof = reader
                .prove_account(&state, &name, Some(&head.hash()))
                .unwrap();
            let bytes = [
                b"HLPROOFS".to_vec(),
                vec![1],
                b(head.header().bytes()),
                later,
                vec![1],
                b(name.as_bytes()),
                u32(siblings.len() as u32),
                way.clone(),
                vec![tag],
                end.clone(),
            ]
            .concat();
            assert_eq!(hex::encode(proof.encode()), hex::encode(&bytes), "{name}");
            assert_eq!(Proof::decode(&bytes.into()).unwrap(), Proof::State(proof));
        }
        ends.insert(tag);
    }
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_state_proof_as_json() {
    let (chain, rows) = chain();
    let reader = chain.ledger().reader();
    let head = chain.last().header().bytes();
    let texts = |name: &str| {
        let proof = reader.prove_account(chain.state(), name, None).unwrap();
        let text = Proof::State(proof.clone()).to_json();
        assert_eq!(Proof::from_json(&text).unwrap(), Proof::State(proof));
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let fields = |name: &str| {
        let (siblings, end) = path(&rows, &row(name, Vec::new()).0);
        let siblings: Vec<String> = siblings.iter().map(hex::encode).collect();
        let fields = json!({
            "proof": "state", "version": 1, "head": hex::encode(head),
            "table": 1, "key": hex::encode(name), "path": siblings,
        });
        (fields, end)
    };
    let (mut present, end) = fields("name-3");
    present["value"] = hex::encode(&end[0].3).into();
    assert_eq!(texts("name-3"), present);
    for name in (1..40).map(|number| format!("nobody-{number}")) {
        let (mut absent, end) = fields(&name);
        absent["place"] = hex::encode(row(&name, Vec::new()).0).into();
        if let [other] = end {
            let value_hash = sha256(&[&[3], &other.3]);
            absent["other"] =
                json!({ "place": hex::encode(other.0), "value_hash": hex::encode(value_hash) });
        }
        assert_eq!(texts(&name), absent, "{name}");
    }
}
