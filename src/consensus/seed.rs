//! stub
#![allow(missing_docs)]
use crate::format::digest::{Digest, sha256};
use crate::format::spec::ChainSpec;
use crate::state::{ConsensusChanges, State};
pub(super) fn proposer(seed: &Digest, height: u64, round: u32, weights: &[u64]) -> Option<usize> {
    let total: u64 = weights.iter().sum();
    let drawn = sha256(&[&seed.0, &height.to_le_bytes(), &round.to_le_bytes()]);
    let number = u64::from_le_bytes(*drawn.first_chunk()?);
    let mut at = (u128::from(number) * u128::from(total) >> 64) as u64;
    weights
        .iter()
        .position(|weight| match at.checked_sub(*weight) {
            Some(left) => {
                at = left;
                false
            }
            None => true,
        })
}
pub(super) fn at(spec: &ChainSpec, _epoch: u32, _parent: &State, _height: u64) -> Digest {
    Digest(spec.id().0)
}
pub(super) fn changes(
    _spec: &ChainSpec,
    _epoch: u32,
    _parent: &State,
    _height: u64,
    _changes: &mut ConsensusChanges,
) {
}
