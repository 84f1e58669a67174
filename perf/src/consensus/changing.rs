//! A chain sealed with certificates of members whose stakes change: who they are, and what they weigh, only the state tells.

use anyhow::{Context, Result};
use bytes::Bytes;
use hubledger::consensus;
use hubledger::model::{Draft, Kind, Operation, Transaction};
use hubledger::payload::{Payload, Stake};
use hubledger::rules::produce::produce_by;
use hubledger::rules::{Depth, Validator};
use hubledger::signature::KeyPair;
use hubledger::spec::{
    Authority, ChainSpec, Composition, Consensus, ConsensusName, Identity, InitialAccount, Limits,
    Membership, Quorum, Rules, SealRule, SpecFields, StakeTerms, Terms,
};

use super::imports::Made;

const GENESIS_TIME: u64 = 1_700_000_000_000_000;
/// Members change every so many blocks.
const EPOCH: u32 = 4;
/// Senders of messages, as of other chains that are made up.
const SENDERS: usize = 64;

/// So many blocks of so many transactions: of each, the first is a stake, the others are messages. All members sign.
pub(super) fn made(members: usize, blocks: u64, per_block: u64) -> Result<Made> {
    let hubs: Vec<(String, KeyPair)> = (0..members)
        .map(|number| (format!("hub-{number}"), pair(1, number)))
        .collect();
    let senders: Vec<KeyPair> = (0..SENDERS).map(|number| pair(2, number)).collect();
    let spec = specification(&hubs)?;
    let mut validator = Validator::new(spec.clone());
    let mut encoded = Vec::new();
    let mut messages = 0_u64;
    for height in 1..=blocks {
        let state = validator.state();
        let now = GENESIS_TIME + height * 1_000_000;
        let draft = |sender: String, nonce, operation, payload| Draft {
            kind: Kind::Native,
            chain: spec.id(),
            sender,
            receiver: "everyone".to_owned(),
            operation,
            amount: 0,
            payload,
            timestamp: now,
            expiry: 0,
            fee: 0,
            nonce,
        };
        // One puts up more, so that every list of members has other weights.
        let (name, key) = &hubs[height as usize % hubs.len()];
        let stake = Payload::Stake(Stake {
            key: key.public_key(),
            amount: 10,
        });
        let nonce = state.account(name).nonce + 1;
        let stake = draft(
            name.clone(),
            nonce,
            Operation::ConsensusVote,
            stake.encode(),
        );
        let mut transactions: Vec<Transaction> = vec![stake.sign(&[key])?];
        for _ in 1..per_block {
            let sender = messages as usize % SENDERS;
            let nonce = messages / SENDERS as u64 + 1;
            let mut payload = vec![b'm'; 200];
            payload[..8].copy_from_slice(&messages.to_be_bytes());
            let message = draft(format!("node-{sender}"), nonce, Operation::Message, payload);
            transactions.push(message.sign(&[&senders[sender]])?);
            messages += 1;
        }
        let listed = consensus::members(&spec, state, height);
        let proposer = consensus::proposer(&spec, state, 0).context("turns are kept")?;
        let keys: Vec<&KeyPair> = hubs.iter().map(|(_, key)| key).collect();
        let producer = &listed[proposer].name;
        let block = produce_by(&spec, state, producer, &keys, &transactions, now)?;
        let valid = validator.check(&block, Depth::Replay)?;
        validator.apply(&valid);
        encoded.push(Bytes::from(block.encode()));
    }
    Ok((spec, encoded))
}

fn specification(hubs: &[(String, KeyPair)]) -> Result<ChainSpec> {
    let members = hubs.iter().map(|(name, key)| Authority {
        name: name.clone(),
        key: key.public_key(),
        weight: 1_000,
    });
    let accounts = hubs.iter().map(|(name, _)| {
        let account = InitialAccount {
            // A member's key is listed with it.
            key: None,
            balance: 1_000_000,
        };
        (name.clone(), account)
    });
    let parts = Composition {
        membership: Membership::Staked(StakeTerms {
            epoch: EPOCH,
            members_max: 2 * hubs.len() as u32,
            release_delay: 200,
            delegation: false,
        }),
        seal: SealRule::Quorum(Quorum::TWO_THIRDS),
        ..Composition::named(ConsensusName::ProofOfStake, members.collect())
    };
    Ok(ChainSpec::new(SpecFields {
        version: hubledger::format::FormatVersion::V2,
        name: "changing-members".to_owned(),
        genesis_time: GENESIS_TIME,
        consensus: Consensus::Composed(Box::new(parts)),
        limits: Limits::default(),
        rules: Rules {
            identity: Identity::Pinned,
            balances: true,
            ..Rules::default()
        },
        terms: Terms::of_new_chains(),
        accounts: accounts.collect(),
        import: None,
        predecessor: None,
    })?)
}

fn pair(role: u8, number: usize) -> KeyPair {
    let mut seed = [role; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    KeyPair::from_seed(&seed)
}
