//! Chain specifications as people write them: TOML files in which every unknown field is an error, and so is every
//! contradiction, for what is written begins a chain. Errors name the place in the text.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};
use hubledger_storage::opening::open_regular_or_given;
use serde::{Deserialize, Serialize};

use super::check::{Problem, Step, contradictions};
use super::consensus_toml::ConsensusToml;
use super::predecessor::PredecessorToml;
use super::terms::distinct;
use super::{
    ChainSpec, FeesTo, Finality, Import, InitialAccount, Joining, Limits, Nonces, Parameter, Rules,
    SpecFields, Terms,
};
use crate::format::FormatVersion;
use crate::format::codec::FieldError;

/// The longest specification file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// A specification file that can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecFileError {
    /// The file can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not TOML of the right shape; the message names line and field.
    #[error("{}: not a chain specification: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        message: String,
    },
    /// A field is out of its limits or contradicts another.
    #[error("{}: {source}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Which field, in which line, and why.
        source: FieldError,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecToml {
    /// The version of the format. A text without it is of version 1, so that the ids of older texts stay.
    #[serde(default, skip_serializing_if = "is_version_1")]
    format: FormatVersion,
    name: String,
    genesis_time: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonces: Option<Nonces>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stake_min: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root_interval: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    block_time_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finality: Option<Finality>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "distinct"
    )]
    changeable: Option<BTreeSet<Parameter>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_json: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    joining: Option<Joining>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_age_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grace_max: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fees_to: Option<FeesTo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approvals_min: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    empty_blocks: Option<bool>,
    consensus: ConsensusToml,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    rules: Rules,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    accounts: BTreeMap<String, InitialAccount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    import: Option<Import>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    predecessor: Option<PredecessorToml>,
}

// By reference, as serde asks it.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_version_1(version: &FormatVersion) -> bool {
    *version == FormatVersion::V1
}

impl SpecFields {
    /// Reads the fields from TOML text, without asking whether they are within any limits or fit each other.
    ///
    /// # Errors
    /// A message that names line and column, and the field where it is known.
    pub fn from_toml(text: &str) -> Result<Self, FieldError> {
        parse(text).map_err(|message| FieldError::new("TOML", message))
    }
}

impl ChainSpec {
    /// Reads a specification from TOML text.
    ///
    /// # Errors
    /// A message that names line and field, for syntax; the field and its limit, for values; the same for the first of the
    /// [contradictions](SpecFields::contradictions).
    pub fn from_toml(text: &str) -> Result<Self, FieldError> {
        Self::from_fields(SpecFields::from_toml(text)?, text)
    }

    /// Reads a specification file.
    ///
    /// # Errors
    /// [`SpecFileError`], which names the file.
    pub fn read_toml(path: &Path) -> Result<Self, SpecFileError> {
        let read = |source| SpecFileError::Read {
            path: path.into(),
            source,
        };
        let text = read_text(path).map_err(read)?;
        let fields = parse(&text).map_err(|message| SpecFileError::Syntax {
            path: path.into(),
            message,
        })?;
        Self::from_fields(fields, &text).map_err(|source| SpecFileError::Field {
            path: path.into(),
            source,
        })
    }

    /// Reads a specification that may contradict itself, with its [contradictions](SpecFields::contradictions), each with the
    /// line of its field: for whoever wants to know of all of them at once.
    ///
    /// # Errors
    /// As [`ChainSpec::from_toml`], but for contradictions.
    pub fn examine_toml(text: &str) -> Result<(Self, Vec<FieldError>), FieldError> {
        let spec = Self::build(SpecFields::from_toml(text)?);
        let spec = spec.map_err(|problem| placed(problem, text))?;
        let found = contradictions(&spec).into_iter();
        let found = found.map(|problem| placed(problem, text)).collect();
        Ok((spec, found))
    }

    /// The specification of fields that were read from `text`, if they don't contradict each other.
    fn from_fields(fields: SpecFields, text: &str) -> Result<Self, FieldError> {
        let spec = Self::build(fields).map_err(|problem| placed(problem, text))?;
        match contradictions(&spec).into_iter().next() {
            Some(contradiction) => Err(placed(contradiction, text)),
            None => Ok(spec),
        }
    }

    /// The specification as TOML text, from which [`ChainSpec::from_toml`] reads the same one, unless it contradicts
    /// itself; [`SpecFields::from_toml`] reads the same fields in any case.
    #[must_use]
    pub fn to_toml(&self) -> String {
        ::toml::to_string(&**self).expect("strings, integers and tables always have a TOML form")
    }
}

/// In the form of the TOML text: the same fields in the same order, with every default written out.
impl Serialize for SpecFields {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A text of version 1 has none of these, and nothing is lost: they are what they always were.
        let terms = (self.version >= FormatVersion::V2).then_some(&self.terms);
        let spec = SpecToml {
            format: self.version,
            name: self.name.clone(),
            genesis_time: self.genesis_time,
            nonces: terms.map(|terms| terms.nonces),
            stake_min: terms.map(|terms| terms.stake_min),
            root_interval: terms.map(|terms| terms.root_interval),
            block_time_us: terms.map(|terms| terms.block_time_us),
            finality: terms.map(|terms| terms.finality),
            changeable: terms.map(|terms| terms.changeable.clone()),
            payload_json: terms.map(|terms| terms.payload_json),
            joining: terms.map(|terms| terms.joining),
            key_age_max: terms.map(|terms| terms.key_age_max),
            grace_max: terms.map(|terms| terms.grace_max),
            fees_to: terms.map(|terms| terms.fees_to.clone()),
            approvals_min: terms.map(|terms| terms.approvals_min),
            empty_blocks: terms.map(|terms| terms.empty_blocks),
            consensus: ConsensusToml::of(&self.consensus),
            limits: self.limits.clone(),
            rules: self.rules.clone(),
            accounts: self.accounts.clone(),
            import: self.import.clone(),
            predecessor: self.predecessor.as_ref().map(PredecessorToml::of),
        };
        spec.serialize(serializer)
    }
}

fn parse(text: &str) -> Result<SpecFields, String> {
    let spec: Result<SpecToml, _> = ::toml::from_str(text);
    let spec = spec.map_err(|error| one_line(text, &error))?;
    spec.fields()
        .map_err(|problem| placed(problem, text).to_string())
}

/// What is wrong and where, without the picture of the place that [`::toml`] draws over several lines.
fn one_line(text: &str, error: &::toml::de::Error) -> String {
    let message = error.message().trim().replace('\n', ", ");
    let Some(line) = error.span().and_then(|span| line_of(text, span.start)) else {
        return message;
    };
    let document = DeTable::parse(text).ok();
    let field = document
        .and_then(|document| field_at(document.get_ref(), error.span()?.start))
        .map(|field| format!("{field}: "));
    format!("{line}: {}{message}", field.unwrap_or_default())
}

fn line_of(text: &str, offset: usize) -> Option<String> {
    let before = text.get(..offset)?;
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.chars().rev().take_while(|c| *c != '\n').count();
    Some(format!("line {line}, column {column}"))
}

/// The path of the number, text or truth value that lies at `offset`, such as `limits.name_bytes_max`.
fn field_at(table: &DeTable<'_>, offset: usize) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let within = |path: &str| match path {
            "" => key.get_ref().to_string(),
            path => format!("{}.{path}", key.get_ref()),
        };
        path_to(value, offset).map(|path| within(&path))
    })
}

fn path_to(value: &Spanned<DeValue<'_>>, offset: usize) -> Option<String> {
    match value.get_ref() {
        DeValue::Table(table) => field_at(table, offset),
        DeValue::Array(values) => values.iter().find_map(|value| path_to(value, offset)),
        _ => value.span().contains(&offset).then(String::new),
    }
}

/// The error about a problem, with the line of the field in `text`, or of the other field that has part in it.
fn placed(problem: Problem, text: &str) -> FieldError {
    let document = DeTable::parse(text).ok();
    let line = document.and_then(|document| {
        let at = |field| offset_of(document.get_ref(), field, &problem.within);
        let offset = at(problem.error.field).or_else(|| at(problem.beside?));
        line_of(text, offset?)
    });
    let FieldError { field, problem } = problem.error;
    match line {
        Some(line) => FieldError::new(field, format!("{line}: {problem}")),
        None => FieldError::new(field, problem),
    }
}

/// Where a field is written, or the last of the steps within it that is.
fn offset_of(document: &DeTable<'_>, field: &str, within: &[Step]) -> Option<usize> {
    let mut keys = field.split('.');
    let mut found = child_of(document, keys.next()?)?;
    for key in keys {
        found = step_down(found.1, &Step::Key(key.to_owned()))?;
    }
    let steps = within.iter();
    let deepest = steps.scan(found, |found, step| {
        *found = step_down(found.1, step)?;
        Some(found.0)
    });
    Some(deepest.last().unwrap_or(found.0))
}

/// A value with the offset of what names it.
type Placed<'a, 'i> = (usize, &'a Spanned<DeValue<'i>>);

fn child_of<'a, 'i>(table: &'a DeTable<'i>, key: &str) -> Option<Placed<'a, 'i>> {
    let (key, value) = table.get_key_value(key)?;
    Some((key.span().start, value))
}

fn step_down<'a, 'i>(value: &'a Spanned<DeValue<'i>>, step: &Step) -> Option<Placed<'a, 'i>> {
    match (value.get_ref(), step) {
        (DeValue::Table(table), Step::Key(key)) => child_of(table, key),
        (DeValue::Array(values), Step::Index(index)) => {
            let value = values.get(*index)?;
            Some((value.span().start, value))
        }
        _ => None,
    }
}

/// The file's text, unless it goes on beyond the limit (a pipe or a device doesn't say how long it is).
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = open_regular_or_given(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "above 32 MiB"));
    }
    Ok(text)
}

impl SpecToml {
    /// The fields, of which those that the text leaves out have the version's own values.
    fn fields(self) -> Result<SpecFields, Problem> {
        let plain = match self.format {
            FormatVersion::V1 => Terms::default(),
            FormatVersion::V2 => Terms::of_new_chains(),
        };
        let block_time_us = self.consensus.block_time_us(self.block_time_us)?;
        let terms = Terms {
            nonces: self.nonces.unwrap_or(plain.nonces),
            stake_min: self.stake_min.unwrap_or(plain.stake_min),
            root_interval: self.root_interval.unwrap_or(plain.root_interval),
            block_time_us: block_time_us.unwrap_or(plain.block_time_us),
            finality: self.finality.unwrap_or(plain.finality),
            changeable: self.changeable.unwrap_or(plain.changeable),
            payload_json: self.payload_json.unwrap_or(plain.payload_json),
            joining: self.joining.unwrap_or(plain.joining),
            key_age_max: self.key_age_max.unwrap_or(plain.key_age_max),
            grace_max: self.grace_max.unwrap_or(plain.grace_max),
            fees_to: self.fees_to.unwrap_or(plain.fees_to),
            approvals_min: self.approvals_min.unwrap_or(plain.approvals_min),
            empty_blocks: self.empty_blocks.unwrap_or(plain.empty_blocks),
        };
        Ok(SpecFields {
            version: self.format,
            name: self.name,
            genesis_time: self.genesis_time,
            consensus: self.consensus.read()?,
            limits: self.limits,
            rules: self.rules,
            terms,
            accounts: self.accounts,
            import: self.import,
            predecessor: self.predecessor.map(PredecessorToml::read).transpose()?,
        })
    }
}
