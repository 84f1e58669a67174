//! Producing blocks: chosen from what waits, sealed, committed, when all signatures were checked before.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hubledger::engine::{Committed, Outcome};

use super::admission::submit_all;
use super::chain::Chain;
use super::import::Setup;
use crate::storage::{Contender, fresh_directory};

/// Transactions of a block.
pub(super) const BLOCK: usize = 1_000;

/// What each of a chain's blocks takes to be produced, at most so many, one after the other into a fresh store.
///
/// # Errors
/// A transaction was not admitted, a block is not of all that waited, or the store failed.
pub(super) fn produce_blocks(
    chain: &Chain,
    contender: &Contender,
    setup: &Setup,
    blocks: usize,
    under: &Path,
) -> Result<Vec<Duration>> {
    let directory = fresh_directory(under)?;
    let store = contender.store_url(directory.path())?.create()?;
    let engine = setup.engine(chain, store)?;
    let (_, key) = chain.authority();
    let mut took = Vec::new();
    for transactions in chain.alone.chunks(BLOCK).take(blocks) {
        submit_all(&engine, transactions, Duration::ZERO, |_| ())?;
        let started = Instant::now();
        let outcome = engine.produce(key)?;
        took.push(started.elapsed());
        match outcome {
            Outcome::Committed(Committed {
                transactions: held, ..
            }) if held as usize == transactions.len() => {}
            other => bail!("not a block of {}: {other:?}", transactions.len()),
        }
    }
    engine.shutdown()?;
    Ok(took)
}

#[cfg(test)]
mod tests {
    use hubledger::generate::Recipe;
    use hubledger_storage::Durability;

    use super::*;

    #[test]
    fn each_block_holds_all_that_waited() {
        let directory = tempfile::tempdir().expect("a directory");
        let recipe = Recipe {
            transactions: 2_500,
            ..Recipe::default()
        };
        let chain = Chain::generate(recipe).expect("a good recipe");
        let setup = Setup::new(2, Durability::Disk).expect("there is a path");
        for (blocks, expected) in [(2, 2), (9, 3)] {
            let log = Contender::ours("log");
            let took = produce_blocks(&chain, &log, &setup, blocks, directory.path());
            assert_eq!(took.expect("they are produced").len(), expected);
        }
    }
}
