//! What is not on the chain: a file of JSON lines that the host appends to, each with the hash of the one before.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hubledger::digest::Digest;
use hubledger::merkle;
use serde_json::{Map, Value};

use super::local_act::{LocalAct, TEXT_BYTES_MAX};
use crate::payload::Fields;

/// The longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 16 << 10;

/// Why a local log can't be written or believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The file can't be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line isn't what was written.
    #[error("{path}: line {line}: {problem}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        problem: &'static str,
    },
}

/// A line that was read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalLine {
    /// So many lines came before it.
    pub number: u64,
    /// When it was written, in microseconds since 1970, by this hub's clock.
    pub time: u64,
    /// What was done, in a word.
    pub act: String,
    /// The whole line, an object.
    pub text: String,
}

/// The hash of a line.
fn hash_of(line: &str) -> Digest {
    merkle::leaf_hash(&[line.as_bytes()])
}

/// An append-only file of what this hub saw. One writer at a time, which the host sees to.
#[derive(Debug)]
pub struct LocalLog {
    path: PathBuf,
    file: File,
    lines: u64,
    last: Digest,
    end: u64,
}

impl LocalLog {
    /// Opens a file, or begins it, and checks what is in it. A last line that a crash has cut is removed; anything else that is wrong is an error. O(file).
    ///
    /// # Errors
    /// [`LocalError`].
    pub fn open(path: &Path) -> Result<Self, LocalError> {
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false);
        let file = opened.open(path).map_err(|source| failed(path, source))?;
        let mut log = Self {
            path: path.to_owned(),
            file,
            lines: 0,
            last: Digest::ZERO,
            end: 0,
        };
        let chained = follow(path, &log.file, &mut |_| {})?;
        (log.lines, log.last, log.end) = (chained.lines, chained.last, chained.bytes);
        log.file
            .set_len(log.end)
            .map_err(|source| failed(path, source))?;
        Ok(log)
    }

    /// The hash of the last line: who wrote it down elsewhere, knows later that nothing up to it was changed. Zero of no line.
    #[must_use]
    pub const fn last(&self) -> Digest {
        self.last
    }

    /// Lines so far.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// Appends a line, and has it on the disk. `time` is now, in microseconds since 1970.
    ///
    /// # Errors
    /// The file can't be written. What was written of the line then doesn't count, also if it is there.
    pub fn append(&mut self, time: u64, act: &LocalAct) -> Result<(), LocalError> {
        let mut object = Map::new();
        object.insert("source".to_owned(), "hub".into());
        object.insert("number".to_owned(), self.lines.into());
        object.insert("time".to_owned(), time.into());
        act.put(&mut object);
        object.insert("previous".to_owned(), self.last.to_string().into());
        let text = Value::Object(object).to_string();
        let line = [text.as_bytes(), b"\n"].concat();
        let mut write = || {
            self.file.seek(SeekFrom::Start(self.end))?;
            self.file.write_all(&line)?;
            self.file.set_len(self.end + line.len() as u64)?;
            self.file.sync_data()
        };
        write().map_err(|source| failed(&self.path, source))?;
        self.end += line.len() as u64;
        self.lines += 1;
        self.last = hash_of(&text);
        Ok(())
    }

    /// Reads a file that somebody may be appending to, checks each line, and tells it. Returns the hash of the last one; a line that isn't finished is left out.
    ///
    /// # Errors
    /// [`LocalError`]; what was told before is sound.
    pub fn read(path: &Path, tell: &mut dyn FnMut(LocalLine)) -> Result<Digest, LocalError> {
        let file = File::open(path).map_err(|source| failed(path, source))?;
        Ok(follow(path, &file, tell)?.last)
    }
}

fn failed(path: &Path, source: std::io::Error) -> LocalError {
    let path = path.to_owned();
    LocalError::Io { path, source }
}

/// How far a file is sound.
struct Chained {
    lines: u64,
    last: Digest,
    bytes: u64,
}

/// Follows the chain of lines to the end of a file.
fn follow(
    path: &Path,
    file: &File,
    tell: &mut dyn FnMut(LocalLine),
) -> Result<Chained, LocalError> {
    let mut reader = BufReader::new(file);
    let mut chained = Chained {
        lines: 0,
        last: Digest::ZERO,
        bytes: 0,
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = reader.by_ref().take(LINE_BYTES_MAX as u64 + 1);
        let read = bounded.read_until(b'\n', &mut line);
        read.map_err(|source| failed(path, source))?;
        let damaged = |problem| LocalError::Damaged {
            path: path.to_owned(),
            line: chained.lines + 1,
            problem,
        };
        if line.len() > LINE_BYTES_MAX {
            return Err(damaged("it is too long"));
        }
        let Some((b'\n', text)) = line.split_last() else {
            return Ok(chained);
        };
        let read = check(text, chained.lines, &chained.last).map_err(damaged)?;
        chained.lines += 1;
        chained.last = hash_of(&read.text);
        chained.bytes += line.len() as u64;
        tell(read);
    }
}

fn check(text: &[u8], number: u64, previous: &Digest) -> Result<LocalLine, &'static str> {
    let fields = Fields::read(text).ok_or("it is not an object of distinct names")?;
    let counted = fields.value("number").and_then(Value::as_u64);
    if fields.digest("previous") != Some(*previous) || counted != Some(number) {
        return Err("it does not follow the line before");
    }
    if fields.text("source", 8) != Some("hub") {
        return Err("it is not of a hub's own log");
    }
    let time = fields.value("time").and_then(Value::as_u64);
    let act = fields.text("act", TEXT_BYTES_MAX);
    let text = String::from_utf8(text.to_vec()).map_err(|_| "it is not UTF-8")?;
    Ok(LocalLine {
        number,
        time: time.ok_or("it has no time")?,
        act: act.ok_or("it has no act")?.to_owned(),
        text,
    })
}
