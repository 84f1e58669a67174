//! A tree in memory: changes and roots beside bare hashing, proofs, checks of proofs.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::hint::black_box;

use anyhow::{Context as _, Result, ensure};
use hubledger::format::digest::Digest;
use hubledger::format::merkle;
use hubledger::format::sparse::{Path, place};
use hubledger::state::{Put, StateTree};

use super::rows::{BATCH, Key, Rows, Value};
use crate::clock::{Clock, Times};
use crate::turns::Contestant;

/// The table that rows are in.
const TABLE: u8 = 1;
/// Batches of which the nodes are counted.
const COUNTED: usize = 4;

/// Puts rows into a tree.
pub(super) fn put(tree: &mut StateTree, rows: &[(Key, Value)]) {
    tree.change(&puts(rows));
}

fn puts(rows: &[(Key, Value)]) -> Vec<Put<'_>> {
    let puts = rows.iter().map(|(key, value)| Put {
        table: TABLE,
        key,
        value: Some(value),
    });
    puts.collect()
}

/// The value of a key.
pub(super) fn get<'t>(tree: &'t StateTree, key: &Key) -> Option<&'t [u8]> {
    tree.get(TABLE, key)
}

/// A tree of so many rows in memory.
pub(super) struct Tree {
    rows: Rows,
    tree: RefCell<StateTree>,
}

impl Tree {
    pub(super) fn of(rows: Rows) -> Self {
        let mut tree = StateTree::default();
        for batch in rows.all() {
            put(&mut tree, &batch);
            tree.root();
        }
        Self {
            rows,
            tree: RefCell::new(tree),
        }
    }

    /// Batches of updates with a root behind each, an update as an item.
    pub(super) fn changes(&self) -> Contestant<'_> {
        let mut rows = self.rows.with_seed(1);
        Contestant::new("change and root", Clock::Thread, BATCH, move || {
            let mut tree = self.tree.borrow_mut();
            let before = tree.root();
            let batch = rows.batch();
            let puts = puts(&batch);
            let (after, times) = Times::of(|| {
                tree.change(&puts);
                tree.root()
            });
            ensure!(after != before, "the root is the same after a change");
            Ok(times)
        })
    }

    /// What can't be left out of that: reading the rows, and hashing as many nodes, leaves and values. A value takes half of what a node
    /// does, a leaf as much.
    pub(super) fn hashing(&self) -> Result<(Contestant<'_>, f64)> {
        let mut rows = self.rows.with_seed(2);
        let mut nodes = 0;
        for _ in 0..COUNTED {
            nodes += self.nodes_above(&rows.draw())?;
        }
        let nodes = nodes / COUNTED;
        // A tree over so many leaves has one node less.
        let leaves = vec![Digest([1; 32]); nodes + BATCH + BATCH / 2 + 1];
        let contestant = Contestant::new("reads and hashes", Clock::Thread, BATCH, move || {
            let tree = self.tree.borrow();
            let keys = rows.draw();
            let (found, times) = Times::of(|| {
                let read = |key: &&Key| black_box(get(&tree, key)).is_some();
                let found = keys.iter().filter(read).count();
                black_box(merkle::root(black_box(&leaves)));
                found
            });
            ensure!(found == keys.len(), "{found} of {} rows", keys.len());
            Ok(times)
        });
        Ok((contestant, nodes as f64 / BATCH as f64))
    }

    /// How many nodes are above rows; nodes above several count once.
    fn nodes_above(&self, keys: &[Key]) -> Result<usize> {
        let mut tree = self.tree.borrow_mut();
        tree.root();
        let mut nodes = BTreeSet::new();
        for key in keys {
            let (path, _) = tree.prove(TABLE, key).context("the root was asked for")?;
            let place = place(TABLE, key);
            let bits = u128::from_be_bytes(place.0[..16].try_into()?);
            let depths = 0..path.siblings.len() as u32;
            nodes.extend(depths.map(|depth| (depth, bits.checked_shr(128 - depth).unwrap_or(0))));
        }
        Ok(nodes.len())
    }

    /// Proofs of random rows.
    pub(super) fn proofs(&self) -> Contestant<'_> {
        let mut rows = self.rows.with_seed(3);
        Contestant::new("prove", Clock::Thread, BATCH, move || {
            let mut tree = self.tree.borrow_mut();
            tree.root();
            let keys = rows.draw();
            let (proved, times) = Times::of(|| {
                let is_proved = |key: &&Key| {
                    let proof = black_box(tree.prove(TABLE, *key));
                    proof.is_some_and(|(_, value)| value.is_some())
                };
                keys.iter().filter(is_proved).count()
            });
            ensure!(proved == keys.len(), "{proved} of {} proofs", keys.len());
            Ok(times)
        })
    }

    /// Checks of such proofs against a root, the place of the key included.
    pub(super) fn checks(&self) -> Result<Contestant<'_>> {
        let mut tree = self.tree.borrow_mut();
        let root = tree.root();
        let proof = |key: Key| -> Result<(Key, Path, Vec<u8>)> {
            let (path, value) = tree.prove(TABLE, &key).context("the root was asked for")?;
            Ok((key, path, value.context("a row is missing")?.to_vec()))
        };
        let proofs = self.rows.with_seed(4).draw().into_iter().map(proof);
        let proofs = proofs.collect::<Result<Vec<_>>>()?;
        Ok(Contestant::new("check", Clock::Thread, BATCH, move || {
            let (good, times) = Times::of(|| {
                let is_good = |(key, path, value): &&(Key, Path, Vec<u8>)| {
                    let place = place(TABLE, key);
                    path.verify(&place, Some(value), &root).is_ok()
                };
                proofs.iter().filter(is_good).count()
            });
            ensure!(good == proofs.len(), "{good} of {} proofs", proofs.len());
            Ok(times)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_above_all_rows_are_those_of_the_whole_tree() {
        let tree = Tree::of(Rows::new(2, 1));
        let keys = [0, 1].map(super::super::rows::key);
        let [first, second] = keys.map(|key| place(TABLE, &key).0);
        let differ = |at: usize| (first[at / 8] ^ second[at / 8]) & (0x80 >> (at % 8)) != 0;
        let shared = (0..256).take_while(|at| !differ(*at)).count();
        assert_eq!(tree.nodes_above(&keys).expect("rows"), shared + 1);
    }
}
