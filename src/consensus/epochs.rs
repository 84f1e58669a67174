//! Seeds of epochs, as the state keeps them: what reveals have collected, and what was made of it.

use super::seed::{self, Epochs};
use super::{is_member, next};
use crate::format::digest::Digest;
use crate::format::spec::{ChainSpec, Proposer};
use crate::state::tables::{Commitments, SeedRow, SeedRows};
use crate::state::{ConsensusChanges, State};

/// The seed that chooses the proposers at a height, which is at most an epoch above the state's.
pub(super) fn seed_at(spec: &ChainSpec, epochs: Epochs, state: &State, height: u64) -> Digest {
    seed_of(spec, state, epochs.of(height))
}

/// The seed of an epoch, at most the one after that of the next height: of later ones, and where a specification without seeds was in force, the first. O(log rows).
#[must_use]
pub fn seed_of(spec: &ChainSpec, state: &State, epoch: u64) -> Digest {
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

/// What a member can add to a seed in a block that it makes after a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contribution {
    /// It reveals the layer below this one.
    Below(Digest),
    /// It has committed to nothing that counts from the next epoch on, and can commit.
    Commitment,
    /// Nothing: no seed chooses proposers, it is no member, its last commitment doesn't count yet, or no reveal counts there any more.
    Nothing,
}

/// What the member called `name` can add to a seed in the block after `parent`, if that is its own. O(log rows).
#[must_use]
pub fn contribution(spec: &ChainSpec, parent: &State, name: &str) -> Contribution {
    let height = next(parent);
    let spec = spec.at(height);
    let epochs = match spec.composition().proposer {
        Proposer::Seeded { epoch } => Epochs::new(epoch),
        _ => None,
    };
    let Some(epochs) = epochs.filter(|_| is_member(spec, parent, height, name)) else {
        return Contribution::Nothing;
    };
    match parent.value::<Commitments>(name.as_bytes()) {
        None => Contribution::Commitment,
        Some(held) => match held.layer_in(epochs.of(height)) {
            Some(around) if epochs.counts(height) => Contribution::Below(around),
            _ => Contribution::Nothing,
        },
    }
}
