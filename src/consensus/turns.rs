//! Turns by weight, as the state keeps them from height to height.

use super::order::weights;
use super::priority::Priorities;
use super::{finality, members};
use crate::format::digest::BlockHash;
use crate::format::spec::{Authority, ChainSpec, Proposer, SealRule};
use crate::state::tables::{ProposerRow, ProposerRows, TurnRows, Turns};
use crate::state::{ConsensusChanges, State};

/// The priorities of the height after.
pub(super) fn changes(
    spec: &ChainSpec,
    parent: &State,
    height: u64,
    changes: &mut ConsensusChanges,
) {
    let turns = super::turns(spec, parent, height);
    let before = members::members(spec, parent, height);
    let after = members::members(spec, parent, height.saturating_add(1));
    let next = followed_by(&turns, &before, &after);
    changes.put::<TurnRows>(TurnRows::KEY, &next);
}

/// Whether whose turn it was at a height depends on the branch: of turns by weight on all blocks before, of a seed on what was revealed, and of
/// members that change on who they were.
pub(super) fn depend_on_branch(spec: &ChainSpec) -> bool {
    let branches = finality::can_be_replaced(spec);
    match spec.composition().proposer {
        Proposer::Open => false,
        Proposer::WeightedTurn => true,
        Proposer::Seeded { .. } => branches,
        Proposer::Turn => branches && members::change(spec),
    }
}

/// Whose turn the height was, where evidence may ask for it later and nothing else in the state tells. Plain proof of authority keeps no
/// rows of its own.
pub(super) fn keep_proposer(
    spec: &ChainSpec,
    parent: &State,
    height: u64,
    changes: &mut ConsensusChanges,
) {
    let parts = spec.composition();
    let is_asked_for = parts.seal == SealRule::Signature && parts.penalties.byzantine > 0;
    if !is_asked_for || parts.is_plain() || !depend_on_branch(spec) {
        return;
    }
    let members = members::members(spec, parent, height);
    let place = super::order(spec, parent, height).proposer(&members, height, 0);
    if let Some(place) = place.and_then(|place| u32::try_from(place).ok()) {
        let previous = parent.head();
        let row = ProposerRow { previous, place };
        changes.put::<ProposerRows>(&ProposerRows::key(height), &row);
    }
    let kept = u64::from(parts.penalties.evidence_blocks);
    if let Some(old) = height.checked_sub(kept) {
        changes.remove_held::<ProposerRows>(parent, &ProposerRows::key(old));
    }
}

/// The place of the member whose turn a height was behind a block, if that is known: the next height's, and those that are kept.
pub(super) fn proposer_behind(
    spec: &ChainSpec,
    parent: &State,
    height: u64,
    previous: BlockHash,
) -> Option<usize> {
    if parent.height().checked_add(1) == Some(height) {
        let members = members::members(spec, parent, height);
        return (parent.head() == previous)
            .then(|| super::order(spec, parent, height).proposer(&members, height, 0))
            .flatten();
    }
    let row = parent.value::<ProposerRows>(&ProposerRows::key(height))?;
    (row.previous == previous).then_some(row.place as usize)
}

/// Those of a height before which no turns were kept.
pub(super) fn first(height: u64, members: &[Authority]) -> Turns {
    kept(height, &Priorities::new(members.len()))
}

/// Those of the height after, whose members may be others. By one step for each height, whatever round the block is of: hubs may hold seals
/// of different rounds.
pub(super) fn followed_by(turns: &Turns, before: &[Authority], after: &[Authority]) -> Turns {
    let mut priorities = priorities(turns);
    priorities.advance(&weights(before));
    if before != after {
        let names = before.iter().map(|member| member.name.as_str());
        let members = after.iter();
        let members = members.map(|member| (member.name.as_str(), member.weight));
        priorities = priorities.change_members(names, members);
    }
    kept(turns.height.saturating_add(1), &priorities)
}

pub(super) fn priorities(turns: &Turns) -> Priorities {
    Priorities::from_values(turns.priorities.clone())
}

fn kept(height: u64, priorities: &Priorities) -> Turns {
    Turns {
        height,
        priorities: priorities.values().to_vec(),
    }
}
