//! Operations on a pool, made from bytes, and carried out on a simple pool too: both have to say the same at every moment. The
//! fuzz target `pool` begins here as well.

use std::collections::BTreeMap;

use hubledger::digest::ChainId;
use hubledger::model::{Draft, Kind, Operation, Transaction};
use hubledger::pool::{Bound, Bounds, Entered, Pool, Room, Source, Terms};
use hubledger::state::Account;

use crate::naive::Naive;

const SENDERS: [&str; 6] = ["ann", "bob", "cy", "dora", "eve", "finn"];
const FEES: [u64; 10] = [0, 1, 5, 6, 10, 11, 12, 100, u64::MAX - 1, u64::MAX];
const AMOUNTS: [u64; 4] = [0, 7, 90, u64::MAX];
const BALANCES: [u64; 6] = [0, 5, 30, 200, 5_000, u64::MAX];
const PAYLOADS: [usize; 6] = [0, 0, 0, 40, 300, 1_000];
const PERCENTS: [u8; 5] = [10, 25, 50, 100, 255];

/// Bytes, one after the other; zeros when there are no more.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> u8 {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                *first
            }
            [] => 0,
        }
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.next()) % choices.len()]
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.next()) % end
    }

    fn terms(&mut self) -> Terms {
        let bits = self.next();
        Terms {
            is_consecutive: bits & 1 != 0,
            keeps_balances: bits & 2 != 0,
            weighs_balances: bits & 6 == 6,
        }
    }
}

struct Run<'a> {
    choices: Choices<'a>,
    pool: Pool,
    naive: Naive,
    /// What the chain says, in the order of [`SENDERS`].
    accounts: [Account; SENDERS.len()],
    /// Those that were handed in last.
    recent: Vec<Transaction>,
    time_us: u64,
    tally: Tally,
}

/// What came of operations, with how often.
pub(crate) type Tally = BTreeMap<&'static str, u64>;

/// Carries out what the bytes say.
///
/// Gives how often what came of it, so that a test can tell whether everything did.
///
/// # Panics
/// If the two pools differ.
pub(crate) fn run(bytes: &[u8]) -> Tally {
    let mut choices = Choices(bytes);
    let bounds = Bounds {
        transactions_max: 1 + choices.below(40),
        bytes_max: 200 + 100 * choices.below(100),
        sender_percent: choices.one_of(&PERCENTS),
        source_percent: choices.one_of(&PERCENTS),
        age_max_us: 20 + u64::from(choices.next()),
    };
    let terms = choices.terms();
    let account = Account {
        balance: 5_000,
        ..Account::default()
    };
    let mut run = Run {
        choices,
        pool: Pool::new(bounds, terms),
        naive: Naive::new(bounds, terms),
        accounts: [account; SENDERS.len()],
        recent: Vec::new(),
        time_us: 0,
        tally: Tally::default(),
    };
    while !run.choices.0.is_empty() {
        run.step();
        run.compare();
    }
    let left = run.pool.left().counts().map(|(why, count)| (why, count));
    run.tally
        .extend(left.into_iter().filter(|(_, count)| *count > 0));
    run.tally
}

impl Run<'_> {
    fn step(&mut self) {
        match self.choices.next() % 16 {
            0..=8 => self.enter(),
            9 => self.enter_again(),
            10 => self.change_account(),
            11 => {
                self.time_us += u64::from(self.choices.next()) / 8;
                let time_us = self.time_us;
                self.pool.tell_age(time_us);
                self.naive.tell_age(time_us);
            }
            12 => {
                let time_us = 100 + self.time_us + u64::from(self.choices.next()) / 4;
                self.pool.tell_time(time_us);
                self.naive.tell_time(time_us);
            }
            13 => {
                let terms = self.choices.terms();
                self.pool.tell_terms(terms);
                self.naive.tell_terms(terms);
            }
            14 => {
                if !self.recent.is_empty() {
                    let at = self.choices.below(self.recent.len());
                    let refused = self.recent.swap_remove(at);
                    self.pool.refuse(&refused);
                    self.naive.refuse(&refused);
                }
            }
            _ => self.make_block(),
        }
    }

    fn enter(&mut self) {
        let choices = &mut self.choices;
        let sender = choices.below(SENDERS.len());
        let account = self.accounts[sender];
        let is_transfer = choices.next().is_multiple_of(4);
        self.time_us += u64::from(choices.next().is_multiple_of(4));
        let expiry = 100 + self.time_us + u64::from(choices.next());
        let draft = Draft {
            kind: Kind::Native,
            chain: ChainId([0; 32]),
            sender: SENDERS[sender].to_owned(),
            receiver: "r".to_owned(),
            operation: match is_transfer {
                true => Operation::Transfer,
                false => Operation::Message,
            },
            amount: match is_transfer {
                true => choices.one_of(&AMOUNTS),
                false => 0,
            },
            payload: vec![choices.next() % 2; choices.one_of(&PAYLOADS)],
            timestamp: 1,
            expiry: choices.one_of(&[0, 0, 0, expiry]),
            fee: choices.one_of(&FEES),
            nonce: (account.nonce + choices.below(12) as u64).max(1),
        };
        let transaction = draft.with_witnesses(Vec::new()).expect("within limits");
        self.recent.push(transaction.clone());
        self.hand_in(transaction, sender);
    }

    fn enter_again(&mut self) {
        if !self.recent.is_empty() {
            let at = self.choices.below(self.recent.len());
            let transaction = self.recent[at].clone();
            let is_sender = |name: &&str| **name == *transaction.sender();
            let sender = SENDERS.iter().position(is_sender).expect("one of them");
            self.hand_in(transaction, sender);
        }
    }

    fn hand_in(&mut self, transaction: Transaction, sender: usize) {
        let source = Source(self.choices.next().into()).0 % 4;
        let (source, mut account) = (Source(source), self.accounts[sender]);
        // The chain may say something of blocks that are taken back then: the pool is told so, or that they stay.
        account.nonce += u64::from(self.choices.next().is_multiple_of(16));
        let before = (self.pool.len(), self.pool.bytes());
        let naive = self
            .naive
            .enter(transaction.clone(), source, &account, self.time_us);
        let entered = self.pool.enter(transaction, source, &account, self.time_us);
        self.pool
            .tell_account(SENDERS[sender], &self.accounts[sender]);
        self.naive
            .tell_account(SENDERS[sender], &self.accounts[sender]);
        assert_eq!(entered, naive);
        let word = match entered {
            Entered::Waits => "waits",
            Entered::Replaces => "replaces",
            Entered::Again => "again",
            Entered::Taken(_) => "taken",
            Entered::Used => "used before",
            Entered::Uncovered { .. } => "uncovered",
            Entered::Full(Bound::Sender) => "sender's share",
            Entered::Full(Bound::Source) => "source's share",
            Entered::Full(Bound::Pool) => "pool is full",
        };
        *self.tally.entry(word).or_default() += 1;
        if matches!(entered, Entered::Full(_)) {
            let after = (self.pool.len(), self.pool.bytes());
            assert_eq!(after, before, "refused without a trace");
        }
    }

    /// As a block does, or one that is taken back.
    fn change_account(&mut self) {
        let sender = self.choices.below(SENDERS.len());
        let account = &mut self.accounts[sender];
        account.nonce = (account.nonce + self.choices.below(6) as u64).saturating_sub(2);
        account.balance = self.choices.one_of(&BALANCES);
        self.pool.tell_account(SENDERS[sender], account);
        self.naive.tell_account(SENDERS[sender], account);
    }

    fn make_block(&mut self) {
        let choices = &mut self.choices;
        let room = Room {
            transactions: 1 + choices.below(12),
            bytes: 80 + 40 * usize::from(choices.next()),
            spare: choices.below(4),
        };
        let is_committed = choices.next().is_multiple_of(2);
        let selected = self.pool.select(room);
        assert_eq!(selected, self.naive.select(room));
        *self.tally.entry("selected").or_default() += selected.len() as u64;
        let mut nonces = [0; SENDERS.len()];
        for transaction in &selected {
            let is_sender = |name: &&str| **name == *transaction.sender();
            let sender = SENDERS.iter().position(is_sender).expect("one of them");
            assert!(transaction.nonce() > nonces[sender], "in order");
            nonces[sender] = transaction.nonce();
        }
        if is_committed {
            for (sender, nonce) in nonces.into_iter().enumerate().filter(|(_, one)| *one > 0) {
                self.accounts[sender].nonce = nonce;
                let account = &self.accounts[sender];
                self.pool.tell_account(SENDERS[sender], account);
                self.naive.tell_account(SENDERS[sender], account);
            }
        }
    }

    fn compare(&self) {
        let (pool, naive) = (&self.pool, &self.naive);
        assert_eq!((pool.len(), pool.bytes()), (naive.len(), naive.bytes()));
        assert_eq!(pool.left(), naive.left());
        assert_eq!(pool.has_ready(), naive.has_ready());
        let (count, bytes) = naive.ready();
        assert!(pool.fills(count, usize::MAX) && !pool.fills(count + 1, usize::MAX));
        assert!(pool.fills(usize::MAX, bytes) && !pool.fills(usize::MAX, bytes + 1));
        let all = naive.oldest();
        assert_eq!(pool.oldest(usize::MAX), all);
        assert_eq!(pool.by_source(), naive.by_source());
        for name in SENDERS {
            let mut own: Vec<_> = all.iter().filter(|one| one.sender == name).collect();
            own.sort_by_key(|one| one.nonce);
            assert!(pool.of_sender(name).iter().eq(own));
        }
    }
}
