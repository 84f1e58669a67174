//! Files of a snapshot with any bytes: what decodes encodes to the same bytes, rows that verify against the genuine root are the genuine
//! rows, and a manifest has one form. The first byte of an input says what the rest is: rows, headers, a manifest, or a
//! manifest whose checksum is still to be put in.

#![no_main]

use std::path::Path;

use bytes::Bytes;
use hubledger::digest::{Digest, sha256};
use hubledger::ledger::snapshot::{HeaderChunk, RowChunk, SnapshotManifest};
use hubledger_fuzz::GENUINE_SNAPSHOT;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    match kind % 4 {
        0 => rows(bytes),
        1 => headers(bytes),
        2 => manifest(bytes),
        _ => manifest(&with_checksum(bytes)),
    }
});

fn rows(bytes: &[u8]) {
    let Ok(chunk) = RowChunk::decode(bytes) else {
        return;
    };
    assert_eq!(chunk.encode(), bytes);
    let genuine = &*GENUINE_SNAPSHOT;
    if chunk.verify(&genuine.state_root).is_err() {
        return;
    }
    let range = chunk.first..=chunk.last;
    let all = genuine.rows.iter();
    let expected: Vec<_> = all.filter(|(place, ..)| range.contains(place)).collect();
    assert_eq!(chunk.rows.len(), expected.len());
    for (row, (_, table, key, value)) in chunk.rows.iter().zip(expected) {
        assert_eq!(
            (row.table, row.key, row.value),
            (*table, &key[..], &value[..])
        );
    }
}

fn headers(bytes: &[u8]) {
    if let Ok(chunk) = HeaderChunk::decode(&Bytes::copy_from_slice(bytes)) {
        assert_eq!(chunk.encode(), bytes);
    }
}

fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = SnapshotManifest::decode(Path::new("manifest.json"), bytes) {
        assert_eq!(manifest.encode(), bytes);
        assert_eq!(manifest.blocks, manifest.height + 1);
    }
}

/// The text with its SHA-256 in the place of the last 64 zeros.
fn with_checksum(text: &[u8]) -> Vec<u8> {
    let zeros = [b'0'; 64];
    let mut out = text.to_vec();
    let last = text.windows(64).rposition(|window| window == zeros);
    if let Some(at) = last {
        let checksum = Digest(sha256(&[text])).to_string();
        out[at..at + 64].copy_from_slice(checksum.as_bytes());
    }
    out
}
