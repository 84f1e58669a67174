//! Forks: which of two chains is the better one, what can't be replaced any more, and the [branches](ForkTree) that a chain could go on
//! with. Values and pure functions; [`Ledger::offer`](crate::ledger::Ledger::offer) and
//! [`Engine::offer_branch`](crate::engine::Engine::offer_branch) do what they say.
//!
//! The better of two branches is the heavier one; of equally heavy ones the one whose head has the lower hash. The rule
//! looks at nothing else, no order of arrival, no clock and no machine, so hubs that know the same branches choose the
//! same. A producer can try many blocks for a low hash, but only against a rival of exactly the same weight.
//!
//! Whether a branch may be followed at all is a question of its own, and is asked first: [`may_replace`]. A rule
//! by depth keeps each hub's own history, and is no agreement: two sides that were apart for longer than the depth stay
//! apart.

mod drawing;
mod fork_tree;
mod invalid;
mod look;
mod orphans;
mod other_seals;
mod side_changes;

use std::cmp::Ordering;

pub use self::fork_tree::{Better, ForkTree, Offered, SideBranch};
pub(crate) use self::side_changes::{BlockKey, SideChanges};
pub use crate::format::Source;

use crate::consensus::{self, Weight};
use crate::format::digest::BlockHash;
use crate::format::model::Header;
use crate::format::spec::ChainSpec;
use crate::state::State;

/// A chain from genesis on, by its end. Branches are compared by [`Ord`]: the greater one is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Branch {
    /// Hash of its last block, by which all of it is fixed.
    pub head: BlockHash,
    /// Height of its last block.
    pub height: u64,
    /// What all of its blocks weigh, genesis aside.
    pub weight: Weight,
}

impl Branch {
    /// The chain that is only genesis.
    #[must_use]
    pub fn genesis(spec: &ChainSpec) -> Self {
        Self {
            head: spec.genesis().hash(),
            height: 0,
            weight: Weight::default(),
        }
    }

    /// The branch with one more block, which follows its head and obeys all rules there. It is better than this one.
    #[must_use]
    pub fn with(&self, spec: &ChainSpec, header: &Header) -> Self {
        let Weight(more) = consensus::weight(spec, header);
        Self {
            head: header.hash(),
            height: header.height,
            // As many weights below 2⁶⁴ as there are heights fit into a u128.
            weight: Weight(self.weight.0.saturating_add(more)),
        }
    }
}

/// How much a [`ForkTree`] keeps at most, beside the headers from the last final block on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkBounds {
    /// Blocks beside the chain …
    pub side_blocks: usize,
    /// … and their bytes, roughly. The last blocks of the worst branches go first.
    pub side_bytes: u64,
    /// Blocks whose parent is missing …
    pub orphans: usize,
    /// … and their bytes, roughly.
    pub orphan_bytes: u64,
    /// Each source has one part in so many of both.
    pub orphan_sources: usize,
    /// An orphan is no farther above the chain's last block than this, and goes when that has gone on so far.
    pub orphan_heights: u64,
    /// Blocks that are known not to be valid.
    pub invalid: usize,
}

impl Default for ForkBounds {
    fn default() -> Self {
        Self {
            side_blocks: 8192,
            side_bytes: 512 << 20,
            orphans: 512,
            orphan_bytes: 256 << 20,
            orphan_sources: 4,
            orphan_heights: 512,
            invalid: 4096,
        }
    }
}

impl ForkBounds {
    /// Orphans of one source; at least one.
    fn source_orphans(&self) -> usize {
        (self.orphans / self.orphan_sources.max(1)).max(1)
    }

    /// Their bytes.
    fn source_orphan_bytes(&self) -> u64 {
        self.orphan_bytes / self.orphan_sources.max(1) as u64
    }
}

/// Whether a branch that leaves the chain ending in `held` behind the block at height `common` may replace what that chain
/// has above it, if it is better: nothing final is replaced.
#[must_use]
pub fn may_replace(spec: &ChainSpec, held: &State, common: u64) -> bool {
    common >= consensus::final_height(spec, held)
}

impl Ord for Branch {
    /// By weight, then by the head's hash, the lower one being greater. Heights of real branches follow from their heads;
    /// they come last, so that any two values have an order.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_weight = self.weight.cmp(&other.weight);
        by_weight
            .then_with(|| other.head.cmp(&self.head))
            .then_with(|| self.height.cmp(&other.height))
    }
}

impl PartialOrd for Branch {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few values of each field, so that equal ones meet.
    fn branch() -> impl Strategy<Value = Branch> {
        (0u8..4, 0u64..3, 0u128..4).prop_map(|(head, height, weight)| Branch {
            head: BlockHash([head; 32]),
            height,
            weight: Weight(weight),
        })
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in branch(), b in branch(), c in branch()) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
            if a >= b && b >= c {
                prop_assert!(a >= c);
            }
        }

        #[test]
        fn the_best_is_the_same_in_whatever_order_branches_come(
            branches in prop::collection::vec(branch(), 1..8),
            turns in 0usize..8,
        ) {
            let mut turned = branches.clone();
            turned.rotate_left(turns % branches.len());
            turned.reverse();
            let best = |branches: &[Branch]| branches.iter().copied().reduce(Ord::max);
            prop_assert_eq!(best(&branches), best(&turned));
        }

        #[test]
        fn weight_comes_first_and_then_the_lower_hash(a in branch(), b in branch()) {
            if a.weight != b.weight {
                prop_assert_eq!(a > b, a.weight > b.weight);
            } else if a.head != b.head {
                prop_assert_eq!(a > b, a.head < b.head);
            }
        }
    }
}
