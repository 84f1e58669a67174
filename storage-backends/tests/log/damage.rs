//! Files that are damaged, torn or gone: reported, made again, or harmless.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hubledger_storage::{Block, Durability, Error, Extent, Location, LogOptions, Part, Store};

use super::support::{ask, ask_entries, await_index, block, id};
use super::{BODY_BYTES, DamageAt, END, FLOOR, INDEX_FLOOR, SMALL, extent, fork};

#[test]
fn missing_and_torn_index_files_are_made_again() {
    let whole = DamageAt::with_chain();
    let indexes: Vec<String> = whole
        .files()
        .into_iter()
        .filter(|name| name.starts_with("index"))
        .collect();
    assert!(indexes.len() > 1, "{indexes:?}");
    for damage in ["missing", "torn", "emptied", "of other segments"] {
        let place = whole.copy();
        for name in &indexes {
            let path = place.file(name);
            match damage {
                "missing" => fs::remove_file(path).unwrap(),
                "torn" => fs::write(&path, &fs::read(&path).unwrap()[..200]).unwrap(),
                "emptied" => fs::write(path, "").unwrap(),
                _ => drop(fs::copy(place.file(&indexes[0]), path).unwrap()),
            }
        }
        let reader = place.url().open_read_only().unwrap();
        ask(&*reader, extent(), BODY_BYTES).unwrap();
        drop(reader);
        let store = place.url().open().unwrap();
        ask(&*store.reader, extent(), BODY_BYTES).unwrap();
        await_index(&*store.reader);
        ask(&*store.reader, extent(), BODY_BYTES).unwrap();
        drop(store);
        assert!(
            place.files().iter().any(|name| name.starts_with("index")),
            "{damage}"
        );
    }
}

#[test]
fn until_it_is_indexed_a_segment_is_not_absent() {
    let place = DamageAt::with_chain_in(LogOptions {
        segment_bytes: 2000,
        ..SMALL
    });
    for name in place
        .files()
        .iter()
        .filter(|name| name.starts_with("index"))
    {
        fs::remove_file(place.file(name)).unwrap();
    }
    // A reader alone indexes a few segments in memory and nothing more.
    let reader = place.url().open_read_only().unwrap();
    let late = block(END - 20, BODY_BYTES);
    let Location::NotIndexed { watermark } = reader.locate(&late.index[0].key).unwrap() else {
        panic!("nobody indexed it");
    };
    assert!(watermark > 0 && watermark < END - 20, "{watermark}");
    assert_eq!(reader.height_of(&late.id).unwrap(), Some(END - 20));
    assert_eq!(reader.height_of(&id(b'?', 1, 1)).unwrap(), None);
    let early = block(INDEX_FLOOR, BODY_BYTES).index[0].key;
    assert!(matches!(
        reader.locate(&early).unwrap(),
        Location::Pruned {
            height: INDEX_FLOOR,
            ..
        }
    ));
}

/// Each damaged byte is reported where it matters, or harmless; there is never a wrong answer or a panic, for
/// readers and for writers.
#[test]
fn a_flipped_byte_is_reported_or_harmless() {
    assert_flips_are_told(&DamageAt::with_chain());
}

#[test]
fn a_flipped_byte_is_reported_or_harmless_where_blocks_were_replaced() {
    assert_flips_are_told(&DamageAt::with_branches());
}

fn assert_flips_are_told(whole: &DamageAt) {
    let (mut reported, mut harmless, mut number) = (0, 0, 0_usize);
    for (name, bytes) in whole.content() {
        let stride = 1 + bytes.len() / 60;
        for offset in (number % stride..bytes.len()).step_by(stride) {
            number += 1;
            let mask = [0x01, 0x80, 0xFF][number % 3];
            let place = whole.copy();
            let mut damaged = bytes.clone();
            damaged[offset] ^= mask;
            fs::write(place.file(&name), &damaged).unwrap();
            let outcome = catch_unwind(AssertUnwindSafe(|| read(&place)))
                .unwrap_or_else(|_| panic!("{name}, byte {offset} ^ {mask:#04x}: a wrong answer"));
            match outcome {
                Ok(()) => harmless += 1,
                Err(_) => reported += 1,
            }
            let written = catch_unwind(AssertUnwindSafe(|| write(&place)));
            assert!(
                written.is_ok(),
                "{name}, byte {offset} ^ {mask:#04x}: a wrong answer"
            );
        }
    }
    assert!(
        reported > harmless / 10 && harmless > 0,
        "{reported} reported, {harmless} harmless"
    );
}

#[test]
fn a_shorter_file_is_reported_or_made_again() {
    for whole in [DamageAt::with_chain(), DamageAt::with_branches()] {
        assert_cuts_are_told(&whole);
    }
}

fn assert_cuts_are_told(whole: &DamageAt) {
    for (name, bytes) in whole.content() {
        for kept in (0..bytes.len()).step_by(1 + bytes.len() / 12) {
            let place = whole.copy();
            fs::write(place.file(&name), &bytes[..kept]).unwrap();
            let outcome = read(&place);
            if name.starts_with("index") {
                outcome.unwrap();
            } else {
                let error = outcome.unwrap_err();
                assert!(
                    error.is_corrupt() && error.to_string().contains(&name),
                    "{name} {kept}: {error}"
                );
            }
        }
    }
}

/// Asks a reader alone.
fn read(place: &DamageAt) -> Result<(), Error> {
    let reader = SMALL.open_read_only(&place.directory())?;
    let first = ask(&*reader, extent(), BODY_BYTES).and(ask_entries(&*reader, extent()));
    let name = reader
        .named_value("name")
        .map(|value| assert_eq!(value.as_deref(), Some(&b"value"[..])));
    first.and(name)
}

/// Asks beside a writer, and has it go on.
fn write(place: &DamageAt) -> Result<(), Error> {
    let Store {
        mut writer, reader, ..
    } = SMALL.open(&place.directory())?;
    ask(&*reader, extent(), BODY_BYTES)?;
    let run: Vec<Block> = (END..END + 8)
        .map(|height| block(height, BODY_BYTES))
        .collect();
    writer.append(&run, Durability::Os)?;
    let extent = Extent {
        body_floor: FLOOR + 19,
        index_floor: FLOOR + 18,
        header_floor: FLOOR + 14,
        end: FLOOR + 31,
    };
    for part in Part::ALL {
        writer.prune(part, extent.floor_of(part), u64::MAX)?;
    }
    writer.truncate(extent.end - 1)?;
    ask(&*reader, extent, BODY_BYTES)?;
    ask_entries(&*reader, extent)
}

/// The mark tells what was synced last; of what was synced before, the frames after it tell too.
#[test]
fn damage_to_what_was_durable_is_an_error_also_if_the_mark_is_old() {
    let place = DamageAt::new();
    let mut store = place.url().create().unwrap();
    let mark = fs::read(place.file("mark")).unwrap();
    for height in 0..8 {
        let run = [block(height, BODY_BYTES)];
        store.writer.append(&run, Durability::Disk).unwrap();
    }
    drop(store);
    fs::write(place.file("mark"), mark).unwrap();
    let whole = fs::read(place.file("heads-00000000")).unwrap();
    for at in (100..whole.len() * 3 / 4).step_by(97) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        fs::write(place.file("heads-00000000"), damaged).unwrap();
        place.assert_refused("heads-00000000", "corrupt at byte ");
    }
}

/// What the frames told of it went with them when the heads of the open segment were rewritten.
#[test]
fn damage_to_stripped_heads_of_the_open_segment_is_an_error_also_if_the_mark_is_old() {
    let mut before = 0;
    let place = chain_of_an_old_mark(|place, mut store| {
        before = fs::read(place.file(&last_of(place, "heads")))
            .unwrap()
            .len();
        for part in Part::ALL {
            store.writer.prune(part, END - 1, u64::MAX).unwrap();
        }
    });
    let last = &last_of(&place, "heads");
    let whole = fs::read(place.file(last)).unwrap();
    assert!(whole.len() < before, "it was not stripped");
    for at in (12..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        fs::write(place.file(last), damaged).unwrap();
        place.assert_refused(last, "corrupt");
    }
    fs::write(place.file(last), &whole).unwrap();
    let extent = Extent {
        body_floor: END - 1,
        index_floor: END - 1,
        header_floor: END - 1,
        end: END,
    };
    let store = SMALL.open(&place.directory()).unwrap();
    ask(&*store.reader, extent, BODY_BYTES).unwrap();
    ask_entries(&*store.reader, extent).unwrap();
}

/// Keeps the text of warnings.
#[derive(Clone, Default)]
struct Warnings(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{field}={value:?} ");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_torn_tail_is_cut_by_a_writer_who_says_so() {
    let place = DamageAt::with_chain();
    let files = place.files();
    let last = files
        .iter()
        .rfind(|name| name.starts_with("heads"))
        .unwrap();
    for name in [last, &last.replace("heads", "bodies"), "meta-00000000"] {
        let whole = fs::read(place.file(name)).unwrap();
        let mut torn = whole.clone();
        torn.extend_from_slice(b"HLFR and more that was never finished");
        fs::write(place.file(name), &torn).unwrap();
        read(&place).unwrap();
        assert_eq!(
            fs::read(place.file(name)).unwrap(),
            torn,
            "a reader cuts nothing"
        );
        let warnings = Warnings::default();
        tracing::subscriber::with_default(warnings.clone(), || drop(place.url().open().unwrap()));
        let told = warnings.0.lock().unwrap().join("; ");
        let cut = format!("offset={} bytes=37", whole.len());
        assert!(told.contains(name) && told.contains(&cut), "{told}");
        assert_eq!(fs::read(place.file(name)).unwrap(), whole);
    }
}

/// Offset and kind of each frame of a file of heads.
fn frames(heads: &[u8]) -> Vec<(usize, u32)> {
    let (mut at, mut frames) = (80, Vec::new());
    while at < heads.len() {
        let kind = u32::from_le_bytes(heads[at + 4..at + 8].try_into().unwrap());
        let length = u64::from_le_bytes(heads[at + 8..at + 16].try_into().unwrap());
        frames.push((at, kind));
        at += 48 + (length as usize).next_multiple_of(8);
    }
    frames
}

/// A closed store of [`END`] blocks, treated further by `treat`, whose mark tells of none of it.
fn chain_of_an_old_mark(treat: impl FnOnce(&DamageAt, Store)) -> DamageAt {
    let place = DamageAt::new();
    let mut store = SMALL.create(&place.directory()).unwrap();
    let mark = fs::read(place.file("mark")).unwrap();
    for height in 0..END {
        let run = [block(height, BODY_BYTES)];
        store.writer.append(&run, Durability::Os).unwrap();
    }
    treat(&place, store);
    fs::write(place.file("mark"), mark).unwrap();
    place
}

/// The name of the last file of a kind.
fn last_of(place: &DamageAt, kind: &str) -> String {
    let files = place.files();
    files
        .into_iter()
        .rfind(|name| name.starts_with(kind))
        .unwrap()
}

/// Cuts the heads of the open segment before their last frame of a kind.
fn cut_before_frame(place: &DamageAt, kind: u32) {
    let path = place.file(&last_of(place, "heads"));
    let heads = fs::read(&path).unwrap();
    let frame = frames(&heads).into_iter().rfind(|frame| frame.1 == kind);
    fs::write(&path, &heads[..frame.unwrap().0]).unwrap();
}

const RUN_FRAME: u32 = 1;
const INDEX_FLOOR_FRAME: u32 = 6;
const HEADER_FLOOR_FRAME: u32 = 7;
const TRUNCATE_FRAME: u32 = 2;
const REPLACE_FRAME: u32 = 9;

/// Keys that were pruned from index files and heads would read as absent, if the floor were forgotten.
#[test]
fn a_floor_that_was_cut_away_is_told_by_what_was_made_below_it() {
    let mut unstripped = Vec::new();
    let whole = chain_of_an_old_mark(|place, mut store| {
        for name in place.files() {
            if name.starts_with("heads") && name != last_of(place, "heads") {
                unstripped.push((name.clone(), fs::read(place.file(&name)).unwrap()));
            }
        }
        for part in Part::ALL {
            store.writer.prune(part, END / 2, u64::MAX).unwrap();
        }
    });
    let last = last_of(&whole, "heads");
    SMALL.open_read_only(&whole.directory()).unwrap();
    for (kind, part) in [(INDEX_FLOOR_FRAME, "keys"), (HEADER_FLOOR_FRAME, "headers")] {
        let cut = whole.copy();
        cut_before_frame(&cut, kind);
        let told = format!("heads-00000000 was made when the chain had been pruned of {part}");
        cut.assert_refused(&last, &told);
        for name in cut.files() {
            if name.starts_with("index") {
                fs::remove_file(cut.file(&name)).unwrap();
            }
        }
        cut.assert_refused(&last, &told);
    }
    let cut = whole.copy();
    cut_before_frame(&cut, INDEX_FLOOR_FRAME);
    for (name, heads) in &unstripped {
        fs::write(cut.file(name), heads).unwrap();
    }
    let index = cut
        .files()
        .into_iter()
        .find(|name| name.starts_with("index"));
    let told = format!("{} was made when", index.unwrap());
    cut.assert_refused(&last, &told);
}

/// Blocks that came back would not be in index files that were made after they had gone.
#[test]
fn a_truncation_that_was_cut_away_is_told_by_the_index_files_made_after_it() {
    let mut end = 0;
    let place = chain_of_an_old_mark(|place, mut store| {
        // Within the last sealed segment, so that no file of bodies is unlinked.
        let open = fs::read(place.file(&last_of(place, "heads"))).unwrap();
        end = u64::from_le_bytes(open[40..48].try_into().unwrap()) - 2;
        store.writer.truncate(end - 1).unwrap();
        drop(store);
        for name in place.files() {
            if name.starts_with("index") {
                fs::remove_file(place.file(&name)).unwrap();
            }
        }
        drop(SMALL.open(&place.directory()).unwrap());
    });
    SMALL.open_read_only(&place.directory()).unwrap();
    cut_before_frame(&place, TRUNCATE_FRAME);
    let last = last_of(&place, "heads");
    place.assert_refused(&last, &format!("truncated from height {end} on"));
}

/// The blocks that were replaced would come back without their place in index files, and those that replaced them would be gone.
#[test]
fn a_replacement_that_was_cut_away_is_told_by_the_index_files_made_after_it() {
    let mut end = 0;
    let place = chain_of_an_old_mark(|place, mut store| {
        // Within the last sealed segment, so that no file of bodies is unlinked.
        store
            .writer
            .replace(END - 2, &[fork(END - 1)], Durability::Os)
            .unwrap();
        let open = fs::read(place.file(&last_of(place, "heads"))).unwrap();
        assert_eq!(open[8], 3, "the segment that it begins is of version 3");
        let begun = u64::from_le_bytes(open[40..48].try_into().unwrap());
        assert_eq!(begun, END);
        end = END - 4;
        let run: Vec<_> = (end..END + 3).map(fork).collect();
        store.writer.replace(end - 1, &run, Durability::Os).unwrap();
        drop(store);
        for name in place.files() {
            if name.starts_with("index") {
                fs::remove_file(place.file(&name)).unwrap();
            }
        }
        drop(SMALL.open(&place.directory()).unwrap());
    });
    SMALL.open_read_only(&place.directory()).unwrap();
    cut_before_frame(&place, REPLACE_FRAME);
    let last = last_of(&place, "heads");
    place.assert_refused(&last, &format!("truncated from height {end} on"));
}

/// What another program wrote into a file that it took for one of version 2.
#[test]
fn a_replacement_in_a_file_of_version_2_is_damage() {
    let place = DamageAt::with_branches();
    let last = last_of(&place, "heads");
    let path = place.file(&last);
    let mut heads = fs::read(&path).unwrap();
    assert!(frames(&heads).iter().any(|frame| frame.1 == REPLACE_FRAME));
    let store = fs::read(place.file("store")).unwrap();
    let salt = crc32c::crc32c(&store[16..32]);
    heads[8] = 2;
    let mut previous = crc32c::crc32c_append(crc32c::crc32c(&heads[..12]), &heads[16..80]);
    heads[12..16].copy_from_slice(&previous.to_le_bytes());
    for (at, _) in frames(&heads) {
        heads[at + 32..at + 36].copy_from_slice(&previous.to_le_bytes());
        previous = crc32c::crc32c_append(salt, &heads[at..at + 44]);
        heads[at + 44..at + 48].copy_from_slice(&previous.to_le_bytes());
    }
    fs::write(&path, heads).unwrap();
    place.assert_refused(&last, "the frame doesn't follow from those before it");
}

#[test]
fn a_last_segment_that_is_gone_is_told_by_index_files() {
    let place = chain_of_an_old_mark(|_, store| drop(store));
    let kept = last_of(&place, "heads");
    for _ in 0..2 {
        for kind in ["heads", "bodies"] {
            fs::remove_file(place.file(&last_of(&place, kind))).unwrap();
        }
    }
    assert_ne!(last_of(&place, "heads"), kept);
    place.assert_refused("heads-", "the file is missing");
}

/// What can be wrong with a mark, for each its bytes.
fn damaged_marks(mark: &[u8]) -> [(&'static str, Option<Vec<u8>>); 6] {
    let (superblock, slots) = mark.split_at(80);
    let with = |slots: Vec<u8>| Some([superblock, &slots].concat());
    [
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("without slots", with(Vec::new())),
        ("without its last slot", with(slots[..64].to_vec())),
        ("zeroed", with(vec![0; slots.len()])),
        ("inverted", with(slots.iter().map(|byte| !byte).collect())),
    ]
}

/// Nothing but the mark tells that there were more blocks in the last segment.
#[test]
fn a_log_that_was_cut_is_no_shorter_chain_though_its_mark_is_damaged_too() {
    let whole = chain_of_an_old_mark(|_, store| drop(store));
    cut_before_frame(&whole, RUN_FRAME);
    for (damage, mark) in damaged_marks(&fs::read(whole.file("mark")).unwrap()) {
        let place = whole.copy();
        match mark {
            None => fs::remove_file(place.file("mark")).unwrap(),
            Some(bytes) => fs::write(place.file("mark"), bytes).unwrap(),
        }
        place.assert_refused("mark", "corrupt");
        let mut found = Vec::new();
        let check = place.url().check(&mut |damage| found.push(damage));
        assert_eq!(check.unwrap().damage, 1, "{damage}: {found:?}");
        assert!(found[0].path.ends_with("mark"), "{damage}: {found:?}");
        // The way out says what it comes to.
        let mut done = String::new();
        let mut tell = |repaired| done += &format!("{repaired}; ");
        place.url().repair(&mut tell).unwrap();
        let told = format!("mark made again: {} blocks are held", END - 1);
        assert!(done.contains(&told), "{damage}: {done}");
        let cut = Extent::whole(END - 1);
        ask(&*place.url().open().unwrap().reader, cut, BODY_BYTES).unwrap();
    }
}

#[test]
fn a_store_has_its_mark_from_the_first_on() {
    let place = DamageAt::new();
    drop(place.url().create().unwrap());
    fs::remove_file(place.file("mark")).unwrap();
    place.assert_refused("mark", "the file is missing");
}

/// A write of the mark that was torn leaves the slot before it.
#[test]
fn a_mark_with_one_damaged_slot_can_be_read_and_is_told_of() {
    let whole = DamageAt::with_chain();
    for slot in [80, 144] {
        let place = whole.copy();
        let mut mark = fs::read(place.file("mark")).unwrap();
        mark[slot..slot + 64].fill(0);
        fs::write(place.file("mark"), mark).unwrap();
        let warnings = Warnings::default();
        tracing::subscriber::with_default(warnings.clone(), || read(&place)).unwrap();
        let told = warnings.0.lock().unwrap().join("; ");
        let expected = format!("offset={slot}");
        assert!(told.contains("mark") && told.contains(&expected), "{told}");
        drop(place.url().open().unwrap());
        let mut found = Vec::new();
        place.url().check(&mut |damage| found.push(damage)).unwrap();
        assert_eq!(found, []);
    }
}
