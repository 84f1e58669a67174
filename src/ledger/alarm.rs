//! What a hub can't settle by itself: another history of its chain, made by those who may make it, from below what is final here. No rule
//! says which of the two is right, so nothing is chosen. The chain stays as it is, and whoever runs the hub is told.
//!
//! There are two cases. Where a block is final by its depth, or at once by one signature, hubs that were apart for longer than that
//! have each a history of their own; the alarm is raised once the other one has made the block final where they part, too. Where
//! certificates make blocks final, two of one height mean that members of more than a third of the weight are faulty; the hub halts
//! (`docs/adr/0037-alarm.md`).

use std::collections::{HashMap, VecDeque};
use std::fmt;

use super::{ChainReader, LedgerError};
use crate::consensus::{self, conflict::Conflict};
use crate::format::digest::BlockHash;
use crate::format::evidence::{DoubleVote, Evidence};
use crate::format::model::{Block, Header, QuorumSeal, Seal};
use crate::format::signature::Verifier;
use crate::format::spec::{Authority, ChainSpec, Finality};
use crate::format::vote::{Vote, VoteKind};
use crate::rules::Claims;
use crate::rules::headers::{self, Parent};
use crate::state::State;
use crate::state::tables::{CheckpointRow, CheckpointRows};

/// Headers of other histories are kept up to so many, some 500 bytes each; the oldest go first.
const HEADERS_MAX: usize = 8192;

/// Another history of the chain that can't be reconciled with the one held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The first height at which the two differ.
    pub height: u64,
    /// The block held there.
    pub held: BlockHash,
    /// The other history's block there.
    pub offered: BlockHash,
    /// What the two histories show.
    pub cause: AlarmCause,
}

/// What two histories show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlarmCause {
    /// Both went on for longer than it takes to make a block final: they stay apart, and both go on.
    Split,
    /// Two quorums decided differently: the hub halts.
    Certificates {
        /// The rounds of the certificate held, and of the other.
        rounds: [u32; 2],
        /// The names of those who signed both, in turn order.
        overlap: Vec<String>,
        /// What convicts each of them if the round is one; nothing otherwise, since an honest member may have signed both.
        evidence: Vec<Evidence>,
    },
}

impl Alarm {
    /// Whether a hub that finds this goes no further.
    #[must_use]
    pub const fn halts(&self) -> bool {
        matches!(self.cause, AlarmCause::Certificates { .. })
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            height,
            held,
            offered,
            cause,
        } = self;
        match cause {
            AlarmCause::Split => write!(
                f,
                "the chain is split at height {height}: {held} is final here, {offered} elsewhere"
            ),
            AlarmCause::Certificates {
                rounds: [own, other],
                overlap,
                evidence,
            } => write!(
                f,
                "two certificates at height {height}: {held} in round {own} is held, {offered} in round {other} was \
                 offered; {} signed both, {} can be convicted",
                overlap.join(", "),
                evidence.len()
            ),
        }
    }
}

/// A header of another history.
#[derive(Debug)]
struct Apart {
    header: Header,
    /// Height of the last block that its history has in common with the chain.
    common: u64,
    /// Its history's first block of its own.
    first: BlockHash,
}

/// What is known of other histories, and the alarm that was raised last.
#[derive(Debug, Default)]
pub(crate) struct Lookout {
    apart: HashMap<BlockHash, Apart>,
    /// The oldest first.
    order: VecDeque<BlockHash>,
    last: Option<Alarm>,
    raised: u64,
}

/// What a block is held against.
pub(crate) struct Held<'a> {
    pub(crate) chain: &'a ChainReader,
    /// After the chain's last block.
    pub(crate) state: &'a State,
    pub(crate) verifier: &'a Verifier,
    pub(crate) now_us: u64,
}

impl Lookout {
    /// The alarm that was raised last.
    pub(crate) const fn last(&self) -> Option<&Alarm> {
        self.last.as_ref()
    }

    /// How many alarms were raised, each pair of blocks once.
    pub(crate) const fn raised(&self) -> u64 {
        self.raised
    }

    /// Looks at a block that was offered. Costs O(1) for one that goes on with the chain, and the check of a seal for one that doesn't. Of
    /// blocks whose parent is neither in the chain nor was seen here, nothing is said.
    pub(crate) fn look(
        &mut self,
        held: &Held<'_>,
        block: &Block,
    ) -> Result<Option<Alarm>, LedgerError> {
        let Some(apart) = self.place(held, block)? else {
            return Ok(None);
        };
        let spec = held.chain.spec().at(block.height());
        let alarm = match block.seal() {
            Seal::Quorum(seal) => certificates(held, &apart, seal)?,
            _ => split(held, spec, &apart)?,
        };
        self.keep(apart);
        if let Some(alarm) = &alarm
            && self.last.as_ref() != Some(alarm)
        {
            self.raised += 1;
            self.last = Some(alarm.clone());
        }
        Ok(alarm)
    }

    /// The block's place in another history, if it has one: its header and seal are then right by the members that this chain knows.
    fn place(&self, held: &Held<'_>, block: &Block) -> Result<Option<Apart>, LedgerError> {
        let (header, chain) = (block.header(), held.chain);
        let (spec, hash) = (chain.spec(), block.hash());
        let Some(before) = header.height.checked_sub(1) else {
            return Ok(None);
        };
        let (parent, common, first) = match self.apart.get(&header.previous_hash) {
            Some(parent) => (parent.header.clone(), parent.common, parent.first),
            None => {
                if header.height > consensus::final_height(spec, held.state)
                    || chain.hash_at(before)? != Some(header.previous_hash)
                    || chain.hash_at(header.height)?.is_none_or(|own| own == hash)
                {
                    return Ok(None);
                }
                let parent = chain.header(before)?;
                let parent = parent.ok_or(LedgerError::HeaderPruned(before))?;
                (parent, before, hash)
            }
        };
        let apart = Apart {
            header: header.clone(),
            common,
            first,
        };
        Ok(is_made_rightly(held, &parent, block).then_some(apart))
    }

    fn keep(&mut self, apart: Apart) {
        let hash = apart.header.hash();
        if self.apart.insert(hash, apart).is_none() {
            self.order.push_back(hash);
        }
        while self.order.len() > HEADERS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.apart.remove(&oldest);
            }
        }
    }
}

/// Whether a block goes on from `parent` by what headers tell, and is sealed by those who may. Whose turn it was, and how much work was due, only
/// the state of the other history would tell.
fn is_made_rightly(held: &Held<'_>, parent: &Header, block: &Block) -> bool {
    let (header, spec) = (block.header(), held.chain.spec());
    let parent = Parent::of_header(parent, None);
    if spec.is_imported(header.height)
        || headers::check(spec, &parent, header, Some(held.now_us)).is_err()
    {
        return false;
    }
    let members = members_at(held, header.height);
    if consensus::check_seal_by(spec, &members, None, header, block.seal()).is_err() {
        return false;
    }
    let mut claims = Claims::default();
    claims.add_seal_of(0, &members, header, block.seal());
    let found = claims.verify(0..claims.len(), held.verifier);
    let mut faults = found
        .into_iter()
        .filter_map(|(_, found)| found.into_fault());
    faults.next().is_none()
}

/// The members of a height; of one that this chain hasn't reached, the last ones that it knows.
fn members_at(held: &Held<'_>, height: u64) -> Vec<Authority> {
    let known = held.state.height().saturating_add(1);
    consensus::members(held.chain.spec(), held.state, height.min(known)).into_owned()
}

/// Whether the history that ends in `apart` has made final where it leaves this chain, and is no less than what this chain took to do so. A
/// branch that was merely late isn't.
fn split(held: &Held<'_>, spec: &ChainSpec, apart: &Apart) -> Result<Option<Alarm>, LedgerError> {
    let depth = match spec.terms.finality {
        Finality::Immediate => 0,
        Finality::Depth(blocks) => u64::from(blocks),
    };
    let (common, height) = (apart.common, apart.common.saturating_add(1));
    let end = height.saturating_add(depth);
    // What members made final isn't so by depth, and a history without their word is none to be alarmed by.
    let certified = held
        .state
        .value::<CheckpointRows>(&CheckpointRows::last_key());
    let is_decided = matches!(certified, Some(CheckpointRow::Certified(last)) if last > common);
    let (Some(own), Some(first)) = (held.chain.header(end)?, held.chain.hash_at(height)?) else {
        return Ok(None);
    };
    let is_heavy = apart.header.chain_weight() >= own.chain_weight();
    if is_decided || apart.header.height < end || !is_heavy {
        return Ok(None);
    }
    Ok(Some(Alarm {
        height,
        held: first,
        offered: apart.first,
        cause: AlarmCause::Split,
    }))
}

/// What follows from a valid certificate beside the one held, at the first height at which two histories differ: above it they have members of
/// their own, and it says all that there is to say.
fn certificates(
    held: &Held<'_>,
    apart: &Apart,
    other: &QuorumSeal,
) -> Result<Option<Alarm>, LedgerError> {
    let height = apart.header.height;
    if height != apart.common.saturating_add(1) {
        return Ok(None);
    }
    let own = held.chain.block(height)?;
    let own = own.ok_or(LedgerError::Pruned(height))?;
    let Seal::Quorum(seal) = own.seal() else {
        return Ok(None);
    };
    let members = members_at(held, height);
    let signed_both: Vec<usize> = seal.signers().filter(|&at| other.has_signed(at)).collect();
    let conflict = Conflict::between(seal, other);
    let convicted = conflict.convicted().iter();
    let evidence = convicted.filter_map(|&place| {
        let vote = |block, round| Vote {
            chain: apart.header.chain,
            height,
            round,
            kind: VoteKind::Precommit,
            block,
        };
        let of = |seal: &QuorumSeal| seal.signed().find(|(at, _)| *at == place);
        let one = (vote(own.hash(), seal.round()), of(seal)?.1);
        let two = (vote(apart.first, other.round()), of(other)?.1);
        let fault = DoubleVote::new(members.get(place)?.key, one, two);
        fault.ok().map(Evidence::DoubleVote)
    });
    let names = signed_both.iter().filter_map(|&place| members.get(place));
    Ok(Some(Alarm {
        height,
        held: own.hash(),
        offered: apart.first,
        cause: AlarmCause::Certificates {
            rounds: [seal.round(), other.round()],
            overlap: names.map(|member| member.name.clone()).collect(),
            evidence: evidence.collect(),
        },
    }))
}
