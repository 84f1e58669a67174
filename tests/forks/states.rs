//! The states after earlier blocks, the one that is written down, and what is proved and exported of them, against states that were copied
//! block by block.

use std::ops::ControlFlow;

use hubledger::consensus;
use hubledger::engine::{Engine, Outcome, verify_store};
use hubledger::format::FormatVersion;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::snapshot::{self, Snapshot};
use hubledger::ledger::{ChainReader, Ledger, LedgerError, Staging};
use hubledger::proof::Proof;
use hubledger::rules::{NAMED_BLOCKS_MAX, last_named};
use hubledger::spec::{ChainSpec, FINALITY_DEPTH_MAX, Finality};
use hubledger::state::{State, TABLE_ACCOUNTS};
use hubledger_storage::BlockReader;

use crate::common::{self, Chain, Numbers, clock};
use crate::places::Place;

/// A chain, and the state after each of its blocks.
struct Grown {
    chain: Chain,
    states: Vec<State>,
}

impl Grown {
    fn new(finality: Finality, root_interval: u32, blocks: u64) -> Self {
        let chain = Chain::in_version(FormatVersion::V2, 2, |fields| {
            fields.terms.finality = finality;
            fields.terms.root_interval = root_interval;
            fields.limits.body_bytes_max = 1 << 20;
        });
        let states = vec![chain.state().clone()];
        let mut grown = Self { chain, states };
        grown.extend(blocks);
        grown
    }

    /// Names that come once, some that come again, and blocks without any.
    fn extend(&mut self, blocks: u64) {
        for _ in 0..blocks {
            let next = self.chain.state().height() + 1;
            let often = (0..next % 3).map(|name| format!("often-{name}"));
            let once = (0..next % 7).map(|name| format!("once-{next}-{name}"));
            let messages = often
                .chain(once)
                .map(|name| self.chain.message(&name, next))
                .collect::<Vec<_>>();
            self.chain.extend(&messages);
            self.states.push(self.chain.state().clone());
        }
    }

    fn spec(&self) -> &ChainSpec {
        self.chain.spec()
    }

    /// What is final once the block at `tip` is the last one.
    fn final_height(&self, tip: u64) -> u64 {
        consensus::final_height(self.spec(), &self.states[tip as usize])
    }

    /// The block after which the state is written down then.
    fn base(&self, tip: u64) -> u64 {
        let settled = self.final_height(tip);
        let interval = u64::from(self.spec().terms.root_interval);
        let named = (1..=settled)
            .rev()
            .find(|height| interval > 0 && height.is_multiple_of(interval));
        named.unwrap_or(settled)
    }

    /// The last block that names a root; `tip` if there is none.
    fn named(&self, tip: u64) -> u64 {
        let interval = u64::from(self.spec().terms.root_interval);
        let named = (1..=tip)
            .rev()
            .find(|height| interval > 0 && height.is_multiple_of(interval));
        named.unwrap_or(tip)
    }
}

fn every_kind() -> Vec<(Finality, u32)> {
    let finalities = [
        Finality::Immediate,
        Finality::Depth(1),
        Finality::Depth(3),
        Finality::Depth(10),
    ];
    let kinds = finalities.into_iter();
    kinds
        .flat_map(|finality| [0, 1, 2, 7].map(|interval| (finality, interval)))
        .collect()
}

/// The block that the state in tables is of; 0 without one.
fn written(reader: &dyn BlockReader) -> u64 {
    let view = reader.tables().view("state").unwrap();
    view.position().map_or(0, |position| position.height)
}

#[test]
fn each_state_from_the_one_to_be_written_on_can_be_had_and_none_below() {
    for (finality, interval) in every_kind() {
        let grown = Grown::new(finality, interval, 40);
        let spec = grown.spec();
        let mut ledger = Ledger::create(common::memory(), spec, clock(grown.chain.now())).unwrap();
        for (block, tip) in grown.chain.blocks[1..].iter().zip(1..) {
            assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
            let base = grown.base(tip);
            for height in 0..=tip + 1 {
                let expected = grown.states.get(height as usize);
                let expected = expected.filter(|_| (base..=tip).contains(&height));
                let found = ledger.state_at(height);
                assert_eq!(
                    found.as_ref(),
                    expected,
                    "{finality:?} {interval} {height} of {tip}"
                );
            }
            let named = grown.named(tip).max(base);
            assert_eq!(ledger.named_state(), grown.states[named as usize]);
        }
    }
}

#[test]
fn what_is_written_is_of_a_final_block_and_opening_goes_on_from_it() {
    for (finality, interval) in every_kind() {
        let grown = Grown::new(finality, interval, 32);
        for place in Place::all() {
            let mut numbers = Numbers(7);
            let mut next = 1;
            let mut last_written = 0;
            drop(Ledger::create(place.open(), grown.spec(), clock(grown.chain.now())).unwrap());
            while next < grown.chain.blocks.len() {
                let mut ledger = place.again(&grown.chain);
                let tip = ledger.state().height();
                assert_eq!(tip as usize + 1, next, "{place}");
                assert_eq!(ledger.state(), &grown.states[next - 1], "{place}");
                let until = (next + 1 + numbers.below(9) as usize).min(grown.chain.blocks.len());
                for block in &grown.chain.blocks[next..until] {
                    assert_eq!(ledger.submit(block).unwrap(), Staging::Staged, "{place}");
                }
                next = until;
                let tip = next as u64 - 1;
                // Otherwise it ends without a word, as in a crash.
                if numbers.below(3) > 0 {
                    ledger.close().unwrap();
                    last_written = grown.base(tip);
                } else {
                    drop(ledger);
                }
                let reader = place.open().reader;
                assert_eq!(
                    written(&*reader),
                    last_written,
                    "{place} {finality:?} {interval} {tip}"
                );
                let chain = ChainReader::open(reader).unwrap();
                let (base, named) = (grown.base(tip), grown.named(tip));
                assert_eq!(
                    chain.state().unwrap(),
                    grown.states[tip as usize],
                    "{place}"
                );
                assert_eq!(chain.base_state().unwrap(), grown.states[base as usize]);
                assert_eq!(chain.named_state().unwrap(), grown.states[named as usize]);
            }
            let report = verify_store(place.open().reader, grown.chain.now(), &mut |_| {
                ControlFlow::Continue(())
            });
            assert_eq!(report.unwrap().rejected, None, "{place}");
        }
    }
}

#[test]
fn pruning_leaves_the_blocks_behind_the_written_state() {
    for (finality, interval) in every_kind() {
        let mut grown = Grown::new(finality, interval, 30);
        let place = Place::new("log").unwrap();
        let mut ledger = place.ledger(&grown.chain);
        let policy = PrunePolicy {
            bodies: Keep::Last(4),
            ..PrunePolicy::default()
        };
        for _ in 0..12 {
            let tip = ledger.state().height();
            let report = ledger
                .prune(&policy, None, &mut |_| ControlFlow::Continue(()))
                .unwrap();
            let floor = (tip - 3).min(grown.base(tip) + 1);
            assert_eq!(report.bodies.floor, floor, "{finality:?} {interval} {tip}");
            if tip.is_multiple_of(2) {
                drop(ledger);
                ledger = place.again(&grown.chain);
                assert_eq!(ledger.state(), grown.chain.state());
            }
            grown.extend(1);
            assert_eq!(ledger.submit(grown.chain.last()).unwrap(), Staging::Staged);
        }
    }
}

#[test]
fn a_row_is_proved_by_the_last_block_that_names_a_root_also_of_a_closed_store() {
    for (finality, interval) in every_kind() {
        for place in Place::all() {
            let grown = Grown::new(finality, interval, 20);
            let ledger = place.ledger(&grown.chain);
            let states = [ledger.named_state(), {
                ledger.close().unwrap();
                let reader = ChainReader::open(place.open().reader).unwrap();
                reader.named_state().unwrap()
            }];
            let reader = ChainReader::open(place.open().reader).unwrap();
            for state in states {
                let proof = reader.prove_account(&state, "often-1", None);
                if interval == 0 {
                    assert!(matches!(proof, Err(LedgerError::NoStateRoot(20))));
                    continue;
                }
                let proof = Proof::State(proof.unwrap()).encode().into();
                let Ok(Proof::State(proof)) = Proof::decode(&proof) else {
                    panic!("a proof of the state")
                };
                let proven = proof.verify(&grown.chain.state().head()).unwrap();
                assert_eq!(
                    (proven.height, proven.table),
                    (grown.named(20), TABLE_ACCOUNTS)
                );
                let held = grown.states[grown.named(20) as usize].account("often-1");
                assert_eq!(proven.value.as_deref(), Some(held.encode().as_bytes()));
            }
        }
    }
}

#[test]
fn a_snapshot_is_exported_of_the_final_state_and_begins_a_chain() {
    for (finality, interval) in every_kind() {
        if interval == 0 {
            continue;
        }
        let grown = Grown::new(finality, interval, 23);
        let place = Place::new("memory").unwrap();
        place.ledger(&grown.chain).close().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let reader = ChainReader::open(place.open().reader).unwrap();
        let state = reader.base_state().unwrap();
        assert_eq!(state.height(), grown.base(23));
        let mut go_on = |_| ControlFlow::Continue(());
        snapshot::export(&reader, &state, folder.path(), &mut go_on).unwrap();
        let exported = Snapshot::open(folder.path(), &state.head()).unwrap();
        let target = Place::new("log").unwrap();
        snapshot::import(&exported, target.open(), &mut go_on).unwrap();
        let mut ledger = target.again(&grown.chain);
        assert_eq!(ledger.state(), &grown.states[state.height() as usize]);
        for block in &grown.chain.blocks[state.height() as usize + 1..] {
            assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
        }
        assert_eq!(ledger.state(), grown.chain.state());
    }
}

#[test]
fn an_engine_keeps_and_writes_the_same_states_also_behind_bad_signatures() {
    for (finality, interval) in every_kind() {
        let grown = Grown::new(finality, interval, 60);
        let place = Place::new("memory").unwrap();
        let builder = Engine::builder().threads(2).clock(clock(grown.chain.now()));
        let builder = builder.settings(|settings| settings.parcel_bytes = 1500);
        let engine = builder.create(place.open(), grown.spec()).unwrap();
        for bad in [9_usize, 23, 41, 60] {
            let from = engine.head().unwrap().height as usize + 1;
            let blocks = grown.chain.blocks[from..].iter().map(|block| {
                let tampered = block.transactions().last();
                match tampered.filter(|_| block.height() == bad as u64) {
                    Some(last) => {
                        let mut all = block.transactions().to_vec();
                        *all.last_mut().unwrap() = common::corrupt_signature(last);
                        let mut fields = common::fields(block);
                        fields.merkle_root = common::merkle_root(&all);
                        common::sealed(fields, &common::key("hub-0"), &all).encode()
                    }
                    None => block.encode(),
                }
            });
            let outcomes = engine.import(blocks.map(Into::into));
            let refused = outcomes
                .map(Result::unwrap)
                .filter(|outcome| matches!(outcome, Outcome::Rejected(_)));
            assert_eq!(refused.count(), 1, "{finality:?} {interval} {bad}");
            let tip = bad as u64 - 1;
            assert_eq!(engine.head().unwrap().height, tip);
            let named = grown.named(tip);
            assert_eq!(engine.named_state().unwrap(), grown.states[named as usize]);
            if interval > 0 && grown.base(tip) >= interval.into() {
                let folder = tempfile::tempdir().unwrap();
                let report =
                    engine.export_snapshot(folder.path(), &mut |_| ControlFlow::Continue(()));
                assert_eq!(report.unwrap().manifest.height, grown.base(tip));
            }
        }
        engine.shutdown().unwrap();
        drop(engine);
        assert_eq!(
            written(&*place.open().reader),
            grown.base(59),
            "{finality:?} {interval}"
        );
        assert_eq!(place.again(&grown.chain).state(), &grown.states[59]);
    }
}

#[test]
fn an_engine_goes_on_though_what_is_not_final_fills_its_memory() {
    for (finality, interval) in every_kind() {
        let grown = Grown::new(finality, interval, 40);
        let place = Place::new("memory").unwrap();
        let builder = Engine::builder().threads(2).clock(clock(grown.chain.now()));
        let builder = builder.settings(|settings| {
            settings.parcel_bytes = 1500;
            settings.state_bytes = 600;
        });
        let engine = builder.create(place.open(), grown.spec()).unwrap();
        let blocks = grown.chain.blocks[1..]
            .iter()
            .map(|block| block.encode().into());
        let outcomes = engine.import(blocks).map(Result::unwrap);
        assert_eq!(
            outcomes
                .filter(|outcome| matches!(outcome, Outcome::Committed(_)))
                .count(),
            40
        );
        drop(engine);
        let reader = place.open().reader;
        assert!(
            written(&*reader) <= grown.final_height(40),
            "{finality:?} {interval}"
        );
        assert_eq!(place.again(&grown.chain).state(), grown.chain.state());
    }
}

#[test]
fn an_engine_prunes_what_is_behind_the_written_state_when_it_is_asked() {
    for (finality, interval) in every_kind() {
        let grown = Grown::new(finality, interval, 40);
        let place = Place::new("memory").unwrap();
        let builder = Engine::builder().threads(2).clock(clock(grown.chain.now()));
        let engine = builder.create(place.open(), grown.spec()).unwrap();
        let blocks = grown.chain.blocks[1..]
            .iter()
            .map(|block| block.encode().into());
        assert_eq!(engine.import(blocks).map(Result::unwrap).count(), 40);
        let policy = PrunePolicy {
            bodies: Keep::Last(2),
            ..PrunePolicy::default()
        };
        let report = engine.prune(policy, None).unwrap();
        assert_eq!(
            report.bodies.floor,
            39.min(grown.base(40) + 1),
            "{finality:?} {interval}"
        );
        drop(engine);
        assert_eq!(place.again(&grown.chain).state(), grown.chain.state());
    }
}

#[test]
fn snapshots_on_the_way_are_of_final_blocks_too() {
    let grown = Grown::new(Finality::Depth(10), 7, 700);
    for is_engine in [false, true] {
        let place = Place::new("memory").unwrap();
        if is_engine {
            let builder = Engine::builder().threads(2).clock(clock(grown.chain.now()));
            let engine = builder.create(place.open(), grown.spec()).unwrap();
            let blocks = grown.chain.blocks[1..]
                .iter()
                .map(|block| block.encode().into());
            assert_eq!(engine.import(blocks).map(Result::unwrap).count(), 700);
            drop(engine);
        } else {
            drop(place.ledger(&grown.chain));
            let (at, tip) = (written(&*place.open().reader), 700);
            assert!(
                at > 0 && at <= grown.final_height(tip) && at % 7 == 0,
                "{at}"
            );
        }
        let mut ledger = place.again(&grown.chain);
        assert_eq!(ledger.state(), grown.chain.state());
        assert_eq!(ledger.commit().unwrap().end, 701);
        let state = ledger.state_at(grown.base(700)).unwrap();
        assert_eq!(state, grown.states[grown.base(700) as usize]);
    }
}

#[test]
fn a_block_that_names_a_root_is_looked_for_nearby_only() {
    let spec = |interval| {
        let chain = Chain::in_version(FormatVersion::V2, 1, |fields| {
            fields.terms.root_interval = interval;
        });
        chain.spec().clone()
    };
    let cases = [
        (0, 5, None),
        (1, 5, Some(5)),
        (1, 0, None),
        (7, 6, None),
        (7, 20, Some(14)),
        (5000, 5000 + NAMED_BLOCKS_MAX, Some(5000)),
        (5000, 5001 + NAMED_BLOCKS_MAX, None),
    ];
    for (interval, height, expected) in cases {
        assert_eq!(
            last_named(&spec(interval), height),
            expected,
            "{interval} {height}"
        );
    }
}

#[test]
fn a_depth_is_bounded_by_blocks_and_by_their_bytes() {
    let made = |depth, body_bytes_max| {
        let mut fields = common::spec_fields(1);
        fields.version = FormatVersion::V2;
        fields.terms.finality = Finality::Depth(depth);
        fields.limits.body_bytes_max = body_bytes_max;
        ChainSpec::new(fields).map_err(|error| {
            assert_eq!(error.field, "finality");
            error.to_string()
        })
    };
    assert!(made(FINALITY_DEPTH_MAX, 1 << 20).is_ok());
    assert!(made(128, 32 << 20).is_ok());
    let error = made(FINALITY_DEPTH_MAX + 1, 1).unwrap_err();
    assert!(error.contains("at most 4096"), "{error}");
    let error = made(129, 32 << 20).unwrap_err();
    assert!(error.contains("limits.body_bytes_max"), "{error}");
}
