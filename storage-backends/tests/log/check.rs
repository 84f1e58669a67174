//! Checking finds damage to any byte of any file, and repair makes again what follows from the rest.

use std::fs;

use hubledger_storage::{Checked, Damage, Error, Repaired};

use super::support::{ask, ask_entries};
use super::{BODY_BYTES, DamageAt, END, FLOOR, INDEX_FLOOR, extent};

fn check(place: &DamageAt) -> Result<(Checked, Vec<Damage>), Error> {
    let mut found = Vec::new();
    let checked = place.url().check(&mut |damage| found.push(damage))?;
    assert_eq!(checked.damage, found.len() as u64);
    Ok((checked, found))
}

fn repair(place: &DamageAt) -> Result<Vec<Repaired>, Error> {
    let mut done = Vec::new();
    place.url().repair(&mut |repaired| done.push(repaired))?;
    Ok(done)
}

#[track_caller]
fn assert_sound(place: &DamageAt) {
    let (checked, found) = check(place).unwrap();
    assert_eq!(found, []);
    assert_eq!(
        (checked.blocks, checked.bodies, checked.index_entries),
        (END, END - FLOOR, (END - INDEX_FLOOR) * 4)
    );
}

fn flip(place: &DamageAt, name: &str, offset: usize) {
    let mut bytes = fs::read(place.file(name)).unwrap();
    bytes[offset] ^= 0x10;
    fs::write(place.file(name), bytes).unwrap();
}

#[test]
fn a_sound_store_has_no_damage_and_is_not_changed() {
    for place in [DamageAt::with_chain(), DamageAt::with_branches()] {
        assert_sound_and_unchanged(&place);
    }
}

fn assert_sound_and_unchanged(place: &DamageAt) {
    let before = place.content();
    assert_sound(place);
    assert!(place.content() == before);
    // Beside a writer in this process too.
    let store = place.url().open().unwrap();
    assert_sound(place);
    drop(store);
    assert_eq!(repair(place).unwrap(), []);
    assert_sound(place);
}

/// But for bytes that were pruned and are zeros now.
#[test]
fn every_flipped_byte_is_found() {
    assert_flips_are_found(&DamageAt::with_chain());
}

#[test]
fn every_flipped_byte_is_found_where_blocks_were_replaced() {
    assert_flips_are_found(&DamageAt::with_branches());
}

fn assert_flips_are_found(whole: &DamageAt) {
    let mut flips = 0;
    for (name, bytes) in whole.content() {
        for offset in (flips % 7..bytes.len()).step_by(1 + bytes.len() / 50) {
            let word = &bytes[offset & !7..][..8];
            if name.starts_with("bodies") && word == [0; 8] {
                continue;
            }
            flips += 1;
            let place = whole.copy();
            flip(&place, &name, offset);
            let before = place.content();
            let told = match check(&place) {
                Ok((_, found)) => found.iter().map(|damage| format!("{damage}\n")).collect(),
                Err(error) => error.to_string(),
            };
            assert!(told.contains(&name), "{name}, byte {offset}: {told:?}");
            assert!(place.content() == before, "{name}, byte {offset}: changed");
        }
    }
    assert!(flips > 400, "{flips} bytes were flipped");
}

#[test]
fn all_damage_is_told_also_of_a_store_that_can_not_be_opened() {
    let place = DamageAt::with_chain();
    let files = place.files();
    let last = |kind| files.iter().rfind(|name| name.starts_with(kind)).unwrap();
    let damaged = [
        ("heads-00000001", 300),
        ("bodies-00000001", 700),
        ("bodies-00000001", 2000),
        ("mark", 100),
        (last("index"), 700),
        (last("heads"), 90),
        ("meta-00000000", 90),
    ];
    for (name, offset) in damaged {
        flip(&place, name, offset);
    }
    assert!(place.url().open().unwrap_err().is_corrupt());
    let (_, found) = check(&place).unwrap();
    for (name, _) in damaged {
        let told = found.iter().any(|damage| damage.path.ends_with(name));
        assert!(told, "{name} is not in {found:?}");
    }
    let bodies = found
        .iter()
        .filter(|damage| damage.path.ends_with("bodies-00000001"));
    assert_eq!(bodies.count(), 2);
}

#[test]
fn a_missing_file_is_damage() {
    let whole = DamageAt::with_chain();
    for name in ["heads-00000001", "bodies-00000001", "meta-00000000", "mark"] {
        let place = whole.copy();
        fs::remove_file(place.file(name)).unwrap();
        let (_, found) = check(&place).unwrap();
        let told = found.iter().any(|damage| damage.path.ends_with(name));
        assert!(told, "{name} is not in {found:?}");
    }
}

#[test]
fn repair_makes_again_what_follows_from_the_log() {
    let whole = DamageAt::with_chain();
    let indexes: Vec<String> = whole
        .files()
        .into_iter()
        .filter(|name| name.starts_with("index"))
        .collect();
    let place = whole.copy();
    flip(&place, &indexes[0], 1000);
    fs::remove_file(place.file(&indexes[1])).unwrap();
    flip(&place, "mark", 90);
    // One that was rewritten and one that was not.
    for name in ["heads-00000000", "heads-00000001"] {
        let length = fs::metadata(place.file(name)).unwrap().len() as usize;
        flip(&place, name, length - 10);
    }
    fs::write(place.file("heads-00000001.new"), "unfinished").unwrap();
    fs::write(place.file("notes.new"), "somebody's").unwrap();
    let done = repair(&place).unwrap();
    let told: String = done
        .iter()
        .map(|repaired| format!("{repaired}\n"))
        .collect();
    for name in ["mark", "heads-00000000", "heads-00000001.new", &indexes[0]] {
        assert!(told.contains(name), "{name} is not in {told}");
    }
    assert!(
        told.contains("footer") && told.contains("index file"),
        "{told}"
    );
    assert!(place.files().contains(&"notes.new".to_owned()));
    assert_sound(&place);
    let reader = place.url().open_read_only().unwrap();
    ask(&*reader, extent(), BODY_BYTES).unwrap();
    ask_entries(&*reader, extent()).unwrap();
    drop(reader);
    assert_eq!(repair(&place).unwrap(), []);
}

#[test]
fn repair_invents_nothing() {
    let whole = DamageAt::with_chain();
    for (name, offset) in [("bodies-00000001", 700), ("heads-00000001", 300)] {
        let place = whole.copy();
        flip(&place, name, offset);
        let damaged = fs::read(place.file(name)).unwrap();
        let _ = repair(&place);
        assert!(fs::read(place.file(name)).unwrap() == damaged, "{name}");
        let (_, found) = check(&place).unwrap();
        let told = found.iter().any(|damage| damage.path.ends_with(name));
        assert!(told, "{name} is not in {found:?}");
    }
}
