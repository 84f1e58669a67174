//! Every road on which a chain goes from one place to another, with chains whose members change: by votes under certificates, and by stakes with
//! and without them. What strangers have sealed gets through on none.

use std::ops::ControlFlow;

use hubledger::engine::{Engine, Outcome, restore_archive, verify_store};
use hubledger::ledger::archive::{Archive, ArchiveWriter};
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::snapshot::{self, Snapshot, SnapshotError, SnapshotExport};
use hubledger::ledger::{ChainReader, Ledger, Staging, StoreReport, copy_chain};
use hubledger::model::{Block, Seal};
use hubledger::rejection::Reason;
use hubledger::rules::light::LightClient;
use hubledger::signature::Verifier;
use hubledger::testing::members::{
    History, sealed_by, sealed_by_strangers, staked, staked_quorum, taken_over, voted,
};
use hubledger_storage::{Durability, Part, Store};

use crate::checking::filed;
use crate::common::{Chain, clock, key, memory};
use crate::places::Place;
use crate::pruning::prune;

/// Small enough for several files.
const FILE_BYTES: usize = 2_500;

fn histories() -> [History; 5] {
    // Block 12 names the members of a height from which on there are others.
    let [taken_over, at_a_change] = [8, 12].map(taken_over);
    [staked_quorum(), staked(), voted(), taken_over, at_a_change]
}

fn verify(store: Store, whole: &Chain) -> StoreReport {
    verify_store(
        store.reader,
        whole.now(),
        &mut |_| ControlFlow::Continue(()),
    )
    .unwrap()
}

/// The heights whose members aren't those of the height before.
fn changes(chain: &Chain) -> Vec<u64> {
    let steps = chain.steps();
    let changing = steps.iter().filter(|step| step.members.is_some());
    changing.map(|step| step.header.height + 1).collect()
}

/// What somebody who is no member can put in the place of a block's seal, with a word for it.
fn forged_seals(chain: &Chain, height: u64) -> Vec<(&'static str, Block)> {
    let block = &chain.blocks[height as usize];
    let state = chain.state();
    let at = |height| hubledger::consensus::members(chain.spec(), state, height).into_owned();
    let (own, before) = (at(height), at(height.saturating_sub(4).max(1)));
    let mut forged = vec![("strangers", sealed_by_strangers(block))];
    match block.seal() {
        // Those who were members once have signed in their old places.
        Seal::Quorum(certificate) => {
            let name = |place: usize| before.get(place).map_or("nobody", |one| &one.name);
            let mut signers = certificate.signers();
            if signers.all(|place| own[place].name == name(place)) {
                return forged;
            }
            forged.push(("former members", sealed_by(block, |place| key(name(place)))));
        }
        // Another member than the one whose name is in the block.
        _ => {
            let mut others = own.iter().map(|member| &member.name);
            let other = others.find(|name| **name != block.header().producer);
            forged.push(("another", sealed_by(block, |_| key(other.unwrap()))));
        }
    }
    forged
}

/// The chain with one block under another seal: the hashes stay what they are.
fn with(chain: &Chain, block: &Block) -> Vec<Block> {
    let mut blocks = chain.blocks.clone();
    blocks[block.height() as usize] = block.clone();
    blocks
}

/// A store that somebody has filled with these blocks and with the state that the chain leads to.
fn filled(chain: &Chain, blocks: &[Block]) -> Store {
    let mut store = memory();
    let run: Vec<_> = blocks.iter().map(filed).collect();
    let (writer, durability) = (&mut store.writer, Durability::Memory);
    let spec = chain.spec().bytes();
    writer.put_named_value("spec", spec, durability).unwrap();
    writer.append(&run, durability).unwrap();
    let state = chain.state().encode();
    writer.put_named_value("state", &state, durability).unwrap();
    store
}

#[test]
fn members_change_several_times_in_each_of_these_chains() {
    for History { name, chain } in histories() {
        assert!(changes(&chain).len() >= 3, "{name}: {:?}", changes(&chain));
        assert!(chain.state().height() >= 15);
    }
}

#[test]
fn the_last_state_tells_the_members_of_every_height() {
    for History { name, chain } in histories() {
        let mut grown = Chain::of(chain.spec().clone());
        for block in &chain.blocks[1..] {
            let height = block.height();
            let then = grown.members(height);
            let now = chain.members(height);
            assert_eq!(now, then, "{name} at {height}");
            grown.push(block.clone());
        }
    }
}

#[test]
fn a_hub_that_stops_at_any_height_goes_on_there_in_every_backend() {
    for History { name, chain } in histories() {
        for place in Place::all() {
            drop(Ledger::create(place.open(), chain.spec(), clock(chain.now())).unwrap());
            for block in &chain.blocks[1..] {
                let mut ledger = place.again(&chain);
                let forged = forged_seals(&chain, block.height());
                for (what, forged) in forged {
                    let staged = ledger.stage(&forged).unwrap();
                    let Staging::Rejected(rejected) = staged else {
                        panic!("{name} by {what}: {staged:?}")
                    };
                    assert_eq!(rejected.reason, Reason::Seal, "{name} by {what}");
                }
                assert_eq!(ledger.submit(block).unwrap(), Staging::Staged, "{name}");
                ledger.close().unwrap();
            }
            assert_eq!(place.again(&chain).state(), chain.state(), "{place}");
            let report = verify(place.open(), &chain);
            assert_eq!(report.rejected, None, "{name} {place}");
            assert_eq!(report.head, chain.state().head());
        }
    }
}

#[test]
fn another_engine_catches_up_and_takes_nothing_that_strangers_sealed() {
    for History { name, chain } in histories() {
        for threads in [1, 2, 8] {
            let builder = Engine::builder().threads(threads).clock(clock(chain.now()));
            let engine = builder.create(memory(), chain.spec()).unwrap();
            let mut height = 0;
            for change in changes(&chain) {
                let run = &chain.blocks[height as usize + 1..change as usize];
                let committed = engine.import(run.iter().map(|block| block.encode().into()));
                for outcome in committed {
                    assert!(matches!(outcome.unwrap(), Outcome::Committed(_)), "{name}");
                }
                for (what, forged) in forged_seals(&chain, change) {
                    let bytes = forged.encode().into();
                    let outcome = engine.import([bytes]).next().unwrap().unwrap();
                    let Outcome::Rejected(rejected) = outcome else {
                        panic!("{name} by {what}: {outcome:?}")
                    };
                    let found = (rejected.height, rejected.reason);
                    assert_eq!(found, (change, Reason::Seal), "{name} by {what}");
                }
                height = change - 1;
            }
            let rest = &chain.blocks[height as usize + 1..];
            let committed = engine.import(rest.iter().map(|block| block.encode().into()));
            assert_eq!(committed.count(), rest.len());
            assert_eq!(engine.state().head(), chain.state().head(), "{name}");
        }
    }
}

#[test]
fn a_store_is_verified_from_genesis_and_from_a_stored_state() {
    for History { name, chain } in histories() {
        let tip = chain.state().height();
        for height in 1..=tip {
            for (what, forged) in forged_seals(&chain, height) {
                let blocks = with(&chain, &forged);
                // The floor above the block, and below it.
                for floor in [0, height, (height + 3).min(tip)] {
                    let mut store = filled(&chain, &blocks);
                    store.writer.prune(Part::Body, floor, u64::MAX).unwrap();
                    let rejected = verify(store, &chain).rejected;
                    let rejected = rejected.unwrap_or_else(|| {
                        panic!("{name}: block {height} by {what}, bodies from {floor} on")
                    });
                    let found = (rejected.height, rejected.reason);
                    assert_eq!(found, (height, Reason::Seal), "{name} by {what}");
                }
            }
        }
        for floor in 0..=tip {
            let mut store = filled(&chain, &chain.blocks);
            store.writer.prune(Part::Body, floor, u64::MAX).unwrap();
            let report = verify(store, &chain);
            assert_eq!(report.rejected, None, "{name} from {floor} on");
            assert_eq!(report.head, chain.state().head());
        }
    }
}

#[test]
fn a_state_with_other_members_than_headers_name_is_found() {
    let History { chain, .. } = staked_quorum();
    // The same chain, but for who was convicted: its state has other members.
    let mut other = Chain::of(chain.spec().clone());
    for block in &chain.blocks[1..6] {
        other.push(block.clone());
    }
    while other.state().height() < chain.state().height() {
        other.grow(&[]);
    }
    let mut store = filled(&chain, &chain.blocks);
    let state = other.state().encode();
    let (writer, durability) = (&mut store.writer, Durability::Memory);
    writer.put_named_value("state", &state, durability).unwrap();
    let tip = chain.state().height();
    writer.prune(Part::Body, tip, u64::MAX).unwrap();
    let rejected = verify(store, &chain).rejected.unwrap();
    // Evidence of block 6 changes the members from block 10 on, which block 9 names.
    let found = (rejected.height, rejected.reason);
    assert_eq!(found, (9, Reason::MembersRoot));
}

fn export(chain: &ChainReader, state: &hubledger::state::State, folder: &std::path::Path) {
    let mut export = SnapshotExport::new(chain, state).unwrap();
    export.set_file_bytes(FILE_BYTES);
    export
        .write(folder, &mut |_| ControlFlow::Continue(()))
        .unwrap();
}

fn load(folder: &std::path::Path, chain: &Chain, target: Store) -> Result<(), SnapshotError> {
    let snapshot = Snapshot::open(folder, &chain.state().head())?;
    snapshot::import(&snapshot, target, &mut |_| ControlFlow::Continue(())).map(drop)
}

#[test]
fn a_snapshot_of_any_height_is_gone_on_from_and_one_that_strangers_sealed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for History { name, chain } in histories() {
        // Every height as the head of one of the snapshots, but for the last that some of the chains could still replace.
        let mut grown = Chain::of(chain.spec().clone());
        for next in &chain.blocks[1..] {
            grown.push(next.clone());
            let tip = grown.state().height();
            // A snapshot of a block below has the specification that was in force there.
            if tip < chain.spec().first_height() {
                continue;
            }
            let ledger = chain.ledger();
            let path = folder.path().join(format!("{name}-{tip}"));
            export(&ledger.reader(), grown.state(), &path);
            let target = Place::new("memory").unwrap();
            load(&path, &grown, target.open()).unwrap();
            let mut again = target.again(&chain);
            assert_eq!(again.state(), grown.state(), "{name} from {tip} on");
            for block in &chain.blocks[tip as usize + 1..] {
                assert_eq!(again.submit(block).unwrap(), Staging::Staged, "{name}");
            }
            again.close().unwrap();
            assert_eq!(verify(target.open(), &chain).rejected, None, "{name}");
            if tip + 2 >= chain.state().height() {
                break;
            }
        }
        for height in 1..=grown.state().height() {
            for (what, forged) in forged_seals(&grown, height) {
                let store = filled(&chain, &with(&chain, &forged));
                let reader = ChainReader::open(store.reader).unwrap();
                let path = folder.path().join(format!("{name}-{height}-{what}"));
                export(&reader, grown.state(), &path);
                let target = Place::new("memory").unwrap();
                let error = load(&path, &grown, target.open()).unwrap_err();
                let said = error.to_string();
                assert!(error.is_corrupt(), "{said}");
                let is_named = said.contains(&format!("block {height}:"));
                assert!(
                    is_named || said.contains("head"),
                    "{name} by {what}: {said}"
                );
                let opened = Ledger::open(target.open(), clock(chain.now()));
                assert!(opened.is_err(), "what is unfinished is no chain");
            }
        }
    }
}

#[test]
fn what_was_archived_comes_back_unless_strangers_sealed_it() {
    let folder = tempfile::tempdir().unwrap();
    for History { name, chain } in histories() {
        let path = folder.path().join(name);
        let mut ledger = chain.ledger();
        let mut archive = ArchiveWriter::open(&path, chain.spec()).unwrap();
        archive.set_file_bytes(FILE_BYTES as u64);
        let policy = PrunePolicy::of_bodies(Keep::Last(4));
        let go_on = &mut |_| ControlFlow::Continue(());
        ledger.prune(&policy, Some(&mut archive), go_on).unwrap();
        let then = ledger.reader();
        let opened = Archive::open(&path).unwrap();
        for target in Place::all() {
            let go_on = &mut |_| ControlFlow::Continue(());
            let now = clock(chain.now());
            restore_archive(&opened, Some(&then), target.open(), now, go_on).unwrap();
            assert_eq!(target.again(&chain).state(), chain.state(), "{name}");
        }
        for change in changes(&chain) {
            for (what, forged) in forged_seals(&chain, change) {
                let path = folder.path().join(format!("{name}-{change}-{what}"));
                let mut archive = ArchiveWriter::open(&path, chain.spec()).unwrap();
                for block in with(&chain, &forged) {
                    archive.push(&block).unwrap();
                }
                archive.flush().unwrap();
                let opened = Archive::open(&path).unwrap();
                let go_on = &mut |_| ControlFlow::Continue(());
                let refused = restore_archive(&opened, None, memory(), clock(chain.now()), go_on);
                let said = refused.unwrap_err().to_string();
                let block = format!("block {change}");
                assert!(said.contains(&block), "{name} by {what}: {said}");
                assert!(said.contains("seal"), "{name} by {what}: {said}");
            }
        }
    }
}

#[test]
fn a_pruned_chain_is_copied_to_every_backend_and_goes_on_there() {
    for History { name, chain } in histories() {
        let half = chain.state().height() / 2;
        let mut short = Chain::of(chain.spec().clone());
        for block in &chain.blocks[1..=half as usize] {
            short.push(block.clone());
        }
        for source in Place::all() {
            let mut ledger = source.ledger(&short);
            prune(&mut ledger, &PrunePolicy::of_bodies(Keep::Last(3)));
            for target in Place::all() {
                let go_on = &mut |_| ControlFlow::Continue(());
                copy_chain(&ledger.reader(), target.open(), go_on).unwrap();
                let mut again = target.again(&short);
                for block in &chain.blocks[half as usize + 1..] {
                    let staged = again.submit(block).unwrap();
                    assert_eq!(staged, Staging::Staged, "{name}: {source} to {target}");
                }
                again.close().unwrap();
                assert_eq!(verify(target.open(), &chain).rejected, None, "{name}");
            }
        }
    }
}

#[test]
fn a_light_client_follows_the_members_and_believes_no_stranger() {
    let verifier = Verifier::default();
    for History { name, chain } in histories() {
        let (steps, now) = (chain.steps(), chain.now());
        let mut client = LightClient::new(chain.spec().clone());
        client.follow(&steps, now, &verifier).unwrap();
        assert_eq!(client.header().hash(), chain.state().head(), "{name}");
        let next = chain.members(chain.state().height() + 1);
        assert_eq!(client.members(), next, "{name}");
        for change in changes(&chain) {
            for (what, forged) in forged_seals(&chain, change) {
                let mut client = LightClient::new(chain.spec().clone());
                let mut steps = steps.clone();
                steps[change as usize - 1].seal = forged.seal().clone();
                let refused = client.follow(&steps, now, &verifier).unwrap_err();
                let found = (refused.height, refused.reason);
                assert_eq!(found, (change, Reason::Seal), "{name} by {what}");
                // Without being told of the new members it can't go on either.
                steps[change as usize - 1].seal = chain.blocks[change as usize].seal().clone();
                steps[change as usize - 2].members = None;
                let mut client = LightClient::new(chain.spec().clone());
                let refused = client.follow(&steps, now, &verifier).unwrap_err();
                let found = (refused.height, refused.reason);
                assert_eq!(found, (change - 1, Reason::MembersRoot), "{name}");
            }
        }
    }
}
