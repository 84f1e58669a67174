//! What is put up behind whom, and who is a member because of it, restated over plain lists: every pool as a list of who has how much of
//! it, and of every height up to an end the members.

use std::collections::BTreeMap;

use super::{Act, HEIGHTS};
use crate::format::rejection::Reason;

/// A pool: its value, and the shares of each holder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pooled {
    pub(crate) tokens: u128,
    pub(crate) shares: BTreeMap<String, u128>,
}

impl Pooled {
    fn all(&self) -> u128 {
        self.shares.values().sum()
    }

    /// What somebody's shares are worth, rounded down.
    pub(crate) fn worth(&self, holder: &str) -> u128 {
        let held = self.shares.get(holder).copied().unwrap_or(0);
        match self.all() {
            0 => 0,
            all => held * self.tokens / all,
        }
    }

    fn put(&mut self, holder: &str, tokens: u128) {
        let shares = match self.all() {
            0 => tokens,
            all => tokens * all / self.tokens,
        };
        if shares > 0 {
            *self.shares.entry(holder.to_owned()).or_default() += shares;
        }
        self.tokens += tokens;
    }

    /// The fewest shares that are worth so much.
    fn take(&mut self, holder: &str, tokens: u128) {
        let (all, held) = (self.all(), self.shares[holder]);
        let mut cost = tokens * all / self.tokens;
        while cost * self.tokens < tokens * all {
            cost += 1;
        }
        self.tokens -= tokens;
        self.shares.insert(holder.to_owned(), held - cost);
        if self.worth(holder) == 0 {
            self.shares.remove(holder);
        }
    }
}

/// A member: its name, the name of its key, its weight.
pub(crate) type Member = (String, String, u128);

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) epoch: u64,
    pub(crate) delay: u64,
    pub(crate) members_max: usize,
    pub(crate) delegation: bool,
    pub(crate) least: u128,
    pub(crate) balances: BTreeMap<String, u128>,
    pub(crate) nonces: BTreeMap<String, u64>,
    /// By name and boundary; 0 is what counts.
    pub(crate) pools: BTreeMap<(String, u64), Pooled>,
    pub(crate) keys: BTreeMap<String, String>,
    /// Of each height.
    pub(crate) members: Vec<Vec<Member>>,
    /// What penalties took.
    #[cfg(test)]
    pub(crate) taken: u128,
}

impl Model {
    /// The verdict on an act, and what comes of it. Whatever is refused leaves a model of no use.
    pub(crate) fn take(&mut self, sender: &str, act: &Act, height: u64) -> Result<(), Reason> {
        match act {
            Act::Transfer(receiver, amount) => {
                let amount = u128::from(*amount);
                self.pay(sender, amount)?;
                *self.balances.entry(receiver.clone()).or_default() += amount;
            }
            Act::Stake(key, amount) => {
                let known = self.keys.get(sender).is_none_or(|known| known == key);
                if *amount == 0 && (known || !self.counts(sender)) {
                    return Err(Reason::Stake);
                }
                self.keys.insert(sender.to_owned(), key.clone());
                self.put_up(sender, sender, *amount, height)?;
            }
            Act::Delegate(to, amount) => {
                if !self.delegation || *amount == 0 || !self.counts(to) {
                    return Err(Reason::Stake);
                }
                self.put_up(sender, to, *amount, height)?;
            }
            Act::Release(from, amount) => self.release(sender, from, *amount, height)?,
            Act::Withdraw(from, boundary) => {
                let key = (from.clone(), *boundary);
                let pool = self.pools.get_mut(&key).ok_or(Reason::Stake)?;
                let holds = pool.shares.contains_key(sender);
                if *boundary == 0 || !holds || height < boundary + self.delay {
                    return Err(Reason::Stake);
                }
                let worth = pool.worth(sender);
                pool.tokens -= worth;
                pool.shares.remove(sender);
                if pool.shares.is_empty() {
                    self.pools.remove(&key);
                }
                *self.balances.entry(sender.to_owned()).or_default() += worth;
            }
        }
        *self.nonces.entry(sender.to_owned()).or_default() += 1;
        Ok(())
    }

    fn pay(&mut self, sender: &str, amount: u128) -> Result<(), Reason> {
        let held = self.balances.entry(sender.to_owned()).or_default();
        *held = held.checked_sub(amount).ok_or(Reason::Balance)?;
        Ok(())
    }

    fn counts(&self, name: &str) -> bool {
        let pool = self.pools.get(&(name.to_owned(), 0));
        pool.is_some_and(|pool| !pool.shares.is_empty())
    }

    fn put_up(&mut self, holder: &str, to: &str, amount: u64, height: u64) -> Result<(), Reason> {
        let pool = self.pools.entry((to.to_owned(), 0)).or_default();
        if amount > 0 && pool.tokens == 0 && !pool.shares.is_empty() {
            return Err(Reason::Stake);
        }
        if amount > 0 {
            pool.put(holder, amount.into());
        }
        self.follow(to, height)?;
        self.pay(holder, amount.into())
    }

    fn release(
        &mut self,
        holder: &str,
        from: &str,
        amount: u64,
        height: u64,
    ) -> Result<(), Reason> {
        let pool = self.pools.get_mut(&(from.to_owned(), 0));
        let pool = pool.filter(|pool| pool.shares.contains_key(holder) && amount > 0);
        let pool = pool.ok_or(Reason::Stake)?;
        if pool.tokens == 0 {
            pool.shares.remove(holder);
        } else if u128::from(amount) > pool.worth(holder) {
            return Err(Reason::Stake);
        } else {
            pool.take(holder, amount.into());
            let boundary = self.boundary(height);
            let waiting = self.pools.entry((from.to_owned(), boundary)).or_default();
            waiting.put(holder, amount.into());
        }
        self.follow(from, height)
    }

    /// A penalty; what it takes.
    #[cfg(test)]
    pub(crate) fn slash(&mut self, name: &str, parts: u16, fault: u64, height: u64) -> u128 {
        let mut taken = 0;
        for ((of, boundary), pool) in &mut self.pools {
            if of == name && (*boundary == 0 || *boundary > fault) {
                let part = pool.tokens * u128::from(parts) / 10_000;
                pool.tokens -= part;
                taken += part;
            }
        }
        self.taken += taken;
        let mut list = self.last_list();
        let weight = self.weight(name);
        for member in list.iter_mut().filter(|member| member.0 == name) {
            member.2 = weight;
        }
        match list.iter().any(|member| self.is_enough(member.2)) {
            true => list.retain(|member| self.is_enough(member.2)),
            false => list
                .iter_mut()
                .for_each(|member| member.2 = member.2.max(1)),
        }
        self.put_list(list, height);
        taken
    }

    fn weight(&self, name: &str) -> u128 {
        let pool = self.pools.get(&(name.to_owned(), 0));
        pool.map_or(0, |pool| pool.tokens)
    }

    fn is_enough(&self, weight: u128) -> bool {
        weight > 0 && weight >= self.least
    }

    /// The first boundary that is at least two heights away, found by walking there.
    pub(crate) fn boundary(&self, height: u64) -> u64 {
        (height + 2..)
            .find(|at| at % self.epoch == 1)
            .expect("there is always another")
    }

    fn last_list(&self) -> Vec<Member> {
        self.members[HEIGHTS - 1].clone()
    }

    fn put_list(&mut self, list: Vec<Member>, height: u64) {
        let from = self.boundary(height) as usize;
        self.members[from..].fill(list);
    }

    /// Lets the members follow what is behind a name.
    fn follow(&mut self, name: &str, height: u64) -> Result<(), Reason> {
        let mut list = self.last_list();
        let (weight, key) = (self.weight(name), self.keys[name].clone());
        let was_member = list.iter().any(|member| member.0 == name);
        for member in list.iter_mut().filter(|member| member.0 == name) {
            (member.1, member.2) = (key.clone(), weight);
        }
        list.retain(|member| self.is_enough(member.2));
        if !was_member && self.is_enough(weight) {
            if list.len() == self.members_max {
                let least = list.iter().map(|member| member.2).min().unwrap_or(0);
                if least < weight {
                    let last = list.iter().rposition(|member| member.2 == least);
                    list.remove(last.expect("somebody has the least"));
                }
            }
            if list.len() < self.members_max {
                list.push((name.to_owned(), key, weight));
            }
        }
        let keys = |list: &[Member]| -> std::collections::BTreeSet<String> {
            list.iter().map(|member| member.1.clone()).collect()
        };
        if list.is_empty() || keys(&list).len() < list.len() {
            return Err(Reason::Stake);
        }
        self.put_list(list, height);
        Ok(())
    }
}
