//! A node has a block's header and most of its transactions, as they came by before; it gets just those that it lacks, each with its path to the header's
//! root, and puts the block together.
//!
//! Run it with `cargo run -p hubledger-services --example data_sync`.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, ensure};
use hubledger::clock::SystemClock;
use hubledger::digest::TransactionId;
use hubledger::generate::{Generator, Recipe};
use hubledger::ledger::{ChainReader, Ledger, Staging};
use hubledger::model::{Block, Transaction};
use hubledger_services::updates::parts_of;
use hubledger_storage::StoreUrl;

/// A peer answers no more than this at once.
const ANSWER_BYTES: usize = 2_000;

fn main() -> anyhow::Result<()> {
    // The hub has a chain with a block of 100 transactions.
    let mut generator = Generator::new(Recipe {
        transactions: 100,
        ..Recipe::default()
    })?;
    let store = StoreUrl::Memory.create()?;
    let mut ledger = Ledger::create(store, generator.spec(), Arc::new(SystemClock))?;
    let block = generator.next_block()?.context("there is a block")?;
    ensure!(
        ledger.submit(&block)? == Staging::Staged,
        "our own block is refused"
    );
    let hub = ledger.reader();

    // The node lacks every twentieth of them.
    let ids: Vec<TransactionId> = block.transactions().iter().map(Transaction::id).collect();
    let held = block.transactions().iter().enumerate();
    let held = held.filter(|(index, _)| index % 20 != 7);
    let held: HashMap<TransactionId, Transaction> =
        held.map(|(_, one)| (one.id(), one.clone())).collect();
    println!(
        "block {} has {} transactions; the node has {}",
        block.height(),
        ids.len(),
        held.len()
    );
    let whole = complete(&hub, &block, &ids, held)?;
    ensure!(whole.encode() == block.encode(), "it is another block");
    println!("the block is whole: its root is that of the header");
    Ok(())
}

/// What the node does. It knows header and seal, the ids, and what it has.
fn complete(
    hub: &ChainReader,
    block: &Block,
    ids: &[TransactionId],
    mut held: HashMap<TransactionId, Transaction>,
) -> anyhow::Result<Block> {
    let (header, seal) = (block.header(), block.seal());
    let lacked = ids.iter().filter(|id| !held.contains_key(*id));
    let lacked: Vec<TransactionId> = lacked.copied().collect();
    let mut answered = 0;
    while answered < lacked.len() {
        let parts = parts_of(hub, &header.hash(), &lacked[answered..], ANSWER_BYTES)?;
        ensure!(
            parts.absent.is_empty(),
            "the hub knows of no such transaction"
        );
        for part in parts.found {
            part.verify(header).context("a path that leads elsewhere")?;
            println!(
                "number {} came with a path of {} hashes",
                part.index,
                part.path.len()
            );
            held.insert(part.transaction.id(), part.transaction);
        }
        answered += parts.answered;
    }
    let transactions = ids.iter().map(|id| held.get(id).cloned());
    let transactions: Option<Vec<Transaction>> = transactions.collect();
    let transactions = transactions.context("a transaction is still missing")?;
    let whole = Block::assemble(header.clone(), seal.clone(), &transactions)?;
    ensure!(
        whole.computed_merkle_root() == header.merkle_root,
        "another root"
    );
    Ok(whole)
}
