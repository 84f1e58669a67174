//! Somebody who trusts nobody: it has the chain's specification and gets headers, seals and proofs from whoever answers, keeps no
//! blocks, and opens no store.
//!
//! Run it with `cargo run --example light_client`.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use hubledger::clock::FixedClock;
use hubledger::generate::{Generator, Recipe};
use hubledger::ledger::{ChainReader, Ledger};
use hubledger::model::{Block, Transaction};
use hubledger::proof::Proof;
use hubledger::rules::light::{LightClient, Step};
use hubledger::signature::{KeyPair, Verifier};
use hubledger::spec::{ChainSpec, ConsensusName};
use hubledger::state::Account;
use hubledger_storage::StoreUrl;

/// What the client keeps, however long the chain: the last header, the members of the next height, and the edge of the tree over all hashes.
struct Client(LightClient);

impl Client {
    /// Whether a transaction is in the chain, by the proof that somebody sent.
    fn is_proven(&self, transaction: &Transaction, proof: &Bytes) -> anyhow::Result<bool> {
        let Proof::Transaction(proof) = Proof::decode(proof)? else {
            bail!("a proof of something else");
        };
        let proven = proof.verify(&self.0.header().hash())?;
        Ok(proven.id == transaction.id())
    }

    /// What is known of the name that a proof is about, if anything is, by the proof that somebody sent.
    fn account(&self, proof: &Bytes) -> anyhow::Result<Option<Account>> {
        let Proof::State(proof) = Proof::decode(proof)? else {
            bail!("a proof of something else");
        };
        let proven = proof.verify(&self.0.header().hash())?;
        ensure!(
            proven.height == self.0.header().height,
            "a proof of former times"
        );
        let account = proven.value.map(|value| Account::decode(&value));
        Ok(account.transpose()?)
    }
}

/// A chain of version 2 names the root over its state in every block, so that whoever knows a head can be shown what the chain knows.
fn specification(authority: &KeyPair) -> anyhow::Result<ChainSpec> {
    let text = format!(
        r#"
        format = 2
        name = "a chain with balances"
        genesis_time = 1_700_000_000_000_000

        [consensus]
        kind = "proof_of_authority"
        authorities = [{{ name = "hub-0", key = "{key}" }}]

        [rules]
        balances = true

        [accounts.treasury]
        key = "{key}"
        balance = 1_000_000
        "#,
        key = authority.public_key()
    );
    Ok(ChainSpec::from_toml(&text)?)
}

fn main() -> anyhow::Result<()> {
    // The others: a chain of three blocks in some hub.
    let recipe = Recipe {
        transactions: 300,
        per_block: 100,
        ..Recipe::default()
    };
    let authority = KeyPair::generate()?;
    let spec = specification(&authority)?;
    let mut generator = Generator::for_spec(recipe, spec, vec![authority])?;
    let hub = Hub::with_chain_of(&mut generator)?;

    let verifier = Verifier::default();
    let now_us = generator.spec().genesis_time + 60_000_000;
    // Genesis follows from the specification; nobody has to be asked for it.
    let mut client = Client(LightClient::new(generator.spec().clone()));
    client.0.follow(&hub.steps()?, now_us, &verifier)?;
    let head = client.0.header();
    println!("the head is {} at height {}", head.hash(), head.height);

    let (transaction, proof) = hub.prove(2, 42)?;
    ensure!(
        client.is_proven(&transaction, &proof)?,
        "the proof is of another"
    );
    println!(
        "{} is in the chain, by {} bytes",
        transaction.id(),
        proof.len()
    );

    // What the chain knows of a name, and that it knows nothing of another: against the same head.
    let treasury = client.account(&hub.prove_account("treasury")?)?;
    let treasury = treasury.context("the treasury is known")?;
    println!(
        "the treasury holds {}, and keys of digest {} speak for it",
        treasury.balance,
        treasury.keys().unwrap_or_default()
    );
    ensure!(treasury.balance == 1_000_000, "nothing was spent");
    let nobody = client.account(&hub.prove_account("nobody")?)?;
    ensure!(nobody.is_none(), "nothing is known of nobody");
    println!("nothing is known of a name that never was");

    // A header under the seal of another block is refused.
    let mut newcomer = LightClient::new(generator.spec().clone());
    let mut steps = hub.steps()?;
    steps[0].seal = steps[1].seal.clone();
    match newcomer.follow(&steps, now_us, &verifier) {
        Ok(()) => bail!("a foreign seal was believed"),
        Err(refused) => println!("a foreign seal is refused: {}", refused.reason),
    }
    for consensus in ConsensusName::ALL {
        follow_chain_of(*consensus, &verifier)?;
    }
    Ok(())
}

/// Follows a chain of another consensus: the same client, whatever has to be behind a block.
fn follow_chain_of(consensus: ConsensusName, verifier: &Verifier) -> anyhow::Result<()> {
    let recipe = Recipe {
        consensus,
        members: 4,
        transactions: 30,
        per_block: 1,
        ..Recipe::default()
    };
    let mut generator = Generator::new(recipe)?;
    let hub = Hub::with_chain_of(&mut generator)?;
    let now_us = generator.spec().genesis_time + 60_000_000;
    let mut client = LightClient::new(generator.spec().clone());
    client.follow(&hub.steps()?, now_us, verifier)?;
    let head = client.header();
    println!(
        "{}: head {} at height {}, weight {}, final up to {}",
        consensus.word(),
        head.hash(),
        head.height,
        head.weight,
        client.final_height()
    );
    Ok(())
}

/// Whoever answers. The client need not trust it.
struct Hub(ChainReader);

impl Hub {
    fn with_chain_of(generator: &mut Generator) -> anyhow::Result<Self> {
        let store = StoreUrl::Memory.create()?;
        let clock = FixedClock(generator.spec().genesis_time + 60_000_000);
        let mut ledger = Ledger::create(store, generator.spec(), Arc::new(clock))?;
        while let Some(block) = generator.next_block()? {
            ledger.submit(&block)?;
        }
        Ok(Self(ledger.reader()))
    }

    fn block(&self, height: u64) -> anyhow::Result<Block> {
        self.0.block(height)?.context("no such block")
    }

    fn steps(&self) -> anyhow::Result<Vec<Step>> {
        (1..=self.0.head()?.height)
            .map(|height| {
                let block = self.block(height)?;
                Ok(Step {
                    header: block.header().clone(),
                    seal: block.seal().clone(),
                    members: None,
                })
            })
            .collect()
    }

    fn prove(&self, height: u64, index: u32) -> anyhow::Result<(Transaction, Bytes)> {
        let transaction = self.block(height)?.transactions()[index as usize].clone();
        let proof = self.0.prove(height, index, None)?;
        Ok((transaction, proof.encode().into()))
    }

    fn prove_account(&self, name: &str) -> anyhow::Result<Bytes> {
        let proof = self.0.prove_account(&self.0.state()?, name, None)?;
        Ok(proof.encode().into())
    }
}
