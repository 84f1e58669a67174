//! `params show`: what is in force at a height, since when, until when, what is to come, and what members propose.

use hubledger::consensus;
use hubledger::ledger::ChainReader;
use hubledger::payload::ParameterValue;
use hubledger::spec::{Authority, ChainSpec, Parameter};
use hubledger::state::tables::{Change, Parameters, Proposals, Table};
use hubledger::state::{self, InForce, State};
use serde_json::{Map, Value, json};

use crate::args::ParamsShow;
use crate::commands::prove::prove_row;
use crate::describe::extend;
use crate::failure::Result;
use crate::output::Output;
use crate::rows;

pub(super) fn show(args: &ParamsShow, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let state = reader.state()?;
    let next = state.height().saturating_add(1);
    let at = args.at.unwrap_or(next);
    let in_force = InForce::at(reader.spec(), Some(&state), at);
    let wanted = Parameter::ALL.iter().copied();
    let wanted = wanted.filter(|one| args.parameter.is_none_or(|only| *one == only));
    let parameters: Map<String, Value> = wanted
        .map(|one| {
            let said = parameter(one, &in_force, reader.spec(), &state, at);
            (one.word().to_owned(), said)
        })
        .collect();
    let mut report = json!({
        "store": args.store.to_string(),
        "height": state.height(),
        "head": state.head(),
        "at": at,
        "parameters": parameters,
        "approvals_needed": consensus::approvals_needed(reader.spec(), &state, next),
        "proposals": proposals(reader.spec(), &state, next),
    });
    if let (Some(path), Some(parameter)) = (&args.prove, args.parameter) {
        let key = key_of_proof(parameter, &state, at);
        let row = (Parameters::NUMBER, &key[..]);
        report["proof"] = prove_row(&reader, &state, row, path, output)?;
    }
    state.refuse_failed().map_err(anyhow::Error::from)?;
    output.print(&report);
    Ok(())
}

/// A parameter's value at a height, from when to when it holds, and what comes after.
fn parameter(
    parameter: Parameter,
    in_force: &InForce,
    spec: &ChainSpec,
    state: &State,
    at: u64,
) -> Value {
    let changes: Vec<(u64, Change)> = state.parameter_changes(parameter).collect();
    let current = changes.iter().find(|(from, _)| *from <= at);
    let later: Vec<&(u64, Change)> = changes
        .iter()
        .rev()
        .filter(|(from, _)| *from > at)
        .collect();
    let value = match in_force.number(parameter) {
        Some(number) => ParameterValue::Number(number),
        None => ParameterValue::Members(members(spec, state, at)),
    };
    let is_changeable = spec.at(at).terms.changeable.contains(&parameter);
    json!({
        "value": value.to_json(),
        "by": if current.is_some() { "change" } else { "specification" },
        "since": current.map(|(from, _)| from),
        "until": later.first().map(|(from, _)| from),
        "changeable": is_changeable,
        "later": later.iter().map(|(from, change)| {
            json!({ "from": from, "value": change.value.to_json() })
        }).collect::<Value>(),
    })
}

fn members(spec: &ChainSpec, state: &State, at: u64) -> Vec<Authority> {
    state::members(spec, state, at).unwrap_or_else(|| {
        let listed = spec.at(at).consensus.bound();
        listed
            .map(|(name, key)| Authority {
                name: name.to_owned(),
                key,
                weight: 1,
            })
            .collect()
    })
}

/// The open proposals of those who take part in the consensus of the next block.
fn proposals(spec: &ChainSpec, state: &State, next: u64) -> Value {
    let proposers = members(spec, state, next).into_iter();
    let open = proposers.filter_map(|member| {
        let held = state.value::<Proposals>(member.name.as_bytes())?;
        let mut said = json!({ "proposer": member.name });
        extend(&mut said, rows::proposal(&held));
        Some(said)
    });
    open.collect()
}

/// The row that tells what a parameter is at a height: that of the value; or, where that is the specification's, that of
/// the first change, which comes later; or the one that leads to all changes, which is absent.
fn key_of_proof(parameter: Parameter, state: &State, at: u64) -> Vec<u8> {
    let mut first = None;
    for (from, _) in state.parameter_changes(parameter) {
        first = Some(from);
        if from <= at {
            break;
        }
    }
    first.map_or_else(
        || Parameters::last_key(parameter),
        |from| Parameters::key(parameter, from),
    )
}
