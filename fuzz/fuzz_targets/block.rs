//! A block that decodes encodes to the same bytes, its parts are what they are alone, and the validator judges it
//! without panicking, in every state of a chain.

#![no_main]

use bytes::Bytes;
use hubledger::model::{Block, Header, Seal, Transaction};
use hubledger::rules::{Depth, Validator};
use hubledger_fuzz::Chain;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(block) = Block::decode(&Bytes::copy_from_slice(input)) else {
        return;
    };
    assert_eq!(block.encode(), input);
    let header = Header::decode(block.header().bytes().clone());
    assert_eq!(header.as_ref(), Ok(block.header()));
    assert_eq!(Seal::decode(block.seal_bytes()).as_ref(), Ok(block.seal()));
    assert_eq!(block.seal().encode()[..], block.seal_bytes()[..]);
    let mut body = Vec::new();
    for transaction in block.transactions() {
        let alone = Transaction::decode(transaction.bytes().clone());
        assert_eq!(alone.as_ref().map(Transaction::id), Ok(transaction.id()));
        body.extend_from_slice(transaction.bytes());
    }
    assert_eq!(body[..], block.body()[..]);
    let rebuilt = Block::assemble(
        block.header().clone(),
        block.seal().clone(),
        block.transactions(),
    );
    assert_eq!(rebuilt.as_ref(), Ok(&block));
    judge(&block);
});

fn judge(block: &Block) {
    let chain = Chain::get();
    if block.header().chain != chain.spec.id() {
        return;
    }
    for state in &chain.states {
        let validator =
            Validator::resume(chain.spec.clone(), state.clone()).expect("its own chain");
        let full = validator.check(block, Depth::Full { now_us: u64::MAX });
        let replay = validator.check(block, Depth::Replay);
        assert!(full.is_err() || replay.is_ok(), "a full check checks more");
        if full.is_ok() {
            // Nobody else holds the authority's key, but a seal is outside the hash it is about.
            assert!(chain.blocks.contains(block), "a forged block was accepted");
        }
    }
}
