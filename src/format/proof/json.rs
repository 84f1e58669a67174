//! The JSON form of proofs: the fields of the encoding, with lower-case hexadecimal for bytes and hashes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{ExtensionProof, Proof, StateProof, TransactionProof};
use crate::format::digest::{Digest, TransactionId};
use crate::format::model::Header;
use crate::format::sparse::{self, Path, PathEnd};

const TRANSACTION: &str = "transaction";
const EXTENSION: &str = "extension";
const STATE: &str = "state";

/// Which proof it is; the rest is read once that is known.
#[derive(Deserialize)]
struct KindJson {
    proof: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TransactionJson {
    proof: String,
    version: u8,
    head: Hex,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<Digest>>,
    index: u32,
    id: TransactionId,
    witness: Hex,
    path: Vec<Digest>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtensionJson {
    proof: String,
    version: u8,
    old: Hex,
    new: Hex,
    consistency: Vec<Digest>,
    inclusion: Vec<Digest>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateJson {
    proof: String,
    version: u8,
    head: Hex,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<Digest>>,
    table: u8,
    key: Hex,
    path: Vec<Digest>,
    /// Of a row that is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Hex>,
    /// Of one that isn't: where it would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Digest>,
    /// Of one that isn't, where another is the only one with that beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<OtherJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherJson {
    place: Digest,
    value_hash: Digest,
}

/// Bytes as lower-case hexadecimal.
struct Hex(Bytes);

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // `hex` reads both cases; the same proof would have several texts.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(serde::de::Error::custom(
                "hexadecimal digits are lower case",
            ));
        }
        Ok(Self(
            hex::decode(&text).map_err(serde::de::Error::custom)?.into(),
        ))
    }
}

pub(super) fn to_json(proof: &Proof) -> String {
    let hex = |header: &Header| Hex(header.bytes().clone());
    let json = match proof {
        Proof::Transaction(proof) => serde_json::to_string_pretty(&TransactionJson {
            proof: TRANSACTION.to_owned(),
            version: super::VERSION,
            head: hex(&proof.head),
            header: proof.later.as_ref().map(|(header, _)| hex(header)),
            history: proof.later.as_ref().map(|(_, history)| history.clone()),
            index: proof.index,
            id: proof.id,
            witness: Hex(proof.witness.clone()),
            path: proof.path.clone(),
        }),
        Proof::Extension(proof) => serde_json::to_string_pretty(&ExtensionJson {
            proof: EXTENSION.to_owned(),
            version: super::VERSION,
            old: hex(&proof.old),
            new: hex(&proof.new),
            consistency: proof.consistency.clone(),
            inclusion: proof.inclusion.clone(),
        }),
        Proof::State(proof) => serde_json::to_string_pretty(&StateJson {
            proof: STATE.to_owned(),
            version: super::VERSION,
            head: hex(&proof.head),
            header: proof.later.as_ref().map(|(header, _)| hex(header)),
            history: proof.later.as_ref().map(|(_, history)| history.clone()),
            table: proof.table,
            key: Hex(proof.key.clone()),
            path: proof.path.siblings.clone(),
            value: proof.value.clone().map(Hex),
            place: match proof.value {
                Some(_) => None,
                None => Some(sparse::place(proof.table, &proof.key)),
            },
            other: match proof.path.end {
                PathEnd::Other { place, value } => Some(OtherJson {
                    place,
                    value_hash: value,
                }),
                PathEnd::Present | PathEnd::Empty => None,
            },
        }),
    };
    json.expect("strings, numbers and lists have a JSON form")
}

pub(super) fn from_json(text: &str) -> Result<Proof, String> {
    let kind: KindJson = read(text)?;
    let proof = match kind.proof.as_str() {
        TRANSACTION => Proof::Transaction(transaction(read(text)?)?),
        EXTENSION => Proof::Extension(extension(read(text)?)?),
        STATE => Proof::State(state(read(text)?)?),
        other => return Err(format!("{other:?} is not a kind of proof")),
    };
    // Through the one encoding, so that both forms accept the same proofs.
    Proof::decode(&proof.encode().into()).map_err(|error| error.to_string())
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn later(
    block: Option<Hex>,
    history: Option<Vec<Digest>>,
) -> Result<Option<(Header, Vec<Digest>)>, String> {
    match (block, history) {
        (Some(hex), Some(history)) => Ok(Some((header(hex)?, history))),
        (None, None) => Ok(None),
        _ => Err("`header` and `history` go together".to_owned()),
    }
}

fn state(json: StateJson) -> Result<StateProof, String> {
    check_version(json.version)?;
    let place = match json.value {
        Some(_) => None,
        None => Some(sparse::place(json.table, &json.key.0)),
    };
    if json.place != place {
        return Err("`place` is that of a key that is absent, and stands with no other".to_owned());
    }
    let end = match (&json.value, json.other) {
        (Some(_), None) => PathEnd::Present,
        (None, None) => PathEnd::Empty,
        (None, Some(other)) => PathEnd::Other {
            place: other.place,
            value: other.value_hash,
        },
        (Some(_), Some(_)) => {
            return Err("a row has a `value`, or an `other` is in its place".to_owned());
        }
    };
    Ok(StateProof {
        head: header(json.head)?,
        later: later(json.header, json.history)?,
        table: json.table,
        key: json.key.0,
        value: json.value.map(|value| value.0),
        path: Path {
            siblings: json.path,
            end,
        },
    })
}

fn transaction(json: TransactionJson) -> Result<TransactionProof, String> {
    check_version(json.version)?;
    Ok(TransactionProof {
        head: header(json.head)?,
        later: later(json.header, json.history)?,
        index: json.index,
        id: json.id,
        witness: json.witness.0,
        path: json.path,
    })
}

fn extension(json: ExtensionJson) -> Result<ExtensionProof, String> {
    check_version(json.version)?;
    Ok(ExtensionProof {
        old: header(json.old)?,
        new: header(json.new)?,
        consistency: json.consistency,
        inclusion: json.inclusion,
    })
}

fn header(hex: Hex) -> Result<Header, String> {
    Header::decode(hex.0).map_err(|error| error.to_string())
}

fn check_version(version: u8) -> Result<(), String> {
    match version {
        super::VERSION => Ok(()),
        _ => Err(format!("version {version} is not known")),
    }
}
