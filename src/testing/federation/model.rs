//! The model's rules: what each act comes to, restated over plain lists.

use std::collections::BTreeSet;

use super::{Act, HEIGHTS, Keys, MEMBERS, Model, NAMES, Proposed, Registered, Verdict};
use crate::format::model::Transaction;
use crate::format::payload::ParameterValue;
use crate::format::rejection::Reason;
use crate::format::spec::{Authority, FeesTo, Identity, Joining, Parameter};
use crate::state::tables::Standing;

impl Model {
    /// The verdict on an act, and what comes of it.
    pub(super) fn take(
        &mut self,
        sender: &'static str,
        act: &Act,
        signers: &BTreeSet<&'static str>,
        transaction: &Transaction,
        height: u64,
        producer: &'static str,
    ) -> Verdict {
        self.identify(sender, act, signers, height)?;
        let before = self.clone();
        self.decide(sender, act, signers, transaction, height)?;
        *self.nonces.entry(sender).or_default() += 1;
        let put_up = match act {
            Act::Register(_, _, stake, ..) => *stake,
            _ => 0,
        };
        let (receiver, amount) = match act {
            Act::Transfer(receiver, amount) => (*receiver, *amount),
            _ => (sender, 0),
        };
        let fee = transaction.fee();
        // What comes back by leaving can't pay for it.
        let has = before.balances.get(sender).copied().unwrap_or(0);
        let cost = amount + fee + put_up;
        if has < cost {
            return Err(Reason::Balance);
        }
        *self.balances.entry(sender).or_default() -= cost;
        *self.balances.entry(receiver).or_default() += amount;
        match &self.fees_to {
            FeesTo::Burn => self.burnt += fee,
            FeesTo::Treasury(_) => *self.balances.entry("treasury").or_default() += fee,
            FeesTo::Producer => *self.balances.entry(producer).or_default() += fee,
        }
        Ok(())
    }

    fn identify(
        &mut self,
        sender: &'static str,
        act: &Act,
        signers: &BTreeSet<&'static str>,
        height: u64,
    ) -> Verdict {
        if let Some(held) = self.registered.get(sender) {
            let recovers = matches!(act, Act::Revoke | Act::Recover(_));
            let recovery = held.recovery.as_ref().filter(|_| recovers);
            if held.standing != Standing::Left
                && recovery.is_some_and(|keys| keys.signed_by(signers))
            {
                return Ok(());
            }
            if held.standing != Standing::Active {
                return Err(Reason::Revoked);
            }
            let mut nearest = Reason::Identity;
            // The latest is asked first, so what is said of the one before is said last.
            for (from, keys) in held.speaking[height as usize].iter().rev() {
                let is_cut = held
                    .cut
                    .is_some_and(|(at, since)| at == height && since != *from);
                if is_cut || !signers.is_subset(&keys.names) {
                    continue;
                }
                if signers.len() < keys.threshold {
                    nearest = Reason::Threshold;
                } else if self.key_age != 0 && height >= from + self.key_age {
                    nearest = Reason::KeyAge;
                } else {
                    return Ok(());
                }
            }
            return Err(nearest);
        }
        match (self.pinned.get(sender), act) {
            (Some(keys), _) if keys == signers => Ok(()),
            (Some(_), _) => Err(Reason::Identity),
            (None, Act::Register(keys, ..)) if keys.signed_by(signers) => Ok(()),
            (None, Act::Register(..)) => Err(Reason::Identity),
            (None, _) if self.rule == Identity::Registered => Err(Reason::Identity),
            (None, _) => {
                self.pinned.insert(sender, signers.clone());
                Ok(())
            }
        }
    }

    fn is_member(&self, name: &str, height: u64) -> bool {
        let joined = self.registered.get(name);
        joined.is_some_and(|held| held.is_member && held.standing == Standing::Active)
            || self.members[height as usize].contains(&name)
    }

    fn decide(
        &mut self,
        sender: &'static str,
        act: &Act,
        signers: &BTreeSet<&'static str>,
        transaction: &Transaction,
        height: u64,
    ) -> Verdict {
        let now = height as usize;
        let registered = |model: &Self| match model.registered.contains_key(sender) {
            true => Ok(()),
            false => Err(Reason::Registration),
        };
        match act {
            Act::Message | Act::Transfer(..) => {}
            Act::Register(keys, recovery, stake, attester, joins) => {
                self.register(
                    sender,
                    keys,
                    recovery.as_ref(),
                    (*stake, *attester, *joins),
                    height,
                )?;
            }
            Act::Rotate(keys, effective, grace) => {
                registered(self)?;
                let held = self.registered.get_mut(sender).unwrap();
                let from = if *effective == 0 {
                    now + 1
                } else {
                    *effective as usize
                };
                let latest = held.speaking.last().unwrap().last().cloned();
                let Some((began, latest)) = latest else {
                    return Err(Reason::Revoked);
                };
                if from <= now || *grace > 6 || began > height || latest == *keys {
                    return Err(Reason::Rotation);
                }
                held.cut = Some((height, began));
                for sets in held.speaking.iter_mut().skip(now + 1) {
                    sets.retain(|(since, _)| *since == began);
                }
                let end = from + *grace as usize;
                for (height, sets) in held.speaking.iter_mut().enumerate().skip(from) {
                    sets.retain(|_| height < end);
                    sets.push((from as u64, keys.clone()));
                }
            }
            Act::Revoke => {
                registered(self)?;
                let held = self.registered.get_mut(sender).unwrap();
                if held.standing != Standing::Active {
                    return Err(Reason::Revoked);
                }
                held.standing = Standing::Revoked;
                held.end(now + 1);
            }
            Act::Recover(keys) => {
                registered(self)?;
                let held = self.registered.get_mut(sender).unwrap();
                if !held
                    .recovery
                    .as_ref()
                    .is_some_and(|keys| keys.signed_by(signers))
                {
                    return Err(Reason::Identity);
                }
                held.standing = Standing::Active;
                held.end(now + 1);
                for sets in held.speaking.iter_mut().skip(now + 1) {
                    sets.push((height + 1, keys.clone()));
                }
            }
            Act::Leave => {
                registered(self)?;
                let held = self.registered.get_mut(sender).unwrap();
                held.standing = Standing::Left;
                held.is_member = false;
                held.end(now + 1);
                let stake = std::mem::take(&mut held.stake);
                *self.balances.entry(sender).or_default() += stake;
            }
            Act::Attest(subject, keys, expiry) => {
                if !self.is_member(sender, height) {
                    return Err(Reason::Member);
                }
                if *subject == sender || (*expiry != 0 && *expiry <= height) {
                    return Err(Reason::Attestation);
                }
                self.attested
                    .insert((subject, sender), (keys.clone(), *expiry));
            }
            Act::Retract(subject) => {
                let held = self.attested.remove(&(*subject, sender));
                held.ok_or(Reason::Attestation)?;
            }
            Act::Propose(parameter, value, effective) => {
                self.may_decide(sender, height)?;
                self.in_time(*parameter, *effective, height)?;
                self.fits(*parameter, value, height)?;
                let proposed = Proposed {
                    id: transaction.id(),
                    parameter: *parameter,
                    value: value.clone(),
                    effective: *effective,
                    approvals: [sender].into(),
                };
                self.proposed.insert(sender, proposed);
                self.settle(sender, height);
            }
            Act::Approve(proposer) => {
                self.may_decide(sender, height)?;
                let Some(held) = self.proposed.get(proposer).cloned() else {
                    return Err(Reason::Proposal);
                };
                self.in_time(held.parameter, held.effective, height)?;
                if held.approvals.contains(sender) {
                    return Err(Reason::Proposal);
                }
                self.fits(held.parameter, &held.value, height)?;
                let proposed = self.proposed.get_mut(proposer).unwrap();
                proposed.approvals.insert(sender);
                self.settle(proposer, height);
            }
        }
        Ok(())
    }

    fn register(
        &mut self,
        sender: &'static str,
        keys: &Keys,
        recovery: Option<&Keys>,
        (stake, attester, joins): (u64, Option<&'static str>, bool),
        height: u64,
    ) -> Verdict {
        let now = height as usize;
        let mut held = match self.registered.get(sender) {
            Some(held) => {
                let latest = held.speaking.last().unwrap().last();
                if !joins || held.is_member || latest.map(|(_, keys)| keys) != Some(keys) {
                    return Err(Reason::Registration);
                }
                held.clone()
            }
            None => {
                let mut speaking = vec![Vec::new(); HEIGHTS];
                speaking[now..].fill(vec![(height, keys.clone())]);
                Registered {
                    standing: Standing::Active,
                    is_member: false,
                    stake: 0,
                    recovery: recovery.cloned(),
                    speaking,
                    cut: None,
                }
            }
        };
        held.stake += stake;
        let by_attestation = match self.joining {
            Joining::Free => None,
            Joining::Stake => Some(false),
            Joining::Attested => Some(true),
            Joining::StakeOrAttested => Some(attester.is_some()),
        };
        match (by_attestation, attester) {
            (Some(false), _) if held.stake < self.stake_min[now] => return Err(Reason::Stake),
            (Some(true), None) => return Err(Reason::Attestation),
            (Some(true), Some(attester)) => {
                let attested = self.attested.get(&(sender, attester));
                let fits = attested
                    .is_some_and(|(of, expiry)| of == keys && (*expiry == 0 || height < *expiry));
                if !fits {
                    return Err(Reason::Attestation);
                }
                if !self.is_member(attester, height) {
                    return Err(Reason::Member);
                }
            }
            _ => {}
        }
        held.is_member = joins;
        self.registered.insert(sender, held);
        Ok(())
    }

    fn may_decide(&self, name: &str, height: u64) -> Verdict {
        match self.members[height as usize].contains(&name) {
            true => Ok(()),
            false => Err(Reason::Member),
        }
    }

    fn in_time(&self, parameter: Parameter, effective: u64, height: u64) -> Verdict {
        let least = height
            + if parameter == Parameter::Members {
                2
            } else {
                1
            };
        match effective < least {
            true => Err(Reason::Proposal),
            false => Ok(()),
        }
    }

    /// That no other change is to come, and new members have keys.
    fn fits(&self, parameter: Parameter, value: &ParameterValue, height: u64) -> Verdict {
        let now = height as usize;
        let pending = match parameter {
            Parameter::FeeMin => self.fee_min_changes.iter().any(|from| *from > now),
            Parameter::StakeMin => self.stake_min_changes.iter().any(|from| *from > now),
            _ => self.members_changes.iter().any(|from| *from > now),
        };
        if pending {
            return Err(Reason::Parameter);
        }
        let ParameterValue::Members(members) = value else {
            return Ok(());
        };
        let is_free = |one: &Authority| {
            !self.pinned.contains_key(&one.name[..]) && !self.registered.contains_key(&one.name[..])
        };
        match members.iter().any(is_free) {
            true => Err(Reason::Member),
            false => Ok(()),
        }
    }

    fn settle(&mut self, proposer: &'static str, height: u64) {
        let members = &self.members[height as usize];
        let proposed = &self.proposed[proposer];
        let approvals = proposed.approvals.iter();
        let approvals = approvals.filter(|name| members.contains(name)).count();
        if 3 * approvals <= 2 * members.len() {
            return;
        }
        let proposed = self.proposed.remove(proposer).unwrap();
        let from = proposed.effective as usize;
        match proposed.value {
            ParameterValue::Number(number) => {
                let (values, changes) = match proposed.parameter {
                    Parameter::FeeMin => (&mut self.fee_min, &mut self.fee_min_changes),
                    _ => (&mut self.stake_min, &mut self.stake_min_changes),
                };
                values[from..].fill(number);
                changes.push(from);
            }
            ParameterValue::Members(members) => {
                let all = MEMBERS.iter().chain(&NAMES);
                let name = |one: &Authority| {
                    let mut all = all.clone();
                    *all.find(|name| **name == one.name).unwrap()
                };
                self.members[from..].fill(members.iter().map(name).collect());
                self.members_changes.push(from);
            }
        }
    }
}

impl Registered {
    /// Nobody speaks from this height on.
    fn end(&mut self, height: usize) {
        for sets in self.speaking.iter_mut().skip(height) {
            sets.clear();
        }
    }
}
