//! What is done next, by numbers: who says what, who is away, and what a forged block looks like.

use std::collections::BTreeSet;

use hubledger::testing::federation::Choices;

use super::acts::{Act, Fault, Shown};
use super::model::{Member, Offer, Order};
use super::run::Run;
use super::seeds::around;
use super::world::{BALANCE, NAMES, secret};
use crate::common::hub;

/// How many layers an onion has.
const LAYERS: usize = 12;

fn anybody(choose: Choices<'_>) -> String {
    hub(choose(NAMES) as usize)
}

fn one_of<T: Clone>(all: &[T], choose: Choices<'_>) -> T {
    all[choose(all.len() as u64) as usize].clone()
}

impl Run {
    fn names(&self, height: u64) -> Vec<String> {
        let members = self.model.members(height).iter();
        members.map(|member| member.0.clone()).collect()
    }

    /// A good block: by the proposer of a round, and signed by all who are there, but for as many as a quorum needs.
    pub(super) fn offer(&mut self, choose: Choices<'_>) -> Offer {
        if choose(4) == 0 {
            self.away = (0..choose(4)).map(|_| anybody(choose)).collect();
        }
        let height = self.model.height + 1;
        let members = self.names(height);
        let round = match self.model.terms.is_certified {
            true => [0, 0, 0, choose(4) as u32, 101][choose(5) as usize],
            false => 0,
        };
        let proposers = self.model.proposers(round);
        // Some member proposed it, in this round or before.
        let proposer = one_of(&proposers, choose).unwrap_or_else(|| members[0].clone());
        let mut signers = members;
        for name in &self.away {
            let others = signers.iter().filter(|one| *one != name).cloned();
            let others: Vec<String> = others.collect();
            if self.model.is_quorum(&others, height) {
                signers = others;
            }
        }
        if !self.model.terms.is_certified {
            signers = vec![proposer.clone()];
        }
        Offer {
            producer: proposer,
            round,
            signers,
            stranger_for: None,
        }
    }

    /// Another block in its place, by somebody else, signed by fewer, or by nobody's key.
    pub(super) fn forged(&self, good: &Offer, choose: Choices<'_>) -> Offer {
        let members = self.names(self.model.height + 1);
        let mut offer = good.clone();
        match choose(4) {
            0 => offer.producer = anybody(choose),
            1 => offer.round = choose(3) as u32,
            2 => offer.stranger_for = Some(one_of(&offer.signers, choose)),
            _ => offer.producer = one_of(&members, choose),
        }
        if !self.model.terms.is_certified {
            if choose(3) > 0 {
                offer.signers = vec![offer.producer.clone()];
            }
        } else if choose(2) == 0 {
            offer.stranger_for = None;
            let mut signers = members.clone();
            // About as many as a quorum has.
            let fewer = members.len() as u64 / 3 + choose(2);
            for _ in 0..fewer.min(members.len() as u64 - 1) {
                signers.remove(choose(signers.len() as u64) as usize);
            }
            offer.signers = signers;
        }
        offer
    }

    /// Who says what in the next block.
    pub(super) fn act(&mut self, block: &Offer, choose: Choices<'_>) -> (String, Act) {
        let sender = match choose(3) {
            0 => anybody(choose),
            _ => one_of(&self.names(self.model.height + 1), choose),
        };
        match (choose(10), &self.model.terms.stakes, self.model.terms.order) {
            (0, ..) => {
                let amount = [choose(60), 3 * BALANCE][usize::from(choose(4) == 0)];
                (sender, Act::Transfer(anybody(choose), amount))
            }
            (1, ..) | (2 | 3, _, Order::Turn | Order::Weighted) => {
                (sender, Act::Convict(self.fault(choose)))
            }
            (5.., Some(_), _) if self.model.terms.is_certified && choose(3) == 0 => {
                (sender, Act::Certify(self.shown(choose)))
            }
            (5.., Some(_), _) => self.stakes(sender, choose),
            (3..=6, None, Order::Seeded { epoch }) => self.adds(sender, block, epoch, choose),
            (2, ..) | (4, ..) => (sender, Act::Certify(self.shown(choose))),
            _ => self.votes(sender, choose),
        }
    }

    fn stakes(&self, sender: String, choose: Choices<'_>) -> (String, Act) {
        let model = &self.model;
        let act = match choose(8) {
            0 | 1 => Act::Stake([0, 20 + choose(100)][usize::from(choose(4) > 0)]),
            2 | 3 => Act::Delegate(anybody(choose), choose(60)),
            4 | 5 => {
                let from = [sender.clone(), anybody(choose)][choose(2) as usize].clone();
                let pool = model.pools.get(&(from.clone(), 0));
                let all = pool.map_or(0, |pool| pool.worth(&sender)) as u64;
                Act::Release(from, [all, all + 1, choose(all + 2)][choose(3) as usize])
            }
            _ => return self.withdraws(sender, choose),
        };
        (sender, act)
    }

    /// What somebody has released, often late enough.
    fn withdraws(&self, sender: String, choose: Choices<'_>) -> (String, Act) {
        let is_due = choose(3) > 0;
        let delay = self.model.terms.stakes.as_ref().unwrap().release_delay;
        let released = self.model.pools.iter().filter(|((_, boundary), _)| {
            *boundary > 0 && (!is_due || boundary + delay <= self.model.height + 1)
        });
        let held = released.flat_map(|((from, boundary), pool)| {
            let holders = pool.shares.keys();
            holders.map(|holder| (holder.clone(), Act::Withdraw(from.clone(), *boundary)))
        });
        let held: Vec<_> = held.collect();
        match held.is_empty() {
            true => {
                let boundary = choose(self.model.height + 2);
                (sender, Act::Withdraw(anybody(choose), boundary))
            }
            false => one_of(&held, choose),
        }
    }

    fn votes(&self, sender: String, choose: Choices<'_>) -> (String, Act) {
        let next = self.model.height + 1;
        let mut held: Vec<_> = self.model.proposals.iter().collect();
        if choose(8) > 0 {
            // One that isn't too late.
            held.retain(|(_, proposal)| proposal.effective > next + 1);
        }
        if held.is_empty() || choose(12) == 0 {
            let effective = next + 1 + choose(8);
            return (sender, Act::Propose(self.other_members(choose), effective));
        }
        let (proposer, proposal) = one_of(&held, choose);
        let missing = self.names(next).into_iter();
        let missing: Vec<_> = missing
            .filter(|name| !proposal.approvals.contains(name))
            .collect();
        let sender = match missing.is_empty() || choose(8) == 0 {
            true => sender,
            false => one_of(&missing, choose),
        };
        (sender, Act::Approve(proposer.clone(), proposal.id))
    }

    /// One joins, one leaves or one weighs something else.
    fn other_members(&self, choose: Choices<'_>) -> Vec<Member> {
        let mut members = self.model.members(self.model.height + 1).to_vec();
        let place = choose(members.len() as u64) as usize;
        let name = anybody(choose);
        match choose(3) {
            0 if members.len() > 4 => drop(members.remove(place)),
            1 if !members.iter().any(|member| member.0 == name) => {
                members.insert(place, (name, (1 + choose(4)).into()));
            }
            _ => members[place].1 = (1 + choose(4)).into(),
        }
        members
    }

    /// A commitment, or the next layer in a block of one's own, or one that isn't.
    fn adds(
        &mut self,
        sender: String,
        block: &Offer,
        epoch: u64,
        choose: Choices<'_>,
    ) -> (String, Act) {
        let height = self.model.height + 1;
        let sender = [block.producer.clone(), sender][usize::from(choose(4) == 0)].clone();
        let outer = self.model.seeds.outer(&sender, epoch, height);
        if choose(6) == 0 || outer.is_none() && choose(3) > 0 {
            let mut layer = secret(choose(u64::MAX));
            for _ in 0..LAYERS {
                let outer = around(&self.model.terms.chain, &sender, &layer);
                self.within.insert(outer, layer);
                layer = outer;
            }
            return (sender, Act::Commit(layer));
        }
        let layer = outer.and_then(|outer| self.within.get(&outer).copied());
        let layer = layer.filter(|_| choose(5) > 0);
        (sender, Act::Reveal(layer.unwrap_or_else(|| secret(7))))
    }

    fn fault(&self, choose: Choices<'_>) -> Fault {
        let next = self.model.height + 1;
        let height = (next + 1).saturating_sub(choose(9));
        let name = match choose(4) {
            0 => anybody(choose),
            _ => one_of(&self.names(height), choose),
        };
        Fault {
            kind: 1 + choose(3) as u8,
            name,
            height,
            round: choose(2) as u32,
            is_behind_ours: choose(3) > 0,
        }
    }

    /// Those who signed a block of the last ones, or others.
    fn shown(&self, choose: Choices<'_>) -> Shown {
        let height = (self.model.height + 1).saturating_sub(choose(4));
        let mut signers: BTreeSet<String> = self.names(height).into_iter().collect();
        for name in &self.away {
            signers.remove(name);
        }
        match choose(8) {
            0 => signers.retain(|_| choose(3) > 0),
            1 => signers = [anybody(choose)].into(),
            2 => drop(signers.insert(anybody(choose))),
            _ => {}
        }
        if signers.is_empty() {
            signers.insert(anybody(choose));
        }
        Shown {
            height,
            is_ours: choose(9) > 0,
            signers,
        }
    }
}
