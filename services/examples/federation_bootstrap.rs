//! How a federation begins: a governance chain with a block every 30 seconds and at most 100 transactions in it, and three hubs that join.
//!
//! Run it with `cargo run -p hubledger-services --example federation_bootstrap`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};
use hubledger::clock::Clock;
use hubledger::engine::{Engine, WhenFull};
use hubledger::model::{Draft, Kind, Operation, Transaction};
use hubledger::payload::{KeySet, Payload, Profile, Register};
use hubledger::signature::KeyPair;
use hubledger::spec::ChainSpec;
use hubledger_services::registry::{Criteria, Facet, Registry, RegistryView, proof};
use hubledger_services::view::{Settings, Views};
use hubledger_storage::StoreUrl;

const GENESIS_US: u64 = 1_700_000_000_000_000;
const BLOCK_US: u64 = 30_000_000;
const STAKE: u64 = 10_000;
const REGIONS: [&str; 3] = ["us_east", "eu_west", "asia_pacific"];

/// A clock that is set by hand, so that nobody has to wait for the next block.
struct ByHand(AtomicU64);

impl Clock for ByHand {
    fn now_us(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A real hub reads its key with `KeyPair::read_pem`.
fn key_of(region: &str) -> KeyPair {
    let mut seed = [0; 32];
    for (byte, letter) in seed.iter_mut().zip(region.bytes()) {
        *byte = letter;
    }
    KeyPair::from_seed(&seed)
}

/// Names belong to keys that they register, and whoever joins puts up a stake.
fn specification(bootstrap: &KeyPair) -> String {
    let accounts = REGIONS.map(|region| {
        let key = key_of(region).public_key();
        format!(
            "[accounts.hub_{region}]
key = \"{key}\"
balance = {STAKE}
"
        )
    });
    format!(
        r#"
        format = 2
        name = "fabric_governance"
        genesis_time = {GENESIS_US}
        block_time_us = {BLOCK_US}
        joining = "stake"
        stake_min = {STAKE}

        [consensus]
        kind = "proof_of_authority"
        authorities = [{{ name = "bootstrap", key = "{}" }}]

        [limits]
        transactions_max = 100

        [rules]
        identity = "registered"
        balances = true
        fee_min = 0

        {}"#,
        bootstrap.public_key(),
        accounts.concat()
    )
}

fn join(spec: &ChainSpec, region: &str, key: &KeyPair, now_us: u64) -> anyhow::Result<Transaction> {
    let words = ["routing", "storage", "consensus"];
    let joins = Payload::Register(Register {
        keys: KeySet::single(key.public_key())?,
        recovery: None,
        stake: STAKE,
        attester: None,
        profile: Profile {
            node_type: "hub".to_owned(),
            role: "hub".to_owned(),
            region: region.to_owned(),
            network_address: format!("wss://{region}.example.org:6666"),
            capabilities: words.map(str::to_owned).to_vec(),
        },
    });
    let name = format!("hub_{region}");
    let draft = Draft {
        kind: Kind::Native,
        chain: spec.id(),
        receiver: name.clone(),
        sender: name,
        operation: Operation::FederationJoin,
        amount: 0,
        payload: joins.encode(),
        timestamp: now_us,
        expiry: 0,
        fee: 0,
        nonce: 1,
    };
    Ok(draft.sign(&[key])?)
}

fn main() -> anyhow::Result<()> {
    let bootstrap = KeyPair::from_seed(&[1; 32]);
    let spec = ChainSpec::from_toml(&specification(&bootstrap))?;
    let clock = Arc::new(ByHand(AtomicU64::new(GENESIS_US)));
    let engine = Engine::builder()
        .threads(1)
        .clock(clock.clone())
        .create(StoreUrl::Memory.create()?, &spec)?;
    let view = Box::new(RegistryView::new(spec.clone()));
    let store = StoreUrl::Memory.create()?;
    let views = Views::open(store, engine.reader(), vec![view], Settings::default())?;
    let reader = views.reader(RegistryView::NAME)?;
    let following = views.follow(&engine, "services")?;
    println!(
        "chain {:?}: a block every {} s, at most {} transactions",
        spec.name,
        spec.terms.block_time_us / 1_000_000,
        spec.limits.transactions_max
    );

    for region in REGIONS {
        clock.0.fetch_add(BLOCK_US, Ordering::Relaxed);
        let joins = join(&spec, region, &key_of(region), clock.now_us())?;
        let ticket = engine.submit(joins, WhenFull::Wait)?;
        ensure!(ticket.wait()?.is_ok(), "a hub can't join");
        engine.produce(&bootstrap)?;
    }
    let head = engine.head()?;
    following.wait_for(head.height)?;

    let registry = Registry::new(reader.snapshot()?);
    println!("hubs after block {}:", head.height);
    let criteria = Criteria {
        facets: &[Facet::Role("hub"), Facet::Capability("consensus")],
        alive_at: Some(clock.now_us()),
    };
    let hubs = registry.find(criteria, 0, 100)?;
    ensure!(hubs.len() == REGIONS.len(), "all have joined");
    for number in hubs {
        let name = registry.name(number)?.context("a hub has a name")?;
        let node = registry.node(&name)?.context("the name is a node's")?;
        println!(
            "  {name:<18} {:<13} stake {}  since block {} ({} s after genesis)  {}",
            node.profile.region,
            node.stake,
            node.registered.height,
            (node.registered.timestamp - GENESIS_US) / 1_000_000,
            node.profile.capabilities.join(", ")
        );
        let row = proof::of_row(&name, &engine.reader())?.context("the chain has a state root")?;
        let shown = proof::check_row(&row, &name, &head.hash())?.context("it is registered")?;
        ensure!(shown.stake == STAKE && shown.is_member, "as the state says");
    }
    println!("each is proved by the state root of block {}", head.height);
    following.stop()?;
    engine.shutdown()?;
    Ok(())
}
