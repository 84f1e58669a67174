//! Every file operation of tables fails or stops in turn; what comes up afterwards is what the contract allows, and goes on.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::super::crash::{OPTIONS, new_machine};
use super::super::options::LogOptions;
use super::super::simulated::{Dice, Fault, Machine};
use super::history::{History, Moment, SETS, Tables, all_rows, assert_shows};
use crate::{Result, TableView};

/// Memory for a few commits only, so that most steps write files.
const FEW: LogOptions = LogOptions {
    table_memory_bytes: 600,
    ..OPTIONS
};
const STEPS: u64 = 20;

type Histories = [History; 2];

fn new_histories() -> Histories {
    [History::new(), History::new()]
}

fn open(machine: &Machine) -> Result<Tables> {
    Tables::open(Arc::new(machine.files.clone()), machine, FEW)
}

/// Runs a workload until a fault, if one is set. Gives the tables if none happened.
fn work(
    machine: &Machine,
    histories: &mut Histories,
    dice: &mut Dice,
    steps: u64,
) -> Option<Tables> {
    let mut tables = open(machine).ok()?;
    for _ in 0..steps {
        let which = dice.below(2) as usize;
        let step = histories[which].step(dice);
        let done = tables.apply(SETS[which], &mut histories[which], &step);
        if done.is_err() {
            // Poisoned: nothing is written any more, also when it closes.
            return None;
        }
    }
    Some(tables)
}

fn count_operations(seed: u64) -> u64 {
    let mut dice = Dice(seed);
    let machine = new_machine(&mut dice);
    machine.files.set_fault(None);
    drop(work(&machine, &mut new_histories(), &mut dice, STEPS).unwrap());
    machine.files.operations()
}

/// Opens, checks that each set is what it may be, and settles on that.
fn reopen(machine: &Machine, histories: &mut Histories, dice: &mut Dice) -> Tables {
    let tables = open(machine).unwrap();
    for (set, history) in SETS.iter().zip(histories) {
        settle(&*tables.view(set), history, dice);
    }
    tables
}

fn settle(view: &dyn TableView, history: &mut History, dice: &mut Dice) {
    let rows = all_rows(view, false).unwrap();
    let is_found = |moment: &Moment| moment.position == view.position() && moment.rows == rows;
    // Of each timeline every moment after the last that was known to be on the disk may have been reached.
    let found = history
        .allowed
        .iter()
        .rev()
        .find(|timeline| is_found(timeline.last().unwrap()));
    let found = found.unwrap_or_else(|| {
        let positions: Vec<_> = history
            .allowed
            .iter()
            .map(|timeline| timeline.last().unwrap().position)
            .collect();
        panic!(
            "{:?} with {} rows is none of {positions:?}",
            view.position(),
            rows.len()
        )
    });
    // An undo floor that was asked for by a commit that is gone may have been in force.
    let floors = history
        .allowed
        .iter()
        .map(|timeline| timeline.last().unwrap().undo_floor);
    let highest = floors.max().unwrap();
    let mut found = found.clone();
    found.last_mut().unwrap().undo_floor = highest;
    assert_shows(view, found.last().unwrap(), dice);
    history.allowed = vec![found];
}

/// Loses power, perhaps again and again while the next writer mends what it left.
fn power_loss(machine: &Machine, histories: &mut Histories, dice: &mut Dice) -> Machine {
    let mut machine = machine.after_power_loss(Dice(dice.next()));
    for _ in 0..2 {
        drop(reopen(&machine, histories, dice));
        machine
            .files
            .set_fault(Some(Fault::Stop(1 + dice.below(12))));
        drop(work(&machine, histories, dice, 2));
        machine = machine.after_power_loss(Dice(dice.next()));
    }
    drop(reopen(&machine, histories, dice));
    machine
}

#[test]
fn power_may_be_lost_at_every_operation() {
    for seed in 0..2 {
        let operations = count_operations(seed);
        assert!(operations > 100, "{operations} operations are no workload");
        for at in 1..=operations {
            let mut dice = Dice(seed);
            let machine = new_machine(&mut dice);
            let mut histories = new_histories();
            machine.files.set_fault(Some(Fault::Stop(at)));
            drop(work(&machine, &mut histories, &mut dice, STEPS));
            let mut dice = Dice(seed << 32 | at);
            let machine = power_loss(&machine, &mut histories, &mut dice);
            // It goes on, and what is durable stays.
            machine.files.set_fault(None);
            let tables = work(&machine, &mut histories, &mut dice, 8);
            drop(tables.unwrap());
            histories.iter_mut().for_each(History::all_durable);
            drop(power_loss(&machine, &mut histories, &mut dice));
        }
    }
}

#[test]
fn every_operation_may_fail_and_nothing_that_was_acknowledged_is_lost() {
    for seed in 10..12 {
        for at in 1..=count_operations(seed) {
            let mut dice = Dice(seed);
            let machine = new_machine(&mut dice);
            let mut histories = new_histories();
            machine.files.set_fault(Some(Fault::Fail(at)));
            drop(work(&machine, &mut histories, &mut dice, STEPS));
            machine.files.set_fault(None);
            let mut dice = Dice(seed << 32 | at);
            drop(reopen(&machine, &mut histories, &mut dice));
            drop(work(&machine, &mut histories, &mut dice, 3).unwrap());
            histories.iter_mut().for_each(History::all_durable);
            drop(power_loss(&machine, &mut histories, &mut dice));
        }
    }
}

/// The reader stays in the process, and another writer goes on where the failed one left off.
#[test]
fn another_writer_goes_on_after_a_failure_with_what_readers_saw() {
    for seed in 20..22 {
        for at in 1..=count_operations(seed) {
            let mut dice = Dice(seed);
            let machine = new_machine(&mut dice);
            let mut history = History::new();
            let mut tables = open(&machine).unwrap();
            machine.files.set_fault(Some(Fault::Fail(at)));
            let mut seen = None;
            for _ in 0..STEPS {
                let step = history.step(&mut dice);
                if tables.apply("a", &mut history, &step).is_err() {
                    let view = tables.view("a");
                    let rows = all_rows(&*view, false).unwrap();
                    seen = Some((view.position(), rows));
                    break;
                }
            }
            machine.files.set_fault(None);
            tables = tables.with_another_writer();
            let view = tables.view("a");
            if let Some((position, rows)) = seen {
                assert_eq!(view.position(), position);
                assert_eq!(all_rows(&*view, false).unwrap(), rows);
                settle(&*view, &mut history, &mut dice);
            }
            for _ in 0..4 {
                let step = history.step(&mut dice);
                tables.apply("a", &mut history, &step).unwrap();
            }
            let machine = machine.after_power_loss(Dice(dice.next()));
            settle(&*open(&machine).unwrap().view("a"), &mut history, &mut dice);
        }
    }
}

#[test]
fn every_reading_may_fail() {
    let mut failed = 0;
    for seed in 30..32 {
        let mut dice = Dice(seed);
        let machine = new_machine(&mut dice);
        machine.files.set_unreadable(None);
        drop(work(&machine, &mut new_histories(), &mut dice, STEPS).unwrap());
        for at in 1..=machine.files.reads() {
            let mut dice = Dice(seed);
            let machine = new_machine(&mut dice);
            let mut histories = new_histories();
            machine.files.set_unreadable(Some(at));
            failed += u64::from(work(&machine, &mut histories, &mut dice, STEPS).is_none());
            machine.files.set_unreadable(None);
            drop(reopen(&machine, &mut histories, &mut dice));
        }
    }
    assert!(failed > 5, "{failed} workloads ended with an error");
}
