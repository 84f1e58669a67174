//! Versions one after the other, from commits, memory runs and runs, as one ascending sequence without what nobody needs.

use super::boundaries::Boundaries;
use super::part::Part;
use super::version::Version;
use crate::{Result, TableChange};

/// Versions in ascending order.
pub(super) trait Versions {
    /// The version at which it is; `None` at the end.
    fn current(&self) -> Option<Version<'_>>;

    /// Goes to the next one.
    fn advance(&mut self) -> Result<()>;
}

/// Those of a commit that is being made.
pub(super) struct CommitVersions<'a> {
    changes: &'a [TableChange],
    commit: u64,
    /// Of the first change.
    key: Vec<u8>,
}

impl<'a> CommitVersions<'a> {
    pub(super) fn new(changes: &'a [TableChange], commit: u64) -> Self {
        let key = Vec::new();
        let mut versions = Self {
            changes,
            commit,
            key,
        };
        versions.join();
        versions
    }

    fn join(&mut self) {
        self.key.clear();
        if let Some(change) = self.changes.first() {
            self.key.push(change.table);
            self.key.extend_from_slice(&change.key);
        }
    }
}

impl Versions for CommitVersions<'_> {
    fn current(&self) -> Option<Version<'_>> {
        let change = self.changes.first()?;
        Some(Version {
            key: &self.key,
            value: change.value.as_deref(),
            commit: self.commit,
        })
    }

    fn advance(&mut self) -> Result<()> {
        self.changes = self.changes.get(1..).unwrap_or_default();
        self.join();
        Ok(())
    }
}

/// Those of a part.
pub(super) struct PartVersions<'a> {
    part: &'a Part,
    next: usize,
}

impl<'a> PartVersions<'a> {
    pub(super) const fn new(part: &'a Part) -> Self {
        Self { part, next: 0 }
    }
}

impl Versions for PartVersions<'_> {
    fn current(&self) -> Option<Version<'_>> {
        (self.next < self.part.len()).then(|| self.part.version(self.next))
    }

    fn advance(&mut self) -> Result<()> {
        self.next += 1;
        Ok(())
    }
}

/// Versions, of which those of later commits than `limit` were taken back.
pub(super) struct Limited<'a> {
    pub(super) versions: Box<dyn Versions + 'a>,
    pub(super) limit: u64,
}

/// What is merged, and what of it has to be kept.
pub(super) struct Merge<'a> {
    /// The newest first: each has only earlier commits than those before it.
    pub(super) sources: Vec<Limited<'a>>,
    pub(super) boundaries: &'a Boundaries,
    /// Whether nothing older is beneath: then that a key was removed need not be said.
    pub(super) is_oldest: bool,
}

impl Merge<'_> {
    /// Gives each version that has to be kept to `keep`, in order, as long as it says to go on. Gives whether it came to the end.
    pub(super) fn run(mut self, mut keep: impl FnMut(Version<'_>) -> Result<bool>) -> Result<bool> {
        let mut key = Vec::new();
        // The commit that changed this key next, and removals of which it isn't known yet whether anything is beneath.
        let mut changed_again = None;
        let mut removals: Vec<u64> = Vec::new();
        while let Some(at) = self.least() {
            let Limited { versions, limit } = &mut self.sources[at];
            let Some(version) = versions.current() else {
                break;
            };
            if version.key != key {
                key.clear();
                key.extend_from_slice(version.key);
                changed_again = None;
                removals.clear();
            }
            if version.commit <= *limit {
                let is_needed = self.boundaries.need(version.commit, changed_again);
                changed_again = Some(version.commit);
                match version.value {
                    _ if !is_needed => {}
                    None if self.is_oldest => removals.push(version.commit),
                    _ => {
                        let value = None;
                        let removals = removals.drain(..);
                        let removals = removals.map(|commit| Version {
                            value,
                            commit,
                            ..version
                        });
                        for version in removals.chain([version]) {
                            if !keep(version)? {
                                return Ok(false);
                            }
                        }
                    }
                }
            }
            versions.advance()?;
        }
        Ok(true)
    }

    /// The number of the source with the least key; of several, the newest.
    fn least(&self) -> Option<usize> {
        let mut least: Option<(usize, &[u8])> = None;
        for (number, source) in self.sources.iter().enumerate() {
            let Some(version) = source.versions.current() else {
                continue;
            };
            if least.is_none_or(|(_, key)| version.key < key) {
                least = Some((number, version.key));
            }
        }
        least.map(|(number, _)| number)
    }
}
