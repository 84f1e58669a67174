//! `hubledger-perf report`: records as one page of HTML with plots, which needs no network and runs no script.

mod headlines;
mod load;
mod page;
mod plot;
mod words;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

/// The arguments of `report`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Records of scenarios and of ratios; every JSON file of --results if none is given.
    #[arg(value_name = "RECORD.json")]
    records: Vec<PathBuf>,
    /// Where records are looked for.
    #[arg(long, value_name = "DIR", default_value = "perf/results")]
    results: PathBuf,
    /// The page.
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
}

/// So many records at most.
const RECORDS_MAX: usize = 200;

/// Makes the page.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let paths = match arguments.records.is_empty() {
        true => load::json_files(&arguments.results)?,
        false => arguments.records.clone(),
    };
    ensure!(
        !paths.is_empty(),
        "no record in {}",
        arguments.results.display()
    );
    ensure!(
        paths.len() <= RECORDS_MAX,
        "{} records are more than {RECORDS_MAX}",
        paths.len()
    );
    let records = paths
        .iter()
        .map(|path| load::read(path))
        .collect::<Result<Vec<_>>>()?;
    crate::files::write(&arguments.out, &page::page(&records)?)?;
    Ok(format!(
        "{} records in {}\n",
        records.len(),
        arguments.out.display()
    ))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small record that is made up: one ratio falls short, one meets its goal, a latency is too long, one figure is missing.
    pub(crate) const RATIOS: &str = r#"{
        "hub_over_dalek_batch": 4.4,
        "log_append_over_plain_file": 0.9,
        "admission_p99_ms": 15.0,
        "log_resident_mib": null,
        "details": {
            "date": "2026-02-02T00:00:00Z",
            "path": "avx2",
            "machine": {"cpu": "A <b>", "features": ["avx2"], "cores": 2, "system": "linux", "load": 1.0},
            "toolchain": {"rustc": "rustc 1", "profile": "release", "rustflags": ""},
            "measurements": {
                "hub_over_dalek_batch": {"meaning": "a & b", "kind": "times as fast", "goal": 5.5},
                "log_append_over_plain_file": {"meaning": "c", "kind": "times as fast", "goal": 0.6},
                "admission_p99_ms": {"meaning": "d", "kind": "ms", "goal": 10.0},
                "log_resident_mib": {"meaning": "e", "kind": "MiB", "goal": null}
            }
        }
    }"#;

    fn page_of(records: &[(&str, &str)]) -> String {
        let loaded: Result<Vec<_>> = records
            .iter()
            .map(|(name, text)| load::parse(text, name))
            .collect();
        page::page(&loaded.expect("records")).expect("a page")
    }

    fn arguments(records: Vec<PathBuf>, directory: &std::path::Path) -> Arguments {
        Arguments {
            records,
            results: directory.to_owned(),
            out: directory.join("report.html"),
        }
    }

    #[test]
    fn the_page_opens_with_both_pictures_and_marks_what_falls_short() {
        let older = RATIOS
            .replace("2026-02-02", "2026-01-01")
            .replace("4.4", "6.5");
        let page = page_of(&[("a <b>", RATIOS), ("older", &older)]);
        let place = |text: &str| {
            page.find(text)
                .unwrap_or_else(|| panic!("{text} in {page}"))
        };
        let pictures = [
            place("aria-label=\"How many times as fast as each peer\""),
            place("aria-label=\"How the figures moved from record to record\""),
        ];
        assert!(pictures[0] < pictures[1] && pictures[1] < place("<table"));
        assert!(page.contains("1 of 3 goals are met") && page.contains("2 fall short"));
        // In the picture, and in the table of what falls short.
        assert!(
            page.contains("4.4 ×, 20 % short of 5.5")
                && page.contains("<td class=\"missed\">50 %</td>")
        );
        assert!(page.contains("2026-01-01 to 2026-02-02"));
        assert!(
            page.contains("a &lt;b&gt;") && page.contains("a &amp; b") && !page.contains("<b>")
        );
    }

    #[test]
    fn the_records_of_this_package_make_a_page_that_needs_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let results = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        let records = load::json_files(&results).expect("results");
        run(&arguments(records, directory.path())).expect("it works");
        let page = std::fs::read_to_string(directory.path().join("report.html")).expect("a page");
        assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
        for foreign in ["<script", "http://", "https://", "<link", "@import", "url("] {
            let page = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!page.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn what_is_no_record_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let error = run(&arguments(Vec::new(), directory.path())).expect_err("there is none");
        assert!(error.to_string().contains("no record in"));
        for text in ["", "[]", "{\"samples\": 1}", "{\"details\": {}}"] {
            let path = directory.path().join("bad.json");
            crate::files::write(&path, text).expect("it can be written");
            let error = run(&arguments(vec![path], directory.path())).expect_err("no record");
            assert!(format!("{error:#}").contains("bad.json"), "{error:#}");
        }
    }
}
