//! Processes of their own, for what can't be measured within one that did other things before: its memory, its death.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// A child that is yet to be started; what it prints comes through a pipe.
pub(crate) fn command(task: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["child", task]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}

/// What a child prints that ends by itself.
pub(crate) fn output_of<S: AsRef<OsStr>>(
    task: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Result<String> {
    let mut command = command(task)?;
    let output = command.args(arguments).stderr(Stdio::inherit()).output()?;
    let status = output.status;
    ensure!(status.success(), "the child failed: {status}");
    Ok(String::from_utf8(output.stdout)?)
}

/// A field of `/proc/self/status` that is an amount of memory, in bytes.
pub(crate) fn memory_of_this_process(field: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    memory_in(&status, field).with_context(|| format!("/proc/self/status has no {field}"))
}

fn memory_in(status: &str, field: &str) -> Option<u64> {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let (_, amount) = lines.find(|(name, _)| *name == field)?;
    let kibibytes: u64 = amount.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let status =
            "VmRSS:\t    3000 kB\nRssAnon:\t     1234 kB\nRssFile:\t 5 kB\nThreads:\tmany\n";
        assert_eq!(memory_in(status, "RssAnon"), Some(1234 * 1024));
        assert_eq!(memory_in(status, "Rss"), None);
        assert_eq!(memory_in(status, "Threads"), None);
    }
}
