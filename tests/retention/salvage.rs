//! What can be read of a damaged store is saved, and what can't be is told: in the report, and by the copy ever after.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use bytes::Bytes;
use hubledger::digest::BlockHash;
use hubledger::engine::{RestoreError, restore_archive, verify_store};
use hubledger::ledger::archive::{Archive, ArchiveWriter};
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{
    ChainReader, CopyReport, Cut, Ledger, LedgerError, Lookup, Losses, LostPart, Missing, Phase,
    Staging, Step, copy_chain, salvage_chain,
};
use hubledger_storage::{
    self as storage, BlockReader, Durability, Extent, Held, Id, IndexEntry, Location, MemoryStore,
    Store, StoredBlock, StoredHeader, Usage,
};
use proptest::prelude::*;

use crate::common::{Chain, clock, memory};
use crate::places::{Place, chain};
use crate::pruning::prune;

/// What a disk can't read of a block: its whole record, or one part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bad {
    Record,
    Header,
    Body,
    Index,
}

/// A store of which parts can't be read.
struct Faulty {
    inner: Arc<dyn BlockReader>,
    bad: BTreeSet<(u64, Bad)>,
    values: BTreeSet<&'static str>,
}

impl Faulty {
    fn refuse(&self, height: u64, parts: &[Bad]) -> storage::Result<()> {
        let met = parts
            .iter()
            .find(|part| self.bad.contains(&(height, **part)));
        match met {
            Some(part) => Err(storage::Error::Corrupt {
                path: "disk".into(),
                damage_at: storage::DamageAt::Height(height),
                reason: format!("{part:?} can't be read"),
            }),
            None => Ok(()),
        }
    }
}

impl BlockReader for Faulty {
    fn extent(&self) -> storage::Result<Extent> {
        self.inner.extent()
    }

    fn header(&self, height: u64) -> storage::Result<Option<StoredHeader>> {
        self.refuse(height, &[Bad::Record, Bad::Header])?;
        self.inner.header(height)
    }

    fn block(&self, height: u64) -> storage::Result<Option<StoredBlock>> {
        self.refuse(height, &[Bad::Record, Bad::Header, Bad::Body])?;
        self.inner.block(height)
    }

    fn index(&self, height: u64) -> storage::Result<Option<Held<Vec<IndexEntry>>>> {
        self.refuse(height, &[Bad::Record, Bad::Index])?;
        self.inner.index(height)
    }

    fn height_of(&self, id: &Id) -> storage::Result<Option<u64>> {
        self.inner.height_of(id)
    }

    fn locate(&self, key: &Id) -> storage::Result<Location> {
        let found = self.inner.locate(key)?;
        if let Location::Found { height, .. } = found {
            self.refuse(height, &[Bad::Record, Bad::Index])?;
        }
        Ok(found)
    }

    fn named_value(&self, key: &str) -> storage::Result<Option<Bytes>> {
        match self.values.contains(key) {
            true => Err(storage::Error::Corrupt {
                path: "disk".into(),
                damage_at: storage::DamageAt::NamedValues,
                reason: format!("{key} can't be read"),
            }),
            false => self.inner.named_value(key),
        }
    }

    fn usage(&self) -> storage::Result<Usage> {
        self.inner.usage()
    }

    fn tables(&self) -> Arc<dyn storage::TableReader> {
        self.inner.tables()
    }
}

/// A store in memory of the first `end` blocks, with a state snapshot after the block at `snapshot`.
fn stored(whole: &Chain, snapshot: usize, end: usize) -> Store {
    let place = Place::new("memory").unwrap();
    let mut ledger = Ledger::create(place.open(), whole.spec(), clock(whole.now())).unwrap();
    for block in &whole.blocks[1..=snapshot] {
        assert_eq!(ledger.stage(block).unwrap(), Staging::Staged);
    }
    ledger.close().unwrap();
    let mut ledger = place.again(whole);
    for block in &whole.blocks[snapshot + 1..end] {
        assert_eq!(ledger.stage(block).unwrap(), Staging::Staged);
    }
    ledger.commit().unwrap();
    drop(ledger);
    place.open()
}

fn faulty(store: Store, bad: impl IntoIterator<Item = (u64, Bad)>) -> Arc<Faulty> {
    Arc::new(Faulty {
        inner: store.reader,
        bad: bad.into_iter().collect(),
        values: BTreeSet::new(),
    })
}

fn salvage(source: Arc<dyn BlockReader>, target: Store) -> Result<CopyReport, LedgerError> {
    salvage_chain(source, true, target, &mut |_| ControlFlow::Continue(()))
}

fn heights(ranges: &[Range<u64>]) -> BTreeSet<u64> {
    ranges.iter().cloned().flatten().collect()
}

/// What has to be missing, by the parts that are bad, and where the copy has to end.
fn expected(
    bad: &BTreeSet<(u64, Bad)>,
    snapshot: u64,
    end: u64,
) -> (BTreeMap<&'static str, BTreeSet<u64>>, u64) {
    let is_bad = |height: u64, part: Bad| bad.contains(&(height, part));
    // Genesis follows from the specification.
    let has_header =
        |height: u64| height == 0 || !is_bad(height, Bad::Record) && !is_bad(height, Bad::Header);
    let has_body = |height: u64| height == 0 || has_header(height) && !is_bad(height, Bad::Body);
    let cut = (snapshot + 1..end).find(|height| !has_body(*height));
    let copied = cut.unwrap_or(end);
    let mut missing: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for height in 0..copied {
        let mut lose = |part: LostPart| {
            missing.entry(part.word()).or_default().insert(height);
        };
        if !has_header(height) {
            lose(LostPart::Header);
            // Whatever is read of the source itself tells the hash, also behind the copy's end.
            let next = height + 1 < end
                && !is_bad(height + 1, Bad::Record)
                && !is_bad(height + 1, Bad::Header);
            if !next && height != snapshot {
                lose(LostPart::Id);
            }
        }
        if !has_body(height) {
            lose(LostPart::Body);
            if is_bad(height, Bad::Record) || is_bad(height, Bad::Index) {
                lose(LostPart::Index);
            }
        }
    }
    (missing, copied)
}

fn as_sets(missing: &Missing) -> BTreeMap<&'static str, BTreeSet<u64>> {
    let parts = LostPart::ALL.into_iter();
    let parts = parts.map(|part| (part.word(), heights(missing.ranges(part))));
    parts.filter(|(_, heights)| !heights.is_empty()).collect()
}

/// Asks a copy for everything: all that isn't missing is answered rightly, and all that is, with an error.
fn ask_everything(whole: &Chain, reader: &ChainReader, copied: u64) {
    let missing = reader.missing().unwrap();
    let has = |part: LostPart, height: u64| missing.has(part, height);
    for block in &whole.blocks[..copied as usize] {
        let height = block.height();
        let is_lost = |error: LedgerError| {
            assert!(error.is_corrupt(), "{error}");
            assert!(
                matches!(
                    error,
                    LedgerError::Lost { .. } | LedgerError::CantTell { .. }
                ),
                "{error}"
            );
        };
        match reader.header(height) {
            Ok(header) => assert_eq!(header.as_ref(), Some(block.header())),
            Err(error) => {
                assert!(has(LostPart::Header, height), "{error}");
                is_lost(error);
            }
        }
        match reader.block(height) {
            Ok(found) => assert_eq!(found.as_ref(), Some(block)),
            Err(error) => {
                assert!(has(LostPart::Body, height), "{error}");
                is_lost(error);
            }
        }
        match reader.hash_at(height) {
            Ok(hash) => assert_eq!(hash, Some(block.hash())),
            Err(error) => {
                assert!(has(LostPart::Id, height), "{error}");
                is_lost(error);
            }
        }
        match reader.height_of(&block.hash()) {
            Ok(found) => assert_eq!(found, Some(height)),
            Err(error) => {
                assert!(has(LostPart::Id, height), "{error}");
                is_lost(error);
            }
        }
        for (index, transaction) in (0u32..).zip(block.transactions()) {
            match reader.transaction(&transaction.id()) {
                Ok(Lookup::Found(placed)) => {
                    assert_eq!((placed.height, placed.index), (height, index));
                    assert_eq!(placed.transaction(), transaction);
                }
                Ok(other) => panic!("{height}: {other:?}"),
                Err(error) => {
                    assert!(has(LostPart::Body, height), "{error}");
                    is_lost(error);
                }
            }
        }
        match reader.prove(height, 0, None) {
            Ok(proof) => {
                let head = whole.blocks[copied as usize - 1].hash();
                assert_eq!(proof.verify(&head).unwrap().height, height);
            }
            Err(LedgerError::UnknownTransaction(_)) => assert_eq!(height, 0),
            Err(error) => is_lost(error),
        }
    }
    let nobody = reader.find("nobody knows it");
    match missing.count(LostPart::Index) {
        0 => assert!(matches!(nobody, Ok(Lookup::Absent))),
        _ => assert!(matches!(nobody, Err(LedgerError::CantTell { .. }))),
    }
    let nobody = reader.height_of(&BlockHash([7; 32]));
    match missing.count(LostPart::Id) {
        0 => assert_eq!(nobody.unwrap(), None),
        _ => assert!(matches!(nobody, Err(LedgerError::CantTell { .. }))),
    }
}

/// Salvages into a place of every backend, and checks all that is said about it.
fn check_salvage(
    whole: &Chain,
    bad: &BTreeSet<(u64, Bad)>,
    snapshot: u64,
    end: u64,
    place: &Place,
) {
    let source = faulty(
        stored(whole, snapshot as usize, end as usize),
        bad.iter().copied(),
    );
    let (missing, copied) = expected(bad, snapshot, end);
    let report = salvage(source.clone(), place.open()).unwrap();
    assert_eq!(as_sets(&report.missing), missing, "{bad:?}");
    assert_eq!(report.extent, Extent::whole(copied), "{bad:?}");
    let cut = (copied < end).then_some(Cut {
        height: copied,
        end,
    });
    assert_eq!(report.cut, cut);
    assert!(report.missing.is_empty() || !report.losses.reasons.is_empty());
    // It opens with the right state, checks, and goes on.
    let mut short = Chain::of(whole.spec().clone());
    for block in &whole.blocks[1..copied as usize] {
        short.push(block.clone());
    }
    let mut ledger = place.again(whole);
    assert_eq!(ledger.state(), short.state());
    ask_everything(whole, &ledger.reader(), copied);
    for block in &whole.blocks[copied as usize..] {
        assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
    }
    assert_eq!(ledger.state(), whole.state());
    drop(ledger);
    let reader = ChainReader::open(place.open().reader).unwrap();
    ask_everything(whole, &reader, whole.blocks.len() as u64);
    let verified = verify_store(place.open().reader, whole.now(), &mut |_| {
        ControlFlow::Continue(())
    });
    let verified = verified.unwrap();
    assert_eq!(verified.rejected, None, "{bad:?}");
    assert_eq!(as_sets(&verified.missing), missing);
    let headers = missing.get("header").map_or(0, BTreeSet::len) as u64;
    assert_eq!(verified.blocks, whole.blocks.len() as u64 - headers);
    // Another copy of the copy lacks the same.
    let again = Place::new("memory").unwrap();
    let report = copy_chain(&reader, again.open(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(as_sets(&report.missing), missing);
    ask_everything(
        whole,
        &again.again(whole).reader(),
        whole.blocks.len() as u64,
    );
}

#[test]
fn every_part_of_a_block_is_lost_by_itself_and_the_rest_is_saved() {
    let whole = chain(30);
    let parts = [Bad::Record, Bad::Header, Bad::Body, Bad::Index];
    let one = |height: u64| parts.into_iter().map(move |part| vec![(height, part)]);
    let mut cases: Vec<Vec<(u64, Bad)>> = Vec::new();
    for height in [0, 1, 7, 24, 25, 26, 29] {
        cases.extend(one(height));
    }
    let many = |part| (5..9).map(|height| (height, part)).collect::<Vec<_>>();
    cases.extend(parts.into_iter().map(many));
    // The hash of one is known, that of the one before isn't.
    cases.push(vec![(9, Bad::Record), (10, Bad::Header)]);
    // A whole beginning, and whatever the snapshot stands for.
    cases.push((0..26).map(|height| (height, Bad::Record)).collect());
    cases.push((0..30).map(|height| (height, Bad::Record)).collect());
    cases.push(vec![
        (4, Bad::Body),
        (4, Bad::Index),
        (6, Bad::Body),
        (7, Bad::Record),
    ]);
    for case in cases {
        for place in Place::all() {
            check_salvage(&whole, &case.iter().copied().collect(), 25, 30, &place);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_damaged_all_else_is_saved_and_nothing_wrong_is_answered(
        bad in prop::collection::btree_set((0u64..24, prop_oneof![
            Just(Bad::Record), Just(Bad::Header), Just(Bad::Body), Just(Bad::Index),
        ]), 0..20),
        snapshot in 1u64..23,
    ) {
        let whole = chain(26);
        check_salvage(&whole, &bad, snapshot, 24, &Place::new("memory").unwrap());
    }
}

#[test]
fn without_being_told_to_skip_damage_a_copy_names_all_of_it_and_makes_nothing() {
    let whole = chain(30);
    let bad = [
        (3, Bad::Body),
        (9, Bad::Record),
        (10, Bad::Record),
        (20, Bad::Index),
    ];
    let source = faulty(stored(&whole, 25, 30), bad);
    let reader = ChainReader::open(source).unwrap();
    for place in Place::all() {
        let refused = copy_chain(&reader, place.open(), &mut |_| ControlFlow::Continue(()));
        let Err(LedgerError::Unreadable(losses)) = refused else {
            panic!("{place}: {refused:?}");
        };
        let Losses { missing, .. } = &*losses;
        assert_eq!(
            missing.to_string(),
            "hash 9; header 9-10 (2 blocks); body 3, 9-10 (3 blocks); index 9-10 (2 blocks)"
        );
        let refused = ChainReader::open(place.open().reader);
        assert!(matches!(refused, Err(LedgerError::Incomplete)));
    }
}

#[test]
fn a_salvage_that_was_interrupted_is_gone_on_with_and_only_as_one() {
    let mut whole = Chain::new(1, |_| {});
    for nonce in 1..=2_600 {
        let message = whole.message("alice", nonce);
        whole.extend(&[message]);
    }
    let bad = [
        (5, Bad::Body),
        (1_500, Bad::Record),
        (1_501, Bad::Record),
        (2_590, Bad::Body),
    ];
    let source = faulty(stored(&whole, 2_500, 2_600), bad);
    let uninterrupted = salvage(source.clone(), memory()).unwrap();
    assert_eq!(uninterrupted.extent.end, 2_590);
    for place in Place::all() {
        let mut stopped = 0;
        let report = loop {
            let mut steps = 0;
            let outcome = salvage_chain(source.clone(), true, place.open(), &mut |_| {
                steps += 1;
                match steps > 1 && stopped < 4 {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            match outcome {
                Err(LedgerError::Stopped) => stopped += 1,
                outcome => break outcome.unwrap(),
            }
            // Without the flag it can't be gone on with, since it would seem to lack nothing.
            let reader = ChainReader::open(source.clone()).unwrap();
            let refused = copy_chain(&reader, place.open(), &mut |_| ControlFlow::Continue(()));
            let refused = refused.unwrap_err();
            assert!(
                matches!(
                    refused,
                    LedgerError::SalvageBegun(_) | LedgerError::Unreadable(_)
                ),
                "{refused}"
            );
        };
        assert!(stopped >= 3);
        assert_eq!(report.missing, uninterrupted.missing, "{place}");
        assert_eq!(
            (report.extent, report.cut),
            (uninterrupted.extent, uninterrupted.cut)
        );
    }
}

/// The list of a salvage that lost the body of block 5, as the store has it.
fn list_without_body_5(whole: &Chain) -> Bytes {
    let target = MemoryStore::new();
    let source = faulty(stored(whole, 8, 12), [(5, Bad::Body)]);
    salvage(source, target.open().unwrap()).unwrap();
    let reader = target.open().unwrap().reader;
    reader.named_value("missing").unwrap().unwrap()
}

#[test]
fn what_an_interrupted_salvage_listed_and_a_later_copy_has_is_not_lost() {
    let whole = chain(12);
    // The list is put before the blocks that it is about; here the power went in between.
    let target = MemoryStore::new();
    let mut store = target.open().unwrap();
    let marker = [&b"HLCOPY\0\x01"[..], &whole.spec().id().0].concat();
    for (name, value) in [
        ("copy", &marker[..]),
        ("missing", &list_without_body_5(&whole)),
    ] {
        store
            .writer
            .put_named_value(name, value, Durability::Disk)
            .unwrap();
    }
    drop(store);
    // Then the source was repaired.
    let source = ChainReader::open(stored(&whole, 8, 12).reader).unwrap();
    let go_on = &mut |_| ControlFlow::Continue(());
    let report = copy_chain(&source, target.open().unwrap(), go_on).unwrap();
    assert!(report.missing.is_empty());
    let copy = ChainReader::open(target.open().unwrap().reader).unwrap();
    ask_everything(&whole, &copy, 12);
    assert_eq!(copy.missing().unwrap(), Missing::default());
    assert!(copy.block(5).unwrap().is_some());
}

#[test]
fn what_a_later_run_of_a_salvage_takes_back_is_not_lost_once_it_is_there() {
    let whole = chain(12);
    let target = MemoryStore::new();
    // The first run reads the snapshot after block 8, so it can do without the body of block 5, and is interrupted.
    let source = faulty(stored(&whole, 8, 12), [(5, Bad::Body)]);
    let stop = &mut |step: Step| match step.phase {
        Phase::Copy => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let stopped = salvage_chain(source, true, target.open().unwrap(), stop);
    assert!(matches!(stopped, Err(LedgerError::Stopped)));
    assert!(target.open().unwrap().reader.extent().unwrap().end > 5);
    // The second can't read it, so the copy ends before block 5.
    let source = Arc::new(Faulty {
        inner: stored(&whole, 8, 12).reader,
        bad: [(5, Bad::Body)].into(),
        values: ["state"].into(),
    });
    let report = salvage(source, target.open().unwrap()).unwrap();
    assert_eq!(report.extent.end, 5);
    // A peer has the block.
    let mut ledger = Ledger::open(target.open().unwrap(), clock(whole.now())).unwrap();
    for block in &whole.blocks[5..12] {
        assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
    }
    drop(ledger);
    let copy = ChainReader::open(target.open().unwrap().reader).unwrap();
    ask_everything(&whole, &copy, 12);
    assert!(copy.block(5).unwrap().is_some());
    Ledger::open(target.open().unwrap(), clock(whole.now())).unwrap();
}

#[test]
fn a_snapshot_that_is_lost_is_made_again_from_genesis_unless_bodies_are_pruned() {
    let whole = chain(30);
    let lose_state = |store: Store, bad: &[(u64, Bad)]| {
        Arc::new(Faulty {
            inner: store.reader,
            bad: bad.iter().copied().collect(),
            values: BTreeSet::from(["state"]),
        })
    };
    let report = salvage(lose_state(stored(&whole, 25, 30), &[]), memory()).unwrap();
    assert_eq!(report.extent, Extent::whole(30));
    assert_eq!(report.losses.values, ["state"]);
    // What is behind the first lost body can't be rebuilt.
    let place = Place::new("memory").unwrap();
    let lost = lose_state(stored(&whole, 25, 30), &[(12, Bad::Body)]);
    let report = salvage(lost, place.open()).unwrap();
    assert_eq!(
        report.cut,
        Some(Cut {
            height: 12,
            end: 30
        })
    );
    assert_eq!(place.again(&whole).state().height(), 11);
    let place = Place::new("memory").unwrap();
    let mut ledger = place.ledger(&whole);
    prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(5)));
    drop(ledger);
    let refused = salvage(lose_state(place.open(), &[]), memory());
    assert!(
        matches!(refused, Err(LedgerError::NoState { floor: 26 })),
        "{refused:?}"
    );
    let spec = Arc::new(Faulty {
        inner: place.open().reader,
        bad: BTreeSet::new(),
        values: BTreeSet::from(["spec"]),
    });
    let refused = salvage(spec, memory()).unwrap_err();
    assert!(matches!(refused, LedgerError::SpecLost(_)) && refused.is_corrupt());
}

#[test]
fn a_pruned_store_is_saved_with_its_floors_and_the_leaf_hashes_that_can_be_read() {
    let whole = chain(40);
    let leaves = PrunePolicy {
        leaves: true,
        ..PrunePolicy::of_bodies(Keep::Last(10))
    };
    let source = Place::new("memory").unwrap();
    prune(&mut source.ledger(&whole), &leaves);
    for (values, lost) in [
        (BTreeSet::new(), 0..0),
        (BTreeSet::from(["leaves/0"]), 0..31),
        (BTreeSet::from(["leaves"]), 0..31),
    ] {
        for place in Place::all() {
            let faulty = Arc::new(Faulty {
                inner: source.open().reader,
                bad: BTreeSet::from([(4, Bad::Header), (12, Bad::Index), (33, Bad::Body)]),
                values: values.clone(),
            });
            let report = salvage(faulty, place.open()).unwrap();
            assert_eq!(report.extent.body_floor, 31);
            assert_eq!(
                heights(report.missing.ranges(LostPart::Leaves)),
                lost.clone().collect()
            );
            assert_eq!(
                heights(report.missing.ranges(LostPart::Body)),
                BTreeSet::from([33])
            );
            assert_eq!(
                heights(report.missing.ranges(LostPart::Index)),
                BTreeSet::from([12])
            );
            assert_eq!(
                heights(report.missing.ranges(LostPart::Header)),
                BTreeSet::from([4])
            );
            let reader = place.again(&whole).reader();
            let old = &whole.blocks[9].transactions()[1];
            let proof = reader.prove_pruned(old, 9, None);
            match lost.is_empty() {
                true => assert!(proof.unwrap().verify(&whole.state().head()).is_ok()),
                false => assert!(matches!(
                    proof,
                    Err(LedgerError::Lost {
                        part: LostPart::Leaves,
                        height: 9
                    })
                )),
            }
        }
    }
}

#[test]
fn pruning_forgets_what_was_lost_and_is_gone_anyway() {
    let whole = chain(30);
    let bad = [
        (3, Bad::Body),
        (9, Bad::Record),
        (10, Bad::Record),
        (20, Bad::Body),
    ];
    let source = faulty(stored(&whole, 29, 30), bad);
    for place in Place::all() {
        salvage(source.clone(), place.open()).unwrap();
        let mut ledger = place.again(&whole);
        // An archive can't be given what is lost.
        let folder = tempfile::tempdir().unwrap();
        let mut archive =
            ArchiveWriter::open(&folder.path().join("archive"), whole.spec()).unwrap();
        let policy = PrunePolicy {
            index: Keep::Last(19),
            ..PrunePolicy::of_bodies(Keep::Last(18))
        };
        let refused = ledger.prune(&policy, Some(&mut archive), &mut |_| {
            ControlFlow::Continue(())
        });
        assert!(
            matches!(
                refused,
                Err(LedgerError::Lost {
                    part: LostPart::Body,
                    height: 3
                })
            ),
            "{refused:?}"
        );
        drop(ledger);
        let mut ledger = place.again(&whole);
        prune(&mut ledger, &policy);
        let rest = "hash 9; header 9-10 (2 blocks); body 20";
        assert_eq!(ledger.reader().missing().unwrap().to_string(), rest);
        drop(ledger);
        let reader = place.again(&whole).reader();
        assert_eq!(reader.missing().unwrap().to_string(), rest);
        assert!(matches!(reader.block(3), Err(LedgerError::Pruned(3))));
        assert!(matches!(reader.block(9), Err(LedgerError::Pruned(9))));
        assert!(matches!(
            reader.find("nobody"),
            Ok(Lookup::Forgotten { .. })
        ));
    }
}

#[test]
fn verification_goes_on_behind_what_it_cannot_read_and_lists_all_of_it() {
    let whole = chain(30);
    let check = |bad: &[(u64, Bad)]| {
        let source = faulty(stored(&whole, 25, 30), bad.iter().copied());
        verify_store(source, whole.now(), &mut |_| ControlFlow::Continue(()))
    };
    assert!(check(&[]).is_ok());
    let bad = [
        (3, Bad::Body),
        (9, Bad::Record),
        (10, Bad::Header),
        (20, Bad::Index),
        (28, Bad::Body),
    ];
    let Err(LedgerError::Unreadable(losses)) = check(&bad) else {
        panic!("what can't be read is an error");
    };
    let listed = "header 9-10 (2 blocks); body 3, 9-10, 28 (4 blocks); index 20";
    assert_eq!(losses.missing.to_string(), listed);
    assert!(
        losses.to_string().contains("Body can't be read"),
        "{losses}"
    );
}

#[test]
fn what_was_lost_comes_back_from_an_archive_with_the_copy_behind_it() {
    let whole = chain(30);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("archive");
    let mut archive = ArchiveWriter::open(&folder, whole.spec()).unwrap();
    let policy = PrunePolicy::of_bodies(Keep::Last(18));
    let archived = whole.ledger().prune(&policy, Some(&mut archive), &mut |_| {
        ControlFlow::Continue(())
    });
    assert_eq!(archived.unwrap().archived, 13);
    drop(archive);
    let archive = Archive::open(&folder).unwrap();
    let restore = |bad: &[(u64, Bad)], place: &Place| {
        let source = faulty(stored(&whole, 29, 30), bad.iter().copied());
        let copy = Place::new("memory").unwrap();
        salvage(source, copy.open()).unwrap();
        let then = ChainReader::open(copy.open().reader).unwrap();
        restore_archive(
            &archive,
            Some(&then),
            place.open(),
            clock(whole.now()),
            &mut |_| ControlFlow::Continue(()),
        )
    };
    for place in Place::all() {
        let lost = [(3, Bad::Body), (9, Bad::Record), (10, Bad::Record)];
        let report = restore(&lost, &place).unwrap();
        assert_eq!((report.head, report.further), (whole.blocks[29].hash(), 17));
        assert!(place.again(&whole).reader().missing().unwrap().is_empty());
    }
    // What the archive doesn't have is lost there too.
    let refused = restore(&[(20, Bad::Body)], &Place::new("memory").unwrap());
    assert!(
        matches!(
            refused,
            Err(RestoreError::Ledger(LedgerError::Lost {
                part: LostPart::Body,
                height: 20
            }))
        ),
        "{refused:?}"
    );
}
