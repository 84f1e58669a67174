//! Rows of the state as JSON: of each table what its keys and values say. Heights that aren't known yet are null.

use hubledger::codec::{DecodeError, NAME_BYTES_MAX, Reader};
use hubledger::evidence::Evidence;
use hubledger::payload::KeySet;
use hubledger::proof::ProvenRow;
use hubledger::spec::Parameter;
use hubledger::state::tables::{
    Attestation, Attestations, Change, CheckpointRow, CheckpointRows, Commitment, Commitments,
    Conviction, Convictions, ParameterRow, Parameters, Pool, Pools, Proposal, Proposals,
    Registration, Registrations, SeedRow, SeedRows, Shares, Table, Tenure, Tenures, TurnRows,
    Turns, WorkRow, WorkRows,
};
use hubledger::state::{Account, Speaker, TABLE_ACCOUNTS};
use serde_json::{Value, json};

use crate::describe::extend;

/// What a proof establishes: the row, and after which block that is so.
pub(crate) fn proven(proven: &ProvenRow) -> Value {
    let mut about = json!({
        "height": proven.height,
        "block": proven.block,
        "timestamp": proven.timestamp,
    });
    extend(
        &mut about,
        row(proven.table, &proven.key, proven.value.as_deref()),
    );
    about
}

/// What a row says; `value` is none where there is no such row. Bytes that say nothing are given as they are.
pub(crate) fn row(table: u8, key: &[u8], value: Option<&[u8]>) -> Value {
    let mut about = json!({ "table": table, "present": value.is_some() });
    let said = match table {
        TABLE_ACCOUNTS => account_row(key, value),
        Registrations::NUMBER => {
            let subject = name(key).map(|name| json!({ "row": "registration", "name": name }));
            said::<Registrations>(subject, value, registration)
        }
        Tenures::NUMBER => said::<Tenures>(tenure_subject(key), value, tenure),
        Attestations::NUMBER => {
            said::<Attestations>(attestation_subject(key).ok(), value, attestation)
        }
        Parameters::NUMBER => said::<Parameters>(parameter_subject(key), value, parameter),
        Proposals::NUMBER => {
            let subject = name(key).map(|name| json!({ "row": "proposal", "proposer": name }));
            said::<Proposals>(subject, value, proposal)
        }
        Pools::NUMBER => said::<Pools>(pool_subject(key), value, pool),
        Shares::NUMBER => said::<Shares>(
            shares_subject(key),
            value,
            |shares| json!({ "shares": shares }),
        ),
        TurnRows::NUMBER => said::<TurnRows>(turns_subject(key), value, turns),
        WorkRows::NUMBER => said::<WorkRows>(work_subject(key), value, work),
        CheckpointRows::NUMBER => {
            said::<CheckpointRows>(checkpoint_subject(key), value, checkpoint)
        }
        SeedRows::NUMBER => said::<SeedRows>(seed_subject(key), value, seed),
        Convictions::NUMBER => said::<Convictions>(conviction_subject(key), value, conviction),
        Commitments::NUMBER => {
            let subject = name(key).map(|name| json!({ "row": "commitment", "name": name }));
            said::<Commitments>(subject, value, commitment)
        }
        _ => None,
    };
    let as_bytes = || json!({ "key": hex::encode(key), "value": value.map(hex::encode) });
    extend(&mut about, said.unwrap_or_else(as_bytes));
    about
}

/// The fields of a row about `subject`; nothing if key or value are none of this table.
fn said<T: Table>(
    subject: Option<Value>,
    value: Option<&[u8]>,
    fields: fn(&T::Value) -> Value,
) -> Option<Value> {
    let mut about = subject?;
    if let Some(bytes) = value {
        extend(&mut about, fields(&T::decode(bytes).ok()?));
    }
    Some(about)
}

fn account_row(key: &[u8], value: Option<&[u8]>) -> Option<Value> {
    let mut about = json!({ "row": "account", "account": name(key)? });
    if let Some(bytes) = value {
        let account = Account::decode(bytes).ok()?;
        about["nonce"] = account.nonce.into();
        about["balance"] = account.balance.into();
        about["keys"] = json!(account.keys());
        about["registered"] = account.is_registered().into();
    }
    Some(about)
}

/// The word for who speaks for a name.
pub(crate) const fn speaker(speaker: &Speaker) -> &'static str {
    match speaker {
        Speaker::Open => "open",
        Speaker::Keys(_) => "keys",
        Speaker::Registered | Speaker::RegisteredKeys(..) => "registration",
    }
}

pub(crate) fn registration(one: &Registration) -> Value {
    json!({
        "standing": one.standing.word(),
        "member": one.is_member,
        "since": one.since,
        "stake": one.stake,
        "recovery": one.recovery.as_ref().map(key_set),
        "tenures": one.tenures,
        "latest": tenure(&one.latest),
        "before": one.before.as_ref().map(tenure),
    })
}

pub(crate) fn tenure(one: &Tenure) -> Value {
    let mut value = json!({ "from": one.from, "until": known(one.until) });
    extend(&mut value, key_set(&one.keys));
    value
}

pub(crate) fn key_set(set: &KeySet) -> Value {
    json!({ "threshold": set.threshold(), "keys": set.keys() })
}

fn attestation(one: &Attestation) -> Value {
    json!({ "keys": one.keys, "since": one.since, "until": known(one.expiry) })
}

fn parameter(row: &ParameterRow) -> Value {
    match row {
        ParameterRow::Last(from) => json!({ "last_from": from }),
        ParameterRow::Change(_, one) => change(one),
    }
}

/// A value of a parameter without its first height, which is in the row's key.
pub(crate) fn change(one: &Change) -> Value {
    json!({
        "until": known(one.until),
        "value": one.value.to_json(),
        "before_from": known(one.before),
    })
}

pub(crate) fn proposal(one: &Proposal) -> Value {
    json!({
        "proposal": one.id,
        "parameter": one.parameter.word(),
        "value": one.value.to_json(),
        "effective": one.effective,
        "approvals": one.approvals,
    })
}

/// What is put up behind a name.
pub(crate) fn pool(one: &Pool) -> Value {
    let mut about = json!({ "tokens": one.tokens, "shares": one.shares });
    if let Some(bond) = &one.bond {
        about["seal_key"] = bond.key.to_string().into();
        about["releases"] = json!(bond.releases);
    }
    about
}

fn pool_subject(key: &[u8]) -> Option<Value> {
    let (name, boundary) = Pools::parts(key)?;
    Some(json!({ "row": "pool", "name": name, "boundary": known(boundary) }))
}

fn shares_subject(key: &[u8]) -> Option<Value> {
    let (holder, name, boundary) = Shares::parts(key)?;
    Some(json!({ "row": "shares", "holder": holder, "name": name, "boundary": known(boundary) }))
}

fn turns_subject(key: &[u8]) -> Option<Value> {
    (key == TurnRows::KEY).then(|| json!({ "row": "turns" }))
}

fn turns(one: &Turns) -> Value {
    json!({ "at": one.height, "priorities": one.priorities })
}

fn work_subject(key: &[u8]) -> Option<Value> {
    match key {
        WorkRows::LAST => Some(json!({ "row": "work" })),
        slot => {
            let slot = u32::from_be_bytes(slot.try_into().ok()?);
            Some(json!({ "row": "block_time", "slot": slot }))
        }
    }
}

fn work(one: &WorkRow) -> Value {
    match one {
        WorkRow::Last {
            first: (height, time),
            difficulty,
        } => json!({ "first_height": height, "first_time": time, "difficulty": difficulty }),
        WorkRow::Time(time) => json!({ "time": time }),
    }
}

fn checkpoint_subject(key: &[u8]) -> Option<Value> {
    if key == CheckpointRows::last_key() {
        return Some(json!({ "row": "last_checkpoint" }));
    }
    let height = u64::from_be_bytes(key.try_into().ok()?);
    Some(json!({ "row": "checkpoint", "at": height }))
}

fn checkpoint(one: &CheckpointRow) -> Value {
    match one {
        CheckpointRow::Certified(height) => json!({ "certified": height }),
        CheckpointRow::Block(hash) => json!({ "hash": hash }),
    }
}

fn seed_subject(key: &[u8]) -> Option<Value> {
    if key == SeedRows::COLLECTED {
        return Some(json!({ "row": "collected_seed" }));
    }
    let epoch = u64::from_be_bytes(key.try_into().ok()?);
    Some(json!({ "row": "seed", "epoch": epoch }))
}

fn seed(one: &SeedRow) -> Value {
    match one {
        SeedRow::Seed(seed) => json!({ "seed": seed }),
        SeedRow::Collected(epoch, collected) => {
            json!({ "collecting": epoch, "collected": collected })
        }
    }
}

fn commitment(one: &Commitment) -> Value {
    json!({
        "layer": one.layer,
        "since_epoch": one.since,
        "layer_before": one.before,
        "last_reveal": Some(one.revealed).filter(|height| *height > 0),
    })
}

fn conviction_subject(key: &[u8]) -> Option<Value> {
    let (name, kind, height, round) = Convictions::parts(key)?;
    Some(json!({
        "row": "conviction",
        "name": name,
        "fault": Evidence::word_of(kind).map_or_else(|| json!(kind), Value::from),
        "fault_height": height,
        "round": round,
    }))
}

fn conviction(one: &Conviction) -> Value {
    json!({ "since": one.since, "basis_points": one.basis_points, "by": one.by })
}

/// A height; 0 stands for one that isn't known, or for none.
fn known(height: u64) -> Option<u64> {
    (height > 0).then_some(height)
}

fn name(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key).ok()
}

fn tenure_subject(key: &[u8]) -> Option<Value> {
    let (number, rest) = key.split_first_chunk()?;
    let number = u32::from_be_bytes(*number);
    Some(json!({ "row": "tenure", "name": name(rest)?, "number": number }))
}

fn attestation_subject(key: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(key);
    let subject = reader.text("subject", NAME_BYTES_MAX)?;
    let attester = reader.text("attester", NAME_BYTES_MAX)?;
    let purpose = String::from_utf8_lossy(&key[reader.position()..]);
    Ok(
        json!({ "row": "attestation", "subject": subject, "attester": attester, "purpose": purpose }),
    )
}

fn parameter_subject(key: &[u8]) -> Option<Value> {
    let (number, from) = key.split_first()?;
    let mut about =
        json!({ "row": "parameter", "parameter": Parameter::from_number(*number)?.word() });
    if !from.is_empty() {
        about["from"] = u64::from_be_bytes(from.try_into().ok()?).into();
    }
    Some(about)
}

#[cfg(test)]
mod tests;
