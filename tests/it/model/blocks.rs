//! Blocks for the model's chain: of honest hubs, and with something wrong in a header, a seal or a transaction.

use hubledger::digest::{BlockHash, Digest};
use hubledger::model::{Block, Draft, HeaderFields, Kind, Operation, Transaction};
use hubledger::testing::{Numbers, SECOND, corrupt_signature, entries, key, sealed};

use super::naive::Naive;

pub(crate) const SENDERS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];
pub(crate) const HUBS: [&str; 2] = ["hub-0", "hub-1"];

/// Whoever is drawn.
fn any<'a>(numbers: &mut Numbers, names: &[&'a str]) -> &'a str {
    names[numbers.below(names.len() as u64) as usize]
}

/// A valid block, or in about half of the cases one with something wrong.
pub(crate) fn any_block(chain: &Naive, numbers: &mut Numbers) -> Block {
    match numbers.below(2) {
        0 => valid(chain, numbers),
        _ => doubtful(chain, numbers),
    }
}

/// A valid block.
pub(crate) fn valid(chain: &Naive, numbers: &mut Numbers) -> Block {
    let producer = any(numbers, &HUBS);
    let transactions = transactions(chain, numbers, 0);
    sealed(
        chain.header(producer, &transactions),
        &key(producer),
        &transactions,
    )
}

/// A block with something that may be wrong.
fn doubtful(chain: &Naive, numbers: &mut Numbers) -> Block {
    let producer = any(numbers, &HUBS);
    match numbers.below(3) {
        0 => {
            let transactions = transactions(chain, numbers, 40);
            sealed(
                chain.header(producer, &transactions),
                &key(producer),
                &transactions,
            )
        }
        1 => {
            let transactions = transactions(chain, numbers, 0);
            let mut fields = chain.header(producer, &transactions);
            mistake(chain, numbers, &mut fields);
            sealed(fields, &key(producer), &transactions)
        }
        _ => {
            let transactions = transactions(chain, numbers, 20);
            let sealer = any(numbers, &["hub-0", "hub-1", "mallory"]);
            sealed(
                chain.header(producer, &transactions),
                &key(sealer),
                &transactions,
            )
        }
    }
}

/// A mistake in a header. Some are none: a later time is as good.
fn mistake(chain: &Naive, numbers: &mut Numbers, fields: &mut HeaderFields) {
    let last = chain.last().header();
    match numbers.below(14) {
        0 => fields.previous_hash = BlockHash([7; 32]),
        1 => fields.history_root = Digest([7; 32]),
        2 => fields.merkle_root = Digest([7; 32]),
        3 => fields.state_root.0[0] ^= 1,
        4 => fields.members_root.0[0] ^= 1,
        5 => fields.weight += 1,
        6 => fields.transactions += 1,
        7 => fields.timestamp = last.timestamp,
        8 => fields.timestamp += 1_000 * SECOND,
        9 => fields.timestamp += SECOND,
        10 => fields.difficulty = 2,
        11 => fields.height += 2,
        12 => fields.producer = "alice".to_owned(),
        _ => {
            let before = |hub: &str| last.vector_clock.get(hub);
            let clock = [
                ("hub-0", before("hub-0") + 2),
                ("hub-1", before("hub-1") + 1),
            ];
            fields.vector_clock = entries(&clock);
        }
    }
    if fields.version == hubledger::format::FormatVersion::V1 {
        // What a header of version 1 doesn't have.
        (fields.weight, fields.transactions) = (0, 0);
        fields.members_root = Digest::ZERO;
    }
}

/// Some transactions, of which in so many of a hundred cases one is doubtful.
fn transactions(chain: &Naive, numbers: &mut Numbers, percent: u64) -> Vec<Transaction> {
    let mut names = chain.known().clone();
    let mut made = Vec::<Transaction>::new();
    for _ in 0..numbers.below(5) {
        let sender = any(numbers, &SENDERS);
        let known = names.entry(sender.to_owned()).or_default();
        let mut draft = Draft {
            kind: Kind::Native,
            chain: chain.spec().id(),
            sender: sender.to_owned(),
            receiver: any(numbers, &SENDERS).to_owned(),
            operation: Operation::Message,
            amount: 0,
            payload: numbers.draw().to_le_bytes().to_vec(),
            timestamp: chain.last().header().timestamp,
            expiry: 0,
            fee: 1 + numbers.below(2),
            nonce: known.nonce + 1 + numbers.below(2),
        };
        if numbers.below(2) == 0 {
            draft.operation = Operation::Transfer;
            draft.amount = numbers.below(5);
        }
        if known.balance < draft.amount + draft.fee && percent == 0 {
            continue;
        }
        known.nonce = draft.nonce;
        known.balance = known.balance.saturating_sub(draft.amount + draft.fee);
        let transaction = match numbers.below(100) < percent {
            true => wrong(chain, numbers, draft, &made),
            false => draft.sign(&[&key(sender)]).unwrap(),
        };
        made.push(transaction);
    }
    made
}

/// The transaction with something wrong.
fn wrong(
    chain: &Naive,
    numbers: &mut Numbers,
    mut draft: Draft,
    earlier: &[Transaction],
) -> Transaction {
    let signer = key(&draft.sender);
    match numbers.below(9) {
        0 => draft.nonce = draft.nonce.saturating_sub(4).max(1),
        1 => draft.fee = 0,
        2 => draft.expiry = chain.last().header().timestamp,
        3 => draft.timestamp += 2_000 * SECOND,
        4 => (draft.operation, draft.amount) = (Operation::Transfer, 1 << 40),
        5 => draft.chain = chain.specs[0].1.id(),
        6 => return draft.sign(&[&key("mallory")]).unwrap(),
        7 => return corrupt_signature(&draft.sign(&[&signer]).unwrap()),
        _ => {
            if let Some(earlier) = earlier.last() {
                return earlier.clone();
            }
        }
    }
    draft.sign(&[&signer]).unwrap()
}
