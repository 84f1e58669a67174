//! Chains that are final by depth, beside those that are final at once, and a branch that takes the place of a whole chain.

use std::path::Path;

use anyhow::{Result, ensure};
use hubledger::format::FormatVersion;
use hubledger::generate::{Generator, Recipe};
use hubledger::model::Block;
use hubledger::signature::KeyPair;
use hubledger::spec::{Authority, ChainSpec, Consensus, Finality, ProofOfAuthority};
use hubledger::tree::Source;
use hubledger_storage::Store;

use super::chain::Chain;
use super::import::{Setup, import_into};
use super::produce::BLOCK;
use crate::clock::{Clock, Times};
use crate::storage::{Contender, fresh_directory};
use crate::turns::Contestant;

/// Blocks that a block is final behind, and so those that a branch can take the place of.
pub(super) const DEPTH: u32 = 100;

/// The hub workload of so many transactions as a chain of this finality; another `seed` gives another branch of the same chain, by other senders.
///
/// # Errors
/// More transactions than a chain can hold.
pub(super) fn chain(finality: Finality, transactions: u64, seed: u64) -> Result<Chain> {
    let recipe = |seed| Recipe {
        transactions,
        seed,
        version: FormatVersion::V2,
        ..Recipe::default()
    };
    let seal_key = KeyPair::from_seed(&[7; 32]);
    let mut fields = (**Generator::new(recipe(0))?.spec()).clone();
    let authority = Authority {
        name: "hub-0".to_owned(),
        key: seal_key.public_key(),
        weight: 1,
    };
    fields.consensus = Consensus::ProofOfAuthority(ProofOfAuthority {
        authorities: vec![authority],
        round_robin: false,
    });
    fields.terms.finality = finality;
    let spec = ChainSpec::new(fields)?;
    Chain::of(Generator::for_spec(recipe(seed), spec, vec![seal_key])?)
}

/// A chain and a branch that is one block longer, both from genesis on.
pub(super) struct Rivals {
    pub(super) chain: Chain,
    branch: Chain,
}

impl Rivals {
    /// A chain of at most [`DEPTH`] blocks.
    ///
    /// # Errors
    /// As [`chain`].
    pub(super) fn new(blocks: u64) -> Result<Self> {
        let blocks = blocks.clamp(1, DEPTH.into());
        let finality = Finality::Depth(DEPTH);
        Ok(Self {
            chain: chain(finality, blocks * BLOCK as u64, 0)?,
            branch: chain(finality, (blocks + 1) * BLOCK as u64, 1)?,
        })
    }

    /// Offers the branch to an engine that has the chain, until it is in its place and the store is closed.
    pub(super) fn reorganisation<'c>(
        &'c self,
        contender: &Contender,
        setup: &Setup,
        under: &'c Path,
    ) -> Contestant<'c> {
        let (contender, setup) = (contender.clone(), setup.clone());
        let name = format!("{} blocks replaced in {contender}", self.chain.blocks.len());
        let items = self.branch.alone.len();
        Contestant::new(name, Clock::Processor, items, move || {
            let directory = fresh_directory(under)?;
            self.replace(contender.store_url(directory.path())?.create()?, &setup)
        })
    }

    fn replace(&self, store: Store, setup: &Setup) -> Result<Times> {
        let engine = setup.engine(&self.chain, store)?;
        import_into(&engine, &self.chain)?;
        let peer = Source::of("peer");
        let (last, times) = Times::of(|| -> Result<_> {
            let mut last = None;
            for bytes in &self.branch.blocks {
                // As an import reads them.
                let block = Block::decode(bytes)?;
                engine.offer_branch(&block, peer)?;
                last = Some(block.hash());
            }
            engine.shutdown()?;
            Ok(last)
        });
        let head = engine.head()?.hash();
        ensure!(
            last? == Some(head),
            "the branch didn't take the chain's place"
        );
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use hubledger_storage::{Durability, StoreUrl};

    use super::*;

    #[test]
    fn a_branch_of_other_transactions_takes_the_place_of_the_chain() {
        let rivals = Rivals::new(2).expect("a small chain");
        assert_eq!(rivals.chain.spec, rivals.branch.spec);
        assert_eq!(
            (rivals.chain.blocks.len(), rivals.branch.blocks.len()),
            (2, 3)
        );
        assert_ne!(rivals.chain.alone[0].id(), rivals.branch.alone[0].id());
        let url: StoreUrl = "memory:".parse().expect("a store in memory");
        let setup = Setup::new(2, Durability::Memory).expect("two threads");
        let store = url.create().expect("an empty store");
        rivals.replace(store, &setup).expect("it is the better one");
    }
}
