//! An append-log with damaged files: it is refused, or what it answers is what was appended; and a writer goes on
//! with it. With forged frames any content may come back, but nothing panics.

#![no_main]

use hubledger_fuzz::{DamagedLog, LOG_END, LOG_FLOOR, LOG_OPTIONS, log_block};
use hubledger_storage::{BlockReader, Durability, Held, Location, Part, Store};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let log = DamagedLog::of(input);
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
        let _ = writer.prune(Part::Body, extent.floor + 2, 3);
        let _ = writer.truncate(extent.end / 2);
        ask(&*reader, log.is_forged());
    }
});

/// Asks for everything; errors are answers, and so is "not indexed yet".
fn ask(reader: &dyn BlockReader, forged: bool) {
    let Ok(extent) = reader.extent() else {
        return;
    };
    assert!(extent.floor <= extent.end);
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
            assert_eq!(
                (held.id, held.header),
                (block.id, Held::Present(block.header))
            );
            match held.body {
                Held::Present(body) => assert_eq!(body, block.body),
                Held::Pruned => assert!(height < extent.floor),
            }
        }
        if let Ok(found) = found {
            assert_eq!(found, Some(height));
        }
        for entry in &block.index {
            match reader.locate(&entry.key) {
                Ok(Location::NotIndexed { watermark }) => assert!(watermark <= height),
                Ok(place) => assert_eq!(place, extent.location(height, entry.position)),
                Err(_) => {}
            }
        }
    }
    if let Ok(value) = reader.meta("name") {
        assert!(value.is_none_or(|value| value == &b"value"[..]));
    }
    let _ = (reader.usage(), LOG_FLOOR);
}
