//! Blocks that were found to break a rule, so that neither they nor what follows them is judged again. The oldest are forgotten.

use std::collections::{HashMap, VecDeque};

use crate::format::digest::BlockHash;
use crate::format::rejection::Rejected;

#[derive(Debug, Default)]
pub(super) struct Invalid {
    found: HashMap<BlockHash, Rejected>,
    order: VecDeque<BlockHash>,
}

impl Invalid {
    pub(super) fn get(&self, hash: &BlockHash) -> Option<&Rejected> {
        self.found.get(hash)
    }

    /// Notes a block, of which at most `most` are kept.
    pub(super) fn note(&mut self, hash: BlockHash, rejected: Rejected, most: usize) {
        if self.found.insert(hash, rejected).is_none() {
            self.order.push_back(hash);
        }
        while self.order.len() > most.max(1) {
            if let Some(oldest) = self.order.pop_front() {
                self.found.remove(&oldest);
            }
        }
    }

    /// Forgets one that is not known to break a rule any more.
    pub(super) fn forget(&mut self, hash: &BlockHash) {
        if self.found.remove(hash).is_some() {
            self.order.retain(|noted| noted != hash);
        }
    }
}
