//! A reader for blocks that are spelled as MPREG spells them, which is many times as fast as [one for any JSON](super::raw).
//!
//! MPREG writes with Python's `json.dumps`: always the same fields in the same order, one space after colon and comma,
//! numbers as Python prints them, everything outside ASCII escaped. A text of just that form needs no tree of values, its
//! numbers needn't be printed again, and its payloads are already the digits that are signed. So the text is compared with
//! that form, byte by byte, and the signing bytes are copied out of it.
//!
//! The reader gives a block only if every byte is as expected and every check of MPREG's constructors passes but that of the
//! Merkle root; then it gives what the reader for any JSON gives. For everything else, also for whatever is wrong, it gives
//! `None`, and the other reader has the say.
//!
//! Cost: one pass; about 200 ns for a transaction of 700 bytes.

mod cursor;

use self::cursor::Cursor;
use super::block::{Block, Transactions, VectorClock};
use super::entry::{Entry, Fields};
use super::transaction::Operation;

/// The block in `json`, if it is spelled as MPREG spells it and sound. Whether the Merkle root is right isn't looked at.
pub(super) fn read<T: Entry>(json: &[u8]) -> Option<Block<T>> {
    let text = &mut Cursor::new(json);
    text.literal(br#"{"block_id": ""#)?;
    let block_id = text.name()?.into_string();
    text.literal(br#", "height": "#)?;
    let height = text.integer()?.to_number()?.as_u64()?;
    text.literal(br#", "previous_hash": ""#)?;
    let previous_hash = text.string()?.into_string();
    text.literal(br#", "merkle_root": ""#)?;
    let merkle_root = text.string()?.into_string();
    text.literal(br#", "vector_clock": {"#)?;
    let vector_clock = clock(text)?;
    text.literal(br#", "transactions": ["#)?;
    let transactions = transactions(text, json.len())?;
    text.literal(br#", "miner": ""#)?;
    let miner = text.name()?.into_string();
    text.literal(br#", "difficulty": "#)?;
    let difficulty = text.integer()?.to_number()?;
    text.literal(br#", "nonce": "#)?;
    let nonce = text.integer()?.to_number()?;
    text.literal(br#", "timestamp": "#)?;
    let (_, timestamp) = text.number()?;
    text.literal(br#", "block_hash": ""#)?;
    let recorded_hash = Some(text.string()?.into_string());
    text.literal(b"}")?;
    (text.is_at_end() && difficulty.is_positive()).then_some(Block {
        block_id,
        height,
        previous_hash,
        merkle_root,
        vector_clock,
        miner,
        difficulty,
        nonce,
        timestamp,
        recorded_hash,
        transactions,
    })
}

fn clock(text: &mut Cursor<'_>) -> Option<VectorClock> {
    let mut clock = VectorClock::new();
    if text.literal(b"}").is_some() {
        return Some(clock);
    }
    loop {
        text.literal(b"\"")?;
        let node = text.name()?.into_string();
        text.literal(b": ")?;
        let counter = text.integer()?.to_number()?;
        if clock.insert(node, counter).is_some() {
            return None;
        }
        if text.ends_list(b"}")? {
            return Some(clock);
        }
    }
}

fn transactions<T: Entry>(text: &mut Cursor<'_>, length: usize) -> Option<Transactions<T>> {
    let mut transactions = Transactions::default();
    if text.literal(b"]").is_some() {
        return Some(transactions);
    }
    // Less than half of the text is signed, unless the payloads are long.
    transactions.reserve(length / 2);
    loop {
        transactions.keep(transaction(text)?);
        if text.ends_list(b"]")? {
            return Some(transactions);
        }
    }
}

fn transaction<'a>(text: &mut Cursor<'a>) -> Option<Fields<'a>> {
    text.literal(br#"{"transaction_id": ""#)?;
    let id = text.name()?;
    text.literal(br#", "sender": ""#)?;
    let sender = text.name()?;
    text.literal(br#", "receiver": ""#)?;
    let receiver = text.name()?;
    text.literal(br#", "operation_type": ""#)?;
    let operation = Operation::from_name(str::from_utf8(text.string()?.as_bytes()).ok()?)?;
    text.literal(br#", "payload": ""#)?;
    let payload = text.digits()?;
    text.literal(br#", "timestamp": "#)?;
    let timestamp = text.number()?;
    text.literal(br#", "fee": "#)?;
    let fee = text.integer()?;
    text.literal(br#", "nonce": "#)?;
    let nonce = text.integer()?;
    text.literal(br#", "signature": ""#)?;
    let signature = text.bytes()?;
    text.literal(br#", "public_key": ""#)?;
    let public_key = text.bytes()?;
    text.literal(br#", "signature_algorithm": "ed25519", "hash": ""#)?;
    let recorded_hash = text.string()?;
    text.literal(b"}")?;
    if signature.is_some() && public_key.is_none() {
        return None;
    }
    Some(Fields {
        id,
        sender,
        receiver,
        operation,
        payload,
        timestamp,
        fee,
        nonce,
        signature: signature.map(hubledger::signature::Signature::from_bytes),
        public_key: public_key.map(hubledger::signature::PublicKey::from_bytes),
        recorded_hash,
    })
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::path::Path;

    use super::*;
    use crate::{Brief, Source, Transaction};

    /// Some blocks that MPREG wrote, with one or two of their transactions.
    fn samples() -> Vec<Vec<u8>> {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mpreg");
        let mut samples = Vec::new();
        for store in ["federation.db", "signed7.db"] {
            let source = Source::open(&data.join(store)).expect("opens");
            for chain in source.chains() {
                let visit = &mut |row: crate::RawRow<'_>| {
                    let text = str::from_utf8(row.json.expect("a text")).expect("ASCII");
                    if !text.contains("\"transactions\": []") {
                        samples.push(shorten(text).into_bytes());
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                };
                source.for_each_row(&chain.id, visit).expect("readable");
            }
        }
        assert!(samples.len() > 2, "{}", samples.len());
        samples
    }

    /// The block without the transactions behind the second.
    fn shorten(text: &str) -> String {
        let third = text.match_indices(", {\"transaction_id").nth(1);
        let end = text.find("], \"miner").expect("the list's end");
        let kept = third.map_or(end, |(at, _)| at);
        format!("{}{}", &text[..kept], &text[end..])
    }

    /// Whether the quick reader takes the text. If it does, the other one reads the same.
    fn is_taken(text: &[u8]) -> bool {
        let (whole, brief) = (read::<Transaction>(text), read::<Brief>(text));
        assert_eq!(whole.is_some(), brief.is_some());
        let Some((whole, brief)) = whole.zip(brief) else {
            return false;
        };
        let shown = String::from_utf8_lossy(text);
        let any = Block::<Transaction>::read_any(text, 0);
        let any = any.unwrap_or_else(|rejected| panic!("{rejected:?} {shown}"));
        assert_eq!(format!("{whole:?}"), format!("{any:?}"), "{shown}");
        let any = Block::<Brief>::read_any(text, 0).expect("as before");
        assert_eq!(format!("{brief:?}"), format!("{any:?}"), "{shown}");
        assert_eq!(whole.hash(), brief.hash());
        true
    }

    #[test]
    fn every_changed_byte_is_read_as_by_the_reader_for_any_json() {
        let mut taken = 0;
        for sample in samples() {
            assert!(is_taken(&sample));
            for at in 0..sample.len() {
                assert!(!is_taken(&sample[..at]), "cut at {at}");
                let mut text = sample.clone();
                text.remove(at);
                taken += usize::from(is_taken(&text));
                for byte in *b"\"\\} 09aAG.\0\x7f\xc3" {
                    let mut text = sample.clone();
                    text[at] = byte;
                    taken += usize::from(is_taken(&text));
                }
                for byte in *b"\" 0f" {
                    let mut text = sample.clone();
                    text.insert(at, byte);
                    taken += usize::from(is_taken(&text));
                }
            }
        }
        // Changes in names and payloads are harmless here, where nobody looks at roots.
        assert!(taken > 1_000, "{taken}");
    }

    #[test]
    fn every_changed_value_is_read_as_by_the_reader_for_any_json() {
        let big = "9".repeat(4_300);
        let beyond = "9".repeat(4_301);
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let values = [
            "0",
            "-0",
            "00",
            "1",
            "-1",
            "1.0",
            "1.5",
            "1.50",
            "01.5",
            "1.",
            ".5",
            "1e5",
            "1E400",
            "-1.5",
            "1700000000.00390625",
            "1700000000.0039062",
            "0.00001",
            "1e-05",
            "9007199254740993.0",
            "123456789012345680.0",
            "18446744073709551615",
            "18446744073709551616",
            "1e16",
            "0.1",
            "0.0001",
            "0.30000000000000004",
            "0.3000000000000000444",
            "NaN",
            "Infinity",
            "true",
            "null",
            "{}",
            "[]",
            "[{}]",
            "\"\"",
            "\"0\"",
            "\"00FF\"",
            "\" 00\"",
            "\"0\"",
            "\"g0\"",
            "\"\\u0030\\u0030\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\u0000\"",
            "\"a:b=c\"",
            "\"т\"",
            "\"ed25519\"",
            "\"transfer\"",
            "{\"a\": 1, \"a\": 2}",
            "{\"\": 1}",
            "{\"a\": -1}",
            "{\"a\": 1, \"b\": 0}",
            "{\"b\": 1, \"a\": 0}",
            "{\"\\u0061\": 1, \"a\": 2}",
            &big,
            &beyond,
            &deep,
        ];
        let mut taken = 0;
        for sample in samples() {
            let sample = String::from_utf8(sample).expect("ASCII");
            for (start, _) in sample.match_indices("\": ") {
                let start = start + 3;
                let rest = &sample[start..];
                let ends = [", \"", "}", "]"].map(|end| rest.find(end).unwrap_or(rest.len()));
                let end = start + ends.into_iter().min().unwrap_or_default();
                for value in values {
                    let text = format!("{}{value}{}", &sample[..start], &sample[end..]);
                    taken += usize::from(is_taken(text.as_bytes()));
                }
                // The member twice, and another one beside it.
                let key = sample[..start - 3].rfind('"').unwrap_or_default();
                let member = &sample[key..end];
                for more in [member, "\"other\": 1"] {
                    let text = format!("{}{more}, {}", &sample[..key], &sample[key..]);
                    is_taken(text.as_bytes());
                }
            }
        }
        assert!(taken > 500, "{taken}");
    }
}
