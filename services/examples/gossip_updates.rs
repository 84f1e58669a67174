//! Two hubs of a chain whose last blocks can be replaced. One hub tells what nodes say of their state, which hubs join, and what is traded; the other has
//! made a block of its own meanwhile, names it, and gets all that it lacks since both went apart, in small answers, each update with a proof.
//!
//! Run it with `cargo run -p hubledger-services --example gossip_updates`.

use anyhow::{Context, ensure};
use hubledger::clock::{Clock, SystemClock};
use hubledger::digest::BlockHash;
use hubledger::engine::{Engine, Outcome, WhenFull};
use hubledger::model::{Draft, Kind, Operation};
use hubledger::signature::KeyPair;
use hubledger::spec::{ChainSpec, Finality};
use hubledger::tree::Source;
use hubledger_services::queue::Pattern;
use hubledger_services::updates::{Interests, StateUpdate, UpdatePayload, Updates, UpdatesView};
use hubledger_services::view::{Following, Settings, ViewReader, Views};
use hubledger_storage::{RangeLimit, StoreUrl};

/// A hub with its chain and its view.
struct Hub {
    name: &'static str,
    engine: Engine,
    key: KeyPair,
    following: Following,
    updates: ViewReader,
}

impl Hub {
    fn start(name: &'static str, key: KeyPair, spec: &ChainSpec) -> anyhow::Result<Self> {
        let engine = Engine::builder()
            .threads(1)
            .create(StoreUrl::Memory.create()?, spec)?;
        let views = Views::open(
            StoreUrl::Memory.create()?,
            engine.reader(),
            vec![Box::new(UpdatesView)],
            Settings::default(),
        )?;
        Ok(Self {
            name,
            updates: views.reader(UpdatesView::NAME)?,
            following: views.follow(&engine, "services")?,
            engine,
            key,
        })
    }

    /// Makes a block of what it says, each with the operation that goes with it.
    fn make_block(&self, said: &[(Operation, Vec<u8>)]) -> anyhow::Result<()> {
        let nonce = self.engine.state().account(self.name).nonce;
        for (number, (operation, payload)) in (1..).zip(said) {
            let draft = Draft {
                kind: Kind::Native,
                chain: self.engine.spec().id(),
                sender: self.name.to_owned(),
                receiver: "federation".to_owned(),
                operation: *operation,
                amount: 0,
                payload: payload.clone(),
                timestamp: SystemClock.now_us(),
                expiry: 0,
                fee: 0,
                nonce: nonce + number,
            };
            let transaction = draft.sign(&[&self.key])?;
            let verdict = self.engine.submit(transaction, WhenFull::Wait)?.wait()?;
            ensure!(verdict.is_ok(), "our own transaction is refused");
        }
        let made = self.engine.produce(&self.key)?;
        ensure!(matches!(made, Outcome::Committed(_)), "{made:?}");
        Ok(())
    }

    /// Takes in the blocks of another hub from a height on, all that there are.
    fn take(&self, other: &Self, from: u64) -> anyhow::Result<()> {
        for height in from..=other.engine.head()?.height {
            let block = other
                .engine
                .block(height)?
                .context("a block above genesis")?;
            self.engine.offer_branch(&block, Source::of(other.name))?;
        }
        Ok(())
    }

    /// What its view knows once it has seen the last block.
    fn updates(&self) -> anyhow::Result<Updates> {
        self.following.wait_for(self.engine.head()?.height)?;
        Ok(Updates::new(self.updates.snapshot()?, self.engine.reader()))
    }
}

fn load(version: u64, state: &str) -> (Operation, Vec<u8>) {
    let said = UpdatePayload::StateUpdate(StateUpdate {
        update_type: "load".to_owned(),
        version,
        state: state.as_bytes().to_vec(),
    });
    (Operation::NodeUpdate, said.encode())
}

fn trade(topic: &str) -> (Operation, Vec<u8>) {
    let said = format!("{{\"action\":\"enqueue\",\"topic\":\"{topic}\",\"body\":\"10 at 99.5\"}}");
    (Operation::Message, said.into_bytes())
}

fn main() -> anyhow::Result<()> {
    // Either of both may make blocks, and a block is final once three follow it.
    let (east, west) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    let toml = format!(
        "format = 2\nname = \"gossip\"\ngenesis_time = 1_700_000_000_000_000\n[consensus]\nkind = \"proof_of_authority\"\n\
         [[consensus.authorities]]\nname = \"us_east\"\nkey = \"{}\"\n[[consensus.authorities]]\nname = \"us_west\"\nkey = \"{}\"",
        east.public_key(),
        west.public_key()
    );
    let mut fields = (*ChainSpec::from_toml(&toml)?).clone();
    fields.terms.finality = Finality::Depth(3);
    let spec = ChainSpec::new(fields)?;
    let east = Hub::start("us_east", east, &spec)?;
    let west = Hub::start("us_west", west, &spec)?;

    // Both have block 1. Then each makes a block 2 of its own, and us_east goes on.
    east.make_block(&[load(1, "{\"queue\":3}")])?;
    west.take(&east, 1)?;
    west.make_block(&[load(1, "{\"queue\":0}")])?;
    let join = b"{\"region\":\"asia_pacific\"}".to_vec();
    east.make_block(&[load(2, "{\"queue\":8}"), trade("trades.eu")])?;
    east.make_block(&[(Operation::FederationJoin, join), trade("trades.us")])?;
    east.make_block(&[load(3, "{\"queue\":1}"), trade("trades.eu")])?;

    // us_west names its last block. us_east was offered that once, and so knows where it went apart from the chain.
    let named = west.engine.head()?.hash();
    east.take(&west, 2)?;
    let updates = east.updates()?;
    let head = east.engine.head()?.hash();
    let common = |hash: &BlockHash| east.engine.common_ancestor(&head, hash);
    let base = updates
        .base(&[named], &common)?
        .context("the block is known")?;
    println!(
        "us_west names a block {} that was replaced: both have block {} in common",
        west.engine.head()?.height,
        base.height
    );

    // It asks for nodes, the registry and one topic, two updates at a time, and checks each against the head's hash alone.
    let interests = Interests {
        nodes: true,
        registry: true,
        topics: vec![Pattern::new("trades.*").context("a pattern")?],
    };
    let limit = RangeLimit {
        rows: 2,
        bytes: 1 << 20,
    };
    let (mut next, mut answers, mut count) = (Some((base.height + 1, 0)), 0, 0);
    while let Some(from) = next {
        let answer = updates.since(&interests, from, limit)?;
        for update in &answer.updates {
            let transaction = update.transaction.as_ref().context("nothing was pruned")?;
            let proof = update.recorded.prove(&east.engine.reader(), Some(&head))?;
            let proven = proof.verify(&head).context("the proof just made")?;
            ensure!(proven.id == transaction.id(), "it proves something else");
            println!(
                "block {}: {} from {}, proved by {} bytes",
                proven.height,
                update.stream.word(),
                transaction.sender(),
                proof.encode().len()
            );
            count += 1;
        }
        next = answer.next;
        answers += 1;
    }
    println!("{count} updates in {answers} answers");

    let state = updates.state("us_east", "load")?.context("it said so")?;
    println!(
        "us_east last said of its load: {}",
        String::from_utf8_lossy(&state.state)
    );
    for hub in [east, west] {
        hub.following.stop()?;
        hub.engine.shutdown()?;
    }
    Ok(())
}
