//! The directory that a snapshot is written into: held by one writer, with a journal of what is finished, so that an export that was
//! interrupted goes on.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use hubledger_storage::opening::{create_regular, open_directory, open_regular, sync_name};
use serde::{Deserialize, Serialize};

use super::manifest::{HeaderFile, RowFile, SnapshotManifest};
use super::{
    HEAD, HEADERS, MANIFEST, PARTIAL, ROWS, SUFFIX, SnapshotError, SnapshotFile, head_path,
    headers_path, partial, rows_path,
};
use crate::format::digest::{BlockHash, Digest};

/// The journal: a line of JSON for each file that is finished, after one with the head.
const JOURNAL: &str = "finished.partial";
/// The longest journal that is read.
const JOURNAL_BYTES_MAX: u64 = 128 << 20;

/// A line of the journal.
#[derive(Debug, Serialize, Deserialize)]
enum Line {
    Snapshot(BlockHash),
    Head(SnapshotFile),
    Headers(HeaderFile),
    Rows(RowFile),
}

/// The directory of a snapshot that is being written.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    head: BlockHash,
    /// Of files that an earlier run has finished, in the order in which they are written.
    earlier: std::vec::IntoIter<Line>,
    journal: Option<File>,
    /// Holds the lock.
    _directory: File,
}

/// What a directory holds already.
pub(super) enum Found {
    /// This snapshot, complete.
    Complete(Box<SnapshotManifest>),
    /// Nothing, or a part of it.
    Unfinished(Folder),
}

impl Folder {
    /// Opens the directory for a snapshot of `head`; creates it if need be. What is unfinished of another head is removed.
    pub(super) fn open(path: &Path, head: BlockHash) -> Result<Found, SnapshotError> {
        let io = SnapshotError::io(path);
        match fs::create_dir(path) {
            // The new directory's own name has to survive a loss of power, or everything in it is gone.
            Ok(()) => sync_name(path).map_err(&io)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(error)),
        }
        let directory = open_directory(path).map_err(&io)?;
        directory.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => SnapshotError::InUse {
                path: path.to_owned(),
            },
            TryLockError::Error(error) => io(error),
        })?;
        if let Some(manifest) = SnapshotManifest::read(path)? {
            if manifest.head != head {
                return Err(SnapshotError::OtherHead {
                    path: path.to_owned(),
                    held: manifest.head,
                    asked: head,
                });
            }
            return Ok(Found::Complete(Box::new(manifest)));
        }
        refuse_strangers(path)?;
        let mut lines = read_journal(path)?.into_iter();
        let is_same = matches!(lines.next(), Some(Line::Snapshot(held)) if held == head);
        if !is_same {
            remove_unfinished(path)?;
            lines = Vec::new().into_iter();
        }
        let mut folder = Self {
            path: path.to_owned(),
            head,
            earlier: Vec::new().into_iter(),
            journal: None,
            _directory: directory,
        };
        let kept = folder.begin_journal(lines)?;
        folder.earlier = kept.into_iter();
        Ok(Found::Unfinished(folder))
    }

    /// Writes the journal anew, of the files that are there as it says, up to the first that isn't.
    fn begin_journal(
        &mut self,
        lines: impl Iterator<Item = Line>,
    ) -> Result<Vec<Line>, SnapshotError> {
        let mut kept = Vec::new();
        for line in lines {
            let sound = match &line {
                Line::Snapshot(_) => break,
                Line::Head(file) => file.check(&head_path(&self.path)),
                Line::Headers(file) => file.file.check(&headers_path(&self.path, file.first)),
                Line::Rows(file) => file.file.check(&rows_path(&self.path, &file.first)),
            };
            match sound {
                Ok(()) => kept.push(line),
                Err(SnapshotError::Damaged { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        let journal = self.path.join(JOURNAL);
        let file = create_regular(&journal).map_err(SnapshotError::io(&journal))?;
        self.journal = Some(file);
        self.note(&Line::Snapshot(self.head))?;
        kept.iter().try_for_each(|line| self.note(line))?;
        Ok(kept)
    }

    /// Notes a finished file. If the note is lost in a crash, the file is written again.
    fn note(&mut self, line: &Line) -> Result<(), SnapshotError> {
        let path = self.path.join(JOURNAL);
        let io = SnapshotError::io(&path);
        let mut json = serde_json::to_vec(line).map_err(|error| io(error.into()))?;
        json.push(b'\n');
        match &mut self.journal {
            Some(journal) => journal.write_all(&json).map_err(io),
            None => Ok(()),
        }
    }

    /// The head's file, as an earlier run wrote it.
    pub(super) fn earlier_head(&mut self) -> Option<SnapshotFile> {
        match self.earlier.next()? {
            Line::Head(file) => Some(file),
            _ => self.forget(),
        }
    }

    /// The next file of headers that an earlier run wrote, if it begins at `first` and ends below `end`.
    pub(super) fn earlier_headers(&mut self, first: u64, end: u64) -> Option<HeaderFile> {
        match self.earlier.next()? {
            Line::Headers(file) if file.first == first && (first..end).contains(&file.last) => {
                Some(file)
            }
            _ => self.forget(),
        }
    }

    /// The next file of rows that an earlier run wrote, if it begins at this place.
    pub(super) fn earlier_rows(&mut self, first: &Digest) -> Option<RowFile> {
        match self.earlier.next()? {
            Line::Rows(file) if file.first == *first && file.last >= file.first => Some(file),
            _ => self.forget(),
        }
    }

    /// From the first file on that isn't as expected all are written again.
    fn forget<T>(&mut self) -> Option<T> {
        self.earlier = Vec::new().into_iter();
        None
    }

    pub(super) fn write_head(&mut self, contents: &[u8]) -> Result<SnapshotFile, SnapshotError> {
        let file = SnapshotFile::write(&head_path(&self.path), contents)?;
        self.note(&Line::Head(file))?;
        Ok(file)
    }

    pub(super) fn write_headers(
        &mut self,
        (first, last): (u64, u64),
        contents: &[u8],
    ) -> Result<HeaderFile, SnapshotError> {
        let file = SnapshotFile::write(&headers_path(&self.path, first), contents)?;
        let file = HeaderFile { first, last, file };
        self.note(&Line::Headers(file.clone()))?;
        Ok(file)
    }

    /// Writes a file of all rows of a range, from its first place to its last.
    pub(super) fn write_rows(
        &mut self,
        range: (Digest, Digest),
        rows: u64,
        contents: &[u8],
    ) -> Result<RowFile, SnapshotError> {
        let (first, last) = range;
        let file = SnapshotFile::write(&rows_path(&self.path, &first), contents)?;
        let file = RowFile {
            first,
            last,
            rows,
            file,
        };
        self.note(&Line::Rows(file.clone()))?;
        Ok(file)
    }

    /// Puts the manifest into its place, which completes the snapshot.
    pub(super) fn finish(self, manifest: &SnapshotManifest) -> Result<(), SnapshotError> {
        let path = self.path.join(MANIFEST);
        let new = partial(&path);
        let io = SnapshotError::io(&new);
        let mut file = create_regular(&new).map_err(&io)?;
        file.write_all(&manifest.encode())
            .and_then(|()| file.sync_all())
            .map_err(&io)?;
        fs::rename(&new, &path)
            .and_then(|()| sync_name(&path))
            .map_err(SnapshotError::io(&path))?;
        let journal = self.path.join(JOURNAL);
        fs::remove_file(&journal).map_err(SnapshotError::io(&journal))
    }
}

/// The lines of the journal, up to one that was cut off; none without a journal.
fn read_journal(folder: &Path) -> Result<Vec<Line>, SnapshotError> {
    let path = folder.join(JOURNAL);
    let io = SnapshotError::io(&path);
    let file = match open_regular(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut bytes = Vec::new();
    file.take(JOURNAL_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    let lines = bytes.split(|byte| *byte == b'\n');
    Ok(lines
        .map_while(|line| serde_json::from_slice(line).ok())
        .collect())
}

fn is_of_snapshot(name: &str) -> bool {
    let whole = name.strip_suffix(PARTIAL).unwrap_or(name);
    name == JOURNAL
        || (whole == MANIFEST && whole != name)
        || whole == HEAD
        || (whole.ends_with(SUFFIX) && (whole.starts_with(HEADERS) || whole.starts_with(ROWS)))
}

/// Refuses a directory without a manifest that holds anything but what an export has left unfinished.
fn refuse_strangers(folder: &Path) -> Result<(), SnapshotError> {
    let io = SnapshotError::io(folder);
    for entry in fs::read_dir(folder).map_err(&io)? {
        let name = entry.map_err(&io)?.file_name();
        let name = name.to_string_lossy();
        if !is_of_snapshot(&name) {
            return Err(SnapshotError::NotASnapshot {
                path: folder.to_owned(),
                reason: format!("it has no {MANIFEST}, but {name}"),
            });
        }
    }
    Ok(())
}

/// Removes what an export of another head has left.
fn remove_unfinished(folder: &Path) -> Result<(), SnapshotError> {
    let io = SnapshotError::io(folder);
    for entry in fs::read_dir(folder).map_err(&io)? {
        let path = entry.map_err(&io)?.path();
        fs::remove_file(&path).map_err(SnapshotError::io(&path))?;
    }
    Ok(())
}
