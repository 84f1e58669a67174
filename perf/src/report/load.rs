//! Reading records.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::files::read_bounded;
use crate::machine::{Machine, Toolchain};
use crate::scenario::Record;

/// No record is larger.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What a file holds.
#[derive(Debug)]
pub(super) enum Loaded {
    /// A scenario's samples.
    Scenario(Box<Record>),
    /// Ratios, as `ratios --json` prints them.
    Ratios(Box<Ratios>),
}

/// Ratios, and what they come from.
#[derive(Debug)]
pub(super) struct Ratios {
    pub(super) name: String,
    pub(super) values: Map<String, Value>,
    pub(super) details: Details,
}

#[derive(Debug, Deserialize)]
pub(super) struct Details {
    pub(super) date: String,
    pub(super) machine: Machine,
    pub(super) toolchain: Toolchain,
    pub(super) measurements: Map<String, Value>,
}

/// Every JSON file of a directory, in the order of names.
pub(super) fn json_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    };
    list().with_context(|| format!("list {}", directory.display()))
}

/// Reads a record of either kind.
pub(super) fn read(path: &Path) -> Result<Loaded> {
    let text = read_bounded(path, FILE_BYTES_MAX)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    parse(&text, &name).with_context(|| format!("record {}", path.display()))
}

fn parse(text: &str, name: &str) -> Result<Loaded> {
    let value: Value = serde_json::from_str(text)?;
    if value.get("samples").is_some() {
        let record: Record = serde_json::from_value(value)?;
        record.check()?;
        return Ok(Loaded::Scenario(Box::new(record)));
    }
    let Value::Object(mut values) = value else {
        anyhow::bail!("neither a scenario's record nor ratios");
    };
    let details = values.remove("details");
    let details = details.context("neither a scenario's record nor ratios")?;
    Ok(Loaded::Ratios(Box::new(Ratios {
        name: name.to_owned(),
        values,
        details: serde_json::from_value(details)?,
    })))
}
