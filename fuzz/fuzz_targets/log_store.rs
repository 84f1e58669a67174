//! An append-log with damaged files: it is refused, or what it answers is what was appended; and a writer goes on
//! with it. With forged frames any content may come back, but nothing panics.

#![no_main]

use hubledger_fuzz::{DamagedLog, LOG_END, LOG_OPTIONS, log_block, replaced_block};
use hubledger_storage::{
    Block, BlockReader, Durability, Held, Location, Part, Result, Store, StoreUrl,
};
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
        ask(&*reader, &log);
    }
    let Ok(Store {
        reader, mut writer, ..
    }) = LOG_OPTIONS.open(log.directory())
    else {
        return;
    };
    ask(&*reader, &log);
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
        let above = extent.end.saturating_sub(2);
        let run: Vec<Block> = (above + 1..extent.end + 1).map(log_block).collect();
        if writer.replace(above, &run, Durability::Os).is_ok() {
            for block in &run {
                let held = reader.block(block.height).expect("it was just written");
                let body = Some(Held::Present(block.body.clone()));
                assert_eq!(held.map(|held| held.body), body);
            }
        }
        for part in Part::ALL {
            let _ = writer.prune(part, extent.floor_of(part) + 6, 5);
        }
        let _ = writer.truncate(extent.end / 2);
        ask(&*reader, &log);
    }
});

/// The block that may be at a height: with branches, that of the other one too, where an old mark lets what replaced it pass for a
/// torn tail.
fn expected(reader: &dyn BlockReader, log: &DamagedLog, height: u64) -> Result<Block> {
    let replaced = replaced_block(height).filter(|_| log.has_branches());
    let Some(replaced) = replaced else {
        return Ok(log_block(height));
    };
    let is_back = reader
        .header(height)?
        .is_some_and(|held| held.id == replaced.id);
    Ok(if is_back { replaced } else { log_block(height) })
}

/// Asks for everything; errors are answers, and so is "not indexed yet".
fn ask(reader: &dyn BlockReader, log: &DamagedLog) {
    let forged = log.is_forged();
    let Ok(extent) = reader.extent() else {
        return;
    };
    assert!(extent.is_sound());
    let end_max = if log.has_branches() {
        LOG_END + 3
    } else {
        LOG_END + 1
    };
    assert!(forged || extent.end <= end_max);
    for height in 0..extent.end.min(end_max) {
        let held = reader.block(height);
        let block = match expected(reader, log, height) {
            Ok(block) => block,
            // Which branch it is of can't be told.
            Err(_) => continue,
        };
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
                Held::Pruned => assert!(height < extent.body_floor),
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
    if let Ok(value) = reader.named_value("name") {
        assert!(value.is_none_or(|value| value == b"value"[..]));
    }
    let _ = reader.usage();
}
