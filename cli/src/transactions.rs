//! Transactions in files: one or several, one after the other, as bytes, as hexadecimal digits, or as JSON.

use std::path::Path;

use bytes::Bytes;
use hubledger::codec::DecodeError;
use hubledger::model::{PAYLOAD_BYTES_MAX, Transaction};
use hubledger::rejection::{Fault, Reason};

use crate::failure::{Failure, Result};
use crate::input::{self, name_of};
use crate::transaction_json::TransactionJson;

/// The most that is read where one transaction is expected: with its payload in hexadecimal digits, and as JSON twice.
pub(crate) const ONE_BYTES_MAX: u64 = 5 * PAYLOAD_BYTES_MAX as u64;

/// How bytes write something down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Encoded,
    Hexadecimal,
    Json,
}

impl Form {
    /// The form of bytes that begin so. A text's fourth byte is above 1, and an encoding begins with a length of less than
    /// 2^25, so that none is taken for the other.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        if bytes.get(3).is_some_and(|byte| *byte <= 1) {
            return Self::Encoded;
        }
        let text = bytes.trim_ascii();
        match text {
            [b'{', ..] => Self::Json,
            [] => Self::Encoded,
            _ if text.iter().all(is_of_hexadecimal_text) => Self::Hexadecimal,
            _ => Self::Encoded,
        }
    }
}

fn is_of_hexadecimal_text(byte: &u8) -> bool {
    byte.is_ascii_hexdigit() || byte.is_ascii_whitespace()
}

/// The bytes that hexadecimal digits, with space between lines, stand for.
pub(crate) fn from_hexadecimal(text: &[u8]) -> std::result::Result<Vec<u8>, hex::FromHexError> {
    let digits = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    hex::decode(digits.copied().collect::<Vec<u8>>())
}

/// The transactions that bytes of any form hold.
pub(crate) fn decode(bytes: Vec<u8>) -> std::result::Result<Vec<Transaction>, Fault> {
    let malformed = |problem: String| Fault::new(Reason::Malformed, problem);
    let decoded = |bytes: Vec<u8>| {
        Transaction::decode_all(&Bytes::from(bytes)).map_err(|error| {
            let fault = fault_of(&error);
            let detail = format!("not a transaction: {}", fault.detail);
            Fault { detail, ..fault }
        })
    };
    match Form::of(&bytes) {
        Form::Encoded => decoded(bytes),
        Form::Hexadecimal => {
            let bytes = from_hexadecimal(&bytes).map_err(|error| malformed(error.to_string()))?;
            decoded(bytes)
        }
        Form::Json => {
            let documents = serde_json::Deserializer::from_slice(&bytes).into_iter();
            documents
                .map(|document: serde_json::Result<TransactionJson>| {
                    let document = document.map_err(|error| malformed(error.to_string()))?;
                    document.into_transaction().map_err(malformed)
                })
                .collect()
        }
    }
}

/// What an encoding that can't be read is rejected for.
pub(crate) fn fault_of(error: &DecodeError) -> Fault {
    let reason = match error.problem.is_version() {
        true => Reason::Version,
        false => Reason::Malformed,
    };
    Fault::new(reason, error.to_string())
}

/// The transactions of a file, which is not longer than `limit`.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<Transaction>> {
    let bytes = input::read(path, limit)?;
    decode(bytes).map_err(|fault| Failure::refused(in_file(path, fault)))
}

/// The fault with the file that it is in.
pub(crate) fn in_file(path: &Path, fault: Fault) -> Fault {
    let detail = format!("{}: {}", name_of(path), fault.detail);
    Fault { detail, ..fault }
}

/// The one transaction of a file.
pub(crate) fn read_one(path: &Path) -> Result<Transaction> {
    let mut found = read(path, ONE_BYTES_MAX)?;
    match (found.pop(), found.len()) {
        (Some(transaction), 0) => Ok(transaction),
        (last, others) => {
            let found = others + usize::from(last.is_some());
            let name = name_of(path);
            Err(Failure::message(format!(
                "{name}: {found} transactions, and one is expected"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart_by_the_first_bytes() {
        // The shortest and the longest encodings, the first of them with a length whose first byte is a brace.
        for encoded in [
            &[0x7b, 0, 0, 0, 1][..],
            &[0x30, 0x31, 0x32, 1, 2],
            b"",
            b"x",
        ] {
            assert_eq!(Form::of(encoded), Form::Encoded, "{encoded:?}");
        }
        for json in ["{}", "{\"a\":1}", "\n {\"a\": 1}", "{"] {
            assert_eq!(Form::of(json.as_bytes()), Form::Json, "{json}");
        }
        for digits in ["00", "7b000000 01\n", "\nABCDEF\n"] {
            assert_eq!(Form::of(digits.as_bytes()), Form::Hexadecimal, "{digits}");
        }
    }
}
