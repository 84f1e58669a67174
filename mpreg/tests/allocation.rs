//! Reading MPREG's texts allocates no more than a small multiple of them, whatever they say.
#![allow(missing_docs)]

#[path = "../../tests/common/allocator.rs"]
mod allocator;

use allocator::{assert_bounded, peak};
use hubledger_mpreg::{Block, ChainConfig, Transaction};

#[test]
fn texts_of_mpreg_take_a_small_multiple() {
    const COUNT: usize = 20_000;
    let list = |item: &str| vec![item; COUNT].join(",");
    let entries: Vec<String> = (0..COUNT).map(|n| format!("\"{n:x}\":1")).collect();
    let shallow = format!("[{}]", list("[]"));
    let deep = "[".repeat(10 * COUNT);
    let texts = [
        shallow.clone(),
        deep,
        format!("{{{}}}", entries.join(",")),
        format!("{{\"transactions\":[{}]}}", list("{}")),
        format!("{{\"vector_clock\":{{{}}}}}", entries.join(",")),
        format!("{{\"vector_clock\":{shallow},\"transactions\":{shallow}}}"),
        format!("{{\"transaction_id\":\"{}\"}}", "\\u0041".repeat(COUNT)),
        format!("{{\"payload\":\"{}\"}}", "00".repeat(COUNT)),
        format!("{{\"nonce\":{}}}", "9".repeat(COUNT)),
        format!("{{\"nonce\":0.{}}}", "9".repeat(COUNT)),
        format!("{{\"height\":{{{}}}}}", entries.join(",")),
    ];
    for text in texts {
        let head = &text[..text.len().min(40)];
        let text = text.as_bytes();
        let (_, used) = peak(|| Block::from_json(text, 0).is_ok());
        assert_bounded(head, text.len(), used);
        let (_, used) = peak(|| Transaction::from_json(text).is_ok());
        assert_bounded(head, text.len(), used);
        let (_, used) = peak(|| ChainConfig::from_json(text, Some(text)).is_ok());
        assert_bounded(head, text.len(), used);
    }
}
