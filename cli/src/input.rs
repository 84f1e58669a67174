//! What commands are given as a file or, for `-`, on standard input, and never more of it than a limit.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use hubledger_storage::opening::open_regular_or_given;

use crate::failure::{Failure, Result};

/// Where bytes come from.
pub(crate) enum Input {
    File(File),
    Stdin,
}

impl Input {
    /// Opens a regular file, or what the process was started with.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdin);
        }
        let file = open_regular_or_given(path).with_context(|| name_of(path))?;
        Ok(Self::File(file))
    }

    /// The length that is known beforehand.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::File(file) => file.metadata().map_or(0, |found| found.len()),
            Self::Stdin => 0,
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Stdin => io::stdin().lock().read(buffer),
        }
    }
}

/// What errors call a path.
pub(crate) fn name_of(path: &Path) -> String {
    match path.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}

/// All bytes of a file or of standard input, which are not more than `limit`.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Input::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .with_context(|| name_of(path))?;
    if bytes.len() as u64 > limit {
        let name = name_of(path);
        return Err(Failure::message(format!(
            "{name}: longer than {limit} bytes"
        )));
    }
    Ok(bytes)
}
