//! Each byte of each file is damaged in turn: every answer is then an error that names the file, or right.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::crash::{OPTIONS, new_machine};
use super::super::files::SystemFiles;
use super::super::home::site_on;
use super::super::simulated::{Dice, Machine};
use super::check::check;
use super::context::TableContext;
use super::history::{History, Step, Tables, all_rows};
use crate::check::Report;
use crate::{Durability, Error, Result, TableReader, TableView, TableWriter};

fn open(machine: &Machine) -> Tables {
    Tables::open(Arc::new(SystemFiles), machine, OPTIONS).unwrap()
}

/// A set with some runs, one of them cut by an undoing, and its history.
fn damaged_soon() -> (Machine, History) {
    let mut dice = Dice(3);
    let machine = new_machine(&mut dice);
    let mut tables = open(&machine);
    let mut history = History::new();
    for number in 0..14 {
        let step = match (number, history.step(&mut dice)) {
            (12, _) => Step::Undo(history.now().undo_floor),
            (_, Step::Commit(commit, _)) => Step::Commit(commit, Durability::Disk),
            _ => Step::Sync,
        };
        tables.apply("a", &mut history, &step).unwrap();
    }
    drop(tables);
    (machine, history)
}

fn files(machine: &Machine) -> Vec<PathBuf> {
    let entries = fs::read_dir(machine.directory().join(super::names::DIRECTORY)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn count_damage(machine: &Machine) -> u64 {
    let context = site_on(Arc::new(SystemFiles), &machine.directory(), OPTIONS).unwrap();
    let mut report = Report::default();
    check(&Arc::new(TableContext::new(&context)), &mut report).unwrap();
    report.met()
}

/// An answer, unless damage to a file of tables is told of.
fn answer<T>(outcome: Result<T>) -> Option<T> {
    match outcome {
        Ok(answer) => Some(answer),
        Err(Error::Corrupt { path, .. }) => {
            assert!(path.to_string_lossy().contains("/tables/"), "{path:?}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Asks for everything; gives whether an answer was an error.
fn is_told(machine: &Machine, history: &History) -> bool {
    let tables = open(machine);
    let Some(view) = answer(tables.reader.view("a")) else {
        return true;
    };
    let mut is_told = false;
    assert_eq!(view.position(), history.now().position);
    let view: &dyn TableView = &*view;
    for is_descending in [false, true] {
        let rows = answer(all_rows(view, is_descending));
        is_told |= rows.is_none();
        assert!(rows.is_none_or(|rows| rows == history.now().rows));
    }
    for (table, key) in history
        .timeline()
        .iter()
        .flat_map(|moment| moment.rows.keys())
    {
        match answer(view.get(*table, key)) {
            None => is_told = true,
            Some(value) => {
                let expected = history.now().rows.get(&(*table, key.clone()));
                assert_eq!(value.as_deref(), expected.map(|value| &value[..]));
            }
        }
    }
    is_told
}

#[test]
fn every_damaged_byte_is_told_of_and_no_answer_is_wrong() {
    let (machine, history) = damaged_soon();
    assert_eq!(count_damage(&machine), 0);
    assert!(!is_told(&machine, &history));
    let (mut told, mut bytes) = (0, 0);
    for path in files(&machine) {
        let sound = fs::read(&path).unwrap();
        for at in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(&path, &damaged).unwrap();
            assert!(count_damage(&machine) > 0, "byte {at} of {path:?}");
            told += u64::from(is_told(&machine, &history));
            bytes += 1;
        }
        fs::write(&path, &sound).unwrap();
    }
    // All but what nobody asks for.
    assert!(
        told * 10 > bytes * 9,
        "{told} of {bytes} damaged bytes were met by readers"
    );
}

#[test]
fn files_that_are_cut_exchanged_or_missing_are_damage() {
    let (machine, history) = damaged_soon();
    let paths = files(&machine);
    for path in &paths {
        let sound = fs::read(path).unwrap();
        for length in [0, 1, 79, 80, sound.len() / 2, sound.len() - 1] {
            fs::write(path, &sound[..length]).unwrap();
            assert!(count_damage(&machine) > 0 && is_told(&machine, &history));
        }
        fs::write(path, [&sound[..], b"x"].concat()).unwrap();
        assert!(count_damage(&machine) > 0 && is_told(&machine, &history));
        if !path.ends_with("set-a") {
            fs::remove_file(path).unwrap();
            assert!(count_damage(&machine) > 0 && is_told(&machine, &history));
        }
        for other in paths.iter().filter(|other| *other != path) {
            fs::copy(other, path).unwrap();
            assert!(count_damage(&machine) > 0 && is_told(&machine, &history));
            fs::write(path, &sound).unwrap();
        }
    }
    assert!(!is_told(&machine, &history));
}

#[test]
fn a_damaged_set_is_removed_and_made_again_while_others_live_on() {
    let (machine, history) = damaged_soon();
    let mut tables = open(&machine);
    let mut other = History::new();
    let mut dice = Dice(4);
    let commit = |history: &History, dice: &mut Dice| loop {
        if let Step::Commit(commit, _) = history.step(dice) {
            return Step::Commit(commit, Durability::Disk);
        }
    };
    let step = commit(&other, &mut dice);
    tables.apply("b", &mut other, &step).unwrap();
    drop(tables);
    let path = machine
        .directory()
        .join(super::names::DIRECTORY)
        .join("set-a");
    fs::write(&path, b"damaged").unwrap();
    let mut tables = open(&machine);
    assert!(answer(tables.reader.view("a")).is_none());
    assert_eq!(tables.reader.sets().unwrap(), ["a", "b"]);
    let step = commit(&other, &mut dice);
    tables.apply("b", &mut other, &step).unwrap();
    tables.writer.remove("a").unwrap();
    assert_eq!(tables.view("a").position(), None);
    let mut again = History::new();
    let step = commit(&again, &mut dice);
    tables.apply("a", &mut again, &step).unwrap();
    drop(tables);
    assert_eq!(count_damage(&machine), 0);
    let tables = open(&machine);
    assert_eq!(tables.view("a").position(), again.now().position);
    assert_eq!(tables.view("b").position(), other.now().position);
    drop(history);
}
