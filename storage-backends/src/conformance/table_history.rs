//! Case: random histories of tables give, at every moment, what a map gives that is copied with each commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Fixture;
use super::table_sample::{Contents, UNLIMITED, apply, assert_contents, delete, position, put};
use crate::{
    Durability, KeyRange, Position, RangeLimit, Row, Store, TableChange, TableCommit, TableView,
};

/// Steps of a history.
const STEPS: u64 = 400;
/// Views that are kept at a time.
const VIEWS: usize = 6;

/// Numbers that follow from a seed, and look random.
struct Dice(u64);

impl Dice {
    /// A number below `end`.
    fn roll(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.roll(many) == 0
    }

    /// From so few keys that they repeat, with those that are hard to keep apart.
    fn key(&mut self) -> Bytes {
        let length = self.roll(4);
        let bytes = (0..length).map(|_| [0, 1, 127, 254, 255][self.roll(5) as usize]);
        bytes.collect::<Vec<u8>>().into()
    }

    fn changes(&mut self) -> Vec<TableChange> {
        let mut changes = BTreeMap::new();
        for _ in 0..self.roll(12) {
            let (table, key) = ([0, 1, 254, 255][self.roll(4) as usize], self.key());
            let change = match self.roll(20) {
                0..6 => delete(table, &key),
                6 => put(table, &key, vec![self.roll(256) as u8; 6000]),
                _ => put(
                    table,
                    &key,
                    vec![self.roll(256) as u8; self.roll(30) as usize],
                ),
            };
            changes.insert((table, key), change);
        }
        changes.into_values().collect()
    }
}

/// A set as it has to be.
#[derive(Default)]
struct Model {
    contents: Contents,
    position: Option<Position>,
    /// The same, but of the last commit that had one.
    last: Option<Position>,
    floor: u64,
    is_loading: bool,
    /// Each moment with a position, oldest first; a load forgets those before it.
    moments: Vec<(Position, Contents)>,
    /// Whether a load came before those, or nothing.
    was_loaded: bool,
}

impl Model {
    fn next(&self, dice: &mut Dice) -> TableCommit {
        let changes = dice.changes();
        if dice.one_in(12) {
            return TableCommit {
                position: None,
                undo_floor: self.floor,
                changes,
            };
        }
        let lowest = self.last.map_or(0, |last| last.height + 1);
        let height = (lowest + dice.roll(3)).max(self.floor);
        let undo_floor = match dice.roll(4) {
            _ if self.is_loading => height,
            0 => self.floor + dice.roll(height - self.floor + 1),
            _ => self.floor,
        };
        TableCommit {
            position: Some(position(height)),
            undo_floor,
            changes,
        }
    }

    fn commit(&mut self, commit: &TableCommit) {
        apply(&mut self.contents, &commit.changes);
        self.position = commit.position;
        self.last = commit.position.or(self.last);
        self.floor = commit.undo_floor;
        self.is_loading = commit.position.is_none();
        match commit.position {
            Some(position) => self.moments.push((position, self.contents.clone())),
            None => {
                self.moments.clear();
                self.was_loaded = true;
            }
        }
    }

    fn undo(&mut self, height: u64) {
        self.moments
            .retain(|(position, _)| position.height <= height);
        let last = self.moments.last().cloned();
        assert!(last.is_some() || !self.was_loaded);
        self.position = last.as_ref().map(|(position, _)| *position);
        self.last = self.position;
        self.contents = last.map(|(_, contents)| contents).unwrap_or_default();
    }
}

struct History {
    dice: Dice,
    store: Option<Store>,
    sets: BTreeMap<String, Model>,
    views: Vec<(Arc<dyn TableView>, Option<Position>, Contents)>,
}

pub(super) fn random_histories_give_what_a_map_gives(fixture: &dyn Fixture) {
    let mut history = History {
        dice: Dice(1),
        store: None,
        sets: BTreeMap::new(),
        views: Vec::new(),
    };
    for step in 0..STEPS {
        let name = format!("set-{}", history.dice.roll(3));
        let mut store = match history.store.take() {
            Some(store) => store,
            None => fixture.open().unwrap(),
        };
        history.step(&mut store, &name);
        history.look(&store, &name, step);
        // Dropped and opened again now and then; views that are kept live on.
        if !history.dice.one_in(25) {
            history.store = Some(store);
        }
    }
}

impl History {
    fn step(&mut self, store: &mut Store, name: &str) {
        let dice = &mut self.dice;
        let model = self.sets.entry(name.to_owned()).or_default();
        match dice.roll(30) {
            0 => {
                store.tables.remove(name).unwrap();
                self.sets.remove(name);
            }
            1..6 => {
                let top = model
                    .position
                    .map_or(model.floor, |position| position.height);
                let height = model.floor.saturating_sub(1) + dice.roll(top.max(model.floor) + 3);
                let outcome = store.tables.undo(name, height);
                if model.is_loading || height < model.floor {
                    assert!(outcome.unwrap_err().is_argument());
                } else {
                    model.undo(height);
                    assert_eq!(outcome.unwrap(), model.position);
                }
            }
            6 => store.tables.sync().unwrap(),
            _ => {
                let commit = model.next(dice);
                let levels = [Durability::Memory, Durability::Os];
                let level = levels[dice.roll(2) as usize];
                let receipt = store.tables.commit(name, &commit, level).unwrap();
                model.commit(&commit);
                assert_eq!(receipt.position, model.position);
            }
        }
    }

    /// Asks for what the step changed, some of what it should not have, and all views now and then.
    fn look(&mut self, store: &Store, name: &str, step: u64) {
        let (dice, nothing) = (&mut self.dice, Model::default());
        let model = self.sets.get(name).unwrap_or(&nothing);
        let view = store.reader.tables().view(name).unwrap();
        assert_eq!(view.position(), model.position, "step {step}");
        assert_contents(&*view, &model.contents);
        for _ in 0..5 {
            assert_asked(dice, &*view, &model.contents);
        }
        if dice.one_in(6) {
            self.views
                .push((view, model.position, model.contents.clone()));
        }
        if self.views.len() > VIEWS {
            let gone = dice.roll(VIEWS as u64) as usize;
            drop(self.views.swap_remove(gone));
        }
        if dice.one_in(5) {
            for (view, position, contents) in &self.views {
                assert_eq!(view.position(), *position, "step {step}");
                assert_contents(&**view, contents);
            }
            for (name, model) in &self.sets {
                let view = store.reader.tables().view(name).unwrap();
                assert_contents(&*view, &model.contents);
            }
        }
    }
}

/// Asks for a key and a range that may be there.
fn assert_asked(dice: &mut Dice, view: &dyn TableView, contents: &Contents) {
    let table = [0, 1, 254, 255][dice.roll(4) as usize];
    let key = dice.key();
    let expected = contents.get(&(table, key.clone()));
    assert_eq!(view.get(table, &key).unwrap().as_ref(), expected);
    let range = KeyRange {
        from: key,
        below: (!dice.one_in(3)).then(|| dice.key()),
        is_descending: dice.one_in(2),
    };
    let limit = RangeLimit {
        rows: dice.roll(5) as usize,
        ..UNLIMITED
    };
    let is_in =
        |key: &Bytes| *key >= range.from && range.below.as_ref().is_none_or(|below| key < below);
    let mut rows: Vec<Row> = contents
        .iter()
        .filter(|((of, key), _)| *of == table && is_in(key))
        .map(|((_, key), value)| (key.clone(), value.clone()))
        .collect();
    if range.is_descending {
        rows.reverse();
    }
    rows.truncate(limit.rows.max(1));
    assert_eq!(view.range(table, &range, limit).unwrap(), rows);
}
