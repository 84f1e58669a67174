//! What a header must obey, given what is known of the chain before it. Pure functions.
//!
//! Most of it needs no state, only the headers before it: [`check`] and [`check_seal`] are for clients, bridges and stores that
//! have headers and no bodies. The validator asks the same functions, with what the state and the body say added in their places,
//! so that there is one order of faults.
//!
//! Headers alone don't show that transactions are valid, nor what only the state could tell of a producer (see
//! [`consensus::check_entitlement`]). They show who sealed which transactions after what.

use super::{Claims, Depth, Prepared};
use crate::consensus::{self, Weight};
use crate::format::FormatVersion;
use crate::format::digest::{BlockHash, Digest};
use crate::format::merkle::Frontier;
use crate::format::model::{Causality, Header, HeaderFields, Seal, VectorClock};
use crate::format::rejection::{Fault, Reason};
use crate::format::signature::Verifier;
use crate::format::spec::{ChainSpec, Limits, Rules};
use crate::state::{InForce, State};

/// What is known of the chain before a header. What isn't is not checked.
#[derive(Debug, Clone, Copy)]
pub struct Parent<'a> {
    /// Height of the block before.
    pub height: u64,
    /// Its hash.
    pub hash: Option<BlockHash>,
    /// Its timestamp.
    pub timestamp: Option<u64>,
    /// Its vector clock.
    pub clock: Option<&'a VectorClock>,
    /// What the chain up to it weighs, with it.
    pub weight: Option<u128>,
    /// Number of transactions in the chain up to it, with it.
    pub transactions: Option<u64>,
    /// The tree over the [leaves](crate::format::merkle::history_leaf) of all blocks up to it.
    pub history: Option<&'a Frontier>,
}

impl<'a> Parent<'a> {
    /// Nothing but the height.
    #[must_use]
    pub const fn unknown(height: u64) -> Self {
        Self {
            height,
            hash: None,
            timestamp: None,
            clock: None,
            weight: None,
            transactions: None,
            history: None,
        }
    }

    /// Everything about the last block of a state.
    #[must_use]
    pub fn of_state(state: &'a State) -> Self {
        Self {
            height: state.height(),
            hash: Some(state.head()),
            timestamp: Some(state.timestamp()),
            clock: Some(state.clock()),
            weight: Some(state.weight()),
            transactions: Some(state.transaction_count()),
            history: Some(state.history()),
        }
    }

    /// Everything that a header says of itself, with the tree up to it where that is known.
    #[must_use]
    pub fn of_header(header: &'a Header, history: Option<&'a Frontier>) -> Self {
        Self {
            height: header.height,
            hash: Some(header.hash()),
            timestamp: Some(header.timestamp),
            clock: Some(&header.vector_clock),
            weight: header.chain_weight(),
            transactions: header.chain_transactions(),
            history,
        }
    }
}

/// Checks a header by every rule that needs neither body nor state, in the order in which the validator reports faults.
/// `now_us` is this machine's time, or `None` for headers that were believed before. O(clock entries + log blocks).
///
/// # Errors
/// The first of `version`, `chain`, `height`, `previous_hash`, `limit`, `transaction_count` (of the whole chain), `history_root`,
/// `state_root`, `members_root`, `weight`, `timestamp` and `vector_clock`.
pub fn check(
    spec: &ChainSpec,
    parent: &Parent<'_>,
    header: &HeaderFields,
    now_us: Option<u64>,
) -> Result<(), Fault> {
    in_order(spec, parent, header, now_us, (None, None))
}

/// The same of a block: also that its body is the one that its header names.
///
/// # Errors
/// As [`check`], with `merkle_root` before the other roots.
pub fn check_with_body(
    spec: &ChainSpec,
    parent: &Parent<'_>,
    prepared: &Prepared,
    now_us: u64,
) -> Result<(), Fault> {
    let header = prepared.block().header();
    in_order(spec, parent, header, Some(now_us), (None, Some(prepared)))
}

/// Checks the seal of a header by itself: what it says, and what it claims to be signed. For many headers at once,
/// [`Claims::add_seal`] takes less time. Nothing is found against a block of an imported record, which has no seal: its
/// evidence is in its body. Of members whom only a state knows, nothing is checked but that the seal is of the right kind: for whoever has a
/// state there is [`check_seal_with`], and whoever is told the members follows as a [`LightClient`](super::light::LightClient).
///
/// # Errors
/// As [`consensus::check_seal`]; `seal` for a claim that doesn't verify.
pub fn check_seal(
    spec: &ChainSpec,
    header: &Header,
    seal: &Seal,
    verifier: &Verifier,
) -> Result<(), Fault> {
    if spec.is_imported(header.height) {
        return Ok(());
    }
    consensus::check_seal(spec, header, seal)?;
    let mut claims = Claims::default();
    claims.add_seal(0, spec, header, seal);
    let found = claims.verify_block(verifier).into_fault();
    found.map_or(Ok(()), Err)
}

/// Checks what members whom the chain changes have to do with a header, by a state after its block or the one before it, or after any
/// later block: that it names the members of the next height, and that the seal is by those of its own. A state knows the members of all
/// heights up to two above its own, but priorities and seeds of earlier ones it doesn't: whose turn it was by these isn't checked. Where
/// the specification lists the members it is [`check_seal`].
///
/// With [`check`] of every header from genesis on, the members that the state tells need no other proof: those of each height are named by
/// a header that the members before them have sealed, or listed by a specification.
///
/// # Errors
/// `members_root`, and as [`check_seal`].
pub fn check_seal_with(
    spec: &ChainSpec,
    state: &State,
    header: &Header,
    seal: &Seal,
    verifier: &Verifier,
) -> Result<(), Fault> {
    if !consensus::changes_members(spec, header.height) || spec.is_imported(header.height) {
        return check_seal(spec, header, seal, verifier);
    }
    let next = header.height.saturating_add(1);
    // A specification that takes over lists its members, and takes away what was to come: what would have come is named, and not known any more.
    if spec.at(next).first_height() != next {
        members_root(spec, Some(state), header)?;
    }
    let mut claims = Claims::default();
    claims.add_seal_with(0, spec, state, header, seal)?;
    let found = claims.verify_block(verifier).into_fault();
    found.map_or(Ok(()), Err)
}

/// Checks a block's header by all rules.
pub(super) fn check_block(
    spec: &ChainSpec,
    state: &State,
    prepared: &Prepared,
    depth: Depth,
) -> Result<(), Fault> {
    let now_us = match depth {
        Depth::Full { now_us } => Some(now_us),
        Depth::Replay => None,
    };
    let (parent, header) = (Parent::of_state(state), prepared.block().header());
    let behind = (Some(state), Some(prepared));
    in_order(spec, &parent, header, now_us, behind)
}

/// Whether the block at `height` names the root over the state after it. Genesis doesn't, whose state the specification
/// tells, nor do blocks of an imported record, which are made without a state.
#[must_use]
pub fn state_root_due(spec: &ChainSpec, height: u64) -> bool {
    let spec = spec.at(height);
    let interval = u64::from(spec.terms.root_interval);
    height > 0 && interval > 0 && height.is_multiple_of(interval) && !spec.is_imported(height)
}

/// Checks the state root of a header that has to name one, given the root over the state `after` its block, where this build
/// can tell that. Asked when everything else about the block but its signatures is known to be right.
///
/// # Errors
/// `state_root`; of a due one that can't be told too, for nothing that wasn't checked is valid.
pub fn check_state_root(
    spec: &ChainSpec,
    header: &HeaderFields,
    after: Option<&Digest>,
) -> Result<(), Fault> {
    let named = &header.state_root;
    match after {
        _ if !state_root_due(spec, header.height) => Ok(()),
        Some(after) if named == after => Ok(()),
        Some(after) => {
            let detail = format!("header names {named}, the state gives {after}");
            fault(Reason::StateRoot, detail)
        }
        None => fault(
            Reason::StateRoot,
            "one is due at this height, and this build computes none",
        ),
    }
}

/// The one order of faults, by the specification in force at the header's height. What needs the state or the body
/// stands where it always stood.
fn in_order(
    spec: &ChainSpec,
    parent: &Parent<'_>,
    header: &HeaderFields,
    now_us: Option<u64>,
    (state, body): (Option<&State>, Option<&Prepared>),
) -> Result<(), Fault> {
    let spec = spec.at(header.height);
    let in_force = InForce::at(spec, state, header.height);
    link(spec, parent, header)?;
    limits(&in_force.limits, header)?;
    transactions(parent, header)?;
    if let Some(prepared) = body {
        merkle_root(prepared, header)?;
    }
    roots(spec, parent, header)?;
    pinned_state(spec, state)?;
    members_root(spec, state, header)?;
    weight(spec, parent, header)?;
    timestamp(spec, &in_force.rules, parent, header, now_us)?;
    vector_clock(spec, &in_force.rules, parent, state, header)
}

fn fault<T>(reason: Reason, detail: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(reason, detail))
}

fn link(spec: &ChainSpec, parent: &Parent<'_>, header: &HeaderFields) -> Result<(), Fault> {
    // First, as bytes of a version that isn't known are refused for that before anything else in them is read.
    if header.version != spec.version {
        let (found, expected) = (header.version, spec.version);
        let detail = format!("version {found}, this chain's is {expected} at this height");
        return fault(Reason::Version, detail);
    }
    if header.chain != spec.id() {
        return fault(
            Reason::Chain,
            format!("for chain {}, this is {}", header.chain, spec.id()),
        );
    }
    let expected = parent.height.saturating_add(1);
    if header.height != expected {
        let detail = format!("height {}, expected {expected}", header.height);
        return fault(Reason::Height, detail);
    }
    let named = header.previous_hash;
    if let Some(before) = parent.hash
        && named != before
    {
        let detail = format!("links to {named}, the block before is {before}");
        return fault(Reason::PreviousHash, detail);
    }
    // Where the specification takes over from another, it says itself behind which block.
    match spec.predecessor() {
        Some(pinned) if pinned.height == parent.height && pinned.head != named => {
            let pinned = pinned.head;
            let detail = format!("links to {named}, the specification goes on from {pinned}");
            fault(Reason::PreviousHash, detail)
        }
        _ => Ok(()),
    }
}

fn limits(limits: &Limits, header: &HeaderFields) -> Result<(), Fault> {
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

/// The chain's number of transactions has to stay a `u64`. No honest chain gets there; a damaged snapshot may. Since version 2
/// the header names it.
fn transactions(parent: &Parent<'_>, header: &HeaderFields) -> Result<(), Fault> {
    let Some(before) = parent.transactions else {
        return Ok(());
    };
    let count = u64::from(header.transaction_count);
    let Some(after) = before.checked_add(count) else {
        let detail = format!("{count} transactions, the chain can't count more");
        return fault(Reason::Limit, detail);
    };
    match header.chain_transactions() {
        Some(named) if named != after => {
            let detail = format!("{named} in the whole chain, with this block there are {after}");
            fault(Reason::TransactionCount, detail)
        }
        _ => Ok(()),
    }
}

fn merkle_root(prepared: &Prepared, header: &HeaderFields) -> Result<(), Fault> {
    let computed = prepared.merkle_root();
    if header.merkle_root != computed {
        let detail = format!(
            "header names {}, the body gives {computed}",
            header.merkle_root
        );
        return fault(Reason::MerkleRoot, detail);
    }
    Ok(())
}

fn roots(spec: &ChainSpec, parent: &Parent<'_>, header: &HeaderFields) -> Result<(), Fault> {
    let history = parent.history.map(Frontier::root);
    if let Some(history) = history
        && header.history_root != history
    {
        let detail = format!(
            "header names {}, the chain gives {history}",
            header.history_root
        );
        return fault(Reason::HistoryRoot, detail);
    }
    if !header.state_root.is_zero() && !state_root_due(spec, header.height) {
        let detail = "must be zero: this chain has none at this height";
        return fault(Reason::StateRoot, detail);
    }
    Ok(())
}

/// Where the specification takes over from another, it says itself what was known of names there. Each block of the chain would
/// follow from another state than the specification's author had.
fn pinned_state(spec: &ChainSpec, state: Option<&State>) -> Result<(), Fault> {
    let (Some(pinned), Some(state)) = (spec.predecessor(), state) else {
        return Ok(());
    };
    if pinned.height != state.height() {
        return Ok(());
    }
    let (named, found) = (pinned.state_root, state.pinned_root());
    if named == found {
        return Ok(());
    }
    let detail = format!("the specification goes on from state {named}, this is {found}");
    fault(Reason::StateRoot, detail)
}

/// Not checked where only the state could tell, and it isn't known.
fn members_root(
    spec: &ChainSpec,
    state: Option<&State>,
    header: &HeaderFields,
) -> Result<(), Fault> {
    if header.version == FormatVersion::V1 {
        return Ok(());
    }
    let named = header.members_root;
    match consensus::members_root(spec, header.height, state) {
        Some(members) if named != members => {
            let detail = format!("header names {named}, the members give {members}");
            fault(Reason::MembersRoot, detail)
        }
        _ => Ok(()),
    }
}

/// The sum is refused where it doesn't fit: one that wrapped would make the heaviest chain the lightest.
fn weight(spec: &ChainSpec, parent: &Parent<'_>, header: &HeaderFields) -> Result<(), Fault> {
    let (Some(before), Some(named)) = (parent.weight, header.chain_weight()) else {
        return Ok(());
    };
    let Weight(own) = consensus::weight(spec, header);
    match before.checked_add(own) {
        Some(after) if named == after => Ok(()),
        Some(after) => {
            let detail = format!("{named}, with this block the chain weighs {after}");
            fault(Reason::Weight, detail)
        }
        None => fault(Reason::Weight, format!("{before} can't become more")),
    }
}

fn timestamp(
    spec: &ChainSpec,
    rules: &Rules,
    parent: &Parent<'_>,
    header: &HeaderFields,
    now_us: Option<u64>,
) -> Result<(), Fault> {
    if let Some(before) = parent.timestamp
        && header.timestamp <= before
    {
        let detail = format!("{} is not after {before}", header.timestamp);
        return fault(Reason::Timestamp, detail);
    }
    // An imported record is fixed by its pinned head, whatever the time is here; MPREG's own rules ask for no more.
    if let Some(now_us) = now_us
        && !spec.is_imported(header.height)
        && header.timestamp > now_us.saturating_add(rules.clock_drift_max_us)
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
/// push another's counter to its end), and only those enter whom the consensus lets (or one could fill the clock with
/// names).
fn vector_clock(
    spec: &ChainSpec,
    rules: &Rules,
    parent: &Parent<'_>,
    state: Option<&State>,
    header: &HeaderFields,
) -> Result<(), Fault> {
    let Some(before) = parent.clock else {
        return Ok(());
    };
    let now = &header.vector_clock;
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
    let producer = consensus::clock_name(spec, header.height, &header.producer);
    // Wrapping at the end would take the producer's own entry back to zero.
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
    let limit = rules.clock_advance_max;
    let advance = now.largest_advance(before, producer);
    if advance > limit {
        let detail = format!("advances another's entry by {advance}, at most {limit} are allowed");
        return fault(Reason::VectorClock, detail);
    }
    let mut entering = now
        .iter()
        .filter(|&(node, _)| node != producer && before.get(node) == 0);
    entering
        .try_for_each(|(node, _)| consensus::check_clock_entry(spec, header.height, state, node))
}
