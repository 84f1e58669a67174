//! How hard the next block is, from the specification, the times of the blocks before, and what the state keeps of them.

use super::work::{Target, asert, window};
use crate::format::model::HeaderFields;
use crate::format::spec::{ChainSpec, Retarget, WorkTerms};
use crate::state::tables::{WorkRow, WorkRows};
use crate::state::{ConsensusChanges, State};

/// What the difficulty of the next block follows from, beside the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkSoFar {
    /// The first height at which work was asked for, and the time of its block, in microseconds since the Unix epoch.
    pub first: (u64, u64),
    /// Height, time and difficulty of the last block.
    pub last: (u64, u64, u64),
}

/// The difficulty of the block after `parent`. O(1).
pub(super) fn expected(spec: &ChainSpec, work: &WorkTerms, parent: &State) -> u64 {
    let Some((first, difficulty)) = kept(spec, parent) else {
        return work.difficulty;
    };
    let so_far = WorkSoFar {
        first,
        last: (parent.height(), parent.timestamp(), difficulty),
    };
    let time_of = |height| {
        let row = parent.value::<WorkRows>(&WorkRows::key(height, work.interval));
        match row {
            Some(WorkRow::Time(time)) => Some(time),
            _ => None,
        }
    };
    after(spec, work, &so_far, time_of)
}

/// The difficulty of the next block; `time_of` tells the time of one of the last blocks, as many as an interval has.
pub(super) fn after(
    spec: &ChainSpec,
    work: &WorkTerms,
    so_far: &WorkSoFar,
    time_of: impl Fn(u64) -> Option<u64>,
) -> u64 {
    match work.retarget {
        Retarget::Asert => by_schedule(spec, work, so_far),
        Retarget::Window => by_window(spec, work, so_far, time_of),
    }
}

fn by_schedule(spec: &ChainSpec, work: &WorkTerms, so_far: &WorkSoFar) -> u64 {
    let ((first, first_time), (height, time, _)) = (so_far.first, so_far.last);
    if height <= first {
        return work.difficulty;
    }
    let spacing = spec.terms.block_time_us;
    let schedule = asert::Schedule {
        spacing,
        half_life: spacing.saturating_mul(work.interval.into()),
        limit: Target::MAX,
    };
    // The second block, whose parent's time is that of a block: genesis may be of any time before.
    let anchor = asert::Anchor {
        height: first.saturating_add(1),
        parent_time: first_time,
        target: Target::from_difficulty(work.difficulty),
    };
    asert::next_difficulty(&schedule, &anchor, height, time)
}

fn by_window(
    spec: &ChainSpec,
    work: &WorkTerms,
    so_far: &WorkSoFar,
    time_of: impl Fn(u64) -> Option<u64>,
) -> u64 {
    let ((first, _), (height, time, difficulty)) = (so_far.first, so_far.last);
    let oldest = height.saturating_add(1).checked_sub(work.interval.into());
    let oldest = oldest.filter(|oldest| *oldest >= first && work.interval > 1);
    match oldest.and_then(time_of) {
        Some(oldest) => {
            let window = window::Window {
                interval: work.interval,
                first: oldest,
                last: time,
            };
            window::next_difficulty(difficulty, &window, spec.terms.block_time_us)
        }
        None => difficulty,
    }
}

/// What a block changes of that.
pub(super) fn changes(
    spec: &ChainSpec,
    work: &WorkTerms,
    parent: &State,
    header: &HeaderFields,
    changes: &mut ConsensusChanges,
) {
    let (height, time) = (header.height, header.timestamp);
    let kept = kept(spec, parent);
    let is_window = work.retarget == Retarget::Window;
    if kept.is_none() || is_window {
        let first = kept.map_or((height, time), |(first, _)| first);
        let difficulty = header.difficulty;
        changes.put::<WorkRows>(WorkRows::LAST, &WorkRow::Last { first, difficulty });
    }
    if is_window {
        let key = WorkRows::key(height, work.interval);
        changes.put::<WorkRows>(&key, &WorkRow::Time(time));
    }
}

/// Where work began, and how hard the last block was, if that is of this specification.
fn kept(spec: &ChainSpec, parent: &State) -> Option<((u64, u64), u64)> {
    match parent.value::<WorkRows>(WorkRows::LAST)? {
        WorkRow::Last { first, difficulty } if first.0 >= spec.first_height() => {
            Some((first, difficulty))
        }
        _ => None,
    }
}
