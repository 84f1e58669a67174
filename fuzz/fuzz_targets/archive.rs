//! Archives of any bytes: a manifest that is read has exactly one form and no gaps; a file is read to blocks that link,
//! within the size that was stated, or to an error. The first byte of an input says what the rest is: a manifest; a
//! manifest whose checksum is still to be put in; a file; the contents of a file.

#![no_main]

use std::path::Path;

use hubledger::digest::{Digest, sha256};
use hubledger::ledger::archive::{ArchivedBlocks, ArchivedFile, Manifest};
use hubledger_fuzz::{ARCHIVED, Chain, Scratch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    match kind % 4 {
        0 => manifest(bytes),
        1 => manifest(&with_checksum(bytes)),
        2 => file(bytes),
        _ => {
            if let Ok(compressed) = zstd::encode_all(bytes, 1) {
                file(&compressed);
            }
        }
    }
});

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

fn manifest(bytes: &[u8]) {
    let path = Path::new("manifest.json");
    let Ok(manifest) = Manifest::decode(path, bytes) else {
        return;
    };
    let mut next = 0;
    for file in &manifest.files {
        assert_eq!(file.first, next, "a gap");
        assert!(file.last >= file.first);
        next = file.last + 1;
    }
    assert_eq!(manifest.end(), next);
    let mut longer = bytes.to_vec();
    longer.push(b'\n');
    assert!(Manifest::decode(path, &longer).is_err(), "a second form");
}

/// Reads the file as though it were the genuine archive's, which it need not be.
fn file(bytes: &[u8]) {
    let chain = Chain::get();
    let scratch = Scratch::holding(bytes);
    for slack in [0, 1 << 20] {
        let claimed: ArchivedFile = {
            let mut genuine = ARCHIVED.clone();
            genuine.content_bytes += slack;
            genuine
        };
        let Ok(mut blocks) = ArchivedBlocks::open(scratch.path(), &claimed) else {
            continue;
        };
        let (mut count, mut last) = (0, None);
        loop {
            match blocks.next_block() {
                Ok(Some(block)) => {
                    assert_eq!(block.height(), count, "blocks follow one another");
                    assert!(last.is_none_or(|last| block.header().previous_hash == last));
                    last = Some(block.hash());
                    count += 1;
                }
                Ok(None) => {
                    assert_eq!((count, slack), (chain.blocks.len() as u64, 0));
                    assert_eq!(last, Some(chain.head()));
                    break;
                }
                Err(_) => break,
            }
        }
    }
}
