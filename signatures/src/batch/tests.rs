//! Batches of items that are in the sum, and the search among them.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar as DalekScalar;
use ed25519_dalek::{Signer as _, SigningKey};

use super::*;
use crate::bytes::{PublicKey, Signature};
use crate::oracle::{Random, decoded, paths};
use crate::rule;

/// Items with what they borrow.
pub(super) struct Items(Vec<(PublicKey, Vec<u8>, Signature)>);

impl Items {
    /// Items whose points and scalars have nothing to do with each other; the keys by number.
    pub(super) fn unrelated(keys: impl IntoIterator<Item = u64>) -> Self {
        let mut random = Random::new(20);
        let item = |key: u64| {
            let key = Random::new(1_000 + key).point().compress().0;
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&random.point().compress().0);
            signature[32..].copy_from_slice(random.scalar().as_bytes());
            let message = vec![7; random.below(100)];
            let key = PublicKey::from_bytes(key);
            (key, message, Signature::from_bytes(signature))
        };
        Self(keys.into_iter().map(item).collect())
    }

    /// Good items by the keys with these numbers.
    fn good(keys: impl IntoIterator<Item = u64>) -> Self {
        let item = |(index, key): (usize, u64)| {
            let pair = SigningKey::from_bytes(&Random::new(key).bytes());
            let message = index.to_le_bytes().to_vec();
            let signature = Signature::from_bytes(pair.sign(&message).to_bytes());
            let key = PublicKey::from_bytes(pair.verifying_key().to_bytes());
            (key, message, signature)
        };
        Self(keys.into_iter().enumerate().map(item).collect())
    }

    fn spoil(&mut self, index: usize) {
        self.0[index].1.push(0);
    }

    fn mend(&mut self, index: usize) {
        self.0[index].1.pop();
    }

    fn key(&self, index: usize) -> &[u8; 32] {
        self.0[index].0.as_bytes()
    }

    pub(super) fn list(&self) -> Vec<Item<'_>> {
        let items = self.0.iter();
        items
            .map(|(key, message, signature)| Item {
                key,
                message,
                signature,
            })
            .collect()
    }

    /// `D = R + [k]A - [s]B` of an item.
    fn difference(&self, index: usize) -> EdwardsPoint {
        let (key, message, signature) = &self.0[index];
        let k = rule::challenge(key, message, signature);
        let s = DalekScalar::from_bytes_mod_order(*signature.s());
        decoded(*signature.r()) + k * decoded(*key.as_bytes()) - EdwardsPoint::mul_base(&s)
    }
}

/// Batches of a path, with a seed.
pub(super) fn shared(path: &'static dyn VectorPath) -> Shared {
    Shared::new(path, 1 << 20, Coefficients::Seeded([1; 32]))
}

/// A batch of unrelated items, ready to be summed: keys with and without `A'`, some of them suspected, in every place.
pub(super) struct Batch {
    pub(super) shared: Shared,
    pub(super) admitted: Admitted,
    /// `D` of the items by position.
    differences: Vec<EdwardsPoint>,
}

impl Batch {
    pub(super) fn new(path: &'static dyn VectorPath) -> Self {
        let shared = shared(path);
        // Keys 0 to 19 come three times and then have A'; 20 to 119 are new, and too many to get it at once.
        let known = Items::unrelated((0..60).map(|i| i % 20));
        let all = Items::unrelated((0..60).map(|i| i % 20).chain(20..120).chain(60..80));
        let mut admitted = Admitted::default();
        let mut bad = Vec::new();
        admitted.admit(&shared, 0, &known.list(), &mut bad);
        admitted.admit(&shared, 0, &known.list(), &mut bad);
        for index in [0, 1, 70, 71] {
            lock(&shared.suspicion).note_key(all.key(index), 0, 1);
        }
        admitted.admit(&shared, 0, &all.list(), &mut bad);
        assert_eq!((bad.len(), admitted.len()), (0, 180));
        let drawn = admitted.draw(&shared.coefficients, 0);
        drawn.expect("a seed always gives");
        let positions = 0..admitted.len() as u32;
        let differences = positions
            .map(|at| all.difference(admitted.item(at)))
            .collect();
        let batch = Self {
            shared,
            admitted,
            differences,
        };
        let cold = |at: usize| batch.admitted.is_cold(batch.admitted.slot(at as u32));
        // Among calm and suspected keys there are both.
        let calm = batch.admitted.calm();
        assert!(!cold(0) && cold(calm - 1) && !cold(calm) && cold(179));
        batch
    }

    /// The cofactor times `Σ [z]D` over positions, by curve25519-dalek.
    pub(super) fn expected(
        &self,
        positions: &[u32],
        z: impl Fn(u32) -> DalekScalar,
    ) -> EdwardsPoint {
        let terms = positions
            .iter()
            .map(|&at| z(at) * self.differences[at as usize]);
        terms.sum::<EdwardsPoint>().mul_by_cofactor()
    }

    /// The coefficient of the item at a position.
    pub(super) fn coefficient(&self, windows: &Windows, at: u32) -> DalekScalar {
        let mut digits = vec![0; windows.count()];
        windows.split(self.admitted.bits(at as usize), &mut digits);
        let mut sum = DalekScalar::ZERO;
        for (window, digit) in digits.into_iter().enumerate().rev() {
            let size = DalekScalar::from(digit.unsigned_abs());
            sum = sum * DalekScalar::from(1u64 << windows.width(window))
                + if digit < 0 { -size } else { size };
        }
        sum
    }
}

/// The indices that one batch calls bad, with nobody suspected before.
fn found(shared: &Shared, items: &Items, room: &mut Room) -> Vec<usize> {
    *lock(&shared.suspicion) = Suspicion::new();
    let mut bad = Vec::new();
    shared.verify(0, 0, &items.list(), room, &mut bad);
    assert!(
        bad.iter()
            .all(|&(_, error)| error == SignatureError::Equation)
    );
    let mut bad: Vec<usize> = bad.into_iter().map(|(index, _)| index).collect();
    bad.sort_unstable();
    bad
}

#[test]
fn a_bad_item_is_found_at_every_position_of_a_batch_that_is_searched() {
    for (count, keys, step) in [(1_100, 40, 37), (1_100, 1_100, 53), (4_200, 300, 471)] {
        let mut items = Items::good((0..count as u64).map(|i| i * 7 % keys));
        for path in paths() {
            let (shared, mut room) = (shared(path), Room::default());
            for _ in 0..2 {
                assert!(found(&shared, &items, &mut room).is_empty());
            }
            for index in (0..count).step_by(step).chain([count - 1]) {
                items.spoil(index);
                assert_eq!(found(&shared, &items, &mut room), [index]);
                items.mend(index);
            }
        }
    }
}

#[test]
fn clusters_of_bad_items_are_found_and_nothing_else() {
    let count = 2_100;
    let mut items = Items::good((0..count as u64).map(|i| i * 11 % 90));
    let clusters: [Vec<usize>; 7] = [
        vec![0, 1, 2, 3],
        vec![0, count - 1],
        (500..540).collect(),
        // All items of one key.
        (0..count).filter(|i| i * 11 % 90 == 33).collect(),
        (0..count).step_by(100).collect(),
        (0..count).step_by(2).collect(),
        (0..count).collect(),
    ];
    for path in paths() {
        let (shared, mut room) = (shared(path), Room::default());
        for cluster in &clusters {
            cluster.iter().for_each(|&index| items.spoil(index));
            assert_eq!(found(&shared, &items, &mut room), *cluster);
            cluster.iter().for_each(|&index| items.mend(index));
        }
    }
}

#[test]
fn whoever_failed_is_checked_apart_until_enough_good_signatures_came() {
    let mut items = Items::good((0..400).map(|i| i % 4));
    for path in paths() {
        let (shared, mut room) = (shared(path), Room::default());
        items.spoil(1);
        assert_eq!(found(&shared, &items, &mut room), [1]);
        items.mend(1);
        let suspects = |index| lock(&shared.suspicion).suspects(items.key(index));
        assert_eq!([0, 1, 2, 3].map(suspects), [false, true, false, false]);
        for number in 0..21 {
            assert!(suspects(1), "{number}");
            let mut bad = Vec::new();
            shared.verify(number, 0, &items.list(), &mut room, &mut bad);
            assert_eq!(room.admitted.calm(), 300);
            assert!(bad.is_empty());
        }
        assert!(!suspects(1));
    }
}

#[test]
fn bad_items_under_ever_new_keys_are_expected_until_their_share_falls() {
    const COUNT: u64 = 600;
    for path in paths() {
        let (shared, mut room) = (shared(path), Room::default());
        let mut check = |number: u64, is_bad: fn(usize) -> bool| {
            let mut items = Items::good(number * COUNT..(number + 1) * COUNT);
            let bad: Vec<usize> = (0..COUNT as usize).filter(|&i| is_bad(i)).collect();
            bad.iter().for_each(|&index| items.spoil(index));
            let mut found = Vec::new();
            shared.verify(number, 0, &items.list(), &mut room, &mut found);
            assert_eq!(found.len(), bad.len());
            lock(&shared.suspicion).expects_bad(COUNT as usize)
        };
        let expected = [0, 1, 2, 3].map(|number| check(number, |index| index % 12 == 0));
        assert_eq!(expected, [false, true, true, true]);
        let expected: Vec<bool> = (4..50).map(|number| check(number, |_| false)).collect();
        assert!(expected[0] && !expected[45]);
    }
}
