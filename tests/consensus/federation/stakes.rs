//! What is put up behind whom, who is a member because of it, and what a fault takes of it.

use std::collections::BTreeMap;

use hubledger::rejection::Reason;

use super::model::{Member, Model};

#[derive(Debug, Clone)]
pub(super) struct StakeTerms {
    pub(super) epoch: u64,
    pub(super) release_delay: u64,
    pub(super) members_max: usize,
    pub(super) least: u128,
    /// How many heights a boundary is ahead at least.
    pub(super) ahead: u64,
}

/// Its value, and the shares of each holder.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    pub(super) tokens: u128,
    pub(super) shares: BTreeMap<String, u128>,
}

impl Pool {
    /// What a member has at genesis.
    pub(super) fn founded((name, weight): &Member) -> ((String, u64), Self) {
        let shares = [(name.clone(), *weight)].into();
        let tokens = *weight;
        ((name.clone(), 0), Self { tokens, shares })
    }

    pub(super) fn all(&self) -> u128 {
        self.shares.values().sum()
    }

    /// What somebody's shares are worth, rounded down.
    pub(super) fn worth(&self, holder: &str) -> u128 {
        let held = self.shares.get(holder).copied().unwrap_or(0);
        (held * self.tokens).checked_div(self.all()).unwrap_or(0)
    }

    fn put(&mut self, holder: &str, tokens: u128) {
        let all = self.all();
        let shares = if all == 0 {
            tokens
        } else {
            tokens * all / self.tokens
        };
        if shares > 0 {
            *self.shares.entry(holder.to_owned()).or_default() += shares;
        }
        self.tokens += tokens;
    }

    /// For the fewest shares that are worth so much.
    fn take(&mut self, holder: &str, tokens: u128) {
        let (all, held) = (self.all(), self.shares[holder]);
        let cost = (tokens * all).div_ceil(self.tokens);
        self.tokens -= tokens;
        self.shares.insert(holder.to_owned(), held - cost);
        if self.worth(holder) == 0 {
            self.shares.remove(holder);
        }
    }
}

impl Model {
    fn stakes(&self) -> &StakeTerms {
        self.terms.stakes.as_ref().unwrap()
    }

    pub(super) fn pay(&mut self, sender: &str, amount: u128) -> Result<(), Reason> {
        let held = self.balances.entry(sender.to_owned()).or_default();
        *held = held.checked_sub(amount).ok_or(Reason::Balance)?;
        Ok(())
    }

    fn counts(&self, name: &str) -> bool {
        let pool = self.pools.get(&(name.to_owned(), 0));
        pool.is_some_and(|pool| pool.all() > 0)
    }

    pub(super) fn stake(&mut self, sender: &str, amount: u128, height: u64) -> Result<(), Reason> {
        match amount {
            // The key is never another.
            0 => Err(Reason::Stake),
            _ => self.put_up(sender, sender, amount, height),
        }
    }

    pub(super) fn delegate(
        &mut self,
        sender: &str,
        to: &str,
        amount: u128,
        height: u64,
    ) -> Result<(), Reason> {
        match amount > 0 && self.counts(to) {
            true => self.put_up(sender, to, amount, height),
            false => Err(Reason::Stake),
        }
    }

    fn put_up(&mut self, holder: &str, to: &str, amount: u128, height: u64) -> Result<(), Reason> {
        let pool = self.pools.entry((to.to_owned(), 0)).or_default();
        if pool.tokens == 0 && pool.all() > 0 {
            return Err(Reason::Stake);
        }
        pool.put(holder, amount);
        self.follow(to, height)?;
        self.pay(holder, amount)
    }

    pub(super) fn release(
        &mut self,
        holder: &str,
        from: &str,
        amount: u128,
        height: u64,
    ) -> Result<(), Reason> {
        let pool = self.pools.get_mut(&(from.to_owned(), 0));
        let pool = pool.filter(|pool| pool.shares.contains_key(holder) && amount > 0);
        let pool = pool.ok_or(Reason::Stake)?;
        if pool.tokens == 0 {
            pool.shares.remove(holder);
        } else if amount > pool.worth(holder) {
            return Err(Reason::Stake);
        } else {
            pool.take(holder, amount);
            let waiting = (from.to_owned(), self.boundary(height));
            self.pools.entry(waiting).or_default().put(holder, amount);
        }
        self.follow(from, height)
    }

    pub(super) fn withdraw(
        &mut self,
        holder: &str,
        from: &str,
        boundary: u64,
        height: u64,
    ) -> Result<(), Reason> {
        let (key, delay) = ((from.to_owned(), boundary), self.stakes().release_delay);
        let pool = self.pools.get_mut(&key).ok_or(Reason::Stake)?;
        if boundary == 0 || !pool.shares.contains_key(holder) || boundary + delay > height {
            return Err(Reason::Stake);
        }
        let worth = pool.worth(holder);
        pool.tokens -= worth;
        pool.shares.remove(holder);
        *self.balances.entry(holder.to_owned()).or_default() += worth;
        Ok(())
    }

    /// A penalty for a fault at a height.
    pub(super) fn slash(&mut self, name: &str, parts: u128, fault: u64, height: u64) {
        let mut taken = 0;
        for ((of, boundary), pool) in &mut self.pools {
            if of == name && (*boundary == 0 || *boundary > fault) {
                let part = pool.tokens * parts / 10_000;
                pool.tokens -= part;
                taken += part;
            }
        }
        match self.terms.treasury.clone() {
            Some(treasury) => *self.balances.entry(treasury).or_default() += taken,
            None => self.gone += taken,
        }
        let mut list = self.listed_last();
        self.weigh(&mut list, name);
        match list.iter().any(|member| self.is_enough(member.1)) {
            true => list.retain(|member| self.is_enough(member.1)),
            false => list
                .iter_mut()
                .for_each(|member| member.1 = member.1.max(1)),
        }
        self.put_list(list, height);
    }

    fn boundary(&self, height: u64) -> u64 {
        let StakeTerms { epoch, ahead, .. } = self.stakes();
        (height + ahead..).find(|at| at % epoch == 1).unwrap()
    }

    fn listed_last(&self) -> Vec<Member> {
        self.lists.values().next_back().unwrap().clone()
    }

    fn put_list(&mut self, list: Vec<Member>, height: u64) {
        self.lists.insert(self.boundary(height), list);
    }

    fn weight(&self, name: &str) -> u128 {
        let pool = self.pools.get(&(name.to_owned(), 0));
        pool.map_or(0, |pool| pool.tokens)
    }

    fn weigh(&self, list: &mut [Member], name: &str) {
        let weight = self.weight(name);
        list.iter_mut()
            .filter(|one| one.0 == name)
            .for_each(|one| one.1 = weight);
    }

    fn is_enough(&self, weight: u128) -> bool {
        weight > 0 && weight >= self.stakes().least
    }

    /// Lets the members follow what is behind a name.
    fn follow(&mut self, name: &str, height: u64) -> Result<(), Reason> {
        let mut list = self.listed_last();
        let (weight, most) = (self.weight(name), self.stakes().members_max);
        let was_member = list.iter().any(|member| member.0 == name);
        self.weigh(&mut list, name);
        list.retain(|member| self.is_enough(member.1));
        if !was_member && self.is_enough(weight) {
            let least = list.iter().map(|member| member.1).min();
            if list.len() == most && least < Some(weight) {
                let last = list.iter().rposition(|member| Some(member.1) == least);
                list.remove(last.unwrap());
            }
            if list.len() < most {
                list.push((name.to_owned(), weight));
            }
        }
        if list.is_empty() {
            return Err(Reason::Stake);
        }
        self.put_list(list, height);
        Ok(())
    }
}
