//! The signature engine alone, a backend alone, and all of it, over the same chain, each time into a fresh store.

use std::cell::Cell;
use std::path::Path;

use anyhow::ensure;
use hubledger_storage as storage;

use super::chain::Chain;
use super::cores::OneCore;
use super::import::{Before, Setup, import};
use super::plain_stack;
use crate::clock::{Clock, Times};
use crate::storage::{Contender, append_runs, fresh_directory};
use crate::turns::Contestant;

/// Signatures of a call, for each thread: as many as the engine sums at once.
const BATCH: usize = 8192;

/// What contestants over one chain share.
#[derive(Clone, Copy)]
pub(crate) struct Contest<'c> {
    pub(crate) chain: &'c Chain,
    /// Where stores are made.
    pub(crate) under: &'c Path,
    /// Blocks of a commit: an import says how many it had on average, and others over the same chain get as many.
    pub(crate) group: &'c Cell<usize>,
}

impl<'c> Contest<'c> {
    /// Only the signatures.
    pub(crate) fn signatures(self, setup: &Setup) -> Contestant<'c> {
        let setup = setup.clone();
        self.contestant("signatures alone", move |contest| {
            let items = contest.chain.items();
            let verifier = setup.verifier();
            let batches = items.chunks(BATCH * setup.threads);
            let (bad, times) = Times::of(|| {
                let bad = batches.map(|batch| verifier.verify(batch).bad().len());
                bad.sum::<usize>()
            });
            ensure!(bad == 0, "{bad} signatures don't verify");
            Ok(times)
        })
    }

    /// Only the store, of the same records, in commits as large as those of the import before were on average.
    pub(crate) fn append(
        self,
        records: &'c [storage::Block],
        contender: &Contender,
        setup: &Setup,
    ) -> Contestant<'c> {
        let (contender, durability) = (contender.clone(), setup.durability);
        self.contestant(format!("{contender} alone"), move |contest| {
            let runs = records.chunks(contest.group_blocks()).map(<[_]>::to_vec);
            let appended = append_runs(&contender, runs, durability, contest.under, |_| ())?;
            Ok(appended.all())
        })
    }

    /// All of it.
    pub(crate) fn import(
        self,
        contender: &Contender,
        setup: &Setup,
        before: Before,
    ) -> Contestant<'c> {
        let threads = match (setup.threads, setup.on_one_core) {
            (1, false) => "1 thread".to_owned(),
            (1, true) => "1 thread on one core".to_owned(),
            (threads, _) => format!("{threads} threads"),
        };
        let admitted = match before {
            Before::Nothing => "",
            Before::Admission => ", all admitted before",
        };
        let name = format!("import into {contender}, {threads}{admitted}");
        let (contender, setup) = (contender.clone(), setup.clone());
        self.contestant(name, move |contest| {
            let directory = fresh_directory(contest.under)?;
            let _held = setup.on_one_core.then(OneCore::hold).transpose()?;
            let store = contender.store_url(directory.path())?.create()?;
            let imported = import(contest.chain, store, &setup, before)?;
            let commits = imported.commits.len().max(1);
            contest
                .group
                .set(contest.chain.blocks.len().div_ceil(commits));
            Ok(imported.times)
        })
    }

    /// What an engineer would put together in a day over a peer of the storage area.
    pub(crate) fn plain_stack(self, contender: &Contender, setup: &Setup) -> Contestant<'c> {
        let (contender, threads) = (contender.clone(), setup.threads);
        let name = format!("rayon, dalek and sha2 into {contender}, {threads} threads");
        self.contestant(name, move |contest| {
            let group = contest.group_blocks();
            plain_stack::import(contest.chain, &contender, threads, group, contest.under)
        })
    }

    /// Blocks of a commit, at least one.
    fn group_blocks(self) -> usize {
        self.group.get().max(1)
    }

    /// A contestant by the wall clock whose pass is the whole chain.
    fn contestant(
        self,
        name: impl Into<String>,
        mut work: impl FnMut(Self) -> anyhow::Result<Times> + 'c,
    ) -> Contestant<'c> {
        let items = self.chain.alone.len();
        Contestant::new(name, Clock::Wall, items, move || work(self))
    }
}
