//! Consensus: who may make which block, and what that block is worth. One match a function over a closed list of kinds;
//! each kind is a file of pure functions beside this one.
//!
//! # The contract
//!
//! Rules, pool, engine and command line know no kind. They ask the functions of this module, which ask the kind that the
//! specification names. All functions are pure: specification, state and block come in as arguments, time only as a
//! block's timestamp, and nothing is remembered between calls. "To be correct" at a function says what a kind owes to
//! everybody who relies on it.
//!
//! The specification is the chain's. Where a chain went on from another ([`ChainSpec::at`]), each function goes by the one that
//! is in force at the height of the block that it is asked about.
//!
//! A block's seal is judged in three steps, each of them once:
//!
//! 1. [`check_seal`] says what follows from specification, header and seal alone. It is asked where the block is
//!    [prepared](crate::rules::Prepared), on any thread, and its answer goes with the block.
//! 2. [`claims`] says what the seal claims to be signed. That is asked only if the first step found nothing, so a seal
//!    that breaks a rule costs no signature check and brings no foreign key into a batch.
//! 3. [`check_entitlement`] says what needs the state before the block. It is asked when the block is ruled, in the order
//!    of the chain.
//!
//! The verdict keeps that order: a fault of the first step, then of the third, then the first claim that doesn't verify.
//! Blocks of an imported record have evidence instead of a seal; no function here is asked about one.
//!
//! # To add a kind
//!
//! Proof of authority is the example. For a kind called `stake`:
//!
//! 1. `format/model/seal.rs`: a variant of [`Seal`] with its tag, if none fits, in both `encode` and `decode`; its form in
//!    `FORMAT.md` ("Block") and in what the command line prints (`cli/src/describe.rs`). A seal of many signatures is as
//!    long as it has to be, but no longer than [`SEAL_BYTES_MAX`].
//! 2. `format/spec/stake.rs`: the parameters as a struct with `bound`, `members_root`, `check`, `contradictions`, `encode`, `decode`,
//!    `to_toml` and `from_toml`, as in `authority.rs` there.
//! 3. `format/spec/mod.rs`: a variant of [`Consensus`], its tag, and an arm in each match
//!    of `impl Consensus` and of `format/spec/words.rs`; `format/spec/toml.rs`: a word in `Kind`, and the fields in
//!    `ConsensusToml`. Fields that only some kinds have become optional there, and `from_toml` says which are missing.
//!    `FORMAT.md`: "Chain specification".
//! 4. If it keeps anything in the state: a variant of [`ConsensusChanges`] in `state/accounts.rs`, the value in
//!    [`State`], its arm in `State::apply` and in `State::note` and `rewind` (`state/journal.rs`), and a section in
//!    `state/snapshot.rs` and in `FORMAT.md` ("Validator state"). The weight of the chain has to be written there too if a
//!    block can weigh anything but 1.
//! 5. `consensus/stake.rs`: one function for each of this module's, and the arms here. `BLOCK_MEMORY` in
//!    `engine/settings.rs` has room for a few claims of a seal, each of about 200 bytes; seals of many have to be counted.
//! 6. Tests: `tests/it/codec.rs` and `tests/it/golden.rs` (encoding), `tests/it/spec.rs` (limits and contradictions),
//!    `tests/attacks/blocks.rs` (each field forged), `tests/engine/faults.rs` (a block for each fault, which
//!    `equivalence.rs` puts into chains), `tests/consensus/` (this contract, and what clients refuse that have
//!    headers only).
//!
//! The compiler names every match that lacks an arm. `tests/rooms.rs` keeps the names of kinds out of all other rooms.

mod authority;
pub mod certificate;
pub mod conflict;
pub mod evidence;
pub mod priority;
pub mod quorum;
pub mod seed;
pub mod vote;

use std::borrow::Cow;

use crate::format::digest::Digest;
use crate::format::model::{Header, HeaderFields, SEAL_BYTES_MAX, Seal, Transaction};
use crate::format::rejection::Fault;
use crate::format::signature::{KeyPair, PublicKey, Signature};
use crate::format::spec::{self, Authority, ChainSpec, Consensus, Parameter};
use crate::state::{self, ConsensusChanges, State};

/// The most that a seal can claim: so many signatures fit into the longest one.
pub const SEAL_CLAIMS_MAX: usize = SEAL_BYTES_MAX / 64;

/// What a block, or a chain of blocks, is worth when two chains are compared. The weight of one block is below 2⁶⁴, so
/// that the weights of as many blocks as there are heights add up without overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Weight(pub u128);

/// The fields of a header that are the consensus's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsensusFields {
    /// Difficulty that the block claims.
    pub difficulty: u64,
    /// Nonce that proves it.
    pub nonce: u64,
}

/// Checks what specification, header and seal alone say of the seal, if its [`claims`] hold too.
///
/// To be correct, a kind refuses every seal that could be told to be wrong without a state, and bounds what it takes from
/// the seal before it works on it: this is asked of anybody's bytes. After it, no claim names a key that the specification
/// or the header excludes. O(log names).
///
/// # Errors
/// `producer`, `height`, `turn`, `difficulty` or `seal`, with what was found and what was expected.
pub fn check_seal(spec: &ChainSpec, header: &Header, seal: &Seal) -> Result<(), Fault> {
    let spec = spec.at(header.height);
    match &spec.consensus {
        Consensus::ProofOfAuthority(_) if changes_members(spec) => {
            authority::check_form(header, seal).map(|_| ())
        }
        Consensus::ProofOfAuthority(parameters) => {
            let listed = spec.bound_index(&header.producer);
            authority::check_seal(parameters, &parameters.authorities, listed, header, seal)
        }
    }
}

/// Whether only the state tells who takes part.
fn changes_members(spec: &ChainSpec) -> bool {
    spec.terms.changeable.contains(&Parameter::Members)
}

/// Checks what only the state before the block can tell of its producer: membership, stake, difficulty. Asked only after
/// [`check_seal`] and the rules for headers.
///
/// To be correct, the answer follows from the state and these bytes, and doesn't rely on any claim of the seal being true:
/// signatures may not have been checked yet. O(log names), or O(claims of the seal).
///
/// # Errors
/// As [`check_seal`].
pub fn check_entitlement(
    spec: &ChainSpec,
    parent: &State,
    header: &Header,
    seal: &Seal,
) -> Result<(), Fault> {
    let spec = spec.at(header.height);
    match &spec.consensus {
        Consensus::ProofOfAuthority(parameters) if changes_members(spec) => {
            let members = members_at(spec, parent, header.height, &parameters.authorities);
            let mut names = members.iter();
            let index = names.position(|member| member.name == header.producer);
            authority::check_seal(parameters, &members, index, header, seal)
        }
        // The specification lists the authorities, and `check_seal` has asked it.
        Consensus::ProofOfAuthority(_) => Ok(()),
    }
}

/// Tells `claim` what the seal claims to be signed, none, one or several times: key, message, signature. For a seal that
/// [`check_seal`] found nothing against.
///
/// To be correct, it depends on the arguments alone, gives the claims in the order of the seal's bytes, so that the first
/// bad one is the same on every machine, and at most [`SEAL_CLAIMS_MAX`] of them.
pub fn claims(
    spec: &ChainSpec,
    header: &Header,
    seal: &Seal,
    claim: impl FnMut(PublicKey, &[u8], Signature),
) {
    match &spec.at(header.height).consensus {
        Consensus::ProofOfAuthority(_) => authority::claims(&header.hash(), seal, claim),
    }
}

/// What the block changes in the state because of its consensus, beside what its transactions change in accounts. Asked of
/// every block that obeys all rules but those of signatures, also of those that this store committed before.
///
/// To be correct, it depends on nothing that the block's hash doesn't cover. That is why no seal comes in: two hubs may
/// hold different valid seals of one block, and have to reach the same state. It can't fail: what could be refused was.
#[must_use]
pub fn changes(
    spec: &ChainSpec,
    _parent: &State,
    header: &Header,
    _transactions: &[Transaction],
) -> ConsensusChanges {
    match &spec.at(header.height).consensus {
        Consensus::ProofOfAuthority(_) => ConsensusChanges::None,
    }
}

/// Checks that `node` may enter the vector clock at `height`. Asked of each name other than the producer's that is new in it.
///
/// To be correct, a kind bounds the names that can ever enter, or one producer could fill the clock with names. `parent`
/// is `None` where only headers are known; then a name passes if only the state could refuse it. O(log names).
///
/// # Errors
/// `vector_clock`.
pub fn check_clock_entry(
    spec: &ChainSpec,
    height: u64,
    parent: Option<&State>,
    node: &str,
) -> Result<(), Fault> {
    let spec = spec.at(height);
    let enters = match parent {
        Some(parent) => is_member(spec, parent, height, node),
        None => changes_members(spec) || spec.bound_index(node).is_some(),
    };
    match &spec.consensus {
        Consensus::ProofOfAuthority(_) => authority::check_clock_entry(enters, node),
    }
}

/// The members of the height, which is at most two above the state's: where the chain changed them, those; else the specification's.
fn members_at<'a>(
    spec: &'a ChainSpec,
    parent: &State,
    height: u64,
    listed: &'a [Authority],
) -> Cow<'a, [Authority]> {
    match state::members(spec, parent, height) {
        Some(changed) => Cow::Owned(changed),
        None => Cow::Borrowed(listed),
    }
}

/// Whether `name` takes part in the consensus at a height that is at most two above the state's. O(members) where the chain
/// changed them, else O(log members).
#[must_use]
pub fn is_member(spec: &ChainSpec, parent: &State, height: u64, name: &str) -> bool {
    match state::members(spec, parent, height) {
        Some(changed) => changed.iter().any(|member| member.name == name),
        None => spec.at(height).bound_index(name).is_some(),
    }
}

/// How many take part in the consensus at that height.
#[must_use]
pub fn member_count(spec: &ChainSpec, parent: &State, height: u64) -> usize {
    match state::members(spec, parent, height) {
        Some(changed) => changed.len(),
        None => spec.at(height).consensus.bound().count(),
    }
}

/// How many members have to approve of a change of a parameter in a block at that height.
#[must_use]
pub fn approvals_needed(spec: &ChainSpec, parent: &State, height: u64) -> usize {
    let members = member_count(spec, parent, height);
    match spec.at(height).terms.approvals_min as usize {
        0 => members * 2 / 3 + 1,
        least => least.min(members),
    }
}

/// What a valid block adds to the weight of its chain.
///
/// To be correct, it is at least 1, so that a chain outweighs each of its beginnings, below 2⁶⁴, and depends on nothing
/// that the block's hash doesn't cover (see [`changes`]), nor on the chain's weight that the header names.
#[must_use]
pub fn weight(spec: &ChainSpec, header: &HeaderFields) -> Weight {
    match &spec.at(header.height).consensus {
        // No authority's block says more than another's.
        Consensus::ProofOfAuthority(_) => Weight(1),
    }
}

/// The root that the block at `height` has to name over the members of the height after it, under the specification in force
/// at `height`; `None` where only the state could tell and `parent`, the state before the block, isn't known. The leaf data of
/// each member are `bytes(name) ‖ key ‖ weight u64`, in turn order.
///
/// To be correct, whoever has the members can tell from a seal of the next height whether enough of them are behind it.
/// O(1) once it was asked for.
#[must_use]
pub fn members_root(spec: &ChainSpec, height: u64, parent: Option<&State>) -> Option<Digest> {
    let spec = spec.at(height);
    if !changes_members(spec) {
        return Some(spec.members_root());
    }
    match state::members(spec, parent?, height.saturating_add(1)) {
        Some(changed) => Some(spec::members_root(&changed)),
        None => Some(spec.members_root()),
    }
}

/// The height up to which a chain that ends in `head` is final: no other chain may ever replace a block at or below it,
/// whatever that one weighs.
///
/// To be correct, it is not above the head's height, and never lower after one more block. What a specification pins of the chain
/// that it goes on from is final, whatever the kind says.
#[must_use]
pub fn final_height(spec: &ChainSpec, head: &State) -> u64 {
    let spec = spec.at(head.height());
    let settled = match &spec.consensus {
        Consensus::ProofOfAuthority(_) => authority::final_height(spec, head),
    };
    let pinned = spec.predecessor().map_or(0, |before| before.height);
    settled.max(pinned)
}

/// Whether the block at `height` may not be final at once, so that another chain may replace it.
///
/// To be correct, it is true wherever [`final_height`] of a chain that ends at this height may be below the head.
#[must_use]
pub fn can_be_replaced(spec: &ChainSpec, height: u64) -> bool {
    let spec = spec.at(height);
    match &spec.consensus {
        Consensus::ProofOfAuthority(_) => authority::can_be_replaced(spec),
    }
}

/// The name under which the holder of `key` may make the block after `parent`; whether it is its turn is for
/// [`check_seal`] to say.
///
/// To be correct, [`seal`] with this key passes [`check_seal`] under this name at some height. O(names).
///
/// # Errors
/// `producer`: the key is nobody's who may.
pub fn producer<'a>(
    spec: &'a ChainSpec,
    parent: &State,
    key: &PublicKey,
) -> Result<Cow<'a, str>, Fault> {
    let (height, spec) = (next(parent), spec.at(next(parent)));
    match &spec.consensus {
        Consensus::ProofOfAuthority(parameters) => {
            let members = members_at(spec, parent, height, &parameters.authorities);
            authority::producer(members, key)
        }
    }
}

/// The height of the block after `parent`. At the end of all heights there is none, and none will be valid.
fn next(parent: &State) -> u64 {
    parent.height().saturating_add(1)
}

/// Whether one producer can make every block, without anybody else.
#[must_use]
pub fn goes_on_alone(spec: &ChainSpec) -> bool {
    match &spec.consensus {
        Consensus::ProofOfAuthority(parameters) => authority::goes_on_alone(parameters),
    }
}

/// The consensus's own fields in the header of `producer`'s block after `parent`.
///
/// To be correct, a header with them passes [`check_seal`] and [`check_entitlement`] wherever `producer` may make the
/// block. Where a nonce has to be searched, this is where the search begins.
#[must_use]
pub fn draft(spec: &ChainSpec, parent: &State, _producer: &str) -> ConsensusFields {
    match &spec.at(next(parent)).consensus {
        Consensus::ProofOfAuthority(_) => authority::FIELDS,
    }
}

/// The seal on a finished header by the holder of `key`. Where one holder can't seal alone, its part of the seal.
///
/// To be correct, its [`claims`] verify.
#[must_use]
pub fn seal(spec: &ChainSpec, key: &KeyPair, header: &Header) -> Seal {
    match &spec.at(header.height).consensus {
        Consensus::ProofOfAuthority(_) => Seal::by_authority(key, &header.hash()),
    }
}
