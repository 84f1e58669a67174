//! A block file is read to its end or to an error that lies within it, whatever it holds.

#![no_main]

use hubledger::blockfile::BlockFileReader;
use hubledger::model::Block;
use hubledger_fuzz::Scratch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let file = Scratch::holding(input);
    let Ok(mut reader) = BlockFileReader::open(file.path()) else {
        return;
    };
    assert_eq!(reader.length(), input.len() as u64);
    let mut end = reader.offset();
    while let Ok(Some((offset, bytes))) = reader.next_block() {
        assert_eq!(offset, end + 4, "blocks follow one another");
        end = offset + bytes.len() as u64;
        assert_eq!(reader.offset(), end);
        assert_eq!(bytes, &input[offset as usize..end as usize]);
        if let Ok(block) = Block::decode(&bytes) {
            assert_eq!(block.encode(), bytes);
        }
    }
    assert!(end <= input.len() as u64);
});
