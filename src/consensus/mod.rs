//! Consensus: who may make which block, what that block is worth, and what is final.
//!
//! A specification [composes](crate::format::spec::Composition) it of parts, and each part is a file of pure functions beside this one: `members` (who takes
//! part, and with what weight), `order` (who proposes; by [`priority`] or by [`seed`] where the state keeps something for it), `seals` (what has to be
//! behind a block: a signature, a [`certificate`], [`work`]), `finality`. [`conflict`] and `faults` say whom contradicting signatures convict.
//!
//! # The contract
//!
//! Rules, pool, engine and command line know no part. They ask the functions of this module, which ask those that the
//! specification names. All functions are pure: specification, state and block come in as arguments, time only as a
//! block's timestamp, and nothing is remembered between calls. "To be correct" at a function says what a part owes to
//! everybody who relies on it.
//!
//! The specification is the chain's. Where a chain went on from another ([`ChainSpec::at`]), each function goes by the one that
//! is in force at the height of the block that it is asked about.
//!
//! A block's seal is judged in these steps, each of them once:
//!
//! 1. [`check_seal`] says what follows from specification, header and seal alone. It is asked where the block is
//!    [prepared](crate::rules::Prepared), on any thread, and its answer goes with the block.
//! 2. [`claims`] says what the seal claims to be signed. That is asked only if the first step found nothing, so a seal
//!    that breaks a rule costs no signature check and brings no foreign key into a batch.
//! 3. [`check_entitlement`] says what needs the state before the block. It is asked when the block is ruled, in the order
//!    of the chain.
//! 4. [`late_claims`] says what only that state tells to be signed, and by whom: certificates of members that the chain changed. It is
//!    asked where the third step found nothing. These claims are checked with those of the block's transactions, if those weren't yet.
//!
//! The verdict keeps that order: a fault of the first step, then of the third, then the first claim that doesn't verify.
//! Blocks of an imported record have evidence instead of a seal; no function here is asked about one.
//!
//! To add a choice of one part: `docs/walk-throughs/add-a-consensus.md`.

pub(crate) mod attendance;
pub mod certificate;
pub mod conflict;
mod difficulty;
mod epochs;
mod faults;
mod finality;
mod members;
mod order;
pub mod priority;
mod seals;
pub mod seed;
mod turns;
pub mod work;

use std::borrow::Cow;

pub use self::attendance::attendance;
pub use self::difficulty::WorkSoFar;
pub use self::epochs::{Contribution, contribution, seed_of};
pub use self::faults::check_evidence;
pub use self::members::{is_member, member_count, members};
use self::order::Order;
pub use self::order::SEEDED_ROUNDS_MAX;
use crate::format::digest::Digest;
use crate::format::model::{Header, HeaderFields, SEAL_BYTES_MAX, Seal};
use crate::format::rejection::{Fault, Reason};
use crate::format::signature::{KeyPair, PublicKey, Signature};
use crate::format::spec::{self, Authority, ChainSpec, Proposer, Quorum, SealRule};
use crate::state::tables::{TurnRows, Turns};
use crate::state::{self, ConsensusChanges, State};

/// The most that a seal can claim: so many signatures fit into the longest one.
pub const SEAL_CLAIMS_MAX: usize = SEAL_BYTES_MAX / 64;

/// The name under which blocks count in the vector clock where anybody makes them, or members come and go by their stakes: with a name for
/// each, the clock would be full one day, and whoever isn't in it by then could never make a block.
pub const ANYBODY: &str = "*";

/// What a block, or a chain of blocks, is worth when two chains are compared. The weight of one block is below 2⁶⁴, so
/// that the weights of as many blocks as there are heights add up without overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Weight(pub u128);

/// The fields of a header that are the consensus's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsensusFields {
    /// Difficulty that the block claims: the hashes that it takes on average, 1 where no work is asked for.
    pub difficulty: u64,
    /// Nonce that proves it.
    pub nonce: u64,
}

/// Checks what specification, header and seal alone say of the seal, if its [`claims`] hold too.
///
/// To be correct, it refuses every seal that could be told to be wrong without a state, and bounds what it takes from
/// the seal before it works on it: this is asked of anybody's bytes. After it, no claim names a key that the specification
/// or the header excludes. O(log names), of certificates O(members).
///
/// # Errors
/// `producer`, `height`, `turn`, `difficulty`, `seal` or `quorum`, with what was found and what was expected.
pub fn check_seal(spec: &ChainSpec, header: &Header, seal: &Seal) -> Result<(), Fault> {
    let spec = spec.at(header.height);
    let parts = spec.composition();
    if members::change(spec) || parts.work().is_some() {
        return seals::check_form(parts, header, seal);
    }
    // Whose turn it is by weight or by a seed only the state tells; who the members are and what they weigh, the specification.
    let order = Order::of_specification(parts.proposer).unwrap_or(Order::Open);
    let listed = spec.bound_index(&header.producer);
    seals::check(parts, &parts.members, &order, listed, header, seal)
}

/// Whether only the state tells whose signatures a seal needs.
#[must_use]
pub fn changes_members(spec: &ChainSpec, height: u64) -> bool {
    members::change(spec.at(height))
}

/// Checks what only the state before the block can tell of its seal: membership, turn, weight, difficulty. Asked only after
/// [`check_seal`] and the rules for headers.
///
/// To be correct, the answer follows from the state and these bytes, and doesn't rely on any claim of the seal being true:
/// signatures may not have been checked yet. O(members).
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
    let parts = spec.composition();
    if let Some(work) = parts.work() {
        let expected = difficulty::expected(spec, work, parent);
        return seals::check_difficulty(header, expected);
    }
    if !members::change(spec) && Order::of_specification(parts.proposer).is_some() {
        // The specification lists the members, and `check_seal` has asked it.
        return Ok(());
    }
    let members = members(spec, parent, header.height);
    let order = order(spec, parent, header.height);
    let mut names = members.iter();
    let index = names.position(|member| member.name == header.producer);
    seals::check(parts, &members, &order, index, header, seal)
}

/// Tells `claim` what the seal claims to be signed, none, one or several times: key, message, signature. For a seal that
/// [`check_seal`] found nothing against. What a certificate of members claims whom only the state knows is for [`late_claims`].
///
/// To be correct, it depends on the arguments alone, gives the claims in the order of the seal's bytes, so that the first
/// bad one is the same on every machine, and at most [`SEAL_CLAIMS_MAX`] of them.
pub fn claims(
    spec: &ChainSpec,
    header: &Header,
    seal: &Seal,
    claim: impl FnMut(PublicKey, &[u8], Signature),
) {
    let spec = spec.at(header.height);
    let is_late = matches!(seal, Seal::Quorum(_)) && members::change(spec);
    if !is_late {
        seals::claims(&spec.composition().members, header, seal, claim);
    }
}

/// The claims of a seal that [`claims`] leaves out, in a block that [`check_entitlement`] found nothing against.
pub fn late_claims(
    spec: &ChainSpec,
    parent: &State,
    header: &Header,
    seal: &Seal,
    claim: impl FnMut(PublicKey, &[u8], Signature),
) {
    let spec = spec.at(header.height);
    if matches!(seal, Seal::Quorum(_)) && members::change(spec) {
        seals::claims(&members(spec, parent, header.height), header, seal, claim);
    }
}

/// Checks a seal by what somebody knows who has headers alone: the members of its height in turn order, and where turns are weighted the
/// priorities before it, if these are known. Whose turn it is isn't checked where only a state tells. O(members).
///
/// # Errors
/// As [`check_seal`].
pub fn check_seal_by(
    spec: &ChainSpec,
    members: &[Authority],
    turns: Option<&Turns>,
    header: &Header,
    seal: &Seal,
) -> Result<(), Fault> {
    let spec = spec.at(header.height);
    let parts = spec.composition();
    if parts.work().is_some() {
        return seals::check_form(parts, header, seal);
    }
    let order = match (Order::of_specification(parts.proposer), turns) {
        (Some(order), _) => order,
        (None, Some(turns)) if parts.proposer == Proposer::WeightedTurn => {
            Order::Weighted(turns.clone())
        }
        (None, _) => Order::Open,
    };
    let mut names = members.iter();
    let index = names.position(|member| member.name == header.producer);
    seals::check(parts, members, &order, index, header, seal)
}

/// What a seal claims to be signed, by these members of its height: as [`claims`] and [`late_claims`] together.
pub fn claims_by(
    members: &[Authority],
    header: &Header,
    seal: &Seal,
    claim: impl FnMut(PublicKey, &[u8], Signature),
) {
    seals::claims(members, header, seal, claim);
}

/// Checks that a header claims the work that the chain asks for, by the blocks before it; `time_of` tells the time of one of the last
/// blocks, as many as an interval has.
///
/// # Errors
/// `difficulty`.
pub fn check_difficulty_by(
    spec: &ChainSpec,
    so_far: Option<&WorkSoFar>,
    time_of: impl Fn(u64) -> Option<u64>,
    header: &Header,
) -> Result<(), Fault> {
    let spec = spec.at(header.height);
    let Some(work) = spec.composition().work() else {
        return Ok(());
    };
    let expected = match so_far {
        Some(so_far) => difficulty::after(spec, work, so_far, time_of),
        None => work.difficulty,
    };
    seals::check_difficulty(header, expected)
}

/// The priorities of the height after: of those before a height, its members, and those of the next.
#[must_use]
pub fn turns_after(turns: &Turns, before: &[Authority], after: &[Authority]) -> Turns {
    turns::followed_by(turns, before, after)
}

/// The priorities before the first height at which turns are weighted.
#[must_use]
pub fn first_turns(height: u64, members: &[Authority]) -> Turns {
    turns::first(height, members)
}

/// What the block changes in the state because of its consensus, beside what its transactions change. Asked of
/// every block that obeys all rules but those of signatures, also of those that this store committed before.
///
/// To be correct, it depends on nothing that the block's hash doesn't cover, nor on the state's root that the header names. That is why no
/// seal comes in: two hubs may hold different valid seals of one block, and have to reach the same state. It can't fail: what could be
/// refused was. O(members) where turns are weighted, else O(1).
#[must_use]
pub fn changes(spec: &ChainSpec, parent: &State, header: &HeaderFields) -> ConsensusChanges {
    let height = header.height;
    let spec = spec.at(height);
    let parts = spec.composition();
    let mut changes = ConsensusChanges::default();
    if parts.proposer == Proposer::WeightedTurn {
        turns::changes(spec, parent, height, &mut changes);
    }
    turns::keep_proposer(spec, parent, height, &mut changes);
    if let Some(work) = parts.work() {
        difficulty::changes(spec, work, parent, header, &mut changes);
    }
    if let Proposer::Seeded { epoch } = parts.proposer
        && let Some(epochs) = seed::Epochs::new(epoch)
    {
        epochs::changes(spec, epochs, parent, height, &mut changes);
    }
    finality::changes(spec, parent, &mut changes);
    attendance::changes(spec, parent, height, &mut changes);
    changes
}

/// The order of proposers at the height after the state's.
fn order(spec: &ChainSpec, parent: &State, height: u64) -> Order {
    match spec.composition().proposer {
        Proposer::Open => Order::Open,
        Proposer::Turn => Order::Turn,
        Proposer::WeightedTurn => Order::Weighted(turns(spec, parent, height)),
        Proposer::Seeded { epoch } => match seed::Epochs::new(epoch) {
            Some(epochs) => Order::Seeded(epochs::seed_at(spec, epochs, parent, height)),
            // No specification is valid with such an epoch.
            None => Order::Turn,
        },
    }
}

/// The priorities at a height, as the block before left them.
fn turns(spec: &ChainSpec, parent: &State, height: u64) -> Turns {
    let kept = parent.value::<TurnRows>(TurnRows::KEY);
    let members = members(spec, parent, height);
    // What an earlier specification left is of other members.
    let kept = kept.filter(|kept| kept.height == height && kept.priorities.len() == members.len());
    kept.unwrap_or_else(|| turns::first(height, &members))
}

/// The index among the [`members`] of the height after the state's of the one that proposes its block in a round; `None` if any of them may.
/// O(members), of weighted turns O(members · round).
#[must_use]
pub fn proposer(spec: &ChainSpec, parent: &State, round: u32) -> Option<usize> {
    let height = next(parent);
    let spec = spec.at(height);
    let members = members(spec, parent, height);
    order(spec, parent, height).proposer(&members, height, round)
}

/// The name under which the maker of a block counts in the vector clock.
#[must_use]
pub fn clock_name<'a>(spec: &ChainSpec, height: u64, producer: &'a str) -> &'a str {
    match spec.at(height).composition().shares_clock_entry() {
        true => ANYBODY,
        false => producer,
    }
}

/// Checks that `node` may enter the vector clock at `height`. Asked of each name that is new in it, but that under which
/// [the block's maker counts](clock_name).
///
/// To be correct, it bounds the names that can ever enter, or one producer could fill the clock with names. `parent`
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
        _ if spec.composition().shares_clock_entry() => false,
        Some(parent) => is_member(spec, parent, height, node),
        None => members::change(spec) || spec.bound_index(node).is_some(),
    };
    match enters {
        true => Ok(()),
        false => Err(Fault::new(
            Reason::VectorClock,
            format!("{node:?} is not an authority and can't enter"),
        )),
    }
}

/// How many members have to approve of a change of a parameter in a block at that height, if each weighs the same.
#[must_use]
pub fn approvals_needed(spec: &ChainSpec, parent: &State, height: u64) -> usize {
    let members = member_count(spec, parent, height);
    match spec.at(height).terms.approvals_min as usize {
        0 => members * 2 / 3 + 1,
        least => least.min(members),
    }
}

/// Whether those of `names` that are members approve of a change of a parameter together: enough of them where the specification says how
/// many, else more than two thirds of the weight. O(members · names).
#[must_use]
pub fn approves(spec: &ChainSpec, parent: &State, height: u64, names: &[String]) -> bool {
    let members = members(spec, parent, height);
    let approving = members.iter().filter(|member| names.contains(&member.name));
    match spec.at(height).terms.approvals_min as usize {
        0 => {
            let weight = approving.map(|member| member.weight).sum();
            let total = members.iter().map(|member| member.weight).sum();
            Quorum::TWO_THIRDS.is_reached(weight, total)
        }
        least => approving.count() >= least.min(members.len()),
    }
}

/// What a valid block adds to the weight of its chain: the work that it took, or 1.
///
/// To be correct, it is at least 1, so that a chain outweighs each of its beginnings, below 2⁶⁴, and depends on nothing
/// that the block's hash doesn't cover (see [`changes`]), nor on the chain's weight that the header names.
#[must_use]
pub fn weight(spec: &ChainSpec, header: &HeaderFields) -> Weight {
    match spec.at(header.height).composition().work() {
        Some(_) => Weight(u128::from(header.difficulty.max(1))),
        // No member's block says more than another's.
        None => Weight(1),
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
    if !members::change(spec) {
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
/// that it goes on from is final, whatever the consensus says.
#[must_use]
pub fn final_height(spec: &ChainSpec, head: &State) -> u64 {
    let spec = spec.at(head.height());
    let pinned = spec.predecessor().map_or(0, |before| before.height);
    finality::height(spec, head).max(pinned)
}

/// Whether the block at `height` may not be final at once, so that another chain may replace it.
///
/// To be correct, it is true wherever [`final_height`] of a chain that ends at this height may be below the head.
#[must_use]
pub fn can_be_replaced(spec: &ChainSpec, height: u64) -> bool {
    finality::can_be_replaced(spec.at(height))
}

/// The name under which the holder of `key` may make the block after `parent`; whether it is its turn is for
/// [`check_seal`] to say. Where anybody may, that is the key in hexadecimal: an account that nobody else speaks for where names are keys.
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
    let height = next(parent);
    let spec = spec.at(height);
    if members::is_open_to_all(spec) {
        return Ok(Cow::Owned(key.to_string()));
    }
    let found = match members(spec, parent, height) {
        Cow::Borrowed(listed) => {
            let found = listed.iter().find(|one| one.key == *key);
            found.map(|member| Cow::Borrowed(member.name.as_str()))
        }
        Cow::Owned(changed) => {
            let found = changed.into_iter().find(|one| one.key == *key);
            found.map(|member| Cow::Owned(member.name))
        }
    };
    found.ok_or_else(|| Fault::new(Reason::Producer, format!("{key} is no authority's key")))
}

/// The height of the block after `parent`. At the end of all heights there is none, and none will be valid.
fn next(parent: &State) -> u64 {
    parent.height().saturating_add(1)
}

/// Whether one producer can make every block, without anybody else.
#[must_use]
pub fn goes_on_alone(spec: &ChainSpec) -> bool {
    let parts = spec.composition();
    match (&parts.seal, parts.proposer) {
        (SealRule::Work(_), _) | (SealRule::Signature, Proposer::Open) => true,
        _ => parts.members.len() <= 1 && !members::change(spec),
    }
}

/// The consensus's own fields in the header of a block after `parent`.
///
/// To be correct, a header with them passes [`check_seal`] and [`check_entitlement`] wherever its producer may make the
/// block. Where a nonce has to be searched, this is where the search begins.
#[must_use]
pub fn draft(spec: &ChainSpec, parent: &State) -> ConsensusFields {
    let spec = spec.at(next(parent));
    let difficulty = match spec.composition().work() {
        Some(work) => difficulty::expected(spec, work, parent),
        None => seals::WITHOUT_WORK.difficulty,
    };
    ConsensusFields {
        difficulty,
        nonce: 0,
    }
}

/// The header with the first nonce from its own on that is enough work, where that is asked for; `None` if there is none among so many.
#[must_use]
pub fn with_work(spec: &ChainSpec, header: Header, hashes_max: u64) -> Option<Header> {
    match spec.at(header.height).composition().work() {
        Some(_) => {}
        None => return Some(header),
    }
    let search = work::Search {
        nonces: header.nonce..=header.nonce.saturating_add(hashes_max),
        ..work::Search::new(work::Target::from_difficulty(header.difficulty))
    };
    match search.run(&work::Template::of(&header), || false) {
        work::Outcome::Found { nonce, .. } => {
            let fields = HeaderFields {
                nonce,
                ..(*header).clone()
            };
            Header::new(fields).ok()
        }
        work::Outcome::Cancelled { .. } | work::Outcome::Exhausted => None,
    }
}

/// The seal on a finished header by the holder of `key`. Where one holder can't seal alone, its part of the seal: a certificate of round 0
/// with its own signature. `parent` is the state before the block.
///
/// To be correct, its [`claims`] verify.
#[must_use]
pub fn seal(spec: &ChainSpec, parent: &State, key: &KeyPair, header: &Header) -> Seal {
    seal_by(spec, parent, &[key], 0, header)
}

/// The seal of several holders of keys in a round: those of members sign. Where one signature seals, that of the first.
#[must_use]
pub fn seal_by(
    spec: &ChainSpec,
    parent: &State,
    keys: &[&KeyPair],
    round: u32,
    header: &Header,
) -> Seal {
    let spec = spec.at(header.height);
    match (&spec.composition().seal, keys.first()) {
        (SealRule::Work(_), _) => Seal::Work,
        (SealRule::Signature, Some(key)) => Seal::by_authority(key, &header.hash()),
        (SealRule::Signature, None) => Seal::None,
        (SealRule::Quorum(_), _) => {
            let members = members(spec, parent, header.height);
            seals::certified(&members, keys, round, header)
        }
    }
}
