//! Two hubs that make blocks of one height, how they come to one chain, and what whoever follows each of them is told meanwhile: the story of
//! blocks that came and went adds up to the chain, for both.
//!
//! Run it with `cargo run --example fork`.

use std::task::Poll;

use anyhow::{bail, ensure};
use hubledger::clock::{Clock, SystemClock};
use hubledger::digest::BlockHash;
use hubledger::engine::{Change, Engine, Fate, Follower, Outcome, WhenFull};
use hubledger::format::FormatVersion;
use hubledger::generate::{Generator, Recipe};
use hubledger::model::{Draft, Kind, Operation, Transaction};
use hubledger::signature::KeyPair;
use hubledger::spec::{ChainSpec, Finality};
use hubledger::tree::Source;
use hubledger_storage::StoreUrl;

struct Hub {
    name: &'static str,
    engine: Engine,
    follower: Follower,
    /// The chain as the follower was told of it.
    story: Vec<BlockHash>,
}

impl Hub {
    fn open(name: &'static str, spec: &ChainSpec) -> anyhow::Result<Self> {
        let store = "memory:".parse::<StoreUrl>()?.create()?;
        let engine = Engine::builder().threads(1).create(store, spec)?;
        let follower = engine.register("search", 0)?;
        Ok(Self {
            name,
            engine,
            follower,
            story: Vec::new(),
        })
    }

    fn make_blocks(&self, count: u32, key: &KeyPair) -> anyhow::Result<()> {
        for _ in 0..count {
            let made = self.engine.produce(key)?;
            ensure!(matches!(made, Outcome::Committed(_)), "{made:?}");
        }
        Ok(())
    }

    /// Takes in all blocks of another hub. They may come in any order: those whose parent is missing wait for it.
    fn meet(&self, other: &Self) -> anyhow::Result<()> {
        let source = Source::of(other.name);
        for height in (1..=other.engine.head()?.height).rev() {
            if let Some(block) = other.engine.block(height)? {
                self.engine.offer_branch(&block, source)?;
            }
        }
        Ok(())
    }

    /// Takes all that the follower has, tells of it, and checks that it adds up.
    fn follow(&mut self) -> anyhow::Result<()> {
        while let Poll::Ready(Some(change)) = self.follower.try_next() {
            match change? {
                Change::Committed { block } => {
                    let height = block.height();
                    println!("{}: block {height} came", self.name);
                    ensure!(height == self.story.len() as u64, "a block was left out");
                    self.story.push(block.hash());
                }
                Change::Reverted { height, hash } => {
                    println!("{}: block {height} went", self.name);
                    ensure!(self.story.pop() == Some(hash), "another block went");
                }
            }
        }
        let Some(head) = self.story.last() else {
            bail!("there is a first block");
        };
        ensure!(*head == self.engine.head()?.hash(), "it isn't the chain");
        self.follower.finished(self.story.len() as u64 - 1)?;
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    // Whoever has the authority's key can make two blocks of one height, by mistake or not. Here a block is final once three follow it.
    let generator = Generator::new(Recipe {
        transactions: 1,
        ..Recipe::default()
    })?;
    let (_, key) = generator.authority();
    let mut fields = (**generator.spec()).clone();
    fields.version = FormatVersion::V2;
    fields.terms.finality = Finality::Depth(3);
    let spec = ChainSpec::new(fields)?;
    let (mut one, mut other) = (Hub::open("one", &spec)?, Hub::open("other", &spec)?);

    // A message is in a block of the one hub, the other makes three without it.
    let message = submit(&one.engine, "alice", 2)?;
    one.make_blocks(2, key)?;
    other.make_blocks(3, key)?;
    one.follow()?;
    other.follow()?;

    // They meet: both go on with the heavier branch, and the message waits again.
    one.meet(&other)?;
    other.meet(&one)?;
    one.follow()?;
    other.follow()?;
    ensure!(one.story == other.story, "both have the same chain");
    println!("both hubs agree at height {}", one.story.len() - 1);
    // What is submitted is judged in order: Bob's, which comes later, has its answer, so Alice's has too.
    submit(&one.engine, "bob", 3)?;
    let fate = one.engine.fate(&message)?;
    ensure!(fate == Fate::Waits, "{fate:?}");
    println!("the message waits again");

    // It is in the next block, and there for good once three follow.
    one.make_blocks(4, key)?;
    other.meet(&one)?;
    for hub in [&mut one, &mut other] {
        hub.follow()?;
        let fate = hub.engine.wait_fate(&message, Fate::is_final)?;
        println!("{}: the message: {fate:?}", hub.name);
        hub.engine.shutdown()?;
    }
    ensure!(one.story == other.story, "both have the same chain");
    Ok(())
}

/// A message that is admitted.
fn submit(engine: &Engine, sender: &str, seed: u8) -> anyhow::Result<Transaction> {
    let draft = Draft {
        kind: Kind::Native,
        chain: engine.spec().id(),
        sender: sender.to_owned(),
        receiver: "carol".to_owned(),
        operation: Operation::Message,
        amount: 0,
        payload: b"meet me".to_vec(),
        timestamp: SystemClock.now_us(),
        expiry: 0,
        fee: 0,
        nonce: 1,
    };
    let message = draft.sign(&[&KeyPair::from_seed(&[seed; 32])])?;
    let ticket = engine.submit(message.clone(), WhenFull::Wait)?;
    let admission = ticket.wait()?;
    ensure!(admission.is_ok(), "{admission:?}");
    Ok(message)
}
