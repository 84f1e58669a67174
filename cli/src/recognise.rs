//! What bytes are, told by how they begin.

use bytes::Bytes;
use hubledger::evidence::{EVIDENCE_BYTES_MAX, Evidence};
use hubledger::model::Block;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::args::Kind;
use crate::transactions::{Form, from_hexadecimal};

/// So many bytes tell a block file, which may be too long to be read as a whole.
pub(crate) const HEAD_BYTES: usize = 8;

/// Whether these are the first bytes of a block file.
pub(crate) fn is_block_file(head: &[u8]) -> bool {
    head.starts_with(b"HLBLOCKS")
}

/// The kind of what isn't a block file, as far as its first fields, or the words of its text, tell.
pub(crate) fn kind_of(bytes: &[u8]) -> Option<Kind> {
    match Form::of(bytes) {
        Form::Json => Some(kind_of_json(bytes)),
        Form::Hexadecimal => kind_of_encoding(&from_hexadecimal(bytes).ok()?),
        Form::Encoded => kind_of_encoding(bytes).or_else(|| kind_of_text(bytes)),
    }
}

/// What a document says of itself.
#[derive(Deserialize)]
struct Words {
    proof: Option<IgnoredAny>,
}

/// A proof says that it is one; a transaction need not.
fn kind_of_json(bytes: &[u8]) -> Kind {
    let mut documents = serde_json::Deserializer::from_slice(bytes).into_iter::<Words>();
    match documents.next() {
        Some(Ok(Words { proof: Some(_) })) => Kind::Proof,
        _ => Kind::Transaction,
    }
}

fn kind_of_encoding(bytes: &[u8]) -> Option<Kind> {
    if bytes.starts_with(b"HLPROOF") {
        return Some(Kind::Proof);
    }
    if bytes.len() <= EVIDENCE_BYTES_MAX && Evidence::decode(&Bytes::copy_from_slice(bytes)).is_ok()
    {
        return Some(Kind::Evidence);
    }
    match bytes.first_chunk()? {
        // The version, and the length of a name.
        [1..=2, _, 0..=4, 0, 0] => Some(Kind::Specification),
        // The length of a header or of a transaction's body, and then version 1 or kind 1 or 2.
        [_, _, _, 0..=1, 1..=2] => {
            let header = Block::decode_header(&Bytes::copy_from_slice(bytes));
            Some(match header {
                Ok(_) => Kind::Block,
                Err(_) => Kind::Transaction,
            })
        }
        _ => None,
    }
}

/// Any text may be a specification, or was meant to be one.
fn kind_of_text(bytes: &[u8]) -> Option<Kind> {
    let text = str::from_utf8(bytes).ok()?;
    let is_text = |letter: char| !letter.is_control() || letter.is_ascii_whitespace();
    (text.contains('=') && text.chars().all(is_text)).then_some(Kind::Specification)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_by_what_it_says_and_not_by_the_names_in_it() {
        for (text, kind) in [
            (r#"{"proof": "transaction", "id": 1}"#, Some(Kind::Proof)),
            (r#"{"sender": "proof"}"#, Some(Kind::Transaction)),
            (
                r#"{"sender": {"proof": 1}} {"proof": 1}"#,
                Some(Kind::Transaction),
            ),
            ("name = \"{}\"", Some(Kind::Specification)),
            ("no sign of anything", None),
            ("\u{1b}[31m = red", None),
        ] {
            assert_eq!(kind_of(text.as_bytes()), kind, "{text}");
        }
    }
}
