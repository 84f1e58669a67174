//! Proofs of what was pruned. A proof made before is carried to a later head with nothing but ids; a new one is made
//! from kept leaf hashes for whoever has the transaction's bytes. Neither trusts what it starts from: a carried proof is
//! checked first, and kept leaves have to give the Merkle root of the header.

use super::keep::leaves;
use super::missing::LostPart;
use super::{ChainReader, LedgerError};
use crate::format::digest::{BlockHash, Digest};
use crate::format::merkle;
use crate::format::model::{Header, Transaction};
use crate::format::proof::TransactionProof;

impl ChainReader {
    /// The same proof for `head` (the last block if `None`), which may be later or earlier than the one it was made
    /// for, but not before its block. Needs ids alone, so it works whatever was pruned but for the header of `head`.
    /// O(blocks) hashes.
    ///
    /// # Errors
    /// [`LedgerError::NotCarried`] if the proof doesn't hold or is of another chain, [`LedgerError::AboveHead`], an
    /// unknown head, a failed store.
    pub fn carry(
        &self,
        proof: &TransactionProof,
        head: Option<&BlockHash>,
    ) -> Result<TransactionProof, LedgerError> {
        proof
            // A proof that is handed in may be made up: carried on, it would come back with this ledger's word.
            .verify(&proof.head())
            .map_err(|error| LedgerError::NotCarried(error.to_string()))?;
        let (block, head) = (proof.block(), self.resolve_head(head)?);
        if self.height_of(&block.hash())? != Some(block.height) {
            let problem = format!("block {} is not in this chain", block.hash());
            return Err(LedgerError::NotCarried(problem));
        }
        let history = self.path_to(block.height, &head)?;
        self.refuse_replaced(&head)?;
        Ok(proof.carried(head, history))
    }

    /// Proves a transaction to whoever has its bytes, from the block at `height` or, if its body was pruned, from its
    /// leaf hashes, which the policy must have kept. `head` as in [`Self::prove`]. O(blocks + leaf hashes of a chunk).
    ///
    /// # Errors
    /// [`LedgerError::NotInBlock`] if id or witness are not those of any transaction of the block,
    /// [`LedgerError::LeavesPruned`], [`LedgerError::HeaderPruned`]; a damaged or failed store; those of
    /// [`Self::prove`].
    pub fn prove_pruned(
        &self,
        transaction: &Transaction,
        height: u64,
        head: Option<&BlockHash>,
    ) -> Result<TransactionProof, LedgerError> {
        let head = self.resolve_head(head)?;
        let absent = || LedgerError::NotInBlock(height);
        let header = self.header(height)?.ok_or_else(absent)?;
        let later = self
            .path_to(height, &head)?
            .map(|history| (header.clone(), history));
        let leaves = self.leaves(&header)?;
        let leaf = transaction.leaf_hash();
        let index = leaves.iter().position(|held| *held == leaf);
        let index = index.ok_or_else(absent)?;
        let path = merkle::inclusion_path(&leaves, index as u64).ok_or_else(absent)?;
        let index = u32::try_from(index).map_err(|_| absent())?;
        self.refuse_replaced(&head)?;
        Ok(TransactionProof::new(head, later, index, transaction, path))
    }

    /// The leaf hashes of a block, from its body or as they were kept; their root is the header's.
    fn leaves(&self, header: &Header) -> Result<Vec<Digest>, LedgerError> {
        let height = header.height;
        match self.block(height) {
            Ok(Some(block)) => return Ok(block.leaf_hashes()),
            Ok(None) => return Err(LedgerError::NotInBlock(height)),
            Err(LedgerError::Pruned(_)) => {}
            Err(error) => return Err(error),
        }
        let kept = leaves::of_block(self, height)?;
        let part = LostPart::Leaves;
        let kept = kept.ok_or_else(|| match self.lost().has(part, height) {
            true => LedgerError::Lost { part, height },
            false => LedgerError::LeavesPruned(height),
        })?;
        // Kept leaves are trusted no more than the bytes of a store: the header is what the chain commits to.
        if kept.len() != header.transaction_count as usize
            || merkle::root(&kept) != header.merkle_root
        {
            return Err(LedgerError::Damaged {
                record: "leaf hashes",
                height,
                problem: "do not give the Merkle root of the header".to_owned(),
            });
        }
        Ok(kept)
    }

    /// The path of the block at `height` in the history of `head`; `None` if it is the head.
    fn path_to(&self, height: u64, head: &Header) -> Result<Option<Vec<Digest>>, LedgerError> {
        match height.cmp(&head.height) {
            std::cmp::Ordering::Less => Ok(Some(self.history_path(height, head.height)?)),
            std::cmp::Ordering::Equal => Ok(None),
            std::cmp::Ordering::Greater => Err(LedgerError::AboveHead {
                height,
                head: head.height,
            }),
        }
    }
}
