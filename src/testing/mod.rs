//! Chains for tests (feature `testing`): keys from names, a growing chain in a validator, and blocks that were tampered with.
//!
//! For tests of this library and of what is built on it. Everything panics where a program would return an error, and keys
//! follow from names, so that nothing here is fit for a chain that anybody relies on.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

pub mod best_branch;
pub mod branches;
pub mod composed;
pub mod federation;
pub mod members;
pub mod spoiled;
pub mod stakes;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::FixedClock;
use crate::engine::{self, Engine};
use crate::format::FormatVersion;
use crate::format::digest::Digest;
use crate::format::merkle;
use crate::format::model::{
    Block, Draft, Header, HeaderFields, Kind, Operation, Scheme, Seal, Transaction, VectorClock,
    Witness,
};
use crate::format::rejection::{Reason, Rejected};
use crate::format::signature::{KeyPair, Signature};
use crate::format::spec::{
    Authority, ChainSpec, Consensus, InitialAccount, Limits, Predecessor, ProofOfAuthority, Rules,
    SpecFields, Terms,
};
use crate::generate::{Generator, Recipe};
use crate::ledger::{Ledger, Staging};
use crate::rules::produce::produce_by;
use crate::rules::{Depth, ValidBlock, Validator};
use crate::state::State;
use bytes::Bytes;
use hubledger_storage::{MemoryStore, Store, StoreUrl};
use sha2::{Digest as _, Sha256};

/// When genesis is, in microseconds since 1970.
pub const GENESIS_TIME: u64 = 1_700_000_000_000_000;
/// A second, in microseconds.
pub const SECOND: u64 = 1_000_000;

/// The key pair of whoever is called `name`.
pub fn key(name: &str) -> KeyPair {
    KeyPair::from_seed(&Sha256::digest(name).into())
}

/// The `number`th authority's name.
pub fn hub(number: usize) -> String {
    format!("hub-{number}")
}

/// A specification of version 1 with the authorities `hub-0`, `hub-1`, … and the default limits and rules.
pub fn spec_fields(authorities: usize) -> SpecFields {
    let authorities = (0..authorities).map(hub).map(|name| Authority {
        key: key(&name).public_key(),
        name,
        weight: 1,
    });
    SpecFields {
        version: FormatVersion::V1,
        name: "test".to_owned(),
        genesis_time: GENESIS_TIME,
        consensus: Consensus::ProofOfAuthority(ProofOfAuthority {
            authorities: authorities.collect(),
            round_robin: false,
        }),
        limits: Limits::default(),
        rules: Rules::default(),
        terms: Terms::default(),
        accounts: BTreeMap::new(),
        import: None,
        predecessor: None,
    }
}

/// An account of `name`'s own key.
pub fn account(name: &str, balance: u64) -> (String, InitialAccount) {
    let key = Some(key(name).public_key());
    (name.to_owned(), InitialAccount { key, balance })
}

/// An empty store in memory.
pub fn memory() -> Store {
    let url: StoreUrl = "memory:".parse().unwrap();
    url.create().unwrap()
}

/// An empty store in memory that can be opened again.
pub fn reopenable() -> MemoryStore {
    MemoryStore::new()
}

/// A clock that stands at a time, in microseconds since 1970.
pub fn clock(now_us: u64) -> Arc<FixedClock> {
    Arc::new(FixedClock(now_us))
}

/// The fields of a block's header, to be changed.
pub fn fields(block: &Block) -> HeaderFields {
    (**block.header()).clone()
}

/// A block of these very header fields, sealed by `sealer`.
pub fn sealed(fields: HeaderFields, sealer: &KeyPair, transactions: &[Transaction]) -> Block {
    let header = Header::new(fields).unwrap();
    let seal = Seal::by_authority(sealer, &header.hash());
    Block::assemble(header, seal, transactions).unwrap()
}

/// The block with other header fields under the seal that it had: what somebody without a key can do.
pub fn rewritten(block: &Block, change: impl FnOnce(&mut HeaderFields)) -> Block {
    let mut fields = fields(block);
    change(&mut fields);
    let header = Header::new(fields).unwrap();
    Block::assemble(header, block.seal().clone(), block.transactions()).unwrap()
}

/// A clock of these entries.
pub fn entries(entries: &[(&str, u64)]) -> VectorClock {
    VectorClock::new(
        entries
            .iter()
            .map(|&(node, counter)| (node.to_owned(), counter)),
    )
    .unwrap()
}

/// A native witness of a key over whatever `message`.
pub fn witness(signer: &KeyPair, message: &[u8]) -> Witness {
    Witness {
        scheme: Scheme::Native,
        key: signer.public_key(),
        signature: signer.sign(message),
    }
}

/// The transaction with one bit of its first signature's scalar flipped.
pub fn corrupt_signature(transaction: &Transaction) -> Transaction {
    let mut bytes = transaction.bytes().to_vec();
    let witness = bytes.len() - transaction.witness_bytes().len();
    bytes[witness + 1 + 33 + 40] ^= 1;
    Transaction::decode(bytes.into()).unwrap()
}

/// A signature that verifies under no key: all zeros.
pub fn no_signature() -> Signature {
    Signature::from_bytes([0; 64])
}

/// A growing chain, kept by a sequential validator.
#[derive(Clone)]
pub struct Chain {
    /// Whose state is that after the last block.
    pub validator: Validator,
    /// All blocks, genesis first.
    pub blocks: Vec<Block>,
    calls_by_key: bool,
}

impl Chain {
    /// The chain of [`spec_fields`] after `change`.
    pub fn new(authorities: usize, change: impl FnOnce(&mut SpecFields)) -> Self {
        let mut fields = spec_fields(authorities);
        change(&mut fields);
        Self::of(ChainSpec::new(fields).unwrap())
    }

    /// The same in a version of the format. Its blocks name no state root unless `change` says so.
    pub fn in_version(
        version: FormatVersion,
        authorities: usize,
        change: impl FnOnce(&mut SpecFields),
    ) -> Self {
        Self::new(authorities, |fields| {
            fields.version = version;
            change(fields);
        })
    }

    /// This chain under a specification that takes over from the present one behind the last block: that of version 2 with
    /// the same fields, after `change`.
    pub fn succeeded(&self, change: impl FnOnce(&mut SpecFields)) -> Self {
        let mut fields = (**self.spec()).clone();
        fields.version = FormatVersion::V2;
        fields.accounts = BTreeMap::new();
        fields.import = None;
        fields.predecessor = Some(Predecessor {
            specification: self.spec().clone(),
            height: self.state().height(),
            head: self.state().head(),
            state_root: self.state().pinned_root(),
        });
        change(&mut fields);
        let mut chain = Self::of(ChainSpec::new(fields).unwrap());
        for block in &self.blocks[1..] {
            chain.push(block.clone());
        }
        chain
    }

    /// The chain that a recipe makes up, all of it.
    pub fn generated(recipe: Recipe) -> Self {
        let mut generator = Generator::new(recipe).unwrap();
        let mut chain = Self::of(generator.spec().clone());
        while let Some(block) = generator.next_block().unwrap() {
            chain.push(block);
        }
        chain
    }

    /// The chain of a specification, with its genesis.
    pub fn of(spec: ChainSpec) -> Self {
        let blocks = vec![spec.genesis()];
        Self {
            validator: Validator::new(spec),
            blocks,
            calls_by_key: false,
        }
    }

    /// Its specification.
    pub fn spec(&self) -> &ChainSpec {
        self.validator.spec()
    }

    /// The state after the last block.
    pub fn state(&self) -> &State {
        self.validator.state()
    }

    /// The last block.
    pub fn last(&self) -> &Block {
        self.blocks.last().unwrap()
    }

    /// When the next block is made, if nobody says otherwise.
    pub fn now(&self) -> u64 {
        self.state().timestamp() + SECOND
    }

    /// The same chain, in which everybody is called by the own key where names are keys.
    #[must_use]
    pub fn by_key(self) -> Self {
        let calls_by_key = true;
        Self {
            calls_by_key,
            ..self
        }
    }

    /// What somebody is called here.
    pub fn name(&self, somebody: &str) -> String {
        match self.calls_by_key {
            true => key(somebody).public_key().to_string(),
            false => somebody.to_owned(),
        }
    }

    /// A message of `sender`, to be changed.
    pub fn draft(&self, sender: &str, nonce: u64) -> Draft {
        Draft {
            kind: Kind::Native,
            chain: self.spec().id(),
            sender: self.name(sender),
            receiver: "everyone".to_owned(),
            operation: Operation::Message,
            amount: 0,
            payload: format!("{sender} says {nonce}").into_bytes(),
            timestamp: self.now(),
            expiry: 0,
            fee: self.spec().rules.fee_min,
            nonce,
        }
    }

    /// A message that its sender signed.
    pub fn message(&self, sender: &str, nonce: u64) -> Transaction {
        self.signed(sender, nonce, |_| {})
    }

    /// The draft after `change`, signed by its sender.
    pub fn signed(&self, sender: &str, nonce: u64, change: impl FnOnce(&mut Draft)) -> Transaction {
        let mut draft = self.draft(sender, nonce);
        change(&mut draft);
        draft.sign(&[&key(sender)]).unwrap()
    }

    /// A transfer that its sender signed.
    pub fn transfer(
        &self,
        sender: &str,
        receiver: &str,
        (amount, fee): (u64, u64),
        nonce: u64,
    ) -> Transaction {
        self.signed(sender, nonce, |draft| {
            draft.operation = Operation::Transfer;
            draft.receiver = self.name(receiver);
            draft.amount = amount;
            draft.fee = fee;
        })
    }

    /// The next block by `producer`, as an honest hub makes it, with the seal that the chain asks for.
    pub fn block_by(&self, producer: &str, transactions: &[Transaction]) -> Block {
        self.block_at(producer, transactions, self.now())
    }

    /// The same at a time in microseconds since 1970.
    pub fn block_at(&self, producer: &str, transactions: &[Transaction], now: u64) -> Block {
        let (spec, state) = (self.spec(), self.state());
        let keys = self.seal_keys(producer);
        let keys: Vec<&KeyPair> = keys.iter().collect();
        produce_by(spec, state, producer, &keys, transactions, now).unwrap()
    }

    /// The next block by [whoever makes it](Chain::producer).
    pub fn block(&self, transactions: &[Transaction]) -> Block {
        self.block_by(&self.producer(), transactions)
    }

    /// The next block with other header fields, sealed by who makes it all the same: what an authority can do.
    pub fn forged(
        &self,
        transactions: &[Transaction],
        change: impl FnOnce(&mut HeaderFields),
    ) -> Block {
        let mut fields = fields(&self.block(transactions));
        change(&mut fields);
        self.sealed_as(&self.producer(), fields, transactions)
    }

    /// Checks the next block, at the time when it would be made.
    pub fn check(&self, block: &Block) -> Result<ValidBlock, Rejected> {
        self.check_at(block, self.now())
    }

    /// Checks the next block, at a time in microseconds since 1970.
    pub fn check_at(&self, block: &Block, now_us: u64) -> Result<ValidBlock, Rejected> {
        self.validator.check(block, Depth::Full { now_us })
    }

    /// Why the next block is refused: by the validator, and alike by a ledger and by an engine that get its bytes.
    #[track_caller]
    pub fn refusal(&self, block: &Block) -> (Option<u32>, Reason) {
        let rejected = self
            .check(block)
            .expect_err("the validator has to refuse this block");
        assert_eq!(rejected.height, block.height());
        if block.height() > self.state().height() {
            let offered = self.offer(&block.encode());
            assert_eq!(
                offered,
                Staging::Rejected(rejected.clone()),
                "the ledger's verdict"
            );
            assert_eq!(
                self.offer_to_engine(block),
                [engine::Outcome::Rejected(rejected.clone())],
                "the engine's verdict"
            );
        }
        (rejected.transaction, rejected.reason)
    }

    /// What a ledger that holds this chain makes of the bytes of a block. The ledger's state stays as it was unless
    /// the block is staged.
    #[track_caller]
    pub fn offer(&self, bytes: &[u8]) -> Staging {
        let mut ledger = self.ledger();
        let outcome = ledger.stage_bytes(&Bytes::copy_from_slice(bytes)).unwrap();
        if outcome != Staging::Staged {
            assert_eq!(
                ledger.state(),
                self.state(),
                "a refused block leaves no trace"
            );
        }
        outcome
    }

    /// What an engine that holds this chain makes of a block.
    fn offer_to_engine(&self, block: &Block) -> Vec<engine::Outcome> {
        let builder = Engine::builder().threads(2).clock(clock(self.now()));
        let engine = builder.create(memory(), self.spec()).unwrap();
        let held = self.blocks[1..].iter().map(|held| held.encode().into());
        for outcome in engine.import(held) {
            let outcome = outcome.unwrap();
            assert!(matches!(outcome, engine::Outcome::Committed(_)));
        }
        let offered = engine.import([block.encode().into()]);
        offered.map(Result::unwrap).collect()
    }

    /// A ledger in memory that holds this chain.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::create(memory(), self.spec(), clock(self.now())).unwrap();
        for block in &self.blocks[1..] {
            assert_eq!(ledger.stage(block).unwrap(), Staging::Staged);
        }
        ledger.commit().unwrap();
        ledger
    }

    /// Appends a block that has to be valid.
    #[track_caller]
    pub fn push(&mut self, block: Block) {
        let valid = self.check(&block).expect("a valid block");
        self.validator.apply(&valid);
        self.blocks.push(block);
    }

    /// Appends a block by whoever makes it.
    #[track_caller]
    pub fn extend(&mut self, transactions: &[Transaction]) {
        self.push(self.block(transactions));
    }
}

/// The RFC 9162 root over the transactions' leaves.
pub fn merkle_root(transactions: &[Transaction]) -> Digest {
    let leaves: Vec<Digest> = transactions.iter().map(Transaction::leaf_hash).collect();
    merkle::root(&leaves)
}

/// Numbers that look random and are the same in every run (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }
}
