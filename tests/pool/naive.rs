//! A pool as simple as can be: a list, of which everything is worked out again each time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use hubledger::model::{Operation, TRANSACTION_BYTES_MIN, Transaction};
use hubledger::pool::{
    Bound, Bounds, Entered, Left, Room, Source, SourceCount, Terms, WaitingTransaction, WaitsFor,
};
use hubledger::state::Account;

const LEAVE_MAX: usize = 64;
const SMALL_PART: usize = 1024;
const PASSED_OVER_MAX: usize = 4096;
const PASSED_OVER_OF_SOURCE_MAX: usize = 32;

#[derive(Clone)]
pub(crate) struct Naive {
    bounds: Bounds,
    terms: Terms,
    waiting: Vec<Item>,
    accounts: BTreeMap<String, Account>,
    arrivals: u64,
    now_us: u64,
    left: Left,
}

#[derive(Clone)]
struct Item {
    transaction: Transaction,
    source: Source,
    arrival: u64,
    since_us: u64,
}

impl Item {
    fn bytes(&self) -> usize {
        self.transaction.bytes().len()
    }

    fn nonce(&self) -> u64 {
        self.transaction.nonce()
    }

    fn sender(&self) -> &str {
        self.transaction.sender()
    }
}

type Worth = (bool, u64, u8, Reverse<u64>);
type Best = (Reverse<u64>, Reverse<u8>, u64);

fn percent_of(percent: u8, whole: usize) -> usize {
    whole * usize::from(percent.min(100)) / 100
}

impl Naive {
    pub(crate) fn new(bounds: Bounds, terms: Terms) -> Self {
        Self {
            bounds,
            terms,
            waiting: Vec::new(),
            accounts: BTreeMap::new(),
            arrivals: 0,
            now_us: 0,
            left: Left::default(),
        }
    }

    fn cost(&self, transaction: &Transaction) -> u128 {
        let amount = match transaction.operation() {
            Operation::Transfer => transaction.amount(),
            _ => 0,
        };
        match self.terms.keeps_balances {
            true => u128::from(amount) + u128::from(transaction.fee()),
            false => 0,
        }
    }

    fn queue(&self, sender: &str) -> Vec<&Item> {
        let own = self.waiting.iter().filter(|item| item.sender() == sender);
        let mut own: Vec<_> = own.collect();
        own.sort_by_key(|item| item.nonce());
        own
    }

    fn senders(&self) -> BTreeSet<String> {
        let senders = self.waiting.iter().map(|item| item.sender().to_owned());
        senders.collect()
    }

    fn drop_where(&mut self, is_dropped: impl Fn(&Item) -> bool) -> u64 {
        let before = self.waiting.len();
        self.waiting.retain(|item| !is_dropped(item));
        let waiting = self.senders();
        self.accounts.retain(|name, _| waiting.contains(name));
        (before - self.waiting.len()) as u64
    }

    pub(crate) fn tell_account(&mut self, name: &str, account: &Account) {
        if self.accounts.contains_key(name) {
            self.accounts.insert(name.to_owned(), *account);
            let is_used = |item: &Item| item.sender() == name && item.nonce() <= account.nonce;
            self.left.used += self.drop_where(is_used);
        }
    }

    pub(crate) fn tell_time(&mut self, timestamp_us: u64) {
        self.left.expired += self.drop_where(|item| {
            let expiry = item.transaction.expiry();
            expiry != 0 && expiry <= timestamp_us
        });
    }

    pub(crate) fn tell_age(&mut self, now_us: u64) {
        self.now_us = self.now_us.max(now_us);
        let (now_us, age_max_us) = (self.now_us, self.bounds.age_max_us);
        self.left.aged += self.drop_where(|item| now_us - item.since_us > age_max_us);
    }

    pub(crate) fn tell_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    pub(crate) fn refuse(&mut self, transaction: &Transaction) {
        self.left.refused += self.drop_where(|item| item.transaction == *transaction);
    }

    pub(crate) fn enter(
        &mut self,
        transaction: Transaction,
        source: Source,
        account: &Account,
        now_us: u64,
    ) -> Entered {
        self.now_us = self.now_us.max(now_us);
        let name = transaction.sender().to_owned();
        let account = self.accounts.get(&name).copied().unwrap_or(*account);
        if transaction.nonce() <= account.nonce {
            return Entered::Used;
        }
        let queue = self.queue(&name);
        let held = queue
            .iter()
            .find(|item| item.nonce() == transaction.nonce());
        let held = held.map(|item| item.transaction.clone());
        if let Some(held) = &held {
            if *held == transaction {
                return Entered::Again;
            }
            let raise = held.fee().div_ceil(10).max(1);
            let wanted = held.fee().checked_add(raise);
            if wanted.is_none_or(|wanted| transaction.fee() < wanted) {
                return Entered::Taken(wanted);
            }
        }
        let others = queue
            .iter()
            .filter(|item| item.nonce() != transaction.nonce());
        let cost: u128 = others.map(|item| self.cost(&item.transaction)).sum();
        let cost = cost + self.cost(&transaction);
        let balance = account.balance;
        if self.terms.keeps_balances && cost > u128::from(balance) {
            return Entered::Uncovered { balance, cost };
        }
        let before = self.clone();
        self.waiting.retain(|item| {
            held.as_ref()
                .is_none_or(|held| item.transaction.id() != held.id())
        });
        self.accounts.insert(name, account);
        self.arrivals += 1;
        self.waiting.push(Item {
            transaction: transaction.clone(),
            source,
            arrival: self.arrivals,
            since_us: self.now_us,
        });
        if let Err(bound) = self.make_room(&transaction, source) {
            let arrivals = self.arrivals;
            *self = before;
            self.arrivals = arrivals;
            return Entered::Full(bound);
        }
        match held {
            Some(_) => {
                self.left.replaced += 1;
                Entered::Replaces
            }
            None => Entered::Waits,
        }
    }

    fn make_room(&mut self, transaction: &Transaction, source: Source) -> Result<(), Bound> {
        let sender = transaction.sender();
        let mut leaving = 0;
        while let Some(bound) = self.exceeded(sender, source) {
            let own = self.worth(sender).expect("it is there");
            let worths = self.senders().into_iter().filter_map(|name| {
                let last = *self.queue(&name).last()?;
                let is_asked = match bound {
                    Bound::Sender => name == sender,
                    Bound::Source => last.source == source,
                    Bound::Pool => true,
                };
                is_asked.then(|| {
                    (
                        self.worth(&name).expect("it is there"),
                        last.transaction.id(),
                    )
                })
            });
            let victim = worths.min_by_key(|(worth, _)| *worth);
            let victim = victim
                .filter(|(worth, id)| *worth <= own && *id != transaction.id())
                .filter(|_| leaving < LEAVE_MAX);
            let Some((_, id)) = victim else {
                return Err(bound);
            };
            leaving += 1;
            self.drop_where(|item| item.transaction.id() == id);
        }
        self.left.pushed_out += leaving as u64;
        Ok(())
    }

    fn worth(&self, sender: &str) -> Option<Worth> {
        let queue = self.queue(sender);
        let (last, account) = (queue.last()?, self.accounts[sender]);
        let is_ready = queue
            .iter()
            .all(|item| self.waits_for(item) == WaitsFor::Room);
        let fee = queue.iter().map(|item| item.transaction.fee()).min()?;
        let weight = self.weight(&account);
        Some((is_ready, fee, weight, Reverse(last.arrival)))
    }

    fn weight(&self, account: &Account) -> u8 {
        match self.terms.weighs_balances {
            true => (64 - account.balance.leading_zeros()) as u8,
            false => 0,
        }
    }

    fn exceeded(&self, sender: &str, source: Source) -> Option<Bound> {
        let (count, bytes) = (self.len(), self.bytes());
        let (count_max, bytes_max) = (self.bounds.transactions_max, self.bounds.bytes_max);
        let queue = self.queue(sender);
        let own_bytes: usize = queue.iter().map(|item| item.bytes()).sum();
        let percent = self.bounds.sender_percent;
        let is_over = queue.len() > percent_of(percent, count_max)
            || own_bytes > percent_of(percent, bytes_max);
        if queue.len() > 1 && is_over {
            return Some(Bound::Sender);
        }
        let of_source = self.waiting.iter().filter(|item| item.source == source);
        let own: Vec<_> = of_source.collect();
        let own_bytes: usize = own.iter().map(|item| item.bytes()).sum();
        let is_over = |own: usize, free: usize| {
            own > percent_of(self.bounds.source_percent, own.saturating_add(free))
        };
        let over_count = is_over(own.len(), count_max.saturating_sub(count));
        let over_bytes = is_over(own_bytes, bytes_max.saturating_sub(bytes));
        let is_small = own.len() == 1 && own_bytes <= bytes_max / SMALL_PART;
        if !is_small && (own.len() > 1 && over_count || over_bytes) {
            return Some(Bound::Source);
        }
        (count > count_max || bytes > bytes_max).then_some(Bound::Pool)
    }

    fn waits_for(&self, item: &Item) -> WaitsFor {
        let account = self.accounts[item.sender()];
        let queue = self.queue(item.sender());
        let before = queue.iter().filter(|other| other.nonce() <= item.nonce());
        let nonces: BTreeSet<u64> = queue.iter().map(|other| other.nonce()).collect();
        if self.terms.is_consecutive {
            let first = account.nonce + 1;
            let gap = (first..item.nonce()).find(|nonce| !nonces.contains(nonce));
            if let Some(nonce) = gap {
                return WaitsFor::Gap { nonce };
            }
        }
        let cost: u128 = before.map(|other| self.cost(&other.transaction)).sum();
        match cost.checked_sub(u128::from(account.balance)) {
            Some(missing @ 1..) if self.terms.keeps_balances => WaitsFor::Cover { missing },
            _ => WaitsFor::Room,
        }
    }

    pub(crate) fn select(&self, room: Room) -> Vec<Transaction> {
        let mut chosen = Chosen::new(self, room);
        while chosen.has_room()
            && let Some(item) = chosen.best(true)
        {
            chosen.take_in_share(&item);
        }
        while (chosen.has_room() || chosen.spare.len() < room.spare)
            && let Some(item) = chosen.best(false)
        {
            chosen.take(&item);
        }
        chosen.taken.append(&mut chosen.spare);
        chosen.taken
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.waiting.iter().map(Item::bytes).sum()
    }

    pub(crate) fn has_ready(&self) -> bool {
        let senders = self.senders();
        let mut firsts = senders.iter().map(|name| self.queue(name)[0]);
        firsts.any(|first| self.waits_for(first) == WaitsFor::Room)
    }

    /// Transactions and bytes of the senders all of whose could be in a block.
    pub(crate) fn ready(&self) -> (usize, usize) {
        let senders = self.senders();
        let queues = senders.iter().map(|name| self.queue(name));
        let ready = queues.filter(|queue| {
            let mut waits_for = queue.iter().map(|item| self.waits_for(item));
            waits_for.all(|waits_for| waits_for == WaitsFor::Room)
        });
        let ready: Vec<&Item> = ready.flatten().collect();
        (ready.len(), ready.iter().map(|item| item.bytes()).sum())
    }

    pub(crate) const fn left(&self) -> Left {
        self.left
    }

    /// Everything that waits, the oldest first.
    pub(crate) fn oldest(&self) -> Vec<WaitingTransaction> {
        let mut items: Vec<_> = self.waiting.iter().collect();
        items.sort_by_key(|item| item.arrival);
        let described = items.into_iter().map(|item| WaitingTransaction {
            id: item.transaction.id(),
            sender: item.sender().to_owned(),
            nonce: item.nonce(),
            fee: item.transaction.fee(),
            bytes: item.bytes(),
            source: item.source,
            age_us: self.now_us - item.since_us,
            waits_for: self.waits_for(item),
        });
        described.collect()
    }

    pub(crate) fn by_source(&self) -> Vec<SourceCount> {
        let mut counts: BTreeMap<Source, SourceCount> = BTreeMap::new();
        for item in &self.waiting {
            let count = counts.entry(item.source).or_insert(SourceCount {
                source: item.source,
                transactions: 0,
                bytes: 0,
            });
            count.transactions += 1;
            count.bytes += item.bytes();
        }
        let mut counts: Vec<_> = counts.into_values().collect();
        counts.sort_by_key(|count| (Reverse(count.transactions), count.source));
        counts
    }
}

/// What a block takes, as it is selected.
struct Chosen<'a> {
    naive: &'a Naive,
    room: Room,
    is_contested: bool,
    /// How many of each sender's are taken.
    positions: BTreeMap<String, usize>,
    /// Senders whose next one was put off, until nobody's share counts.
    put_off: BTreeSet<String>,
    sources_put_off: BTreeSet<Source>,
    /// Senders whose next one found no room at all.
    blocked: BTreeSet<String>,
    passed_over: usize,
    passed_over_of: BTreeMap<Source, usize>,
    of_source: BTreeMap<Source, (usize, usize)>,
    bytes: usize,
    taken: Vec<Transaction>,
    spare: Vec<Transaction>,
}

impl<'a> Chosen<'a> {
    fn new(naive: &'a Naive, room: Room) -> Self {
        let firsts = naive.senders().into_iter().filter_map(|name| {
            let first = naive.queue(&name)[0];
            (naive.waits_for(first) == WaitsFor::Room).then_some(first.source)
        });
        Self {
            naive,
            room,
            is_contested: firsts.collect::<BTreeSet<_>>().len() > 1,
            positions: BTreeMap::new(),
            put_off: BTreeSet::new(),
            sources_put_off: BTreeSet::new(),
            blocked: BTreeSet::new(),
            passed_over: 0,
            passed_over_of: BTreeMap::new(),
            of_source: BTreeMap::new(),
            bytes: 0,
            taken: Vec::new(),
            spare: Vec::new(),
        }
    }

    fn has_room(&self) -> bool {
        self.taken.len() < self.room.transactions
            && self.room.bytes - self.bytes >= TRANSACTION_BYTES_MIN
            && self.passed_over < PASSED_OVER_MAX
    }

    fn best(&self, is_sharing: bool) -> Option<Item> {
        let naive = self.naive;
        let nexts = naive.senders().into_iter().filter_map(|name| {
            let position = self.positions.get(&name).copied().unwrap_or_default();
            let item = *naive.queue(&name).get(position)?;
            let is_off =
                self.put_off.contains(&name) || self.sources_put_off.contains(&item.source);
            let is_out = self.blocked.contains(&name) || naive.waits_for(item) != WaitsFor::Room;
            let weight = naive.weight(&naive.accounts[&name]);
            let best: Best = (
                Reverse(item.transaction.fee()),
                Reverse(weight),
                item.arrival,
            );
            let is_passed = is_out || is_sharing && is_off;
            (!is_passed).then(|| (best, item.clone()))
        });
        nexts.min_by_key(|(best, _)| *best).map(|(_, item)| item)
    }

    fn take_in_share(&mut self, item: &Item) {
        let is_over = |own: usize, more: usize, free: usize| {
            let (own, free) = (own + more, free.saturating_sub(more));
            self.is_contested && own > percent_of(self.naive.bounds.source_percent, own + free)
        };
        let (count, bytes) = self
            .of_source
            .get(&item.source)
            .copied()
            .unwrap_or_default();
        let free = self.room.transactions - self.taken.len();
        let free_bytes = self.room.bytes - self.bytes;
        if count > 0 && is_over(count, 1, free) {
            self.sources_put_off.insert(item.source);
        } else if item.bytes() > free_bytes || is_over(bytes, item.bytes(), free_bytes) {
            self.put_off.insert(item.sender().to_owned());
            let passed_over = self.passed_over_of.entry(item.source).or_default();
            *passed_over += 1;
            if *passed_over == PASSED_OVER_OF_SOURCE_MAX {
                self.sources_put_off.insert(item.source);
            }
            self.passed_over += usize::from(item.bytes() > free_bytes);
        } else {
            let own = (count + 1, bytes + item.bytes());
            self.of_source.insert(item.source, own);
            self.put(item);
        }
    }

    fn put(&mut self, item: &Item) {
        self.bytes += item.bytes();
        self.taken.push(item.transaction.clone());
        *self.positions.entry(item.sender().to_owned()).or_default() += 1;
    }

    fn take(&mut self, item: &Item) {
        if !self.has_room() {
            self.spare.push(item.transaction.clone());
            *self.positions.entry(item.sender().to_owned()).or_default() += 1;
        } else if item.bytes() > self.room.bytes - self.bytes {
            self.passed_over += 1;
            self.blocked.insert(item.sender().to_owned());
        } else {
            self.put(item);
        }
    }
}
