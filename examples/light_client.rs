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
use hubledger::merkle::{Frontier, history_leaf};
use hubledger::model::{Block, Header, Seal, Transaction};
use hubledger::proof::Proof;
use hubledger::rejection::Fault;
use hubledger::rules::headers::{self, Parent};
use hubledger::signature::{KeyPair, Verifier};
use hubledger::spec::ChainSpec;
use hubledger::state::Account;
use hubledger_storage::StoreUrl;

/// What the client keeps, however long the chain: the last header, and the edge of the tree over all block hashes.
struct Client {
    spec: ChainSpec,
    last: Header,
    history: Frontier,
    verifier: Verifier,
}

impl Client {
    fn new(spec: ChainSpec) -> Self {
        // Genesis follows from the specification; nobody has to be asked for it.
        let genesis = spec.genesis();
        let mut history = Frontier::new();
        history.push(history_leaf(&genesis.hash()));
        Self {
            spec,
            last: genesis.header().clone(),
            history,
            verifier: Verifier::default(),
        }
    }

    /// Takes a header only if it follows from the last one and whoever may seal it did.
    fn follow(&mut self, header: &Header, seal: &Seal, now_us: u64) -> Result<(), Fault> {
        let parent = Parent::of_header(&self.last, Some(&self.history));
        headers::check(&self.spec, &parent, header, Some(now_us))?;
        headers::check_seal(&self.spec, header, seal, &self.verifier)?;
        self.history.push(history_leaf(&header.hash()));
        self.last = header.clone();
        Ok(())
    }

    /// Whether a transaction is in the chain, by the proof that somebody sent.
    fn is_proven(&self, transaction: &Transaction, proof: &Bytes) -> anyhow::Result<bool> {
        let Proof::Transaction(proof) = Proof::decode(proof)? else {
            bail!("a proof of something else");
        };
        let proven = proof.verify(&self.last.hash())?;
        Ok(proven.id == transaction.id())
    }

    /// What is known of the name that a proof is about, if anything is, by the proof that somebody sent.
    fn account(&self, proof: &Bytes) -> anyhow::Result<Option<Account>> {
        let Proof::State(proof) = Proof::decode(proof)? else {
            bail!("a proof of something else");
        };
        let proven = proof.verify(&self.last.hash())?;
        ensure!(proven.height == self.last.height, "a proof of former times");
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

    let mut client = Client::new(generator.spec().clone());
    let now_us = generator.spec().genesis_time + 60_000_000;
    for (header, seal) in hub.headers()? {
        if let Err(fault) = client.follow(&header, &seal, now_us) {
            bail!(
                "block {}: {}: {}",
                header.height,
                fault.reason,
                fault.detail
            );
        }
    }
    println!(
        "the head is {} at height {}",
        client.last.hash(),
        client.last.height
    );

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
    let mut newcomer = Client::new(generator.spec().clone());
    let headers = hub.headers()?;
    match newcomer.follow(&headers[0].0, &headers[1].1, now_us) {
        Ok(()) => bail!("a foreign seal was believed"),
        Err(fault) => println!("a foreign seal is refused: {}", fault.reason),
    }
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

    fn headers(&self) -> anyhow::Result<Vec<(Header, Seal)>> {
        (1..=self.0.head()?.height)
            .map(|height| {
                let block = self.block(height)?;
                Ok((block.header().clone(), block.seal().clone()))
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
