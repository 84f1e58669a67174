//! Who follows a chain, by name, and how far each has got: a named value of the store (`FORMAT.md`, "Followers"). Bodies that
//! one of them hasn't finished are not pruned. Pure but for reading and putting the value.
//!
//! Invariants: there are at most [`FOLLOWERS_MAX`], of names of at most [`FOLLOWER_NAME_BYTES_MAX`] bytes, so that the value stays
//! below 7 KiB; one value has one byte string.

use std::collections::BTreeMap;
use std::fmt;

use hubledger_storage::{BlockReader, Durability};

use super::policy::PrunePolicy;
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::BlockHash;
use crate::ledger::values::VALUE_FOLLOWERS;
use crate::ledger::{ChainReader, Committer, Ledger, LedgerError};

/// No more followers than this are registered with a chain.
pub const FOLLOWERS_MAX: usize = 64;
/// The longest name of a follower, in bytes.
pub const FOLLOWER_NAME_BYTES_MAX: usize = 64;

const MAGIC: &[u8; 8] = b"HLFOLL\0\x01";

/// A block that a follower has seen or finished. The hash says whether it is still the chain's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The block's height.
    pub height: u64,
    /// The block's hash.
    pub hash: BlockHash,
}

/// Why a follower isn't registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FollowerRefused {
    /// The name is empty, too long, or has other than visible ASCII characters.
    #[error(
        "a follower's name has 1 to {FOLLOWER_NAME_BYTES_MAX} visible ASCII characters, without spaces; this one is {0:?}"
    )]
    Name(String),
    /// There are as many as there can be.
    #[error("{FOLLOWERS_MAX} followers are registered, and there can be no more; remove one first")]
    TooMany,
}

/// The follower that pruning waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// Its name.
    pub name: String,
    /// The first block that it hasn't finished.
    pub height: u64,
}

/// "Follower NAME has not finished block HEIGHT".
impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, height } = self;
        write!(f, "follower {name} has not finished block {height}")
    }
}

/// The registered followers, by name, with the last block that each has finished.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Followers {
    positions: BTreeMap<String, Option<Position>>,
}

/// The height of the first block that isn't finished. A height can't be the highest number: decoding refuses it, and no
/// chain is so long.
const fn next(position: Option<Position>) -> u64 {
    match position {
        Some(position) => position.height.saturating_add(1),
        None => 0,
    }
}

impl Followers {
    /// Those of the chain in a store.
    pub(crate) fn read(store: &dyn BlockReader) -> Result<Self, LedgerError> {
        match store.named_value(VALUE_FOLLOWERS)? {
            Some(bytes) => Self::decode(&bytes).map_err(|problem| LedgerError::DamagedValue {
                record: VALUE_FOLLOWERS,
                problem,
            }),
            None => Ok(Self::default()),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Each with the last block that it has finished, if any, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<Position>)> {
        let positions = self.positions.iter();
        positions.map(|(name, position)| (name.as_str(), *position))
    }

    /// What a follower has finished; the outer `None` if there is none of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Option<Position>> {
        self.positions.get(name).copied()
    }

    /// Registers a follower, or puts the one of that name elsewhere.
    pub(crate) fn put(
        &mut self,
        name: &str,
        position: Option<Position>,
    ) -> Result<(), FollowerRefused> {
        let is_visible = name.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || name.len() > FOLLOWER_NAME_BYTES_MAX || !is_visible {
            // Cut, since the name may be of any length and the error is shown and logged.
            let start = name.chars().take(FOLLOWER_NAME_BYTES_MAX).collect();
            return Err(FollowerRefused::Name(start));
        }
        if self.positions.len() >= FOLLOWERS_MAX && !self.positions.contains_key(name) {
            return Err(FollowerRefused::TooMany);
        }
        self.positions.insert(name.to_owned(), position);
        Ok(())
    }

    /// Notes that a follower has finished a block and all before; nothing if it had already. False if there is none of that name. `is_gone` says of
    /// a block whether another branch has taken its place: who had finished that goes back.
    pub(crate) fn advance(
        &mut self,
        name: &str,
        to: Position,
        is_gone: &dyn Fn(&BlockHash) -> bool,
    ) -> bool {
        let Some(position) = self.positions.get_mut(name) else {
            return false;
        };
        // Only forward: an acknowledgement that comes out of order must not hold back what is pruned.
        if next(*position) <= to.height || position.is_some_and(|held| is_gone(&held.hash)) {
            *position = Some(to);
        }
        true
    }

    /// Removes a follower; false if there is none of that name.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.positions.remove(name).is_some()
    }

    /// Who has finished the fewest blocks (the first by name, if several have).
    #[must_use]
    pub fn lowest(&self) -> Option<HeldBack> {
        let lowest = self
            .iter()
            .min_by_key(|(_, position)| next(*position))
            .map(|(name, position)| (name.to_owned(), next(position)));
        lowest.map(|(name, height)| HeldBack { name, height })
    }

    /// The policy that in a chain of `end` blocks keeps what `policy` keeps, and the bodies that somebody hasn't finished.
    #[must_use]
    pub fn hold(&self, policy: &PrunePolicy, end: u64) -> PrunePolicy {
        // A loss of power may have taken blocks that a follower has finished: then it is ahead, and needs none of the chain.
        let unfinished = self
            .lowest()
            .map_or(0, |lowest| end.saturating_sub(lowest.height));
        PrunePolicy {
            blocks_min: policy.blocks_min.max(unfinished),
            ..policy.clone()
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        codec::put_count(&mut out, self.positions.len());
        for (name, position) in &self.positions {
            codec::put_bytes(&mut out, name.as_bytes());
            match position {
                Some(Position { height, hash }) => {
                    out.push(1);
                    codec::put_u64(&mut out, *height);
                    out.extend_from_slice(&hash.0);
                }
                None => out.push(0),
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.take("magic", MAGIC.len())? != MAGIC {
            let problem = DecodeProblem::Value("not a list of followers");
            return Err(Reader::new(bytes).error("magic", problem));
        }
        let mut followers = Self::default();
        let count = reader.count("followers", FOLLOWERS_MAX, 6)?;
        for _ in 0..count {
            let start = reader.clone();
            let name = reader.text("name", FOLLOWER_NAME_BYTES_MAX)?;
            let last = followers.positions.keys().next_back();
            // Strictly ascending: a name twice would be one follower with two positions.
            if last.is_some_and(|last| last.as_str() >= name) {
                return Err(start.error("followers", DecodeProblem::Order));
            }
            let position = match reader.flag("finished")? {
                true => {
                    let start = reader.clone();
                    let height = reader.u64("height")?;
                    // The height after it is what pruning and following go by.
                    if height == u64::MAX {
                        return Err(start.error("height", DecodeProblem::Value("no block's")));
                    }
                    let hash = BlockHash(reader.array("hash")?);
                    Some(Position { height, hash })
                }
                false => None,
            };
            if followers.put(name, position).is_err() {
                let problem = DecodeProblem::Value("not a follower's name");
                return Err(start.error("name", problem));
            }
        }
        reader.finish("followers")?;
        Ok(followers)
    }
}

impl ChainReader {
    /// The followers that are registered with the chain ([`Engine::register`](crate::engine::Engine::register)), as the store holds
    /// them: an engine at work knows newer positions.
    ///
    /// # Errors
    /// The store failed, or the value is damaged.
    pub fn followers(&self) -> Result<Followers, LedgerError> {
        Followers::read(self.store())
    }
}

impl Ledger {
    /// Removes a registered follower, so that pruning waits no longer for it; false if there is none of that name. Durable when it
    /// returns.
    ///
    /// # Errors
    /// The store failed, or the value is damaged.
    pub fn remove_follower(&mut self, name: &str) -> Result<bool, LedgerError> {
        let mut followers = Followers::read(self.committer.chain.store())?;
        let is_there = followers.remove(name);
        if is_there {
            self.committer.put_followers(&followers, Durability::Disk)?;
        }
        Ok(is_there)
    }
}

impl Committer {
    /// Keeps who follows.
    pub(crate) fn put_followers(
        &mut self,
        followers: &Followers,
        durability: Durability,
    ) -> Result<(), LedgerError> {
        let bytes = followers.encode();
        Ok(self
            .writer
            .put_named_value(VALUE_FOLLOWERS, &bytes, durability)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::policy::Keep;
    use hubledger_storage::{Extent, Usage};

    fn at(height: u64) -> Option<Position> {
        let hash = BlockHash([height as u8; 32]);
        Some(Position { height, hash })
    }

    fn followers(positions: &[(&str, Option<Position>)]) -> Followers {
        let mut followers = Followers::default();
        for (name, position) in positions {
            followers.put(name, *position).expect("a good name");
        }
        followers
    }

    /// The floors that pruning a chain of 100 blocks comes to.
    fn floors(followers: &Followers, policy: &PrunePolicy) -> Extent {
        let policy = followers.hold(policy, 100);
        let extent = Extent {
            body_floor: 10,
            index_floor: 5,
            ..Extent::whole(100)
        };
        policy
            .floors::<crate::ledger::policy::PolicyError>(extent, 0, |_| Ok(0))
            .expect("a good policy")
    }

    #[test]
    fn pruning_stops_at_the_first_block_that_somebody_has_not_finished() {
        let last = |blocks| PrunePolicy {
            index: Keep::Last(blocks),
            headers: Keep::Last(blocks),
            ..PrunePolicy::of_bodies(Keep::Last(blocks))
        };
        type Row<'a> = (&'a [(&'a str, Option<Position>)], u64, u64);
        let table: &[Row<'_>] = &[
            // Who follows, how many blocks the policy keeps, the floor that is reached.
            (&[], 1, 99),
            (&[("a", at(99))], 1, 99),
            (&[("a", at(98))], 1, 99),
            (&[("a", at(97))], 1, 98),
            (&[("a", at(49))], 1, 50),
            (&[("a", at(49)), ("b", at(29))], 1, 30),
            (&[("a", at(49)), ("b", at(29))], 80, 20),
            // Below the floor nothing is left to be held.
            (&[("a", at(3))], 1, 10),
            (&[("a", None), ("b", at(99))], 1, 10),
            // Ahead of the chain.
            (&[("a", at(1000))], 1, 99),
            (&[("a", at(u64::MAX - 1))], 1, 99),
        ];
        for (positions, kept, floor) in table {
            let followers = followers(positions);
            let reached = floors(&followers, &last(*kept));
            assert_eq!(reached.body_floor, *floor, "{positions:?}");
            assert!(reached.is_sound(), "{positions:?}");
            let all_kept = floors(&followers, &PrunePolicy::default());
            assert_eq!(all_kept.body_floor, 10, "who follows removes nothing");
        }
    }

    #[test]
    fn a_budget_takes_no_body_that_somebody_has_not_finished() {
        let policy = PrunePolicy {
            budget_bytes: Some(1),
            ..PrunePolicy::default()
        };
        let usage = Usage {
            bytes_on_disk: 1 << 30,
            blocks: 90,
            index_entries: 0,
        };
        let held = followers(&[("a", at(49))]).hold(&policy, 100);
        let extent = |floor| Extent {
            body_floor: floor,
            ..Extent::whole(100)
        };
        let step = held.budget_step(extent(10), usage).expect("a step");
        assert_eq!(step.body_floor, 50);
        let step = held.budget_step(extent(50), usage).expect("a step");
        assert_eq!(
            (step.body_floor, step.index_floor),
            (50, 50),
            "the index goes"
        );
    }

    #[test]
    fn a_position_goes_forward_only() {
        let mut followers = followers(&[("a", None)]);
        assert!(followers.advance("a", at(4).expect("some"), &|_| false));
        assert!(followers.advance("a", at(2).expect("some"), &|_| false));
        assert_eq!(followers.get("a"), Some(at(4)));
        assert!(!followers.advance("b", at(4).expect("some"), &|_| false));
        let lowest = followers.lowest().expect("one");
        assert_eq!(
            lowest.to_string(),
            "follower a has not finished block 5",
            "{lowest:?}"
        );
    }

    #[test]
    fn names_and_their_number_are_bounded() {
        let mut many = Followers::default();
        let long = "n".repeat(FOLLOWER_NAME_BYTES_MAX + 1);
        for name in ["", "a b", "é", "a\n", long.as_str()] {
            let refused = many.put(name, None);
            assert!(matches!(refused, Err(FollowerRefused::Name(_))), "{name:?}");
        }
        for number in 0..FOLLOWERS_MAX {
            let name = format!("{number:0>FOLLOWER_NAME_BYTES_MAX$}");
            many.put(&name, at(number as u64)).expect("there is room");
        }
        assert_eq!(many.put("one-more", None), Err(FollowerRefused::TooMany));
        let first = many.iter().next().expect("many").0.to_owned();
        many.put(&first, at(9)).expect("it is there already");
        let bytes = many.encode();
        assert!(bytes.len() < 7 << 10);
        assert_eq!(Followers::decode(&bytes), Ok(many));
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let good = followers(&[("a", at(7)), ("b", None)]).encode();
        assert!(Followers::decode(&good).is_ok());
        for length in 0..good.len() {
            assert!(Followers::decode(&good[..length]).is_err(), "{length}");
        }
        assert!(Followers::decode(&[&good[..], &[0]].concat()).is_err());
        let changed = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            Followers::decode(&bytes)
        };
        let name = MAGIC.len() + 4 + 4;
        for (at, to) in [
            (0, b'X'),
            (MAGIC.len(), 3),
            (MAGIC.len(), 65),
            // A name that isn't before the next, that is the next, that isn't visible.
            (name, b'c'),
            (name, b'b'),
            (name, b' '),
            (name + 1, 2),
        ] {
            assert!(changed(at, to).is_err(), "{at} {to}");
        }
        // What can be read is what would be written, whatever a byte becomes.
        for at in 0..good.len() {
            for to in 0..=u8::MAX {
                if let Ok(followers) = changed(at, to) {
                    assert_eq!(followers.encode()[at], to);
                    assert_eq!(followers.encode().len(), good.len());
                }
            }
        }
        let mut highest = good.clone();
        highest[name + 2..name + 10].fill(0xff);
        assert!(Followers::decode(&highest).is_err());
    }
}
