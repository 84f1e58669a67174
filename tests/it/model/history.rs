//! One history: what happens to the chain is drawn from a seed, and done to the store and to the model alike.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use hubledger::clock::Clock;
use hubledger::engine::{Engine, Outcome, verify_store};
use hubledger::format::FormatVersion;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{Ledger, Staging};
use hubledger::rules::{Depth, Prepared, Validator};
use hubledger::spec::{ChainSpec, SpecFields};
use hubledger::testing::{Numbers, SECOND, account, spec_fields};
use hubledger_storage::Durability;

use super::blocks::{SENDERS, any_block, valid};
use super::check::compare;
use super::home::Home;
use super::naive::Naive;

/// How many kinds of steps there are.
const KINDS: usize = 9;

/// What histories came through: a model that nothing happens to agrees with everything.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// Steps of each kind.
    pub(crate) steps: [u64; KINDS],
    /// Why blocks were refused.
    pub(crate) reasons: BTreeSet<&'static str>,
    /// Committed blocks that crashes took.
    pub(crate) lost: u64,
}

/// The time, which the history moves.
#[derive(Default)]
struct Hands(AtomicU64);

impl Clock for Hands {
    fn now_us(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// See the [module](self).
pub(crate) struct History {
    pub(super) numbers: Numbers,
    clock: Arc<Hands>,
    pub(super) model: Naive,
    pub(super) home: Option<Home>,
    pub(super) ledger: Option<Ledger>,
    /// The height that a crash leaves.
    pub(super) safe: u64,
    /// The height up to which all is committed.
    pub(super) committed: u64,
    pub(super) durability: Durability,
    seed: u64,
    pub(super) told: Vec<String>,
    reached: Reached,
}

impl Drop for History {
    fn drop(&mut self) {
        if thread::panicking() {
            let told = self.told.join("\n  ");
            eprintln!(
                "HUBLEDGER_MODEL_SEED={} HUBLEDGER_MODEL_ROUNDS=1:\n  {told}",
                self.seed
            );
        }
    }
}

impl History {
    pub(crate) fn begin(seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let mut fields = spec_fields(2);
        fields.rules.balances = true;
        fields.rules.fee_min = 1;
        fields
            .accounts
            .extend(SENDERS[..4].iter().map(|name| account(name, 60)));
        if numbers.below(2) == 0 {
            version_2(&mut fields, &mut numbers);
        }
        let spec = ChainSpec::new(fields).unwrap();
        let home = Home::any(&mut numbers);
        let clock = Arc::new(Hands::default());
        let ledger = Ledger::create(home.open(), &spec, clock.clone()).unwrap();
        ledger.close().unwrap();
        let mut history = Self {
            model: Naive::new(spec),
            told: vec![format!("in {}", home.name())],
            home: Some(home),
            ledger: None,
            numbers,
            clock,
            safe: 0,
            committed: 0,
            durability: Durability::Disk,
            seed,
            reached: Reached::default(),
        };
        history.open();
        history
    }

    /// Does what is drawn next.
    pub(crate) fn step(&mut self) {
        let now = self.model.last().header().timestamp + 10 * SECOND;
        self.clock.0.store(now, Ordering::SeqCst);
        // About half of the steps are blocks, and of the others more crash than do anything else.
        let kind = match self.numbers.below(22) {
            0..12 => 0,
            drawn @ 12..20 => drawn as usize - 11,
            _ => 2,
        };
        self.told.push(format!("{kind} at {}", self.model.height()));
        self.reached.steps[kind] += 1;
        match kind {
            0 => self.blocks(),
            1 => self.undo(),
            2 => self.crash(),
            3 => self.restart(),
            4 => self.prune(),
            5 => self.migrate(),
            6 => self.export(),
            7 => self.upgrade(),
            _ => self.engine(),
        }
    }

    pub(super) fn ledger(&mut self) -> &mut Ledger {
        self.ledger.as_mut().unwrap()
    }

    /// Opens the chain in its home, to be committed as durably as is drawn.
    pub(super) fn open(&mut self) {
        let levels = [Durability::Memory, Durability::Os, Durability::Disk];
        self.durability = levels[self.numbers.below(3) as usize];
        let store = self.home.as_ref().unwrap().open();
        let state_bytes = [4, 4_000, 1 << 30][self.numbers.below(3) as usize];
        let opened = Ledger::open_within(store, self.clock.clone(), state_bytes);
        let mut ledger = opened.unwrap();
        ledger.set_durability(self.durability);
        self.ledger = Some(ledger);
    }

    pub(super) fn commit(&mut self) {
        let receipt = self.ledger().commit().unwrap();
        let home = self.home.as_ref().unwrap();
        let needed = match home.is_memory() {
            // Its power goes, of the others their process.
            true => Durability::Disk,
            false => Durability::Os,
        };
        self.committed = self.model.height();
        if receipt.durability >= needed {
            self.safe = self.committed;
        }
    }

    fn blocks(&mut self) {
        for _ in 0..1 + self.numbers.below(4) {
            self.block();
        }
    }

    fn block(&mut self) {
        let block = any_block(&self.model, &mut self.numbers);
        let verdict = self.model.judge(&block, self.clock.now_us());
        let staging = self.ledger().stage_bytes(&block.encode().into()).unwrap();
        match (staging, verdict) {
            (Staging::Staged, Ok(names)) => self.model.push(block, names),
            (Staging::Rejected(rejected), Err(expected)) => {
                self.reached.reasons.insert(rejected.reason.word());
                assert_eq!(
                    (rejected.transaction, rejected.reason),
                    expected,
                    "{rejected}"
                );
            }
            (staging, verdict) => panic!("{staging:?}, the model says {verdict:?}"),
        }
        if self.numbers.below(4) > 0 {
            self.commit();
        }
    }

    /// Takes blocks in without committing them, and back one by one.
    fn undo(&mut self) {
        let (state, spec) = (self.ledger().state().clone(), self.model.spec().clone());
        let mut validator = Validator::resume(spec, state).unwrap();
        let (mut model, mut journals) = (self.model.clone(), Vec::new());
        for _ in 0..1 + self.numbers.below(5) {
            let block = any_block(&model, &mut self.numbers);
            let now_us = model.last().header().timestamp + 10 * SECOND;
            let prepared = Prepared::new(validator.spec(), block.clone());
            let mut ruling = validator.rule(&prepared, Depth::Full { now_us });
            let mut journal = validator.state().journal();
            validator.apply_unsettled(&mut ruling, &mut journal);
            match model.judge(&block, now_us) {
                Ok(names) => {
                    assert!(ruling.is_sound());
                    model.push(block, names);
                    journals.push(journal);
                }
                // Of what only its signatures are wrong, somebody else finds out.
                Err(_) if ruling.is_sound() => validator.rewind(journal),
                Err(_) => {}
            }
            compare(validator.state(), &model);
        }
        while let Some(journal) = journals.pop() {
            validator.rewind(journal);
            model.truncate(model.height() - 1);
            compare(validator.state(), &model);
        }
        assert_eq!(validator.state(), self.ledger().state());
    }

    fn crash(&mut self) {
        // Of a process that is killed, the files stay as they are at that moment.
        let files = self.home.as_ref().unwrap().files_now();
        self.ledger = None;
        let home = files.or(self.home.take()).unwrap();
        self.home = Some(home.crashed(&mut self.numbers));
        self.open();
        let height = self.ledger().state().height();
        assert!(height >= self.safe, "{height}, {} were safe", self.safe);
        assert!(height <= self.model.height());
        self.reached.lost += self.committed.saturating_sub(height);
        self.model.truncate(height);
        (self.safe, self.committed) = (height, height);
    }

    fn restart(&mut self) {
        self.ledger.take().unwrap().close().unwrap();
        self.open();
        (self.safe, self.committed) = (self.model.height(), self.model.height());
    }

    fn prune(&mut self) {
        self.commit();
        let policy = PrunePolicy {
            leaves: self.numbers.below(2) == 0,
            ..PrunePolicy::of_bodies(Keep::Last(1 + self.numbers.below(10)))
        };
        let report = self
            .ledger()
            .prune(&policy, None, &mut |_| ControlFlow::Continue(()));
        if report.unwrap().bodies.floor > 0 {
            // Nothing is pruned behind which the chain could not be opened.
            let floor = self.ledger().reader().extent().unwrap().body_floor;
            self.safe = self.safe.max(floor.saturating_sub(1));
        }
    }

    /// The same chain in an engine, which gets blocks up to one that may be invalid.
    fn engine(&mut self) {
        self.ledger.take().unwrap().close().unwrap();
        let builder = Engine::builder().threads(2).clock(self.clock.clone());
        let store = self.home.as_ref().unwrap().open();
        let engine = builder.durability(self.durability).open(store).unwrap();
        let mut expected = None;
        let mut blocks = Vec::new();
        for _ in 0..self.numbers.below(8) {
            let block = match self.numbers.below(3) {
                0 => any_block(&self.model, &mut self.numbers),
                _ => valid(&self.model, &mut self.numbers),
            };
            blocks.push(block.encode().into());
            match self.model.judge(&block, self.clock.now_us()) {
                Ok(names) => self.model.push(block, names),
                Err(refusal) => {
                    expected = Some(refusal);
                    break;
                }
            }
        }
        let outcomes: Vec<Outcome> = engine.import(blocks).map(Result::unwrap).collect();
        let refused = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Rejected(rejected) => Some((rejected.transaction, rejected.reason)),
            _ => None,
        });
        assert_eq!(refused, expected, "{outcomes:?}");
        compare(&engine.state(), &self.model);
        engine.shutdown().unwrap();
        drop(engine);
        self.open();
        (self.safe, self.committed) = (self.model.height(), self.model.height());
    }

    /// Checks the whole store once more, and adds up what was reached.
    pub(crate) fn end(mut self, all: &mut Reached) {
        self.ledger.take().unwrap().close().unwrap();
        let reader = self.home.as_ref().unwrap().open().reader;
        let checked = verify_store(reader, self.clock.now_us(), &mut |_| {
            ControlFlow::Continue(())
        });
        let report = checked.unwrap();
        assert!(report.rejected.is_none(), "{:?}", report.rejected);
        assert_eq!(report.head, self.model.last().hash());
        all.lost += self.reached.lost;
        all.reasons.append(&mut self.reached.reasons);
        for (sum, steps) in all.steps.iter_mut().zip(self.reached.steps) {
            *sum += steps;
        }
    }
}

/// In version 2, with state roots that are far apart or in every block.
pub(super) fn version_2(fields: &mut SpecFields, numbers: &mut Numbers) {
    fields.version = FormatVersion::V2;
    fields.terms.root_interval = 1 + numbers.below(3) as u32;
}
