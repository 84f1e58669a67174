//! A small hub server's use of the library: one engine, which takes in signed transactions, makes blocks of them, commits them, finds
//! and proves any of them, and lets others follow.
//!
//! Run it with `cargo run --example embed [STORE_URL]`; without a URL the chain lives in memory. With one, such as `log:hub`, run it
//! twice: the second time the chain goes on where it was left.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use hubledger::engine::{Change, Committed, Engine, Outcome, WhenFull};
use hubledger::ledger::Lookup;
use hubledger::model::{Draft, Kind, Operation, Transaction};
use hubledger::signature::KeyPair;
use hubledger::spec::ChainSpec;
use hubledger_storage::{Durability, StoreUrl};

fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1);
    let url: StoreUrl = url.as_deref().unwrap_or("memory:").parse()?;

    // A real hub reads its key with `KeyPair::read_pem` and the specification with `ChainSpec::read_toml`.
    let hub = KeyPair::from_seed(&[1; 32]);
    let alice = KeyPair::from_seed(&[2; 32]);
    let spec = ChainSpec::from_toml(&specification(&hub))?;

    // Creates the chain, or opens it where it was left. Two threads validate; commits are on the disk before they are acknowledged.
    let engine = Engine::builder()
        .threads(2)
        .durability(Durability::Disk)
        .create(url.open_or_create()?, &spec)?;
    let before = engine.head()?.height;
    println!("chain {} at height {before}", spec.id());

    // Each caller gets a ticket, which can be waited for or awaited.
    let hello = message(&engine, "alice", &alice, b"hello")?;
    match engine.submit(hello.clone(), WhenFull::Wait)?.wait()? {
        Ok(id) => println!("transaction {id} waits for a block"),
        Err(fault) => bail!("our own transaction is refused: {fault:?}"),
    }

    // Whose turn it is to seal a block is the hub's affair: on a timer, or when enough is waiting.
    let committed = match engine.produce(&hub)? {
        Outcome::Committed(committed) => committed,
        other => bail!("our own block was not committed: {other:?}"),
    };
    let Committed { height, hash, .. } = committed;
    println!("block {height} {hash} is committed");

    // The same transaction again is refused, with the reason as data.
    match engine.submit(hello.clone(), WhenFull::Wait)?.wait()? {
        Ok(id) => bail!("the replay of {id} was taken"),
        Err(fault) => println!("a replay is refused: {}: {}", fault.reason, fault.detail),
    }

    // Found by its id, and proved to whoever trusts the head's hash alone.
    let Lookup::Found(located) = engine.transaction(&hello.id())? else {
        bail!("the transaction is not found");
    };
    println!("it is number {} of block {}", located.index, located.height);
    let head = engine.head()?.hash();
    let proof = engine.prove(&hello.id(), Some(&head))?;
    let proven = proof.verify(&head).context("the proof just made")?;
    println!(
        "{} bytes prove it at height {}",
        proof.encode().len(),
        proven.height
    );

    // Whoever follows sees every block once and in order. This one begins with what was committed above.
    let mut follower = engine.follow(before + 1)?;
    if let Some(change) = follower.next() {
        match change? {
            Change::Committed { block } => println!("followed to block {}", block.height()),
            Change::Reverted { height, .. } => println!("block {height} is no longer in the chain"),
        }
    }

    let receipt = engine.shutdown()?;
    println!("closed at height {}", receipt.end - 1);
    Ok(())
}

/// A chain of one authority, as its operator would write it into a file.
fn specification(hub: &KeyPair) -> String {
    format!(
        r#"
        name = "embedded"
        genesis_time = 1_700_000_000_000_000

        [consensus]
        kind = "proof_of_authority"

        [[consensus.authorities]]
        name = "hub"
        key = "{}"
        "#,
        hub.public_key()
    )
}

/// What a member's program does: it knows its key, the chain's id, and the last nonce that it used.
fn message(
    engine: &Engine,
    sender: &str,
    key: &KeyPair,
    payload: &[u8],
) -> anyhow::Result<Transaction> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let draft = Draft {
        kind: Kind::Native,
        chain: engine.spec().id(),
        sender: sender.to_owned(),
        receiver: "hub".to_owned(),
        operation: Operation::Message,
        amount: 0,
        payload: payload.to_vec(),
        timestamp: u64::try_from(now.as_micros())?,
        expiry: 0,
        fee: 0,
        nonce: engine.state().account(sender).nonce + 1,
    };
    Ok(draft.sign(&[key])?)
}
