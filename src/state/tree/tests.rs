//! The tree beside a map and the definition of its root.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::format::sparse::{Path, RangeError, place, value_hash};

/// Rows by place, and all hashes anew each time.
#[derive(Clone, Default)]
struct Model {
    rows: BTreeMap<Digest, (u8, Vec<u8>, Vec<u8>)>,
}

impl Model {
    fn change(&mut self, put: &Put<'_>) {
        let place = place(put.table, put.key);
        match put.value {
            Some(value) => {
                let row = (put.table, put.key.to_vec(), value.to_vec());
                self.rows.insert(place, row);
            }
            None => {
                self.rows.remove(&place);
            }
        }
    }

    fn hashed(&self) -> Vec<(Digest, Digest)> {
        let rows = self.rows.iter();
        rows.map(|(place, row)| (*place, value_hash(&row.2)))
            .collect()
    }

    fn root(&self) -> Digest {
        sparse::root(&self.hashed())
    }
}

/// Changes: of each the table, the number that is its key, and the value.
type Batch = Vec<(u8, u16, Option<Vec<u8>>)>;

/// A history of changes, some of which are followed by a root, or kept as a copy.
fn histories() -> impl Strategy<Value = Vec<(Batch, bool, bool)>> {
    let value = prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..40));
    let change = (0..3_u8, 0..400_u16, value);
    let batch = prop::collection::vec(change, 0..80);
    prop::collection::vec((batch, any::<bool>(), any::<bool>()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_tree_is_a_map_with_the_root_of_its_rows_and_its_copies_stay_as_they_were(
        history in histories(),
    ) {
        let (mut tree, mut model) = (StateTree::default(), Model::default());
        let mut copies = Vec::new();
        for (batch, is_hashed, is_copied) in &history {
            let keys: Vec<[u8; 2]> = batch.iter().map(|change| change.1.to_le_bytes()).collect();
            let puts = batch.iter().zip(&keys).map(|((table, _, value), key)| Put {
                table: *table,
                key,
                value: value.as_deref(),
            });
            let puts: Vec<Put<'_>> = puts.collect();
            tree.change(&puts);
            puts.iter().for_each(|put| model.change(put));
            if *is_hashed {
                prop_assert_eq!(tree.root(), model.root());
            }
            if *is_copied {
                copies.push((tree.clone(), model.clone()));
            }
        }
        copies.push((tree, model));
        for (mut tree, model) in copies {
            prop_assert_eq!(tree.len(), model.rows.len());
            prop_assert_eq!(tree.root(), model.root());
            let rows: Vec<_> = tree.rows().map(|(table, key, value)| (table, key.to_vec(), value.to_vec())).collect();
            prop_assert_eq!(rows, model.rows.values().cloned().collect::<Vec<_>>());
            for table in 0..3 {
                for key in (0..400_u16).step_by(7) {
                    let key = key.to_le_bytes();
                    let held = model.rows.get(&place(table, &key)).map(|row| row.2.as_slice());
                    prop_assert_eq!(tree.get(table, &key), held);
                }
            }
        }
    }

    /// The root doesn't depend on the way that led to the rows.
    #[test]
    fn the_root_follows_from_the_rows_alone(mut keys in prop::collection::vec(any::<u16>(), 1..300)) {
        let build = |keys: &[u16]| {
            let mut tree = StateTree::default();
            for key in keys {
                let (key, value) = (key.to_le_bytes(), key.to_be_bytes());
                tree.change(&[Put { table: 0, key: &key, value: Some(b"before") }]);
                tree.change(&[Put { table: 0, key: &key, value: Some(&value) }]);
            }
            tree.root()
        };
        let root = build(&keys);
        keys.reverse();
        prop_assert_eq!(build(&keys), root);
        keys.sort_unstable();
        prop_assert_eq!(build(&keys), root);
    }

    #[test]
    fn each_key_is_proved_and_nothing_else(
        keys in prop::collection::btree_set(0..2000_u16, 0..200),
        asked in prop::collection::vec(0..2000_u16, 1..20),
        flipped in any::<prop::sample::Index>(),
    ) {
        let mut tree = filled(keys.iter().copied());
        let root = tree.root();
        for key in asked {
            let (key, expected) = (key.to_le_bytes(), keys.contains(&key).then(|| key.to_be_bytes()));
            let (path, value) = tree.prove(1, &key).expect("the root was asked for");
            prop_assert_eq!(value, expected.as_ref().map(<[u8; 2]>::as_slice));
            let place = place(1, &key);
            prop_assert_eq!(path.verify(&place, value, &root), Ok(()));
            // The other answer, another value, another key and another root are refused.
            let other = if value.is_some() { None } else { Some(b"x".as_slice()) };
            prop_assert!(path.verify(&place, other, &root).is_err());
            if value.is_some() {
                prop_assert!(path.verify(&place, Some(b"zz".as_slice()), &root).is_err());
            }
            prop_assert!(path.verify(&place, value, &Digest([7; 32])).is_err());
            let mut wrong = path.clone();
            if !wrong.siblings.is_empty() {
                let sibling = flipped.index(wrong.siblings.len());
                wrong.siblings[sibling].0[3] ^= 0x10;
                prop_assert!(wrong.verify(&place, value, &root).is_err());
                let mut short = path.clone();
                short.siblings.pop();
                prop_assert!(short.verify(&place, value, &root).is_err());
            }
            let mut long = path.clone();
            long.siblings.push(EMPTY);
            prop_assert!(long.verify(&place, value, &root).is_err());
        }
    }

    #[test]
    fn a_range_is_proved_with_all_of_its_rows_and_no_others(
        keys in prop::collection::btree_set(0..2000_u16, 0..150),
        ends in (any::<[u8; 2]>(), any::<[u8; 2]>()),
        spoilt in any::<prop::sample::Index>(),
    ) {
        let mut tree = filled(keys.iter().copied());
        let root = tree.root();
        let end = |bytes: [u8; 2], fill| { let mut end = Digest([fill; 32]); end.0[..2].copy_from_slice(&bytes); end };
        let (first, last) = (end(ends.0.min(ends.1), 0), end(ends.0.max(ends.1), 0xff));
        let proof = tree.prove_range(&first, &last).expect("the root was asked for");
        let rows: Vec<(Digest, Digest)> = tree
            .rows_from(&first)
            .map(|(place, _, _, value)| (place, value_hash(value)))
            .take_while(|row| row.0 <= last)
            .collect();
        let model: Vec<_> = tree.rows().map(|(table, key, value)| (place(table, key), value_hash(value)))
            .filter(|row| (first..=last).contains(&row.0)).collect();
        prop_assert_eq!(&rows, &model);
        prop_assert_eq!(proof.verify((&first, &last), &rows, &root), Ok(()));
        // A row left out, changed, added or given twice is refused.
        if !rows.is_empty() {
            let at = spoilt.index(rows.len());
            let mut without = rows.clone();
            without.remove(at);
            prop_assert!(proof.verify((&first, &last), &without, &root).is_err());
            let mut changed = rows.clone();
            changed[at].1.0[9] ^= 1;
            prop_assert!(proof.verify((&first, &last), &changed, &root).is_err());
            let mut twice = rows.clone();
            twice.insert(at, rows[at]);
            prop_assert_eq!(proof.verify((&first, &last), &twice, &root), Err(RangeError::Order));
        }
        let mut added = rows.clone();
        added.push((last, value_hash(b"")));
        prop_assert!(proof.verify((&first, &last), &added, &root).is_err());
        let mut parts = proof.clone();
        parts.parts.push(crate::format::sparse::Part::Empty);
        prop_assert!(parts.verify((&first, &last), &rows, &root).is_err());
    }
}

fn filled(keys: impl Iterator<Item = u16>) -> StateTree {
    let mut tree = StateTree::default();
    for key in keys {
        let (key, value) = (key.to_le_bytes(), key.to_be_bytes());
        tree.change(&[Put {
            table: 1,
            key: &key,
            value: Some(&value),
        }]);
    }
    tree
}

#[test]
fn nothing_is_proved_of_a_tree_that_changed_since_its_root() {
    let mut tree = filled(0..50);
    assert_eq!(tree.prove(1, b"ab"), None::<(Path, Option<&[u8]>)>);
    tree.root();
    assert!(tree.prove(1, b"ab").is_some());
}

/// Pages written down, of one moment.
#[derive(Clone, Default)]
struct Written(std::sync::Arc<BTreeMap<Bytes, Bytes>>);

impl PageSource for Written {
    fn page(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        Ok(self.0.get(key).cloned())
    }
}

/// Writes down what isn't, and has the tree read from there.
fn save(tree: &mut StateTree, written: &mut Written, resident_max: u64) {
    tree.root();
    let mut all = (*written.0).clone();
    all.extend(tree.unsaved());
    *written = Written(std::sync::Arc::new(all));
    tree.saved();
    tree.adopt(std::sync::Arc::new(written.clone()), resident_max);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However little of it is in memory, and whenever it was read anew, a tree is what it was; copies stay as they were.
    #[test]
    fn a_tree_whose_pages_come_and_go_is_the_same_tree(
        history in histories(),
        limits in prop::collection::vec(prop::option::of(0_u64..20_000), 12),
        reopened in prop::collection::vec(any::<bool>(), 12),
    ) {
        let (mut tree, mut model, mut written) = (StateTree::default(), Model::default(), Written::default());
        let mut copies = Vec::new();
        for (number, (batch, _, is_copied)) in history.iter().enumerate() {
            let keys: Vec<[u8; 2]> = batch.iter().map(|change| change.1.to_le_bytes()).collect();
            let puts = batch.iter().zip(&keys).map(|((table, _, value), key)| Put {
                table: *table,
                key,
                value: value.as_deref(),
            });
            let puts: Vec<Put<'_>> = puts.collect();
            tree.change(&puts);
            puts.iter().for_each(|put| model.change(put));
            if let Some(limit) = limits[number] {
                save(&mut tree, &mut written, limit);
                if reopened[number] {
                    let source = std::sync::Arc::new(written.clone());
                    tree = StateTree::stored(source, tree.len(), tree.root());
                }
            }
            prop_assert_eq!(tree.root(), model.root());
            if *is_copied {
                copies.push((tree.clone(), model.clone()));
            }
        }
        copies.push((tree, model));
        for (mut tree, model) in copies {
            prop_assert_eq!(tree.root(), model.root());
            for key in (0..400_u16).step_by(13) {
                let key = key.to_le_bytes();
                let held = model.rows.get(&place(1, &key)).map(|row| row.2.as_slice());
                let (path, value) = tree.prove(1, &key).expect("the root was asked for");
                prop_assert_eq!(value, held);
                prop_assert_eq!(path.verify(&place(1, &key), value, &model.root()), Ok(()));
            }
            let rows: Vec<_> = tree.rows().map(|(table, key, value)| (table, key.to_vec(), value.to_vec())).collect();
            prop_assert_eq!(rows, model.rows.values().cloned().collect::<Vec<_>>());
            prop_assert_eq!(tree.failure(), None);
        }
    }
}

#[test]
fn a_page_that_is_missing_or_damaged_is_told_by_the_tree_that_needed_it_and_copies_of_that() {
    for damage in [false, true] {
        let (mut tree, mut written) = (filled(0..500), Written::default());
        save(&mut tree, &mut written, u64::MAX);
        let mut pages = (*written.0).clone();
        let key = pages.keys().nth(7).expect("there are more").clone();
        match damage {
            true => drop(pages.insert(key, Bytes::from_static(b"\x00no page"))),
            false => drop(pages.remove(&key)),
        }
        let source = Written(std::sync::Arc::new(pages));
        let stored = StateTree::stored(std::sync::Arc::new(source), tree.len(), tree.root());
        let copy = stored.clone();
        assert_eq!(copy.failure(), None, "nothing was read yet");
        let found = stored.rows().count();
        assert!(found < tree.len());
        assert_eq!(copy.failure(), None, "it has read nothing");
        assert!(stored.failure().is_some() && stored.clone().failure().is_some());
    }
}

#[test]
fn a_check_of_what_is_written_finds_every_flipped_bit_and_every_page_that_is_elsewhere() {
    let (mut tree, mut written) = (filled(0..30), Written::default());
    save(&mut tree, &mut written, u64::MAX);
    let (rows, root) = (tree.len(), tree.root());
    let check = |pages: BTreeMap<Bytes, Bytes>, rows: usize| {
        let source = std::sync::Arc::new(Written(std::sync::Arc::new(pages)));
        StateTree::stored(source, rows, root).check_written(|_, _, _| Ok(()))
    };
    let sound = (*written.0).clone();
    assert_eq!(check(sound.clone(), rows), Ok(()));
    assert!(sound.len() > 10, "a branch and pages below it");
    for (key, page) in &sound {
        let named = |outcome: Result<(), StateFailure>| outcome.expect_err("damage").key;
        let with = |page: Vec<u8>| {
            let mut pages = sound.clone();
            pages.insert(key.clone(), page.into());
            check(pages, rows)
        };
        for bit in 0..8 * page.len() {
            let mut flipped = page.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(with(flipped).is_err(), "bit {bit} of {key:?}");
        }
        assert_eq!(
            named(with(page[..page.len() - 1].to_vec())),
            hex::encode(key)
        );
        for (_, other) in sound.iter().filter(|(other, _)| *other != key) {
            assert!(with(other.to_vec()).is_err(), "{key:?}");
        }
        let mut without = sound.clone();
        without.remove(key);
        assert_eq!(named(check(without, rows)), hex::encode(key));
    }
    assert!(check(sound.clone(), rows + 1).is_err() && check(sound, 1).is_err());
    // No rows have no page; and what isn't reached says nothing.
    let nothing = StateTree::stored(std::sync::Arc::new(written), 0, EMPTY);
    assert_eq!(nothing.check_written(|_, _, _| Ok(())), Ok(()));
}

#[test]
fn memory_is_given_up_down_to_the_limit_and_pages_in_use_stay_longest() {
    let (mut tree, mut written) = (filled(0..5000), Written::default());
    save(&mut tree, &mut written, u64::MAX);
    let all = tree.resident_bytes();
    assert!(all > 300_000, "{all}");
    save(&mut tree, &mut written, u64::MAX);
    for key in 0..20_u16 {
        assert!(tree.get(1, &key.to_le_bytes()).is_some());
    }
    save(&mut tree, &mut written, all / 2);
    let left = tree.resident_bytes();
    assert!(left < all / 2, "{left}");
    let reads = Counted::default();
    let counter = std::sync::Arc::clone(&reads.0);
    tree.adopt(
        std::sync::Arc::new(Counted(counter, written.clone())),
        u64::MAX,
    );
    for key in 0..20_u16 {
        assert!(tree.get(1, &key.to_le_bytes()).is_some());
    }
    assert_eq!(reads.0.load(std::sync::atomic::Ordering::Relaxed), 0);
    save(&mut tree, &mut written, 0);
    assert!(tree.resident_bytes() < 5000, "{}", tree.resident_bytes());
}

#[derive(Default)]
struct Counted(std::sync::Arc<std::sync::atomic::AtomicU64>, Written);

impl PageSource for Counted {
    fn page(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.1.page(key)
    }
}

#[test]
fn what_copies_change_does_not_count_and_what_is_saved_no_longer_counts_as_unsaved() {
    let (mut tree, mut written) = (filled(0..3000), Written::default());
    let unsaved = tree.unsaved_bytes();
    assert!(unsaved > 100_000, "{unsaved}");
    let (resident, mut copy) = (tree.resident_bytes(), tree.clone());
    for key in 3000..6000_u16 {
        let key = key.to_le_bytes();
        copy.change(&[Put {
            table: 1,
            key: &key,
            value: Some(b"of the copy"),
        }]);
    }
    assert_eq!(
        (tree.resident_bytes(), tree.unsaved_bytes()),
        (resident, unsaved)
    );
    drop(copy);
    for round in 0..50_u8 {
        save(&mut tree, &mut written, u64::MAX);
        assert_eq!(tree.unsaved_bytes(), 0);
        tree.change(&[Put {
            table: 1,
            key: &[1, 0],
            value: Some(&[round; 2]),
        }]);
        assert!((1..20_000).contains(&tree.unsaved_bytes()));
    }
}

/// Pages are written down while the tree goes on: what changed meanwhile isn't taken for written.
#[test]
fn what_changes_while_pages_are_written_down_is_written_down_the_next_time() {
    let (mut tree, mut written) = (filled(0..2000), Written::default());
    let mut model: BTreeMap<u16, u8> = BTreeMap::new();
    for round in 0..30_u8 {
        tree.root();
        let copy = tree.clone();
        let pages = copy.unsaved();
        for step in 0..40_u16 {
            let key = (u16::from(round) * 131 + step * 17) % 2000;
            model.insert(key, round);
            tree.change(&[Put {
                table: 1,
                key: &key.to_le_bytes(),
                value: Some(&[round; 3]),
            }]);
        }
        let mut all = (*written.0).clone();
        all.extend(pages);
        written = Written(std::sync::Arc::new(all));
        copy.saved();
        drop(copy);
        tree.adopt(std::sync::Arc::new(written.clone()), 30_000);
    }
    save(&mut tree, &mut written, 0);
    let root = tree.root();
    let reopened = StateTree::stored(std::sync::Arc::new(written), tree.len(), root);
    for (key, round) in model {
        assert_eq!(
            reopened.get(1, &key.to_le_bytes()),
            Some(&[round; 3][..]),
            "{key}"
        );
    }
    let rows: Vec<_> = reopened
        .rows()
        .map(|(table, key, value)| (place(table, key), value_hash(value)))
        .collect();
    assert_eq!((rows.len(), sparse::root(&rows)), (2000, root));
}

#[test]
fn what_is_saved_is_unsaved_no_longer() {
    let mut tree = filled(0..3000);
    let mut written = Written::default();
    let before = tree.unsaved_bytes();
    save(&mut tree, &mut written, u64::MAX);
    assert!(
        tree.unsaved_bytes() < before / 20,
        "{}",
        tree.unsaved_bytes()
    );
}

#[test]
fn a_visit_shows_the_rows_from_a_place_on_and_keeps_no_page() {
    let mut tree = filled(0..3000);
    let mut written = Written::default();
    save(&mut tree, &mut written, 0);
    let resident = tree.resident_bytes();
    let firsts = (0..=255).step_by(15).map(|byte| Digest([byte; 32]));
    let mut visited = Vec::new();
    for first in firsts.clone() {
        let mut rows = Vec::new();
        tree.visit(&first, &mut |place, table, key, value| {
            rows.push((place, table, key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Continue(())
        });
        visited.push(rows);
    }
    assert_eq!(tree.resident_bytes(), resident);
    for (first, rows) in firsts.zip(visited) {
        let expected = tree.rows_from(&first);
        let expected =
            expected.map(|(place, table, key, value)| (place, table, key.to_vec(), value.to_vec()));
        assert_eq!(rows, expected.collect::<Vec<_>>());
    }
    assert!(tree.resident_bytes() > resident);
    let mut count = 0;
    tree.visit(&Digest::ZERO, &mut |_, _, _, _| {
        count += 1;
        match count < 5 {
            true => std::ops::ControlFlow::Continue(()),
            false => std::ops::ControlFlow::Break(()),
        }
    });
    assert_eq!(count, 5);
}
