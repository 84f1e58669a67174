//! Random histories of table sets: after each step every set, and every view that was kept, is what the model says.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::super::crash::{OPTIONS, new_machine};
use super::super::files::SystemFiles;
use super::super::options::LogOptions;
use super::super::simulated::Dice;
use super::history::{History, SETS, Step, Tables, assert_shows};
use crate::{TableReader, TableWriter};

fn live(seed: u64, options: LogOptions) {
    let mut dice = Dice(seed);
    let machine = new_machine(&mut dice);
    let open = || Tables::open(Arc::new(SystemFiles), &machine, options).unwrap();
    let mut tables = Some(open());
    let mut histories = [History::new(), History::new()];
    let mut kept = Vec::new();
    for _ in 0..150 {
        let which = dice.below(2) as usize;
        let (set, history) = (SETS[which], &mut histories[which]);
        let held = tables.as_mut().unwrap();
        let step = history.step(&mut dice);
        held.apply(set, history, &step).unwrap();
        if dice.chance(10) {
            kept.push((held.view(set), history.now().clone()));
        }
        match dice.below(20) {
            // Closing gets everything to the disk.
            0 => {
                kept.clear();
                drop(tables.take());
                tables = Some(open());
            }
            1 => tables = tables.take().map(Tables::with_another_writer),
            _ => {}
        }
        let held = tables.as_ref().unwrap();
        for (set, history) in SETS.iter().zip(&histories) {
            assert_shows(&*held.view(set), history.now(), &mut dice);
        }
        for (view, moment) in &kept {
            assert_shows(&**view, moment, &mut dice);
        }
    }
}

#[test]
fn every_view_is_the_moment_that_it_is_of() {
    (0..30).for_each(|seed| live(seed, OPTIONS));
}

#[test]
fn merging_in_a_thread_changes_nothing_that_is_seen() {
    for seed in 100..115 {
        let options = LogOptions {
            index_in_background: true,
            table_memory_bytes: 500,
            table_cache_bytes: 0,
            ..OPTIONS
        };
        live(seed, options);
    }
}

#[test]
fn a_store_without_tables_has_no_sets_and_gets_no_files() {
    let mut dice = Dice(1);
    let machine = new_machine(&mut dice);
    let mut tables = Tables::open(Arc::new(SystemFiles), &machine, OPTIONS).unwrap();
    assert!(tables.reader.sets().unwrap().is_empty());
    assert_eq!(tables.view("a").position(), None);
    tables.writer.remove("a").unwrap();
    assert_eq!(tables.writer.undo("a", 7).unwrap(), None);
    tables.writer.sync().unwrap();
    drop(tables);
    assert!(!machine.directory().join(super::names::DIRECTORY).exists());
}

#[test]
fn removed_and_merged_files_go_when_nobody_reads_them_any_more() {
    let mut dice = Dice(2);
    let machine = new_machine(&mut dice);
    let mut tables = Tables::open(Arc::new(SystemFiles), &machine, OPTIONS).unwrap();
    let mut history = History::new();
    for _ in 0..40 {
        let step = match history.step(&mut dice) {
            Step::Commit(commit, _) => Step::Commit(commit, crate::Durability::Disk),
            _ => Step::Sync,
        };
        tables.apply("a", &mut history, &step).unwrap();
    }
    let files = || {
        let entries = std::fs::read_dir(machine.directory().join(super::names::DIRECTORY));
        entries.unwrap().count()
    };
    // The set's file, and as many runs as merging leaves of each class.
    assert!(files() <= 1 + 12, "{} files", files());
    let view = tables.view("a");
    tables.writer.remove("a").unwrap();
    assert!(files() > 0);
    assert_shows(&*view, history.now(), &mut dice);
    drop(view);
    assert_eq!(files(), 0);
    assert!(tables.reader.sets().unwrap().is_empty());
}
