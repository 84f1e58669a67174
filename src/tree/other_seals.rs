//! Further seals under which blocks came that wait, where only the state tells which one is right: no hash covers a seal, and whoever was first
//! with a wrong one must not have a good block hidden behind it. Bounded by number, with one of a block for each source.

use std::collections::HashMap;

use super::Source;
use crate::format::digest::BlockHash;
use crate::format::model::Seal;

/// Seals of one block.
const OF_BLOCK_MAX: usize = 8;
/// Seals of all blocks, each at most 64 KiB.
const ALL_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct OtherSeals {
    /// In the order in which they came.
    by_hash: HashMap<BlockHash, Vec<(Source, Seal)>>,
}

impl OtherSeals {
    /// Notes one from a source, in place of what it brought before. What there is no room for is passed over, and may come again.
    pub(super) fn note(&mut self, hash: BlockHash, source: Source, seal: &Seal) {
        let count: usize = self.by_hash.values().map(Vec::len).sum();
        let seals = self.by_hash.entry(hash).or_default();
        if seals.iter().any(|(_, held)| held == seal) {
            return;
        }
        match seals.iter().position(|(of, _)| *of == source) {
            Some(at) => seals[at].1 = seal.clone(),
            None if seals.len() < OF_BLOCK_MAX && count < ALL_MAX => {
                seals.push((source, seal.clone()));
            }
            None => {}
        }
    }

    /// Takes the first of a block.
    pub(super) fn next(&mut self, hash: &BlockHash) -> Option<Seal> {
        let seals = self.by_hash.get_mut(hash)?;
        match seals.is_empty() {
            true => None,
            false => Some(seals.remove(0).1),
        }
    }

    /// Forgets those of other blocks.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&BlockHash) -> bool) {
        self.by_hash
            .retain(|hash, seals| !seals.is_empty() && is_kept(hash));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::signature::KeyPair;

    fn seal(seed: u8) -> Seal {
        Seal::by_authority(&KeyPair::from_seed(&[seed; 32]), &BlockHash([1; 32]))
    }

    #[test]
    fn each_source_has_one_seal_of_a_block_and_a_block_a_few() {
        let (mut seals, hash) = (OtherSeals::default(), BlockHash([1; 32]));
        for number in 0..20 {
            seals.note(hash, Source(number % 10), &seal(number as u8));
        }
        // Eight sources, with what each brought last.
        let taken: Vec<Seal> = std::iter::from_fn(|| seals.next(&hash)).collect();
        assert_eq!(taken, (10..18).map(seal).collect::<Vec<_>>());
        seals.keep(|_| true);
        assert!(seals.by_hash.is_empty());
    }

    #[test]
    fn all_together_are_bounded() {
        let mut seals = OtherSeals::default();
        let one = seal(1);
        for block in 0..=255 {
            for source in 0..3 {
                seals.note(BlockHash([block; 32]), Source(source), &one);
            }
            seals.note(BlockHash([block; 32]), Source(9), &seal(2));
        }
        let count: usize = seals.by_hash.values().map(Vec::len).sum();
        assert_eq!(count, ALL_MAX);
    }
}
