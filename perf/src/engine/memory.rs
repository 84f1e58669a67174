//! The memory of an import: the most that a process held that imported a block file and did nothing else.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use hubledger::blockfile::{BlockFileReader, BlockFileWriter};
use hubledger::engine::{Engine, Outcome};
use hubledger::generate::{Generator, Recipe};
use hubledger_storage::StoreUrl;
use serde_json::{Value, json};

use crate::child::{memory_of_this_process, output_of};
use crate::ratio::all_rounded;
use crate::statistics::{Spread, rounded};
use crate::storage::{Contender, fresh_directory};

/// How many times as long the long file is.
const LONGER: u64 = 4;
/// Large payloads make a file long with few signatures to make.
const PAYLOAD_BYTES: u32 = 4_000;
/// Imports of each file, in turns.
const ROUNDS: usize = 3;
/// Resident memory that is not of files, looked at after every block.
const OWN: &str = "RssAnon";
/// The most resident memory so far, as the system kept it; pages of files included, which it can take back.
const PEAK: &str = "VmHWM";

/// What a child of this area is told to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Imports a block file into a new store as the command line does, and prints the most resident memory in bytes: that
    /// which is not of files, and all of it.
    Import {
        /// The block file.
        file: PathBuf,
        /// The store.
        store: StoreUrl,
    },
}

/// Does what the child is told, in a process of its own.
pub(crate) fn be_child(task: &Task) -> Result<String> {
    let Task::Import { file, store } = task;
    let mut most = 0;
    import_file(file, store, || {
        most = most.max(memory_of_this_process(OWN)?);
        Ok(())
    })?;
    Ok(format!("{most} {}\n", memory_of_this_process(PEAK)?))
}

/// Imports a block file with the engine as it comes; `each` looks on after every block.
fn import_file(file: &Path, store: &StoreUrl, mut each: impl FnMut() -> Result<()>) -> Result<()> {
    let mut reader = BlockFileReader::open(file)?;
    let engine = Engine::builder().create(store.create()?, reader.spec())?;
    let mut failed = None;
    let blocks = std::iter::from_fn(|| {
        let block = reader.next_block();
        block.unwrap_or_else(|error| {
            failed = Some(error);
            None
        })
    });
    for outcome in engine.import(blocks.map(|(_, bytes)| bytes)) {
        match outcome? {
            Outcome::Committed(_) => each()?,
            other => bail!("a block was not accepted: {other:?}"),
        }
    }
    engine.shutdown()?;
    match failed {
        Some(error) => Err(error).context("read a block"),
        None => Ok(()),
    }
}

/// The peak of importing a file by that of importing its first quarter, medians of children that took turns.
pub(super) fn long_over_short(
    transactions: u64,
    contender: &Contender,
    under: &Path,
) -> Result<(f64, Value)> {
    let directory = fresh_directory(under)?;
    let [short, long] = ["short.hlb", "long.hlb"].map(|name| directory.path().join(name));
    write_files(transactions, &short, &long)?;
    let mut peaks: [Vec<Peak>; 2] = Default::default();
    for round in 0..ROUNDS {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            peaks[which].push(peak_of([&short, &long][which], contender, under)?);
        }
    }
    let own = |which: usize| peaks[which].iter().map(|peak| peak.own_mib);
    let all = |which: usize| peaks[which].iter().map(|peak| peak.all_mib);
    let medians = [0, 1].map(|which| Spread::of(own(which)).median);
    let side = |which: usize, transactions: u64, file: &Path| -> Result<Value> {
        Ok(json!({
            "transactions": transactions,
            "file_mib": file.metadata()?.len() >> 20,
            "peak_mib": rounded(medians[which]),
            "turns_peak_mib": all_rounded(own(which)),
            "turns_peak_with_files_mib": all_rounded(all(which)),
        }))
    };
    let from = json!({
        "turns": ROUNDS,
        "short": side(0, transactions, &short)?,
        "long": side(1, LONGER * transactions, &long)?,
        "measured": format!("{OWN} of /proc/self/status after every block, and {PEAK} at the end, in a process that does \
                             nothing else"),
    });
    Ok((medians[1] / medians[0], from))
}

/// Two files of one chain, one of which ends sooner.
fn write_files(transactions: u64, short: &Path, long: &Path) -> Result<()> {
    let mut generator = Generator::new(Recipe {
        transactions: LONGER * transactions,
        payload_bytes: PAYLOAD_BYTES,
        ..Recipe::default()
    })?;
    let mut short = BlockFileWriter::create(short, generator.spec())?;
    let mut long = BlockFileWriter::create(long, generator.spec())?;
    let mut made = 0;
    while let Some(block) = generator.next_block()? {
        if made < transactions {
            short.append(&block)?;
        }
        long.append(&block)?;
        made += block.transactions().len() as u64;
    }
    short.finish()?;
    long.finish()?;
    Ok(())
}

/// The most memory of a process, in MiB.
pub(crate) struct Peak {
    /// Without pages of files.
    pub(crate) own_mib: f64,
    pub(crate) all_mib: f64,
}

/// The most memory of a child that imports a file into a fresh store.
pub(crate) fn peak_of(file: &Path, contender: &Contender, under: &Path) -> Result<Peak> {
    let directory = fresh_directory(under)?;
    let store = contender.store_url(directory.path())?.to_string();
    let text = output_of("import", [file.as_os_str(), OsStr::new(&store)])?;
    let bytes = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<Vec<u64>, _>>();
    match bytes.as_deref() {
        Ok([own, all]) => Ok(Peak {
            own_mib: *own as f64 / f64::from(1 << 20),
            all_mib: *all as f64 / f64::from(1 << 20),
        }),
        _ => bail!("the child said {text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_file_goes_on_where_the_short_one_ends() {
        let directory = tempfile::tempdir().expect("a directory");
        let [short, long] = ["short.hlb", "long.hlb"].map(|name| directory.path().join(name));
        write_files(1_000, &short, &long).expect("they can be written");
        for (file, heights) in [(&short, 1), (&long, LONGER)] {
            let store = format!(
                "log:{}",
                directory.path().join(heights.to_string()).display()
            );
            let store: StoreUrl = store.parse().expect("a URL");
            import_file(file, &store, || Ok(())).expect("it is valid");
            let engine = Engine::builder().open(store.open().expect("a store"));
            let head = engine.expect("an engine").head().expect("a head");
            assert_eq!(head.height, heights);
        }
        std::fs::write(&short, "HLBLOCKS").expect("a file");
        let store = "memory:".parse().expect("a URL");
        assert!(import_file(&short, &store, || Ok(())).is_err());
    }
}
