//! Importing chains of every composition beside one under proof of authority: the same transactions, into stores in memory.

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use hubledger::engine::{Engine, Outcome};
use hubledger::generate::{Generator, Recipe};
use hubledger::spec::{ChainSpec, ConsensusName};
use hubledger_storage::StoreUrl;

use super::changing;
use crate::clock::{Clock, Times};
use crate::ratio::Evidence;
use crate::turns::{Contestant, Effort, race};

/// Blocks of a pass.
const BLOCKS: u64 = 20;
const PER_BLOCK: u64 = 1_000;
/// Members of every chain that has some.
const MEMBERS: u32 = 16;

/// A composition beside proof of authority by one.
pub(super) fn beside_authority(consensus: ConsensusName, seconds: f64) -> Result<Evidence> {
    race_with_authority(consensus.word(), &made(consensus, MEMBERS)?, seconds)
}

/// Members whose stakes change every few blocks, and who seal with certificates, beside the same.
pub(super) fn changing_beside_authority(seconds: f64) -> Result<Evidence> {
    let chain = changing::made(MEMBERS as usize, BLOCKS, PER_BLOCK)?;
    race_with_authority("certificates of changing members", &chain, seconds)
}

fn race_with_authority(name: &str, chain: &Made, seconds: f64) -> Result<Evidence> {
    let authority = made(ConsensusName::ProofOfAuthority, 1)?;
    let effort = Effort {
        seconds,
        rounds_min: 5,
        rounds_max: 60,
        warm_up_items: 0,
    };
    let contestants = [
        importing(name, chain),
        importing("proof_of_authority", &authority),
    ];
    let [first, second] = race(contestants, effort)?;
    Ok(Evidence::turns(ITEMS, first, second))
}

const ITEMS: usize = (BLOCKS * PER_BLOCK) as usize;

/// A chain with its blocks, encoded.
pub(super) type Made = (ChainSpec, Vec<Bytes>);

fn made(consensus: ConsensusName, members: u32) -> Result<Made> {
    let mut generator = Generator::new(Recipe {
        transactions: BLOCKS * PER_BLOCK,
        consensus,
        members,
        ..Recipe::default()
    })?;
    let mut blocks = Vec::new();
    while let Some(block) = generator.next_block()? {
        blocks.push(block.encode().into());
    }
    Ok((generator.spec().clone(), blocks))
}

fn importing<'c>(name: &str, (spec, blocks): &'c Made) -> Contestant<'c> {
    Contestant::new(name, Clock::Processor, ITEMS, move || {
        let engine = Engine::builder().create(StoreUrl::Memory.create()?, spec)?;
        let blocks = blocks.clone();
        let (outcome, times) = Times::of(|| import(&engine, blocks));
        outcome?;
        ensure!(engine.head()?.height == BLOCKS, "not all was imported");
        engine.shutdown()?;
        Ok(times)
    })
}

fn import(engine: &Engine, blocks: Vec<Bytes>) -> Result<()> {
    for outcome in engine.import(blocks) {
        match outcome? {
            Outcome::Committed(_) => {}
            other => bail!("a block was not accepted: {other:?}"),
        }
    }
    Ok(())
}
