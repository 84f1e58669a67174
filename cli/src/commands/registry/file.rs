//! `registry import` and `registry compare`: a registry in a file beside that of a chain.

use std::path::Path;

use hubledger::model::{Operation, Transaction};
use hubledger::payload::KeySet;
use hubledger_services::registry::file::{self, Listed, between};
use hubledger_services::registry::{Node, Registry, Said, keeps_registrations};
use serde_json::{Value, json};

use super::open;
use crate::args::{RegistryCompare, RegistryImport, Viewed};
use crate::commands::author::Author;
use crate::commands::saying::key_set;
use crate::commands::views::as_of;
use crate::commands::{read_file, write_new};
use crate::failure::{Failure, Result, fault_fields};
use crate::input::name_of;
use crate::output::Output;
use crate::transaction_json::TransactionJson;

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;

pub(super) fn compare(args: &RegistryCompare, output: &Output) -> Result {
    let listed = read(&args.file)?;
    let (registry, _) = open(&args.viewed)?;
    let differences = file::compare(&listed, &registry)?;
    let described = differences.iter().map(|one| {
        json!({ "name": one.name, "field": one.field, "file": one.listed, "registry": one.registered })
    });
    output.print(&json!({
        "as_of": as_of(registry.as_of()),
        "listed": listed.len(),
        "equal": differences.is_empty(),
        "differences": described.collect::<Vec<_>>(),
        "left_aside": left_aside(&listed),
    }));
    match differences.is_empty() {
        true => Ok(()),
        false => Err(Failure::Negative),
    }
}

fn read(path: &Path) -> Result<Vec<Listed>> {
    let bytes = read_file(path, FILE_BYTES_MAX)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let problem = format!("{}: longer than {FILE_BYTES_MAX} bytes", name_of(path));
        return Err(Failure::message(problem));
    }
    file::read(&bytes).map_err(|error| Failure::message(format!("{}: {error}", name_of(path))))
}

/// The fields of the file that no registration has a place for.
fn left_aside(listed: &[Listed]) -> Value {
    let fields = listed.iter().flat_map(|one| one.left_aside.iter());
    let fields: std::collections::BTreeSet<&String> = fields.collect();
    json!(fields)
}

pub(super) fn import(args: &RegistryImport, output: &Output) -> Result {
    let options = &args.author;
    if options.sender.is_some() {
        let problem = "sender: the nodes of the file are the senders; leave --sender out";
        return Err(Failure::message(problem));
    }
    let Some(out) = options.out.as_deref().filter(|out| *out != Path::new("-")) else {
        let problem = "out: say with --out FILE where the transactions go";
        return Err(Failure::message(problem));
    };
    let listed = read(&args.file)?;
    let author = Author::begin(options, [&args.file], output)?;
    let registry = match &options.store {
        Some(store) => {
            let viewed = Viewed {
                store: store.clone(),
                views: None,
                keep: false,
            };
            Some(open(&viewed)?.0)
        }
        None => None,
    };
    let (mut bytes, mut made) = (Vec::new(), Vec::new());
    let (mut left_out, mut already) = (Vec::new(), Vec::new());
    for one in &listed {
        match active(one, registry.as_ref())? {
            Some(node) if between(one, &node).is_empty() => already.push(&one.name),
            Some(_) => left_out.push(json!({ "name": one.name, "why": "it is registered, and differs; compare says how" })),
            None => match joining(one, args, &author) {
                Ok(transaction) => {
                    bytes.extend_from_slice(transaction.bytes());
                    made.push(json!({ "name": one.name, "id": transaction.id(), "witnesses": transaction.witnesses().len() }));
                }
                Err(Failure::Refused(fault)) => {
                    let mut why = Value::Object(fault_fields(&fault));
                    why["name"] = json!(one.name);
                    left_out.push(why);
                }
                Err(Failure::Failed(error)) => {
                    left_out.push(json!({ "name": one.name, "why": error.to_string() }));
                }
                Err(other) => return Err(other),
            },
        }
    }
    if !bytes.is_empty() {
        // A file that is begun is written.
        output.stop().in_order();
        write_new(out, &bytes)?;
    }
    output.print(&json!({
        "listed": listed.len(),
        "made": made,
        "already": already,
        "left_out": left_out,
        "left_aside": left_aside(&listed),
        "out": (!bytes.is_empty()).then(|| out.display().to_string()),
    }));
    match left_out.is_empty() {
        true => Ok(()),
        false => Err(Failure::Negative),
    }
}

/// The node that a file lists, if it is active on the chain already.
fn active(listed: &Listed, registry: Option<&Registry>) -> Result<Option<Node>> {
    let Some(registry) = registry else {
        return Ok(None);
    };
    let node = registry.node(&listed.name)?;
    Ok(node.filter(Node::is_active))
}

/// The transaction that registers a node.
fn joining(listed: &Listed, args: &RegistryImport, author: &Author<'_>) -> Result<Transaction> {
    let said = listed.said(keys(listed, author)?);
    let payload = match said {
        Said::Chain(said) => said.encode(),
        Said::Registry(said) => said.encode(),
    };
    let mut fields = TransactionJson::default();
    fields.operation = Some(match args.join {
        true => Operation::FederationJoin,
        false => Operation::NodeRegister,
    });
    fields.payload = Some(payload);
    fields.sender = Some(listed.name.clone());
    fields.receiver = Some(listed.name.clone());
    let transaction = author.signed(fields)?;
    author.check(&transaction)?;
    Ok(transaction)
}

/// The keys that a node is registered with: its own; else, where the chain keeps registrations, those that sign.
fn keys(listed: &Listed, author: &Author<'_>) -> Result<Option<KeySet>> {
    let given = author.public_keys();
    if let Some(keys) = &listed.keys {
        if !given.iter().all(|key| keys.contains(key)) {
            let problem = "its own keys have to sign: give these with --key, or say --unsigned";
            return Err(Failure::message(problem));
        }
        return Ok(Some(keys.clone()));
    }
    // Of a chain that is known by its id alone it isn't known.
    let are_kept = author.spec().is_none_or(keeps_registrations);
    match (are_kept, given.is_empty()) {
        (false, _) => Ok(None),
        (true, true) => Err(Failure::message(
            "the file names no keys for it, and no --key is given",
        )),
        (true, false) => key_set(given, None).map(Some),
    }
}
