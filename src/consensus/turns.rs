//! Turns by weight, as the state keeps them from height to height.

use super::order::weights;
use super::priority::Priorities;
use crate::format::spec::Authority;
use crate::state::tables::Turns;

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
