//! What a header must obey, given the state before it and the body behind it. Pure functions.

use super::{Depth, Prepared};
use crate::format::model::{Block, Causality, HeaderFields};
use crate::format::rejection::{Fault, Reason};
use crate::format::spec::ChainSpec;
use crate::state::State;

/// All of them, in the order in which faults are reported.
pub(super) fn check(
    spec: &ChainSpec,
    state: &State,
    prepared: &Prepared,
    depth: Depth,
) -> Result<(), Fault> {
    let block = prepared.block();
    let header = block.header();
    link(spec, state, header)?;
    limits(spec, block)?;
    countable(state, header)?;
    roots(state, prepared)?;
    timestamp(spec, state, header, depth)?;
    vector_clock(spec, state, header)
}

fn fault<T>(reason: Reason, detail: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(reason, detail))
}

fn link(spec: &ChainSpec, state: &State, header: &HeaderFields) -> Result<(), Fault> {
    if header.chain != spec.id() {
        return fault(
            Reason::Chain,
            format!("for chain {}, this is {}", header.chain, spec.id()),
        );
    }
    let expected = state.height() + 1;
    if header.height != expected {
        let detail = format!("height {}, expected {expected}", header.height);
        return fault(Reason::Height, detail);
    }
    if header.previous_hash != state.head() {
        let detail = format!(
            "links to {}, the block before is {}",
            header.previous_hash,
            state.head()
        );
        return fault(Reason::PreviousHash, detail);
    }
    Ok(())
}

fn limits(spec: &ChainSpec, block: &Block) -> Result<(), Fault> {
    let (header, limits) = (block.header(), &spec.limits);
    let longest = header
        .vector_clock
        .iter()
        .map(|(node, _)| node.len())
        .max()
        .unwrap_or(0);
    let sizes = [
        (
            "transactions",
            header.transaction_count as usize,
            limits.transactions_max,
        ),
        (
            "bytes of body",
            header.body_size as usize,
            limits.body_bytes_max,
        ),
        (
            "clock entries",
            header.vector_clock.len(),
            limits.clock_entries_max,
        ),
        (
            "bytes of producer name",
            header.producer.len(),
            limits.name_bytes_max,
        ),
        ("bytes of clock entry name", longest, limits.name_bytes_max),
    ];
    for (what, size, limit) in sizes {
        if size > limit as usize {
            return fault(
                Reason::Limit,
                format!("{size} {what}, at most {limit} are allowed"),
            );
        }
    }
    Ok(())
}

/// The chain's number of transactions has to stay a `u64`. No honest chain gets there; a damaged snapshot may.
fn countable(state: &State, header: &HeaderFields) -> Result<(), Fault> {
    let count = u64::from(header.transaction_count);
    if state.transactions().checked_add(count).is_none() {
        let detail = format!("{count} transactions, the chain can't count more");
        return fault(Reason::Limit, detail);
    }
    Ok(())
}

fn roots(state: &State, prepared: &Prepared) -> Result<(), Fault> {
    let header = prepared.block().header();
    let computed = prepared.merkle_root();
    if header.merkle_root != computed {
        let detail = format!(
            "header names {}, the body gives {computed}",
            header.merkle_root
        );
        return fault(Reason::MerkleRoot, detail);
    }
    let history = state.history_root();
    if header.history_root != history {
        let detail = format!(
            "header names {}, the chain gives {history}",
            header.history_root
        );
        return fault(Reason::HistoryRoot, detail);
    }
    if !header.state_root.is_zero() {
        return fault(
            Reason::StateRoot,
            "must be zero: this chain has no checkpoints",
        );
    }
    Ok(())
}

fn timestamp(
    spec: &ChainSpec,
    state: &State,
    header: &HeaderFields,
    depth: Depth,
) -> Result<(), Fault> {
    if header.timestamp <= state.timestamp() {
        let detail = format!("{} is not after {}", header.timestamp, state.timestamp());
        return fault(Reason::Timestamp, detail);
    }
    // A record is what its head is, whatever the time is here; MPREG's own rules ask for no more.
    if let Depth::Full { now_us } = depth
        && !spec.is_imported(header.height)
        && header.timestamp > now_us.saturating_add(spec.rules.clock_drift_max_us)
    {
        let ahead = header.timestamp - now_us;
        return fault(
            Reason::Timestamp,
            format!("{ahead} µs ahead of this machine's clock"),
        );
    }
    Ok(())
}

/// The producer's entry advances by one, no entry goes back, others by a bounded step (or one authority could
/// push another's counter to its end), and only authorities enter (or one could fill the clock with names).
fn vector_clock(spec: &ChainSpec, state: &State, header: &HeaderFields) -> Result<(), Fault> {
    let (before, now) = (state.clock(), &header.vector_clock);
    match before.compare(now) {
        Causality::Before => {}
        Causality::Equal if spec.is_imported(header.height) => {}
        _ => {
            return fault(
                Reason::VectorClock,
                "does not come after the clock of the block before",
            );
        }
    }
    if spec.is_imported(header.height) {
        return Ok(());
    }
    let producer = &header.producer;
    let Some(expected) = before.get(producer).checked_add(1) else {
        let detail = format!("{producer:?} is at its end and can't advance");
        return fault(Reason::VectorClock, detail);
    };
    if now.get(producer) != expected {
        let detail = format!(
            "{producer:?} is at {}, expected {expected}",
            now.get(producer)
        );
        return fault(Reason::VectorClock, detail);
    }
    let limit = spec.rules.clock_advance_max;
    let advance = now.largest_advance(before, producer);
    if advance > limit {
        let detail = format!("advances another's entry by {advance}, at most {limit} are allowed");
        return fault(Reason::VectorClock, detail);
    }
    let stranger = now.iter().find(|&(node, _)| {
        node != producer && before.get(node) == 0 && spec.authority(node).is_none()
    });
    match stranger {
        Some((node, _)) => fault(
            Reason::VectorClock,
            format!("{node:?} is not an authority and can't enter"),
        ),
        None => Ok(()),
    }
}
