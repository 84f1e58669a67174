//! What the payloads of a block's transactions say to the chain: read from the bytes and the specification alone, where blocks are decoded.
//! A key that registers is checked to be a point of the curve, and a block may have a hundred thousand: whoever rules doesn't wait for that.

use crate::format::model::Transaction;
use crate::format::payload::Payload;
use crate::format::spec::SpecFields;

/// The meanings of a block's payloads, of which most have none.
#[derive(Debug, Clone, Default)]
pub(super) struct Meanings(Vec<(u32, Payload)>);

impl Meanings {
    /// Those of the transactions of a block under this specification, the one in force at its height. O(bytes of payloads that may have one).
    pub(super) fn of(spec: &SpecFields, transactions: &[Transaction]) -> Self {
        let mut meanings = Vec::new();
        // A block has fewer transactions than there are bytes in its body.
        for (index, transaction) in (0_u32..).zip(transactions) {
            if let Some(payload) = Payload::said_in(spec, transaction) {
                meanings.push((index, payload));
            }
        }
        Self(meanings)
    }

    /// That of the transaction at an index. O(log meanings).
    pub(super) fn get(&self, index: usize) -> Option<&Payload> {
        let found = self
            .0
            .binary_search_by_key(&index, |(index, _)| *index as usize);
        found.ok().map(|at| &self.0[at].1)
    }
}
