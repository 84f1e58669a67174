//! The certificate of the last block as a transaction of the next one, which its producer signs: by that the chain knows who was there.

use super::meanings::Meanings;
use super::produce;
use super::senders::Senders;
use super::{Accounts, At};
use crate::consensus;
use crate::format::codec::FieldError;
use crate::format::model::{Block, Draft, Kind, Seal, Transaction};
use crate::format::payload::Payload;
use crate::format::signature::KeyPair;
use crate::format::spec::ChainSpec;
use crate::state::{InForce, State};

/// The draft of the block after `state` with one more transaction at its end, by which its producer, who holds `key`, says who signed the
/// block before, whose seal is `seal`. What has no room beside it leaves the block. The draft as it is where the chain doesn't ask for that, or wouldn't take
/// it from the producer: its name may belong to another key than the one that seals.
///
/// # Errors
/// As [`produce::draft`].
pub fn with_attendance(
    spec: &ChainSpec,
    state: &State,
    key: &KeyPair,
    seal: &Seal,
    draft: Block,
) -> Result<Block, FieldError> {
    let header = draft.header();
    let at = At::header(header);
    let Some(own) = transaction(spec, state, key, seal, at, draft.transactions())? else {
        return Ok(draft);
    };
    let limits = InForce::at(spec, Some(state), header.height).limits;
    let room = (limits.body_bytes_max as usize).checked_sub(own.bytes().len());
    let (Some(room), Some(count)) = (room, (limits.transactions_max as usize).checked_sub(1))
    else {
        return Ok(draft);
    };
    let (mut fitting, mut bytes) = (0, 0);
    for one in draft.transactions().iter().take(count) {
        bytes += one.bytes().len();
        if bytes > room {
            break;
        }
        fitting += 1;
    }
    let kept = draft.transactions().get(..fitting).unwrap_or_default();
    match extended(spec, state, key, seal, at, kept)? {
        Some(all) => produce::draft(spec, state, &header.producer, &all, header.timestamp),
        None => Ok(draft),
    }
}

/// These transactions of a block with that one behind them, if they are valid together.
pub(crate) fn extended(
    spec: &ChainSpec,
    state: &State,
    key: &KeyPair,
    seal: &Seal,
    at: At<'_>,
    transactions: &[Transaction],
) -> Result<Option<Vec<Transaction>>, FieldError> {
    let Some(own) = transaction(spec, state, key, seal, at, transactions)? else {
        return Ok(None);
    };
    let mut all = transactions.to_vec();
    all.push(own);
    Ok(are_valid(spec, state, at, &all).then_some(all))
}

fn transaction(
    spec: &ChainSpec,
    state: &State,
    key: &KeyPair,
    seal: &Seal,
    at: At<'_>,
    before: &[Transaction],
) -> Result<Option<Transaction>, FieldError> {
    let Some(certify) = consensus::attendance(spec, state, seal) else {
        return Ok(None);
    };
    let payload = Payload::Certify(certify);
    let sender = at.producer;
    // Behind what else it says in this block.
    let mut said = before.iter().rev();
    let last = said.find(|one| one.sender() == sender);
    let last = last.map_or_else(|| state.account(sender).nonce, Transaction::nonce);
    let (Some(nonce), Some(operation)) = (last.checked_add(1), payload.operations().first()) else {
        return Ok(None);
    };
    let draft = Draft {
        kind: Kind::Native,
        chain: spec.at(at.height).id(),
        sender: sender.to_owned(),
        receiver: sender.to_owned(),
        operation: *operation,
        amount: 0,
        payload: payload.encode(),
        timestamp: at.timestamp,
        expiry: 0,
        fee: InForce::at(spec, Some(state), at.height).rules.fee_min,
        nonce,
    };
    draft.sign(&[key]).map(Some)
}

/// By every rule but those of signatures.
fn are_valid(spec: &ChainSpec, state: &State, at: At<'_>, transactions: &[Transaction]) -> bool {
    let mut accounts = Accounts::new(spec, state, at);
    let senders = Senders::of(transactions);
    let meanings = Meanings::of(spec.at(at.height), transactions);
    accounts.look_up(&senders, transactions);
    transactions.iter().enumerate().all(|(index, transaction)| {
        accounts.expect(transaction, senders.number(index));
        let earlier = transactions.get(..index).unwrap_or_default();
        accounts
            .check(transaction, meanings.get(index), earlier)
            .is_ok()
    })
}
