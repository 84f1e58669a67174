//! Many rows at once: looked up, changed and hashed together as one by one.

use std::collections::BTreeMap;

use super::*;

fn key(number: u32) -> [u8; 4] {
    number.to_le_bytes()
}

/// A tree of rows with these values, put in batches of so many, with a root behind each.
fn tree_of(values: &[u32], batch: usize) -> StateTree {
    let mut tree = StateTree::default();
    let rows: Vec<_> = (0..).map(key).zip(values.iter().map(|v| key(*v))).collect();
    for rows in rows.chunks(batch) {
        let puts = rows.iter().map(|(key, value)| Put {
            table: 1,
            key,
            value: Some(value),
        });
        tree.change(&puts.collect::<Vec<_>>());
        tree.root();
    }
    tree
}

#[test]
fn a_root_over_many_changes_is_that_of_few_at_a_time() {
    let values: Vec<u32> = (7..20_007).collect();
    let (mut together, mut apart) = (tree_of(&values, 20_000), tree_of(&values, 100));
    assert_eq!(together.root(), apart.root());
    let changed: Vec<_> = (0..20_000).step_by(2).map(key).collect();
    let puts = changed.iter().map(|key| Put {
        table: 1,
        key,
        value: Some(b"else"),
    });
    let puts: Vec<_> = puts.collect();
    let copy = together.clone();
    together.change(&puts);
    for puts in puts.chunks(37) {
        apart.change(puts);
        apart.root();
    }
    assert_eq!(together.root(), apart.root());
    assert_eq!(copy.known_root(), Some(tree_of(&values, 1000).root()));
}

#[test]
fn values_that_are_looked_up_together_are_those_of_each() {
    let tree = tree_of(&(0..3_000).collect::<Vec<_>>(), 500);
    // Half of them are in no row, and one is asked for twice.
    let keys: Vec<_> = (1_500..4_500).chain([1_500]).map(key).collect();
    let places: Vec<_> = keys.iter().map(|key| sparse::place(1, key)).collect();
    let each: Vec<_> = keys.iter().map(|key| tree.get(1, key)).collect();
    assert_eq!(tree.get_at(&places), each);
    assert_eq!(each.iter().flatten().count(), 1_501);
    assert_eq!(StateTree::default().get_at(&places[..1]), [None]);
}

#[test]
fn changes_at_places_that_are_known_are_those_of_the_keys() {
    let values: Vec<u32> = (0..1_000).collect();
    let (mut by_key, mut by_place) = (tree_of(&values, 1_000), tree_of(&values, 1_000));
    let keys: Vec<_> = (500..1_500).chain([700, 700]).map(key).collect();
    let puts = keys.iter().enumerate().map(|(number, key)| Put {
        table: 1,
        key,
        value: (number % 3 > 0).then_some(&keys[number / 2][..]),
    });
    let puts: Vec<_> = puts.collect();
    let places: Vec<_> = keys.iter().map(|key| sparse::place(1, key)).collect();
    by_key.change(&puts);
    by_place.change_at(&puts, &places);
    assert_eq!(by_place, by_key);
    assert_eq!(by_place.root(), by_key.root());
}

#[test]
fn places_that_begin_alike_are_told_apart() {
    let mut tree = StateTree::default();
    let place = |last| {
        let mut place = Digest([7; 32]);
        place.0[31] = last;
        place
    };
    let keys = [[1], [2], [3]];
    let puts = keys.each_ref().map(|key| Put {
        table: 1,
        key,
        value: Some(key),
    });
    // Nobody finds keys with such places, and so they are made up.
    let places = [place(3), place(1), place(2)];
    tree.change_at(&puts, &places);
    let found = tree.get_at(&places);
    assert_eq!(found, [Some(&[1][..]), Some(&[2]), Some(&[3])]);
    assert_eq!(tree.get_at(&[place(0)]), [None]);
    let rows: Vec<_> = tree.rows().map(|(_, key, _)| key[0]).collect();
    assert_eq!(rows, [2, 3, 1]);
}

/// Pages written down.
struct Written(BTreeMap<Bytes, Bytes>);

impl PageSource for Written {
    fn page(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        Ok(self.0.get(key).cloned())
    }
}

#[test]
fn pages_that_are_read_together_are_those_of_each_and_one_that_is_not_right_is_told() {
    let tree = tree_of(&(0..5_000).collect::<Vec<_>>(), 500);
    let pages: BTreeMap<_, _> = tree.unsaved().into_iter().collect();
    let root = tree.known_root().expect("nothing changed since");
    let keys: Vec<_> = (0..6_000).map(key).collect();
    let places: Vec<_> = keys.iter().map(|key| sparse::place(1, key)).collect();
    let stored = |pages| StateTree::stored(Arc::new(Written(pages)), tree.len(), root);
    let whole = stored(pages.clone());
    assert_eq!(whole.get_at(&places), tree.get_at(&places));
    assert_eq!(whole.failure(), None);
    assert!(whole.resident_bytes() > 0);
    // Of another page's rows, of no rows, and nothing at all.
    let mut deepest: Vec<_> = pages.keys().cloned().collect();
    deepest.sort_by_key(Bytes::len);
    let [first, second] = [0, 1].map(|back| deepest[deepest.len() - 1 - back].clone());
    for damage in [
        Some(pages[&second].clone()),
        Some(Bytes::from_static(b"\0no")),
        None,
    ] {
        let mut pages = pages.clone();
        match &damage {
            Some(page) => drop(pages.insert(first.clone(), page.clone())),
            None => drop(pages.remove(&first)),
        }
        let stored = stored(pages);
        let found = stored.get_at(&places).iter().flatten().count();
        assert!(found < 5_000 && found > 4_900, "{found} with {damage:?}");
        let failure = stored.failure().expect("a page is not what it was");
        assert_eq!(failure.key, hex::encode(&first));
    }
}

#[test]
fn rows_of_which_some_pages_are_in_memory_and_others_are_not_can_be_changed() {
    let mut tree = tree_of(&(0..20_000).collect::<Vec<_>>(), 5_000);
    let pages: BTreeMap<_, _> = tree.unsaved().into_iter().collect();
    let root = tree.known_root().expect("nothing changed since");
    let mut stored = StateTree::stored(Arc::new(Written(pages)), tree.len(), root);
    // In most branches one of sixteen pages or so is read, and ways to the others end there.
    for number in 0..300 {
        assert!(stored.get(1, &key(number)).is_some());
    }
    let changed: Vec<_> = (5_000..15_000).map(key).collect();
    let puts = changed.iter().map(|key| Put {
        table: 1,
        key,
        value: Some(b"else"),
    });
    let puts: Vec<_> = puts.collect();
    stored.change(&puts);
    tree.change(&puts);
    assert_eq!(stored.root(), tree.root());
    assert_eq!(stored.failure(), None);
}
