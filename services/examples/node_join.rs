//! A full node joins a federation: with its capabilities, its address and its key, a stake of 1,000 and a fee of 100. Then it shows that it is alive, until it
//! doesn't any more.
//!
//! Run it with `cargo run -p hubledger-services --example node_join`.

use anyhow::{Context, ensure};
use hubledger::clock::{Clock, SystemClock};
use hubledger::engine::{Engine, WhenFull};
use hubledger::model::{Draft, Kind, Operation, Transaction};
use hubledger::payload::{KeySet, Payload, Profile, Register};
use hubledger::signature::KeyPair;
use hubledger::spec::ChainSpec;
use hubledger_services::registry::{Heartbeat, Registry, RegistryPayload, RegistryView, proof};
use hubledger_services::view::{Settings, Views};
use hubledger_storage::StoreUrl;

const NAME: &str = "node_7";
const STAKE: u64 = 1_000;
const FEE: u64 = 100;

/// A hub's chain in which the node has something to put up.
fn specification(hub: &KeyPair, node: &KeyPair) -> String {
    format!(
        r#"
        format = 2
        name = "federation"
        genesis_time = 1_700_000_000_000_000
        joining = "stake"
        stake_min = {STAKE}

        [consensus]
        kind = "proof_of_authority"
        authorities = [{{ name = "hub", key = "{}" }}]

        [rules]
        identity = "registered"
        balances = true
        fee_min = 1

        [accounts.{NAME}]
        key = "{}"
        balance = 5_000
        "#,
        hub.public_key(),
        node.public_key()
    )
}

fn said(
    engine: &Engine,
    key: &KeyPair,
    operation: Operation,
    payload: Vec<u8>,
) -> anyhow::Result<Transaction> {
    let is_join = operation == Operation::FederationJoin;
    let draft = Draft {
        kind: Kind::Native,
        chain: engine.spec().id(),
        sender: NAME.to_owned(),
        receiver: NAME.to_owned(),
        operation,
        amount: 0,
        payload,
        timestamp: SystemClock.now_us(),
        expiry: 0,
        fee: if is_join { FEE } else { 1 },
        nonce: engine.state().account(NAME).nonce + 1,
    };
    Ok(draft.sign(&[key])?)
}

fn main() -> anyhow::Result<()> {
    let hub = KeyPair::from_seed(&[1; 32]);
    // The node's key is its own: a real one makes it with `KeyPair::generate` and keeps it.
    let key = KeyPair::from_seed(&[7; 32]);
    let spec = ChainSpec::from_toml(&specification(&hub, &key))?;
    let engine = Engine::builder()
        .threads(1)
        .create(StoreUrl::Memory.create()?, &spec)?;
    let view = Box::new(RegistryView::new(spec));
    let store = StoreUrl::Memory.create()?;
    let views = Views::open(store, engine.reader(), vec![view], Settings::default())?;
    let reader = views.reader(RegistryView::NAME)?;
    let following = views.follow(&engine, "services")?;

    let join = Payload::Register(Register {
        keys: KeySet::single(key.public_key())?,
        recovery: None,
        stake: STAKE,
        attester: None,
        profile: Profile {
            node_type: "full_node".to_owned(),
            role: "node".to_owned(),
            region: "eu_west".to_owned(),
            network_address: "wss://node-7.example.org:6666".to_owned(),
            capabilities: vec!["storage".to_owned(), "relay".to_owned()],
        },
    });
    let beat = RegistryPayload::Heartbeat(Heartbeat {
        registration_ttl: 60,
        load_percent: 12,
    });
    let steps = [
        (Operation::FederationJoin, join.encode()),
        (Operation::NodeUpdate, beat.encode()),
    ];
    for (operation, payload) in steps {
        let transaction = said(&engine, &key, operation, payload)?;
        let ticket = engine.submit(transaction, WhenFull::Wait)?;
        ensure!(ticket.wait()?.is_ok(), "the node is refused");
        engine.produce(&hub)?;
    }
    let head = engine.head()?;
    following.wait_for(head.height)?;

    let registry = Registry::new(reader.snapshot()?);
    let node = registry.node(NAME)?.context("the node has joined")?;
    let profile = &node.profile;
    println!("{NAME} joined in block {}:", node.registered.height);
    println!("  a {} at {}", profile.node_type, profile.network_address);
    println!("  can: {}", profile.capabilities.join(", "));
    println!("  stake {}, key {}", node.stake, key.public_key());
    let left = engine.state().account(NAME).balance;
    println!("  has {left} left: a fee of {FEE}, and 1 for the heartbeat");
    ensure!(left == 5_000 - STAKE - FEE - 1);

    let life = registry.life(&node)?.context("it is active")?;
    for seconds in [0, 60, 61] {
        let is_alive = life.counts_at(life.last_seen + seconds * 1_000_000);
        let word = if is_alive { "alive" } else { "not alive" };
        println!("  {seconds} s after its heartbeat: {word}");
    }

    let row = proof::of_row(NAME, &engine.reader())?.context("the chain has a state root")?;
    let shown = proof::check_row(&row, NAME, &head.hash())?.context("it is registered")?;
    ensure!(shown.stake == STAKE && shown.is_member);
    println!("proved against the head by {} bytes", row.encode().len());
    following.stop()?;
    engine.shutdown()?;
    Ok(())
}
