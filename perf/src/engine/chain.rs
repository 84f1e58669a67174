//! A chain in memory: encoded blocks of signed transactions, and what single stages are given of them.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use hubledger::generate::{Generator, Recipe};
use hubledger::model::{Block, Transaction};
use hubledger::signature::{Item, KeyPair, PublicKey, Signature};
use hubledger::spec::ChainSpec;
use hubledger_storage as storage;

/// Bytes of a transaction beside its payload, generously.
const OVERHEAD_BYTES: u64 = 512;
/// A chain has to fit in memory, several times over.
const BYTES_MAX: u64 = 8 << 30;

/// A chain after its genesis.
pub(crate) struct Chain {
    pub(crate) spec: ChainSpec,
    /// Encoded, as they come from another hub.
    pub(crate) blocks: Vec<Bytes>,
    /// Transactions in all.
    pub(crate) transactions: u64,
    claims: Vec<Claim>,
    /// Signed transactions alone, as clients submit them.
    pub(crate) alone: Vec<Transaction>,
    /// Knows who seals.
    generator: Generator,
}

/// A signature to check.
struct Claim {
    key: PublicKey,
    message: [u8; 39],
    signature: Signature,
}

impl Chain {
    /// Makes one up. The same recipe gives the same bytes.
    pub(crate) fn generate(recipe: Recipe) -> Result<Self> {
        let bytes = recipe
            .transactions
            .saturating_mul(u64::from(recipe.payload_bytes) + OVERHEAD_BYTES);
        ensure!(
            bytes <= BYTES_MAX,
            "{} transactions of {} bytes don't fit in {} GiB of memory",
            recipe.transactions,
            recipe.payload_bytes,
            BYTES_MAX >> 30
        );
        Self::of(Generator::new(recipe)?)
    }

    /// All that a generator has yet to make.
    pub(crate) fn of(mut generator: Generator) -> Result<Self> {
        let (mut blocks, mut claims, mut alone) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(block) = generator.next_block()? {
            for transaction in block.transactions() {
                let message = transaction.signed_message();
                claims.extend(transaction.witnesses().map(|witness| Claim {
                    key: witness.key,
                    message,
                    signature: witness.signature,
                }));
            }
            alone.extend_from_slice(block.transactions());
            blocks.push(block.encode().into());
        }
        Ok(Self {
            spec: generator.spec().clone(),
            transactions: alone.len() as u64,
            blocks,
            claims,
            alone,
            generator,
        })
    }

    /// The name and key of whoever seals.
    pub(crate) fn authority(&self) -> (&str, &KeyPair) {
        self.generator.authority()
    }

    /// Every signature of a transaction.
    pub(crate) fn items(&self) -> Vec<Item<'_>> {
        let items = self.claims.iter().map(|claim| Item {
            key: &claim.key,
            message: &claim.message,
            signature: &claim.signature,
        });
        items.collect()
    }

    /// The blocks as they go into a store, without genesis, from height 0 on: the bytes and keys of an import.
    pub(crate) fn records(&self) -> Result<Vec<storage::Block>> {
        let record = |(height, bytes): (u64, &Bytes)| -> Result<storage::Block> {
            let block = Block::decode(bytes)?;
            let header = [&block.header().bytes()[..], &block.seal_bytes()[..]].concat();
            let keys = block.transactions().iter().zip(0..);
            Ok(storage::Block {
                height,
                id: block.hash().0,
                header: header.into(),
                body: block.body().clone(),
                index: keys
                    .map(|(transaction, position)| storage::IndexEntry {
                        key: transaction.id().0,
                        position,
                    })
                    .collect(),
            })
        };
        let records = (0..).zip(&self.blocks).map(record);
        records.collect::<Result<_>>().context("read a block")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_has_a_signature_and_a_key_for_each_transaction() {
        let recipe = Recipe {
            transactions: 25,
            keys: 3,
            per_block: 10,
            ..Recipe::default()
        };
        let chain = Chain::generate(recipe).expect("a good recipe");
        assert_eq!((chain.blocks.len(), chain.transactions), (3, 25));
        assert_eq!((chain.items().len(), chain.alone.len()), (25, 25));
        let records = chain.records().expect("good blocks");
        assert_eq!(
            records
                .iter()
                .map(|record| record.index.len())
                .sum::<usize>(),
            25
        );
        assert!(
            records
                .iter()
                .zip(0..)
                .all(|(record, height)| record.height == height)
        );
    }

    #[test]
    fn a_chain_that_is_too_large_is_refused_before_it_is_made() {
        let recipe = Recipe {
            transactions: u64::MAX,
            ..Recipe::default()
        };
        assert!(Chain::generate(recipe).is_err());
    }
}
