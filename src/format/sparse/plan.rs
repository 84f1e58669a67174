//! Hashes that wait for others: gathered first, then made many at a time, those that need nothing of each other together.

use super::Subtree;
use crate::format::digest::Digest;
use crate::format::digest::many::hash_many;
use crate::format::digest::pair::Message;

/// A subtree whose hash may still be to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Planned {
    Known(Subtree),
    /// A node of the plan.
    Node(Place),
}

/// Where a node of the plan is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    level: u32,
    number: u32,
}

/// Nodes to be hashed, by level: a node is one level above the higher of those it is over, and those of a level lie side by side.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    levels: Vec<Level>,
}

#[derive(Debug, Default)]
struct Level {
    /// What is hashed: 0x01, and the two hashes as far as they are known.
    inputs: Vec<[u8; 65]>,
    /// The node that each is a half of, and whether the right one; none for those that are noted elsewhere only.
    above: Vec<Option<(Place, bool)>>,
    hashes: Vec<Digest>,
}

impl Plan {
    /// What two halves are together. A node is a half of one other at most.
    pub(crate) fn join(&mut self, left: Planned, right: Planned) -> Planned {
        if let (Planned::Known(left), Planned::Known(right)) = (left, right)
            && let Ok(joined) = Subtree::join(left, right)
        {
            return Planned::Known(joined);
        }
        let level = left.level_above().max(right.level_above());
        while self.levels.len() <= level as usize {
            self.levels.push(Level::default());
        }
        // A tree has fewer rows than fit into memory, let alone nodes that change at once.
        let number = self.levels[level as usize].inputs.len() as u32;
        let place = Place { level, number };
        let mut input = [0x01; 65];
        for (half, is_right) in [(left, false), (right, true)] {
            match half {
                Planned::Known(subtree) => put(&mut input, is_right, &subtree.hash()),
                Planned::Node(below) => {
                    let level = &mut self.levels[below.level as usize];
                    level.above[below.number as usize] = Some((place, is_right));
                }
            }
        }
        let level = &mut self.levels[level as usize];
        level.inputs.push(input);
        level.above.push(None);
        Planned::Node(place)
    }

    /// Makes all hashes.
    pub(crate) fn run(&mut self) {
        for number in 0..self.levels.len() {
            let (done, higher) = self.levels.split_at_mut(number + 1);
            let Level {
                inputs,
                above,
                hashes,
            } = &mut done[number];
            hashes.reserve_exact(inputs.len());
            let message = |at: usize| {
                let (prefix, rest) = inputs[at].split_at(33);
                Message { prefix, rest }
            };
            hash_many(inputs.len(), message, |at, hash| {
                hashes.push(Digest(hash));
                if let Some((place, is_right)) = above[at] {
                    let level = &mut higher[place.level as usize - number - 1];
                    put(
                        &mut level.inputs[place.number as usize],
                        is_right,
                        &Digest(hash),
                    );
                }
            });
        }
    }

    /// What became of a subtree, once the plan has run.
    pub(crate) fn made(&self, planned: Planned) -> Subtree {
        match planned {
            Planned::Known(subtree) => subtree,
            Planned::Node(place) => {
                let level = &self.levels[place.level as usize];
                Subtree::Node(level.hashes[place.number as usize])
            }
        }
    }
}

/// Puts one half into what is hashed.
fn put(input: &mut [u8; 65], is_right: bool, hash: &Digest) {
    let start = if is_right { 33 } else { 1 };
    input[start..start + 32].copy_from_slice(&hash.0);
}

impl Planned {
    const fn level_above(self) -> u32 {
        match self {
            Self::Known(_) => 0,
            Self::Node(place) => place.level + 1,
        }
    }
}
