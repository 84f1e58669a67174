//! Golden bytes of what is kept and copied, assembled by hand from `FORMAT.md`.

use std::fs;
use std::ops::ControlFlow;

use hubledger::digest::Digest;
use hubledger::ledger::archive::ArchiveWriter;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{LedgerError, copy_chain};
use hubledger::merkle;
use hubledger::merkle::history_leaf;
use sha2::{Digest as _, Sha256};

use crate::common::{Chain, memory, reopenable};
use crate::places::chain;

fn u32(number: u32) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn u64(number: u64) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn b(bytes: &[u8]) -> Vec<u8> {
    [u32(bytes.len() as u32), bytes.to_vec()].concat()
}

fn sealed(parts: &[Vec<u8>]) -> Vec<u8> {
    let before = parts.concat();
    let checksum = Sha256::digest(&before).to_vec();
    [before, checksum].concat()
}

/// A chain of four blocks whose first three are pruned, with leaf hashes and an archive.
fn pruned(folder: &std::path::Path) -> (Chain, std::sync::Arc<dyn hubledger_storage::BlockReader>) {
    let whole = chain(3);
    let store = reopenable().open().unwrap();
    let reader = store.reader.clone();
    let clock = crate::common::clock(whole.now());
    let mut ledger = hubledger::ledger::Ledger::create(store, whole.spec(), clock).unwrap();
    for block in &whole.blocks[1..] {
        ledger.submit(block).unwrap();
    }
    let policy = PrunePolicy {
        leaves: true,
        ..PrunePolicy::of_bodies(Keep::Last(1))
    };
    let mut archive = ArchiveWriter::open(folder, whole.spec()).unwrap();
    let mut go_on = |_| ControlFlow::Continue(());
    let report = ledger.prune(&policy, Some(&mut archive), &mut go_on);
    assert_eq!(report.unwrap().bodies.floor, 3);
    (whole, reader)
}

#[test]
fn leaf_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, reader) = pruned(&folder.path().join("archive"));
    let directory = [b"HLLEAFDR".to_vec(), u32(1), u64(0), u64(3)];
    assert_eq!(
        reader.named_value("leaves").unwrap().unwrap(),
        sealed(&directory)
    );
    let leaf = |block: usize, index: usize| {
        let transaction = &whole.blocks[block].transactions()[index];
        let data = [&transaction.id().0, transaction.witness_bytes()].concat();
        Sha256::digest([&[0][..], &data].concat()).to_vec()
    };
    let chunk = [
        b"HLLEAVES".to_vec(),
        whole.spec().id().0.to_vec(),
        u64(0),
        u32(3),
        u32(0),
        [u32(1), leaf(1, 0)].concat(),
        [u32(2), leaf(2, 0), leaf(2, 1)].concat(),
    ];
    assert_eq!(
        reader.named_value("leaves/0").unwrap().unwrap(),
        sealed(&chunk)
    );
}

#[test]
fn an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("archive");
    let (whole, _) = pruned(&folder);
    let file = fs::read(folder.join("blocks-000000000000.hlb.zst")).unwrap();
    let head = [b"HLBLOCKS".to_vec(), u32(1), b(whole.spec().bytes())].concat();
    let blocks = whole.blocks[..3].iter().map(|block| b(&block.encode()));
    let contents = [head, blocks.collect::<Vec<_>>().concat()].concat();
    assert_eq!(zstd::decode_all(&file[..]).unwrap(), contents);
    let hashes: Vec<Digest> = whole.blocks[..3]
        .iter()
        .map(|block| history_leaf(&block.hash()))
        .collect();
    let manifest = |checksum: &str| {
        format!(
            r#"{{
  "format": "hubledger archive",
  "version": 1,
  "chain": "{chain}",
  "files": [
    {{
      "first": 0,
      "last": 2,
      "first_hash": "{first}",
      "last_hash": "{last}",
      "merkle_root": "{merkle_root}",
      "history_root": "{history_root}",
      "content_bytes": {content_bytes},
      "file_bytes": {file_bytes},
      "sha256": "{sha256}"
    }}
  ],
  "checksum": "{checksum}"
}}
"#,
            chain = whole.spec().id(),
            first = whole.blocks[0].hash(),
            last = whole.blocks[2].hash(),
            merkle_root = merkle::root(&hashes),
            history_root = whole.blocks[2].header().history_root,
            content_bytes = contents.len(),
            file_bytes = file.len(),
            sha256 = Digest(Sha256::digest(&file).into()),
        )
    };
    let checksum = Digest(Sha256::digest(manifest(&"0".repeat(64))).into());
    let written = fs::read_to_string(folder.join("manifest.json")).unwrap();
    assert_eq!(written, manifest(&checksum.to_string()));
}

#[test]
fn the_mark_of_an_incomplete_copy() {
    let whole = chain(3);
    let target = memory();
    let reader = target.reader.clone();
    let source = whole.ledger().reader();
    let stopped = copy_chain(&source, target, &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(LedgerError::Stopped)));
    let mark = [&b"HLCOPY\0\x01"[..], &whole.spec().id().0].concat();
    assert_eq!(reader.named_value("copy").unwrap().unwrap(), mark);
}
