//! MPREG's JSON: a block that reads has one hash and one set of signing bytes, a chain file that opens is checked to a
//! verdict, and a valid chain has a native form that the validator accepts.

#![no_main]

use std::num::NonZero;
use std::ops::ControlFlow;
use std::time::Duration;

use hubledger::rules::{Depth, Validator};
use hubledger_fuzz::Scratch;
use hubledger_mpreg::{Audit, Block, ChainConfig, Checker, Source, convert, plan, verify_chain};
use libfuzzer_sys::fuzz_target;

const NOW: Duration = Duration::from_secs(2_000_000_000);

fuzz_target!(|input: &[u8]| {
    if let Ok(block) = Block::from_json(input, 0) {
        let again = Block::from_json(input, 0).expect("it was read a moment ago");
        assert_eq!(block.hash(), again.hash());
        for (index, transaction) in block.transactions().iter().enumerate() {
            assert_eq!(transaction.signing_bytes(), block.signing_bytes(index));
        }
        let verdict = Checker::new(&ChainConfig::default(), NOW).check(&block);
        assert!(
            block.height == 0 || verdict.is_err(),
            "a chain begins at height 0"
        );
    }
    let file = Scratch::holding(input);
    let Ok(source) = Source::open(file.path()) else {
        return;
    };
    for chain in source.chains() {
        let mut audit = chain.config.as_ref().ok().map(Audit::new);
        let report = verify_chain(
            &source,
            &chain.id,
            NOW,
            &mut |_, _| ControlFlow::Continue(()),
            audit.as_mut(),
        );
        if report.is_ok_and(|report| report.verdict.is_ok()) {
            import(&source, &chain.id);
        }
    }
});

fn import(source: &Source, chain: &str) {
    let Ok((_, Some(Ok(spec)))) = plan(
        source,
        chain,
        NOW,
        NonZero::<usize>::MIN,
        None,
        &mut |_, _| ControlFlow::Continue(()),
    ) else {
        return;
    };
    let mut validator = Validator::new(spec.clone());
    let read = source.for_each_row(chain, &mut |row| {
        let block = row.read(0).expect("the chain was checked");
        // What the native format has no room for is refused by name; all else has to be valid.
        let Ok(native) = convert(&spec, validator.state(), &block) else {
            return ControlFlow::Break(());
        };
        let valid = validator.check(&native, Depth::Full { now_us: u64::MAX });
        validator.apply(&valid.expect("a converted block is valid"));
        ControlFlow::Continue(())
    });
    read.expect("the file was read before");
}
