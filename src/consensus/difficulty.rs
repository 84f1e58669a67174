//! How hard the next block is, from the specification, the times of the blocks before, and what the state keeps of them.

use super::work::{Target, asert, window};
use crate::format::model::HeaderFields;
use crate::format::spec::{ChainSpec, Retarget, WorkTerms};
use crate::state::tables::{WorkRow, WorkRows};
use crate::state::{ConsensusChanges, State};

/// The difficulty of the block after `parent`. O(1).
pub(super) fn expected(spec: &ChainSpec, work: &WorkTerms, parent: &State) -> u64 {
    let Some((first, last)) = kept(spec, parent) else {
        return work.difficulty;
    };
    match work.retarget {
        Retarget::Asert => by_schedule(spec, work, first, parent),
        Retarget::Window => by_window(spec, work, first.0, last, parent),
    }
}

fn by_schedule(spec: &ChainSpec, work: &WorkTerms, first: (u64, u64), parent: &State) -> u64 {
    let (height, time) = first;
    if parent.height() <= height {
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
        height: height.saturating_add(1),
        parent_time: time,
        target: Target::from_difficulty(work.difficulty),
    };
    asert::next_difficulty(&schedule, &anchor, parent.height(), parent.timestamp())
}

fn by_window(spec: &ChainSpec, work: &WorkTerms, first: u64, last: u64, parent: &State) -> u64 {
    let (height, interval) = (parent.height(), u64::from(work.interval));
    let Some(oldest) = (height + 1).checked_sub(interval) else {
        return last;
    };
    let row = parent.value::<WorkRows>(&WorkRows::key(oldest, work.interval));
    match row {
        Some(WorkRow::Time(time)) if oldest >= first && interval > 1 => {
            let window = window::Window {
                interval: work.interval,
                first: time,
                last: parent.timestamp(),
            };
            window::next_difficulty(last, &window, spec.terms.block_time_us)
        }
        _ => last,
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
