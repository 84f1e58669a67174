//! `registry`: the nodes of a federation, who was there, and who is alive.

mod describe;
mod file;

use hubledger::clock::{Clock, SystemClock};
use hubledger::ledger::ChainReader;
use hubledger::proof::Proof;
use hubledger::state::tables::{Registrations, Table};
use hubledger_services::registry::{
    AtHeight, Criteria, Facet, Registry, RegistryView, keeps_registrations, proof,
};
use serde_json::{Value, json};

use self::describe::{event, life, named, node};
use super::prove::{give_out, prove_row};
use super::views::{as_of, look};
use crate::args::{
    RegistryAt, RegistryCommand, RegistryFind, RegistryList, RegistryProve, RegistryShow, Viewed,
};
use crate::failure::{Failure, Result};
use crate::output::Output;

pub(crate) fn registry(command: &RegistryCommand, output: &Output) -> Result {
    match command {
        RegistryCommand::List(args) => list(args, output),
        RegistryCommand::Show(args) => show(args, output),
        RegistryCommand::Find(args) => find(args, output),
        RegistryCommand::At(args) => at(args, output),
        RegistryCommand::Prove(args) => prove(args, output),
        RegistryCommand::Import(args) => file::import(args, output),
        RegistryCommand::Compare(args) => file::compare(args, output),
    }
}

/// The registry of a chain, which follows the chain's own rules for names.
fn open(viewed: &Viewed) -> Result<(Registry, ChainReader)> {
    // Closed again, since some backends are open once at a time.
    let spec = ChainReader::open(viewed.store.open_read_only()?)?
        .spec()
        .clone();
    let (snapshot, chain) = look(viewed, Box::new(RegistryView::new(spec)))?;
    Ok((Registry::new(snapshot), chain))
}

fn list(args: &RegistryList, output: &Output) -> Result {
    let (registry, _) = open(&args.viewed)?;
    let numbers = registry.find(Criteria::default(), args.paged.from, args.paged.limit)?;
    give(&registry, &numbers, json!({}), output)
}

fn find(args: &RegistryFind, output: &Output) -> Result {
    let (registry, _) = open(&args.viewed)?;
    // The rarest first.
    let mut facets: Vec<Facet<'_>> = args
        .capabilities
        .iter()
        .map(|text| Facet::Capability(text))
        .collect();
    facets.extend(args.region.as_deref().map(Facet::Region));
    facets.extend(args.role.as_deref().map(Facet::Role));
    facets.extend(args.node_type.as_deref().map(Facet::NodeType));
    facets.extend(args.member.then_some(Facet::Member));
    let now_us = args.now.unwrap_or_else(|| SystemClock.now_us());
    let criteria = Criteria {
        facets: &facets,
        alive_at: args.alive.then_some(now_us),
    };
    let numbers = registry.find(criteria, args.paged.from, args.paged.limit)?;
    give(&registry, &numbers, json!({}), output)
}

/// Prints nodes as they are now.
fn give(registry: &Registry, numbers: &[u32], mut about: Value, output: &Output) -> Result {
    let mut nodes = Vec::with_capacity(numbers.len());
    for number in numbers {
        let name = registry.name(*number)?.unwrap_or_default();
        let found = registry.node(&name)?;
        nodes.extend(found.map(|found| named(&name, node(&found))));
    }
    about["as_of"] = as_of(registry.as_of());
    about["nodes"] = nodes.into();
    output.print(&about);
    Ok(())
}

fn show(args: &RegistryShow, output: &Output) -> Result {
    let (registry, _) = open(&args.viewed)?;
    let Some(found) = registry.node(&args.name)? else {
        return Err(unknown(&args.name));
    };
    let now_us = args.now.unwrap_or_else(|| SystemClock.now_us());
    let mut about = named(&args.name, node(&found));
    about["as_of"] = as_of(registry.as_of());
    about["life"] = match registry.life(&found)? {
        Some(last) => life(&last, now_us),
        None => Value::Null,
    };
    let events = registry.history(&found, 0, args.events)?;
    about["events"] = events.iter().map(event).collect();
    output.print(&about);
    Ok(())
}

fn unknown(name: &str) -> Failure {
    Failure::message(format!("{name:?} is no node, and was none"))
}

fn at(args: &RegistryAt, output: &Output) -> Result {
    let (registry, _) = open(&args.viewed)?;
    let height = args.height;
    let mut about = json!({ "height": height, "as_of": as_of(registry.as_of()) });
    if let Some(name) = &args.name {
        let Some(then) = seen(height, registry.at(name, height)?)? else {
            return Err(unknown(name));
        };
        about["node"] = named(name, node(&then));
    } else {
        let (from, limit) = (args.paged.from, args.paged.limit);
        let mut active = Vec::new();
        for number in seen(height, registry.active_at(height, from, limit)?)? {
            let name = registry.name(number)?.unwrap_or_default();
            active.push(json!({ "number": number, "name": name }));
        }
        about["active"] = active.into();
    }
    output.print(&about);
    Ok(())
}

fn seen<T>(height: u64, answer: AtHeight<T>) -> Result<T> {
    match answer {
        AtHeight::Seen(answer) => Ok(answer),
        AtHeight::Unseen { from, end } => {
            let problem =
                format!("height {height}: the registry knows blocks from {from} to below {end}");
            Err(Failure::message(problem))
        }
    }
}

fn prove(args: &RegistryProve, output: &Output) -> Result {
    let (registry, chain) = open(&args.viewed)?;
    let mut about = json!({ "name": args.name, "as_of": as_of(registry.as_of()) });
    if let Some(path) = &args.registration {
        let found = registry.node(&args.name)?;
        let found = found.ok_or_else(|| unknown(&args.name))?;
        let (transaction, shown) = proof::of_registration(&found, &chain, None)?;
        let mut told = json!({ "transaction": transaction.id(), "height": found.registered.height, "head": shown.head() });
        let written = give_out(&Proof::Transaction(shown), path, output)?;
        crate::describe::extend(&mut told, written);
        about["registration"] = told;
    }
    if let Some(path) = &args.row {
        let state = chain.state()?;
        if !keeps_registrations(chain.spec().at(state.height())) {
            let problem = "the chain keeps no registrations, so that none can be proved to be absent; --registration proves one that is there";
            return Err(Failure::message(problem));
        }
        let row = (Registrations::NUMBER, args.name.as_bytes());
        about["row"] = prove_row(&chain, &state, row, path, output)?;
    }
    output.print(&about);
    Ok(())
}
