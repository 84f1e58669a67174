//! Processes of their own: one whose memory is that of a store alone, and one that can be killed while it appends.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ChildStdout;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use hubledger_storage::Durability;

use super::contender::Contender;
use super::workload::Workload;
use crate::child::{command, memory_of_this_process, output_of};

/// What a child of this area is told to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Appends a workload to an empty store and prints the most resident memory, files excluded, in bytes.
    Fill {
        contender: Contender,
        directory: PathBuf,
        transactions: u64,
    },
    /// Appends blocks to a store without end, and prints its height after each commit.
    Append {
        contender: Contender,
        directory: PathBuf,
        from: u64,
    },
}

/// Does what the child is told, in a process of its own.
pub(crate) fn be_child(task: &Task) -> Result<String> {
    match task {
        Task::Fill {
            contender,
            directory,
            transactions,
        } => {
            let mut keeper = contender.open(directory, Durability::Disk)?;
            let before = resident_bytes()?;
            let mut most = before;
            for run in Workload::standard(*transactions).runs() {
                keeper.append(&run)?;
                most = most.max(resident_bytes()?);
            }
            keeper.finish()?;
            Ok(format!("{before} {most}\n"))
        }
        Task::Append {
            contender,
            directory,
            from,
        } => {
            let mut keeper = contender.open(directory, Durability::Disk)?;
            let workload = Workload::standard(0);
            let mut stdout = std::io::stdout().lock();
            for run in workload.runs_of(*from..u64::MAX) {
                keeper.append(&run)?;
                let end = run.last().map_or(*from, |block| block.height + 1);
                writeln!(stdout, "{end}")?;
                stdout.flush()?;
            }
            Ok(String::new())
        }
    }
}

/// Resident memory of this process that is not of files.
fn resident_bytes() -> Result<u64> {
    memory_of_this_process("RssAnon")
}

/// Resident memory of a child that fills a store: before the first block, and the most of all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resident {
    pub(super) before: u64,
    pub(super) most: u64,
}

/// Has a child fill an empty store.
pub(super) fn fill(contender: &Contender, directory: &Path, transactions: u64) -> Result<Resident> {
    let text = output_of("fill", words(contender, directory, transactions))?;
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(before), Some(most)) => Ok(Resident {
            before: before?,
            most: most?,
        }),
        _ => bail!("the child said {text:?}"),
    }
}

/// Has a child append from a height on, and kills it (SIGKILL) in the midst, as soon as it has reached `until`.
pub(super) fn append_and_kill(
    contender: &Contender,
    directory: &Path,
    from: u64,
    until: u64,
) -> Result<()> {
    let mut command = command("append")?;
    let mut child = command.args(words(contender, directory, from)).spawn()?;
    let watched = child
        .stdout
        .take()
        .context("no pipe")
        .and_then(|pipe| watch(pipe, until));
    child.kill()?;
    child.wait()?;
    watched
}

fn watch(pipe: ChildStdout, until: u64) -> Result<()> {
    for line in BufReader::new(pipe).lines() {
        if line?.parse::<u64>()? >= until {
            return Ok(());
        }
    }
    bail!("the child ended before it was killed")
}

/// What a task is about, as words of a command line.
fn words(contender: &Contender, directory: &Path, number: u64) -> [OsString; 3] {
    let directory = directory.as_os_str().to_owned();
    [
        contender.to_string().into(),
        directory,
        number.to_string().into(),
    ]
}
