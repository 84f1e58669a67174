//! Checking a whole store: every block, checksum and index entry is read, and all damage is reported, not just the
//! first. What only one backend has (its files, rows, tables) it checks itself, besides this walk.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::{BlockReader, Error, Held, IndexEntry, Location, Place, Result};

/// Something that a check found damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, or the directory of a database engine.
    pub path: PathBuf,
    /// Where in it.
    pub place: Place,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            place,
            reason,
        } = self;
        write!(f, "{} at {place}: {reason}", path.display())
    }
}

/// What a check read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    /// Blocks, pruned ones included.
    pub blocks: u64,
    /// Bodies.
    pub bodies: u64,
    /// Index entries.
    pub index_entries: u64,
    /// Damage that was reported.
    pub damage: u64,
}

/// Something that a repair made again, or took away, because it follows from what is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The file, or the directory of a database engine.
    pub path: PathBuf,
    /// What was done, such as "index file removed; it is made again".
    pub what: String,
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

/// Counts damage and hands it on.
pub(crate) struct Report<'a> {
    pub(crate) checked: Checked,
    sink: &'a mut dyn FnMut(Damage),
}

impl<'a> Report<'a> {
    pub(crate) fn new(sink: &'a mut dyn FnMut(Damage)) -> Self {
        Self {
            checked: Checked::default(),
            sink,
        }
    }

    pub(crate) fn damage(&mut self, path: &Path, place: Place, reason: impl Into<String>) {
        self.checked.damage += 1;
        (self.sink)(Damage {
            path: path.to_owned(),
            place,
            reason: reason.into(),
        });
    }

    /// Hands damage on and gives what is sound; any other error ends the check.
    pub(crate) fn sound<T>(&mut self, outcome: Result<T>) -> Result<Option<T>> {
        match outcome {
            Ok(found) => Ok(Some(found)),
            Err(Error::Corrupt {
                path,
                place,
                reason,
            }) => {
                self.damage(&path, place, reason);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Asks a reader for everything that it holds. `path` is where it is, for reports. O(store).
pub(crate) fn walk(reader: &dyn BlockReader, path: &Path, report: &mut Report<'_>) -> Result<()> {
    let Some(extent) = report.sound(reader.extent())? else {
        return Ok(());
    };
    for height in 0..extent.end {
        walk_block(reader, path, height, report)?;
        walk_index(reader, path, height, report)?;
        report.checked.blocks += 1;
    }
    Ok(())
}

fn walk_block(
    reader: &dyn BlockReader,
    path: &Path,
    height: u64,
    report: &mut Report<'_>,
) -> Result<()> {
    let place = Place::Height(height);
    let header = match report.sound(reader.header(height))? {
        Some(Some(header)) => Some(header),
        Some(None) => {
            report.damage(path, place, "the block is missing below the end");
            None
        }
        None => None,
    };
    if let Some(header) = header {
        let found = report.sound(reader.height_of(&header.id))?;
        if found.is_some_and(|found| found != Some(height)) {
            report.damage(path, place, "its id does not find it");
        }
        if let Some(Some(block)) = report.sound(reader.block(height))?
            && matches!(block.body, Held::Present(_))
        {
            report.checked.bodies += 1;
        }
    }
    Ok(())
}

fn walk_index(
    reader: &dyn BlockReader,
    path: &Path,
    height: u64,
    report: &mut Report<'_>,
) -> Result<()> {
    let Some(Some(Held::Present(entries))) = report.sound(reader.index(height))? else {
        return Ok(());
    };
    for IndexEntry { key, position } in entries {
        let Some(found) = report.sound(reader.locate(&key))? else {
            continue;
        };
        let first = match found {
            Location::Found { height, position } | Location::Pruned { height, position } => {
                Some((height, position))
            }
            Location::NotIndexed { watermark } if watermark <= height => continue,
            _ => None,
        };
        // A key that was given twice is found at its first place.
        if first.is_none_or(|first| first > (height, position)) {
            let reason = format!(
                "key {} does not find entry {position} of the block: {found:?}",
                Hex(&key)
            );
            report.damage(path, Place::Height(height), reason);
        } else {
            report.checked.index_entries += 1;
        }
    }
    Ok(())
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
