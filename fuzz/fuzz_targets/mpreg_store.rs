//! MPREG's SQLite store, as any bytes: it opens and is checked to a verdict, or is refused.

#![no_main]

use std::ops::ControlFlow;
use std::time::Duration;

use hubledger_fuzz::Scratch;
use hubledger_mpreg::{Source, verify_chain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let file = Scratch::holding(input);
    let Ok(source) = Source::open(file.path()) else {
        return;
    };
    for chain in source.chains() {
        let now = Duration::from_secs(2_000_000_000);
        if let Ok(report) = verify_chain(
            &source,
            &chain.id,
            now,
            &mut |_, _| ControlFlow::Continue(()),
            None,
        ) {
            assert!(report.head.is_some() || report.blocks == 0);
        }
    }
});
