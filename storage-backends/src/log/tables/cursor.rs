//! A run as readers see it, from the lowest key up or from the highest down: of each key what its last commit made of it.

use std::sync::Arc;

use super::memory_run::MemoryRun;
use super::part::Part;
use super::run_file::RunFile;
use super::version::Version;
use crate::Result;

/// A run in memory or in a file.
#[derive(Clone, Copy)]
pub(super) enum Run<'a> {
    Memory(&'a MemoryRun),
    /// With the last commit that counts.
    File(&'a RunFile, u64),
}

impl Run<'_> {
    fn limit(self) -> u64 {
        match self {
            Self::Memory(_) => u64::MAX,
            Self::File(_, limit) => limit,
        }
    }

    /// A part of a number; `None` behind the last.
    fn part(self, number: usize) -> Result<Option<Arc<Part>>> {
        match self {
            Self::Memory(run) => Ok((number == 0).then(|| Arc::clone(run.part()))),
            Self::File(run, _) if number < run.index()?.fences.len() => run.part(number).map(Some),
            Self::File(..) => Ok(None),
        }
    }

    /// The first part that may have keys from this one on.
    fn part_from(self, key: &[u8]) -> Result<usize> {
        match self {
            Self::Memory(_) => Ok(0),
            Self::File(run, _) => Ok(run.index()?.fences.block_of(key)),
        }
    }

    /// How many parts begin below a key, or are there at all.
    fn parts_below(self, key: Option<&[u8]>) -> Result<usize> {
        match (self, key) {
            (Self::Memory(_), _) => Ok(1),
            (Self::File(run, _), Some(key)) => Ok(run.index()?.fences.first_from(key)),
            (Self::File(run, _), None) => Ok(run.index()?.fences.len()),
        }
    }
}

/// The bounds of a range: keys with their tables.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    pub(super) from: &'a [u8],
    /// None for all from `from` on.
    pub(super) below: Option<&'a [u8]>,
    pub(super) is_descending: bool,
}

/// A place between two versions: so many parts, and so many versions of the next, are before it.
struct Place {
    part: usize,
    /// The part that the place is in, once it was read.
    held: Option<Arc<Part>>,
    version: usize,
}

/// See the [module](self).
pub(super) struct Cursor<'a> {
    run: Run<'a>,
    bounds: Bounds<'a>,
    place: Place,
    /// The version at which it is.
    current: Option<(Arc<Part>, usize)>,
    /// The key at which it was last.
    key: Vec<u8>,
}

impl<'a> Cursor<'a> {
    /// At the first key of a range, if there is one.
    pub(super) fn begin(run: Run<'a>, bounds: Bounds<'a>) -> Result<Self> {
        let place = match bounds.is_descending {
            false => {
                let part = run.part_from(bounds.from)?;
                let held = run.part(part)?;
                let version = held.as_ref().map_or(0, |held| held.first_from(bounds.from));
                Place {
                    part,
                    held,
                    version,
                }
            }
            true => match run.parts_below(bounds.below)?.checked_sub(1) {
                None => Place {
                    part: 0,
                    held: None,
                    version: 0,
                },
                Some(part) => {
                    let held = run.part(part)?;
                    let version = held.as_ref().map_or(0, |held| match bounds.below {
                        Some(below) => held.first_from(below),
                        None => held.len(),
                    });
                    Place {
                        part,
                        held,
                        version,
                    }
                }
            },
        };
        let mut cursor = Self {
            run,
            bounds,
            place,
            current: None,
            key: Vec::new(),
        };
        cursor.advance()?;
        Ok(cursor)
    }

    /// The key at which it is, and the part that has its version; `None` at the end.
    pub(super) fn current(&self) -> Option<(&Part, Version<'_>)> {
        let (part, number) = self.current.as_ref()?;
        Some((part, part.version(*number)))
    }

    /// Goes to the next key.
    pub(super) fn advance(&mut self) -> Result<()> {
        self.current = match self.bounds.is_descending {
            false => self.next_up()?,
            true => self.next_down()?,
        };
        Ok(())
    }

    fn next_up(&mut self) -> Result<Option<(Arc<Part>, usize)>> {
        while let Some(part) = self.part_behind()? {
            let number = self.place.version;
            let version = part.version(number);
            if self.bounds.below.is_some_and(|below| version.key >= below) {
                return Ok(None);
            }
            self.place.version += 1;
            // The first that counts of a key is its last commit's.
            if version.commit <= self.run.limit() && version.key != self.key {
                self.key.clear();
                self.key.extend_from_slice(version.key);
                return Ok(Some((part, number)));
            }
        }
        Ok(None)
    }

    /// The part with the version behind the place.
    fn part_behind(&mut self) -> Result<Option<Arc<Part>>> {
        loop {
            match &self.place.held {
                None => return Ok(None),
                Some(held) if self.place.version < held.len() => return Ok(Some(Arc::clone(held))),
                Some(_) => {
                    self.place.part += 1;
                    self.place.version = 0;
                    self.place.held = self.run.part(self.place.part)?;
                }
            }
        }
    }

    fn next_down(&mut self) -> Result<Option<(Arc<Part>, usize)>> {
        let mut last = None;
        while let Some(part) = self.part_before()? {
            let number = self.place.version - 1;
            let version = part.version(number);
            let is_next_key = last.is_some() && version.key != self.key;
            if is_next_key || version.key < self.bounds.from {
                break;
            }
            self.place.version = number;
            // Later commits of the key are still to come.
            if version.commit <= self.run.limit() {
                if last.is_none() {
                    self.key.clear();
                    self.key.extend_from_slice(version.key);
                }
                last = Some((part, number));
            }
        }
        Ok(last)
    }

    /// The part with the version before the place.
    fn part_before(&mut self) -> Result<Option<Arc<Part>>> {
        loop {
            match &self.place.held {
                None => return Ok(None),
                Some(held) if self.place.version > 0 => return Ok(Some(Arc::clone(held))),
                Some(_) if self.place.part == 0 => return Ok(None),
                Some(_) => {
                    self.place.part -= 1;
                    self.place.held = self.run.part(self.place.part)?;
                    self.place.version = self.place.held.as_ref().map_or(0, |held| held.len());
                }
            }
        }
    }
}
