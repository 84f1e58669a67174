//! Transactions whose payload says something to the chain itself.

use hubledger::model::Operation;
use hubledger::payload::{KeySet, Payload};
use hubledger::signature::PublicKey;
use hubledger::spec::ChainSpec;

use super::author::Author;
use super::read_key;
use crate::args::{KeyName, Saying};
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::transaction_json::TransactionJson;

/// What is to be said.
pub(super) struct Said {
    pub(super) operation: Operation,
    pub(super) payload: Payload,
    /// Whom it is about, if that isn't the sender.
    pub(super) about: Option<String>,
}

impl Said {
    /// In the first operation that goes with the payload, about the sender itself.
    pub(super) fn of(payload: Payload) -> Self {
        Self {
            operation: payload.operations()[0],
            payload,
            about: None,
        }
    }
}

/// Makes the transaction, and gives it out.
pub(super) fn say(options: &Saying, said: Said, author: &Author<'_>, output: &Output) -> Result {
    let Said {
        operation,
        payload,
        about,
    } = said;
    let canonical = payload.encode();
    Payload::decode(&canonical).map_err(|error| Failure::message(format!("payload: {error}")))?;
    let bytes = match options.json_payload {
        true => payload.to_json().into_bytes(),
        false => canonical,
    };
    let sender = author.sender(None)?;
    let mut fields = TransactionJson::default();
    fields.operation = Some(operation);
    fields.payload = Some(bytes);
    let receiver = options.receiver.clone().or(about);
    fields.receiver = Some(receiver.unwrap_or_else(|| sender.clone()));
    fields.sender = Some(sender);
    let transaction = author.signed(fields)?;
    let heard = match author.spec() {
        Some(spec) => Payload::said_in(spec, &transaction),
        None => Payload::of(&transaction, options.json_payload),
    };
    if heard != Some(payload) {
        let why = why_unheard(author.spec(), options.json_payload);
        return Err(Failure::message(format!("payload: {why}")));
    }
    author.give_out(&transaction, output)
}

/// Why a chain would keep a payload and make nothing of it.
fn why_unheard(spec: Option<&ChainSpec>, is_json: bool) -> &'static str {
    match spec {
        Some(spec) if is_json && !spec.terms.payload_json => {
            "in this chain JSON says nothing (payload_json is false); leave --json-payload out"
        }
        Some(_) => {
            "in this chain payloads say nothing: its specification is of version 1, or its names belong to nobody (rules.identity is open)"
        }
        None => "longer in this form than what has a meaning",
    }
}

/// The keys that are named.
pub(super) fn public_keys(names: &[KeyName]) -> Result<Vec<PublicKey>> {
    let keys = names.iter().map(|name| match name {
        KeyName::Key(key) => Ok(*key),
        KeyName::File(path) => Ok(read_key(path)?.public_key()),
    });
    keys.collect()
}

/// A set of keys, of which all have to sign if nothing else is said.
pub(super) fn key_set(keys: Vec<PublicKey>, threshold: Option<u8>) -> Result<KeySet> {
    // More than a byte counts are refused for their number.
    let all = u8::try_from(keys.len()).unwrap_or(u8::MAX);
    Ok(KeySet::new(threshold.unwrap_or(all), keys)?)
}
