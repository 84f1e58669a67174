//! What tests do to table sets, and what must come of it: the model is all contents of a set, one for each commit.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::files::Files;
use super::super::home::site_on;
use super::super::options::LogOptions;
use super::super::simulated::{Dice, Machine};
use super::reader::LogTableReader;
use super::shared::TableShared;
use super::writer::LogTableWriter;
use crate::{
    Durability, KeyRange, Position, RangeLimit, Result, Row, TableChange, TableCommit, TableReader,
    TableView, TableWriter,
};

pub(super) const SETS: [&str; 2] = ["a", "views/b"];
const TABLES: u8 = 3;
const KEYS: u64 = 40;

pub(super) type Rows = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// A set after a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) position: Option<Position>,
    pub(super) undo_floor: u64,
    pub(super) rows: Rows,
}

/// A set from its beginning on; the last moment is how it is.
pub(super) type Timeline = Vec<Moment>;

/// What a set may be after a loss of power; the last is what it is.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) allowed: Vec<Timeline>,
}

pub(super) enum Step {
    Commit(TableCommit, Durability),
    Undo(u64),
    Remove,
    Sync,
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            allowed: vec![vec![Moment::default()]],
        }
    }

    pub(super) fn timeline(&self) -> &Timeline {
        self.allowed.last().unwrap()
    }

    pub(super) fn now(&self) -> &Moment {
        self.timeline().last().unwrap()
    }

    pub(super) fn all_durable(&mut self) {
        self.allowed.drain(..self.allowed.len() - 1);
    }

    pub(super) fn step(&self, dice: &mut Dice) -> Step {
        let levels = [Durability::Memory, Durability::Os, Durability::Disk];
        let level = levels[(dice.below(6) as usize).min(2) * usize::from(dice.chance(50))];
        match dice.below(20) {
            0..15 => Step::Commit(self.commit(dice), level),
            15..18 if !self.is_loading() => {
                let floor = self.now().undo_floor;
                Step::Undo(floor + dice.below(self.height().saturating_sub(floor) + 2))
            }
            18 if dice.chance(20) => Step::Remove,
            _ => Step::Sync,
        }
    }

    fn is_loading(&self) -> bool {
        self.timeline().len() > 1 && self.now().position.is_none()
    }

    /// The last height that the set had.
    fn height(&self) -> u64 {
        let positions = self.timeline().iter().filter_map(|moment| moment.position);
        positions.map(|position| position.height).max().unwrap_or(0)
    }

    fn commit(&self, dice: &mut Dice) -> TableCommit {
        let floor = self.now().undo_floor;
        let height = self.height().max(floor) + 1 + dice.below(3);
        // Seldom, a set is being loaded.
        let position = (!dice.chance(8)).then(|| Position {
            height,
            id: [dice.next() as u8; 32],
        });
        let undo_floor = match position {
            Some(_) if self.is_loading() => height,
            Some(_) if dice.chance(70) => floor.max(height.saturating_sub(dice.below(12))),
            _ => floor,
        };
        let mut changes = BTreeMap::new();
        for _ in 0..dice.below(12) {
            let key = (dice.below(TABLES.into()) as u8, key(dice.below(KEYS)));
            let length = match dice.chance(10) {
                true => 200 + dice.below(300),
                false => dice.below(30),
            };
            let value = vec![dice.next() as u8; length as usize];
            changes.insert(key, (!dice.chance(25)).then_some(value));
        }
        let change = |((table, key), value): ((u8, Vec<u8>), Option<Vec<u8>>)| TableChange {
            table,
            key: key.into(),
            value: value.map(Into::into),
        };
        TableCommit {
            position,
            undo_floor,
            changes: changes.into_iter().map(change).collect(),
        }
    }

    /// What comes of a step.
    pub(super) fn after(&self, step: &Step) -> Timeline {
        let mut timeline = self.timeline().clone();
        match step {
            Step::Commit(commit, _) => {
                let mut rows = self.now().rows.clone();
                for change in &commit.changes {
                    let key = (change.table, change.key.to_vec());
                    match &change.value {
                        Some(value) => rows.insert(key, value.to_vec()),
                        None => rows.remove(&key),
                    };
                }
                timeline.push(Moment {
                    position: commit.position,
                    undo_floor: commit.undo_floor,
                    rows,
                });
            }
            Step::Undo(height) => {
                // After loading the floor is at the end of it, so that nothing before that is gone back to.
                let is_above =
                    |moment: &Moment| moment.position.is_some_and(|at| at.height > *height);
                if let Some(first) = timeline.iter().position(is_above) {
                    let floor = self.now().undo_floor;
                    timeline.truncate(first);
                    // It never goes down.
                    timeline.last_mut().unwrap().undo_floor = floor;
                }
            }
            Step::Remove => timeline = vec![Moment::default()],
            Step::Sync => {}
        }
        timeline
    }
}

fn key(number: u64) -> Vec<u8> {
    // Of several lengths, one of them empty, some the beginnings of others.
    let digits = format!("{number:b}");
    digits.into_bytes().split_off(1)
}

/// The tables of a store on some files, without the store's blocks.
pub(super) struct Tables {
    shared: Arc<TableShared>,
    pub(super) reader: LogTableReader<()>,
    pub(super) writer: LogTableWriter<()>,
}

impl Tables {
    pub(super) fn open(
        files: Arc<dyn Files>,
        machine: &Machine,
        options: LogOptions,
    ) -> Result<Self> {
        let context = site_on(files, &machine.directory(), options)?;
        Ok(Self::of(&Arc::new(TableShared::new(&context))))
    }

    fn of(shared: &Arc<TableShared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            reader: LogTableReader::new(shared, (), |()| Ok(())),
            writer: LogTableWriter::new(shared, ()),
        }
    }

    /// With another writer, while readers stay.
    pub(super) fn with_another_writer(self) -> Self {
        let shared = Arc::clone(&self.shared);
        drop(self);
        Self::of(&shared)
    }

    pub(super) fn view(&self, set: &str) -> Arc<dyn TableView> {
        self.reader.view(set).unwrap()
    }

    /// Does a step, which the history then knows of, whether or not it succeeded.
    pub(super) fn apply(&mut self, set: &str, history: &mut History, step: &Step) -> Result<()> {
        let after = history.after(step);
        history.allowed.push(after);
        let is_durable = match step {
            Step::Commit(commit, level) => {
                let receipt = self.writer.commit(set, commit, *level)?;
                assert_eq!(receipt.position, commit.position);
                assert!(receipt.durability == Durability::Disk || *level < Durability::Disk);
                receipt.durability == Durability::Disk
            }
            Step::Undo(height) => {
                let before = history.allowed.len() - 2;
                let is_nothing = history.allowed[before].len() == history.timeline().len();
                let left = self.writer.undo(set, *height)?;
                assert_eq!(left, history.now().position);
                !is_nothing
            }
            Step::Remove => {
                self.writer.remove(set)?;
                true
            }
            Step::Sync => {
                self.writer.sync()?;
                true
            }
        };
        if is_durable {
            history.all_durable();
        }
        Ok(())
    }
}

/// All rows of a view, a few at a time.
pub(super) fn all_rows(view: &dyn TableView, is_descending: bool) -> Result<Rows> {
    let mut found = Rows::new();
    for table in 0..TABLES {
        let limit = RangeLimit {
            rows: 7,
            bytes: 600,
        };
        let mut range = KeyRange {
            is_descending,
            ..KeyRange::default()
        };
        loop {
            let rows = view.range(table, &range, limit)?;
            let Some((last, _)) = rows.last() else {
                break;
            };
            match is_descending {
                true => range.below = Some(last.clone()),
                false => range.from = [last, &b"\0"[..]].concat().into(),
            }
            for (key, value) in rows {
                let again = found.insert((table, key.to_vec()), value.to_vec());
                assert_eq!(again, None, "a row came twice");
            }
        }
    }
    Ok(found)
}

/// Asserts that a view shows a moment, in every way in which it can be asked.
pub(super) fn assert_shows(view: &dyn TableView, moment: &Moment, dice: &mut Dice) {
    assert_eq!(view.position(), moment.position);
    for is_descending in [false, true] {
        assert_eq!(all_rows(view, is_descending).unwrap(), moment.rows);
    }
    for table in 0..TABLES {
        for number in 0..KEYS {
            let key = key(number);
            let found = view.get(table, &key).unwrap().map(Vec::from);
            assert_eq!(found.as_ref(), moment.rows.get(&(table, key)));
        }
        let bounds = [dice.below(KEYS), dice.below(KEYS)].map(key);
        let range = KeyRange {
            from: bounds[0].clone().into(),
            below: Some(bounds[1].clone().into()),
            is_descending: dice.chance(50),
        };
        let limit = RangeLimit {
            rows: 1 + dice.below(9) as usize,
            bytes: usize::MAX,
        };
        let is_within = |(held, key): &(&(u8, Vec<u8>), &Vec<u8>)| {
            let _ = key;
            held.0 == table && held.1 >= bounds[0] && held.1 < bounds[1]
        };
        let row = |((_, key), value): (&(u8, Vec<u8>), &Vec<u8>)| -> Row {
            (key.clone().into(), value.clone().into())
        };
        let mut expected: Vec<Row> = moment.rows.iter().filter(is_within).map(row).collect();
        if range.is_descending {
            expected.reverse();
        }
        expected.truncate(limit.rows);
        assert_eq!(view.range(table, &range, limit).unwrap(), expected);
    }
}
