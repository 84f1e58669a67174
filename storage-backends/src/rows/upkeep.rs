//! Keeping the runs few: some neighbours of one level become one of the next, a share with each commit.

use super::index_run::IndexRunShape;
use super::merge::{Keep, Merge};
use super::state::RowState;
use super::{RowContext, Table, View};
use crate::Result;

/// How often an entry is merged at most. After that runs grow in number, not in size.
const LEVEL_MAX: u64 = 3;
/// Entries that are merged for each one that is appended: more than [`LEVEL_MAX`], so that merging keeps up.
const SHARE: usize = 4;

/// The merge that is under way, if there is one.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    merge: Option<Merge>,
}

/// What a commit has to put besides its blocks.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Sealed rows of the run that is being made.
    pub(super) rows: Vec<(u64, Vec<u8>)>,
    /// The number of the run that is begun.
    pub(super) begun: Option<u64>,
    /// The run that is whole with this.
    pub(super) finished: Option<IndexRunShape>,
}

impl Upkeep {
    /// The share of work that comes with the appending of some entries.
    pub(super) fn work(
        &mut self,
        view: &impl View,
        context: RowContext<'_>,
        (shapes, state): (&[IndexRunShape], &RowState),
        fanout: usize,
        appended: usize,
    ) -> Result<Work> {
        let mut work = Work::default();
        if self.merge.is_none()
            && let Some(inputs) = due(shapes, fanout)
        {
            let shape = merged(inputs, state.next_run);
            work.begun = Some(shape.id);
            self.merge = Some(Merge::new(inputs, shape, Keep::all_of(state.extent)));
        }
        if let Some(merge) = &mut self.merge {
            let rows = &mut work.rows;
            let mut put = |number: u64, content: &[u8]| {
                rows.push((number, context.seal(Table::Runs, number, &[content])));
                Ok(())
            };
            // A share with each commit: a whole merge at once would make one append wait for the rewriting of millions of
            // entries.
            let ended = merge.advance(view, context, appended * SHARE, &mut put)?;
            if ended && let Some(merge) = self.merge.take() {
                work.finished = Some(merge.finish(&mut put)?);
            }
        }
        Ok(work)
    }
}

/// The runs that should become one: the oldest of the lowest level that has enough.
fn due(shapes: &[IndexRunShape], fanout: usize) -> Option<&[IndexRunShape]> {
    (0..LEVEL_MAX).find_map(|level| {
        let first = shapes.iter().position(|shape| shape.level == level)?;
        let same = shapes[first..]
            .iter()
            .take_while(|shape| shape.level == level);
        (same.count() >= fanout).then(|| &shapes[first..first + fanout])
    })
}

fn merged(inputs: &[IndexRunShape], id: u64) -> IndexRunShape {
    let ends = inputs.first().zip(inputs.last());
    IndexRunShape {
        id,
        level: inputs.iter().map(|shape| shape.level).max().unwrap_or(0) + 1,
        heights: ends.map_or(0..0, |(first, last)| first.heights.start..last.heights.end),
        entries: inputs.iter().map(|shape| shape.entries).sum(),
    }
}
