//! `hubledger-perf report`: records as one page of HTML with drawn plots, which needs no network and runs no script.

mod bars;
mod lines;
mod load;
mod page;
mod svg;

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
mod tests {
    use super::*;

    fn arguments(records: Vec<PathBuf>, directory: &std::path::Path) -> Arguments {
        Arguments {
            records,
            results: directory.to_owned(),
            out: directory.join("report.html"),
        }
    }

    #[test]
    fn the_records_of_this_package_make_a_page_that_needs_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let results = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        let records = load::json_files(&results).expect("results");
        run(&arguments(records, directory.path())).expect("it works");
        let page = std::fs::read_to_string(directory.path().join("report.html")).expect("a page");
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
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
