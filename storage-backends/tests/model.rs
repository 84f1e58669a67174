//! Any sequence of operations gives the same answers from a backend with files as from the memory backend.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use hubledger_storage::{
    Block, BlockReader, Durability, Extent, Held, Id, IndexEntry, IndexOptions, Location,
    LogOptions, MemoryStore, Part, Result, SqliteOptions, Store,
};
use proptest::prelude::*;

/// Ids and keys come from so few that they repeat.
const NAMES: u8 = 24;

#[derive(Debug, Clone)]
enum Step {
    Append {
        offset: i64,
        run: Vec<Sketch>,
        durability: Durability,
    },
    Truncate {
        back: u64,
    },
    Replace {
        back: u64,
        offset: i64,
        run: Vec<Sketch>,
        durability: Durability,
    },
    Prune {
        part: Part,
        forward: u64,
        limit: u64,
    },
    PutNamedValue {
        key: String,
        value: Vec<u8>,
    },
    Sync,
    Reopen,
}

/// A block but for its height.
#[derive(Debug, Clone)]
struct Sketch {
    id: u16,
    body: Vec<u8>,
    index: Vec<(u8, u32)>,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let body = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (0_usize..20_000).prop_map(|len| vec![7; len]),
    ];
    let index = prop::collection::vec((0..NAMES, 0_u32..10), 0..5);
    (any::<u16>(), body, index).prop_map(|(id, body, index)| Sketch {
        id: id % 400,
        body,
        index,
    })
}

/// Steps that prune some of the parts.
fn step(parts: &[Part]) -> impl Strategy<Value = Step> {
    let prune = (
        prop::sample::select(parts.to_vec()),
        0_u64..5,
        prop_oneof![4 => 0_u64..4, 1 => Just(u64::MAX)],
    );
    let levels = [Durability::Memory, Durability::Os, Durability::Disk];
    let append = || {
        (
            prop_oneof![12 => Just(0_i64), 1 => -2_i64..3],
            prop::collection::vec(sketch(), 0..5),
            prop::sample::select(levels.to_vec()),
        )
    };
    let replace = (0_u64..9, append());
    prop_oneof![
        8 => append().prop_map(|(offset, run, durability)| Step::Append { offset, run, durability }),
        2 => (0_u64..6).prop_map(|back| Step::Truncate { back }),
        4 => replace.prop_map(|(back, (offset, run, durability))| {
            Step::Replace { back, offset, run, durability }
        }),
        4 => prune.prop_map(|(part, forward, limit)| Step::Prune { part, forward, limit }),
        1 => ("[ab]{0,2}", prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(key, value)| Step::PutNamedValue { key, value }),
        1 => Just(Step::Sync),
        1 => Just(Step::Reopen),
    ]
}

/// Applies a step; the text stands for the outcome, as far as backends must agree in it.
fn apply(store: &mut Store, step: &Step) -> String {
    let extent = store.reader.extent().unwrap();
    let writer = &mut store.writer;
    match step {
        Step::Append {
            offset,
            run,
            durability,
        } => {
            let first = extent.end.saturating_add_signed(*offset);
            let run = blocks(first, run);
            outcome(writer.append(&run, *durability), |receipt| {
                receipt.end.to_string()
            })
        }
        Step::Truncate { back } => {
            outcome(writer.truncate(extent.end.saturating_sub(*back)), |()| {
                String::new()
            })
        }
        Step::Replace {
            back,
            offset,
            run,
            durability,
        } => {
            // One time in nine it is beyond the tip.
            let above = (extent.end + 1).saturating_sub(*back);
            let first = (above + 1).min(extent.end).saturating_add_signed(*offset);
            let run = blocks(first, run);
            outcome(writer.replace(above, &run, *durability), |receipt| {
                receipt.end.to_string()
            })
        }
        Step::Prune {
            part,
            forward,
            limit,
        } => outcome(
            writer.prune(*part, extent.floor_of(*part) + forward, *limit),
            |receipt| {
                format!(
                    "{:?}",
                    (receipt.floor, receipt.blocks, receipt.bytes, receipt.done)
                )
            },
        ),
        Step::PutNamedValue { key, value } => {
            outcome(writer.put_named_value(key, value, Durability::Os), |()| {
                String::new()
            })
        }
        Step::Sync => outcome(writer.sync(), |receipt| receipt.end.to_string()),
        Step::Reopen => String::new(),
    }
}

fn outcome<T>(result: Result<T>, done: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(value) => done(value),
        Err(error) => {
            assert!(error.is_argument(), "{error}");
            error.to_string()
        }
    }
}

fn blocks(first: u64, run: &[Sketch]) -> Vec<Block> {
    let heights = (first..).zip(run);
    heights
        .map(|(height, sketch)| sketch.block(height))
        .collect()
}

impl Sketch {
    fn block(&self, height: u64) -> Block {
        Block {
            height,
            id: block_id(self.id),
            header: Bytes::from(vec![self.id as u8; usize::from(self.id % 50)]),
            body: self.body.clone().into(),
            index: self
                .index
                .iter()
                .map(|&(name, position)| IndexEntry {
                    key: [name; 32],
                    position,
                })
                .collect(),
        }
    }
}

fn block_id(number: u16) -> Id {
    let mut id = [0; 32];
    id[..2].copy_from_slice(&number.to_be_bytes());
    id
}

/// Keys whose first places were pruned from the index, by the numbers they are made of.
type Forgotten = BTreeSet<u8>;

fn note_forgotten(model: &dyn BlockReader, step: &Step, forgotten: &mut Forgotten) {
    let Step::Prune {
        part: Part::Index,
        forward,
        limit,
    } = step
    else {
        return;
    };
    let Extent {
        body_floor: floor,
        index_floor,
        ..
    } = model.extent().unwrap();
    if index_floor + forward <= floor {
        for height in index_floor..index_floor + forward.min(limit) {
            let entries = model.index(height).unwrap().and_then(Held::present);
            forgotten.extend(entries.iter().flatten().map(|entry| entry.key[0]));
        }
    }
}

/// A key of which a place was pruned may be found at a later one, or not at all unless it was given again.
fn assert_located(model: &dyn BlockReader, tested: &dyn BlockReader, forgotten: bool, key: &Id) {
    let (ours, theirs) = (model.locate(key).unwrap(), tested.locate(key).unwrap());
    if !forgotten {
        assert_eq!(theirs, ours);
        return;
    }
    let extent = model.extent().unwrap();
    match theirs {
        Location::Found { height, position } | Location::Pruned { height, position } => {
            assert_eq!(theirs, extent.location(height, position));
            let held = model.index(height).unwrap().and_then(Held::present);
            let place = IndexEntry {
                key: *key,
                position,
            };
            assert!(held.unwrap().contains(&place), "{theirs:?}");
            if let Location::Found { height: given, .. } | Location::Pruned { height: given, .. } =
                ours
            {
                assert!(
                    height <= given,
                    "{theirs:?} though it was given again: {ours:?}"
                );
            }
        }
        _ => assert_eq!(theirs, ours),
    }
}

fn assert_equal(model: &dyn BlockReader, tested: &dyn BlockReader, forgotten: &Forgotten) {
    let extent = model.extent().unwrap();
    assert_eq!(tested.extent().unwrap(), extent);
    for height in 0..extent.end + 2 {
        assert_eq!(
            tested.header(height).unwrap(),
            model.header(height).unwrap()
        );
        let block = model.block(height).unwrap();
        assert_eq!(tested.block(height).unwrap(), block);
        assert_eq!(tested.index(height).unwrap(), model.index(height).unwrap());
        if let Some(block) = block {
            assert_eq!(tested.height_of(&block.id).unwrap(), Some(height));
        }
    }
    for name in 0..NAMES {
        assert_located(model, tested, forgotten.contains(&name), &[name; 32]);
    }
    for number in (0..400).step_by(7) {
        let id = block_id(number);
        assert_eq!(
            tested.height_of(&id).unwrap(),
            model.height_of(&id).unwrap()
        );
    }
    for key in ["", "a", "b", "aa", "ab", "ba", "bb"] {
        assert_eq!(
            tested.named_value(key).unwrap(),
            model.named_value(key).unwrap()
        );
    }
    let (ours, theirs) = (model.usage().unwrap(), tested.usage().unwrap());
    assert_eq!(
        (theirs.blocks, theirs.index_entries),
        (ours.blocks, ours.index_entries)
    );
}

/// Creates the store at a path, or opens it.
type Open = fn(&Path, create: bool) -> Result<Store>;

fn run(steps: &[Step], open: Open) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chain");
    let mut model = MemoryStore::new().open().unwrap();
    let mut tested = open(&path, true).unwrap();
    let mut forgotten = Forgotten::new();
    for step in steps {
        note_forgotten(&*model.reader, step, &mut forgotten);
        assert_eq!(
            apply(&mut tested, step),
            apply(&mut model, step),
            "{step:?}"
        );
        if matches!(step, Step::Reopen) {
            drop(tested);
            tested = open(&path, false).unwrap();
            assert_equal(&*model.reader, &*tested.reader, &forgotten);
        }
    }
    assert_equal(&*model.reader, &*tested.reader, &forgotten);
}

/// Few entries in memory, and runs that are merged often.
const SMALL_INDEX: IndexOptions = IndexOptions {
    entries_in_memory: 12,
    fanout: 2,
};

fn sqlite(path: &Path, create: bool) -> Result<Store> {
    let options = SqliteOptions {
        index: SMALL_INDEX,
        ..SqliteOptions::default()
    };
    if create {
        options.create(path)
    } else {
        options.open(path)
    }
}

#[cfg(feature = "rocksdb")]
fn rocksdb(path: &Path, create: bool) -> Result<Store> {
    let options = hubledger_storage::RocksOptions {
        index: SMALL_INDEX,
        write_buffer_mib: 1,
        ..hubledger_storage::RocksOptions::default()
    };
    if create {
        options.create(path)
    } else {
        options.open(path)
    }
}

/// Segments of a few blocks, and index files that are merged often.
fn log(path: &Path, create: bool) -> Result<Store> {
    let options = LogOptions {
        segment_bytes: 3000,
        segment_entries: 20,
        index_fanout: 2,
        direct_bytes: 800,
        index_in_background: false,
        cache_bytes: 3000,
        ..LogOptions::default()
    };
    if create {
        options.create(path)
    } else {
        options.open(path)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_equals_memory(steps in prop::collection::vec(step(&Part::ALL), 1..60)) {
        run(&steps, sqlite);
    }

    #[test]
    fn log_equals_memory(steps in prop::collection::vec(step(&Part::ALL), 1..60)) {
        run(&steps, log);
    }
}

#[cfg(feature = "rocksdb")]
proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn rocksdb_equals_memory(steps in prop::collection::vec(step(&Part::ALL), 1..60)) {
        run(&steps, rocksdb);
    }
}
