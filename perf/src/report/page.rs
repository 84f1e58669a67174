//! The page: the two pictures of the headlines, what falls short, then a section for each record.

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::headlines::{beside_peers, courses, day, goal_of, in_order, moves, newest, shortfalls};
use super::load::{Figure, Loaded, Ratios};
use super::plot::{Bar, Series, bars, colour, legend, lines};
use super::words::{duration, percent, short};
use crate::machine::{Machine, Toolchain};
use crate::scenario::{Latencies, Record, Sample, Setting};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(super) fn page(records: &[Loaded]) -> Result<String> {
    let opening = opening(records)?;
    let mut sections = Vec::with_capacity(records.len());
    for record in records {
        sections.push(match record {
            Loaded::Scenario(record) => (&record.name, scenario(record)?),
            Loaded::Ratios(record) => (&record.name, ratios(record)),
        });
    }
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "hubledger: how fast it is" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "hubledger: how fast it is" }
                (opening)
                h2 { "All records" }
                nav {
                    @for (index, (name, _)) in sections.iter().enumerate() {
                        a href=(format!("#r{index}")) { (name) }
                    }
                }
                @for (index, (_, section)) in sections.iter().enumerate() {
                    section id=(format!("r{index}")) { (section) }
                }
            }
        }
    };
    Ok(page.into_string())
}

/// What a reader wants to see first.
fn opening(records: &[Loaded]) -> Result<Markup> {
    let ratios = records.iter().filter_map(|record| match record {
        Loaded::Ratios(ratios) => Some(&**ratios),
        Loaded::Scenario(_) => None,
    });
    let records = in_order(ratios);
    let newest = newest(&records);
    if newest.is_empty() {
        return Ok(html! {});
    }
    let courses = courses(&records);
    let wanted = newest
        .iter()
        .filter(|(_, figure)| goal_of(figure).is_some());
    let (wanted, short) = (wanted.count(), shortfalls(&newest));
    Ok(html! {
        p class=(if short.is_empty() { "verdict" } else { "verdict short" }) {
            (wanted - short.len()) " of " (wanted) " goals are met by the newest figures. "
            @if short.is_empty() { "Nothing falls short." } @else { a href="#short" { (short.len()) " fall short." } }
        }
        @if !courses.is_empty() {
            h2 { "Beside its peers" }
            p.note { "Newest figures, each from turns in one run. A bar to the right of 1 is faster than the peer; the upright mark "
                "is the goal. The scale is logarithmic." }
            (beside_peers(&courses)?)
            h2 { "From record to record" }
            p.note { "Times as fast as the peer, from the oldest record to the newest. The dashed line is the goal." }
            (moves(&courses)?)
        }
        @if !short.is_empty() {
            h2 #short { "What falls short" }
            div.table { table {
                tr { th { "ratio" } th { "value" } th { "wanted" } th { "short by" } }
                @for (record, figure, goal, part) in &short {
                    tr {
                        td { (explained(figure, &format!(" Measured on {}.", day(record)))) }
                        td.missed { (shown(figure)) }
                        td { (figure.kind.wanted(*goal)) }
                        td.missed { (percent(*part)) }
                    }
                }
            } }
        }
    })
}

fn head(name: &str, date: &str, machine: &Machine, toolchain: &Toolchain) -> Markup {
    html! {
        h2 { (name) }
        p.machine {
            (date) "; " (machine.cpu) ", " (machine.cores) " cores"
            @if let Some(load) = machine.load { ", load " (load) }
            "; " (machine.system) "; " (toolchain.rustc) " (" (toolchain.profile) ")"
        }
    }
}

/// A ratio's key, which unfolds to what it means.
fn explained(figure: &Figure, more: &str) -> Markup {
    html! { details { summary { (figure.key) } p { (figure.meaning) (more) } } }
}

fn shown(figure: &Figure) -> String {
    let value = figure.value.map(|value| format!("{value:.3}"));
    value.unwrap_or_else(|| "not measured".to_owned())
}

fn ratios(record: &Ratios) -> Markup {
    let details = &record.details;
    html! {
        (head(&record.name, &details.date, &details.machine, &details.toolchain))
        p.machine { "path " (details.path) }
        div.table { table {
            tr { th { "ratio" } th { "value" } th { "wanted then" } th { "short by" } }
            @for figure in &record.figures {
                @let part = figure.shortfall();
                tr {
                    td { (explained(figure, "")) }
                    td class=[part.map(|_| "missed")] { (shown(figure)) }
                    td { (figure.goal.map_or_else(|| "–".to_owned(), |goal| figure.kind.wanted(goal))) }
                    td.missed { @if let Some(part) = part { (percent(part)) } }
                }
            }
        } }
    }
}

fn scenario(record: &Record) -> Result<Markup> {
    let unit = match record.scenario.get("kind").and_then(Value::as_str) {
        Some("storage-lookup") => "look-ups a second",
        _ => "transactions a second",
    };
    let threads = |setting: &Setting| setting.threads.map(|threads| threads as f64);
    let lengths = |setting: &Setting| Some(setting.transactions as f64);
    Ok(html! {
        (head(&record.name, &record.date, &record.machine, &record.toolchain))
        (table(record)?)
        (rates(record, unit)?)
        (stages(record)?)
        (scaling(record, "Over threads", "threads", unit, threads)?)
        (scaling(record, "Over chain length", "transactions", unit, lengths)?)
    })
}

/// Items a second.
fn rate(sample: &Sample) -> f64 {
    1e6 / sample.us_per_item().max(1e-9)
}

/// Percentiles of latencies that are shown.
const PERCENTILES: [(f64, &str); 5] = [
    (0.5, "p50"),
    (0.9, "p90"),
    (0.99, "p99"),
    (0.999, "p99.9"),
    (1.0, "most"),
];

fn table(record: &Record) -> Result<Markup> {
    let mut rows = Vec::new();
    for (index, setting) in record.settings.iter().enumerate() {
        let (Some(wall), Some(processor)) = (
            record.spread(index, Sample::us_per_item),
            record.spread(index, Sample::processor_us_per_item),
        ) else {
            continue;
        };
        let samples = record.samples_of(index);
        let histogram = Latencies::histogram(samples.filter_map(|s| s.latencies.as_ref()))?;
        let mut cells = vec![
            setting.label.clone(),
            format!("{:.3}", wall.median),
            format!("{:.3}–{:.3}", wall.lower_quartile, wall.upper_quartile),
            format!("{:.3}", processor.median),
            short(1e6 / wall.median),
            record.samples_of(index).count().to_string(),
        ];
        cells.extend(PERCENTILES.map(|(part, _)| match histogram.is_empty() {
            true => "–".to_owned(),
            false => duration(histogram.value_at_quantile(part) as f64),
        }));
        rows.push(cells);
    }
    let names = [
        "setting",
        "µs an item",
        "quartiles",
        "processor µs",
        "a second",
        "samples",
    ];
    let percentiles = PERCENTILES.map(|(_, name)| name);
    let of = record
        .samples
        .iter()
        .find_map(|sample| sample.latencies.as_ref());
    Ok(html! {
        @if let Some(latencies) = of { p.note { "p50 to most are latencies: " (latencies.of) "." } }
        div.table { table {
            tr { @for name in names.into_iter().chain(percentiles) { th { (name) } } }
            @for row in &rows { tr { @for cell in row { td { (cell) } } } }
        } }
    })
}

fn rates(record: &Record, unit: &str) -> Result<Markup> {
    let settings = record.settings.iter().enumerate();
    let rows: Vec<Bar> = settings
        .filter_map(|(index, setting)| {
            let spread = record.spread(index, rate)?;
            Some(Bar {
                label: setting.label.clone(),
                parts: vec![(0.0, spread.median, colour(0))],
                spread: Some((spread.lower_quartile, spread.upper_quartile)),
                mark: None,
                value: short(spread.median),
            })
        })
        .collect();
    Ok(html! {
        h3 { "Rates" }
        p.note { "Medians; the dark line at a bar's end spans the quartiles." }
        (bars("Rates", unit, &rows)?)
    })
}

/// Where the time went: each stage's busy time for an item.
fn stages(record: &Record) -> Result<Markup> {
    let mut names: Vec<&str> = Vec::new();
    for stage in record.samples.iter().flat_map(|sample| &sample.stages) {
        if !names.contains(&&*stage.name) {
            names.push(&stage.name);
        }
    }
    if names.len() < 2 {
        return Ok(html! {});
    }
    let busy = |sample: &Sample, name: &str| {
        let stages = sample.stages.iter().filter(|stage| stage.name == name);
        let seconds: f64 = stages.map(|stage| stage.busy_s).sum();
        seconds * 1e6 / sample.items as f64
    };
    let bar = |(index, setting): (usize, &Setting)| {
        let (mut parts, mut end) = (Vec::new(), 0.0);
        for (number, name) in names.iter().enumerate() {
            if let Some(spread) = record.spread(index, |sample| busy(sample, name)) {
                parts.push((end, end + spread.median, colour(number)));
                end += spread.median;
            }
        }
        Bar {
            label: setting.label.clone(),
            parts,
            spread: None,
            mark: None,
            value: short(end),
        }
    };
    let rows: Vec<Bar> = record.settings.iter().enumerate().map(bar).collect();
    let names = names.iter().enumerate();
    Ok(html! {
        h3 { "Stages" }
        (legend(names.map(|(number, name)| (colour(number), *name))))
        (bars("Stages", "µs an item, busy", &rows)?)
    })
}

/// A line for each kind of setting over what was varied, if it was.
fn scaling(
    record: &Record,
    title: &str,
    across: &str,
    up: &str,
    varied: impl Fn(&Setting) -> Option<f64>,
) -> Result<Markup> {
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
    if !series.iter().any(|series| series.points.len() > 1) {
        return Ok(html! {});
    }
    Ok(html! { h3 { (title) } (lines(title, across, up, &series)?) })
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
