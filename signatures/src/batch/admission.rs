//! Into a batch: the rule up to its last step, keys looked up, items put in the order of their keys.

use std::collections::HashMap;
use std::ops::Range;

use super::{BATCH_MAX, Shared, VectorKey, lock};
use crate::coefficients::Coefficients;
use crate::item::Item;
use crate::rule::{self, SignatureError};
use crate::scalar::Scalar;
use crate::sha512::Preimage;
use crate::vector::Niels;

/// If a new key has so many items on average, new keys are made ready for coming again at once.
const ITEMS_OF_RETURNING: usize = 4;
/// Items that are hashed in one call.
const HASHED_TOGETHER: usize = 1024;

/// A key's place among those of the batch: calm before suspected, and among either, those with `A'` before the others.
type Class = u8;
const COLD: Class = 1;
const SUSPECTED: Class = 2;

/// The items of a batch that have points, and their keys.
///
/// A *position* counts the items in the order of their keys, a *slot* the keys. Keys of a class, and items of a key,
/// are next to each other, so a range of positions has a range of slots.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    // By position.
    items: Vec<u32>,
    slots: Vec<u32>,
    s: Vec<Scalar>,
    pub(super) r: Vec<Niels>,
    digests: Vec<[u64; 8]>,
    bits: Vec<u128>,
    // By slot.
    keys: Vec<[u8; 32]>,
    starts: Vec<u32>,
    pub(super) low: Vec<Niels>,
    pub(super) high: Vec<Niels>,
    /// Slots before which there are only keys of a lower class, for the classes 1 to 3, and all of them.
    class_ends: [usize; 4],
    room: AdmissionRoom,
}

#[derive(Debug, Default)]
struct AdmissionRoom {
    /// Index, key in order of appearance, and scalar of the items that pass the byte checks.
    passed: Vec<(u32, u32, Scalar)>,
    known: HashMap<[u8; 32], u32>,
    found: Vec<Found>,
    encodings: Vec<[u8; 32]>,
    points: Vec<Niels>,
    multiples: Vec<Niels>,
    valid: Vec<bool>,
    hash_order: Vec<u32>,
}

// Vectors of which every element is rewritten are resized without being cleared, which would fill them first.

/// A key in order of appearance.
#[derive(Debug, Clone, Copy)]
struct Found {
    key: [u8; 32],
    point: Option<VectorKey>,
    items: u32,
    class: Class,
    slot: u32,
}

impl Admitted {
    /// Items admitted.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Positions before those of suspected keys.
    pub(super) fn calm(&self) -> usize {
        self.starts[self.class_ends[usize::from(COLD)]] as usize
    }

    /// The encodings of the keys.
    pub(super) fn keys(&self) -> &[[u8; 32]] {
        &self.keys
    }

    /// The index of the item at a position.
    pub(super) fn item(&self, position: u32) -> usize {
        self.items[position as usize] as usize
    }

    /// The slot of the key of the item at a position.
    pub(super) fn slot(&self, position: u32) -> usize {
        self.slots[position as usize] as usize
    }

    /// The positions of a key's items.
    pub(super) fn run(&self, slot: usize) -> Range<usize> {
        self.starts[slot] as usize..self.starts[slot + 1] as usize
    }

    /// The slots of the keys of a range of positions.
    pub(super) fn slots(&self, range: &Range<usize>) -> Range<usize> {
        if range.is_empty() {
            return 0..0;
        }
        self.slots[range.start] as usize..self.slots[range.end - 1] as usize + 1
    }

    /// Whether `A'` of a key is not known.
    pub(super) fn is_cold(&self, slot: usize) -> bool {
        let [warm, cold, suspected_warm, _] = self.class_ends;
        (warm..cold).contains(&slot) || slot >= suspected_warm
    }

    /// The first of the slots whose key is cold, if all belong to keys that aren't suspected.
    pub(super) fn first_cold(&self, slots: &Range<usize>) -> usize {
        self.class_ends[0].clamp(slots.start, slots.end)
    }

    /// Terms of the sum over a range: those in the low windows, and those in the high.
    pub(super) fn terms(&self, range: Range<usize>) -> (usize, usize) {
        let slots = self.slots(&range);
        let warm = self.first_cold(&slots) - slots.start;
        (range.len() + slots.len() + warm + 2, slots.len() - warm)
    }

    pub(super) fn s(&self, position: usize) -> &Scalar {
        &self.s[position]
    }

    pub(super) fn digest(&self, position: usize) -> &[u64; 8] {
        &self.digests[position]
    }

    /// The random bits of an item's coefficient.
    pub(super) fn bits(&self, position: usize) -> u128 {
        self.bits[position]
    }

    /// Draws the coefficients.
    pub(super) fn draw(
        &mut self,
        coefficients: &Coefficients,
        batch: u64,
    ) -> Result<(), getrandom::Error> {
        self.bits.resize(self.items.len(), 0);
        coefficients.draw(batch, &mut self.bits)
    }

    /// Applies the rule up to its last step. Items that fail go to `bad`, the others are held, with the points and
    /// the digest that the last step needs.
    pub(super) fn admit(
        &mut self,
        shared: &Shared,
        first: usize,
        items: &[Item<'_>],
        bad: &mut Vec<(usize, SignatureError)>,
    ) {
        assert!(items.len() <= BATCH_MAX);
        self.check_bytes(first, items, bad);
        self.find_keys(shared);
        self.sort();
        self.order(first, bad);
        self.decompress_r(shared, first, items, bad);
        self.hash(shared, items);
    }

    fn check_bytes(
        &mut self,
        first: usize,
        items: &[Item<'_>],
        bad: &mut Vec<(usize, SignatureError)>,
    ) {
        let room = &mut self.room;
        room.passed.clear();
        room.known.clear();
        room.found.clear();
        // Items of one key often come one after the other.
        let mut last: Option<([u8; 32], u32)> = None;
        for (index, item) in items.iter().enumerate() {
            let s = match rule::check_bytes(item.key, item.signature) {
                Ok(s) => s,
                Err(error) => {
                    bad.push((first + index, error));
                    continue;
                }
            };
            let key = *item.key.as_bytes();
            let found = match last {
                Some((same, found)) if same == key => found,
                _ => *room.known.entry(key).or_insert_with(|| {
                    room.found.push(Found::new(key));
                    room.found.len() as u32 - 1
                }),
            };
            last = Some((key, found));
            room.found[found as usize].items += 1;
            room.passed.push((index as u32, found, s));
        }
    }

    /// Finds the keys' points in the cache, or computes them.
    fn find_keys(&mut self, shared: &Shared) {
        let room = &mut self.room;
        {
            // For the look-up alone: computing missing points takes far longer, and other batches look keys up meanwhile.
            let mut keys = lock(&shared.keys);
            for found in &mut room.found {
                found.point = keys.get(&found.key).copied();
            }
        }
        {
            let mut suspicion = lock(&shared.suspicion);
            if !suspicion.is_empty() {
                for found in &mut room.found {
                    if suspicion.suspects(&found.key) {
                        found.class |= SUSPECTED;
                    }
                }
            }
        }
        // A key that is in the cache, but without A', has come again.
        let again = |found: &Found| found.point.is_some_and(|point| point.high.is_none());
        let mut changed: Vec<u32> = indices(&room.found, again);
        let new = indices(&room.found, |found| found.point.is_none());
        room.decompress_keys(shared, &new);
        let promoted = if new.len() * ITEMS_OF_RETURNING <= room.passed.len() {
            changed.extend_from_slice(&new);
            changed.retain(|&found| room.found[found as usize].point.is_some());
            changed.len()
        } else {
            let promoted = changed.len();
            changed.extend_from_slice(&new);
            promoted
        };
        room.promote(shared, &changed[..promoted]);
        if !changed.is_empty() {
            let mut keys = lock(&shared.keys);
            for &found in &changed {
                let found = &room.found[found as usize];
                if let Some(point) = found.point {
                    keys.insert(found.key, point);
                }
            }
        }
        for found in &mut room.found {
            if found.point.is_some_and(|point| point.high.is_none()) {
                found.class |= COLD;
            }
        }
    }

    /// Gives the keys their slots, and lays out what is kept by slot.
    fn sort(&mut self) {
        let room = &mut self.room;
        let mut counts = [0usize; 4];
        for found in room.found.iter().filter(|found| found.point.is_some()) {
            counts[usize::from(found.class)] += 1;
        }
        let mut next = [0; 4];
        let mut end = 0;
        for (class, count) in counts.into_iter().enumerate() {
            next[class] = end;
            end += count;
            self.class_ends[class] = end;
        }
        self.keys.clear();
        self.keys.resize(end, [0; 32]);
        self.low.resize(end, Niels::UNSET);
        self.high.resize(end, Niels::UNSET);
        self.starts.clear();
        self.starts.resize(end + 1, 0);
        for found in &mut room.found {
            let Some(point) = found.point else { continue };
            let slot = &mut next[usize::from(found.class)];
            self.keys[*slot] = found.key;
            self.low[*slot] = point.low;
            if let Some(high) = point.high {
                self.high[*slot] = high;
            }
            self.starts[*slot + 1] = found.items;
            found.slot = *slot as u32;
            *slot += 1;
        }
        let mut sum = 0;
        for start in &mut self.starts {
            sum += *start;
            *start = sum;
        }
    }

    /// Puts the items in the order of their keys.
    fn order(&mut self, first: usize, bad: &mut Vec<(usize, SignatureError)>) {
        let room = &self.room;
        let count = self.starts.last().map_or(0, |&end| end as usize);
        self.items.resize(count, 0);
        self.slots.resize(count, 0);
        self.s.resize(count, Scalar::default());
        let mut next = self.starts.clone();
        for &(index, found, s) in &room.passed {
            let found = &room.found[found as usize];
            if found.point.is_none() {
                bad.push((first + index as usize, SignatureError::KeyNotOnCurve));
                continue;
            }
            let position = &mut next[found.slot as usize];
            let at = *position as usize;
            *position += 1;
            self.items[at] = index;
            self.slots[at] = found.slot;
            self.s[at] = s;
        }
    }

    fn decompress_r(
        &mut self,
        shared: &Shared,
        first: usize,
        items: &[Item<'_>],
        bad: &mut Vec<(usize, SignatureError)>,
    ) {
        let room = &mut self.room;
        let r = |&index: &u32| *items[index as usize].signature.r();
        room.encodings.clear();
        room.encodings.extend(self.items.iter().map(r));
        self.r.resize(self.items.len(), Niels::UNSET);
        room.valid.resize(self.items.len(), false);
        shared
            .path
            .decompress(&room.encodings, &mut self.r, &mut room.valid);
        if room.valid.iter().all(|&valid| valid) {
            return;
        }
        // Close the gaps.
        let mut kept = 0;
        for at in 0..self.items.len() {
            if !room.valid[at] {
                bad.push((first + self.items[at] as usize, SignatureError::RNotOnCurve));
                continue;
            }
            self.items[kept] = self.items[at];
            self.slots[kept] = self.slots[at];
            self.s[kept] = self.s[at];
            self.r[kept] = self.r[at];
            kept += 1;
        }
        self.items.truncate(kept);
        self.slots.truncate(kept);
        self.s.truncate(kept);
        self.r.truncate(kept);
        self.starts.fill(0);
        for &slot in &self.slots {
            self.starts[slot as usize + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut self.starts {
            sum += *start;
            *start = sum;
        }
    }

    fn hash(&mut self, shared: &Shared, items: &[Item<'_>]) {
        self.digests.resize(self.items.len(), [0; 8]);
        let mut preimages = Vec::with_capacity(HASHED_TOGETHER.min(self.items.len()));
        let chunks = self.items.chunks(HASHED_TOGETHER);
        for (indices, digests) in chunks.zip(self.digests.chunks_mut(HASHED_TOGETHER)) {
            preimages.clear();
            preimages.extend(indices.iter().map(|&index| {
                let item = &items[index as usize];
                Preimage {
                    r: item.signature.r(),
                    key: item.key.as_bytes(),
                    message: item.message,
                }
            }));
            shared
                .path
                .challenges(&preimages, digests, &mut self.room.hash_order);
        }
    }
}

impl AdmissionRoom {
    fn decompress_keys(&mut self, shared: &Shared, new: &[u32]) {
        self.encodings.clear();
        self.encodings
            .extend(new.iter().map(|&found| self.found[found as usize].key));
        self.points.resize(new.len(), Niels::UNSET);
        self.valid.resize(new.len(), false);
        shared
            .path
            .decompress(&self.encodings, &mut self.points, &mut self.valid);
        for ((&found, &low), &valid) in new.iter().zip(&self.points).zip(&self.valid) {
            if valid {
                self.found[found as usize].point = Some(VectorKey { low, high: None });
            }
        }
    }

    /// Computes `A'` of keys that have a point.
    fn promote(&mut self, shared: &Shared, promoted: &[u32]) {
        self.points.clear();
        let points = promoted
            .iter()
            .filter_map(|&found| self.found[found as usize].point);
        self.points.extend(points.map(|point| point.low));
        self.multiples.resize(self.points.len(), Niels::UNSET);
        shared.path.multiples(&self.points, &mut self.multiples);
        for (&found, &high) in promoted.iter().zip(&self.multiples) {
            if let Some(point) = &mut self.found[found as usize].point {
                point.high = Some(high);
            }
        }
    }
}

impl Found {
    fn new(key: [u8; 32]) -> Self {
        Self {
            key,
            point: None,
            items: 0,
            class: 0,
            slot: 0,
        }
    }
}

fn indices(found: &[Found], wanted: impl Fn(&Found) -> bool) -> Vec<u32> {
    let indices = (0u32..).zip(found);
    indices
        .filter(|(_, found)| wanted(found))
        .map(|(index, _)| index)
        .collect()
}
