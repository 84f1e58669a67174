//! The last blocks that were committed, as they came out of the pipeline, while anybody follows: so that whoever keeps up neither reads nor decodes them
//! again. A few, once for all followers; whoever is further behind reads the store.

use std::collections::VecDeque;

use super::sync::{Mutex, lock};
use crate::format::model::Block;

/// So many blocks are kept at most …
const BLOCKS_MAX: usize = 256;
/// … and so many bytes of bodies, or the last block.
const BYTES_MAX: usize = 32 << 20;

#[derive(Debug, Default)]
pub(super) struct RecentBlocks(Mutex<Kept>);

/// One run of blocks, each of which follows the one before, and for how many. Under one lock: were blocks not taken in because nobody
/// follows, while others are still there, the next one to follow might be given some of a branch that has gone since.
#[derive(Debug, Default)]
struct Kept {
    followers: usize,
    blocks: VecDeque<Block>,
    bytes: usize,
}

impl RecentBlocks {
    /// There is one more who follows.
    pub(super) fn join(&self) {
        lock(&self.0).followers += 1;
    }

    /// One of those is gone; with the last one, so are the blocks.
    pub(super) fn leave(&self) {
        let mut kept = lock(&self.0);
        kept.followers -= 1;
        if kept.followers == 0 {
            *kept = Kept::default();
        }
    }

    /// Takes blocks that were committed one after the other, before anybody is told of them. What they take the place of goes. Without followers O(1).
    pub(super) fn push<'a>(&self, blocks: impl IntoIterator<Item = &'a Block>) {
        let mut kept = lock(&self.0);
        if kept.followers == 0 {
            return;
        }
        for block in blocks {
            kept.push(block);
        }
    }

    /// The block at a height, if it is one of the last.
    pub(super) fn get(&self, height: u64) -> Option<Block> {
        let kept = lock(&self.0);
        let first = kept.blocks.front()?.height();
        let at = usize::try_from(height.checked_sub(first)?).ok()?;
        kept.blocks.get(at).cloned()
    }
}

impl Kept {
    fn push(&mut self, block: &Block) {
        while let Some(last) = self.blocks.back() {
            if last.hash() == block.header().previous_hash {
                break;
            }
            self.bytes -= last.body().len();
            self.blocks.pop_back();
        }
        self.bytes += block.body().len();
        self.blocks.push_back(block.clone());
        while self.blocks.len() > BLOCKS_MAX || self.bytes > BYTES_MAX && self.blocks.len() > 1 {
            if let Some(first) = self.blocks.pop_front() {
                self.bytes -= first.body().len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::Chain;

    #[test]
    fn the_last_blocks_are_kept_while_somebody_follows_and_go_with_their_branch() {
        shuttle::check_random(last_blocks, 1);
    }

    fn last_blocks() {
        let mut chain = Chain::new(1, |_| {});
        let recent = RecentBlocks::default();
        recent.push(&chain.blocks);
        assert_eq!(recent.get(0), None, "nobody follows");
        recent.join();
        for number in 1..=300 {
            chain.extend(&[chain.message("somebody", number)]);
            recent.push([chain.last()]);
        }
        assert_eq!(recent.get(300).as_ref(), Some(chain.last()));
        assert_eq!(recent.get(45).as_ref(), Some(&chain.blocks[45]));
        assert_eq!((recent.get(44), recent.get(301)), (None, None));

        let mut branch = Chain::of(chain.spec().clone());
        chain.blocks[1..=290]
            .iter()
            .for_each(|block| branch.push(block.clone()));
        branch.extend(&[branch.message("another", 1)]);
        recent.push([branch.last()]);
        assert_eq!(recent.get(291).as_ref(), Some(branch.last()));
        assert_eq!(recent.get(290).as_ref(), Some(&chain.blocks[290]));
        assert_eq!(recent.get(292), None);
        recent.push([&chain.blocks[100]]);
        assert_eq!(
            recent.get(100).as_ref(),
            Some(&chain.blocks[100]),
            "a run of its own"
        );
        assert_eq!(recent.get(290), None);
        recent.leave();
        assert_eq!(recent.get(100), None);
    }
}
