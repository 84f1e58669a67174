//! Earlier states, as journals of the last blocks: the state after each of them can be had from the last one, in as much time as
//! was changed since.
//!
//! Invariant: journals are in ascending order of their blocks. A gap between two means that nothing below it is wanted any more once
//! the blocks above it are settled.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Journal, State};

/// The states that are wanted besides the last one, once the block that says so is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The one after the block at this height, and all above.
    pub(crate) from: u64,
    /// Those from this height on too, which is no higher, as long as all journals together take up no more than [`SPARE_BYTES_MAX`].
    pub(crate) spare_from: u64,
}

/// What journals take up at most for the sake of states that can be done without.
const SPARE_BYTES_MAX: u64 = 64 << 20;

/// How to go back over a block.
#[derive(Debug, Clone)]
struct Noted {
    height: u64,
    bytes: u64,
    journal: Arc<Journal>,
    wanted: Wanted,
}

/// The journals of the last blocks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent {
    noted: VecDeque<Noted>,
    bytes: u64,
    settled_from: u64,
}

impl Recent {
    /// The lowest height after whose block a state was wanted, when a block was settled last; 0 before.
    pub(crate) const fn settled_from(&self) -> u64 {
        self.settled_from
    }

    /// Adds the journal of the block at `height`, and what is wanted once that block is settled.
    pub(crate) fn note(&mut self, height: u64, journal: Journal, wanted: Wanted) {
        // Nobody goes back over a block from which on everything is to stay.
        if wanted.spare_from >= height {
            return;
        }
        let bytes = journal.bytes();
        self.bytes += bytes;
        self.noted.push_back(Noted {
            height,
            bytes,
            journal: Arc::new(journal),
            wanted,
        });
    }

    /// Lets go of what isn't wanted any more once the block at `height` is settled.
    pub(crate) fn settle(&mut self, height: u64) {
        let settled = self.noted.partition_point(|noted| noted.height <= height);
        let wanted = match settled.checked_sub(1).and_then(|at| self.noted.get(at)) {
            Some(last) if last.height == height => last.wanted,
            // Without a journal of that block, nothing below it is wanted.
            _ => Wanted {
                from: height,
                spare_from: height,
            },
        };
        self.settled_from = wanted.from;
        while let Some(first) = self.noted.front() {
            let is_spare = first.height <= wanted.from && self.bytes > SPARE_BYTES_MAX;
            if first.height > wanted.spare_from && !is_spare {
                break;
            }
            self.bytes -= first.bytes;
            self.noted.pop_front();
        }
    }

    /// Forgets the blocks above `height`, which were taken back.
    pub(crate) fn forget_above(&mut self, height: u64) {
        let above = self.noted.partition_point(|noted| noted.height <= height);
        for taken_back in self.noted.drain(above..) {
            self.bytes -= taken_back.bytes;
        }
    }

    /// The lowest height after whose block the state can be had, where the last one is at `last`. O(journals).
    pub(crate) fn lowest(&self, last: u64) -> u64 {
        let newest_first = self.noted.iter().rev();
        let adjoining = newest_first
            .zip((0..=last).rev())
            .take_while(|(noted, height)| noted.height == *height);
        last - adjoining.count() as u64
    }

    /// The state after the block at `height`, where `last` is the last one; `None` if it is above that or can't be had any more. O(journals
    /// above it).
    pub(crate) fn earlier(&self, last: &State, height: u64) -> Option<EarlierState> {
        if height > last.height() || height < self.lowest(last.height()) {
            return None;
        }
        let above = self.noted.partition_point(|noted| noted.height <= height);
        let journals = self.noted.range(above..);
        Some(EarlierState {
            last: last.clone(),
            height,
            journals: journals.map(|noted| Arc::clone(&noted.journal)).collect(),
        })
    }
}

/// The state after an earlier block: a later one, and how to go back from there. Taken in microseconds, so that whoever needs it can
/// [work it out](EarlierState::into_state) while others go on.
#[derive(Debug, Clone)]
pub(crate) struct EarlierState {
    last: State,
    height: u64,
    /// Those of the blocks above `height`, the oldest first.
    journals: Vec<Arc<Journal>>,
}

impl EarlierState {
    /// The block that it stands after.
    pub(crate) const fn height(&self) -> u64 {
        self.height
    }

    /// The last block at the time when it was taken.
    pub(crate) const fn last_height(&self) -> u64 {
        self.last.height()
    }

    /// See [`State::release_pages`].
    pub(crate) fn release_pages(&self) {
        self.last.release_pages();
    }

    /// The state. O(what changed since).
    pub(crate) fn into_state(self) -> State {
        let Self {
            last: mut state,
            journals,
            ..
        } = self;
        let mut journals = journals.iter();
        if let Some(first) = journals.next() {
            let mut all = Journal::clone(first);
            journals.for_each(|later| all.append(Journal::clone(later)));
            state.rewind(all);
        }
        state
    }
}

impl From<&State> for EarlierState {
    /// This very state.
    fn from(state: &State) -> Self {
        Self {
            last: state.clone(),
            height: state.height(),
            journals: Vec::new(),
        }
    }
}
