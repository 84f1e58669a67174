use crate::oracle::{Random, exported, paths};

use super::super::tests::Batch;
use super::*;

#[test]
fn sums_over_ranges_are_those_of_dalek_with_any_windows() {
    let mut random = Random::new(21);
    for path in paths() {
        let batch = Batch::new(path);
        let calm = batch.admitted.calm();
        let mut room = SumRoom::default();
        let mut ranges = vec![0..calm, 0..1, calm - 1..calm, 0..calm / 2, calm / 2..calm];
        ranges.extend((0..12).map(|_| {
            let start = random.below(calm);
            start..start + 1 + random.below(calm - start)
        }));
        for windows in WINDOWS
            .iter()
            .filter(|windows| windows.count() % path.lanes() == 0)
        {
            for range in &ranges {
                let sum = batch
                    .shared
                    .sum(&batch.admitted, range.clone(), windows, &mut room);
                let positions: Vec<u32> = range.clone().map(|at| at as u32).collect();
                let expected = batch.expected(&positions, |at| batch.coefficient(windows, at));
                assert_eq!(exported(&sum).mul_by_cofactor(), expected, "{range:?}");
                assert!(!sum.vanishes());
            }
        }
    }
}

#[test]
fn the_windows_chosen_fit_the_lanes_and_grow_with_the_batch() {
    for lanes in [4, 8] {
        let mut last = usize::MAX;
        for low in [2, 30, 100, 1_000, 10_000] {
            let windows = cheapest_windows(lanes, (low, low / 3));
            assert_eq!(windows.count() % lanes, 0);
            assert!(windows.count() <= last);
            last = windows.count();
        }
        assert_eq!(SEARCH_WINDOWS.count() % lanes, 0);
    }
}
