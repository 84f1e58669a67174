//! A chain that grows, forks and is pruned as choices say, and a view that goes through it.

use hubledger::format::FormatVersion;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{Ledger, Placement};
use hubledger::model::{Block, Transaction};
use hubledger::spec::Finality;
use hubledger::testing::{Chain, Numbers, clock, key};
use hubledger::tree::Source;
use hubledger_storage::{MemoryStore, Store};

use super::{Countdown, Naive, Speaker, failing, made_anew, rows_of};
use crate::view::{Settings, View, ViewError, Views};

/// Blocks are final by this depth, or at once if it is 0.
const DEPTHS: [u32; 3] = [0, 3, 12];

/// A chain in a ledger, with what is needed to go back.
pub struct History {
    /// What is chosen.
    pub numbers: Numbers,
    depth: u32,
    ledger: Ledger,
    /// The chain as it was after each block.
    after: Vec<Chain>,
    nonce: u64,
}

impl History {
    /// A chain with nothing but genesis.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let depth = DEPTHS[seed as usize % DEPTHS.len()];
        let chain = Chain::in_version(FormatVersion::V2, 1, |fields| {
            fields.terms.finality = match depth {
                0 => Finality::Immediate,
                blocks => Finality::Depth(blocks),
            };
        });
        let store = MemoryStore::new().open().unwrap();
        Self {
            numbers: Numbers(seed),
            depth,
            ledger: Ledger::create(store, chain.spec(), clock(u64::MAX >> 1)).unwrap(),
            after: vec![chain],
            nonce: 0,
        }
    }

    /// The chain as it is.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        self.after.last().unwrap()
    }

    fn transactions(&mut self, chain: &Chain, speak: Speaker<'_>) -> Vec<Transaction> {
        let count = self.numbers.below(7);
        let mut transactions = Vec::new();
        for _ in 0..count {
            let mut draft = speak(&mut self.numbers, chain);
            self.nonce += 1;
            draft.nonce = self.nonce;
            let signer = key(&draft.sender);
            transactions.push(draft.sign(&[&signer]).unwrap());
        }
        transactions
    }

    fn offer(&mut self, block: &Block) {
        let offer = self.ledger.offer(block, Source::of("test")).unwrap();
        let is_taken = matches!(offer.placement, Placement::InChain | Placement::Aside);
        assert!(is_taken, "{:?}", offer.placement);
    }

    /// Adds blocks at the end.
    pub fn grow(&mut self, blocks: u64, speak: Speaker<'_>) {
        for _ in 0..blocks {
            let mut chain = self.chain().clone();
            let transactions = self.transactions(&chain, speak);
            chain.extend(&transactions);
            self.offer(&chain.last().clone());
            self.after.push(chain);
        }
    }

    /// Replaces some of the last blocks by a longer branch.
    pub fn fork(&mut self, speak: Speaker<'_>) {
        let back = (self.after.len() - 1).min(self.depth as usize);
        if back == 0 {
            return;
        }
        let back = 1 + self.numbers.below(back as u64) as usize;
        let from = self.after.len() - 1 - back;
        let (kept, old) = (self.after[..=from].to_vec(), self.chain().last().hash());
        let mut branch = kept;
        for number in 0..=back {
            let mut chain = branch.last().unwrap().clone();
            let mut transactions = self.transactions(&chain, speak);
            if number == 0 && transactions.is_empty() {
                // Otherwise it may be the same block.
                self.nonce += 1;
                transactions.push(chain.message("somebody", self.nonce));
            }
            chain.extend(&transactions);
            self.offer(&chain.last().clone());
            branch.push(chain);
        }
        self.after = branch;
        assert_ne!(self.chain().last().hash(), old);
        let head = self.ledger.reader().head().unwrap().hash();
        assert_eq!(
            head,
            self.chain().last().hash(),
            "the longer branch is the chain"
        );
    }

    /// Prunes some of the bodies that may go.
    pub fn prune(&mut self) {
        let keep = 1 + self.numbers.below(self.after.len() as u64);
        let policy = PrunePolicy::of_bodies(Keep::Last(keep));
        let mut progress = |_| std::ops::ControlFlow::Continue(());
        self.ledger.prune(&policy, None, &mut progress).unwrap();
    }

    /// The lowest height whose body is held.
    #[must_use]
    pub fn floor(&self) -> u64 {
        self.ledger.reader().extent().unwrap().body_floor
    }
}

/// A view that goes through a history.
pub struct Trial<'a> {
    /// Makes the view.
    pub view: &'a dyn Fn() -> Box<dyn View>,
    /// Opens the store of its rows.
    pub store: &'a dyn Fn() -> Store,
    /// Thinks up transactions.
    pub speak: Speaker<'a>,
    /// What the view must be.
    pub naive: Naive<'a>,
}

impl Trial<'_> {
    /// Goes through a history of so many steps, and compares at every rest.
    pub fn run(&self, seed: u64, steps: u64) {
        let mut history = History::new(seed);
        let countdown = Countdown::default();
        let mut views = Some(self.open(&history, &countdown));
        for _ in 0..steps {
            match history.numbers.below(10) {
                0..4 => {
                    let blocks = 1 + history.numbers.below(5);
                    history.grow(blocks, self.speak);
                }
                4 | 5 => history.fork(self.speak),
                6 if history.numbers.below(4) == 0 => history.prune(),
                // Killed at a write, or between two.
                7 => {
                    countdown.set(history.numbers.below(8) as i64);
                    if let Some(mut running) = views.take() {
                        let _outcome = running.catch_up();
                    }
                    countdown.never();
                }
                8 => views = None,
                _ => {
                    let running = views.get_or_insert_with(|| self.open(&history, &countdown));
                    self.compare(&history, running);
                }
            }
        }
        drop(views);
        self.compare(&history, &mut self.open(&history, &countdown));
    }

    fn open(&self, history: &History, countdown: &Countdown) -> Views {
        let settings = Settings {
            batch_blocks: [1, 3, 64][history.after.len() % 3],
            ..Settings::default()
        };
        let store = failing((self.store)(), countdown);
        let chain = history.ledger.reader();
        Views::open(store, chain, vec![(self.view)()], settings).unwrap()
    }

    fn compare(&self, history: &History, views: &mut Views) {
        let name = (self.view)().name();
        match views.catch_up() {
            Err(ViewError::Gap { floor, .. }) => {
                assert_eq!(floor, history.floor());
                views.rebuild(name, floor).unwrap();
                views.catch_up().unwrap();
            }
            outcome => outcome.unwrap(),
        }
        let snapshot = views.reader(name).unwrap().snapshot().unwrap();
        let chain = history.chain();
        let as_of = snapshot.as_of().unwrap();
        let head = chain.last();
        assert_eq!((as_of.height, as_of.hash), (head.height(), head.hash()));
        let anew = made_anew(chain, (self.view)(), as_of.seen_from);
        let (rows, expected) = (rows_of(&snapshot), rows_of(&anew));
        for (row, expected) in rows.iter().zip(&expected) {
            assert_eq!(row, expected, "after block {}", as_of.height);
        }
        assert_eq!(rows.len(), expected.len(), "after block {}", as_of.height);
        (self.naive)(&chain.blocks[as_of.seen_from as usize..], &snapshot);
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History")
            .field("depth", &self.depth)
            .field("blocks", &self.after.len())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Trial<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trial").finish_non_exhaustive()
    }
}
