//! The rules of the naive model, in the order in which faults are reported.

use hubledger::digest::{Digest, sha256};
use hubledger::format::FormatVersion;
use hubledger::model::{Block, HeaderFields, Operation, Seal, Transaction, VectorClock, Witness};
use hubledger::rejection::Reason;
use hubledger::signature::verify;
use hubledger::spec::ChainSpec;

use super::naive::{Naive, Names, Refusal, authorities, root};
use crate::golden_state::Hash;

impl Naive {
    /// The names after the next block, or why it is refused.
    pub(crate) fn judge(&self, block: &Block, now_us: u64) -> Result<Names, Refusal> {
        let header = block.header();
        self.judge_header(block, now_us)
            .map_err(|reason| (None, reason))?;
        let spec = self.at(header.height);
        judge_seal(spec, block).map_err(|reason| (None, reason))?;
        let mut names = self.known().clone();
        self.run(header, block.transactions(), &mut names)?;
        if self.names_root(header.height) && header.state_root != root(&names) {
            return Err((None, Reason::StateRoot));
        }
        Ok(names)
    }

    fn judge_header(&self, block: &Block, now_us: u64) -> Result<(), Reason> {
        let header = block.header();
        let spec = self.at(header.height);
        let mut right = self.header("hub-0", block.transactions());
        right.vector_clock = self.last().header().vector_clock.clone();
        let drift = spec.rules.clock_drift_max_us;
        let last = self.last().header();
        let is_zero = header.state_root == Digest::ZERO;
        let rules = [
            (header.version == spec.version, Reason::Version),
            (header.chain == spec.id(), Reason::Chain),
            (header.height == right.height, Reason::Height),
            (
                header.previous_hash == right.previous_hash,
                Reason::PreviousHash,
            ),
            (
                header.transactions == right.transactions,
                Reason::TransactionCount,
            ),
            (header.merkle_root == right.merkle_root, Reason::MerkleRoot),
            (
                header.history_root == right.history_root,
                Reason::HistoryRoot,
            ),
            (is_zero || self.names_root(header.height), Reason::StateRoot),
            (
                header.members_root == right.members_root,
                Reason::MembersRoot,
            ),
            (header.weight == right.weight, Reason::Weight),
            (header.timestamp > last.timestamp, Reason::Timestamp),
            (header.timestamp <= now_us + drift, Reason::Timestamp),
            (
                follows(spec, &last.vector_clock, header),
                Reason::VectorClock,
            ),
        ];
        let broken = rules.into_iter().find(|(is_kept, _)| !is_kept);
        broken.map_or(Ok(()), |(_, reason)| Err(reason))
    }
}

/// Whether the clock of a header comes after the one before.
fn follows(spec: &ChainSpec, before: &VectorClock, header: &HeaderFields) -> bool {
    let (now, producer) = (&header.vector_clock, &header.producer);
    let is_kept = before
        .iter()
        .all(|(node, counter)| now.get(node) >= counter);
    let others = now.iter().filter(|(node, _)| node != producer);
    let mut others = others.map(|(node, counter)| (node, before.get(node), counter));
    let is_member = |node: &str| authorities(spec).iter().any(|one| one.name == node);
    is_kept
        && now.get(producer) == before.get(producer) + 1
        && others.all(|(node, earlier, counter)| {
            let is_near = counter - earlier <= spec.rules.clock_advance_max;
            is_near && (earlier > 0 || is_member(node))
        })
}

fn judge_seal(spec: &ChainSpec, block: &Block) -> Result<(), Reason> {
    let header = block.header();
    let listed = authorities(spec)
        .iter()
        .find(|one| one.name == header.producer);
    let authority = listed.ok_or(Reason::Producer)?;
    if (header.difficulty, header.nonce) != (1, 0) {
        return Err(Reason::Difficulty);
    }
    let Seal::Authority { key, signature } = block.seal() else {
        return Err(Reason::Seal);
    };
    let is_signed = verify(
        key,
        &[b"hl/seal/1", &header_hash(block)[..]].concat(),
        signature,
    );
    match *key == authority.key && is_signed.is_ok() {
        true => Ok(()),
        false => Err(Reason::Seal),
    }
}

fn header_hash(block: &Block) -> Hash {
    let tag: &[u8] = match block.header().version {
        FormatVersion::V1 => b"hubledger/block/v1",
        FormatVersion::V2 => b"hubledger/block/v2",
    };
    sha256(&[tag, block.header().bytes()])
}

pub(super) fn carry_out(
    spec: &ChainSpec,
    header: &HeaderFields,
    transaction: &Transaction,
    earlier: &[Transaction],
    names: &mut Names,
) -> Result<(), Reason> {
    let sender = names.get(transaction.sender()).cloned().unwrap_or_default();
    let keys: Vec<_> = transaction.witnesses().map(|witness| witness.key).collect();
    let parts: Vec<&[u8]> = keys.iter().map(|key| &key.as_bytes()[..]).collect();
    let speaks = sha256(&parts);
    let amount = match transaction.operation() {
        Operation::Transfer => transaction.amount(),
        _ => 0,
    };
    let cost = amount + transaction.fee();
    let message = transaction.signed_message();
    let is_signed = |witness: &Witness| verify(&witness.key, &message, &witness.signature).is_ok();
    let expiry = transaction.expiry();
    let is_new = transaction.nonce() > sender.nonce;
    let is_first = earlier.iter().all(|other| other.id() != transaction.id());
    let latest = header.timestamp + spec.rules.clock_drift_max_us;
    let rules = [
        (transaction.chain() == spec.id(), Reason::Chain),
        (transaction.timestamp() <= latest, Reason::Timestamp),
        (expiry == 0 || header.timestamp < expiry, Reason::Expired),
        (transaction.fee() >= spec.rules.fee_min, Reason::Fee),
        (!keys.is_empty(), Reason::SignatureMissing),
        (is_new || is_first, Reason::Duplicate),
        (is_new, Reason::Nonce),
        (
            sender.keys.is_none_or(|keys| keys == speaks),
            Reason::Identity,
        ),
        (sender.balance >= cost, Reason::Balance),
        (
            transaction.witnesses().all(|witness| is_signed(&witness)),
            Reason::Signature,
        ),
    ];
    if let Some((_, reason)) = rules.into_iter().find(|(is_kept, _)| !is_kept) {
        return Err(reason);
    }
    let account = names.entry(transaction.sender().to_owned()).or_default();
    account.nonce = transaction.nonce();
    account.keys = Some(speaks);
    account.balance -= cost;
    for (name, amount) in [
        (transaction.receiver(), amount),
        (&header.producer, transaction.fee()),
    ] {
        if amount > 0 {
            names.entry(name.to_owned()).or_default().balance += amount;
        }
    }
    Ok(())
}
