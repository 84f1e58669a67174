//! Every byte of a small file of each kind, changed and cut away.

use std::path::PathBuf;

use hubledger::blockfile::BlockStream;
use hubledger::generate::{Generator, Recipe};
use hubledger_storage::StoreUrl;

use super::*;

/// One small file of each kind.
fn files() -> Vec<(Kind, Vec<u8>)> {
    let recipe = Recipe {
        transactions: 2,
        payload_bytes: 3,
        keys: 1,
        per_block: 1,
        ..Recipe::default()
    };
    let mut generator = Generator::new(recipe).expect("a small recipe");
    let spec = generator.spec().clone();
    let store: StoreUrl = "memory:".parse().expect("a store in memory");
    let engine = hubledger::engine::Engine::builder()
        .threads(1)
        .create(store.create().expect("it is new"), &spec)
        .expect("a chain");
    let mut file = BlockStream::new(Vec::new(), &spec).expect("memory has room");
    let mut blocks = Vec::new();
    while let Some(block) = generator.next_block().expect("within the limits") {
        file.append(&block).expect("memory has room");
        blocks.push(block);
    }
    let encoded = blocks.iter().map(|block| Bytes::from(block.encode()));
    assert_eq!(engine.import(encoded).count(), 2);
    let id = blocks[0].transactions()[0].id();
    let proof = Proof::Transaction(engine.prove(&id, None).expect("it is in the chain"));
    let transaction = blocks[0].transactions()[0].bytes().to_vec();
    vec![
        (Kind::BlockFile, file.finish().expect("memory has room")),
        (Kind::Block, blocks[0].encode()),
        (Kind::Transaction, hex::encode(&transaction).into_bytes()),
        (Kind::Transaction, transaction),
        (Kind::Proof, proof.to_json().into_bytes()),
        (Kind::Proof, proof.encode()),
        (Kind::Specification, spec.to_toml().into_bytes()),
        (Kind::Specification, spec.bytes().to_vec()),
    ]
}

fn show(
    bytes: &[u8],
    kind: Option<Kind>,
    height: Option<u64>,
    limit: u64,
) -> Result<Option<Value>> {
    let args = Show {
        file: PathBuf::from("file"),
        kind,
        height,
    };
    shown(&args, bytes, bytes.len() as u64, limit)
}

/// The verdict on damage: a value all the same, or an error that names the file in one line.
fn judge(bytes: &[u8], kind: Option<Kind>, what: &str) {
    let text = match show(bytes, kind, None, 1 << 20) {
        Ok(_) => return,
        Err(Failure::Refused(fault)) => fault.detail,
        Err(Failure::Failed(error)) => format!("{error:#}"),
        Err(_) => panic!("{what}: another failure"),
    };
    assert!(text.starts_with("file: "), "{what}: {text}");
    assert_eq!(text.lines().count(), 1, "{what}: {text}");
}

#[test]
fn no_changed_byte_and_no_missing_end_is_more_than_an_error() {
    for (kind, whole) in files() {
        let shown = show(&whole, None, None, 1 << 20);
        assert!(matches!(shown, Ok(Some(_))), "{kind:?} is recognised");
        for at in 0..whole.len() {
            for change in [1, 0x80, 0xff] {
                let mut bad = whole.clone();
                bad[at] ^= change;
                judge(&bad, None, &format!("{kind:?}, byte {at}"));
                judge(&bad, Some(kind), &format!("{kind:?} demanded, byte {at}"));
            }
            judge(&whole[..at], None, &format!("{kind:?}, cut at {at}"));
            judge(
                &whole[..at],
                Some(kind),
                &format!("{kind:?} demanded, cut at {at}"),
            );
        }
    }
}

#[test]
fn no_more_is_read_or_shown_than_the_limit() {
    for (kind, whole) in files() {
        let length = whole.len() as u64;
        assert!(show(&whole, None, None, length).is_ok(), "{kind:?}");
        let Err(Failure::Failed(error)) = show(&whole, None, None, length - 1) else {
            panic!("{kind:?} is shown beyond the limit");
        };
        let text = error.to_string();
        assert!(text.contains(&(length - 1).to_string()), "{text}");
    }
    let (_, blocks) = files().swap_remove(0);
    let one = show(&blocks, None, Some(2), 1);
    assert!(
        matches!(one, Ok(Some(_))),
        "one block is shown whatever the rest"
    );
}
