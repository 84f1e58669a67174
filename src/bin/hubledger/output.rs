//! What goes to standard output: one JSON document, or lines for people.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::failure::{Failure, verdict};

/// How results are printed.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a result.
    pub(crate) fn print(&self, value: &Value) {
        let text = match self.json {
            true => value.to_string(),
            false => people(value),
        };
        put(&text);
    }

    /// Prints a document that only machines read.
    pub(crate) fn document(&self, value: &Value) {
        if self.json {
            put(&value.to_string());
        }
    }

    /// Prints lines that only people read.
    pub(crate) fn note(&self, line: &str) {
        if !self.json {
            put(line);
        }
    }

    /// Prints why a command failed: for machines on standard output, for people on standard error.
    pub(crate) fn failure(&self, failure: &Failure) {
        let value = match failure {
            Failure::Invalid(rejected, beside) => {
                let mut map = verdict(rejected);
                map.extend(beside.clone());
                eprintln!("invalid: {rejected}");
                Value::Object(map)
            }
            Failure::Corrupt(error) => error_value("corrupt", error),
            Failure::Failed(error) => error_value("failed", error),
            Failure::Negative | Failure::InvalidProof => return,
        };
        if self.json {
            put(&value.to_string());
        } else if let (Failure::Invalid(..), Value::Object(map)) = (failure, &value) {
            put(&people(&Value::Object(map.clone())));
        }
    }
}

fn error_value(kind: &str, error: &anyhow::Error) -> Value {
    eprintln!("error: {error:#}");
    json!({ "error": kind, "detail": format!("{error:#}") })
}

/// Writes a line. A reader that went away (a closed pipe) is no error of ours.
fn put(text: &str) {
    let result = writeln!(io::stdout().lock(), "{text}");
    if let Err(error) = result
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        eprintln!("error: standard output: {error}");
    }
}

/// `key: value` lines, nested values indented.
fn people(value: &Value) -> String {
    let mut out = String::new();
    lines(value, 0, &mut out);
    out.trim_end().to_owned()
}

fn lines(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) => map_lines(map, depth, out),
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                entry(&format!("[{index}]"), value, depth, out);
            }
        }
        other => out.push_str(&format!("{}{}\n", "  ".repeat(depth), scalar(other))),
    }
}

fn map_lines(map: &Map<String, Value>, depth: usize, out: &mut String) {
    for (key, value) in map {
        entry(key, value, depth, out);
    }
}

fn entry(key: &str, value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    let empty = match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(values) => values.is_empty(),
        _ => true,
    };
    if empty {
        out.push_str(&format!("{indent}{key}: {}\n", scalar(value)));
    } else {
        out.push_str(&format!("{indent}{key}:\n"));
        lines(value, depth + 1, out);
    }
}

/// Texts without quotes, but with control characters escaped, so that data can't drive a terminal.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text
            .chars()
            .flat_map(|c| {
                if c.is_control() {
                    c.escape_default().collect()
                } else {
                    vec![c]
                }
            })
            .collect(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}
