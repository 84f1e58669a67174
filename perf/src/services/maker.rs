//! Making chains of what services are told, block by block, with senders whose nonces are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use hubledger::clock::SystemClock;
use hubledger::digest::TransactionId;
use hubledger::generate::{Generator, Recipe};
use hubledger::ledger::{ChainReader, Ledger, Staging};
use hubledger::model::{Block, Draft, Kind, Operation, Transaction};
use hubledger::rules::produce::produce;
use hubledger::signature::KeyPair;
use hubledger::spec::{ChainSpec, Identity};
use hubledger_storage::{Durability, Store};

/// Microseconds from block to block.
const BLOCK_INTERVAL_US: u64 = 1_000_000;

/// Whether transactions are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signed {
    /// By their senders, whose names their first keys pin.
    Yes,
    /// They aren't: for chains of which only the views count.
    No,
}

/// What somebody says.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) sender: String,
    pub(super) operation: Operation,
    pub(super) payload: Vec<u8>,
}

/// A chain that grows, in a store.
pub(super) struct Maker {
    ledger: Ledger,
    producer: String,
    /// It has the key that seals.
    generator: Generator,
    signed: Signed,
    /// Key and last nonce of each sender.
    senders: BTreeMap<String, (Option<KeyPair>, u64)>,
    waiting: Vec<Transaction>,
}

impl Maker {
    /// A chain with nothing but genesis.
    pub(super) fn new(store: Store, signed: Signed) -> Result<Self> {
        let generator = Generator::new(Recipe::default())?;
        let mut fields = (**generator.spec()).clone();
        "services".clone_into(&mut fields.name);
        if signed == Signed::No {
            fields.rules.identity = Identity::Open;
            fields.rules.witnesses_min = 0;
        }
        let spec = ChainSpec::new(fields)?;
        let mut ledger = Ledger::create(store, &spec, Arc::new(SystemClock))?;
        ledger.set_durability(Durability::Os);
        Ok(Self {
            ledger,
            producer: generator.authority().0.to_owned(),
            generator,
            signed,
            senders: BTreeMap::new(),
            waiting: Vec::new(),
        })
    }

    pub(super) fn spec(&self) -> &ChainSpec {
        self.ledger.spec()
    }

    /// Reads the chain.
    pub(super) fn reader(&self) -> ChainReader {
        self.ledger.reader()
    }

    /// Closes the store; whoever goes on with it has the key that seals from the generator.
    pub(super) fn close(self) -> Result<Generator> {
        self.ledger.close()?;
        Ok(self.generator)
    }

    /// The timestamp of the next block.
    fn now(&self) -> u64 {
        self.spec().genesis_time + (self.ledger.state().height() + 1) * BLOCK_INTERVAL_US
    }

    /// A transaction, the next one of its sender.
    pub(super) fn transaction(&mut self, said: Said) -> Result<Transaction> {
        let (chain, timestamp) = (self.spec().id(), self.now());
        let (key, nonce) = match self.senders.get_mut(&said.sender) {
            Some(sender) => sender,
            None => {
                let key = (self.signed == Signed::Yes).then(|| key_of(&said.sender));
                self.senders.entry(said.sender.clone()).or_insert((key, 0))
            }
        };
        *nonce += 1;
        let draft = Draft {
            kind: Kind::Native,
            chain,
            receiver: said.sender.clone(),
            sender: said.sender,
            operation: said.operation,
            amount: 0,
            payload: said.payload,
            timestamp,
            expiry: 0,
            fee: 0,
            nonce: *nonce,
        };
        Ok(match key {
            Some(key) => draft.sign(&[key])?,
            None => draft.with_witnesses(Vec::new())?,
        })
    }

    /// Has somebody say something in the next block.
    pub(super) fn say(&mut self, said: Said) -> Result<TransactionId> {
        let transaction = self.transaction(said)?;
        let id = transaction.id();
        self.waiting.push(transaction);
        Ok(id)
    }

    /// So many were said since the last block.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Makes a block of all that was said since the last one.
    pub(super) fn block(&mut self) -> Result<Block> {
        let key = self.generator.authority().1;
        let block = produce(
            self.ledger.spec(),
            self.ledger.state(),
            &self.producer,
            key,
            &self.waiting,
            self.now(),
        )?;
        self.waiting.clear();
        let staging = self.ledger.submit(&block)?;
        ensure!(
            staging == Staging::Staged,
            "block {} isn't valid: {staging:?}",
            block.height()
        );
        Ok(block)
    }
}

/// The key of a sender, which follows from its name.
pub(super) fn key_of(name: &str) -> KeyPair {
    let mut seed = [7; 32];
    for (at, byte) in name.bytes().enumerate() {
        seed[at % 32] ^= byte.rotate_left(at as u32 / 32);
    }
    KeyPair::from_seed(&seed)
}
