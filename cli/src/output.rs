//! What goes to standard output: one JSON document, or lines for people.

use std::cell::Cell;
use std::io::{self, Write};

use anyhow::Context;
use hubledger::ledger::LedgerError;
use serde_json::{Map, Value, json};

use crate::describe;
use crate::failure::{Failure, Result, fault_fields, verdict};
use crate::stop::{Stop, name};

/// What whoever has a damaged store is told.
pub(crate) const SKIP_DAMAGED: &str = "`hubledger migrate --skip-damaged` copies what can be read";

/// How results are printed.
pub(crate) struct Output {
    json: bool,
    is_lost: Cell<bool>,
    /// Standard output carries data.
    is_diverted: Cell<bool>,
    stop: Stop,
}

impl Output {
    pub(crate) const fn new(json: bool, stop: Stop) -> Self {
        Self {
            json,
            is_lost: Cell::new(false),
            is_diverted: Cell::new(false),
            stop,
        }
    }

    /// Whether the process was asked to stop.
    pub(crate) const fn stop(&self) -> &Stop {
        &self.stop
    }

    /// From now on everything goes to standard error, because the command's data goes to standard output.
    pub(crate) fn divert(&self) {
        self.is_diverted.set(true);
    }

    /// Whether something that was to be printed couldn't be.
    pub(crate) const fn is_lost(&self) -> bool {
        self.is_lost.get()
    }

    /// Prints a result.
    pub(crate) fn print(&self, value: &Value) {
        let text = match self.json {
            true => value.to_string(),
            false => people(value),
        };
        self.put(&text);
    }

    /// Prints a document that only machines read.
    pub(crate) fn document(&self, value: &Value) {
        if self.json {
            self.put(&value.to_string());
        }
    }

    /// Prints lines that only people read.
    pub(crate) fn note(&self, line: &str) {
        if !self.json {
            self.put(line);
        }
    }

    /// Writes bytes that are neither for machines' nor for people's form.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        // An answer that has begun is not followed by another one.
        self.stop.in_order();
        if self.is_diverted.get() {
            // If standard error is closed, there is no place left to report to.
            let _ = io::stderr().lock().write_all(bytes);
            return;
        }
        let mut stdout = io::stdout().lock();
        let result = stdout.write_all(bytes).and_then(|()| stdout.flush());
        // A reader that went away (a closed pipe) has what it wanted.
        if let Err(error) = result
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            self.is_lost.set(true);
            complain(&format!("error: standard output: {error}"));
        }
    }

    /// Writes the command's data to standard output; all else goes to standard error from now on.
    pub(crate) fn data(&self, bytes: &[u8]) -> Result {
        self.stop.in_order();
        self.divert();
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        Ok(written.context("standard output")?)
    }

    /// Prints one result in full for machines, and what people want to know of it for them.
    pub(crate) fn print_either(&self, full: &Value, brief: &Value) {
        self.print(if self.json { full } else { brief });
    }

    /// Whether machines read it.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    fn put(&self, text: &str) {
        self.raw(format!("{text}\n").as_bytes());
    }

    /// Prints why a command failed: for machines on standard output, for people on standard error.
    pub(crate) fn failure(&self, failure: &Failure) {
        let value = match failure {
            Failure::Invalid(rejected, beside) => {
                let mut map = verdict(rejected);
                map.extend(beside.clone());
                complain(&format!("invalid: {rejected}"));
                Value::Object(map)
            }
            Failure::Refused(fault) => {
                complain(&format!("invalid: {}: {}", fault.reason, fault.detail));
                Value::Object(fault_fields(fault))
            }
            Failure::Corrupt(error) => error_value("corrupt", error),
            Failure::Failed(error) => error_value("failed", error),
            Failure::Stopped {
                signal,
                detail,
                report,
            } => {
                let signal = name(*signal);
                complain(&format!("stopped by {signal}: {detail}"));
                let mut value = json!({ "error": "stopped", "signal": signal, "detail": detail });
                if let Value::Object(map) = &mut value {
                    map.extend(report.clone());
                }
                value
            }
            Failure::Negative | Failure::InvalidVerdict | Failure::Damaged => return,
        };
        if self.json {
            self.put(&value.to_string());
        } else if let Failure::Invalid(..) | Failure::Refused(_) | Failure::Stopped { .. } = failure
        {
            self.put(&people(&value));
        }
    }
}

fn error_value(kind: &str, error: &anyhow::Error) -> Value {
    let detail = in_one_line(error);
    complain(&format!("error: {detail}"));
    let mut value = json!({ "error": kind, "detail": detail });
    if let Some(LedgerError::Unreadable(losses)) = error.downcast_ref() {
        value["lost"] = describe::missing(&losses.missing);
        value["lost_values"] = json!(losses.values);
        value["lost_sets"] = json!(losses.sets);
        value["reasons"] = json!(losses.reasons);
        value["reasons_unlisted"] = losses.unlisted.into();
        complain(SKIP_DAMAGED);
    }
    value
}

/// The error and its causes, but for those that the text so far ends in already.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        let last = line.rsplit(": ").next().unwrap_or_default();
        if !line.contains(&cause) && (last.is_empty() || !cause.ends_with(last)) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

/// Writes to standard error, in one line whatever the text holds. Where that is closed there is nobody to tell.
pub(crate) fn complain(text: &str) {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let _ = writeln!(io::stderr().lock(), "{}", harmless(&lines.join(" ")));
}

/// A usage error, which is clap's to describe: in full on standard error, in one line for machines.
pub(crate) fn usage_error(error: &clap::Error, json: bool) {
    // If standard error is closed, there is no place left to report to.
    let _ = error.print();
    if json {
        let text = error.to_string();
        let about: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
        let about: Vec<&str> = about.iter().map(|line| line.trim()).collect();
        let detail = about.join(" ");
        let detail = detail.strip_prefix("error: ").unwrap_or(&detail);
        let value = json!({ "error": "usage", "detail": detail });
        Output::new(true, Stop::default()).print(&value);
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

/// With control characters escaped, so that data can't drive a terminal.
fn harmless(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect()
}

/// Texts without quotes.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => harmless(text),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}
