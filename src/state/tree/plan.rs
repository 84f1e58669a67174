//! Hashes that wait for others: gathered first, then made many at a time, those that need nothing of each other together.

use crate::format::digest::Digest;
use crate::format::digest::many::hash_many;
use crate::format::digest::pair::Message;
use crate::format::sparse::Subtree;

/// A subtree whose hash may still be to be made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Planned {
    Known(Subtree),
    /// A node, by its number in the plan.
    Node(u32),
}

/// Nodes to be hashed, each after those that it is over.
#[derive(Debug, Default)]
pub(super) struct Plan {
    nodes: Vec<Node>,
    /// How many nodes there are of each level: a node is one level above the higher of those it is over.
    levels: Vec<u32>,
    hashes: Vec<Digest>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    left: Hash,
    right: Hash,
    level: u32,
}

#[derive(Debug, Clone, Copy)]
enum Hash {
    Known(Digest),
    Node(u32),
}

impl Plan {
    /// What two halves are together.
    pub(super) fn join(&mut self, left: Planned, right: Planned) -> Planned {
        let (left, right) = match (left, right) {
            (Planned::Known(left), Planned::Known(right)) => match Subtree::join(left, right) {
                Ok(joined) => return Planned::Known(joined),
                Err((left, right)) => (Hash::Known(left), Hash::Known(right)),
            },
            (left, right) => (Hash::from(left), Hash::from(right)),
        };
        let level = self.level_above(left).max(self.level_above(right));
        if self.levels.len() <= level as usize {
            self.levels.resize(level as usize + 1, 0);
        }
        self.levels[level as usize] += 1;
        // A tree has fewer rows than fit into memory, let alone nodes that change at once.
        let number = self.nodes.len() as u32;
        self.nodes.push(Node { left, right, level });
        Planned::Node(number)
    }

    fn level_above(&self, hash: Hash) -> u32 {
        match hash {
            Hash::Known(_) => 0,
            Hash::Node(number) => self.nodes[number as usize].level + 1,
        }
    }

    /// Makes all hashes.
    pub(super) fn run(&mut self) {
        self.hashes.resize(self.nodes.len(), Digest::ZERO);
        // Sorted by counting: where the nodes of each level begin.
        let mut starts: Vec<usize> = Vec::with_capacity(self.levels.len() + 1);
        let mut start = 0;
        for count in &self.levels {
            starts.push(start);
            start += *count as usize;
        }
        let mut sorted = vec![0_u32; self.nodes.len()];
        let mut next = starts.clone();
        for (number, node) in self.nodes.iter().enumerate() {
            let at = &mut next[node.level as usize];
            sorted[*at] = number as u32;
            *at += 1;
        }
        starts.push(start);
        let mut inputs: Vec<[u8; 65]> = Vec::new();
        for bounds in starts.windows(2) {
            let level = &sorted[bounds[0]..bounds[1]];
            inputs.clear();
            inputs.extend(level.iter().map(|number| self.input(*number)));
            let message = |number: usize| {
                let (prefix, rest) = inputs[number].split_at(33);
                Message { prefix, rest }
            };
            let hashes = &mut self.hashes;
            hash_many(level.len(), message, |number, hash| {
                hashes[level[number] as usize] = Digest(hash);
            });
        }
    }

    fn input(&self, number: u32) -> [u8; 65] {
        let node = &self.nodes[number as usize];
        let mut input = [0x01; 65];
        input[1..33].copy_from_slice(&self.hash(node.left).0);
        input[33..].copy_from_slice(&self.hash(node.right).0);
        input
    }

    fn hash(&self, hash: Hash) -> Digest {
        match hash {
            Hash::Known(digest) => digest,
            Hash::Node(number) => self.hashes[number as usize],
        }
    }

    /// What became of a subtree, once the plan has run.
    pub(super) fn made(&self, planned: Planned) -> Subtree {
        match planned {
            Planned::Known(subtree) => subtree,
            Planned::Node(number) => Subtree::Node(self.hashes[number as usize]),
        }
    }
}

impl From<Planned> for Hash {
    fn from(planned: Planned) -> Self {
        match planned {
            Planned::Known(subtree) => Self::Known(subtree.hash()),
            Planned::Node(number) => Self::Node(number),
        }
    }
}
