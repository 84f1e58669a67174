//! An append-log with damaged files: it is refused, or what it answers is what was appended; and a writer goes on
//! with it. With forged frames any content may come back, but nothing panics.

#![no_main]

use hubledger_fuzz::{DamagedLog, LOG_END, LOG_OPTIONS, log_block};
use hubledger_storage::{BlockReader, Durability, Held, Location, Part, Store, StoreUrl};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let log = DamagedLog::of(input);
    // Damage is told of, one way or the other, and what follows from the rest is made again.
    let url = StoreUrl::Log(log.directory().to_owned());
    let _ = url.check(&mut |_| {});
    if input.last().is_some_and(|last| last % 4 == 0) {
        let _ = url.repair(&mut |_| {});
    }
    if let Ok(reader) = LOG_OPTIONS.open_read_only(log.directory()) {
        ask(&*reader, log.is_forged());
    }
    let Ok(Store { reader, mut writer }) = LOG_OPTIONS.open(log.directory()) else {
        return;
    };
    ask(&*reader, log.is_forged());
    let Ok(extent) = reader.extent() else {
        return;
    };
    let next = log_block(extent.end);
    if writer
        .append(std::slice::from_ref(&next), Durability::Os)
        .is_ok()
    {
        let held = reader.block(extent.end).expect("it was just written");
        assert_eq!(held.map(|held| held.body), Some(Held::Present(next.body)));
        for part in Part::ALL {
            let _ = writer.prune(part, extent.floor_of(part) + 6, 5);
        }
        let _ = writer.truncate(extent.end / 2);
        ask(&*reader, log.is_forged());
    }
});

/// Asks for everything; errors are answers, and so is "not indexed yet".
fn ask(reader: &dyn BlockReader, forged: bool) {
    let Ok(extent) = reader.extent() else {
        return;
    };
    assert!(extent.is_sound());
    assert!(forged || extent.end <= LOG_END + 1);
    for height in 0..extent.end.min(LOG_END + 1) {
        let block = log_block(height);
        let held = reader.block(height);
        let found = reader.height_of(&block.id);
        if forged {
            continue;
        }
        if let Ok(held) = held {
            let held = held.expect("a block below the end");
            assert_eq!(held.id, block.id);
            match held.header {
                Held::Present(header) => assert_eq!(header, block.header),
                Held::Pruned => assert!(height < extent.header_floor),
            }
            match held.body {
                Held::Present(body) => assert_eq!(body, block.body),
                Held::Pruned => assert!(height < extent.floor),
            }
        }
        match reader.index(height) {
            Ok(Some(Held::Present(index))) => assert_eq!(index, block.index),
            Ok(Some(Held::Pruned)) => assert!(height < extent.index_floor),
            Ok(None) => panic!("a block below the end"),
            Err(_) => {}
        }
        if let Ok(found) = found {
            assert_eq!(found, Some(height));
        }
        for entry in &block.index {
            match reader.locate(&entry.key) {
                Ok(_) if height < extent.index_floor => {}
                Ok(Location::NotIndexed { watermark }) => assert!(watermark <= height),
                Ok(place) => assert_eq!(place, extent.location(height, entry.position)),
                Err(_) => {}
            }
        }
    }
    if let Ok(value) = reader.meta("name") {
        assert!(value.is_none_or(|value| value == &b"value"[..]));
    }
    let _ = reader.usage();
}
