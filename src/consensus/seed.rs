//! An unpredictable turn: a seed to which every proposer adds something that it could not choose, and the draw by it.
//!
//! # Hash onions
//!
//! A member commits to the last layer of a chain of hashes over a secret ([`Onion::commit`]), and reveals one layer in each of its blocks:
//! the one whose hash is the layer revealed before ([`Onion::reveals`]). Each reveal is unique, which an Ed25519 signature is not:
//! a signer can make as many valid signatures as it likes and choose among them. A layer fits one chain and one name only.
//!
//! # Seeds
//!
//! Heights are divided into [epochs](Epochs). The seed of epoch e + 2 is a hash over that of epoch e + 1 and all reveals in the first
//! two thirds of epoch e, in order. What comes in the last third of e counts for nothing, and the seed is known for more than an
//! epoch before it decides anything, so that no fork of a few blocks changes it.
//!
//! # What withholding still biases
//!
//! A member can make no block in its turn, and so keep back its reveal. It can't choose what it would reveal, so each turn gives it one bit:
//! the seed with its layer, or without. k members who act together and have the last k turns before the reveals end can so choose among
//! 2ᵏ seeds; one member that has them all among k + 1, since a layer that it kept back is the next that it has to reveal. Each
//! costs them the block that they didn't make. A share s of the weight has the last k turns with probability sᵏ, so that more than
//! a few bits are rare; who can't accept any takes the weighted turn by [priority](super::priority), which nobody can bias and
//! everybody can foresee.
//!
//! If nobody reveals anything in an epoch, the seed is a hash over the one before: still fair, but known two epochs ahead. That
//! lasts until somebody reveals again.

use sha2::{Digest as _, Sha256};

use crate::format::digest::{ChainId, Digest, sha256};
use crate::format::signature::KeyPair;
use crate::format::spec::total_weight;

const LAYER_TAG: &[u8] = b"hubledger/onion/v1";
const SECRET_TAG: &[u8] = b"hl/onion/1";
const SEED_TAG: &[u8] = b"hubledger/seed/v1";
const DRAW_TAG: &[u8] = b"hubledger/draw/v1";

/// The most layers of one onion: as many blocks as its owner can make before it has to commit again.
pub const ONION_DEPTH_MAX: u32 = 1 << 20;

/// The hash of one member's onions on one chain: no layer of another fits.
#[derive(Debug, Clone)]
pub struct Onion(Sha256);

impl Onion {
    /// That of the member called `name` on `chain`: of the id under which it committed, which stays the same where the chain goes on
    /// under another specification.
    #[must_use]
    pub fn new(chain: &ChainId, name: &str) -> Self {
        let mut begun = Sha256::new();
        begun.update(LAYER_TAG);
        begun.update(chain.0);
        // The name's own hash: of a fixed length, so that no name can be continued by a layer.
        begun.update(sha256(&[name.as_bytes()]));
        Self(begun)
    }

    /// The layer around `inner`: one SHA-256.
    #[must_use]
    pub fn around(&self, inner: &Digest) -> Digest {
        let mut layer = self.0.clone();
        layer.update(inner.0);
        Digest(layer.finalize().into())
    }

    /// A secret that the holder of `key` has without keeping it: a hash over its signature (RFC 8032, which is always the same) on a message of
    /// this chain and name that is signed for nothing else. `number` tells one onion from the next. As secret as the key.
    #[must_use]
    pub fn secret(&self, key: &KeyPair, number: u64) -> Digest {
        let mut counted = [0; 32];
        counted[..8].copy_from_slice(&number.to_le_bytes());
        let message = [SECRET_TAG, &self.around(&Digest(counted)).0].concat();
        Digest(sha256(&[key.sign(&message).as_bytes()]))
    }

    /// The layer `depth` hashes around the secret, which is layer 0. To commit to an onion of `depth` reveals is to publish this one; the
    /// reveals are then those of `depth - 1` down to 0. O(depth), which is at most [`ONION_DEPTH_MAX`]; `None` above it.
    #[must_use]
    pub fn commit(&self, secret: &Digest, depth: u32) -> Option<Digest> {
        (depth <= ONION_DEPTH_MAX).then(|| (0..depth).fold(*secret, |layer, _| self.around(&layer)))
    }

    /// The layer below `around` in an onion of `depth` layers around `secret`: the one to reveal after it. `None` if `around` is none of these
    /// layers, or is the secret itself. O(depth).
    #[must_use]
    pub fn below(&self, secret: &Digest, depth: u32, around: &Digest) -> Option<Digest> {
        let mut inner = *secret;
        for _ in 0..depth.min(ONION_DEPTH_MAX) {
            let outer = self.around(&inner);
            if outer == *around {
                return Some(inner);
            }
            inner = outer;
        }
        None
    }

    /// Whether `inner` is the layer below `commitment`. One SHA-256.
    #[must_use]
    pub fn reveals(&self, commitment: &Digest, inner: &Digest) -> bool {
        self.around(inner) == *commitment
    }
}

/// The division of heights into epochs of one length. Epoch 0 begins at height 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epochs {
    blocks: u32,
}

impl Epochs {
    /// Epochs of that many blocks; `None` below 3, of which two thirds would be none.
    #[must_use]
    pub fn new(blocks: u32) -> Option<Self> {
        (blocks >= 3).then_some(Self { blocks })
    }

    /// The epoch of a height. Genesis counts as the first of epoch 0.
    #[must_use]
    pub fn of(self, height: u64) -> u64 {
        height.saturating_sub(1) / u64::from(self.blocks)
    }

    /// Whether a reveal at that height counts: it is in the first two thirds of its epoch, rounded down.
    #[must_use]
    pub fn counts(self, height: u64) -> bool {
        let blocks = u64::from(self.blocks);
        height > 0 && (height - 1) % blocks < blocks * 2 / 3
    }

    /// Whether that height is the last of its epoch.
    #[must_use]
    pub fn ends_at(self, height: u64) -> bool {
        height > 0 && height.is_multiple_of(self.blocks.into())
    }
}

/// The first seed, of the epochs 0 and 1, to which nobody has added anything: everybody can foresee these turns.
#[must_use]
pub fn first(chain: &ChainId) -> Digest {
    Digest(sha256(&[SEED_TAG, &chain.0]))
}

/// Adds a reveal to what an epoch has collected so far, which begins as the seed of the next epoch. What there is at its end is the
/// seed of the epoch after that, once [`finish`]ed.
#[must_use]
pub fn add(collected: &Digest, reveal: &Digest) -> Digest {
    Digest(sha256(&[SEED_TAG, &collected.0, &reveal.0]))
}

/// The seed of epoch `epoch` from what was collected for it, two epochs before. Without it, epochs without any reveal would all have
/// the same turns.
#[must_use]
pub fn finish(collected: &Digest, epoch: u64) -> Digest {
    Digest(sha256(&[SEED_TAG, &collected.0, &epoch.to_le_bytes()]))
}

/// The place of the proposer of a round of a height: drawn by the members' weights. `None` if nobody has any weight, or all together
/// 2⁶⁴ or more. O(members), whatever the round.
///
/// A number below 2¹²⁸ is scaled to one below the whole weight: each unit of weight has a chance that differs from an equal one by less
/// than 2⁻¹²⁸. (The remainder of a 64-bit number could make some twice as likely as others.)
#[must_use]
pub fn proposer(seed: &Digest, height: u64, round: u32, weights: &[u64]) -> Option<usize> {
    let total = total_weight(weights)?;
    let drawn = sha256(&[
        DRAW_TAG,
        &seed.0,
        &height.to_le_bytes(),
        &round.to_le_bytes(),
    ]);
    let mut at = scale(*drawn.first_chunk()?, total);
    weights
        .iter()
        .position(|&weight| match at.checked_sub(weight) {
            Some(left) => {
                at = left;
                false
            }
            None => true,
        })
}

/// `number × total / 2¹²⁸`, rounded down; `number` is little-endian.
fn scale(number: [u8; 16], total: u64) -> u64 {
    let number = u128::from_le_bytes(number);
    let (high, low) = (number >> 64, number & u128::from(u64::MAX));
    // (2⁶⁴ − 1)² and one below 2⁶⁴: that fits.
    let product = high * u128::from(total) + ((low * u128::from(total)) >> 64);
    (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const CHAIN: ChainId = ChainId([1; 32]);

    fn onion(name: &str) -> Onion {
        Onion::new(&CHAIN, name)
    }

    fn digest(number: u8) -> Digest {
        Digest([number; 32])
    }

    /// The seed of epoch 2 after these reveals in epoch 0.
    fn seed_after(reveals: &[Digest]) -> Digest {
        finish(
            &reveals
                .iter()
                .fold(first(&CHAIN), |sum, reveal| add(&sum, reveal)),
            2,
        )
    }

    #[test]
    fn each_layer_reveals_the_one_around_it_and_no_other() {
        let onion = onion("hub-0");
        let layers: Vec<Digest> = (0..5)
            .map(|depth| onion.commit(&digest(7), depth).unwrap())
            .collect();
        for (outer, commitment) in layers.iter().enumerate() {
            for (inner, layer) in layers.iter().enumerate() {
                assert_eq!(onion.reveals(commitment, layer), outer == inner + 1);
            }
        }
        for depth in 0..4 {
            let inner = onion.below(&digest(7), 4, &layers[depth + 1]);
            assert_eq!(inner, Some(layers[depth]));
        }
        assert_eq!(onion.below(&digest(7), 3, &layers[4]), None);
        assert_eq!(onion.below(&digest(7), 4, &layers[0]), None);
        assert_eq!(layers[0], digest(7));
        assert_eq!(onion.commit(&digest(7), ONION_DEPTH_MAX + 1), None);
    }

    #[test]
    fn a_secret_is_of_one_key_chain_name_and_number() {
        let keys = [[1; 32], [2; 32]].map(|seed| KeyPair::from_seed(&seed));
        let foreign = Onion::new(&ChainId([2; 32]), "hub-0");
        let secrets = [
            onion("hub-0").secret(&keys[0], 0),
            onion("hub-0").secret(&keys[0], 1),
            onion("hub-0").secret(&keys[1], 0),
            onion("hub-1").secret(&keys[0], 0),
            foreign.secret(&keys[0], 0),
        ];
        assert_eq!(BTreeSet::from(secrets).len(), secrets.len());
        assert_eq!(secrets[0], onion("hub-0").secret(&keys[0], 0));
    }

    #[test]
    fn a_layer_fits_one_chain_and_one_name_only() {
        let commitment = onion("hub-0").commit(&digest(7), 1).unwrap();
        assert!(onion("hub-0").reveals(&commitment, &digest(7)));
        assert!(!onion("hub-1").reveals(&commitment, &digest(7)));
        assert!(!onion("").reveals(&commitment, &digest(7)));
        assert!(!Onion::new(&ChainId([2; 32]), "hub-0").reveals(&commitment, &digest(7)));
    }

    #[test]
    fn reveals_count_in_the_first_two_thirds_of_an_epoch() {
        let epochs = Epochs::new(10).unwrap();
        let counting: Vec<u64> = (0..=20).filter(|&height| epochs.counts(height)).collect();
        assert_eq!(counting, [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]);
        assert_eq!(
            [0, 1, 10, 11, 20, 21].map(|height| epochs.of(height)),
            [0, 0, 0, 1, 1, 2]
        );
        assert!((0..40).all(|height| epochs.ends_at(height) == (epochs.of(height) < epochs.of(height + 1))));
        assert!(epochs.of(u64::MAX) > 0);
        assert_eq!(Epochs::new(2), None);
        let shortest = Epochs::new(3).unwrap();
        assert_eq!(
            [1, 2, 3, 4].map(|height| shortest.counts(height)),
            [true, true, false, true]
        );
    }

    #[test]
    fn a_seed_depends_on_every_reveal_and_their_order() {
        let seeds = [
            seed_after(&[]),
            seed_after(&[digest(1)]),
            seed_after(&[digest(1), digest(2)]),
            seed_after(&[digest(2), digest(1)]),
            seed_after(&[digest(1), digest(2), digest(2)]),
            finish(&first(&CHAIN), 3),
            first(&CHAIN),
            first(&ChainId([2; 32])),
        ];
        assert_eq!(BTreeSet::from(seeds).len(), seeds.len());
    }

    /// Who has the last turn chooses between two seeds, the one with its layer and the one without: no other value passes.
    #[test]
    fn withholding_leaves_two_outcomes_and_never_a_choice_among_many() {
        let onion = onion("last");
        let commitment = onion.commit(&digest(9), 2).unwrap();
        let layer = onion.commit(&digest(9), 1).unwrap();
        let before = [digest(1), digest(2)];
        let tries = (0..=255u8).map(digest).chain([layer]);
        let outcomes: BTreeSet<Digest> = tries
            .filter(|reveal| onion.reveals(&commitment, reveal))
            .map(|reveal| seed_after(&[before[0], before[1], reveal]))
            .chain([seed_after(&before)])
            .collect();
        assert_eq!(outcomes.len(), 2);
    }

    #[test]
    fn three_members_with_the_last_turns_have_one_bit_each() {
        let layers = ["x", "y", "z"].map(|name| onion(name).commit(&digest(9), 1).unwrap());
        let outcomes: BTreeSet<Digest> = (0..8)
            .map(|withheld| {
                let turns = (0..3).filter(|turn| withheld >> turn & 1 == 0);
                seed_after(&turns.map(|turn| layers[turn]).collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(outcomes.len(), 8);
    }

    /// What it keeps back it has to reveal next: only how often it reveals is up to it.
    #[test]
    fn one_member_with_the_last_three_turns_has_four_outcomes() {
        let onion = onion("last");
        let outcomes: BTreeSet<Digest> = (0..8)
            .map(|withheld| {
                let mut commitment = onion.commit(&digest(9), 3).unwrap();
                let mut revealed = Vec::new();
                for _ in (0..3).filter(|turn| withheld >> turn & 1 == 0) {
                    let next = (0..3).map(|depth| onion.commit(&digest(9), depth).unwrap());
                    let fitting: Vec<Digest> =
                        next.filter(|one| onion.reveals(&commitment, one)).collect();
                    assert_eq!(fitting.len(), 1);
                    commitment = fitting[0];
                    revealed.push(commitment);
                }
                seed_after(&revealed)
            })
            .collect();
        assert_eq!(outcomes.len(), 4);
    }

    #[test]
    fn numbers_are_scaled_without_a_remainder() {
        assert_eq!(scale([0; 16], u64::MAX), 0);
        assert_eq!(scale([0xff; 16], u64::MAX), u64::MAX - 1);
        assert_eq!(scale([0xff; 16], 1), 0);
        assert_eq!(scale((1u128 << 127).to_le_bytes(), 10), 5);
        assert_eq!(scale(((1u128 << 127) - 1).to_le_bytes(), 10), 4);
    }

    #[test]
    fn members_are_drawn_by_their_weights() {
        let weights = [0, 1000, 0, 300, 330, 0];
        let mut counts = [0u32; 6];
        for height in 0..16_300 {
            counts[proposer(&digest(3), height, 0, &weights).unwrap()] += 1;
        }
        for (count, weight) in counts.into_iter().zip(weights) {
            // Five standard deviations are below 325.
            let expected = weight as u32 * 10;
            assert!(count.abs_diff(expected) < 325, "{counts:?}");
            assert_eq!(count == 0, weight == 0);
        }
    }

    #[test]
    fn nobody_is_drawn_where_nobody_has_any_weight() {
        assert_eq!(proposer(&digest(3), 1, 0, &[]), None);
        assert_eq!(proposer(&digest(3), 1, 0, &[0, 0]), None);
        assert_eq!(proposer(&digest(3), 1, 0, &[u64::MAX, 1]), None);
        assert_eq!(proposer(&digest(3), 1, u32::MAX, &[0, 1]), Some(1));
    }

    proptest! {
        #[test]
        fn scaling_is_multiplication_by_halves(number: u128, total: u64) {
            // Schoolbook, with 32-bit digits.
            let digits = |mut number: u128, count: usize| -> Vec<u128> {
                (0..count).map(|_| { let digit = number & 0xffff_ffff; number >>= 32; digit }).collect()
            };
            let (left, right) = (digits(number, 4), digits(total.into(), 2));
            let mut product = [0u128; 7];
            for (i, one) in left.iter().enumerate() {
                for (j, other) in right.iter().enumerate() {
                    product[i + j] += (one * other) & 0xffff_ffff;
                    product[i + j + 1] += (one * other) >> 32;
                }
            }
            for at in 0..6 {
                product[at + 1] += product[at] >> 32;
                product[at] &= 0xffff_ffff;
            }
            let expected = product[4] | product[5] << 32;
            prop_assert_eq!(u128::from(scale(number.to_le_bytes(), total)), expected);
        }

        #[test]
        fn draws_of_other_heights_rounds_and_seeds_differ(height: u64, round: u32, seed: [u8; 32]) {
            let weights = [1u64 << 54; 1_000];
            let draws = [
                proposer(&Digest(seed), height, round, &weights),
                proposer(&Digest(seed), height ^ 1, round, &weights),
                proposer(&Digest(seed), height, round ^ 1, &weights),
                proposer(&first(&CHAIN), height, round, &weights),
            ];
            // All the same is a matter of one in a thousand million.
            prop_assert!(draws.iter().any(|draw| *draw != draws[0]));
        }
    }
}
