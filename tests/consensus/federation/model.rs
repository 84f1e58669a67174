//! Who takes part, whose turn it is, and which blocks count: written from `FORMAT.md` over plain lists, and without a look at the state or at
//! the rules of the library.

use std::collections::{BTreeMap, BTreeSet};

use hubledger::digest::{ChainId, TransactionId};
use hubledger::rejection::Reason;

use super::seeds::Seeds;
use super::stakes::{Pool, StakeTerms};

/// A member: its name, which its key follows from, and its weight.
pub(super) type Member = (String, u128);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Turn,
    Weighted,
    Seeded { epoch: u64 },
}

/// What the specification says.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) chain: ChainId,
    /// `None`: the members are listed, and change by vote.
    pub(super) stakes: Option<StakeTerms>,
    pub(super) order: Order,
    /// Whether a certificate seals, and not one signature.
    pub(super) is_certified: bool,
    /// Whether a block can be replaced by another branch's.
    pub(super) has_branches: bool,
    pub(super) evidence_blocks: u64,
    pub(super) double_signing: u128,
    pub(super) byzantine: u128,
    pub(super) offline: u128,
    pub(super) offline_after: u32,
    pub(super) treasury: Option<String>,
    /// Whether so much of a whole is a quorum.
    pub(super) quorum: fn(u128, u128) -> bool,
}

/// Strictly more than two thirds.
pub(super) fn more_than_two_thirds(part: u128, whole: u128) -> bool {
    3 * part > 2 * whole
}

/// That these are to be members from a height on.
#[derive(Debug, Clone)]
pub(super) struct Proposal {
    pub(super) id: TransactionId,
    pub(super) members: Vec<Member>,
    pub(super) effective: u64,
    pub(super) approvals: BTreeSet<String>,
}

/// A block as the consensus sees it.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub(super) producer: String,
    pub(super) round: u32,
    /// At whose places there are signatures; of one signature, the first alone.
    pub(super) signers: Vec<String>,
    /// At whose place the signature is by a stranger's key.
    pub(super) stranger_for: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) terms: Terms,
    /// Of the last block.
    pub(super) height: u64,
    /// From which height on these are the members.
    pub(super) lists: BTreeMap<u64, Vec<Member>>,
    /// As they are before the next height.
    priorities: BTreeMap<String, i128>,
    /// Whose turn round 0 of each height was.
    pub(super) turns: BTreeMap<u64, Option<String>>,
    pub(super) seeds: Seeds,
    pub(super) balances: BTreeMap<String, u128>,
    pub(super) nonces: BTreeMap<String, u64>,
    /// By name and boundary; 0 is what counts.
    pub(super) pools: BTreeMap<(String, u64), Pool>,
    /// What penalties took and nobody got.
    pub(super) gone: u128,
    pub(super) proposals: BTreeMap<String, Proposal>,
    /// Name, kind of fault, height, round; and what it cost in ten thousandths.
    pub(super) convicted: BTreeMap<(String, u8, u64, u32), u128>,
    /// Who was shown to have signed a height.
    pub(super) signed: BTreeMap<u64, BTreeSet<String>>,
    /// In how many certificates in a row a member was missing.
    pub(super) missed: BTreeMap<String, u32>,
}

impl Model {
    pub(super) fn new(
        terms: Terms,
        members: Vec<Member>,
        balances: BTreeMap<String, u128>,
    ) -> Self {
        let pools = match terms.stakes {
            Some(_) => members.iter().map(Pool::founded).collect(),
            None => BTreeMap::new(),
        };
        Self {
            seeds: Seeds::new(terms.chain),
            priorities: members.iter().map(|(name, _)| (name.clone(), 0)).collect(),
            lists: [(0, members)].into(),
            terms,
            height: 0,
            turns: BTreeMap::new(),
            balances,
            nonces: BTreeMap::new(),
            pools,
            gone: 0,
            proposals: BTreeMap::new(),
            convicted: BTreeMap::new(),
            signed: BTreeMap::new(),
            missed: BTreeMap::new(),
        }
    }

    pub(super) fn members(&self, height: u64) -> &[Member] {
        let (_, list) = self.lists.range(..=height).next_back().unwrap();
        list
    }

    pub(super) fn is_member(&self, name: &str, height: u64) -> bool {
        self.members(height).iter().any(|member| member.0 == name)
    }

    /// All that is in balances and pools, and what is gone.
    pub(super) fn value(&self) -> u128 {
        let pools = self.pools.values().map(|pool| pool.tokens);
        self.balances.values().sum::<u128>() + pools.sum::<u128>() + self.gone
    }

    /// Who proposes the next block in each round up to a last one; `None` where any member may.
    pub(super) fn proposers(&self, last: u32) -> Vec<Option<String>> {
        let height = self.height + 1;
        let members = self.members(height);
        let mut priorities = self.priorities.clone();
        let of_round = |round: u32| {
            let turns = |number: u64| members[(number % members.len() as u64) as usize].0.clone();
            match self.terms.order {
                Order::Turn => Some(turns(height - 1 + u64::from(round))),
                Order::Weighted if round >= 100 => Some(turns(u64::from(round) - 100)),
                Order::Weighted => Some(advance(&mut priorities, members)),
                Order::Seeded { .. } if round >= 64 => None,
                Order::Seeded { epoch } => Some(self.seeds.drawn(members, epoch, height, round)),
            }
        };
        (0..=last).map(of_round).collect()
    }

    /// The verdict on the next block.
    pub(super) fn verdict(&self, offer: &Offer) -> Result<(), Reason> {
        let members = self.members(self.height + 1);
        if !members.iter().any(|member| member.0 == offer.producer) {
            return Err(Reason::Producer);
        }
        let round = if self.terms.is_certified {
            offer.round
        } else {
            0
        };
        let is_its = |one: &Option<String>| one.as_ref().is_none_or(|one| *one == offer.producer);
        if !self.proposers(round).iter().any(is_its) {
            return Err(Reason::Turn);
        }
        if !self.terms.is_certified {
            let is_its = offer.signers[0] == offer.producer && offer.stranger_for.is_none();
            return if is_its { Ok(()) } else { Err(Reason::Seal) };
        }
        if !self.is_quorum(&offer.signers, self.height + 1) {
            return Err(Reason::Quorum);
        }
        match offer.stranger_for {
            Some(_) => Err(Reason::Seal),
            None => Ok(()),
        }
    }

    /// Whether these are enough of the members of a height.
    pub(super) fn is_quorum<'a>(
        &self,
        names: impl IntoIterator<Item = &'a String>,
        height: u64,
    ) -> bool {
        let names: BTreeSet<&String> = names.into_iter().collect();
        let members = self.members(height);
        let present = members.iter().filter(|member| names.contains(&member.0));
        let weight = present.map(|member| member.1).sum();
        let all = members.iter().map(|member| member.1).sum();
        (self.terms.quorum)(weight, all)
    }

    /// Goes on behind the next block, what it says aside.
    pub(super) fn grow(&mut self) {
        let height = self.height + 1;
        let turn = self.proposers(0).remove(0);
        self.turns.insert(height, turn);
        let (before, after) = (self.members(height), self.members(height + 1).to_vec());
        let mut priorities = self.priorities.clone();
        advance(&mut priorities, before);
        if before != after {
            priorities = joined(&priorities, &after);
        }
        self.priorities = priorities;
        self.height = height;
    }
}

fn whole(members: &[Member]) -> i128 {
    members.iter().map(|member| member.1 as i128).sum()
}

/// One step of CometBFT's rule; whose turn it is.
fn advance(priorities: &mut BTreeMap<String, i128>, members: &[Member]) -> String {
    straighten(priorities, whole(members));
    for (name, weight) in members {
        *priorities.get_mut(name).unwrap() += *weight as i128;
    }
    let most = *priorities.values().max().unwrap();
    let (first, _) = members
        .iter()
        .find(|one| priorities[&one.0] == most)
        .unwrap();
    *priorities.get_mut(first).unwrap() -= whole(members);
    first.clone()
}

/// Those of other members: newcomers begin an eighth more than the whole weight behind.
fn joined(before: &BTreeMap<String, i128>, members: &[Member]) -> BTreeMap<String, i128> {
    let whole = whole(members);
    let behind = -(whole + whole / 8);
    let kept = |name: &String| before.get(name).copied().unwrap_or(behind);
    let mut after = members
        .iter()
        .map(|(name, _)| (name.clone(), kept(name)))
        .collect();
    straighten(&mut after, whole);
    after
}

/// Brings priorities to within twice the whole weight, and their mean to about zero.
fn straighten(priorities: &mut BTreeMap<String, i128>, whole: i128) {
    let (least, most) = (
        priorities.values().min().unwrap(),
        priorities.values().max().unwrap(),
    );
    let (spread, limit) = (most - least, 2 * whole);
    if spread > limit {
        let mut divisor = spread / limit;
        divisor += i128::from(divisor * limit < spread);
        priorities.values_mut().for_each(|one| *one /= divisor);
    }
    let (sum, count) = (priorities.values().sum::<i128>(), priorities.len() as i128);
    let mut mean = sum / count;
    mean -= i128::from(mean * count > sum);
    priorities.values_mut().for_each(|one| *one -= mean);
}
