//! Making the next block of a chain: pure, from the state, the transactions, and who seals.

use crate::clock::TIME_US_MAX;
use crate::consensus::{self, ConsensusFields, Weight};
use crate::format::FormatVersion;
use crate::format::codec::FieldError;
use crate::format::digest::Digest;
use crate::format::merkle;
use crate::format::model::{Block, Header, HeaderFields, Seal, Transaction};
use crate::format::signature::KeyPair;
use crate::format::spec::ChainSpec;
use crate::rules::headers::state_root_due;
use crate::rules::meanings::Meanings;
use crate::rules::senders::Senders;
use crate::rules::{Accounts, At};
use crate::state::{Changes, State};

/// Seals the block after `state` with `transactions`, as the `producer` that holds `key`; where work seals, a nonce is searched. The timestamp is
/// `now_us`, or one microsecond after the block before if that is later. Whether the block is valid is for the
/// validator to say.
///
/// # Errors
/// A producer name or a body above the limits of the format; a `now_us` beyond [`TIME_US_MAX`], after which no block could
/// follow. A caller whose clock may jump less far ahead has to look after that itself, as the
/// [engine](crate::engine::Engine::produce) does.
pub fn produce(
    spec: &ChainSpec,
    state: &State,
    producer: &str,
    key: &KeyPair,
    transactions: &[Transaction],
    now_us: u64,
) -> Result<Block, FieldError> {
    make(spec, state, producer, &[key], transactions, now_us).map(|made| made.block)
}

/// The same with the seal of several: of a certificate, those of `keys` sign that are members'; elsewhere the first one does.
///
/// # Errors
/// As [`produce`].
pub fn produce_by(
    spec: &ChainSpec,
    state: &State,
    producer: &str,
    keys: &[&KeyPair],
    transactions: &[Transaction],
    now_us: u64,
) -> Result<Block, FieldError> {
    make(spec, state, producer, keys, transactions, now_us).map(|made| made.block)
}

/// A block with what was worked out for it.
pub(crate) struct Made {
    pub(super) block: Block,
    /// The state before it with what it changes, where it names a root.
    pub(super) after: Option<State>,
}

/// As [`produce_by`].
pub(crate) fn make(
    spec: &ChainSpec,
    state: &State,
    producer: &str,
    keys: &[&KeyPair],
    transactions: &[Transaction],
    now_us: u64,
) -> Result<Made, FieldError> {
    let (header, after) = next_header(spec, state, producer, transactions, now_us)?;
    let header = with_work(spec, header)?;
    let seal = consensus::seal_by(spec, state, keys, 0, &header);
    let block = Block::assemble(header, seal, transactions);
    Ok(Made {
        block: block.expect("the header was made for this body"),
        after,
    })
}

/// A [`draft`] of the block after `state` with the seal of whoever holds `keys`, as [`produce_by`] puts it on, in a round, which means
/// something to certificates alone; where work seals, with a nonce.
///
/// # Errors
/// None is found within 2²⁴ hashes: whoever mines searches itself.
pub fn sealed(
    spec: &ChainSpec,
    state: &State,
    keys: &[&KeyPair],
    round: u32,
    draft: Block,
) -> Result<Block, FieldError> {
    let header = with_work(spec, draft.header().clone())?;
    let seal = consensus::seal_by(spec, state, keys, round, &header);
    let block = Block::assemble(header, seal, draft.transactions());
    Ok(block.expect("the header is of this body"))
}

/// Hashes that are tried for a block where work seals: for trials. Whoever mines does that itself, with all cores, and can stop.
const HASHES_MAX: u64 = 1 << 24;

fn with_work(spec: &ChainSpec, header: Header) -> Result<Header, FieldError> {
    let difficulty = header.difficulty;
    consensus::with_work(spec, header, HASHES_MAX).ok_or_else(|| {
        let problem = format!(
            "none found among {HASHES_MAX} at difficulty {difficulty}: this is to be mined"
        );
        FieldError::new("nonce", problem)
    })
}

/// The same block without a seal, for somebody else to put one on: its hash is known already.
///
/// # Errors
/// As [`produce`].
pub fn draft(
    spec: &ChainSpec,
    state: &State,
    producer: &str,
    transactions: &[Transaction],
    now_us: u64,
) -> Result<Block, FieldError> {
    let (header, _) = next_header(spec, state, producer, transactions, now_us)?;
    let block = Block::assemble(header, Seal::None, transactions);
    Ok(block.expect("the header was made for this body"))
}

/// The header of the block after `state`, with the producer's clock entry one higher, and the state with what the block changes, where
/// the header names a root over it.
fn next_header(
    spec: &ChainSpec,
    state: &State,
    producer: &str,
    transactions: &[Transaction],
    now_us: u64,
) -> Result<(Header, Option<State>), FieldError> {
    if now_us > TIME_US_MAX {
        let problem =
            format!("the clock reads {now_us} µs, the year 9999 ends at {TIME_US_MAX} µs");
        return Err(FieldError::new("timestamp", problem));
    }
    let leaves = Transaction::leaf_hashes(transactions);
    let body: usize = transactions
        .iter()
        .map(|transaction| transaction.bytes().len())
        .sum();
    let too_large = |_| FieldError::new("body_size", format!("{body} bytes are above the limit"));
    let ConsensusFields { difficulty, nonce } = consensus::draft(spec, state);
    let transaction_count = u32::try_from(transactions.len()).map_err(too_large)?;
    let height = state.height() + 1;
    let in_force = spec.at(height);
    let mut fields = HeaderFields {
        version: in_force.version,
        chain: in_force.id(),
        height,
        previous_hash: state.head(),
        merkle_root: merkle::root(&leaves),
        history_root: state.history_root(),
        state_root: Digest::ZERO,
        members_root: Digest::ZERO,
        weight: 0,
        transactions: 0,
        transaction_count,
        body_size: u32::try_from(body).map_err(too_large)?,
        vector_clock: state
            .clock()
            .increment(consensus::clock_name(spec, height, producer))?,
        // A clock may have been set back, or two blocks be made within one of its ticks.
        timestamp: now_us.max(state.timestamp().saturating_add(1)),
        producer: producer.to_owned(),
        difficulty,
        nonce,
    };
    let before = Sums::of_state(state);
    commit_to_chain(spec, Some(state), before, &mut fields)?;
    // What the transactions change doesn't depend on the root, so it can be worked out before the header is whole.
    let mut after = state_root_due(spec, height)
        .then(|| state.with_changes(&changes(spec, state, &fields, transactions)));
    if let Some(after) = &mut after {
        fields.state_root = after.root().unwrap_or_default();
    }
    Ok((Header::new(fields)?, after))
}

/// What the block changes in the state: nothing of transactions that break a rule, by which no block with them is valid.
fn changes(
    spec: &ChainSpec,
    state: &State,
    header: &HeaderFields,
    transactions: &[Transaction],
) -> Changes {
    let mut accounts = Accounts::new(spec, state, At::header(header));
    let senders = Senders::of(transactions);
    let meanings = Meanings::of(spec.at(header.height), transactions);
    accounts.look_up(&senders, transactions);
    for (index, transaction) in transactions.iter().enumerate() {
        accounts.expect(transaction, senders.number(index));
        let meaning = meanings.get(index);
        if accounts
            .check(transaction, meaning, &transactions[..index])
            .is_err()
        {
            break;
        }
    }
    let mut changes = accounts.into_changes();
    changes
        .rows
        .extend(consensus::changes(spec, state, header).rows);
    changes
}

/// What a header of version 2 sums up over the whole chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// What all blocks weigh together.
    pub weight: u128,
    /// Number of transactions in all blocks.
    pub transactions: u64,
}

impl Sums {
    /// Those of the chain up to the last block of a state.
    #[must_use]
    pub const fn of_state(state: &State) -> Self {
        Self {
            weight: state.weight(),
            transactions: state.transaction_count(),
        }
    }

    /// Those with one more block. At the end of either number it stays there, and no header can name what comes after.
    #[must_use]
    pub fn with(self, spec: &ChainSpec, header: &HeaderFields) -> Self {
        let Weight(own) = consensus::weight(spec, header);
        let count = u64::from(header.transaction_count);
        Self {
            weight: self.weight.saturating_add(own),
            transactions: self.transactions.saturating_add(count),
        }
    }
}

/// Sets what a header says of the whole chain and of its members, where its version has that: from the sums `before` it, and the
/// state before it where that is known. Everything else in `fields` is set already.
///
/// # Errors
/// A sum that doesn't fit its field; members that only the state could tell.
pub fn commit_to_chain(
    spec: &ChainSpec,
    parent: Option<&State>,
    before: Sums,
    fields: &mut HeaderFields,
) -> Result<(), FieldError> {
    if fields.version == FormatVersion::V1 {
        return Ok(());
    }
    let full = |field| FieldError::new(field, "the sum over the chain doesn't fit");
    let count = u64::from(fields.transaction_count);
    let Weight(own) = consensus::weight(spec, fields);
    let transactions = before.transactions.checked_add(count);
    let weight = before.weight.checked_add(own);
    let members = consensus::members_root(spec, fields.height, parent);
    let unknown = || FieldError::new("members_root", "only the state before the block tells");
    fields.transactions = transactions.ok_or_else(|| full("transactions"))?;
    fields.weight = weight.ok_or_else(|| full("weight"))?;
    fields.members_root = members.ok_or_else(unknown)?;
    Ok(())
}
