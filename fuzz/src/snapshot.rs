//! A snapshot of a small chain of version 2, and the rows of its state.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use hubledger::clock::FixedClock;
use hubledger::digest::Digest;
use hubledger::format::FormatVersion;
use hubledger::generate::{Generator, Recipe};
use hubledger::ledger::Ledger;
use hubledger::ledger::snapshot::SnapshotExport;
use hubledger_storage::StoreUrl;

/// Contents of each file, roughly: so that there are several.
const FILE_BYTES: usize = 600;

/// What the files of a snapshot hold, decompressed.
#[derive(Debug)]
pub struct GenuineSnapshot {
    /// The root over the rows.
    pub state_root: Digest,
    /// The rows, ascending: place, table, key, value.
    pub rows: Vec<(Digest, u8, Vec<u8>, Vec<u8>)>,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// Contents of the files of rows, ascending.
    pub row_files: Vec<Vec<u8>>,
    /// Contents of the files of headers, ascending.
    pub header_files: Vec<Vec<u8>>,
}

/// The snapshot, the same in every process.
pub static GENUINE_SNAPSHOT: LazyLock<GenuineSnapshot> = LazyLock::new(GenuineSnapshot::new);

impl GenuineSnapshot {
    fn new() -> Self {
        let mut generator = Generator::new(Recipe {
            transactions: 48,
            keys: 24,
            payload_bytes: 24,
            per_block: 8,
            seed: 7,
            version: FormatVersion::V2,
            ..Recipe::default()
        })
        .expect("the recipe is small");
        let url: StoreUrl = "memory:".parse().expect("a URL");
        let store = url.create().expect("memory");
        let clock = Arc::new(FixedClock(generator.spec().genesis_time + 1_000_000_000));
        let mut ledger = Ledger::create(store, generator.spec(), clock).expect("an empty store");
        while let Some(block) = generator.next_block().expect("the chain allows its recipe") {
            ledger.submit(&block).expect("memory");
        }
        let folder = crate::scratch::temporary();
        let reader = ledger.reader();
        let mut export =
            SnapshotExport::new(&reader, ledger.state()).expect("each block has a root");
        export.set_file_bytes(FILE_BYTES);
        let written = export.write(folder.path(), &mut |_| ControlFlow::Continue(()));
        let manifest = written.expect("there is room").manifest;
        let tree = ledger.state().tree().expect("a chain of version 2");
        let rows = tree.rows_from(&Digest::ZERO);
        let rows =
            rows.map(|(place, table, key, value)| (place, table, key.to_vec(), value.to_vec()));
        Self {
            state_root: manifest.state_root,
            rows: rows.collect(),
            manifest: manifest.encode(),
            row_files: contents(folder.path(), "rows-"),
            header_files: contents(folder.path(), "headers-"),
        }
    }
}

/// What the files whose names begin so decompress to, by ascending names.
fn contents(folder: &Path, prefix: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).expect("it was just written");
    let paths = entries.map(|entry| entry.expect("a file").path());
    let is_one = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with(prefix)
    };
    let mut paths: Vec<_> = paths.filter(is_one).collect();
    paths.sort();
    let files = paths.iter().map(|path| {
        let file = fs::read(path).expect("it was just written");
        zstd::decode_all(&file[..]).expect("it was just compressed")
    });
    files.collect()
}
