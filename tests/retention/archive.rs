//! Archives: what is pruned with one comes back, and nothing else does.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hubledger::engine::{Engine, RestoreError, RestoreReport, restore_archive};
use hubledger::ledger::archive::{Archive, ArchiveError, ArchiveWriter, ArchivedBlocks};
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{ChainReader, Ledger, LedgerError, PruneReport};
use hubledger_storage::Store;
use sha2::{Digest as _, Sha256};

use crate::common::{Chain, clock, memory};
use crate::places::{Place, chain};

/// Small enough for several files.
const FILE_BYTES: u64 = 3_000;

fn prune_into(ledger: &mut Ledger, keep: u64, folder: &Path) -> Result<PruneReport, LedgerError> {
    let mut archive = ArchiveWriter::open(folder, ledger.spec())?;
    archive.set_file_bytes(FILE_BYTES);
    let policy = PrunePolicy::of_bodies(Keep::Last(keep));
    ledger.prune(&policy, Some(&mut archive), &mut |_| {
        ControlFlow::Continue(())
    })
}

fn restore(
    folder: &Path,
    then: Option<&ChainReader>,
    store: Store,
    now: u64,
) -> Result<RestoreReport, RestoreError> {
    let archive = Archive::open(folder)?;
    restore_archive(&archive, then, store, clock(now), &mut |_| {
        ControlFlow::Continue(())
    })
}

/// A folder with an archive of the blocks 0 to 24 of a chain of 31, in several files.
fn archived(folder: &Path) -> (Chain, PathBuf) {
    let whole = chain(30);
    let folder = folder.join("archive");
    let mut ledger = whole.ledger();
    let report = prune_into(&mut ledger, 6, &folder).unwrap();
    assert_eq!((report.archived, report.bodies.floor), (25, 25));
    assert!(Archive::open(&folder).unwrap().manifest().files.len() > 4);
    (whole, folder)
}

#[test]
fn a_pruned_chain_is_restored_from_archive_and_store() {
    let whole = chain(40);
    for place in Place::all() {
        let folder = place.folder().join("archive");
        let mut ledger = place.ledger(&whole);
        // In several goes; the archive is continued.
        let goes = [30, 29, 15, 7, 7];
        let reports = goes.map(|keep| prune_into(&mut ledger, keep, &folder).unwrap());
        assert_eq!(reports.map(|report| report.archived), [11, 1, 14, 8, 0]);
        drop(ledger);
        let then = ChainReader::open(place.open().reader).unwrap();
        for target in Place::all() {
            let report = restore(&folder, Some(&then), target.open(), whole.now()).unwrap();
            assert_eq!(
                (report.archived, report.further),
                (33, 7),
                "{place} to {target}"
            );
            assert_eq!((report.blocks, report.head), (41, whole.state().head()));
            let again = target.again(&whole);
            assert_eq!(again.state(), whole.state());
            for block in &whole.blocks {
                let held = again.reader().block(block.height()).unwrap();
                assert_eq!(held.as_ref(), Some(block));
            }
            drop(again);
            // A second time there is nothing to do.
            let report = restore(&folder, Some(&then), target.open(), whole.now()).unwrap();
            assert_eq!((report.archived, report.further), (0, 0));
            // The archive alone gives its own part.
            let alone = restore(&folder, None, memory(), whole.now()).unwrap();
            assert_eq!((alone.blocks, alone.head), (34, whole.blocks[33].hash()));
        }
    }
}

#[test]
fn a_restoring_that_was_interrupted_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, archive) = archived(folder.path());
    for place in Place::all() {
        let mut short = whole.clone();
        short.blocks.truncate(12);
        drop(place.ledger(&short));
        let report = restore(&archive, None, place.open(), whole.now()).unwrap();
        assert_eq!((report.blocks, report.archived), (25, 13), "{place}");
    }
}

#[test]
fn an_archive_that_a_crash_left_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, archive) = archived(folder.path());
    let names: Vec<_> = fs::read_dir(&archive)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    // Archived but not pruned: another store of the same chain archives what is missing only.
    let mut ledger = whole.ledger();
    let report = prune_into(&mut ledger, 6, &archive).unwrap();
    assert_eq!((report.archived, report.bodies.blocks), (0, 25));
    // Files that no manifest names are replaced, also when there is no manifest yet.
    for keep_manifest in [true, false] {
        let other = folder.path().join(format!("other-{keep_manifest}"));
        fs::create_dir(&other).unwrap();
        for path in &names {
            let name = path.file_name().unwrap();
            if name != "manifest.json" || keep_manifest {
                fs::copy(path, other.join(name)).unwrap();
            }
        }
        fs::write(other.join("blocks-000000000025.hlb.zst"), "half").unwrap();
        fs::write(other.join("blocks-000000000025.hlb.zst.partial"), "half").unwrap();
        fs::write(other.join("manifest.json.partial"), "half").unwrap();
        let mut ledger = whole.ledger();
        let report = prune_into(&mut ledger, 2, &other).unwrap();
        assert_eq!(report.archived, if keep_manifest { 4 } else { 29 });
        let then = ledger.reader();
        let restored = restore(&other, Some(&then), memory(), whole.now()).unwrap();
        assert_eq!(restored.head, whole.state().head());
    }
}

#[test]
fn what_is_not_this_chains_archive_is_refused_and_nothing_is_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, archive) = archived(folder.path());
    let refuse = |chain: &Chain, folder: &Path| {
        let mut ledger = chain.ledger();
        let before = ledger.reader().extent().unwrap();
        let error = prune_into(&mut ledger, 3, folder).unwrap_err();
        assert_eq!(ledger.reader().extent().unwrap(), before);
        match error {
            LedgerError::Archive(error) => error,
            error => panic!("{error}"),
        }
    };
    // Another chain.
    let mut other = Chain::new(1, |fields| fields.name = "other".to_owned());
    for nonce in 1..=30 {
        let message = other.message("bob", nonce);
        other.extend(&[message]);
    }
    assert!(matches!(
        refuse(&other, &archive),
        ArchiveError::OtherChain { .. }
    ));
    // The same specification, other blocks; and a chain that is shorter than its archive.
    let mut fork = Chain::of(whole.spec().clone());
    for nonce in 1..=30 {
        let message = fork.message("bob", nonce);
        fork.extend(&[message]);
    }
    assert!(matches!(
        refuse(&fork, &archive),
        ArchiveError::Forked { height: 24, .. }
    ));
    let short = chain(20);
    assert!(matches!(
        refuse(&short, &archive),
        ArchiveError::Forked { .. }
    ));
    // A directory of something else, and a file.
    let strange = folder.path().join("strange");
    fs::create_dir(&strange).unwrap();
    fs::write(strange.join("letter.txt"), "dear").unwrap();
    assert!(matches!(
        refuse(&whole, &strange),
        ArchiveError::NotAnArchive { .. }
    ));
    assert!(matches!(
        Archive::open(&strange),
        Err(ArchiveError::NotAnArchive { .. })
    ));
    let file = strange.join("letter.txt");
    assert!(matches!(refuse(&whole, &file), ArchiveError::Io { .. }));
    assert_eq!(fs::read_dir(&strange).unwrap().count(), 1);
    // Someone else is writing.
    let _writer = ArchiveWriter::open(&archive, whole.spec()).unwrap();
    assert!(matches!(
        refuse(&whole, &archive),
        ArchiveError::InUse { .. }
    ));
}

#[test]
fn a_gap_is_refused_when_archiving_and_when_restoring() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, archive) = archived(folder.path());
    let mut ledger = whole.ledger();
    crate::pruning::prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(4)));
    let gap = |error: ArchiveError| match error {
        ArchiveError::Gap { end, floor, .. } => (end, floor),
        error => panic!("{error}"),
    };
    match prune_into(&mut ledger, 2, &archive).unwrap_err() {
        LedgerError::Archive(error) => assert_eq!(gap(error), (25, 27)),
        error => panic!("{error}"),
    }
    match prune_into(&mut ledger, 2, &folder.path().join("new")).unwrap_err() {
        LedgerError::Archive(error) => assert_eq!(gap(error), (0, 27)),
        error => panic!("{error}"),
    }
    let then = ledger.reader();
    match restore(&archive, Some(&then), memory(), whole.now()).unwrap_err() {
        RestoreError::Archive(error) => assert_eq!(gap(error), (25, 27)),
        error => panic!("{error}"),
    }
    // Into the pruned store itself nothing can be put back.
    drop((ledger, then));
    for place in Place::all() {
        let mut ledger = place.ledger(&whole);
        crate::pruning::prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(4)));
        drop(ledger);
        let refused = restore(&archive, None, place.open(), whole.now());
        assert!(matches!(refused, Err(RestoreError::Pruned(27))));
    }
}

/// Whatever was done to the archive, restoring gives blocks of the chain or an error that names a file.
fn harmless_or_reported(whole: &Chain, archive: &Path, what: &str) -> bool {
    let store = memory();
    let reader = store.reader.clone();
    let outcome = restore(archive, None, store, whole.now());
    if let Ok(reader) = ChainReader::open(reader) {
        for height in 0..reader.extent().unwrap().end {
            let held = reader.hash_at(height).unwrap();
            assert_eq!(held, Some(whole.blocks[height as usize].hash()), "{what}");
        }
    }
    match outcome {
        Ok(_) => false,
        Err(error) => {
            assert!(error.to_string().contains("archive"), "{what}: {error}");
            true
        }
    }
}

#[test]
fn flipped_and_missing_bytes_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, archive) = archived(folder.path());
    let paths: Vec<_> = fs::read_dir(&archive)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    for path in paths {
        let genuine = fs::read(&path).unwrap();
        let step = (genuine.len() / 60).max(1);
        for at in (0..genuine.len()).step_by(step) {
            let what = format!("{} at {at}", path.display());
            let mut flipped = genuine.clone();
            flipped[at] ^= 1 << (at % 8);
            for bytes in [&flipped[..], &genuine[..at]] {
                fs::write(&path, bytes).unwrap();
                assert!(harmless_or_reported(&whole, &archive, &what), "{what}");
            }
        }
        fs::remove_file(&path).unwrap();
        assert!(harmless_or_reported(&whole, &archive, "a missing file"));
        // What an earlier run archived is looked at again before anything is deleted.
        if !path.ends_with("manifest.json") {
            let mut ledger = whole.ledger();
            assert!(prune_into(&mut ledger, 3, &archive).is_err());
            assert_eq!(ledger.reader().extent().unwrap().body_floor, 0);
        }
        fs::write(&path, &genuine).unwrap();
    }
    assert!(!harmless_or_reported(
        &whole,
        &archive,
        "the genuine archive"
    ));
}

/// The manifest after `change`, with the checksum that belongs to it.
fn forge(archive: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = archive.join("manifest.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    let text = |json: &serde_json::Value| serde_json::to_string_pretty(json).unwrap() + "\n";
    json["checksum"] = "0".repeat(64).into();
    json["checksum"] = format!("{:x}", HexDigest(Sha256::digest(text(&json)).into())).into();
    fs::write(path, text(&json)).unwrap();
}

struct HexDigest([u8; 32]);

impl std::fmt::LowerHex for HexDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[test]
fn a_manifest_that_was_forged_with_its_checksum_deceives_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, archive) = archived(folder.path());
    let manifest = fs::read(archive.join("manifest.json")).unwrap();
    forge(&archive, |_| {});
    assert_eq!(fs::read(archive.join("manifest.json")).unwrap(), manifest);
    let zeros = "0".repeat(64);
    let changes: &[(&str, serde_json::Value)] = &[
        ("last", 3.into()),
        ("last", u64::MAX.into()),
        ("first", 1.into()),
        ("first_hash", zeros.clone().into()),
        ("last_hash", zeros.clone().into()),
        ("merkle_root", zeros.clone().into()),
        ("history_root", zeros.clone().into()),
        ("content_bytes", 0.into()),
        ("content_bytes", 100.into()),
        ("content_bytes", 4_000.into()),
        ("content_bytes", u64::MAX.into()),
        ("file_bytes", 0.into()),
        ("sha256", zeros.clone().into()),
    ];
    for file in [0, 1] {
        for (field, value) in changes {
            forge(&archive, |json| json["files"][file][field] = value.clone());
            let what = format!("{field} = {value}");
            assert!(harmless_or_reported(&whole, &archive, &what), "{what}");
            fs::write(archive.join("manifest.json"), &manifest).unwrap();
        }
    }
    let drop_file = |json: &mut serde_json::Value, at: usize| {
        json["files"].as_array_mut().unwrap().remove(at);
    };
    // A gap.
    forge(&archive, |json| drop_file(json, 1));
    assert!(harmless_or_reported(&whole, &archive, "a gap"));
    fs::write(archive.join("manifest.json"), &manifest).unwrap();
    forge(&archive, |json| json["chain"] = zeros.clone().into());
    assert!(harmless_or_reported(&whole, &archive, "another chain"));
    forge(&archive, |json| json["version"] = 2.into());
    assert!(matches!(
        Archive::open(&archive),
        Err(ArchiveError::Version { found: 2, .. })
    ));
    forge(&archive, |json| json["format"] = "zip".into());
    assert!(matches!(
        Archive::open(&archive),
        Err(ArchiveError::NotAnArchive { .. })
    ));
}

#[test]
fn contents_that_go_on_for_ever_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, archive) = archived(folder.path());
    let opened = Archive::open(&archive).unwrap();
    let file = &opened.manifest().files[0];
    // A genuine beginning, then a gigabyte of zeros in a few kilobytes.
    let genuine = fs::read(archive.join("blocks-000000000000.hlb.zst")).unwrap();
    let mut contents = zstd::decode_all(&genuine[..]).unwrap();
    assert_eq!(contents.len() as u64, file.content_bytes);
    contents.resize(1 << 28, 0);
    let bomb = zstd::encode_all(&contents[..], 3).unwrap();
    assert!(bomb.len() < 1 << 20);
    let path = folder.path().join("bomb");
    fs::write(&path, &bomb).unwrap();
    let read = |file: &hubledger::ledger::archive::ArchivedFile| -> Result<u64, ArchiveError> {
        let mut blocks = ArchivedBlocks::open(&path, file)?;
        let mut count = 0;
        while blocks.next_block()?.is_some() {
            count += 1;
        }
        Ok(count)
    };
    for content_bytes in [0, file.content_bytes, file.content_bytes + 1, u64::MAX] {
        let mut claimed = file.clone();
        claimed.content_bytes = content_bytes;
        let refused = read(&claimed).unwrap_err();
        assert!(matches!(refused, ArchiveError::Damaged { .. }), "{refused}");
    }
    fs::write(&path, &genuine).unwrap();
    assert_eq!(read(file).unwrap(), file.last + 1);
}

/// Puts these bytes in place of the archive's second file, with the size and hash that belong to them.
fn replace_second(
    archive: &Path,
    bytes: &[u8],
    change: impl FnOnce(&mut serde_json::Value),
) -> PathBuf {
    let opened = Archive::open(archive).unwrap();
    let first = opened.manifest().files[1].first;
    let path = archive.join(format!("blocks-{first:012}.hlb.zst"));
    fs::write(&path, bytes).unwrap();
    let hash = format!("{:x}", HexDigest(Sha256::digest(bytes).into()));
    forge(archive, |json| {
        let file = &mut json["files"][1];
        file["file_bytes"] = bytes.len().into();
        file["sha256"] = hash.into();
        change(file);
    });
    path
}

fn second(archive: &Path) -> Vec<u8> {
    let first = Archive::open(archive).unwrap().manifest().files[1].first;
    fs::read(archive.join(format!("blocks-{first:012}.hlb.zst"))).unwrap()
}

#[test]
fn bytes_behind_the_frame_of_a_file_are_refused_by_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, archive) = archived(folder.path());
    let genuine = second(&archive);
    let empty_frame = zstd::encode_all(&b""[..], 3).unwrap();
    let skippable = b"\x50\x2a\x4d\x18\x01\x00\x00\x00x";
    for behind in [&b"x"[..], &[0; 70_000], &empty_frame, skippable, &genuine] {
        let path = replace_second(&archive, &[&genuine[..], behind].concat(), |_| {});
        let refused = restore(&archive, None, memory(), whole.now()).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains(path.to_str().unwrap()), "{said}");
        let place = format!("byte {}: there is more behind its frame", genuine.len());
        assert!(said.ends_with(&place), "{said}");
    }
    replace_second(&archive, &genuine, |_| {});
    restore(&archive, None, memory(), whole.now()).unwrap();
}

#[test]
fn a_block_after_the_last_one_is_refused_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, archive) = archived(folder.path());
    let genuine = second(&archive);
    let opened = Archive::open(&archive).unwrap();
    let (last, next) = (
        opened.manifest().files[1].last,
        opened.manifest().files[2].last,
    );
    // The manifest gives the file's last block to the file behind it.
    forge(&archive, |json| {
        json["files"][1]["last"] = (last - 1).into();
        json["files"][2]["first"] = last.into();
    });
    let refused = restore(&archive, None, memory(), whole.now()).unwrap_err();
    let said = refused.to_string();
    let expected = format!("block {last} after block {}, the manifest's last", last - 1);
    assert!(said.ends_with(&expected), "{said}");
    assert!(next > last && !genuine.is_empty());
}

#[test]
fn what_comes_before_a_fault_of_the_archive_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, archive) = archived(folder.path());
    let opened = Archive::open(&archive).unwrap();
    let last = opened.manifest().files[1].last;
    let third = opened.manifest().files[2].first;
    fs::remove_file(archive.join(format!("blocks-{third:012}.hlb.zst"))).unwrap();
    let store = memory();
    let reader = store.reader.clone();
    restore(&archive, None, store, whole.now()).unwrap_err();
    assert_eq!(reader.extent().unwrap().end, last + 1);
}

#[test]
fn a_fault_of_the_second_file_is_told_after_the_first_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, archive) = archived(folder.path());
    let opened = Archive::open(&archive).unwrap();
    let file = &opened.manifest().files[1];
    let path = archive.join(format!("blocks-{:012}.hlb.zst", file.first));
    let genuine = fs::read(&path).unwrap();
    let mut flipped = genuine.clone();
    flipped[genuine.len() / 2] ^= 1;
    for bytes in [&flipped[..], &genuine[1..]] {
        fs::write(&path, bytes).unwrap();
        let expected = opened.check(file).unwrap_err().to_string();
        for threads in 1..=3 {
            let (store, mut told) = (memory(), 0);
            let reader = store.reader.clone();
            let builder = Engine::builder().threads(threads).clock(clock(whole.now()));
            let failed = builder.restore(&opened, None, store, &mut |step| {
                told = step.height;
                ControlFlow::Continue(())
            });
            assert_eq!(failed.unwrap_err().to_string(), expected);
            assert_eq!(reader.extent().unwrap().end, file.first);
            assert_eq!(told, file.first - 1);
        }
    }
    fs::write(&path, &genuine).unwrap();
    // The same archive again, once as it was opened and once with its first file open no more.
    for _ in 0..2 {
        let report = Engine::builder()
            .clock(clock(whole.now()))
            .restore(&opened, None, memory(), &mut |_| ControlFlow::Continue(()))
            .unwrap();
        assert_eq!(report.blocks, 25);
    }
}

#[test]
fn a_restoring_that_was_stopped_has_committed_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, archive) = archived(folder.path());
    for place in Place::all() {
        let opened = Archive::open(&archive).unwrap();
        let mut runs = 0;
        // Stopped again after every fifth block.
        loop {
            let (mut seen, store) = (0, place.open());
            let before = store.reader.extent().unwrap().end;
            let reader = store.reader.clone();
            // One block on its way at a time, so that not all are committed before the first is told.
            let builder = Engine::builder().settings(|settings| {
                settings.parcel_blocks = 1;
                settings.memory_bytes = 1;
            });
            let builder = builder.clock(clock(whole.now()));
            let outcome = builder.restore(&opened, None, store, &mut |step| {
                seen += u64::from(step.height >= before);
                match seen < 5 {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            });
            runs += 1;
            match outcome {
                Ok(report) => break assert_eq!(report.blocks, 25, "{place}"),
                Err(RestoreError::Ledger(LedgerError::Stopped)) => {}
                Err(error) => panic!("{place}: {error}"),
            }
            assert!(reader.extent().unwrap().end >= before + 4, "{place}");
        }
        assert!(runs > 3, "{place}: it was stopped {runs} times");
        assert_eq!(place.again(&whole).reader().extent().unwrap().end, 25);
    }
}
