//! Snapshots: what is exported is what a chain goes on from, and nothing else is.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hubledger::digest::{BlockHash, Digest, sha256};
use hubledger::engine::{Engine, Outcome};
use hubledger::format::FormatVersion;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::snapshot::{
    self, ExportReport, ImportReport, Snapshot, SnapshotError, SnapshotExport, SnapshotManifest,
};
use hubledger::ledger::{ChainReader, Ledger, LedgerError, Lookup, Staging};
use hubledger::model::Block;
use hubledger::spec::{Finality, Terms};
use hubledger::state::State;
use hubledger_storage::Store;
use tempfile::TempDir;

use crate::common::{Chain, clock};
use crate::places::Place;

/// Small enough for several files of each kind.
const FILE_BYTES: usize = 1_500;

fn go_on(_: hubledger::ledger::Step) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A chain of version 2 in which each block names the state root, with `blocks` blocks of three senders each.
fn chain(blocks: u64) -> Chain {
    let mut chain = Chain::in_version(FormatVersion::V2, 2, |fields| {
        fields.terms = Terms::of_new_chains();
    });
    extend(&mut chain, blocks);
    chain
}

fn extend(chain: &mut Chain, blocks: u64) {
    for _ in 0..blocks {
        let height = chain.state().height() + 1;
        let senders = [height, height + 1000, height + 2000];
        let messages = senders.map(|sender| chain.message(&format!("sender {sender}"), 1));
        let producer = crate::common::hub((height % 2) as usize);
        chain.push(chain.block_by(&producer, &messages));
    }
}

fn write(
    reader: &ChainReader,
    state: &State,
    folder: &Path,
) -> Result<ExportReport, SnapshotError> {
    let mut export = SnapshotExport::new(reader, state)?;
    export.set_file_bytes(FILE_BYTES);
    export.write(folder, &mut go_on)
}

fn load(folder: &Path, head: &BlockHash, target: Store) -> Result<ImportReport, SnapshotError> {
    let snapshot = Snapshot::open(folder, head)?;
    snapshot::import(&snapshot, target, &mut go_on)
}

/// A snapshot of a chain, in several files of each kind.
struct Exported {
    whole: Chain,
    folder: TempDir,
}

impl Exported {
    fn new(whole: Chain) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = whole.ledger();
        let report = write(&ledger.reader(), ledger.state(), &folder.path().join("s")).unwrap();
        assert!(report.manifest.header_files.len() > 2);
        assert!(report.manifest.row_files.len() > 2);
        Self { whole, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    fn head(&self) -> BlockHash {
        self.whole.state().head()
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn load(&self) -> Result<ImportReport, SnapshotError> {
        load(&self.path(), &self.head(), crate::common::memory())
    }
}

#[test]
fn a_chain_goes_on_from_a_snapshot_as_from_its_blocks_in_every_backend() {
    let exported = Exported::new(chain(40));
    let mut longer = exported.whole.clone();
    extend(&mut longer, 5);
    for place in Place::all() {
        let report = load(&exported.path(), &exported.head(), place.open()).unwrap();
        let extent = report.extent;
        assert_eq!(
            (extent.end, extent.body_floor, extent.index_floor),
            (41, 40, 40),
            "{place}"
        );
        assert_eq!((extent.header_floor, report.resumed_at), (0, 0));
        let mut ledger = place.again(&longer);
        assert_eq!(ledger.state(), exported.whole.state(), "{place}");
        let reader = ledger.reader();
        for block in &exported.whole.blocks[..40] {
            assert_eq!(
                reader.header(block.height()).unwrap().as_ref(),
                Some(block.header())
            );
            assert!(matches!(
                reader.block(block.height()),
                Err(LedgerError::Pruned(_))
            ));
            for transaction in block.transactions() {
                let found = reader.transaction(&transaction.id()).unwrap();
                assert!(matches!(found, Lookup::Forgotten { below: 40 }), "{place}");
            }
        }
        assert_eq!(
            reader.block(40).unwrap().as_ref(),
            Some(exported.whole.last())
        );
        // Its blocks name the roots over the state and the history that the whole chain has.
        for block in &longer.blocks[41..] {
            assert_eq!(ledger.submit(block).unwrap(), Staging::Staged, "{place}");
        }
        assert_eq!(ledger.state(), longer.state());
        let proof = reader
            .prove_account(ledger.state(), "sender 7", None)
            .unwrap();
        assert!(
            proof
                .verify(&longer.state().head())
                .unwrap()
                .value
                .is_some()
        );
        ledger.close().unwrap();
        let again = place.again(&longer);
        assert_eq!(again.state(), longer.state(), "{place}");
    }
}

#[test]
fn a_pruned_chain_is_exported_with_what_it_holds_of_headers() {
    let whole = chain(40);
    let mut ledger = whole.ledger();
    let mut policy = PrunePolicy::of_bodies(Keep::Last(3));
    policy.headers = Keep::Last(17);
    ledger.prune(&policy, None, &mut go_on).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("s");
    write(&ledger.reader(), ledger.state(), &folder).unwrap();
    let place = Place::new("memory").unwrap();
    let report = load(&folder, &whole.state().head(), place.open()).unwrap();
    assert_eq!(
        (report.extent.header_floor, report.extent.body_floor),
        (24, 40)
    );
    let again = place.again(&whole);
    assert_eq!(again.state(), whole.state());
    let reader = again.reader();
    assert!(matches!(
        reader.header(23),
        Err(LedgerError::HeaderPruned(23))
    ));
    for block in &whole.blocks {
        assert_eq!(reader.hash_at(block.height()).unwrap(), Some(block.hash()));
    }
    // From what was loaded another snapshot of the same block can be made.
    let second = folder.with_file_name("second");
    let report = write(&reader, again.state(), &second).unwrap();
    assert_eq!(
        report.manifest,
        Snapshot::open(&folder, &whole.state().head())
            .unwrap()
            .manifest()
            .clone()
    );
}

#[test]
fn each_file_that_is_flipped_cut_dropped_or_another_is_named() {
    let exported = Exported::new(chain(40));
    let files = exported.files();
    for (number, file) in files.iter().enumerate() {
        let bytes = fs::read(file).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        let cut = bytes[..bytes.len() - 1].to_vec();
        let longer = [&bytes[..], &[0]].concat();
        let other = fs::read(&files[(number + 1) % files.len()]).unwrap();
        let doubled = [&bytes[..], &bytes[..]].concat();
        for wrong in [flipped, cut, longer, other, doubled, Vec::new()] {
            fs::write(file, &wrong).unwrap();
            names(&exported.load().unwrap_err(), file);
        }
        fs::remove_file(file).unwrap();
        let error = exported.load().unwrap_err();
        if file.ends_with("manifest.json") {
            assert!(
                matches!(error, SnapshotError::NotASnapshot { .. }),
                "{error}"
            );
        } else {
            names(&error, file);
        }
        fs::write(file, &bytes).unwrap();
    }
    exported.load().unwrap();
}

#[track_caller]
fn names(error: &SnapshotError, file: &Path) {
    assert!(error.is_corrupt(), "{error}");
    assert!(
        error.to_string().contains(&file.display().to_string()),
        "{error}"
    );
}

/// The manifest changed, with the right checksum: what somebody can do who wants others to take another state for the chain's.
fn forge(exported: &Exported, change: impl FnOnce(&mut SnapshotManifest)) {
    let path = exported.path().join("manifest.json");
    let mut manifest = SnapshotManifest::decode(&path, &fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(&path, manifest.encode()).unwrap();
}

fn compressed(contents: &[u8]) -> (Vec<u8>, snapshot::SnapshotFile) {
    let bytes = zstd::encode_all(contents, 1).unwrap();
    let file = snapshot::SnapshotFile {
        content_bytes: contents.len() as u64,
        file_bytes: bytes.len() as u64,
        sha256: Digest(sha256(&[&bytes])),
    };
    (bytes, file)
}

#[test]
fn rows_and_headers_under_a_forged_manifest_are_refused_by_what_the_head_names() {
    let mut exported = Exported::new(chain(40));
    let files = exported.files();
    let manifest = exported.path().join("manifest.json");
    let genuine = fs::read(&manifest).unwrap();
    for file in files.iter().filter(|file| !file.ends_with("manifest.json")) {
        let bytes = fs::read(file).unwrap();
        let contents = zstd::decode_all(&bytes[..]).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        // One bit of some bytes, spread over the contents, so that it doesn't take long.
        for at in (0..contents.len()).step_by(61) {
            let mut wrong = contents.clone();
            wrong[at] ^= 1 << (at % 8);
            let (packed, said) = compressed(&wrong);
            fs::write(file, packed).unwrap();
            forge(&exported, |manifest| {
                if name.starts_with("head.") {
                    manifest.head_file = said;
                }
                let headers = manifest.header_files.iter_mut();
                let headers =
                    headers.filter(|held| name == format!("headers-{:012}.zst", held.first));
                headers.for_each(|held| held.file = said);
                let rows = manifest.row_files.iter_mut();
                let rows = rows.filter(|held| name == format!("rows-{}.zst", held.first));
                rows.for_each(|held| held.file = said);
            });
            names(&exported.load().unwrap_err(), file);
        }
        fs::write(file, &bytes).unwrap();
        fs::write(&manifest, &genuine).unwrap();
    }
    exported.load().unwrap();
    // A head that is not the trusted one is refused before anything else.
    let other = chain(39).state().head();
    let error = load(&exported.path(), &other, crate::common::memory()).unwrap_err();
    assert!(matches!(error, SnapshotError::OtherHead { .. }));
    extend(&mut exported.whole, 1);
    assert!(matches!(
        exported.load(),
        Err(SnapshotError::OtherHead { .. })
    ));
}

#[test]
fn an_interrupted_export_goes_on_where_it_was_and_begins_anew_for_another_head() {
    let whole = chain(40);
    let ledger = whole.ledger();
    let (reader, folder) = (ledger.reader(), tempfile::tempdir().unwrap());
    let plain = write(&reader, ledger.state(), &folder.path().join("plain")).unwrap();
    let out = folder.path().join("s");
    let mut runs = 0;
    let report = loop {
        runs += 1;
        let mut steps = 0;
        let mut export = SnapshotExport::new(&reader, ledger.state()).unwrap();
        export.set_file_bytes(FILE_BYTES);
        let written = export.write(&out, &mut |_| {
            steps += 1;
            match steps > runs {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        match written {
            Ok(report) => break report,
            Err(SnapshotError::Ledger(LedgerError::Stopped)) => {}
            Err(error) => panic!("{error}"),
        }
        let opened = Snapshot::open(&out, &whole.state().head());
        assert!(matches!(opened, Err(SnapshotError::NotASnapshot { .. })));
    };
    assert!(runs > 4);
    assert_eq!(report.files_written, 0, "all were there");
    assert_eq!(report.manifest, plain.manifest);
    let again = write(&reader, ledger.state(), &out).unwrap();
    assert_eq!((again.files_written, again.manifest), (0, report.manifest));
    // A part of another head's.
    let short = chain(39).ledger();
    let mut export = SnapshotExport::new(&reader, ledger.state()).unwrap();
    export.set_file_bytes(FILE_BYTES);
    let partly = folder.path().join("partly");
    export
        .write(&partly, &mut |_| ControlFlow::Break(()))
        .unwrap_err();
    write(&short.reader(), short.state(), &partly).unwrap();
    load(&partly, &short.state().head(), crate::common::memory()).unwrap();
    // A complete one stays.
    let error = write(&short.reader(), short.state(), &out).unwrap_err();
    assert!(matches!(error, SnapshotError::OtherHead { .. }), "{error}");
    let strange = folder.path().join("strange");
    fs::create_dir(&strange).unwrap();
    fs::write(strange.join("notes"), "mine").unwrap();
    let error = write(&reader, ledger.state(), &strange).unwrap_err();
    assert!(
        matches!(error, SnapshotError::NotASnapshot { .. }),
        "{error}"
    );
}

#[test]
fn an_interrupted_import_is_no_chain_until_it_is_finished() {
    let exported = Exported::new(chain(40));
    for place in Place::all() {
        let snapshot = Snapshot::open(&exported.path(), &exported.head()).unwrap();
        let mut runs = 0;
        let report = loop {
            let mut steps = 0;
            let imported = snapshot::import(&snapshot, place.open(), &mut |_| {
                steps += 1;
                match steps > runs {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            runs += 1;
            match imported {
                Ok(report) => break report,
                Err(SnapshotError::Ledger(LedgerError::Stopped)) => {}
                Err(error) => panic!("{place}: {error}"),
            }
            let opened = ChainReader::open(place.open().reader);
            assert!(matches!(opened, Err(LedgerError::Incomplete)), "{place}");
        };
        assert!(runs > 4);
        assert_eq!(
            report.resumed_at, 41,
            "{place}: the last run had the blocks"
        );
        assert_eq!(
            place.again(&exported.whole).state(),
            exported.whole.state(),
            "{place}"
        );
        let error = load(&exported.path(), &exported.head(), place.open()).unwrap_err();
        assert!(
            matches!(error, SnapshotError::Ledger(LedgerError::TargetInUse)),
            "{place}"
        );
    }
}

#[test]
fn only_a_final_block_with_a_state_root_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    let first = chain(1);
    let genesis = first.ledger();
    let error = write(
        &genesis.reader(),
        &State::genesis(first.spec()),
        folder.path(),
    )
    .unwrap_err();
    assert!(
        matches!(error, SnapshotError::Ledger(LedgerError::NoStateRoot(0))),
        "{error}"
    );
    let mut deep = Chain::in_version(FormatVersion::V2, 2, |fields| {
        fields.terms = Terms::of_new_chains();
        fields.terms.finality = Finality::Depth(2);
    });
    extend(&mut deep, 3);
    let early = deep.state().clone();
    let ledger = deep.ledger();
    let error = write(&ledger.reader(), &early, folder.path()).unwrap_err();
    assert!(
        matches!(
            error,
            SnapshotError::NotFinal {
                height: 3,
                final_height: 1
            }
        ),
        "{error}"
    );
    // Two blocks later it is final.
    let mut ledger = ledger;
    extend(&mut deep, 2);
    for block in &deep.blocks[4..] {
        assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
    }
    write(&ledger.reader(), &early, &folder.path().join("s")).unwrap();
    load(
        &folder.path().join("s"),
        &early.head(),
        crate::common::memory(),
    )
    .unwrap();
}

#[test]
fn a_snapshot_is_of_one_moment_while_its_chain_goes_on() {
    let mut whole = chain(40);
    let place = Place::new("memory").unwrap();
    let mut ledger = place.ledger(&whole);
    let (state, reader) = (ledger.state().clone(), ledger.reader());
    let head = state.head();
    extend(&mut whole, 30);
    let mut later = whole.blocks[41..].iter();
    let folder = tempfile::tempdir().unwrap();
    let mut export = SnapshotExport::new(&reader, &state).unwrap();
    export.set_file_bytes(FILE_BYTES);
    export
        .write(folder.path(), &mut |_| {
            if let Some(block) = later.next() {
                assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(ledger.state().height() > 45);
    let target = Place::new("memory").unwrap();
    load(folder.path(), &head, target.open()).unwrap();
    let again: Ledger = Ledger::open(target.open(), clock(whole.now())).unwrap();
    assert_eq!(again.state(), &state);
}

#[test]
fn an_engine_exports_a_snapshot_while_it_commits() {
    let mut whole = chain(20);
    let spec = whole.spec().clone();
    extend(&mut whole, 60);
    let builder = Engine::builder().threads(2).clock(clock(whole.now()));
    let engine = builder.create(crate::common::memory(), &spec).unwrap();
    let import = |blocks: &[Block]| {
        let encoded = blocks.iter().map(|block| block.encode().into());
        for outcome in engine.import(encoded) {
            assert!(matches!(outcome.unwrap(), Outcome::Committed(_)));
        }
    };
    import(&whole.blocks[1..21]);
    let folder = tempfile::tempdir().unwrap();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| import(&whole.blocks[21..]));
        engine.export_snapshot(folder.path(), &mut go_on).unwrap()
    });
    let (height, head) = (report.manifest.height, report.manifest.head);
    assert!(height >= 20);
    assert_eq!(whole.blocks[height as usize].hash(), head);
    let target = Place::new("memory").unwrap();
    load(folder.path(), &head, target.open()).unwrap();
    let mut again = target.again(&whole);
    for block in &whole.blocks[height as usize + 1..] {
        assert_eq!(again.submit(block).unwrap(), Staging::Staged);
    }
    assert_eq!(again.state(), whole.state());
    engine.shutdown().unwrap();
}
