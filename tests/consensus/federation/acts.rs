//! What members and others say to the chain, and what comes of it.

use std::collections::BTreeSet;

use hubledger::digest::{Digest, TransactionId};
use hubledger::rejection::Reason;

use super::model::{Member, Model, Order, Proposal};

/// What evidence says of somebody.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// 1 double vote, 2 double proposal, 3 unauthorised seal.
    pub(super) kind: u8,
    pub(super) name: String,
    pub(super) height: u64,
    pub(super) round: u32,
    /// Whether the headers of the evidence go on from the block that this chain has; of a double proposal, the second.
    pub(super) is_behind_ours: bool,
}

/// Who signed a block, as a certificate shows that a transaction carries.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) height: u64,
    /// Whether the block is this chain's.
    pub(super) is_ours: bool,
    pub(super) signers: BTreeSet<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Act {
    Transfer(String, u64),
    Stake(u64),
    Delegate(String, u64),
    Release(String, u64),
    Withdraw(String, u64),
    Propose(Vec<Member>, u64),
    Approve(String, TransactionId),
    Convict(Fault),
    Certify(Shown),
    Commit(Digest),
    Reveal(Digest),
}

impl Act {
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Transfer(..) => "transfer",
            Self::Stake(..) => "stake",
            Self::Delegate(..) => "delegate",
            Self::Release(..) => "release",
            Self::Withdraw(..) => "withdraw",
            Self::Propose(..) => "propose",
            Self::Approve(..) => "approve",
            Self::Convict(fault) => match fault.kind {
                1 => "convict of a double vote",
                2 => "convict of a double proposal",
                _ => "convict of an unauthorised seal",
            },
            Self::Certify(..) => "certify",
            Self::Commit(..) => "commit",
            Self::Reveal(..) => "reveal",
        }
    }
}

/// Who says something, in which transaction, and in whose block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) sender: &'a str,
    pub(super) producer: &'a str,
    pub(super) id: TransactionId,
}

impl Model {
    /// The verdict on an act in the next block, and what comes of it. What is refused leaves a model of no use.
    pub(super) fn take(&mut self, said: Said<'_>, act: &Act) -> Result<(), Reason> {
        let (sender, height) = (said.sender, self.height + 1);
        match act {
            Act::Transfer(receiver, amount) => {
                self.pay(sender, (*amount).into())?;
                *self.balances.entry(receiver.clone()).or_default() += u128::from(*amount);
            }
            Act::Stake(amount) => self.stake(sender, (*amount).into(), height)?,
            Act::Delegate(to, amount) => self.delegate(sender, to, (*amount).into(), height)?,
            Act::Release(from, amount) => self.release(sender, from, (*amount).into(), height)?,
            Act::Withdraw(from, boundary) => self.withdraw(sender, from, *boundary, height)?,
            Act::Propose(members, effective) => {
                let proposal = Proposal {
                    id: said.id,
                    members: members.clone(),
                    effective: *effective,
                    approvals: [sender.to_owned()].into(),
                };
                self.vote(sender, sender, proposal, height)?;
            }
            Act::Approve(proposer, id) => {
                if !self.is_member(sender, height) {
                    return Err(Reason::Member);
                }
                let held = self.proposals.get(proposer).filter(|held| held.id == *id);
                let mut proposal = held.ok_or(Reason::Proposal)?.clone();
                if !proposal.approvals.insert(sender.to_owned()) {
                    return Err(Reason::Proposal);
                }
                self.vote(sender, proposer, proposal, height)?;
            }
            Act::Convict(fault) => self.convict(fault, height)?,
            Act::Certify(shown) => self.certify(shown, height)?,
            Act::Commit(layer) => {
                let epoch = self.epoch(sender, height)?;
                self.seeds.commit(sender, *layer, epoch, height);
            }
            Act::Reveal(layer) => {
                let epoch = self.epoch(sender, height)?;
                if said.producer != sender {
                    return Err(Reason::Reveal);
                }
                self.seeds.reveal(sender, *layer, epoch, height)?;
            }
        }
        *self.nonces.entry(sender.to_owned()).or_default() += 1;
        Ok(())
    }

    fn vote(
        &mut self,
        sender: &str,
        proposer: &str,
        proposal: Proposal,
        height: u64,
    ) -> Result<(), Reason> {
        if !self.is_member(sender, height) {
            return Err(Reason::Member);
        }
        if proposal.effective <= height + 1 {
            return Err(Reason::Proposal);
        }
        if *self.lists.keys().next_back().unwrap() > height {
            return Err(Reason::Parameter);
        }
        let members = self.members(height).iter();
        let approving = members.filter(|member| proposal.approvals.contains(&member.0));
        let weight: u128 = approving.map(|member| member.1).sum();
        let all: u128 = self.members(height).iter().map(|member| member.1).sum();
        if 3 * weight > 2 * all {
            self.proposals.remove(proposer);
            self.lists.insert(proposal.effective, proposal.members);
        } else {
            self.proposals.insert(proposer.to_owned(), proposal);
        }
        Ok(())
    }

    fn convict(&mut self, fault: &Fault, height: u64) -> Result<(), Reason> {
        let at = fault.height;
        let is_in_time = (1..=height).contains(&at) && height - at <= self.terms.evidence_blocks;
        if !is_in_time || !self.is_member(&fault.name, at) {
            return Err(Reason::Evidence);
        }
        let is_one = match fault.kind {
            1 => true,
            2 => !self.terms.has_branches || fault.is_behind_ours,
            _ => self.was_unauthorised(fault),
        };
        let round = if fault.kind == 1 { fault.round } else { 0 };
        let conviction = (fault.name.clone(), fault.kind, at, round);
        if !is_one || self.convicted.contains_key(&conviction) {
            return Err(Reason::Evidence);
        }
        let cost = match fault.kind {
            3 => self.terms.byzantine,
            _ => self.terms.double_signing,
        };
        self.convicted.insert(conviction, cost);
        if self.terms.stakes.is_some() {
            self.slash(&fault.name, cost, at, height);
        }
        Ok(())
    }

    fn was_unauthorised(&self, fault: &Fault) -> bool {
        let by_branch = self.terms.order == Order::Weighted || self.terms.has_branches;
        if self.terms.is_certified || by_branch && !fault.is_behind_ours {
            return false;
        }
        let turn = match self.turns.get(&fault.height) {
            Some(turn) => turn.clone(),
            None => self.proposers(0).remove(0),
        };
        turn.is_some_and(|turn| turn != fault.name)
    }

    fn certify(&mut self, shown: &Shown, height: u64) -> Result<(), Reason> {
        let at = shown.height;
        let is_in_time = at > 0 && at < height && height - at <= self.terms.evidence_blocks;
        if !self.counts_attendance() || !is_in_time || !shown.is_ours {
            return Err(Reason::Evidence);
        }
        let noted = self.signed.get(&at).cloned();
        let before = noted.clone().unwrap_or_default();
        let are_members = shown.signers.iter().all(|name| self.is_member(name, at));
        if !are_members || shown.signers.is_subset(&before) {
            return Err(Reason::Evidence);
        }
        if noted.is_none() && !self.is_quorum(&shown.signers, at) {
            return Err(Reason::Quorum);
        }
        for name in shown.signers.difference(&before) {
            self.missed.remove(name);
        }
        if noted.is_none() {
            let members = self.members(at).to_vec();
            for (name, _) in members {
                if !shown.signers.contains(&name) {
                    self.miss(&name, at, height);
                }
            }
        }
        self.signed
            .entry(at)
            .or_default()
            .extend(shown.signers.iter().cloned());
        Ok(())
    }

    pub(super) const fn counts_attendance(&self) -> bool {
        self.terms.is_certified && self.terms.stakes.is_some() && self.terms.offline > 0
    }

    fn miss(&mut self, name: &str, at: u64, height: u64) {
        let count = self.missed.entry(name.to_owned()).or_default();
        *count += 1;
        if *count >= self.terms.offline_after {
            self.missed.remove(name);
            let cost = self.terms.offline;
            self.convicted.insert((name.to_owned(), 4, at, 0), cost);
            self.slash(name, cost, at, height);
        }
    }

    /// How long an epoch of seeds is, if this member may add to one.
    fn epoch(&self, sender: &str, height: u64) -> Result<u64, Reason> {
        match self.terms.order {
            Order::Seeded { epoch } if self.is_member(sender, height) => Ok(epoch),
            _ => Err(Reason::Reveal),
        }
    }
}
