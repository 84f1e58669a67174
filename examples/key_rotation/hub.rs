//! The federation: its keys, its specification, and a hub with the chain.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::bail;
use bytes::Bytes;
use hubledger::digest::TransactionId;
use hubledger::engine::{Engine, Outcome, WhenFull};
use hubledger::model::{Draft, Kind, Operation};
use hubledger::payload::Payload;
use hubledger::rejection::{Fault, Reason};
use hubledger::signature::KeyPair;
use hubledger::spec::ChainSpec;
use hubledger_storage::StoreUrl;

/// The keys of everybody in this story. Real ones are made by `KeyPair::generate` and kept in files.
pub(super) struct Keys {
    pub(super) hubs: [KeyPair; 3],
    pub(super) harbour: KeyPair,
    pub(super) harbour_new: KeyPair,
    pub(super) harbour_newest: KeyPair,
    pub(super) safe: KeyPair,
    pub(super) ferry: KeyPair,
}

impl Keys {
    pub(super) fn new() -> Self {
        let key = |seed| KeyPair::from_seed(&[seed; 32]);
        Self {
            hubs: [key(1), key(2), key(3)],
            harbour: key(4),
            harbour_new: key(5),
            harbour_newest: key(6),
            safe: key(7),
            ferry: key(8),
        }
    }
}

/// Names have to be registered, which takes a stake of 100 or the word of a member. Two of the three authorities can change two of the
/// parameters.
pub(super) fn specification(keys: &Keys) -> anyhow::Result<ChainSpec> {
    let authority = |(index, key): (usize, &KeyPair)| {
        let number = index + 1;
        format!(
            r#"{{ name = "hub-{number}", key = "{}" }},"#,
            key.public_key()
        )
    };
    let authorities: String = keys.hubs.iter().enumerate().map(authority).collect();
    Ok(ChainSpec::from_toml(&format!(
        r#"
        format = 2
        name = "a federation"
        genesis_time = 1_700_000_000_000_000
        joining = "stake_or_attested"
        stake_min = 100
        changeable = ["block_time_us", "members"]
        approvals_min = 2

        [consensus]
        kind = "proof_of_authority"
        authorities = [{authorities}]

        [rules]
        identity = "registered"
        balances = true

        [accounts.ferry]
        balance = 500
        key = "{ferry}"
        "#,
        ferry = keys.ferry.public_key()
    ))?)
}

/// The hub that answers: an engine with the chain.
pub(super) struct Hub(pub(super) Engine);

impl Hub {
    pub(super) fn open(spec: &ChainSpec) -> anyhow::Result<Self> {
        let store = StoreUrl::Memory.create()?;
        Ok(Self(Engine::builder().threads(2).create(store, spec)?))
    }

    pub(super) fn next_height(&self) -> u64 {
        self.0.state().height() + 1
    }

    /// Hands in a transaction, which waits for the next block; or the rule that it breaks.
    fn submit(
        &self,
        sender: &str,
        operation: Operation,
        payload: Vec<u8>,
        key: &KeyPair,
    ) -> anyhow::Result<Result<TransactionId, Fault>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let draft = Draft {
            kind: Kind::Native,
            chain: self.0.spec().id(),
            sender: sender.to_owned(),
            receiver: sender.to_owned(),
            operation,
            amount: 0,
            payload,
            timestamp: u64::try_from(now.as_micros())?,
            expiry: 0,
            fee: 0,
            nonce: self.0.state().account(sender).nonce + 1,
        };
        Ok(self.0.submit(draft.sign(&[key])?, WhenFull::Wait)?.wait()?)
    }

    /// The same of what is said to the chain itself, which breaks none.
    pub(super) fn say(
        &self,
        sender: &str,
        operation: Operation,
        payload: &Payload,
        key: &KeyPair,
    ) -> anyhow::Result<TransactionId> {
        let told = self.submit(sender, operation, payload.encode(), key)?;
        told.map_err(|fault| {
            anyhow::anyhow!("{sender} is refused: {}: {}", fault.reason, fault.detail)
        })
    }

    /// What the rules say of a message of `sender` that is signed with `key`. One that breaks none is in the next block.
    pub(super) fn message(
        &self,
        sender: &str,
        key: &KeyPair,
    ) -> anyhow::Result<Result<(), Reason>> {
        let told = self.submit(sender, Operation::Message, b"hello".to_vec(), key)?;
        Ok(told.map(|_| ()).map_err(|fault| fault.reason))
    }

    /// Makes the next block, of whatever waits.
    pub(super) fn block(&self, by: &KeyPair) -> anyhow::Result<u64> {
        match self.0.produce(by)? {
            Outcome::Committed(committed) => Ok(committed.height),
            other => bail!("the block was not committed: {other:?}"),
        }
    }

    /// Makes blocks up to one height.
    pub(super) fn blocks_to(&self, height: u64, by: &KeyPair) -> anyhow::Result<()> {
        while self.next_height() <= height {
            self.block(by)?;
        }
        Ok(())
    }

    /// A proof against the head of what the chain holds at a key, or that it holds nothing there.
    pub(super) fn prove(&self, table: u8, key: &[u8]) -> anyhow::Result<Bytes> {
        let (reader, state) = (self.0.reader(), self.0.state());
        let proof = reader.prove_row(&state, table, key, Some(&state.head()))?;
        Ok(proof.encode().into())
    }
}
