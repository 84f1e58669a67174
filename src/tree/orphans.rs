//! Blocks whose parent isn't known: kept for a while, since a block often comes before the one that it follows. Bounded by number, bytes and
//! age, and each source has a share only, so that nobody drives out what others brought.

use std::collections::HashMap;

use super::{ForkBounds, Source};
use crate::format::digest::BlockHash;
use crate::format::model::Block;

#[derive(Debug)]
struct Orphan {
    block: Block,
    source: Source,
    /// The how manieth orphan it is: the oldest of several has the lowest.
    number: u64,
    /// The height of the best chain when it came.
    tip: u64,
}

impl Orphan {
    fn bytes(&self) -> u64 {
        bytes_of(&self.block)
    }
}

/// What a block takes up, roughly.
pub(super) fn bytes_of(block: &Block) -> u64 {
    const OVERHEAD: u64 = 4096;
    OVERHEAD + (block.header().bytes().len() + block.body().len()) as u64
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Orphans {
    by_hash: HashMap<BlockHash, Orphan>,
    bytes: u64,
    came: u64,
}

impl Orphans {
    pub(super) fn len(&self) -> usize {
        self.by_hash.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn get(&self, hash: &BlockHash) -> Option<&Block> {
        Some(&self.by_hash.get(hash)?.block)
    }

    pub(super) fn contains(&self, hash: &BlockHash) -> bool {
        self.by_hash.contains_key(hash)
    }

    /// How many of a source are kept.
    pub(super) fn count_of(&self, source: Source) -> usize {
        let orphans = self.by_hash.values();
        orphans.filter(|orphan| orphan.source == source).count()
    }

    /// Keeps a block that came when the best chain ended at `tip`. For it go the oldest of its source, as long as that has more than its share,
    /// and the oldest of whoever has most. Returns false if there is no room for it at all.
    pub(super) fn insert(
        &mut self,
        bounds: &ForkBounds,
        block: Block,
        source: Source,
        tip: u64,
    ) -> bool {
        let bytes = bytes_of(&block);
        let (count_share, bytes_share) = (bounds.source_orphans(), bounds.source_orphan_bytes());
        if bytes > bytes_share || block.height() > tip.saturating_add(bounds.orphan_heights) {
            return false;
        }
        while self.count_of(source) >= count_share
            || self.bytes_of_source(source) + bytes > bytes_share
        {
            self.remove_oldest_of(source);
        }
        while self.by_hash.len() >= bounds.orphans || self.bytes + bytes > bounds.orphan_bytes {
            let Some(most) = self.greediest() else { break };
            self.remove_oldest_of(most);
        }
        self.came += 1;
        self.bytes += bytes;
        let orphan = Orphan {
            source,
            number: self.came,
            tip,
            block,
        };
        self.by_hash.insert(orphan.block.hash(), orphan);
        true
    }

    /// Whether any follows a block.
    pub(super) fn has_children(&self, parent: &BlockHash) -> bool {
        let mut orphans = self.by_hash.values();
        orphans.any(|orphan| orphan.block.header().previous_hash == *parent)
    }

    /// Takes those that follow a block, in the order in which they came.
    pub(super) fn take_children(&mut self, parent: &BlockHash) -> Vec<(Block, Source)> {
        let is_child = |orphan: &Orphan| orphan.block.header().previous_hash == *parent;
        let mut taken = self.take_where(is_child);
        taken.sort_unstable_by_key(|orphan| orphan.number);
        let taken = taken.into_iter();
        taken.map(|orphan| (orphan.block, orphan.source)).collect()
    }

    /// Forgets those that came when the best chain was shorter by more than they may wait for, or that can't be followed any more.
    pub(super) fn forget_old(&mut self, bounds: &ForkBounds, tip: u64, final_height: u64) {
        let waited = |orphan: &Orphan| tip.saturating_sub(orphan.tip);
        let is_old = |orphan: &Orphan| {
            waited(orphan) > bounds.orphan_heights || orphan.block.height() <= final_height
        };
        self.take_where(is_old);
    }

    fn take_where(&mut self, is_taken: impl Fn(&Orphan) -> bool) -> Vec<Orphan> {
        let taken = self.by_hash.extract_if(|_, orphan| is_taken(orphan));
        let taken: Vec<Orphan> = taken.map(|(_, orphan)| orphan).collect();
        self.bytes -= taken.iter().map(Orphan::bytes).sum::<u64>();
        taken
    }

    fn bytes_of_source(&self, source: Source) -> u64 {
        let orphans = self.by_hash.values();
        let of_source = orphans.filter(|orphan| orphan.source == source);
        of_source.map(Orphan::bytes).sum()
    }

    fn remove_oldest_of(&mut self, source: Source) {
        let orphans = self.by_hash.values();
        let of_source = orphans.filter(|orphan| orphan.source == source);
        if let Some(number) = of_source.map(|orphan| orphan.number).min() {
            self.take_where(|orphan| orphan.number == number);
        }
    }

    /// The source of most of them; of several the one with the lowest number.
    fn greediest(&self) -> Option<Source> {
        let mut counts: HashMap<Source, usize> = HashMap::new();
        for orphan in self.by_hash.values() {
            *counts.entry(orphan.source).or_default() += 1;
        }
        let most = counts
            .into_iter()
            .max_by(|(a, of_a), (b, of_b)| of_a.cmp(of_b).then_with(|| b.cmp(a)));
        most.map(|(source, _)| source)
    }
}
