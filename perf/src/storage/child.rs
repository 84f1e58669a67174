//! Processes of their own: one whose memory is that of a store alone, and one that can be killed while it appends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand};
use hubledger_storage::Durability;

use super::keeper::Contender;
use super::workload::Workload;

/// What a child is told to do.
#[derive(Debug, Args)]
pub(crate) struct Child {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
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
pub(crate) fn be_child(child: &Child) -> Result<String> {
    match &child.task {
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
    let status = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    resident_in(&status).context("/proc/self/status has no RssAnon")
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Resident memory of a child that fills a store: before the first block, and the most of all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resident {
    pub(super) before: u64,
    pub(super) most: u64,
}

/// Has a child fill an empty store.
pub(super) fn fill(contender: &Contender, directory: &Path, transactions: u64) -> Result<Resident> {
    let output = command("fill", contender, directory, transactions)?
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "the child failed: {}",
        output.status
    );
    let text = String::from_utf8(output.stdout)?;
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
    let mut child = command("append", contender, directory, from)?.spawn()?;
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

fn command(task: &str, contender: &Contender, directory: &Path, number: u64) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["child", task, &contender.to_string()]);
    command.arg(directory).arg(number.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let status = "VmRSS:\t    3000 kB\nRssAnon:\t     1234 kB\nRssFile:\t 5 kB\n";
        assert_eq!(resident_in(status), Some(1234 * 1024));
        assert_eq!(resident_in("VmRSS: 1 kB\n"), None);
        assert_eq!(resident_in("RssAnon: many\n"), None);
    }
}
