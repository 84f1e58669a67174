//! What a store keeps, as data: a [`PrunePolicy`] says how much of bodies, index and headers stays, and
//! [`PrunePolicy::floors`] turns it into floors. Pure: heights, sizes and times come in as arguments.
//!
//! Invariants of the floors: none is below where it is already; the last block is always kept whole; index entries and
//! headers are kept at least as long as bodies, so a policy that says less about them is clamped to the bodies' floor.
//! What can only be a mistake is refused ([`PolicyError`]).

use std::ops::Range;
use std::time::Duration;

use hubledger_storage::{Extent, Usage};
use serde::{Deserialize, Serialize};

use crate::clock::TIME_US_MAX;

/// A live chain is pruned again after so many blocks …
const DUE_BLOCKS: u64 = 256;
/// … or after this part of the budget, which is the most that it goes over it, but for one commit.
const DUE_SHARE: u64 = 32;

/// How much of one part of the blocks is kept. In TOML: `"all"`, `{ last = 1000 }`, `{ from = 7 }`, `{ for = "30days" }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// That of every block.
    #[default]
    All,
    /// That of the last so many blocks; at least 1.
    Last(u64),
    /// That of the block at this height and all after it.
    From(u64),
    /// That of blocks whose timestamp is at most so long ago.
    For(#[serde(with = "humantime_text")] Duration),
}

/// What a store keeps. By default everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrunePolicy {
    /// Bodies: the transactions.
    pub bodies: Keep,
    /// Index entries, from transaction ids to places. Clamped: where a body is, its entries are.
    pub index: Keep,
    /// Headers and seals. Clamped like the index. Ids stay in any case.
    pub headers: Keep,
    /// Keep the leaf hashes of pruned blocks, 32 bytes a transaction, from which new proofs are made.
    pub leaves: bool,
    /// Prune the oldest bodies, then index entries, until the store's files fit into so many bytes. One that is too small
    /// for what must stay ([`PolicyError::BudgetTooSmall`]) is refused before anything is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_bytes: Option<u64>,
    /// Bodies that are kept whatever age and budget say; at least 1.
    pub blocks_min: u64,
}

impl Default for PrunePolicy {
    fn default() -> Self {
        Self {
            bodies: Keep::All,
            index: Keep::All,
            headers: Keep::All,
            leaves: false,
            budget_bytes: None,
            blocks_min: 1,
        }
    }
}

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Nothing would be left.
    #[error("a policy keeps at least the last block: {0} must be at least 1")]
    NothingKept(&'static str),
    /// A floor above the chain.
    #[error("can't keep blocks from {from} on: the chain ends at block {tip}")]
    BeyondTip {
        /// The height asked for.
        from: u64,
        /// The last block's height.
        tip: u64,
    },
    /// How old blocks are can't be told.
    #[error(
        "can't tell how old blocks are: the clock reads {now_us} µs since the Unix epoch, and the year 9999 ends at {TIME_US_MAX} µs"
    )]
    Clock {
        /// What the clock reads.
        now_us: u64,
    },
    /// Leaf hashes prove nothing without the header that commits to them.
    #[error("leaf hashes are of use only with headers: a policy that keeps them keeps all headers")]
    LeavesWithoutHeaders,
    /// The store's files can't become so small.
    #[error(
        "a budget of {budget} bytes can't be met: the bodies that must stay, and headers and ids, take about {least}, \
         which is the smallest that can be"
    )]
    BudgetTooSmall {
        /// The budget asked for.
        budget: u64,
        /// The smallest that can be met.
        least: u64,
    },
    /// Not the TOML form of a policy.
    #[error("{0}")]
    Syntax(String),
}

impl PrunePolicy {
    /// Keeps the bodies that `bodies` says, and everything else of every block.
    #[must_use]
    pub fn of_bodies(bodies: Keep) -> Self {
        Self {
            bodies,
            ..Self::default()
        }
    }

    /// Reads the TOML form. Unknown fields are refused, and what [`Self::validate`] refuses.
    ///
    /// # Errors
    /// [`PolicyError::Syntax`] with line and column, or those of [`Self::validate`].
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let policy: Self =
            toml::from_str(text).map_err(|error| PolicyError::Syntax(error.to_string()))?;
        policy.validate()?;
        Ok(policy)
    }

    /// Refuses what can't be meant for any chain.
    ///
    /// # Errors
    /// Nothing kept at all; leaf hashes without headers.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let parts = [
            ("bodies", self.bodies),
            ("index", self.index),
            ("headers", self.headers),
        ];
        for (name, keep) in parts {
            if keep == Keep::Last(0) {
                return Err(PolicyError::NothingKept(name));
            }
        }
        // The last block is what opening, producing and proving start from.
        if self.blocks_min == 0 {
            return Err(PolicyError::NothingKept("blocks_min"));
        }
        if self.leaves && self.headers != Keep::All {
            return Err(PolicyError::LeavesWithoutHeaders);
        }
        Ok(())
    }

    /// The extent that the policy leaves of `extent`, but for the budget, which needs measuring. `first_since`
    /// answers for a time which block is the first at or after it ([`first_since`]); it is asked only for ages.
    ///
    /// # Errors
    /// Those of [`Self::validate`], a height beyond the tip, for ages a clock beyond [`TIME_US_MAX`], and those of `first_since`.
    pub fn floors<E: From<PolicyError>>(
        &self,
        extent: Extent,
        now_us: u64,
        mut first_since: impl FnMut(u64) -> Result<u64, E>,
    ) -> Result<Extent, E> {
        self.validate()?;
        let Some(tip) = extent.tip() else {
            return Ok(extent);
        };
        let mut floor = |keep: Keep| -> Result<u64, E> {
            Ok(match keep {
                Keep::All => 0,
                Keep::Last(blocks) => extent.end.saturating_sub(blocks),
                Keep::From(from) if from > tip => {
                    return Err(PolicyError::BeyondTip { from, tip }.into());
                }
                Keep::From(from) => from,
                // By a clock that is so far ahead every block is old, and pruning can't be undone.
                Keep::For(_) if now_us > TIME_US_MAX => {
                    return Err(PolicyError::Clock { now_us }.into());
                }
                Keep::For(age) => {
                    let age_us = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
                    let first = first_since(now_us.saturating_sub(age_us))?;
                    // Below the headers' floor the age of blocks is unknown: they may be as young as the first that has a header.
                    if first > extent.header_floor {
                        first
                    } else {
                        0
                    }
                }
            })
        };
        let bodies = floor(self.bodies)?
            .min(self.floor_max(extent))
            .max(extent.body_floor);
        Ok(Extent {
            body_floor: bodies,
            index_floor: floor(self.index)?.min(bodies).max(extent.index_floor),
            header_floor: floor(self.headers)?.min(bodies).max(extent.header_floor),
            end: extent.end,
        })
    }

    /// The extent that one step towards the budget leaves of `extent`, or `None` if the store fits or nothing more
    /// may go. Bodies go first, then index entries; a step takes about as many blocks as are too many, so a few
    /// steps with a measurement after each come close to the budget without going far below it.
    #[must_use]
    pub fn budget_step(&self, extent: Extent, usage: Usage) -> Option<Extent> {
        let excess = usage.bytes_on_disk.checked_sub(self.budget_bytes?)?;
        if excess == 0 {
            return None;
        }
        let share = |blocks: u64| {
            let part = u128::from(blocks) * u128::from(excess) / u128::from(usage.bytes_on_disk);
            // At least a 64th: the share is taken of all bytes, and where bodies are few of them steps would get ever smaller.
            u64::try_from(part)
                .unwrap_or(blocks)
                .max(blocks / 64)
                .max(1)
        };
        let floor_max = self.floor_max(extent);
        let mut step = extent;
        if extent.body_floor < floor_max {
            let blocks = share(extent.end - extent.body_floor);
            step.body_floor = (extent.body_floor + blocks).min(floor_max);
        } else if extent.index_floor < extent.body_floor {
            let blocks = share(extent.end - extent.index_floor);
            step.index_floor = (extent.index_floor + blocks).min(extent.body_floor);
        } else {
            return None;
        }
        Some(step)
    }

    /// The highest floor of bodies that pruning to `target` and then to the budget can come to.
    pub(crate) fn highest_floor(&self, target: Extent, usage: Usage) -> u64 {
        match self.budget_bytes {
            Some(budget) if usage.bytes_on_disk > budget => {
                target.body_floor.max(self.floor_max(target))
            }
            _ => target.body_floor,
        }
    }

    /// Whether a live chain that keeps to this policy is to be pruned again after so many blocks and bytes of bodies:
    /// often enough to stay near it, seldom enough that pruning costs a small share of all work.
    #[must_use]
    pub(crate) fn is_due(&self, blocks: u64, bytes: u64) -> bool {
        let bytes_max = self.budget_bytes.unwrap_or(u64::MAX) / DUE_SHARE;
        blocks >= DUE_BLOCKS || blocks > 0 && bytes >= bytes_max
    }

    /// The highest floor of bodies that leaves the blocks that must stay.
    pub(crate) fn floor_max(&self, extent: Extent) -> u64 {
        extent.end.saturating_sub(self.blocks_min.max(1))
    }
}

/// The lowest height of `heights` whose timestamp is at or after `cutoff_us`, or the range's end. O(log n) timestamps,
/// which ascend with the height.
///
/// # Errors
/// Those of `timestamp_us`.
pub fn first_since<E>(
    heights: Range<u64>,
    cutoff_us: u64,
    mut timestamp_us: impl FnMut(u64) -> Result<u64, E>,
) -> Result<u64, E> {
    let Range { mut start, mut end } = heights;
    while start < end {
        let middle = start + (end - start) / 2;
        if timestamp_us(middle)? < cutoff_us {
            start = middle + 1;
        } else {
            end = middle;
        }
    }
    Ok(start)
}

/// Durations as people write them, such as `30days` or `12h 30m`.
mod humantime_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(age: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*age))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text).map_err(serde::de::Error::custom)
    }
}
