//! Blocks, transactions, proofs and specifications as JSON.

use hubledger::ledger::{Located, LostPart, Missing};
use hubledger::model::{Block, Header, Kind, Scheme, Seal, Transaction};
use hubledger::original::Original;
use hubledger::payload::Payload;
use hubledger::proof::Proof;
use hubledger::spec::{Authority, ChainSpec};
use serde_json::{Value, json};

use crate::rows;
use crate::transaction_json::{FORMAT, IMPORTED, NATIVE};

/// The most ranges of a part that a report lists, as many as damaged places in a check's.
const RANGES_LISTED_MAX: usize = hubledger_storage::DAMAGE_LISTED_MAX;

pub(crate) fn header(header: &Header) -> Value {
    let mut value = json!({ "hash": header.hash(), "height": header.height });
    if let (Value::Object(all), Ok(Value::Object(fields))) =
        (&mut value, serde_json::to_value(&**header))
    {
        all.extend(fields);
    }
    value
}

/// Puts the fields of one object behind those of another.
pub(crate) fn extend(value: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (value, more) {
        fields.extend(more);
    }
}

/// A block of a chain of this specification, where that is known.
pub(crate) fn block(block: &Block, spec: Option<&ChainSpec>) -> Value {
    let spec = spec.map(|spec| spec.at(block.height()));
    let transactions = block.transactions().iter();
    let mut value = header(block.header());
    value["seal"] = seal(block.seal());
    value["transactions"] = transactions.map(|one| transaction(one, spec)).collect();
    value
}

pub(crate) fn placed(placed: &Located, spec: &ChainSpec) -> Value {
    let spec = spec.at(placed.height);
    let mut value = transaction(placed.transaction(), Some(spec));
    value["height"] = placed.height.into();
    value["index"] = placed.index.into();
    value["block"] = json!(placed.header.hash());
    value
}

/// Members of a height, in turn order.
pub(crate) fn members(members: &[Authority]) -> Value {
    let members = members.iter();
    let member = |one: &Authority| json!({ "name": one.name, "key": one.key.to_string(), "weight": one.weight });
    members.map(member).collect()
}

/// Which parts of which blocks are missing: for each part the ranges, first and last height.
pub(crate) fn missing(missing: &Missing) -> Value {
    let parts = LostPart::ALL.into_iter().filter_map(|part| {
        let ranges = missing.ranges(part);
        let listed: Vec<_> = ranges
            .iter()
            .take(RANGES_LISTED_MAX)
            .map(|range| json!([range.start, range.end - 1]))
            .collect();
        let unlisted = ranges.len() - listed.len();
        let mut value = json!({ "blocks": missing.count(part), "ranges": listed });
        if unlisted > 0 {
            value["ranges_unlisted"] = unlisted.into();
        }
        (!ranges.is_empty()).then(|| (part.word().to_owned(), value))
    });
    Value::Object(parts.collect())
}

fn seal(seal: &Seal) -> Value {
    match seal {
        Seal::None => Value::Null,
        Seal::Authority { key, signature } => {
            json!({ "kind": "authority", "key": key, "signature": signature })
        }
        Seal::Original(original) => json!({ "kind": "mpreg", "original": original }),
        Seal::Quorum(quorum) => {
            let mut value = json!({ "kind": "quorum" });
            extend(&mut value, json!(quorum));
            value
        }
        Seal::Work => json!({ "kind": "work" }),
    }
}

/// A transaction; by the specification in force where it is, if that is known, with what it says to the chain.
fn transaction(transaction: &Transaction, spec: Option<&ChainSpec>) -> Value {
    let imported = transaction.kind() == Kind::Mpreg;
    let mut value = json!({
        "id": transaction.id(),
        "kind": if imported { IMPORTED } else { NATIVE },
        "chain": transaction.chain(),
        "sender": transaction.sender(),
        "receiver": transaction.receiver(),
        "operation": transaction.operation().word(),
        "amount": transaction.amount(),
        "timestamp": transaction.timestamp(),
        "expiry": transaction.expiry(),
        "fee": transaction.fee(),
        "nonce": transaction.nonce(),
        "payload": hex::encode(transaction.payload()),
        "witnesses": witnesses(transaction),
    });
    if let Some(meaning) = meaning(transaction, spec) {
        value["meaning"] = meaning;
    }
    if imported && let Ok(original) = Original::decode(transaction.payload()) {
        let mut signed = Vec::new();
        original.put_signing_bytes(transaction, &mut signed);
        value["original"] = json!({
            "transaction_id": original.transaction_id,
            "timestamp": original.timestamp,
            "fee": original.fee,
            "nonce": original.nonce,
            "payload": hex::encode(original.payload),
            "signing_bytes": hex::encode(signed),
        });
    }
    value
}

/// A transaction alone, as a document that says what it is.
pub(crate) fn transaction_document(one: &Transaction, spec: Option<&ChainSpec>) -> Value {
    let mut value = json!({ "format": FORMAT });
    extend(&mut value, transaction(one, spec));
    value
}

/// What a payload says to the chain itself. Without a specification that is what canonical bytes say: only the chain
/// tells whether JSON counts.
fn meaning(transaction: &Transaction, spec: Option<&ChainSpec>) -> Option<Value> {
    if transaction.kind() != Kind::Native {
        return None;
    }
    let payload = match spec {
        Some(spec) => Payload::said_in(spec, transaction)?,
        None => Payload::of(transaction, false)?,
    };
    serde_json::from_str(&payload.to_json()).ok()
}

/// A proof with its headers read, and its row.
pub(crate) fn proof(proof: &Proof) -> Value {
    let mut value = json!({ "format": "proof" });
    if let Ok(fields) = serde_json::from_str(&proof.to_json()) {
        extend(&mut value, fields);
    }
    for field in ["head", "header", "old", "new"] {
        let digits = value[field]
            .as_str()
            .and_then(|text| hex::decode(text).ok());
        let found = digits.and_then(|bytes| Header::decode(bytes.into()).ok());
        if let Some(found) = found {
            value[field] = header(&found);
        }
    }
    if let Proof::State(proof) = proof {
        let (table, key) = proof.row();
        value["says"] = rows::row(table, key, proof.value());
    }
    value
}

/// A specification as its TOML text has it.
pub(crate) fn specification(spec: &ChainSpec, contradictions: Value) -> Value {
    json!({
        "format": "specification",
        "chain": spec.id(),
        "genesis": spec.genesis().hash(),
        "contradictions": contradictions,
        "fields": **spec,
    })
}

/// Every witness with whether its signature verifies, checked now.
fn witnesses(transaction: &Transaction) -> Value {
    let mut original_message = Vec::new();
    if let Ok(original) = Original::decode(transaction.payload()) {
        original.put_signing_bytes(transaction, &mut original_message);
    }
    let native_message = transaction.signed_message();
    transaction
        .witnesses()
        .map(|witness| {
            let (scheme, message) = match witness.scheme {
                Scheme::Native => (NATIVE, native_message.as_slice()),
                Scheme::Mpreg => (IMPORTED, original_message.as_slice()),
            };
            let verifies =
                hubledger::signature::verify(&witness.key, message, &witness.signature).is_ok();
            json!({
                "scheme": scheme,
                "key": witness.key,
                "signature": witness.signature,
                "verifies": verifies,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use hubledger::model::QuorumSeal;
    use hubledger::signature::Signature;

    use super::*;

    #[test]
    fn a_seal_of_a_quorum_names_its_signers_by_place() -> anyhow::Result<()> {
        let signed = [1, 8].map(|place| (place, Signature::from_bytes([place as u8; 64])));
        let quorum = QuorumSeal::new(3, signed)?;
        let expected = json!({
            "kind": "quorum",
            "round": 3,
            "signers": [1, 8],
            "signatures": ["01".repeat(64), "08".repeat(64)],
        });
        assert_eq!(seal(&Seal::Quorum(quorum)), expected);
        assert_eq!(seal(&Seal::Work), json!({ "kind": "work" }));
        Ok(())
    }
}
