//! Ratios as a table and as JSON.

use std::fmt::Write as _;

use hubledger_signatures::Path;
use serde_json::{Map, Value, json};

use crate::machine::{Machine, TOOLCHAIN, date};
use crate::ratio::{Evidence, Measured, Side};
use crate::statistics::{Spread, rounded};
use crate::table::Table;
use crate::turns::Figures;

/// The ratios at the top, and under `details` what they come from.
pub(super) fn to_json(machine: &Machine, path: Path, measured: &[Measured]) -> Value {
    let by_key = |value: &dyn Fn(&Measured) -> Value| -> Map<String, Value> {
        let entries = measured.iter();
        entries
            .map(|measured| (measured.ratio.key.to_owned(), value(measured)))
            .collect()
    };
    let mut record = by_key(&|measured| json!(measured.value().map(rounded)));
    let details = by_key(&Measured::to_json);
    let details = json!({
        "date": date(),
        "path": path.name(),
        "machine": machine,
        "toolchain": TOOLCHAIN,
        "measurements": details,
    });
    record.insert("details".to_owned(), details);
    Value::Object(record)
}

/// A line for each ratio.
pub(super) fn to_table(measured: &[Measured]) -> Table {
    let head = [
        "ratio",
        "value",
        "goal",
        "in rounds",
        "±",
        "first µs",
        "±",
        "cpu µs",
        "second µs",
        "±",
        "cpu µs",
        "turns",
    ];
    let mut table = Table::new(1, &head);
    for measured in measured {
        let value = measured.value();
        let mut row = vec![
            measured.ratio.key.to_owned(),
            value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.3}")),
            measured.ratio.wanted().unwrap_or_else(|| "-".to_owned()),
        ];
        match &measured.evidence {
            Evidence::Compared { first, second, .. } => {
                let (in_rounds, second) = match second {
                    Side::Measured(second) => {
                        let [above, below] = measured.ratio.kind.sides(first, second);
                        (shown(&above.over(below)), side(second))
                    }
                    Side::Stated(second) => {
                        let stated = format!("{:.3}", second.us_per_item);
                        let none = || "-".to_owned();
                        ([none(), none()], [stated, "stated".to_owned(), none()])
                    }
                };
                row.extend(in_rounds);
                row.extend(side(first));
                row.extend(second);
                row.push(first.turns().to_string());
            }
            Evidence::Figure { .. } | Evidence::Missing(_) => {}
        }
        row.resize(head.len(), "-".to_owned());
        table.push(row);
    }
    table
}

fn shown(spread: &Spread) -> [String; 2] {
    [format!("{:.3}", spread.median), percent(spread)]
}

/// A contestant's cells: its figure, and the processor time of all its threads.
fn side(figures: &Figures) -> [String; 3] {
    let [median, percent] = shown(&figures.spread());
    [
        median,
        percent,
        format!("{:.3}", figures.processor().median),
    ]
}

/// Why ratios were not measured, a line each.
pub(super) fn missing(measured: &[Measured]) -> String {
    let mut text = String::new();
    for measured in measured {
        if let Evidence::Missing(reason) = &measured.evidence {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{}: {reason}", measured.ratio.key);
        }
    }
    text
}

/// A spread as a part of its median.
pub(crate) fn percent(spread: &Spread) -> String {
    format!("{:.1} %", 100.0 * spread.relative())
}
