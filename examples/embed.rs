//! A small hub server's use of the library: open a chain, gather signed transactions into a sealed block, commit it,
//! look a transaction up, and hand out a proof.
//!
//! Run it with `cargo run --example embed [STORE_URL]`; without a URL the chain lives in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, bail};
use hubledger::clock::{Clock, SystemClock};
use hubledger::ledger::{Ledger, Lookup, Outcome};
use hubledger::model::{Draft, Kind, Operation, Transaction};
use hubledger::rules::produce::produce;
use hubledger::signature::KeyPair;
use hubledger::spec::{
    Authority, ChainSpec, Consensus, Limits, ProofOfAuthority, Rules, SpecFields,
};
use hubledger_storage::StoreUrl;

fn main() -> anyhow::Result<()> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "memory:".to_owned());
    let url: StoreUrl = url.parse()?;

    // A real hub reads its key with `KeyPair::read_pem` and the specification with `ChainSpec::read_toml`.
    let hub = KeyPair::from_seed(&[1; 32]);
    let alice = KeyPair::from_seed(&[2; 32]);
    let spec = specification(&hub)?;

    // Creates the chain, or opens it where it was left.
    let mut ledger = Ledger::create(url.open_or_create()?, &spec, Arc::new(SystemClock))?;
    println!("chain {} at height {}", spec.id(), ledger.state().height());

    let join = message(
        &ledger,
        "alice",
        &alice,
        Operation::FederationJoin,
        b"hello",
    )?;
    let now = SystemClock.now_us();
    let block = produce(
        &spec,
        ledger.state(),
        "hub",
        &hub,
        std::slice::from_ref(&join),
        now,
    )?;
    match ledger.submit(&block)? {
        Outcome::Staged => println!("block {} committed", block.hash()),
        Outcome::Held => println!("block {} was there already", block.hash()),
        Outcome::Rejected(rejected) => bail!("our own block is invalid: {rejected}"),
    }

    // The same transaction again is refused, whoever seals it.
    let replay = produce(
        &spec,
        ledger.state(),
        "hub",
        &hub,
        std::slice::from_ref(&join),
        now,
    )?;
    match ledger.submit(&replay)? {
        Outcome::Rejected(rejected) => println!("a replay is refused: {rejected}"),
        other => bail!("a replay was taken: {other:?}"),
    }

    // Any thread can read, while the ledger goes on.
    let reader = ledger.reader();
    let Lookup::Found(placed) = reader.transaction(&join.id())? else {
        bail!("the transaction is not found");
    };
    println!(
        "transaction {} is number {} of block {}",
        join.id(),
        placed.index,
        placed.height
    );

    // Whoever trusts this head needs nothing else to check the proof.
    let head = reader.head()?.hash();
    let proof = reader.prove(placed.height, placed.index, Some(&head))?;
    let proven = proof.verify(&head).context("the proof just made")?;
    println!(
        "{} bytes prove it at height {}",
        proof.encode().len(),
        proven.height
    );

    let receipt = ledger.close()?;
    println!(
        "closed at height {}, durable: {}",
        receipt.end - 1,
        receipt.durability
    );
    Ok(())
}

fn specification(hub: &KeyPair) -> anyhow::Result<ChainSpec> {
    Ok(ChainSpec::new(SpecFields {
        name: "embedded".to_owned(),
        genesis_time: 1_700_000_000_000_000,
        consensus: Consensus::ProofOfAuthority(ProofOfAuthority {
            authorities: vec![Authority {
                name: "hub".to_owned(),
                key: hub.public_key(),
            }],
            round_robin: false,
        }),
        limits: Limits::default(),
        rules: Rules::default(),
        accounts: BTreeMap::new(),
        import: None,
    })?)
}

fn message(
    ledger: &Ledger,
    sender: &str,
    key: &KeyPair,
    operation: Operation,
    payload: &[u8],
) -> anyhow::Result<Transaction> {
    let draft = Draft {
        kind: Kind::Native,
        chain: ledger.spec().id(),
        sender: sender.to_owned(),
        receiver: "hub".to_owned(),
        operation,
        amount: 0,
        payload: payload.to_vec(),
        timestamp: SystemClock.now_us(),
        expiry: 0,
        fee: 0,
        nonce: ledger.state().account(sender).nonce + 1,
    };
    Ok(draft.sign(&[key])?)
}
