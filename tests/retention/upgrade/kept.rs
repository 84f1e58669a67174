//! What was stored and written of the earlier chain counts on, as far as both chains have the same blocks.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use hubledger::engine::restore_archive;
use hubledger::ledger::archive::{Archive, ArchiveError, ArchiveWriter};
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::snapshot::{self, Snapshot};
use hubledger::ledger::{ChainReader, Ledger, LedgerError, copy_chain, salvage_chain};
use sha2::{Digest as _, Sha256};

use super::{assert_holds, extend, follow, go_on, smaller, succeeded, upgraded};
use crate::common::clock;
use crate::places::{Place, chain};
use crate::pruning::prune;

#[test]
fn what_was_stored_of_the_earlier_chain_opens_a_pruned_one() {
    for place in Place::all() {
        let first = chain(20);
        let mut ledger = place.ledger(&first);
        let policy = PrunePolicy {
            leaves: true,
            ..PrunePolicy::of_bodies(Keep::Last(1))
        };
        prune(&mut ledger, &policy);
        ledger.close().unwrap();
        // Nothing but the stored state leads to the last block now. No block comes between three specifications.
        let second = succeeded(&first);
        upgraded(place.again(&first), &second).close().unwrap();
        assert_holds(&place, &second);
        let mut third = smaller(&second);
        upgraded(place.again(&second), &third).close().unwrap();
        assert_holds(&place, &third);
        // Leaf hashes of both sides of the border, in one chunk.
        let mut ledger = place.again(&third);
        extend(&mut third, 8);
        follow(&mut ledger, &third);
        prune(&mut ledger, &policy);
        let reader = ledger.reader();
        for block in third.blocks[..28]
            .iter()
            .filter(|block| !block.transactions().is_empty())
        {
            let transaction = &block.transactions()[0];
            let proof = reader
                .prove_pruned(transaction, block.height(), None)
                .unwrap();
            assert_eq!(
                proof.verify(&third.state().head()).unwrap().height,
                block.height()
            );
        }
        ledger.close().unwrap();
        assert_holds(&place, &third);
        // So is what is saved from it.
        let saved = Place::new("memory").unwrap();
        let report = salvage_chain(place.open().reader, true, saved.open(), &mut go_on).unwrap();
        assert!(report.missing.is_empty() && report.cut.is_none(), "{place}");
        assert_holds(&saved, &third);
    }
}

#[test]
fn an_archive_goes_on_and_is_restored_under_the_last_specification() {
    let archive = |ledger: &mut Ledger, keep, folder: &Path| {
        let mut writer = ArchiveWriter::open(folder, ledger.spec())?;
        writer.set_file_bytes(3_000);
        let policy = PrunePolicy::of_bodies(Keep::Last(keep));
        ledger.prune(&policy, Some(&mut writer), &mut go_on)
    };
    for place in Place::all() {
        let folder = place.folder().join("archive");
        let first = chain(20);
        let mut ledger = place.ledger(&first);
        archive(&mut ledger, 10, &folder).unwrap();
        let before = ArchiveWriter::open(&folder, first.spec()).unwrap();
        let mut second = succeeded(&first);
        let mut ledger = upgraded(ledger, &second);
        extend(&mut second, 10);
        follow(&mut ledger, &second);
        // The archive still is of the earlier chain; what it lacks comes from the store.
        let restored = Place::new("memory").unwrap();
        let source = Archive::open(&folder).unwrap();
        assert_eq!(source.spec().unwrap(), *first.spec());
        let then = ledger.reader();
        let report = restore_archive(
            &source,
            Some(&then),
            restored.open(),
            clock(second.now()),
            &mut go_on,
        );
        assert_eq!(report.unwrap().head, second.state().head(), "{place}");
        assert_holds(&restored, &second);
        // A writer of the earlier chain is refused, and one of this chain goes on.
        let mut before = before;
        let policy = PrunePolicy::of_bodies(Keep::Last(2));
        let refused = ledger.prune(&policy, Some(&mut before), &mut go_on);
        let Err(LedgerError::Archive(ArchiveError::OtherChain { held, asked, .. })) = refused
        else {
            panic!("{refused:?}");
        };
        assert_eq!((held, asked), (first.spec().id(), second.spec().id()));
        drop(before);
        let report = archive(&mut ledger, 2, &folder).unwrap();
        assert_eq!(report.bodies.floor, 29);
        let restored = Place::new("memory").unwrap();
        let source = Archive::open(&folder).unwrap();
        assert_eq!(source.spec().unwrap(), *second.spec());
        let report = restore_archive(
            &source,
            None,
            restored.open(),
            clock(second.now()),
            &mut go_on,
        );
        assert_eq!(report.unwrap().blocks, 29, "{place}");
        // The earlier chain's hub can't take it for its own.
        let refused = ArchiveWriter::open(&folder, first.spec());
        assert!(matches!(refused, Err(ArchiveError::OtherChain { .. })));
    }
}

#[test]
fn a_file_of_another_chain_in_an_archive_is_damage() {
    let first = chain(20);
    let place = Place::new("memory").unwrap();
    let folder = place.folder().join("archive");
    let mut ledger = place.ledger(&first);
    let mut writer = ArchiveWriter::open(&folder, ledger.spec()).unwrap();
    writer.set_file_bytes(1_000);
    let policy = PrunePolicy::of_bodies(Keep::Last(10));
    ledger
        .prune(&policy, Some(&mut writer), &mut go_on)
        .unwrap();
    drop(writer);
    // The manifest says that it is of a chain that none of its files is of.
    let path = folder.join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let other = succeeded(&first).spec().id().to_string();
    let text = text.replace(&first.spec().id().to_string(), &other);
    fs::write(&path, summed(&text)).unwrap();
    let refused = Archive::open(&folder).unwrap().spec().unwrap_err();
    assert!(refused.is_corrupt(), "{refused}");
}

/// A manifest with the right checksum.
fn summed(text: &str) -> String {
    let (start, _) = text.split_once("\"checksum\": \"").unwrap();
    let start = format!("{start}\"checksum\": \"");
    let zeros = format!("{start}{}\"\n}}\n", "0".repeat(64));
    let sum: String = Sha256::digest(zeros.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{start}{sum}\"\n}}\n")
}

#[test]
fn an_upgraded_chain_is_copied_and_exported_into_every_backend() {
    for place in Place::all() {
        let first = chain(10);
        let mut second = succeeded(&first);
        let mut ledger = upgraded(place.ledger(&first), &second);
        extend(&mut second, 5);
        follow(&mut ledger, &second);
        let out = place.folder().join("snapshot");
        snapshot::export(&ledger.reader(), ledger.state(), &out, &mut go_on).unwrap();
        ledger.close().unwrap();
        for target in Place::all() {
            let source = ChainReader::open(place.open().reader).unwrap();
            copy_chain(&source, target.open(), &mut go_on).unwrap();
            assert_holds(&target, &second);
        }
        for target in Place::all() {
            let snapshot = Snapshot::open(&out, &second.state().head()).unwrap();
            snapshot::import(&snapshot, target.open(), &mut go_on).unwrap();
            assert_holds(&target, &second);
        }
    }
}

#[test]
fn a_copy_that_was_begun_before_goes_on_after_but_not_with_the_earlier_specification() {
    for place in Place::all() {
        let first = chain(10);
        let ledger = place.ledger(&first);
        let source = ledger.reader();
        let target = Place::new("memory").unwrap();
        let mut steps = 0;
        let stopped = copy_chain(&source, target.open(), &mut |_| {
            steps += 1;
            match steps {
                1 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        });
        assert!(matches!(stopped, Err(LedgerError::Stopped)));
        let mut second = succeeded(&first);
        let mut ledger = upgraded(ledger, &second);
        extend(&mut second, 2);
        follow(&mut ledger, &second);
        let refused = copy_chain(&source, target.open(), &mut go_on);
        assert!(matches!(refused, Err(LedgerError::Upgraded)), "{refused:?}");
        let report = copy_chain(&ledger.reader(), target.open(), &mut go_on).unwrap();
        assert_eq!(
            (report.from, report.head),
            (13, second.state().head()),
            "{place}"
        );
        assert_holds(&target, &second);
    }
}
