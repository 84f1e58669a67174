//! A specification that decodes encodes to the same bytes, and comes back from its TOML text; a text that is read
//! gives a specification that comes back from its bytes. As the text of a chain to come it is refused exactly if it
//! contradicts itself.

#![no_main]

use hubledger::spec::{ChainSpec, SpecFields};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(spec) = ChainSpec::decode(input) {
        assert_eq!(spec.bytes(), input);
        check(&spec);
    }
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(spec) = ChainSpec::from_toml(text)
    {
        check(&spec);
    }
});

fn check(spec: &ChainSpec) {
    let decoded = ChainSpec::decode(spec.bytes()).expect("its own encoding");
    assert_eq!(decoded.id(), spec.id());
    let text = spec.to_toml();
    let fields = SpecFields::from_toml(&text).expect("its own text");
    let read = ChainSpec::new(fields).expect("its own fields");
    let is_sound = spec.contradictions().is_empty();
    assert_eq!(ChainSpec::from_toml(&text).is_ok(), is_sound);
    assert_eq!(read.bytes(), spec.bytes());
    assert_eq!(read.to_toml(), text);
    assert_eq!(spec.genesis().header().chain, spec.id());
}
