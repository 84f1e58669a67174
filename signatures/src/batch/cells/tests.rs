use curve25519_dalek::scalar::Scalar as DalekScalar;

use crate::oracle::{Random, exported, paths};

use super::super::tests::Batch;
use super::*;

/// Positions of a group: neighbours, so that cells hold several items of a key, and any, so that they mix keys with and
/// without `A'`.
fn groups(batch: &Batch, count: usize) -> Vec<Vec<u32>> {
    let mut random = Random::new(22);
    let all = batch.admitted.len();
    let from = |start: usize| (start as u32..(start + count) as u32).collect();
    let mut groups: Vec<Vec<u32>> = vec![from(0), from(all - count)];
    for _ in 0..4 {
        groups.push(from(random.below(all - count)));
        let mut any: Vec<u32> = (0..count).map(|_| random.below(all) as u32).collect();
        any.sort_unstable();
        any.dedup();
        groups.push(any);
    }
    groups
}

#[test]
fn cells_of_one_to_eight_items_have_the_sums_of_dalek() {
    for path in paths() {
        let batch = Batch::new(path);
        let mut room = CellRoom::default();
        for items in 1..=CELL_ITEMS {
            // All lanes full, the last one not, one item only.
            for count in [items * path.lanes(), items * path.lanes() - 1, items + 1, 1] {
                for group in groups(&batch, count) {
                    let sums = batch
                        .shared
                        .cell_sums(&batch.admitted, &group, items, &mut room);
                    let mut sums = sums[..path.lanes()].iter();
                    for (cell, sum) in group.chunks(items).zip(&mut sums) {
                        let expected = batch.expected(cell, |at| match items {
                            1 => DalekScalar::ONE,
                            _ => batch.coefficient(&WINDOWS, at),
                        });
                        assert_eq!(exported(sum).mul_by_cofactor(), expected, "{items} {count}");
                    }
                    assert!(sums.all(|sum| sum.vanishes()), "lanes without items");
                }
            }
        }
    }
}

#[test]
fn unrelated_items_all_fail_in_any_range() {
    for path in paths() {
        let batch = Batch::new(path);
        for range in [0..0, 0..1, 3..20, 100..180, 0..180] {
            let mut failed = Vec::new();
            let room = &mut CellRoom::default();
            batch
                .shared
                .check_in_cells(&batch.admitted, range.clone(), room, &mut failed);
            assert!(failed.into_iter().eq(range.map(|at| at as u32)));
        }
    }
}
