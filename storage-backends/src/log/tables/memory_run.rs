//! A run in memory: a commit, or several that were merged, which are not in a file yet.

use std::sync::Arc;

use super::boundaries::Boundaries;
use super::context::TableContext;
use super::filter::Filter;
use super::part::{Found, Part};
use super::versions::{CommitVersions, Limited, Merge, PartVersions, Versions};
use crate::{Result, TableChange};

/// Memory runs are merged as long as what comes out has at most so many bytes, so that no commit waits for the merging of more.
pub(super) const MERGED_BYTES_MAX: usize = if cfg!(test) { 4096 } else { 4 << 20 };

/// See the [module](self).
#[derive(Debug)]
pub(super) struct MemoryRun {
    part: Arc<Part>,
    filter: Filter,
}

impl MemoryRun {
    /// The changes of a commit, as one is made of them that can be gone back to.
    pub(super) fn of_commit(
        context: &TableContext,
        changes: &[TableChange],
        commit: u64,
        boundaries: &Boundaries,
    ) -> Result<Self> {
        let versions: Box<dyn Versions> = Box::new(CommitVersions::new(changes, commit));
        Self::merged(context, vec![versions], boundaries)
    }

    /// Some runs as one, the newest first.
    pub(super) fn of_runs(
        context: &TableContext,
        runs: &[Arc<Self>],
        boundaries: &Boundaries,
    ) -> Result<Self> {
        let sources = runs.iter().map(|run| run.versions()).collect();
        Self::merged(context, sources, boundaries)
    }

    fn merged(
        context: &TableContext,
        sources: Vec<Box<dyn Versions + '_>>,
        boundaries: &Boundaries,
    ) -> Result<Self> {
        let limit = u64::MAX;
        let sources = sources.into_iter();
        let merge = Merge {
            sources: sources
                .map(|versions| Limited { versions, limit })
                .collect(),
            boundaries,
            is_oldest: false,
        };
        let mut bytes = Vec::new();
        let mut hashes = Vec::new();
        merge.run(|version| {
            version.encode(0, &mut bytes);
            hashes.push(context.hash.of_table_key(version.key));
            Ok(true)
        })?;
        let mut filter = Filter::for_keys(hashes.len() as u64);
        hashes.iter().for_each(|hash| filter.add(*hash));
        let part = Part::parse(bytes.into(), 0).expect("these are versions");
        Ok(Self {
            part: Arc::new(part),
            filter,
        })
    }

    /// Bytes that it takes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.part.memory_bytes() + self.filter.bytes().len()
    }

    /// Versions in it.
    pub(super) fn len(&self) -> usize {
        self.part.len()
    }

    pub(super) const fn part(&self) -> &Arc<Part> {
        &self.part
    }

    pub(super) fn versions(&self) -> Box<dyn Versions + '_> {
        Box::new(PartVersions::new(&self.part))
    }

    /// What was made of a key with this hash.
    pub(super) fn find(&self, key: &[u8], hash: u64) -> Option<Found> {
        match self.filter.may_have(hash) {
            true => self.part.find(key, u64::MAX),
            false => None,
        }
    }
}

/// How many of the newest memory runs are to become one: as long as the next older one is at most twice as large as those before it
/// together. So their number is that of a logarithm, and so is how often a version is copied.
pub(super) fn due(runs: &[Arc<MemoryRun>]) -> usize {
    let mut sum = 0;
    let mut count = 0;
    for run in runs {
        let bytes = run.memory_bytes();
        if count > 0 && (bytes > 2 * sum || sum + bytes > MERGED_BYTES_MAX) {
            break;
        }
        sum += bytes;
        count += 1;
    }
    count
}
