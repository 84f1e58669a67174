//! What is needed to check a record that was imported from MPREG, the Python system: what a transaction keeps of its original and
//! the bytes that the original's signature is over, MPREG's numbers and Merkle trees, and the digest of a record. Reading
//! MPREG's own stores is the package `hubledger-mpreg`.

pub mod hexadecimal;
pub mod merkle;
mod number;
pub mod record;

pub use self::number::{MAX_INTEGER_DIGITS, Number, NumberError};
use crate::format::codec::{self, DecodeError, DecodeProblem, FieldError, Reader};
use crate::format::digest::sha256;
use crate::format::model::{Operation, PAYLOAD_BYTES_MAX, Transaction};

const ID_TAG: &[u8] = b"hubledger/mpreg/id/v1";

/// The payload of an imported transaction: the original's fields that the native body can't hold as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original<'a> {
    /// MPREG's id: any text that isn't empty.
    pub transaction_id: &'a str,
    /// The timestamp as Python prints it.
    pub timestamp: &'a str,
    /// The fee as Python prints it.
    pub fee: &'a str,
    /// The nonce as Python prints it.
    pub nonce: &'a str,
    /// The original payload.
    pub payload: &'a [u8],
}

impl<'a> Original<'a> {
    /// The longest text among the fields, in bytes: Python prints no integer of more than 4,300 digits.
    pub const TEXT_BYTES_MAX: usize = 8 * 1024;

    /// The canonical encoding: the imported transaction's payload.
    ///
    /// # Errors
    /// An empty id, or a field over its limit.
    pub fn encode(&self) -> Result<Vec<u8>, FieldError> {
        if self.transaction_id.is_empty() {
            return Err(FieldError::new("transaction_id", "can't be empty"));
        }
        let mut out = Vec::new();
        for (field, text) in self.texts() {
            FieldError::check_length(field, text.len(), Self::TEXT_BYTES_MAX)?;
            codec::put_bytes(&mut out, text.as_bytes());
        }
        FieldError::check_length("payload", self.payload.len(), PAYLOAD_BYTES_MAX)?;
        codec::put_bytes(&mut out, self.payload);
        FieldError::check_length("payload", out.len(), PAYLOAD_BYTES_MAX)?;
        Ok(out)
    }

    /// Reads an imported transaction's payload.
    ///
    /// # Errors
    /// Anything but the canonical encoding.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let start = reader.clone();
        let original = Self {
            transaction_id: reader.text("transaction_id", Self::TEXT_BYTES_MAX)?,
            timestamp: reader.text("timestamp", Self::TEXT_BYTES_MAX)?,
            fee: reader.text("fee", Self::TEXT_BYTES_MAX)?,
            nonce: reader.text("nonce", Self::TEXT_BYTES_MAX)?,
            payload: reader.bytes("payload", PAYLOAD_BYTES_MAX)?,
        };
        if original.transaction_id.is_empty() {
            return Err(start.error("transaction_id", DecodeProblem::Value("can't be empty")));
        }
        reader.finish("payload")?;
        Ok(original)
    }

    /// Appends the bytes that MPREG signs: `key=value` sorted by key, joined with colons.
    pub fn put_signing_bytes(&self, imported: &Transaction, out: &mut Vec<u8>) {
        let operation: Operation = imported.operation();
        let payload = hex::encode(self.payload);
        let fields = [
            ("fee=", self.fee),
            (":nonce=", self.nonce),
            (":operation_type=", operation.word()),
            (":payload=", &payload),
            (":receiver=", imported.receiver()),
            (":sender=", imported.sender()),
            (":timestamp=", self.timestamp),
            (":transaction_id=", self.transaction_id),
        ];
        for (key, value) in fields {
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(value.as_bytes());
        }
    }

    /// The key under which a store finds the transaction with this original id.
    #[must_use]
    pub fn index_key(transaction_id: &str) -> [u8; 32] {
        sha256(&[ID_TAG, transaction_id.as_bytes()])
    }

    fn texts(&self) -> [(&'static str, &'a str); 4] {
        [
            ("transaction_id", self.transaction_id),
            ("timestamp", self.timestamp),
            ("fee", self.fee),
            ("nonce", self.nonce),
        ]
    }
}

/// The largest whole number of microseconds that a double holds exactly; later times are refused.
const MICROS_MAX: f64 = 9_007_199_254_740_992.0;

/// `seconds` in microseconds, to the nearest one; `None` before 1970 or after about the year 2255.
#[must_use]
pub fn micros(seconds: &Number) -> Option<u64> {
    let micros = (seconds.to_f64() * 1e6).round();
    (0.0..=MICROS_MAX)
        .contains(&micros)
        .then_some(micros as u64)
}
