//! A header that decodes encodes to the same bytes, and so to the same hash.

#![no_main]

use bytes::Bytes;
use hubledger::model::{Causality, Header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(header) = Header::decode(Bytes::copy_from_slice(input)) else {
        return;
    };
    let rebuilt = Header::new((*header).clone()).expect("every field was decoded");
    assert_eq!(rebuilt.bytes(), input);
    assert_eq!(rebuilt.hash(), header.hash());
    let clock = &header.vector_clock;
    assert_eq!(clock.compare(clock), Causality::Equal);
    assert_eq!(clock.merge(clock).as_ref(), Ok(clock));
    if let Ok(later) = clock.increment(&header.producer) {
        assert_eq!(clock.compare(&later), Causality::Before);
    }
});
