//! `verify --mpreg` and `import --mpreg`: chains that MPREG keeps.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hubledger::rejection::{Reason, Rejected};
use hubledger::spec::ChainSpec;
use hubledger_mpreg::{self as mpreg, Audit, ChainReport, Converter, Source, SourceError};
use serde_json::{Map, Value, json};

use super::importer::Importer;
use super::read_spec;
use crate::args::{Import, Verify};
use crate::failure::{Failure, Result, verdict};
use crate::output::Output;
use crate::progress::Progress;
use crate::stop::Stop;

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        if error.is_corrupt() {
            Self::Corrupt(error.into())
        } else {
            Self::Failed(error.into())
        }
    }
}

/// Checks one chain, or all of them: then the report lists each, and its verdict is the first bad one's.
pub(crate) fn verify(args: &Verify, path: &Path, output: &Output) -> Result {
    let source = Source::open(path)?;
    let chains: Vec<String> = match &args.chain {
        Some(chain) => vec![source.chain(chain)?.id.clone()],
        None => source
            .chains()
            .iter()
            .map(|chain| chain.id.clone())
            .collect(),
    };
    if chains.is_empty() {
        return Err(Failure::message(format!(
            "{}: it holds no chain",
            path.display()
        )));
    }
    let mut reports = Vec::new();
    output.stop().in_order();
    for chain in &chains {
        reports.push(verify_one(args, &source, chain, output.stop())?);
    }
    let first_bad = reports
        .iter()
        .find_map(|(report, _)| report.verdict.clone().err());
    let whole = match reports.as_slice() {
        [(_, described)] => described.clone(),
        _ => together(&reports, first_bad.as_ref()),
    };
    match first_bad {
        Some(rejected) => Err(Failure::Invalid(rejected, whole)),
        None => {
            output.print(&Value::Object(whole));
            Ok(())
        }
    }
}

fn verify_one(
    args: &Verify,
    source: &Source,
    chain: &str,
    stop: &Stop,
) -> Result<(ChainReport, Map<String, Value>)> {
    let info = source.chain(chain)?;
    let mut audit = match (&info.config, args.audit) {
        (Ok(config), true) => Some(Audit::new(config)),
        _ => None,
    };
    let mut progress = Progress::new("verify", Some(info.blocks));
    let (mut seen, mut checked) = (0, 0);
    let report = mpreg::verify_in_parallel(
        source,
        chain,
        now(),
        threads(args.threads),
        &mut |blocks, transactions| {
            progress.block(transactions - seen, blocks);
            seen = transactions;
            checked = blocks;
            stop.flow()
        },
        audit.as_mut(),
    );
    let report = match report {
        Err(SourceError::Stopped { .. }) => {
            let (blocks, chain) = (info.blocks, &info.id);
            let detail = format!(
                "of {blocks} blocks of chain {chain} the first {checked} were checked, without a fault; start it again"
            );
            let report = Map::from_iter([("checked".to_owned(), checked.into())]);
            return Err(stop.failure(detail, report));
        }
        report => report?,
    };
    let seconds = progress.finish();
    let mut map = match &report.verdict {
        Ok(()) => Map::from_iter([("verdict".to_owned(), "valid".into())]),
        Err(rejected) => verdict(rejected),
    };
    map.insert("chain".to_owned(), chain.into());
    map.insert("blocks".to_owned(), report.blocks.into());
    map.insert("transactions".to_owned(), report.transactions.into());
    map.insert("head".to_owned(), json!(report.head));
    map.insert("seconds".to_owned(), json!(seconds));
    map.insert("signatures".to_owned(), report.signatures.into());
    if let Some(audit) = audit {
        map.insert("audit".to_owned(), json!(audit.report()));
    }
    Ok((report, map))
}

/// One document for several chains.
fn together(
    reports: &[(ChainReport, Map<String, Value>)],
    first_bad: Option<&Rejected>,
) -> Map<String, Value> {
    let mut map = first_bad.map(verdict).unwrap_or_default();
    if first_bad.is_none() {
        map.insert("verdict".to_owned(), "valid".into());
    }
    let sum = |figure: fn(&ChainReport) -> u64| -> u64 {
        reports.iter().map(|(report, _)| figure(report)).sum()
    };
    map.insert("blocks".to_owned(), sum(|report| report.blocks).into());
    map.insert(
        "transactions".to_owned(),
        sum(|report| report.transactions).into(),
    );
    let seconds: f64 = reports
        .iter()
        .filter_map(|(_, map)| map["seconds"].as_f64())
        .sum();
    map.insert("seconds".to_owned(), json!(seconds));
    let chains = reports
        .iter()
        .map(|(_, described)| Value::Object(described.clone()));
    map.insert("chains".to_owned(), chains.collect());
    map
}

/// Checks the chain by MPREG's rules, then writes its record, block by block, as a native chain.
pub(crate) fn import(args: &Import, path: &Path, output: &Output) -> Result {
    let source = Source::open(path)?;
    let chain = only_chain(&source, args.chain.as_deref())?;
    let after = args.spec.as_deref().map(read_spec).transpose()?;
    let blocks = source.chain(&chain)?.blocks;
    let stop = output.stop();
    stop.in_order();
    let mut progress = Progress::new("check", Some(blocks));
    let mut seen = 0;
    let planned = mpreg::plan(
        &source,
        &chain,
        now(),
        threads(args.threads),
        after.as_ref(),
        &mut |blocks, transactions| {
            progress.block(transactions - seen, blocks);
            seen = transactions;
            stop.flow()
        },
    );
    let (report, spec) = match planned {
        Err(SourceError::Stopped { .. }) => {
            let detail = "nothing was imported yet; start it again";
            return Err(stop.failure(detail, Map::new()));
        }
        planned => planned?,
    };
    let checking = progress.finish();
    if let Err(rejected) = report.verdict {
        return Err(Failure::invalid(rejected));
    }
    let Some(spec) = spec else {
        return Err(Failure::message(format!(
            "{}: the chain is empty",
            path.display()
        )));
    };
    let spec = spec.map_err(|error| Failure::message(format!("{}: {error}", path.display())))?;
    let mut importer = Importer::open(args, &spec, blocks)?;
    let is_cut = convert_blocks(&source, &chain, &spec, &mut importer, stop)?;
    if is_cut {
        return importer.stopped(stop);
    }
    let mut extra = Map::new();
    extra.insert("chain".to_owned(), chain.into());
    extra.insert("source_blocks".to_owned(), report.blocks.into());
    extra.insert("source_head".to_owned(), json!(report.head));
    importer.finish(checking, extra, output)
}

/// Hands in the blocks that aren't held yet, and says whether some were left behind because the process was asked to stop.
fn convert_blocks(
    source: &Source,
    chain: &str,
    spec: &ChainSpec,
    importer: &mut Importer,
    stop: &Stop,
) -> Result<bool> {
    let state = importer.engine().state();
    let held = state.height();
    let mut converter = Converter::new(spec.clone(), state);
    let (mut height, mut is_cut, mut ended) = (0, false, Ok(()));
    source.for_each_row(chain, &mut |row| {
        if stop.is_asked() {
            is_cut = true;
            return ControlFlow::Break(());
        }
        height += 1;
        if height <= held {
            importer.skip(height);
            return ControlFlow::Continue(());
        }
        let native = convert(&row, height, &mut converter);
        // A rule that an earlier block breaks comes first.
        ended = match native {
            Ok(native) => importer.take(native.encode().into()),
            Err(failure) => importer.settle().and(Err(failure)),
        };
        match ended {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    ended?;
    importer.settle()?;
    Ok(is_cut)
}

fn convert(
    row: &mpreg::RawRow<'_>,
    height: u64,
    converter: &mut Converter,
) -> Result<hubledger::model::Block> {
    let original = row.read(height - 1).map_err(Failure::invalid)?;
    converter.convert(&original).map_err(|error| {
        let detail = format!("can't be imported: {error}");
        Failure::invalid(Rejected::block(original.height, Reason::Limit, detail))
    })
}

fn only_chain(source: &Source, asked: Option<&str>) -> Result<String> {
    if let Some(chain) = asked {
        return Ok(source.chain(chain)?.id.clone());
    }
    match source.chains() {
        [chain] => Ok(chain.id.clone()),
        chains => {
            let names: Vec<&str> = chains.iter().map(|chain| chain.id.as_str()).collect();
            Err(Failure::message(format!(
                "{} holds {} chains, say which with --chain: {}",
                source.path().display(),
                names.len(),
                names.join(", ")
            )))
        }
    }
}

/// As many threads as were asked for; for 0, as the machine has cores.
fn threads(asked: u16) -> NonZero<usize> {
    let cores = || std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    NonZero::new(asked.into()).unwrap_or_else(cores)
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
