//! The page: a section for each record.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;

use super::bars::{Bar, MARKS, bars, duration, histogram};
use super::lines::{Axis, Series, lines};
use super::load::{Loaded, Ratios};
use super::svg::{escape, short};
use crate::machine::{Machine, Toolchain};
use crate::scenario::{Latencies, Record, Sample, Setting};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:860px;margin:2em auto;\
    padding:0 1em}h1,h2,h3{line-height:1.2}h2{margin-top:2.2em;border-top:1px solid #ddd;padding-top:1em}\
    table{border-collapse:collapse;font-size:14px;margin:.8em 0}th,td{padding:.25em .8em .25em 0;text-align:right;\
    border-bottom:1px solid #eee;font-variant-numeric:tabular-nums}th:first-child,td:first-child{text-align:left}\
    svg{max-width:100%;height:auto;display:block;margin:.4em 0}svg text{font:12px system-ui,sans-serif;fill:#333}\
    .grid{stroke:#e4e4e4}.axis{stroke:#888}.spread{stroke:#222;stroke-width:2}.mark{stroke:#d55e00;\
    stroke-dasharray:3 3}.machine{color:#666;font-size:13px}.met{color:#00704f}.missed{color:#b03000}\
    nav a{margin-right:1em}";

/// The whole page.
pub(super) fn page(records: &[Loaded]) -> Result<String> {
    let mut sections = String::new();
    let mut contents = String::new();
    for (index, record) in records.iter().enumerate() {
        let (name, section) = match record {
            Loaded::Scenario(record) => (&record.name, scenario(record)?),
            Loaded::Ratios(ratios) => (&ratios.name, self::ratios(ratios)),
        };
        // Writing to a string can't fail.
        let _ = writeln!(contents, "<a href=\"#r{index}\">{}</a>", escape(name));
        let _ = write!(sections, "<section id=\"r{index}\">\n{section}</section>\n");
    }
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>hubledger: measurements</title>\
         <style>{STYLE}</style></head>\n<body>\n<h1>hubledger: measurements</h1>\n\
         <p>Bars and lines are medians; the dark line at a bar's end spans the quartiles.</p>\n<nav>{contents}</nav>\n\
         {sections}</body>\n</html>\n"
    ))
}

fn head(name: &str, date: &str, machine: &Machine, toolchain: &Toolchain) -> String {
    let load = machine
        .load
        .map_or_else(String::new, |load| format!(", load {load}"));
    format!(
        "<h2>{}</h2>\n<p class=\"machine\">{}; {}, {} cores{load}; {}; {} ({})</p>\n",
        escape(name),
        escape(date),
        escape(&machine.cpu),
        machine.cores,
        escape(&machine.system),
        escape(&toolchain.rustc),
        escape(&toolchain.profile),
    )
}

fn ratios(ratios: &Ratios) -> String {
    let details = &ratios.details;
    let mut text = head(
        &ratios.name,
        &details.date,
        &details.machine,
        &details.toolchain,
    );
    text += "<table><tr><th>ratio</th><th>value</th><th>wanted</th></tr>\n";
    for (key, value) in &ratios.values {
        let measurement = details.measurements.get(key);
        let field = |name: &str| measurement.and_then(|measurement| measurement.get(name));
        let goal = field("goal").and_then(Value::as_f64);
        let kind = field("kind").and_then(Value::as_str).unwrap_or_default();
        let is_more_better = matches!(kind, "times as fast" | "a part of");
        let (class, wanted) = match (goal, value.as_f64()) {
            (Some(goal), Some(value)) => {
                let is_met = if is_more_better {
                    value >= goal
                } else {
                    value <= goal
                };
                (
                    if is_met { "met" } else { "missed" },
                    sign(is_more_better, goal),
                )
            }
            (Some(goal), None) => ("", sign(is_more_better, goal)),
            (None, _) => ("", "–".to_owned()),
        };
        let shown = value
            .as_f64()
            .map_or_else(|| "not measured".to_owned(), |v| format!("{v:.3}"));
        let meaning = field("meaning").and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(
            text,
            "<tr title=\"{}\"><td>{}</td><td class=\"{class}\">{shown}</td><td>{wanted}</td></tr>",
            escape(meaning),
            escape(key)
        );
    }
    text + "</table>\n"
}

fn sign(is_more_better: bool, goal: f64) -> String {
    format!("{} {goal}", if is_more_better { "≥" } else { "≤" })
}

fn scenario(record: &Record) -> Result<String> {
    let mut text = head(
        &record.name,
        &record.date,
        &record.machine,
        &record.toolchain,
    );
    text += &table(record)?;
    let unit = match record.scenario.get("kind").and_then(Value::as_str) {
        Some("storage-lookup") => "look-ups a second",
        _ => "transactions a second",
    };
    text += &figure("Rates", &rates(record, unit));
    text += &stages(record);
    let threads = |setting: &Setting| setting.threads.map(|threads| threads as f64);
    let lengths = |setting: &Setting| Some(setting.transactions as f64);
    text += &scaling(
        record,
        "Over threads",
        "threads",
        unit,
        Axis::Linear,
        threads,
    );
    text += &scaling(
        record,
        "Over chain length",
        "transactions",
        unit,
        Axis::Logarithmic,
        lengths,
    );
    text += &latencies(record)?;
    Ok(text)
}

fn figure(title: &str, drawing: &str) -> String {
    format!("<h3>{}</h3>\n{drawing}", escape(title))
}

/// Items a second.
fn rate(sample: &Sample) -> f64 {
    1e6 / sample.us_per_item().max(1e-9)
}

fn table(record: &Record) -> Result<String> {
    let mut text = String::from(
        "<table><tr><th>setting</th><th>µs an item</th><th>quartiles</th><th>processor µs</th><th>a second</th>\
         <th>samples</th>",
    );
    for (_, name) in MARKS {
        let _ = write!(text, "<th>{name}</th>");
    }
    text += "<th>most</th></tr>\n";
    for (index, setting) in record.settings.iter().enumerate() {
        let (Some(wall), Some(processor)) = (
            record.spread(index, Sample::us_per_item),
            record.spread(index, Sample::processor_us_per_item),
        ) else {
            continue;
        };
        let _ = write!(
            text,
            "<tr><td>{}</td><td>{:.3}</td><td>{:.3}–{:.3}</td><td>{:.3}</td><td>{}</td><td>{}</td>",
            escape(&setting.label),
            wall.median,
            wall.lower_quartile,
            wall.upper_quartile,
            processor.median,
            short(1e6 / wall.median),
            record.samples_of(index).count()
        );
        let histogram = Latencies::histogram(
            record
                .samples_of(index)
                .filter_map(|s| s.latencies.as_ref()),
        )?;
        for (part, _) in MARKS.into_iter().chain([(1.0, "most")]) {
            let cell = match histogram.is_empty() {
                true => "–".to_owned(),
                false => duration(histogram.value_at_quantile(part) as f64),
            };
            let _ = write!(text, "<td>{cell}</td>");
        }
        text += "</tr>\n";
    }
    Ok(text + "</table>\n")
}

fn rates(record: &Record, unit: &str) -> String {
    let settings = record.settings.iter().enumerate();
    let rows: Vec<Bar> = settings
        .filter_map(|(index, setting)| {
            let spread = record.spread(index, rate)?;
            Some(Bar {
                label: setting.label.clone(),
                parts: vec![(0, spread.median)],
                spread: Some((spread.lower_quartile, spread.upper_quartile)),
            })
        })
        .collect();
    bars("Rates", unit, &[unit.to_owned()], &rows)
}

/// Where the time went: each stage's busy time for an item.
fn stages(record: &Record) -> String {
    let mut legend: Vec<String> = Vec::new();
    for stage in record.samples.iter().flat_map(|sample| &sample.stages) {
        if !legend.contains(&stage.name) {
            legend.push(stage.name.clone());
        }
    }
    if legend.len() < 2 {
        return String::new();
    }
    let busy = |sample: &Sample, name: &str| {
        let stages = sample.stages.iter().filter(|stage| stage.name == name);
        let seconds: f64 = stages.map(|stage| stage.busy_s).sum();
        seconds * 1e6 / sample.items as f64
    };
    let rows: Vec<Bar> = record
        .settings
        .iter()
        .enumerate()
        .map(|(index, setting)| {
            let part = |(part, name): (usize, &String)| {
                Some((
                    part,
                    record.spread(index, |sample| busy(sample, name))?.median,
                ))
            };
            Bar {
                label: setting.label.clone(),
                parts: legend.iter().enumerate().filter_map(part).collect(),
                spread: None,
            }
        })
        .collect();
    figure(
        "Stages",
        &bars("Stages", "µs an item, busy", &legend, &rows),
    )
}

/// A line for each kind of setting over what was varied, if it was.
fn scaling(
    record: &Record,
    title: &str,
    across: &str,
    up: &str,
    axis: Axis,
    varied: impl Fn(&Setting) -> Option<f64>,
) -> String {
    let mut series: Vec<Series> = Vec::new();
    for (index, setting) in record.settings.iter().enumerate() {
        let (Some(value), Some(spread)) = (varied(setting), record.spread(index, rate)) else {
            continue;
        };
        let name = series_name(setting, across);
        let point = (value, spread.median);
        match series.iter_mut().find(|series| series.name == name) {
            Some(series) => series.points.push(point),
            None => series.push(Series {
                name,
                points: vec![point],
            }),
        }
    }
    match series.iter().any(|series| series.points.len() > 1) {
        true => figure(title, &lines(title, across, up, axis, &series)),
        false => String::new(),
    }
}

/// All that makes a setting, but for what is varied.
fn series_name(setting: &Setting, varied: &str) -> String {
    let mut parts = vec![setting.backend.clone().unwrap_or_else(|| "all".to_owned())];
    match (varied, setting.threads) {
        ("threads", _) => parts.push(short(setting.transactions as f64)),
        (_, Some(threads)) => parts.push(format!("{threads} threads")),
        _ => {}
    }
    parts.join(", ")
}

fn latencies(record: &Record) -> Result<String> {
    let mut text = String::new();
    for (index, setting) in record.settings.iter().enumerate() {
        let all: Vec<&Latencies> = record
            .samples_of(index)
            .filter_map(|sample| sample.latencies.as_ref())
            .collect();
        let Some(first) = all.first() else { continue };
        let title = format!("Latencies, {}: {}", first.of, setting.label);
        let together = Latencies::histogram(all)?;
        if !together.is_empty() {
            text += &figure(&title, &histogram(&title, &together));
        }
    }
    Ok(text)
}
