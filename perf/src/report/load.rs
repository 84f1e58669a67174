//! Reading records.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::files::read_bounded;
use crate::machine::{Machine, Toolchain};
use crate::ratio::Kind;
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
    pub(super) figures: Vec<Figure>,
    pub(super) details: Details,
}

/// A ratio as it was recorded.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) key: String,
    /// None if it wasn't measured.
    pub(super) value: Option<f64>,
    pub(super) kind: Kind,
    pub(super) goal: Option<f64>,
    pub(super) meaning: String,
}

impl Figure {
    /// By which part of the goal of that time it falls short.
    pub(super) fn shortfall(&self) -> Option<f64> {
        self.kind.shortfall(self.value?, self.goal?)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Details {
    pub(super) date: String,
    pub(super) path: String,
    pub(super) machine: Machine,
    pub(super) toolchain: Toolchain,
    measurements: BTreeMap<String, Measurement>,
}

#[derive(Debug, Deserialize)]
struct Measurement {
    meaning: String,
    kind: String,
    goal: Option<f64>,
}

impl Details {
    /// What was measured of a key.
    fn figure(&mut self, key: &str, value: Option<f64>) -> Result<Figure> {
        let measurement = self.measurements.remove(key);
        let measurement = measurement.with_context(|| format!("{key} has no details"))?;
        let kind = Kind::from_words(&measurement.kind);
        Ok(Figure {
            key: key.to_owned(),
            value,
            kind: kind.with_context(|| format!("{key} is of the kind {:?}", measurement.kind))?,
            goal: measurement.goal,
            meaning: measurement.meaning,
        })
    }
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

/// Reads a record's text; `name` is that of its file.
pub(super) fn parse(text: &str, name: &str) -> Result<Loaded> {
    let value: Value = serde_json::from_str(text)?;
    if value.get("samples").is_some() {
        let record: Record = serde_json::from_value(value)?;
        record.check()?;
        return Ok(Loaded::Scenario(Box::new(record)));
    }
    let Value::Object(mut values) = value else {
        bail!("neither a scenario's record nor ratios");
    };
    let details = values.remove("details");
    let details = details.context("neither a scenario's record nor ratios")?;
    let mut details: Details = serde_json::from_value(details)?;
    let figures = values.iter().map(|(key, value)| {
        let value = value.as_f64().filter(|value| value.is_finite());
        details.figure(key, value)
    });
    Ok(Loaded::Ratios(Box::new(Ratios {
        name: name.to_owned(),
        figures: figures.collect::<Result<_>>()?,
        details,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::RATIOS;
    use crate::report::words::percent;

    #[test]
    fn ratios_are_read_with_their_kinds_and_goals() {
        let Loaded::Ratios(ratios) = parse(RATIOS, "made-up").expect("a record") else {
            panic!("these are ratios");
        };
        assert_eq!(ratios.details.path, "avx2");
        let figures: Vec<_> = ratios
            .figures
            .iter()
            .map(|figure| (&*figure.key, figure.value, figure.shortfall().map(percent)))
            .collect();
        assert_eq!(
            figures,
            [
                ("hub_over_dalek_batch", Some(4.4), Some("20 %".to_owned())),
                ("log_append_over_plain_file", Some(0.9), None),
                ("admission_p99_ms", Some(15.0), Some("50 %".to_owned())),
                ("log_resident_mib", None, None),
            ]
        );
    }

    #[test]
    fn what_a_record_lacks_is_named() {
        for (old, new, expected) in [
            ("times as fast", "furlongs", "furlongs"),
            (
                "\"log_resident_mib\": {",
                "\"other\": {",
                "log_resident_mib has no details",
            ),
            ("\"details\"", "\"detail\"", "neither"),
        ] {
            let error = parse(&RATIOS.replace(old, new), "x").expect_err("it is wrong");
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    }
}
