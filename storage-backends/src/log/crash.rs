//! Every file operation fails or stops in turn; what comes up afterwards is what the contract allows, and goes on.
//!
//! The model is the list of states that the store went through. After a loss of power it must be in one of those
//! from the last that was acknowledged as durable up to the one whose making was interrupted; after a mere
//! failure the same, with everything acknowledged.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::directory;
use super::home::open_on;
use super::options::LogOptions;
use super::simulated::{Dice, Fault, Machine};
use crate::{
    Block, BlockReader, Durability, Extent, Held, Id, IndexEntry, Location, Part, Result, Store,
    StoredBlock,
};

/// Segments of a few blocks, index files that are merged often, and no thread: operations come in one order.
pub(super) const OPTIONS: LogOptions = LogOptions {
    segment_bytes: 1500,
    segment_entries: 24,
    index_fanout: 2,
    direct_bytes: 400,
    index_in_background: false,
    cache_bytes: 3000,
    table_memory_bytes: 3000,
    table_cache_bytes: 3000,
};
const NAMES: [&str; 2] = ["a", "b"];

/// What a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Content {
    /// Its end is the number of blocks.
    extent: Extent,
    blocks: Vec<Block>,
}

impl Content {
    fn resize(&mut self, run: &[Block], end: u64) {
        self.blocks.extend_from_slice(run);
        self.blocks.truncate(end as usize);
        self.extent.end = self.blocks.len() as u64;
    }

    /// All places of each key, the first one first.
    fn places(&self) -> BTreeMap<Id, Vec<(u64, u32)>> {
        let mut places = BTreeMap::<_, Vec<_>>::new();
        for block in &self.blocks {
            for entry in &block.index {
                let place = (block.height, entry.position);
                places.entry(entry.key).or_default().push(place);
            }
        }
        places
    }

    /// Asserts that a look-up's answer is one that the contract allows for a key of these places.
    fn assert_located(&self, places: &[(u64, u32)], found: Location) {
        let extent = self.extent;
        let location = |place: &(u64, u32)| extent.location(place.0, place.1);
        let held = |place: &&(u64, u32)| place.0 >= extent.index_floor;
        let first = places.first();
        let expected = first.filter(held).map_or(extent.missing(), location);
        // Of a key whose first place was pruned, a later one may be told.
        let later = first.is_some_and(|first| !held(&first))
            && places
                .iter()
                .filter(held)
                .any(|place| location(place) == found);
        assert!(later || found == expected, "{found:?}, not {expected:?}");
    }
}

/// The states that a store went through since it was last known to be in one.
struct History {
    contents: Vec<Content>,
    durable: usize,
    values: BTreeMap<&'static str, Vec<Option<Bytes>>>,
    /// All blocks there ever were, to ask for those that are gone.
    known: Vec<Block>,
    branch: u64,
    /// Of a hundred steps, so many put a named value instead.
    values_percent: u64,
    /// Of a hundred of the others, so many replace blocks.
    replace_percent: u64,
}

enum Step {
    Append(Vec<Block>, Durability),
    Truncate(u64),
    /// From a height on.
    Replace(u64, Vec<Block>, Durability),
    Prune(Part, u64, u64),
    PutValue(&'static str, Bytes, Durability),
    Sync,
    Reopen,
}

impl History {
    fn new() -> Self {
        Self {
            contents: vec![Content::default()],
            durable: 0,
            values: NAMES.iter().map(|name| (*name, vec![None])).collect(),
            known: Vec::new(),
            branch: 0,
            values_percent: 10,
            replace_percent: 0,
        }
    }

    /// Replaces blocks again and again.
    fn of_branches() -> Self {
        Self {
            replace_percent: 35,
            ..Self::new()
        }
    }

    /// Puts so many named values that their file is rewritten again and again.
    fn of_values() -> Self {
        Self {
            values_percent: 80,
            ..Self::new()
        }
    }

    fn last(&self) -> &Content {
        self.contents.last().unwrap()
    }

    fn step(&mut self, dice: &mut Dice) -> Step {
        let extent = self.last().extent;
        let Extent {
            body_floor: floor,
            end,
            ..
        } = extent;
        let levels = [Durability::Memory, Durability::Os, Durability::Disk];
        let level = levels[dice.below(3) as usize];
        if dice.chance(self.values_percent) {
            let value = vec![dice.next() as u8; dice.below(300) as usize];
            return Step::PutValue(NAMES[dice.below(2) as usize], value.into(), level);
        }
        if self.replace_percent > 0 && dice.chance(self.replace_percent) {
            let first = end.saturating_sub(dice.below(9)).max(floor).max(1).min(end);
            let count = dice.below(6);
            let run = (first..first + count)
                .map(|height| self.block(height, dice))
                .collect();
            return Step::Replace(first, run, level);
        }
        match dice.below(20) {
            0..10 => {
                let count = dice.below(4);
                let run = (end..end + count)
                    .map(|height| self.block(height, dice))
                    .collect();
                Step::Append(run, level)
            }
            10..13 => Step::Truncate(end.saturating_sub(1 + dice.below(6)).max(floor)),
            13..17 => {
                let part = Part::ALL[dice.below(3) as usize];
                let below = extent.floor_of(part) + dice.below(8);
                let below = below.min(extent.ceiling_of(part));
                Step::Prune(part, below, 1 + dice.below(9))
            }
            17 => Step::Sync,
            _ => Step::Reopen,
        }
    }

    fn block(&mut self, height: u64, dice: &mut Dice) -> Block {
        self.branch += 1;
        let id = |kind: u64, number: u64| {
            let mut id = Id::default();
            let mut dice = Dice(kind << 40 ^ number);
            id.chunks_exact_mut(8)
                .for_each(|chunk| chunk.copy_from_slice(&dice.next().to_le_bytes()));
            id
        };
        // Some keys come again in later blocks; some positions are not the entry's number.
        let key = |position: u64| match dice.chance(20) {
            true => id(2, dice.below(20)),
            false => id(3, self.branch << 8 | position),
        };
        let keys: Vec<Id> = (0..3).map(key).collect();
        let shift = u32::from(dice.chance(30));
        let block = Block {
            height,
            id: id(1, self.branch),
            header: vec![dice.next() as u8; dice.below(40) as usize].into(),
            body: vec![dice.next() as u8; dice.below(200) as usize].into(),
            index: (shift..)
                .zip(keys)
                .map(|(position, key)| IndexEntry { key, position })
                .collect(),
        };
        self.known.push(block.clone());
        block
    }

    /// Notes a state; all before it are durable if it is.
    fn push(&mut self, content: Content) {
        self.contents.push(content);
    }

    fn all_durable(&mut self) {
        self.durable = self.contents.len() - 1;
        for values in self.values.values_mut() {
            values.drain(..values.len() - 1);
        }
    }

    /// The store was found in a state; everything else is past.
    fn settle(&mut self, content: Content, values: BTreeMap<&'static str, Option<Bytes>>) {
        self.contents = vec![content];
        self.durable = 0;
        self.values = values
            .into_iter()
            .map(|(name, value)| (name, vec![value]))
            .collect();
    }
}

/// Applies a step to store and history. Whether or not it fails, the history has what it may lead to.
fn apply(
    store: &mut Option<Store>,
    machine: &Machine,
    history: &mut History,
    step: Step,
) -> Result<()> {
    let mut content = history.last().clone();
    let open = |store: &mut Option<Store>| -> Result<()> {
        *store = None;
        *store = Some(open_on(
            Arc::new(machine.files.clone()),
            &machine.directory(),
            OPTIONS,
        )?);
        Ok(())
    };
    let writer = &mut store.as_mut().unwrap().writer;
    match step {
        Step::Append(run, level) => {
            content.resize(&run, u64::MAX);
            history.push(content);
            let receipt = writer.append(&run, level)?;
            assert!(receipt.durability >= level);
            if receipt.durability == Durability::Disk {
                history.all_durable();
            }
        }
        Step::Truncate(end) => {
            let Some(above) = end.checked_sub(1) else {
                return Ok(());
            };
            let changes = end < content.blocks.len() as u64;
            content.resize(&[], end);
            history.push(content);
            writer.truncate(above)?;
            if changes {
                history.all_durable();
            }
        }
        Step::Replace(first, run, level) => {
            let end = content.extent.end;
            content.resize(&[], first);
            content.resize(&run, u64::MAX);
            history.push(content);
            let above = first.checked_sub(1).unwrap_or(u64::MAX);
            let receipt = writer.replace(above, &run, level)?;
            assert!(receipt.durability >= level);
            if first < end || receipt.durability == Durability::Disk {
                assert_eq!(receipt.durability, Durability::Disk);
                history.all_durable();
            }
        }
        Step::Prune(part, below, limit) => {
            let floor = content.extent.floor_of_mut(part);
            let raised = below.min(*floor + limit);
            let changes = raised > *floor;
            *floor = raised.max(*floor);
            history.push(content);
            writer.prune(part, below, limit)?;
            if changes {
                history.all_durable();
            }
        }
        Step::PutValue(name, value, level) => {
            history
                .values
                .get_mut(name)
                .unwrap()
                .push(Some(value.clone()));
            writer.put_named_value(name, &value, level)?;
            if level == Durability::Disk {
                history.all_durable();
            }
        }
        Step::Sync => {
            writer.sync()?;
            history.all_durable();
        }
        Step::Reopen => {
            open(store)?;
            history.all_durable();
        }
    }
    Ok(())
}

/// Opens and checks that the store is in a state that it may be in; the history goes on from there.
fn reopen(machine: &Machine, history: &mut History, from: usize) -> Result<Store> {
    let files = Arc::new(machine.files.clone());
    let store = open_on(files, &machine.directory(), OPTIONS)?;
    let content = find_content(&*store.reader, &history.contents[from..]);
    let mut values = BTreeMap::new();
    for (name, allowed) in &history.values {
        let found = store.reader.named_value(name).unwrap();
        assert!(allowed.contains(&found), "{name}: {found:?}");
        values.insert(*name, found);
    }
    ask(&*store.reader, &content, &history.known);
    history.settle(content, values);
    Ok(store)
}

fn find_content(reader: &dyn BlockReader, allowed: &[Content]) -> Content {
    let extent = reader.extent().unwrap();
    let ids: Vec<Id> = (0..extent.end)
        .map(|height| reader.header(height).unwrap().unwrap().id)
        .collect();
    let found = allowed.iter().find(|content| {
        content.extent == extent
            && content
                .blocks
                .iter()
                .map(|block| block.id)
                .eq(ids.iter().copied())
    });
    let extents: Vec<_> = allowed.iter().map(|content| content.extent).collect();
    found
        .unwrap_or_else(|| panic!("{extent:?} is none of {extents:?}"))
        .clone()
}

/// Asks for everything, what is there and what is gone.
fn ask(reader: &dyn BlockReader, content: &Content, known: &[Block]) {
    for block in &content.blocks {
        let held = reader.block(block.height).unwrap().unwrap();
        let pruned = |part| block.height < content.extent.floor_of(part);
        let bytes = |part, bytes: &Bytes| match pruned(part) {
            true => Held::Pruned,
            false => Held::Present(bytes.clone()),
        };
        let expected = StoredBlock {
            id: block.id,
            header: bytes(Part::Header, &block.header),
            body: bytes(Part::Body, &block.body),
        };
        assert_eq!(held, expected);
        let index = match pruned(Part::Index) {
            true => Held::Pruned,
            false => Held::Present(block.index.clone()),
        };
        assert_eq!(reader.index(block.height).unwrap(), Some(index));
    }
    let places = content.places();
    for block in known {
        let held = content.blocks.get(block.height as usize);
        let height = held
            .filter(|held| held.id == block.id)
            .map(|held| held.height);
        assert_eq!(reader.height_of(&block.id).unwrap(), height);
        for entry in &block.index {
            let places = places.get(&entry.key).map_or(&[][..], Vec::as_slice);
            content.assert_located(places, reader.locate(&entry.key).unwrap());
        }
    }
    let usage = reader.usage().unwrap();
    let held = &content.blocks[content.extent.index_floor as usize..];
    let entries: usize = held.iter().map(|block| block.index.len()).sum();
    assert_eq!(usage.index_entries, entries as u64);
}

pub(super) fn new_machine(dice: &mut Dice) -> Machine {
    let machine = bare_machine(Dice(dice.next()));
    make_store(&machine).unwrap();
    machine
}

/// A machine that is about to make a store.
fn bare_machine(dice: Dice) -> Machine {
    Machine::boot(dice, |directory| {
        std::fs::write(directory.join("store.new"), "").unwrap();
    })
}

fn make_store(machine: &Machine) -> Result<()> {
    let directory = machine.directory();
    let files = Arc::new(machine.files.clone());
    directory::fill(files, &directory, &directory.join("store.new"))
}

/// Runs a workload until a fault, if one is set. Gives the store if none happened.
fn work(machine: &Machine, history: &mut History, dice: &mut Dice, steps: u64) -> Option<Store> {
    let files = Arc::new(machine.files.clone());
    let mut store = Some(open_on(files, &machine.directory(), OPTIONS).ok()?);
    for _ in 0..steps {
        let step = history.step(dice);
        if apply(&mut store, machine, history, step).is_err() {
            return None;
        }
    }
    store
}

const STEPS: u64 = 30;

/// The number of operations of a workload that goes well, and how often it strips segments, sealed and open.
fn count_operations(seed: u64, mut history: History) -> (u64, [u64; 2]) {
    let mut dice = Dice(seed);
    let machine = new_machine(&mut dice);
    machine.files.set_fault(None);
    let store = work(&machine, &mut history, &mut dice, STEPS).unwrap();
    ask(&*store.reader, history.last(), &history.known);
    drop(store);
    (machine.files.operations(), machine.files.stripped())
}

/// Loses power, perhaps again and again while opening, and opens. Gives the machine, the store, and how many
/// losses fell into an opening.
fn power_loss(machine: &Machine, history: &mut History, dice: &mut Dice) -> (Machine, Store, u64) {
    let mut machine = machine.after_power_loss(Dice(dice.next()));
    let mut in_recovery = 0;
    loop {
        let fault = dice.chance(60).then(|| Fault::Stop(1 + dice.below(9)));
        machine.files.set_fault(fault);
        let durable = history.durable;
        match reopen(&machine, history, durable) {
            Ok(store) if !machine.files.is_stopped() => {
                machine.files.set_fault(None);
                return (machine, store, in_recovery);
            }
            Ok(_) => panic!("it opened without the operations that it needs"),
            Err(error) => {
                assert!(machine.files.is_stopped(), "{error}");
                in_recovery += 1;
                machine = machine.after_power_loss(Dice(dice.next()));
            }
        }
    }
}

/// Loses power at each operation of a workload in turn, recovers, goes on, and loses power again. Gives how often
/// that fell into a recovery, and how often the workload strips segments, sealed and open.
fn lose_power_everywhere(seed: u64, history: fn() -> History) -> (u64, [u64; 2]) {
    let mut in_recovery = 0;
    let (operations, stripped) = count_operations(seed, history());
    assert!(operations > 60, "{operations} operations are no workload");
    for at in 1..=operations {
        let mut dice = Dice(seed);
        let machine = new_machine(&mut dice);
        let mut history = history();
        machine.files.set_fault(Some(Fault::Stop(at)));
        drop(work(&machine, &mut history, &mut dice, STEPS));
        let mut dice = Dice(seed << 32 | at);
        let (machine, store, again) = power_loss(&machine, &mut history, &mut dice);
        in_recovery += again;
        drop(store);
        machine
            .files
            .set_fault(Some(Fault::Stop(1 + dice.below(60))));
        drop(work(&machine, &mut history, &mut dice, 8));
        let (machine, store, again) = power_loss(&machine, &mut history, &mut dice);
        in_recovery += again;
        drop((machine, store));
    }
    (in_recovery, stripped)
}

#[test]
fn power_may_be_lost_at_every_operation() {
    let (mut in_recovery, mut sealed, mut open) = (0, 0, 0);
    for seed in 0..3 {
        let found = lose_power_everywhere(seed, History::new);
        in_recovery += found.0;
        sealed += found.1[0];
        open += found.1[1];
    }
    assert!(
        sealed > 1 && open > 1,
        "{sealed} sealed and {open} open segments were stripped"
    );
    assert!(
        in_recovery > 50,
        "{in_recovery} losses of power fell into a recovery"
    );
}

#[test]
fn power_may_be_lost_while_blocks_are_replaced() {
    let in_recovery: u64 = (60..62)
        .map(|seed| lose_power_everywhere(seed, History::of_branches).0)
        .sum();
    assert!(
        in_recovery > 50,
        "{in_recovery} losses of power fell into a recovery"
    );
}

#[test]
fn every_operation_of_a_replacement_may_fail() {
    (70..72).for_each(|seed| fail_everywhere(seed, History::of_branches));
    let failed: u64 = (73..74)
        .map(|seed| fail_to_read_everywhere(seed, History::of_branches))
        .sum();
    assert!(failed > 20, "{failed} workloads ended with an error");
}

#[test]
fn power_may_be_lost_while_values_are_rewritten() {
    let in_recovery: u64 = (20..23)
        .map(|seed| lose_power_everywhere(seed, History::of_values).0)
        .sum();
    assert!(
        in_recovery > 50,
        "{in_recovery} losses of power fell into a recovery"
    );
}

#[test]
fn every_operation_may_fail() {
    (10..12).for_each(|seed| fail_everywhere(seed, History::new));
    (30..36).for_each(|seed| fail_everywhere(seed, History::of_values));
}

/// Fails each operation of a workload in turn, opens again, goes on, and loses power.
fn fail_everywhere(seed: u64, history: fn() -> History) {
    let (operations, _) = count_operations(seed, history());
    for at in 1..=operations {
        let mut dice = Dice(seed);
        let machine = new_machine(&mut dice);
        let mut history = history();
        machine.files.set_fault(Some(Fault::Fail(at)));
        drop(work(&machine, &mut history, &mut dice, STEPS));
        machine.files.set_fault(None);
        // Without a loss of power everything acknowledged is there, be it durable or not.
        let mut dice = Dice(seed << 32 | at);
        let acknowledged = history
            .contents
            .len()
            .saturating_sub(2)
            .max(history.durable);
        let mut store = Some(reopen(&machine, &mut history, acknowledged).unwrap());
        // After that, durable is durable, whatever the failed operation did to the system's memory.
        let run = vec![history.block(history.last().extent.end, &mut dice)];
        let step = Step::Append(run, Durability::Disk);
        apply(&mut store, &machine, &mut history, step).unwrap();
        drop(power_loss(&machine, &mut history, &mut dice));
    }
}

#[test]
fn power_may_be_lost_while_what_a_killed_process_left_is_opened() {
    let in_recovery: u64 = (40..46)
        .map(|seed| lose_power_after_every_end(seed, History::new))
        .chain((46..48).map(|seed| lose_power_after_every_end(seed, History::of_branches)))
        .sum();
    assert!(
        in_recovery > 100,
        "{in_recovery} losses of power fell into a recovery"
    );
}

/// Ends the process at each operation of a workload in turn, and loses power while the store is opened again, whose files have
/// frames that the disk hasn't. Gives how often that fell into a recovery.
fn lose_power_after_every_end(seed: u64, history: fn() -> History) -> u64 {
    let mut in_recovery = 0;
    let (operations, _) = count_operations(seed, history());
    for at in 1..=operations {
        let mut dice = Dice(seed);
        let machine = new_machine(&mut dice);
        let mut history = history();
        machine.files.set_fault(Some(Fault::Stop(at)));
        drop(work(&machine, &mut history, &mut dice, STEPS));
        machine.files.restart();
        let mut dice = Dice(seed << 32 | at);
        let fault = Fault::Stop(1 + dice.below(9));
        machine.files.set_fault(Some(fault));
        let durable = history.durable;
        let opened = reopen(&machine, &mut history, durable);
        in_recovery += u64::from(opened.is_err());
        drop(opened);
        drop(power_loss(&machine, &mut history, &mut dice));
    }
    in_recovery
}

/// Readings of a workload, and of asking for everything afterwards.
fn count_readings(seed: u64, mut history: History) -> (u64, u64) {
    let mut dice = Dice(seed);
    let machine = new_machine(&mut dice);
    machine.files.set_unreadable(None);
    let store = work(&machine, &mut history, &mut dice, STEPS).unwrap();
    let working = machine.files.reads();
    machine.files.set_unreadable(None);
    ask(&*store.reader, history.last(), &history.known);
    (working, machine.files.reads())
}

/// Of a disk on which each reading fails in turn: whatever is acknowledged is there once it can be read again.
fn fail_to_read_everywhere(seed: u64, history: fn() -> History) -> u64 {
    let (readings, _) = count_readings(seed, history());
    let mut failed = 0;
    for at in 1..=readings {
        let mut dice = Dice(seed);
        let machine = new_machine(&mut dice);
        let mut history = history();
        machine.files.set_unreadable(Some(at));
        let worked = work(&machine, &mut history, &mut dice, STEPS);
        failed += u64::from(worked.is_none());
        drop(worked);
        machine.files.set_unreadable(None);
        let acknowledged = history
            .contents
            .len()
            .saturating_sub(2)
            .max(history.durable);
        drop(reopen(&machine, &mut history, acknowledged).unwrap());
    }
    failed
}

#[test]
fn every_reading_of_a_workload_may_fail() {
    let failed: u64 = (10..13)
        .map(|seed| fail_to_read_everywhere(seed, History::new))
        .sum();
    // What fails in an index file is made again and goes unnoticed.
    assert!(failed > 100, "{failed} workloads ended with an error");
    let failed = fail_to_read_everywhere(30, History::of_values);
    assert!(failed > 10, "{failed} workloads ended with an error");
}

/// Asks for everything. Answers are right, or "not indexed", or errors that tell of damage in a file; gives how many are errors.
fn ask_of_damaged(reader: &dyn BlockReader, content: &Content, known: &[Block]) -> u64 {
    let mut errors = 0;
    let mut damaged = |error: crate::Error| {
        assert!(error.is_corrupt(), "{error}");
        let text = error.to_string();
        assert!(text.contains("-0000"), "no file is named: {text}");
        errors += 1;
    };
    for block in &content.blocks {
        let pruned = |part| block.height < content.extent.floor_of(part);
        match reader.block(block.height) {
            Ok(held) => {
                let held = held.unwrap();
                assert_eq!(held.id, block.id);
                assert_eq!(
                    held.body == Held::Present(block.body.clone()),
                    !pruned(Part::Body)
                );
                let whole = held.header == Held::Present(block.header.clone());
                assert_eq!(whole, !pruned(Part::Header));
            }
            Err(error) => damaged(error),
        }
        match reader.index(block.height) {
            Ok(held) => {
                let whole = held == Some(Held::Present(block.index.clone()));
                assert_eq!(whole, !pruned(Part::Index));
            }
            Err(error) => damaged(error),
        }
    }
    let places = content.places();
    for block in known {
        let held = content.blocks.get(block.height as usize);
        let height = held
            .filter(|held| held.id == block.id)
            .map(|held| held.height);
        match reader.height_of(&block.id) {
            Ok(found) => assert_eq!(found, height),
            Err(error) => damaged(error),
        }
        for entry in &block.index {
            let places = places.get(&entry.key).map_or(&[][..], Vec::as_slice);
            match reader.locate(&entry.key) {
                Ok(Location::NotIndexed { .. }) => {}
                Ok(found) => content.assert_located(places, found),
                Err(error) => damaged(error),
            }
        }
    }
    errors
}

#[test]
fn every_reading_of_a_reader_may_fail() {
    let mut errors = 0;
    for seed in 10..12 {
        let mut dice = Dice(seed);
        let machine = new_machine(&mut dice);
        let mut history = History::new();
        drop(work(&machine, &mut history, &mut dice, STEPS).unwrap());
        let (_, readings) = count_readings(seed, History::new());
        for at in 1..=readings {
            let files = Arc::new(machine.files.clone());
            let store = open_on(files, &machine.directory(), OPTIONS).unwrap();
            machine.files.set_unreadable(Some(at));
            errors += ask_of_damaged(&*store.reader, history.last(), &history.known);
            machine.files.set_unreadable(None);
        }
    }
    assert!(errors > 100, "{errors} answers were errors");
}

#[test]
fn power_may_be_lost_while_a_store_is_made() {
    let mut whole = 0;
    for at in 1..60 {
        let machine = bare_machine(Dice(at));
        machine.files.set_fault(Some(Fault::Stop(at)));
        let made = make_store(&machine).is_ok();
        whole += u64::from(made);
        let machine = machine.after_power_loss(Dice(at));
        let directory = machine.directory();
        if directory::exists(&directory) {
            let files = Arc::new(machine.files.clone());
            let store = open_on(files, &directory, OPTIONS).unwrap();
            assert!(store.reader.extent().unwrap().is_empty());
        } else {
            assert!(!made, "a store that was made is gone");
            directory::create(&directory).unwrap();
        }
    }
    assert!(whole > 5);
}
