//! Who takes part at a height, and what they weigh: the specification's, or what the chain changed that to.

use std::borrow::Cow;

use crate::format::spec::{Authority, ChainSpec, Membership, Parameter};
use crate::state::{self, State};

/// Whether only the state tells who takes part under this specification.
pub(super) fn change(spec: &ChainSpec) -> bool {
    spec.terms.changeable.contains(&Parameter::Members) || spec.composition().stake().is_some()
}

/// The members of a height, at most two above the state's, in turn order. A state knows those of all heights before, too.
/// O(members) where the chain changed them.
#[must_use]
pub fn members<'a>(spec: &'a ChainSpec, parent: &State, height: u64) -> Cow<'a, [Authority]> {
    let spec = spec.at(height);
    match state::members(spec, parent, height) {
        Some(changed) => Cow::Owned(changed),
        None => Cow::Borrowed(&spec.composition().members),
    }
}

/// Whether `name` takes part in the consensus at a height that is at most two above the state's. O(members) where the chain
/// changed them, else O(log members).
#[must_use]
pub fn is_member(spec: &ChainSpec, parent: &State, height: u64, name: &str) -> bool {
    match state::members(spec, parent, height) {
        Some(changed) => changed.iter().any(|member| member.name == name),
        None => spec.at(height).bound_index(name).is_some(),
    }
}

/// How many take part in the consensus at that height.
#[must_use]
pub fn member_count(spec: &ChainSpec, parent: &State, height: u64) -> usize {
    members(spec, parent, height).len()
}

/// Whether anybody makes blocks, under names of its own choice.
pub(super) fn is_open_to_all(spec: &ChainSpec) -> bool {
    spec.composition().membership == Membership::Anyone || spec.composition().work().is_some()
}
