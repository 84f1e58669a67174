//! Receipts as JSON, with the JSON form of proofs inside.

use hubledger::model::Transaction;
use hubledger::proof::Proof;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::receipt::{PARTS_MAX, Part, RECEIPT_BYTES_MAX, Receipt, VERSION};

/// The JSON form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    receipt: u8,
    parts: Vec<DocumentPart>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentPart {
    transaction: String,
    proof: Value,
}

impl Receipt {
    /// The JSON form, with hexadecimal for bytes.
    #[must_use]
    pub fn to_json(&self) -> String {
        let parts = self.parts.iter().map(|part| DocumentPart {
            transaction: hex::encode(part.transaction.bytes()),
            proof: serde_json::from_str(&Proof::Transaction(part.proof.clone()).to_json())
                .unwrap_or_default(),
        });
        let document = Document {
            receipt: VERSION,
            parts: parts.collect(),
        };
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// A message that says what is wrong, for anything but what [`Receipt::to_json`] can write.
    pub fn from_json(text: &str) -> Result<Self, String> {
        if text.len() > 4 * RECEIPT_BYTES_MAX {
            return Err("it is too long".to_owned());
        }
        let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if document.receipt != VERSION || document.parts.len() > PARTS_MAX {
            return Err("another version, or too many parts".to_owned());
        }
        let parts = document.parts.into_iter().map(|part| {
            let bytes = hex::decode(&part.transaction).map_err(|error| error.to_string())?;
            if hex::encode(&bytes) != part.transaction {
                return Err("hexadecimal digits have to be lower-case".to_owned());
            }
            let transaction = Transaction::decode(bytes.into());
            match Proof::from_json(&part.proof.to_string())? {
                Proof::Transaction(proof) => Ok(Part {
                    transaction: transaction.map_err(|error| error.to_string())?,
                    proof,
                }),
                _ => Err("not the proof of a transaction".to_owned()),
            }
        });
        Ok(Self {
            parts: parts.collect::<Result<_, String>>()?,
        })
    }
}
