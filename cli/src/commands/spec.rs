//! `spec check`: everything that is wrong with a specification, what may surprise in it, and what it means.

use std::path::Path;

use hubledger::clock::{Clock, SystemClock};
use hubledger::codec::FieldError;
use hubledger::rejection::{Fault, Reason};
use hubledger::spec::{ChainSpec, SpecFields};
use serde_json::{Map, Value, json};

use crate::args::SpecCheck;
use crate::failure::{Failure, Result, fault_fields};
use crate::input::{self, name_of};
use crate::output::{Output, complain};
use crate::transactions::fault_of;

/// The longest specification, as text.
pub(super) const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// A specification and its contradictions.
pub(crate) type Examined = (ChainSpec, Vec<FieldError>);

pub(crate) fn check(args: &SpecCheck, output: &Output) -> Result {
    let (mut reports, mut all_valid) = (Vec::new(), true);
    for path in &args.files {
        let bytes = input::read(path, FILE_BYTES_MAX)?;
        let (is_valid, report) = report(path, &examine(&bytes));
        all_valid &= is_valid;
        reports.push(report);
    }
    match reports.as_slice() {
        [only] => output.print(only),
        _ => output.print(&json!({
            "verdict": if all_valid { "valid" } else { "invalid" },
            "specifications": reports,
        })),
    }
    match all_valid {
        true => Ok(()),
        false => Err(Failure::InvalidVerdict),
    }
}

/// The specification that bytes hold: encoded if they begin with its version, which no text does, else as TOML.
pub(crate) fn examine(bytes: &[u8]) -> std::result::Result<Examined, Fault> {
    if bytes.first().is_some_and(|first| *first < b'\t') {
        let spec = ChainSpec::decode(bytes).map_err(|error| fault_of(&error))?;
        let contradictions = spec.contradictions();
        return Ok((spec, contradictions));
    }
    let malformed = |problem: String| Fault::new(Reason::Malformed, problem);
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
    ChainSpec::examine_toml(text).map_err(|error| malformed(error.to_string()))
}

fn report(path: &Path, examined: &std::result::Result<Examined, Fault>) -> (bool, Value) {
    let name = name_of(path);
    let (spec, contradictions) = match examined {
        Ok(examined) => examined,
        Err(fault) => {
            complain(&format!("invalid: {name}: {}", fault.detail));
            let mut report = Map::from_iter([("file".to_owned(), name.into())]);
            report.extend(fault_fields(fault));
            return (false, Value::Object(report));
        }
    };
    let warnings = spec.warnings(SystemClock.now_us());
    for contradiction in contradictions {
        complain(&format!("invalid: {name}: {contradiction}"));
    }
    for warning in &warnings {
        complain(&format!("warning: {name}: {warning}"));
    }
    let is_valid = contradictions.is_empty();
    let report = json!({
        "file": name,
        "verdict": if is_valid { "valid" } else { "invalid" },
        "name": spec.name,
        "chain": spec.id(),
        "genesis": spec.genesis().hash(),
        "contradictions": problems(contradictions),
        "warnings": problems(&warnings),
        "meaning": meaning(spec),
    });
    (is_valid, report)
}

/// Problems, each with its field.
pub(crate) fn problems(found: &[FieldError]) -> Value {
    let describe = |error: &FieldError| json!({ "field": error.field, "detail": error.problem });
    found.iter().map(describe).collect()
}

fn meaning(fields: &SpecFields) -> Value {
    let words = fields.in_words().into_iter();
    let words = words.map(|(field, text)| (field.to_owned(), text.into()));
    Value::Object(words.collect())
}
