//! Checking a whole store: every block, checksum and index entry is read, and all damage is reported, not just the
//! first. What only one backend has (its files, rows, tables) it checks itself, besides this walk.
//!
//! One page of an index is asked for once for each key in it, and a file that is gone once for each of its blocks. So a
//! report has one line for each place that is damaged, with how often the check met it, and so many lines at most.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::{BlockReader, DamageAt, Error, Held, IndexEntry, Location, Result};

/// Something that a check found damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, or the directory of a database engine.
    pub path: PathBuf,
    /// Where in it.
    pub damage_at: DamageAt,
    /// What is wrong there.
    pub reason: String,
    /// How often the check came upon it, at least 1: so many blocks or index entries can't be read because of it.
    pub times: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            damage_at,
            reason,
            times,
        } = self;
        write!(f, "{} at {damage_at}: {reason}", path.display())?;
        match times {
            0 | 1 => Ok(()),
            times => write!(f, " (met {times} times)"),
        }
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
    /// Damaged places: those that were reported, and [`unlisted`](Self::unlisted) ones.
    pub damage: u64,
    /// Damage that was met once [`DAMAGE_LISTED_MAX`] places were known, in other places. It isn't reported, and counts
    /// as often as it was met.
    pub unlisted: u64,
}

/// The most places that a check reports.
pub const DAMAGE_LISTED_MAX: usize = 10_000;

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

/// Collects damage: each place once, in the order in which they were met.
pub(crate) struct Report {
    pub(crate) checked: Checked,
    /// How often damage was met, in whatever place.
    met: u64,
    listed: Vec<Damage>,
    /// Where in the list a place is.
    known: HashMap<(PathBuf, DamageAt, String), usize>,
    locate: fn(Damage) -> Damage,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            checked: Checked::default(),
            met: 0,
            listed: Vec::new(),
            known: HashMap::new(),
            locate: |damage| damage,
        }
    }
}

impl Report {
    /// A backend that can tell better than the error where damage is sets this before anything is met.
    #[cfg_attr(not(feature = "rocksdb"), allow(dead_code))]
    pub(crate) fn locate_by(&mut self, locate: fn(Damage) -> Damage) {
        self.locate = locate;
    }

    /// How often damage was met so far.
    pub(crate) const fn met(&self) -> u64 {
        self.met
    }

    pub(crate) fn damage(&mut self, path: &Path, damage_at: DamageAt, reason: impl Into<String>) {
        self.met += 1;
        let mut damage = (self.locate)(Damage {
            path: path.to_owned(),
            damage_at,
            reason: reason.into(),
            times: 1,
        });
        let key = (damage.path.clone(), damage.damage_at, damage.reason.clone());
        if let Some(at) = self.known.get(&key) {
            self.listed[*at].times += 1;
            return;
        }
        self.checked.damage += 1;
        // A disk with a bad region would fill the memory with a line for each block.
        if self.listed.len() < DAMAGE_LISTED_MAX {
            self.known.insert(key, self.listed.len());
            if damage.damage_at != damage_at {
                damage.reason += &format!(", first met at {damage_at}");
            }
            self.listed.push(damage);
        } else {
            self.checked.unlisted += 1;
        }
    }

    /// Notes damage and gives what is sound; any other error ends the check.
    pub(crate) fn sound<T>(&mut self, outcome: Result<T>) -> Result<Option<T>> {
        match outcome {
            Ok(found) => Ok(Some(found)),
            Err(Error::Corrupt {
                path,
                damage_at,
                reason,
            }) => {
                self.damage(&path, damage_at, reason);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Hands on what was found.
    pub(crate) fn tell(self, found: &mut dyn FnMut(Damage)) -> Checked {
        self.listed.into_iter().for_each(found);
        self.checked
    }
}

/// Asks a reader for everything that it holds. `path` is where it is, for reports. O(store).
pub(crate) fn walk(reader: &dyn BlockReader, path: &Path, report: &mut Report) -> Result<()> {
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
    report: &mut Report,
) -> Result<()> {
    let damage_at = DamageAt::Height(height);
    let header = match report.sound(reader.header(height))? {
        Some(Some(header)) => Some(header),
        Some(None) => {
            report.damage(path, damage_at, "the block is missing below the end");
            None
        }
        None => None,
    };
    if let Some(header) = header {
        let found = report.sound(reader.height_of(&header.id))?;
        if found.is_some_and(|found| found != Some(height)) {
            report.damage(path, damage_at, "its id does not find it");
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
    report: &mut Report,
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
            // The index is being made again, which is no damage.
            Location::NotIndexed { watermark } if watermark <= height => continue,
            _ => None,
        };
        // A key that was given twice is found at its first place, which may be an earlier block.
        if first.is_none_or(|first| first > (height, position)) {
            let reason = format!(
                "key {} does not find entry {position} of the block: {found:?}",
                Hex(&key)
            );
            report.damage(path, DamageAt::Height(height), reason);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn told(report: Report) -> (Vec<String>, Checked) {
        let mut lines = Vec::new();
        let checked = report.tell(&mut |damage| lines.push(damage.to_string()));
        (lines, checked)
    }

    #[test]
    fn one_place_is_one_line_with_a_count() {
        let mut report = Report::default();
        for _ in 0..19_903 {
            report.damage("store".as_ref(), DamageAt::Index, "torn");
        }
        report.damage("store".as_ref(), DamageAt::Height(3), "torn");
        report.damage("other".as_ref(), DamageAt::Index, "torn");
        assert_eq!(report.met(), 19_905);
        let (lines, checked) = told(report);
        let expected = [
            "store at the index: torn (met 19903 times)",
            "store at height 3: torn",
            "other at the index: torn",
        ];
        assert_eq!(lines, expected);
        assert_eq!((checked.damage, checked.unlisted), (3, 0));
    }

    #[test]
    fn a_report_is_bounded_and_says_how_much_is_left_out() {
        let mut report = Report::default();
        let more = 7;
        for height in 0..DAMAGE_LISTED_MAX as u64 + more {
            report.damage("store".as_ref(), DamageAt::Height(height), "gone");
        }
        // What is listed is still counted there.
        report.damage("store".as_ref(), DamageAt::Height(0), "gone");
        let (lines, checked) = told(report);
        assert_eq!(lines.len(), DAMAGE_LISTED_MAX);
        assert_eq!(lines[0], "store at height 0: gone (met 2 times)");
        assert_eq!(checked.unlisted, more);
        assert_eq!(checked.damage, DAMAGE_LISTED_MAX as u64 + more);
    }
}
