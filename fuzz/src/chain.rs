//! A small valid chain, the states between its blocks, and every proof that it gives.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use hubledger::clock::FixedClock;
use hubledger::digest::BlockHash;
use hubledger::format::FormatVersion;
use hubledger::generate::{Generator, Recipe};
use hubledger::ledger::{Ledger, Staging};
use hubledger::model::{Block, Transaction};
use hubledger::proof::Proof;
use hubledger::rules::{Depth, Validator};
use hubledger::signature::KeyPair;
use hubledger::spec::{
    Authority, ChainSpec, Consensus, Identity, InitialAccount, Limits, ProofOfAuthority, Rules,
    SpecFields, Terms,
};
use hubledger::state::State;
use hubledger_storage::StoreUrl;

/// Blocks after genesis: an odd number, so that history trees are unbalanced.
const BLOCKS: u64 = 11;
const PER_BLOCK: u32 = 5;

/// A proof that holds, and where.
#[derive(Debug, Clone)]
pub struct Genuine {
    /// The canonical encoding.
    pub bytes: Bytes,
    /// The proof.
    pub proof: Proof,
}

/// A generated chain, the same in every process.
#[derive(Debug)]
pub struct Chain {
    /// Its specification.
    pub spec: ChainSpec,
    /// Its blocks, genesis first.
    pub blocks: Vec<Block>,
    /// The state after each block.
    pub states: Vec<State>,
    /// Every transaction proof to the head, then every extension proof to it.
    pub proofs: Vec<Genuine>,
    encodings: HashSet<Bytes>,
}

static CHAIN: LazyLock<Chain> = LazyLock::new(Chain::generate);

impl Chain {
    /// The chain, generated at the first call.
    #[must_use]
    pub fn get() -> &'static Self {
        &CHAIN
    }

    /// The head that verifiers of its proofs trust.
    ///
    /// # Panics
    /// Never: the chain has blocks.
    #[must_use]
    pub fn head(&self) -> BlockHash {
        self.blocks.last().expect("genesis at least").hash()
    }

    /// Whether these bytes are a proof that the chain gave.
    #[must_use]
    pub fn gave(&self, proof: &[u8]) -> bool {
        self.encodings.contains(proof)
    }

    /// Whether a verifier who trusts the head, and the head before that an extension proof starts from, accepts `proof`.
    #[must_use]
    pub fn accepts(&self, proof: &Proof) -> bool {
        match proof {
            Proof::Transaction(proof) => proof.verify(&self.head()).is_ok(),
            Proof::State(proof) => proof.verify(&self.head()).is_ok(),
            Proof::Extension(proof) => self
                .blocks
                .iter()
                .any(|old| proof.verify(&old.hash(), &self.head()).is_ok()),
        }
    }

    fn generate() -> Self {
        let recipe = Recipe {
            transactions: BLOCKS * u64::from(PER_BLOCK) - 2,
            keys: 3,
            payload_bytes: 24,
            per_block: PER_BLOCK,
            seed: 7,
            version: FormatVersion::V2,
            ..Recipe::default()
        };
        let mut generator = Generator::new(recipe).expect("the recipe is small");
        let spec = generator.spec().clone();
        let mut validator = Validator::new(spec.clone());
        let mut blocks = vec![spec.genesis()];
        let mut states = vec![validator.state().clone()];
        while let Some(block) = generator.next_block().expect("the chain allows its recipe") {
            let valid = validator
                .check(&block, Depth::Replay)
                .expect("generated blocks are valid");
            validator.apply(&valid);
            blocks.push(block);
            states.push(validator.state().clone());
        }
        let proofs = prove_everything(&spec, &blocks);
        let encodings = proofs.iter().map(|genuine| genuine.bytes.clone()).collect();
        Self {
            spec,
            blocks,
            states,
            proofs,
            encodings,
        }
    }
}

fn prove_everything(spec: &ChainSpec, blocks: &[Block]) -> Vec<Genuine> {
    let store = StoreUrl::Memory.create().expect("memory is there");
    let clock = Arc::new(FixedClock(u64::MAX / 2));
    let mut ledger = Ledger::create(store, spec, clock).expect("an empty store takes any chain");
    for block in &blocks[1..] {
        let outcome = ledger.submit(block).expect("memory doesn't fail");
        assert_eq!(outcome, Staging::Staged, "generated blocks are valid");
    }
    let reader = ledger.reader();
    let mut proofs = Vec::new();
    for block in blocks {
        for index in 0..block.header().transaction_count {
            let proof = reader
                .prove(block.height(), index, None)
                .expect("the block is held");
            proofs.push(Proof::Transaction(proof));
        }
    }
    for old in &blocks[..blocks.len() - 1] {
        let proof = reader
            .prove_extends(&old.hash(), None)
            .expect("both blocks are held");
        proofs.push(Proof::Extension(proof));
    }
    for name in ["node-0", "node-1", "node-2", "hub-0", "nobody", "node-3"] {
        let proof = reader
            .prove_account(ledger.state(), name, None)
            .expect("the last block names a state root");
        proofs.push(Proof::State(proof));
    }
    let genuine = |proof: Proof| Genuine {
        bytes: proof.encode().into(),
        proof,
    };
    proofs.into_iter().map(genuine).collect()
}

/// A specification that keeps balances and asks for no signatures, and the key of its authority `hub`: with it the rules
/// about nonces, fees and balances can be reached by inputs that can't sign.
///
/// # Panics
/// Never: the specification is fixed.
#[must_use]
pub fn accounting_spec() -> &'static (ChainSpec, KeyPair) {
    static MADE: LazyLock<(ChainSpec, KeyPair)> = LazyLock::new(make_accounting_spec);
    &MADE
}

fn make_accounting_spec() -> (ChainSpec, KeyPair) {
    let key = KeyPair::from_seed(&[7; 32]);
    let account = |balance| InitialAccount { key: None, balance };
    let names = [
        ("a", 1000),
        ("b", 50),
        ("c", 0),
        ("d", i64::MAX as u64 - 2000),
    ];
    let spec = ChainSpec::new(SpecFields {
        version: FormatVersion::V1,
        name: "accounting".to_owned(),
        genesis_time: 1_000_000,
        consensus: Consensus::ProofOfAuthority(ProofOfAuthority {
            authorities: vec![Authority {
                name: "hub".to_owned(),
                key: key.public_key(),
                weight: 1,
            }],
            round_robin: false,
        }),
        limits: Limits {
            payload_bytes_max: 64,
            name_bytes_max: 16,
            ..Limits::default()
        },
        rules: Rules {
            identity: Identity::Open,
            witnesses_min: 0,
            balances: true,
            fee_min: 1,
            ..Rules::default()
        },
        terms: Terms::default(),
        accounts: names
            .into_iter()
            .map(|(name, balance)| (name.to_owned(), account(balance)))
            .collect::<BTreeMap<_, _>>(),
        import: None,
        predecessor: None,
    });
    (spec.expect("every field is within its limits"), key)
}

/// The transactions that stand one after the other in `input`, each behind its `u32` length, as far as they decode.
#[must_use]
pub fn transactions_of(input: &[u8], count_max: usize) -> Vec<Transaction> {
    let mut transactions = Vec::new();
    let mut rest = input;
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        if transactions.len() == count_max || length > tail.len() {
            break;
        }
        let (bytes, tail) = tail.split_at(length);
        transactions.extend(Transaction::decode(Bytes::copy_from_slice(bytes)).ok());
        rest = tail;
    }
    transactions
}
