//! Making the next block of a chain: pure, from the state, the transactions, and who seals.

use crate::clock::TIME_US_MAX;
use crate::consensus::{self, ConsensusFields};
use crate::format::codec::FieldError;
use crate::format::digest::Digest;
use crate::format::merkle;
use crate::format::model::{Block, Header, HeaderFields, Seal, Transaction};
use crate::format::signature::KeyPair;
use crate::format::spec::ChainSpec;
use crate::state::State;

/// Seals the block after `state` with `transactions`, as the `producer` that holds `key`. The timestamp is
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
    let header = next_header(spec, state, producer, transactions, now_us)?;
    let seal = consensus::seal(spec, key, &header);
    Ok(Block::assemble(header, seal, transactions).expect("the header was made for this body"))
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
    let header = next_header(spec, state, producer, transactions, now_us)?;
    let block = Block::assemble(header, Seal::None, transactions);
    Ok(block.expect("the header was made for this body"))
}

/// The header of the block after `state`, with the producer's clock entry one higher.
pub(crate) fn next_header(
    spec: &ChainSpec,
    state: &State,
    producer: &str,
    transactions: &[Transaction],
    now_us: u64,
) -> Result<Header, FieldError> {
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
    let ConsensusFields { difficulty, nonce } = consensus::draft(spec, state, producer);
    Header::new(HeaderFields {
        chain: spec.id(),
        height: state.height() + 1,
        previous_hash: state.head(),
        merkle_root: merkle::root(&leaves),
        history_root: state.history_root(),
        state_root: Digest::ZERO,
        transaction_count: u32::try_from(transactions.len()).map_err(too_large)?,
        body_size: u32::try_from(body).map_err(too_large)?,
        vector_clock: state.clock().increment(producer)?,
        // A clock may have been set back, or two blocks be made within one of its ticks.
        timestamp: now_us.max(state.timestamp().saturating_add(1)),
        producer: producer.to_owned(),
        difficulty,
        nonce,
    })
}
