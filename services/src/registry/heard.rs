//! Which transactions say something to the registry.

use hubledger::codec::Reader;
use hubledger::format::FormatVersion;
use hubledger::model::{Kind, Operation, Transaction};
use hubledger::payload::{Leave, Payload};
use hubledger::spec::{ChainSpec, Identity};

use super::event::Said;
use super::payload::{Announce, Heartbeat, RegistryPayload};
use crate::payload::{Fields, Form, MEANING_BYTES_MAX};
use crate::view::Entry;

/// What a transaction comes to in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// Something that stays in the node's history.
    Said(Box<Said>),
    /// A sign of life.
    Heartbeat(Heartbeat),
}

/// Whether the chain keeps registrations itself under the specification in force: in version 2, unless its names belong to nobody.
#[must_use]
pub fn keeps_registrations(spec: &ChainSpec) -> bool {
    spec.version != FormatVersion::V1 && spec.rules.identity != Identity::Open
}

/// What a transaction says under the specification in force; `None` if that is nothing. O(1) for operations that nothing goes with.
pub(super) fn heard(spec: &ChainSpec, entry: &Entry<'_>) -> Option<Heard> {
    if !matches!(
        entry.operation(),
        Operation::NodeRegister
            | Operation::FederationJoin
            | Operation::NodeUpdate
            | Operation::FederationLeave
    ) {
        return None;
    }
    let transaction = entry.transaction();
    let is_kept = keeps_registrations(spec);
    if transaction.kind() != Kind::Native {
        return match is_kept {
            true => None,
            false => imported(transaction),
        };
    }
    let of_chain = match (entry.tag(), is_kept) {
        // The chain's own tags are below those of services.
        (Some(_), _) => None,
        (None, true) => Payload::said_in(spec, transaction),
        (None, false) => Payload::of(transaction, true),
    };
    if let Some(said) = of_chain.filter(changes_its_sender) {
        return Some(Heard::Said(Box::new(Said::Chain(said))));
    }
    match RegistryPayload::of(entry) {
        Some(said) => of_registry(said, is_kept),
        None if is_kept => None,
        None => unnamed(entry.operation(), entry.fields()),
    }
}

/// Whether a transaction registers its sender, in any chain that lets it.
pub(super) fn registers(transaction: &Transaction) -> bool {
    let said = match transaction.kind() {
        Kind::Native => {
            let fields = Fields::read(transaction.payload());
            match Payload::of(transaction, true) {
                Some(said) => Some(Heard::Said(Box::new(Said::Chain(said)))),
                None => match RegistryPayload::decode(transaction.payload()) {
                    Ok(said) => of_registry(said, false),
                    Err(_) => in_json(transaction.operation(), fields.as_ref()),
                },
            }
        }
        Kind::Mpreg => imported(transaction),
    };
    let Some(Heard::Said(said)) = said else {
        return false;
    };
    let joins = [Operation::NodeRegister, Operation::FederationJoin];
    said.registers() && joins.contains(&transaction.operation())
}

const fn changes_its_sender(said: &Payload) -> bool {
    matches!(
        said,
        Payload::Register(_)
            | Payload::Rotate(_)
            | Payload::Revoke(_)
            | Payload::Recover(_)
            | Payload::Leave(_)
    )
}

fn of_registry(said: RegistryPayload, is_kept: bool) -> Option<Heard> {
    match said {
        RegistryPayload::Heartbeat(heartbeat) => Some(Heard::Heartbeat(heartbeat)),
        RegistryPayload::Announce(_) if is_kept => None,
        said => Some(Heard::Said(Box::new(Said::Registry(said)))),
    }
}

/// What MPREG's hubs say by the operation alone, where no field `action` says it.
fn unnamed(operation: Operation, fields: Option<&Fields>) -> Option<Heard> {
    if fields.is_some_and(|fields| fields.has("action")) {
        return None;
    }
    let said = match operation {
        Operation::FederationLeave => Said::Chain(Payload::Leave(Leave)),
        Operation::NodeRegister | Operation::FederationJoin => {
            // With keys it would have been a registration. Bad keys don't make a node without any.
            let fields =
                fields.filter(|fields| !fields.has("public_key") && !fields.has("public_keys"))?;
            Said::Registry(RegistryPayload::Announce(Announce::from_fields(fields)?))
        }
        Operation::NodeUpdate => {
            let update = super::UpdateProfile::from_fields(fields?)?;
            if update == super::UpdateProfile::default() {
                return None;
            }
            Said::Registry(RegistryPayload::UpdateProfile(update))
        }
        _ => return None,
    };
    Some(Heard::Said(Box::new(said)))
}

/// The same of a transaction of an imported chain, whose payload is within that of the record.
fn imported(transaction: &Transaction) -> Option<Heard> {
    let payload = original_payload(transaction)?;
    if let Some(said) =
        Payload::from_json(transaction.operation(), payload).filter(changes_its_sender)
    {
        return Some(Heard::Said(Box::new(Said::Chain(said))));
    }
    in_json(transaction.operation(), Fields::read(payload).as_ref())
}

/// What JSON says in a chain that keeps no registrations.
fn in_json(operation: Operation, fields: Option<&Fields>) -> Option<Heard> {
    match fields.and_then(RegistryPayload::from_fields) {
        Some(said) if said.operations().contains(&operation) => of_registry(said, false),
        Some(_) => None,
        None => unnamed(operation, fields),
    }
}

/// What the original transaction said (`FORMAT.md`, "Imported from MPREG").
fn original_payload(transaction: &Transaction) -> Option<&[u8]> {
    let mut reader = Reader::new(transaction.payload());
    for field in ["transaction_id", "timestamp", "fee", "nonce"] {
        reader.text(field, MEANING_BYTES_MAX).ok()?;
    }
    reader.bytes("payload", MEANING_BYTES_MAX).ok()
}
