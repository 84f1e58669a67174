//! `params`: what a chain goes by, and changing it.

mod show;

use std::path::Path;

use hubledger::payload::{self, ParameterValue, Payload};
use hubledger::spec::{Authority, Parameter};
use serde::Deserialize;

use self::show::show;
use super::author::Author;
use super::saying::{Said, say};
use crate::args::{Approve, NewValue, ParamsCommand, Propose};
use crate::failure::{Failure, Result};
use crate::input::{self, name_of};
use crate::output::Output;

/// The longest file with members, as text.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

pub(crate) fn params(command: &ParamsCommand, output: &Output) -> Result {
    match command {
        ParamsCommand::Show(args) => show(args, output),
        ParamsCommand::Propose(args) => propose(args, output),
        ParamsCommand::Approve(args) => approve(args, output),
    }
}

fn propose(args: &Propose, output: &Output) -> Result {
    let file = match &args.value {
        NewValue::File(path) => Some(path),
        NewValue::Number(_) => None,
    };
    let author = Author::begin(&args.saying.author, file, output)?;
    let payload = Payload::Propose(payload::Propose {
        parameter: args.parameter,
        value: value(args.parameter, &args.value)?,
        effective: args.effective,
    });
    say(&args.saying, Said::of(payload), &author, output)
}

fn approve(args: &Approve, output: &Output) -> Result {
    let author = Author::begin(&args.saying.author, [], output)?;
    let payload = Payload::Approve(payload::Approve {
        proposer: args.proposer.clone(),
        proposal: args.proposal,
    });
    let said = Said {
        about: Some(args.proposer.clone()),
        ..Said::of(payload)
    };
    say(&args.saying, said, &author, output)
}

fn value(parameter: Parameter, given: &NewValue) -> Result<ParameterValue> {
    let word = parameter.word();
    match (parameter, given) {
        (Parameter::Members, NewValue::File(path)) => members(path).map(ParameterValue::Members),
        (Parameter::Members, NewValue::Number(_)) => Err(Failure::message(format!(
            "{word}: a file with all of them is expected, not a number"
        ))),
        (_, NewValue::Number(number)) => Ok(ParameterValue::Number(*number)),
        (_, NewValue::File(path)) => Err(Failure::message(format!(
            "{word}: {} is not a number of at most 64 bits",
            path.display()
        ))),
    }
}

/// A file with members as TOML.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MembersToml {
    members: Vec<Authority>,
}

/// The members in a file, which is JSON if it begins as a list.
fn members(path: &Path) -> Result<Vec<Authority>> {
    let bytes = input::read(path, FILE_BYTES_MAX)?;
    let problem =
        |problem: String| Failure::message(format!("{}: {}", name_of(path), problem.trim_end()));
    let text = std::str::from_utf8(&bytes).map_err(|error| problem(error.to_string()))?;
    // A table of TOML begins so as well, and then goes on with another bracket or a name.
    if let Ok(members) = serde_json::from_str(text) {
        return Ok(members);
    }
    match text.trim_start().starts_with("[{") {
        true => serde_json::from_str(text).map_err(|error| problem(error.to_string())),
        false => toml::from_str(text)
            .map(|file: MembersToml| file.members)
            .map_err(|error| problem(error.to_string())),
    }
}
