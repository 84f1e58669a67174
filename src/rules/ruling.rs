//! A block on its way to validity: [`Prepared`] from its bytes alone, [`Ruling`] by every rule but signatures,
//! [`ValidBlock`] when those are settled too. The three types are the hand-offs; there is no other way from bytes to a store.

use super::Signatures;
use crate::format::digest::Digest;
use crate::format::merkle;
use crate::format::model::Block;
use crate::format::rejection::Fault;
use crate::format::rejection::Rejected;
use crate::state::{Account, Changes};

/// Where in a block a fault is. The lower place is reported; at the same place the rule comes before the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The header, in relation to the body and to the chain so far.
    Header,
    /// The seal, or what an imported block has instead.
    Seal,
    /// The transaction at this index.
    Transaction(u32),
}

/// A decoded block with the hashes that follow from its body.
#[derive(Debug, Clone)]
pub struct Prepared {
    block: Block,
    leaves: Vec<Digest>,
    merkle_root: Digest,
}

impl Prepared {
    /// Hashes the body's Merkle tree. O(transactions).
    #[must_use]
    pub fn new(block: Block) -> Self {
        let leaves = block.leaf_hashes();
        let merkle_root = merkle::root(&leaves);
        Self {
            block,
            leaves,
            merkle_root,
        }
    }

    /// The block.
    #[must_use]
    pub const fn block(&self) -> &Block {
        &self.block
    }

    /// The Merkle leaf hashes of the transactions.
    #[must_use]
    pub fn leaves(&self) -> &[Digest] {
        &self.leaves
    }

    /// The root that the header has to name.
    #[must_use]
    pub const fn merkle_root(&self) -> Digest {
        self.merkle_root
    }
}

/// What every rule but those about signatures says of a block in a state.
#[derive(Debug)]
pub struct Ruling {
    pub(super) block: Block,
    pub(super) outcome: Result<Changes, (Place, Fault)>,
}

impl Ruling {
    /// Whether no rule is broken, so that only signatures are left to decide.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.outcome.is_ok()
    }

    /// The place of the broken rule: signatures from there on don't matter any more.
    pub(super) fn place(&self) -> Option<Place> {
        self.outcome.as_ref().err().map(|(place, _)| *place)
    }

    /// The verdict, given what was found of the block's signatures.
    ///
    /// # Errors
    /// The fault at the lowest place; at one place, the rule's.
    pub fn settle(self, signatures: Signatures) -> Result<ValidBlock, Rejected> {
        let (place, fault) = match (self.outcome, signatures.into_bad()) {
            (Ok(changes), None) => {
                return Ok(ValidBlock {
                    block: self.block,
                    changes,
                });
            }
            (Err((rule, _)), Some((signature, fault))) if signature < rule => (signature, fault),
            (Err(broken), _) => broken,
            (Ok(_), Some(bad)) => bad,
        };
        let transaction = match place {
            Place::Transaction(index) => Some(index),
            Place::Header | Place::Seal => None,
        };
        Err(Rejected {
            height: self.block.height(),
            transaction,
            reason: fault.reason,
            detail: fault.detail,
        })
    }
}

/// A block that obeys every rule in the state it was checked against, and what it changes there.
#[derive(Debug, Clone)]
pub struct ValidBlock {
    pub(super) block: Block,
    pub(super) changes: Changes,
}

impl ValidBlock {
    /// The accounts that it changes, as they are after it.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = (&str, &Account)> {
        let accounts = self.changes.accounts.iter();
        accounts.map(|(name, account)| (&**name, account))
    }

    /// The block.
    #[must_use]
    pub const fn block(&self) -> &Block {
        &self.block
    }
}
