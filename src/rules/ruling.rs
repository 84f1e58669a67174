//! A block on its way to validity: [`Prepared`] from its bytes alone, [`Ruling`] by every rule but signatures,
//! [`ValidBlock`] when those are settled too. The three types are the hand-offs; there is no other way from bytes to a store.

use super::meanings::Meanings;
use super::senders::Senders;
use super::{SignatureFindings, headers};
use crate::consensus;
use crate::format::FormatVersion;
use crate::format::digest::{ChainId, Digest};
use crate::format::merkle;
use crate::format::model::Block;
use crate::format::rejection::{Fault, Rejected};
use crate::format::spec::ChainSpec;
use crate::state::{Account, Changes};

/// Where in a block a fault is. The lowest one is reported; where a rule and a signature fail together, the rule comes before the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultAt {
    /// The header, in relation to the body and to the chain so far.
    Header,
    /// The seal, or what an imported block has instead.
    Seal,
    /// The transaction at this index.
    Transaction(u32),
    /// The root over the state that the block leads to: told only of a block that has no other fault.
    StateRoot,
}

/// A decoded block with what follows from its bytes and the specification alone: the hashes of its body, and what is wrong
/// with its seal.
#[derive(Debug, Clone)]
pub struct Prepared {
    chain: ChainId,
    block: Block,
    leaves: Vec<Digest>,
    merkle_root: Digest,
    seal_fault: Option<Fault>,
    senders: Senders,
    meanings: Meanings,
}

impl Prepared {
    /// Hashes the body's Merkle tree and judges the seal, as far as that goes without a state. O(transactions).
    #[must_use]
    pub fn new(spec: &ChainSpec, block: Block) -> Self {
        let leaves = block.leaf_hashes();
        let merkle_root = merkle::root(&leaves);
        // A record's blocks have evidence instead of a seal, which goes on from that of the block before.
        let seal_fault = match spec.is_imported(block.height()) {
            true => None,
            false => consensus::check_seal(spec, block.header(), block.seal()).err(),
        };
        let own = spec.at(block.height());
        let meanings = match spec.is_imported(block.height()) {
            true => Meanings::default(),
            false => Meanings::of(own, block.transactions()),
        };
        // In version 1 accounts are no tree, and where they are isn't asked for.
        let senders = match own.version >= FormatVersion::V2 {
            true => Senders::of(block.transactions()),
            false => Senders::default(),
        };
        Self {
            chain: spec.id(),
            senders,
            meanings,
            block,
            leaves,
            merkle_root,
            seal_fault,
        }
    }

    /// The chain that it was prepared for: the one of the specification, whatever the block says.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
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

    /// The senders of its transactions, where they are looked up together.
    pub(super) const fn senders(&self) -> &Senders {
        &self.senders
    }

    /// What the payloads of its transactions say to the chain.
    pub(super) const fn meanings(&self) -> &Meanings {
        &self.meanings
    }

    /// What [`consensus::check_seal`] found against the seal.
    #[must_use]
    pub const fn seal_fault(&self) -> Option<&Fault> {
        self.seal_fault.as_ref()
    }
}

/// What every rule but those about signatures says of a block in a state.
#[derive(Debug)]
pub struct Ruling {
    pub(super) block: Block,
    pub(super) outcome: Result<Changes, (FaultAt, Fault)>,
}

impl Ruling {
    /// The block.
    pub(crate) const fn block(&self) -> &Block {
        &self.block
    }

    /// Whether no rule is broken, so that only signatures are left to decide.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.outcome.is_ok()
    }

    /// Takes up what the header's state root is against that over the state after the block; `None` where a chain has none.
    pub(super) fn compare_state_root(&mut self, spec: &ChainSpec, after: Option<Digest>) {
        let header = self.block.header();
        if let Err(fault) = headers::check_state_root(spec, header, after.as_ref()) {
            self.outcome = Err((FaultAt::StateRoot, fault));
        }
    }

    /// Where the broken rule is: signatures from there on don't matter any more.
    pub(crate) fn fault_at(&self) -> Option<FaultAt> {
        self.outcome.as_ref().err().map(|(at, _)| *at)
    }

    /// The verdict, given what was found of the block's signatures.
    ///
    /// # Errors
    /// The fault that is lowest; of a rule's and a signature's at one point, the rule's.
    pub fn settle(self, signatures: SignatureFindings) -> Result<ValidBlock, Rejected> {
        let (at, fault) = match (self.outcome, signatures.into_bad()) {
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
        let transaction = match at {
            FaultAt::Transaction(index) => Some(index),
            FaultAt::Header | FaultAt::Seal | FaultAt::StateRoot => None,
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
