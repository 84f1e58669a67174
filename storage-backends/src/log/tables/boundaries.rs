//! The commits of a set that can be gone back to, and what has to be kept for them.
//!
//! A version that a later commit put another in place of is kept only if a commit between the two can be gone back to.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use crate::Position;
use crate::tables::arguments::Progress;

/// A moment of a set: that after a commit, or that before the first, whose number is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Boundary {
    pub(super) commit: u64,
    pub(super) position: Option<Position>,
}

/// See the [module](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Boundaries {
    pub(super) undo_floor: u64,
    /// Ascending; the last is the newest commit. Never empty.
    list: VecDeque<Boundary>,
}

const START: Boundary = Boundary {
    commit: 0,
    position: None,
};

impl Boundaries {
    /// Those of a set without commits.
    pub(super) fn new() -> Self {
        Self {
            undo_floor: 0,
            list: VecDeque::from([START]),
        }
    }

    /// Those that are left with an undo floor, of some from which only needless ones are missing, and the newest.
    pub(super) fn restored(
        undo_floor: u64,
        held: impl Iterator<Item = Boundary>,
        newest: Boundary,
    ) -> Self {
        let mut boundaries = Self::new();
        for boundary in held.filter(|held| held.commit < newest.commit) {
            boundaries.push(boundary, 0);
        }
        if newest.commit > 0 {
            boundaries.push(newest, undo_floor);
        }
        boundaries.undo_floor = undo_floor;
        boundaries
    }

    /// Adds a commit, with the undo floor that is in force from now on.
    pub(super) fn push(&mut self, boundary: Boundary, undo_floor: u64) {
        // Nobody goes back into the middle of loading, nor to what was before it.
        if boundary.position.is_none() || self.is_loading() {
            self.list.clear();
        }
        self.list.push_back(boundary);
        self.undo_floor = self.undo_floor.max(undo_floor);
        let is_at_floor = |held: &Boundary| match held.position {
            Some(position) => position.height <= self.undo_floor,
            None => held.commit == 0,
        };
        // The last at the floor or below is what going back to the floor leaves; those before it are past.
        let lowest = self.list.iter().rposition(is_at_floor).unwrap_or(0);
        self.list.drain(..lowest);
    }

    /// The newest commit.
    pub(super) fn newest(&self) -> Boundary {
        self.list.back().copied().unwrap_or(START)
    }

    /// How far the set has come.
    pub(super) fn progress(&self) -> Progress {
        Progress {
            position: self.newest().position,
            undo_floor: self.undo_floor,
            is_loading: self.is_loading(),
        }
    }

    fn is_loading(&self) -> bool {
        let newest = self.newest();
        newest.commit > 0 && newest.position.is_none()
    }

    /// What has to be left when the commits with a position above a height go; nothing if there are none.
    pub(super) fn below(&self, height: u64) -> Option<Boundary> {
        let is_above = |held: &Boundary| held.position.is_some_and(|at| at.height > height);
        let first = self.list.iter().position(is_above)?;
        Some(first.checked_sub(1).map_or(START, |at| self.list[at]))
    }

    /// Forgets those after a commit.
    pub(super) fn cut(&mut self, commit: u64) {
        while self.list.len() > 1 && self.newest().commit > commit {
            self.list.pop_back();
        }
    }

    /// Those whose numbers are in a range.
    pub(super) fn within(&self, range: RangeInclusive<u64>) -> Vec<Boundary> {
        let is_within = |held: &&Boundary| range.contains(&held.commit);
        self.list.iter().filter(is_within).copied().collect()
    }

    /// The lowest moment that can be gone back to: what came before is all the same.
    pub(super) fn lowest(&self) -> u64 {
        self.list.front().map_or(0, |lowest| lowest.commit)
    }

    /// Whether a version has to be kept after which another commit, if any, changed the key again.
    pub(super) fn need(&self, commit: u64, changed_again: Option<u64>) -> bool {
        let Some(next) = changed_again else {
            return true;
        };
        let from = self.list.partition_point(|held| held.commit < commit);
        self.list.get(from).is_some_and(|held| held.commit < next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(commit: u64, height: u64) -> Boundary {
        let id = [height as u8; 32];
        Boundary {
            commit,
            position: Some(Position { height, id }),
        }
    }

    #[test]
    fn commits_from_the_floor_on_can_be_gone_back_to_and_the_last_before_it() {
        let mut boundaries = Boundaries::new();
        for commit in 1..=6 {
            boundaries.push(at(commit, 10 * commit), 25);
        }
        assert_eq!(boundaries.lowest(), 2);
        assert_eq!(boundaries.below(45), Some(at(4, 40)));
        assert_eq!(boundaries.below(25), Some(at(2, 20)));
        assert_eq!(boundaries.below(60), None);
        boundaries.push(at(7, 70), 70);
        assert_eq!((boundaries.lowest(), boundaries.below(70)), (7, None));
    }

    #[test]
    fn the_moment_before_the_first_commit_can_be_gone_back_to_if_it_is_above_the_floor() {
        let mut boundaries = Boundaries::new();
        boundaries.push(at(1, 5), 3);
        assert_eq!(boundaries.below(4), Some(START));
        boundaries.push(at(2, 6), 5);
        assert_eq!(boundaries.lowest(), 1);
    }

    #[test]
    fn nobody_goes_back_into_the_middle_of_loading() {
        let mut boundaries = Boundaries::new();
        for commit in 1..4 {
            let position = None;
            boundaries.push(Boundary { commit, position }, 0);
        }
        assert_eq!(boundaries.newest().commit, 3);
        assert_eq!(boundaries.within(0..=9).len(), 1);
        boundaries.push(at(4, 9), 9);
        assert_eq!(boundaries.within(0..=9), [at(4, 9)]);
    }

    #[test]
    fn a_version_is_needed_if_a_moment_between_it_and_the_next_can_be_gone_back_to() {
        let mut boundaries = Boundaries::new();
        for commit in [3, 5, 8] {
            boundaries.push(at(commit, commit), 3);
        }
        for (commit, next, is_needed) in [
            (1, Some(3), false),
            (1, Some(4), true),
            (3, Some(4), true),
            (4, Some(5), false),
            (4, Some(6), true),
            (6, Some(8), false),
            (8, Some(9), true),
            (9, None, true),
        ] {
            assert_eq!(
                boundaries.need(commit, next),
                is_needed,
                "{commit} {next:?}"
            );
        }
    }

    #[test]
    fn what_was_written_restores_the_same() {
        let mut boundaries = Boundaries::new();
        let mut all = Vec::new();
        for commit in 1..=9 {
            all.push(at(commit, 2 * commit));
            boundaries.push(at(commit, 2 * commit), commit);
        }
        let restored = Boundaries::restored(9, all.into_iter(), at(9, 18));
        assert_eq!(restored, boundaries);
    }
}
