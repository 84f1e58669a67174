//! The trees of many blocks at once, level by level, so that there are always many hashes to compute together. Equal to one
//! tree after the other.

use crate::format::digest::many::hash_many;
use crate::format::digest::pair::Message;
use crate::format::original::hexadecimal;

/// A node's digits and what separates it from its sibling, so that two neighbours are what their parent hashes.
const STRIDE: usize = 65;

/// The leaves of one tree, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Leaves<'a> {
    /// Their data, one behind the other.
    pub bytes: &'a [u8],
    /// Where each leaf's data end.
    pub ends: &'a [usize],
}

impl<'a> Leaves<'a> {
    fn each(self) -> impl Iterator<Item = &'a [u8]> {
        let starts = std::iter::once(&0).chain(self.ends);
        starts
            .zip(self.ends)
            .map(move |(start, end)| &self.bytes[*start..*end])
    }
}

/// The root over each list, in lowercase hexadecimal digits; the empty string for no leaves.
pub fn roots(lists: &[Leaves<'_>]) -> Vec<String> {
    let mut counts: Vec<usize> = lists
        .iter()
        .map(|list| match list.ends.len() {
            0 => 0,
            count => count.next_power_of_two(),
        })
        .collect();
    let mut roots = vec![String::new(); lists.len()];
    let mut nodes = hash_leaves(lists, counts.iter().sum());
    loop {
        let mut pairs = Vec::with_capacity(nodes.len() / STRIDE / 2);
        let mut start = 0;
        for (count, root) in counts.iter_mut().zip(&mut roots) {
            if *count == 1 {
                *root = text(&nodes[start * STRIDE..][..STRIDE - 1]);
            }
            pairs.extend((0..*count / 2).map(|pair| start + 2 * pair));
            start += *count;
            *count /= 2;
        }
        if pairs.is_empty() {
            return roots;
        }
        nodes = hash_all(pairs.len(), |at| Message {
            prefix: b"internal:",
            rest: &nodes[pairs[at] * STRIDE..][..2 * STRIDE - 1],
        });
    }
}

fn text(digits: &[u8]) -> String {
    String::from_utf8_lossy(digits).into_owned()
}

/// The lowest level of all trees, `count` nodes.
fn hash_leaves(lists: &[Leaves<'_>], count: usize) -> Vec<u8> {
    let mut padding = Vec::new();
    let mut padding_ends = Vec::new();
    for list in lists {
        let leaves = list.ends.len();
        if leaves > 0 {
            for index in leaves..leaves.next_power_of_two() {
                super::write_padding(index, &mut padding);
                padding_ends.push(padding.len());
            }
        }
    }
    let padding = Leaves {
        bytes: &padding,
        ends: &padding_ends,
    };
    let mut padding = padding.each();
    let mut leaves: Vec<Message<'_>> = Vec::with_capacity(count);
    for list in lists {
        let missing = match list.ends.len() {
            0 => 0,
            leaves => leaves.next_power_of_two() - leaves,
        };
        let data = list.each().chain(padding.by_ref().take(missing));
        leaves.extend(data.map(|rest| Message {
            prefix: b"leaf:",
            rest,
        }));
    }
    // Messages of one length in blocks together: only those are hashed at once.
    let mut order: Vec<(u32, u32)> = leaves
        .iter()
        .zip(0..)
        .map(|(leaf, index)| (leaf.blocks() as u32, index))
        .collect();
    order.sort_unstable();
    let mut nodes = vec![b':'; count * STRIDE];
    hash_many(
        order.len(),
        |at| leaves[order[at].1 as usize],
        |at, hash| put(&mut nodes, order[at].1 as usize, &hash),
    );
    nodes
}

fn hash_all<'a>(count: usize, message: impl Fn(usize) -> Message<'a>) -> Vec<u8> {
    let mut nodes = vec![b':'; count * STRIDE];
    hash_many(count, message, |at, hash| put(&mut nodes, at, &hash));
    nodes
}

fn put(nodes: &mut [u8], at: usize, hash: &[u8; 32]) {
    nodes[at * STRIDE..][..STRIDE - 1].copy_from_slice(&hexadecimal::encode(hash));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::original::merkle::root;

    #[test]
    fn many_trees_have_the_roots_of_each() {
        let lists: Vec<Vec<Vec<u8>>> = [0, 1, 2, 0, 3, 5, 8, 17, 64, 100, 1, 0]
            .iter()
            .zip(1..)
            .map(|(count, list)| {
                let leaf = |index: usize| vec![b'a' + list; index * index * 37 % 700];
                (0..*count).map(leaf).collect()
            })
            .collect();
        let joined: Vec<(Vec<u8>, Vec<usize>)> = lists
            .iter()
            .map(|list| {
                let end = |end: &mut usize, leaf: &Vec<u8>| {
                    *end += leaf.len();
                    Some(*end)
                };
                (list.concat(), list.iter().scan(0, end).collect())
            })
            .collect();
        let leaves: Vec<Leaves<'_>> = joined
            .iter()
            .map(|(bytes, ends)| Leaves { bytes, ends })
            .collect();
        let expected: Vec<String> = lists.iter().map(|list| root(list)).collect();
        assert_eq!(roots(&leaves), expected);
        assert_eq!(roots(&[]), Vec::<String>::new());
    }
}
