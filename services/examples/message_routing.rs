//! Alice writes to bob by way of hub_us, hub_eu and node_bob. The message and one proof a hop are in one block, and the receipt that follows convinces somebody who has
//! nothing but the hash of a block.
//!
//! Run it with `cargo run -p hubledger-services --example message_routing`.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hubledger::digest::TransactionId;
use hubledger::engine::{Engine, Outcome, WhenFull};
use hubledger::model::{Draft, Kind, Operation, Transaction};
use hubledger::signature::KeyPair;
use hubledger::spec::ChainSpec;
use hubledger_services::route::{
    Aim, MessageForward, Receipt, RoutePayload, RouteView, RoutedMessage, Routes, RoutingFee,
    Search,
};
use hubledger_services::view::{Settings, Views};
use hubledger_storage::StoreUrl;

/// What the hubs of this chain have agreed on.
const FEE: RoutingFee = RoutingFee {
    base: 10,
    per_hop: 5,
};
const WAY: [&str; 3] = ["hub_us", "hub_eu", "node_bob"];
/// How long each hop takes, as the nodes will say.
const HOP: Duration = Duration::from_millis(40);

fn main() -> Result<(), Box<dyn Error>> {
    let spec = ChainSpec::from_toml(&specification())?;
    let store = "memory:".parse::<StoreUrl>()?.create()?;
    let engine = Engine::builder().threads(2).create(store, &spec)?;
    let rows = "memory:".parse::<StoreUrl>()?.create()?;
    let views = Views::open(
        rows,
        engine.reader(),
        vec![Box::new(RouteView)],
        Settings::default(),
    )?;
    let reader = views.reader(RouteView::NAME)?;
    let following = views.follow(&engine, "views")?;

    let sent = now()?;
    let said = RoutedMessage {
        path: WAY.map(str::to_owned).to_vec(),
        body: b"Hello, bob!".to_vec(),
    };
    let said = RoutePayload::RoutedMessage(said);
    let mut message = draft(&engine, "alice", "bob", Operation::Message, sent);
    (message.payload, message.fee) = (said.encode(), FEE.of(WAY.len()));
    let message = sign(&message)?;
    println!(
        "alice pays {} for {} hops of message {}",
        message.fee(),
        WAY.len(),
        message.id()
    );
    submit(&engine, &message)?;
    for (number, node) in (0..).zip(WAY) {
        let at = sent + HOP * (number + 1);
        submit(&engine, &hop(&engine, node, message.id(), number, at)?)?;
    }
    // The first node on the way seals the block.
    let Outcome::Committed(block) = engine.produce(&key("hub_us"))? else {
        return Err("our own block was not committed".into());
    };
    println!(
        "block {} has the message and {} hops",
        block.height,
        WAY.len()
    );

    following.wait_for(block.height)?;
    let routes = Routes::new(reader.snapshot()?);
    let path = routes
        .path(&message.id())?
        .ok_or("the message is unknown")?;
    for hop in &path.hops {
        let latency = path.latency(hop.number).map_or(0, |latency| latency / 1000);
        println!("  hop {}: {} after {latency} ms", hop.number, hop.node);
    }

    // Delivery is proved by the message's id. Whoever gets the receipt needs no chain, and nothing but the hash of a block that it trusts.
    let receipt = routes.receipt(&engine.reader(), &message.id(), None)?;
    let bytes = receipt.encode();
    let delivery = Receipt::decode(&bytes.clone().into())?.verify(&block.hash)?;
    let last = delivery.hops.last().ok_or("no hops")?;
    println!(
        "{} bytes prove it: the message arrived at {} after {} hops",
        bytes.len(),
        last.node,
        delivery.hops.len()
    );
    for aim in [Aim::Cheapest, Aim::Fastest] {
        if let Search::Found(route) = routes.search("alice", "node_bob", aim)? {
            let latency = route.latency.map_or(0, |latency| latency / 1000);
            println!(
                "{aim:?} way to node_bob: {} hops, fee {}, {latency} ms",
                route.hops.len(),
                route.fee
            );
        }
    }
    following.stop()?;
    engine.shutdown()?;
    Ok(())
}

/// A chain for messages: a block every 5 seconds, of at most 10,000 transactions.
fn specification() -> String {
    format!(
        r#"
        format = 2
        name = "message_routing"
        genesis_time = 1_700_000_000_000_000
        block_time_us = 5_000_000

        [limits]
        transactions_max = 10_000

        [consensus]
        kind = "proof_of_authority"

        [[consensus.authorities]]
        name = "hub_us"
        key = "{}"
        "#,
        key("hub_us").public_key()
    )
}

/// Keys that everybody knows, for an example. Real ones come from files.
fn key(name: &str) -> KeyPair {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    KeyPair::from_seed(&seed)
}

/// What a node says when it has had a message.
fn hop(
    engine: &Engine,
    node: &str,
    message: TransactionId,
    hop_number: u32,
    at: Duration,
) -> Result<Transaction, Box<dyn Error>> {
    let said = RoutePayload::MessageForward(MessageForward {
        original_message_id: message,
        hop_number,
        timestamp: u64::try_from(at.as_micros())?,
        next_hop: None,
    });
    let operation = Operation::NodeUpdate;
    let mut draft = draft(engine, node, "routing_registry", operation, at);
    (draft.payload, draft.fee) = (said.encode(), 1);
    sign(&draft)
}

fn draft(
    engine: &Engine,
    sender: &str,
    receiver: &str,
    operation: Operation,
    at: Duration,
) -> Draft {
    Draft {
        kind: Kind::Native,
        chain: engine.spec().id(),
        sender: sender.to_owned(),
        receiver: receiver.to_owned(),
        operation,
        amount: 0,
        payload: Vec::new(),
        timestamp: at.as_micros() as u64,
        expiry: 0,
        fee: 0,
        nonce: engine.state().account(sender).nonce + 1,
    }
}

fn sign(draft: &Draft) -> Result<Transaction, Box<dyn Error>> {
    Ok(draft.sign(&[&key(&draft.sender)])?)
}

fn submit(engine: &Engine, transaction: &Transaction) -> Result<(), Box<dyn Error>> {
    let ticket = engine.submit(transaction.clone(), WhenFull::Wait)?;
    let taken = ticket.wait()?;
    taken.map_err(|fault| format!("refused: {fault:?}"))?;
    Ok(())
}

fn now() -> Result<Duration, Box<dyn Error>> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}
