//! Seeds of epochs, as the state keeps them: what reveals have collected, and what was made of it.

use super::seed::{self, Epochs};
use crate::format::digest::Digest;
use crate::format::spec::ChainSpec;
use crate::state::tables::{SeedRow, SeedRows};
use crate::state::{ConsensusChanges, State};

/// The seed that chooses the proposers at a height, which is at most an epoch above the state's.
pub(super) fn seed_at(spec: &ChainSpec, epochs: Epochs, state: &State, height: u64) -> Digest {
    seed_of(spec, state, epochs.of(height))
}

fn seed_of(spec: &ChainSpec, state: &State, epoch: u64) -> Digest {
    match state.value::<SeedRows>(&SeedRows::key(epoch)) {
        Some(SeedRow::Seed(seed)) => seed,
        // Of the first two, and where a specification with seeds took over.
        _ => seed::first(&spec.at(0).id()),
    }
}

/// Makes the seed of the epoch after the next at the end of one. Its reveals end before, so that the state before the block has all of them.
pub(super) fn changes(
    spec: &ChainSpec,
    epochs: Epochs,
    parent: &State,
    height: u64,
    changes: &mut ConsensusChanges,
) {
    if !epochs.ends_at(height) {
        return;
    }
    let epoch = epochs.of(height);
    let collected = match parent.value::<SeedRows>(SeedRows::COLLECTED) {
        Some(SeedRow::Collected(of, collected)) if of == epoch => collected,
        _ => seed_of(spec, parent, epoch + 1),
    };
    let seed = seed::finish(&collected, epoch + 2);
    changes.put::<SeedRows>(&SeedRows::key(epoch + 2), &SeedRow::Seed(seed));
}
