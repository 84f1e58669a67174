//! Certificates in a batch beside as many transactions as they may cost.

use anyhow::{Context as _, Result, bail, ensure};
use hubledger::generate::{Generator, Recipe};
use hubledger::model::{Block, Header, QuorumSeal, Seal, Transaction};
use hubledger::rules::{Claims, FaultAt};
use hubledger::signature::Verifier;
use hubledger::spec::{Authority, ConsensusName};

use crate::clock::{Clock, Times};
use crate::ratio::Evidence;
use crate::turns::{Contestant, Effort, race};

const MEMBERS: u32 = 16;
/// So many of them are a quorum.
const SIGNERS: usize = 11;
/// Signatures that a certificate may cost as much as.
const WORTH: usize = 12;
/// Certificates of a batch: some 8,000 signatures.
const CERTIFICATES: usize = 744;

/// Gathering and checking certificates against the same of transactions, twelve for each.
pub(super) fn beside_transactions(seconds: f64) -> Result<Evidence> {
    let (members, sealed) = certificates()?;
    let transactions = transactions()?;
    let effort = Effort {
        seconds,
        rounds_min: 5,
        rounds_max: 60,
        warm_up_items: 0,
    };
    let first = checking("certificates of 11 of 16 members", SIGNERS, |claims| {
        for (number, (header, seal)) in (0u32..).zip(&sealed) {
            claims.add_seal_of(number, &members, header, seal);
        }
    });
    let second = checking("12 transactions each", WORTH, |claims| {
        for (number, transaction) in (0u32..).zip(&transactions) {
            claims.add_transaction(number, FaultAt::Transaction(0), transaction);
        }
    });
    let [first, second] = race([first, second], effort)?;
    Ok(Evidence::turns(CERTIFICATES, first, second))
}

/// Gathers claims, so many for each certificate, and checks them in one batch.
fn checking<'c>(name: &str, each: usize, gather: impl Fn(&mut Claims) + 'c) -> Contestant<'c> {
    let verifier = Verifier::default();
    Contestant::new(name, Clock::Thread, CERTIFICATES, move || {
        let (checked, times) = Times::of(|| {
            let mut claims = Claims::default();
            gather(&mut claims);
            let found = claims.verify(0..claims.len(), &verifier);
            (claims.len(), found)
        });
        let (count, found) = checked;
        ensure!(count == CERTIFICATES * each, "{count} claims");
        ensure!(found.is_empty(), "a good signature was refused");
        Ok(times)
    })
    .that_warms_up()
}

type Sealed = (Header, Seal);

fn certificates() -> Result<(Vec<Authority>, Vec<Sealed>)> {
    let mut generator = generator(ConsensusName::Pbft, MEMBERS, CERTIFICATES, 1)?;
    let mut sealed = Vec::new();
    while let Some(block) = generator.next_block()? {
        sealed.push((block.header().clone(), of_a_quorum(&block)?));
    }
    Ok((generator.spec().consensus.members().to_vec(), sealed))
}

/// The certificate without signatures that it doesn't need.
fn of_a_quorum(block: &Block) -> Result<Seal> {
    let Seal::Quorum(certificate) = block.seal() else {
        bail!("a block without a certificate");
    };
    let signed = certificate.signed().take(SIGNERS);
    let seal = QuorumSeal::new(certificate.round(), signed);
    Ok(Seal::Quorum(seal.context("too few signatures")?))
}

fn transactions() -> Result<Vec<Transaction>> {
    let count = CERTIFICATES * WORTH;
    let mut generator = generator(ConsensusName::ProofOfAuthority, 1, count, 1_000)?;
    let mut transactions = Vec::new();
    while let Some(block) = generator.next_block()? {
        transactions.extend_from_slice(block.transactions());
    }
    Ok(transactions)
}

fn generator(
    consensus: ConsensusName,
    members: u32,
    transactions: usize,
    per_block: u32,
) -> Result<Generator> {
    Ok(Generator::new(Recipe {
        transactions: transactions as u64,
        per_block,
        payload_bytes: 8,
        consensus,
        members,
        ..Recipe::default()
    })?)
}
