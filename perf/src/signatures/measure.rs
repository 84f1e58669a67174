//! Measuring the ratios of signature verification.

use anyhow::Result;
use hubledger_signatures::Path;

use super::contestants::{Calls, Checker, Keys, dalek_batch, dalek_single, ours, zebra_batch};
use super::workload::{SENDERS, Stream, Workload, mixed_and_equal_lengths};
use crate::ratio::Evidence;
use crate::turns::{Contestant, Effort, race};

/// What a ratio compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    /// Our batch against a peer's.
    Batch(Case, Peer),
    /// The same in small batches of the hub's workload.
    SmallBatch,
    /// The same by the portable path, whatever path is chosen.
    PortablePath,
    /// Two threads against one.
    TwoThreads,
    /// One signature at a time against ed25519-dalek's single verification.
    Single(Case, Calls),
    /// Batches of which one signature in a hundred is bad against good ones.
    OnePercentBad(Case),
    /// Batches of which every second signature is bad against single verification.
    HalfBad,
    /// Messages of mixed lengths against the same bytes in equal lengths.
    MixedLengths,
}

/// A workload, and what is known of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// H: few senders, whose keys are known.
    Hub,
    /// C: all keys different and known.
    Warm,
    /// D: all keys different and unknown.
    Cold,
}

impl Case {
    const fn keys(self) -> Keys {
        match self {
            Self::Hub | Self::Warm => Keys::Known,
            Self::Cold => Keys::Unknown,
        }
    }
}

/// A library whose batch ours is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Dalek,
    Zebra,
}

/// How many signatures are checked at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// In a large batch; also the messages of a workload.
    large: usize,
    /// In a small batch.
    small: usize,
}

impl Sizes {
    /// What the ratios are defined by.
    pub(crate) const FULL: Self = Self {
        large: 8192,
        small: 512,
    };
    /// To see that it works.
    #[cfg(test)]
    pub(crate) const TINY: Self = Self {
        large: 64,
        small: 16,
    };
}

/// Passes before anything counts: keys become known, tables are made, and what the verifier learns of bad
/// signatures, of which it averages some 16,000, has settled.
const WARM_UP_PASSES: usize = 8;

/// The workloads that ratios are measured on, and the path that our verifier takes.
pub(crate) struct Bench {
    path: Path,
    sizes: Sizes,
    effort: Effort,
    hub: Workload,
    strangers: Workload,
    mixed: Workload,
    equal: Workload,
}

impl Bench {
    pub(crate) fn new(path: Path, sizes: Sizes, seconds: f64) -> Result<Self> {
        let (mixed, equal) = mixed_and_equal_lengths(sizes.large);
        Ok(Self {
            path,
            sizes,
            effort: Effort {
                seconds,
                rounds_min: 5,
                rounds_max: 60,
                warm_up_items: WARM_UP_PASSES * sizes.large,
            },
            hub: Workload::hub(sizes.large)?,
            strangers: Workload::strangers(sizes.large)?,
            mixed: Workload::new(SENDERS, &mixed)?,
            equal: Workload::new(SENDERS, &equal)?,
        })
    }

    /// Measures a ratio.
    pub(crate) fn evidence(&self, test: Test) -> Result<Evidence> {
        let [first, second] = race(self.sides(test)?, self.effort)?;
        let n = match test {
            Test::SmallBatch => self.sizes.small,
            _ => self.sizes.large,
        };
        Ok(Evidence::turns(n, first, second))
    }

    fn sides(&self, test: Test) -> Result<[Contestant<'_>; 2]> {
        let one_thread = |keys, calls| ours(self.path, 1, keys, calls);
        let batch = |keys| one_thread(keys, Calls::Batch);
        Ok(match test {
            Test::Batch(case, peer) => [
                self.good(case, batch(case.keys())?),
                self.good(case, peer_batch(peer, case.keys())),
            ],
            Test::SmallBatch => [batch(Keys::Known)?, dalek_batch(Keys::Known)]
                .map(|checker| self.on(&self.hub, checker, self.sizes.small, 0)),
            Test::PortablePath => [
                self.good(
                    Case::Hub,
                    ours(Path::Portable, 1, Keys::Known, Calls::Batch)?,
                ),
                self.good(Case::Hub, dalek_batch(Keys::Known)),
            ],
            Test::TwoThreads => {
                let two = ours(self.path, 2, Keys::Known, Calls::Batch)?;
                let one = self.good(Case::Hub, batch(Keys::Known)?);
                [
                    self.good(Case::Hub, two).named("2 threads"),
                    one.named("1 thread").by_the_wall(),
                ]
            }
            Test::Single(case, calls) => [
                self.good(case, one_thread(case.keys(), calls)?),
                self.good(case, dalek_single(case.keys())),
            ],
            Test::OnePercentBad(case) => {
                let bad = one_percent(self.sizes.large);
                let spoiled = self.large(case, batch(case.keys())?, bad);
                let good = self.good(case, batch(case.keys())?);
                [spoiled.named("1 % bad"), good.named("good")]
            }
            Test::HalfBad => {
                let half = |checker| self.large(Case::Hub, checker, self.sizes.large / 2);
                let single = one_thread(Keys::Known, Calls::SingleWithoutTables)?;
                [half(batch(Keys::Known)?), half(single).named("one by one")]
            }
            Test::MixedLengths => {
                let on = |workload| Ok(self.on(workload, batch(Keys::Known)?, self.sizes.large, 0));
                let [mixed, equal]: [Result<_>; 2] = [on(&self.mixed), on(&self.equal)];
                [mixed?.named("mixed lengths"), equal?.named("equal lengths")]
            }
        })
    }

    /// A contestant whose pass is a whole workload.
    fn on<'w>(
        &self,
        workload: &'w Workload,
        checker: Checker,
        batch: usize,
        bad: usize,
    ) -> Contestant<'w> {
        checker.on(Stream::new(workload, batch, workload.len(), bad))
    }

    /// Large batches with so many bad signatures each.
    fn large(&self, case: Case, checker: Checker, bad: usize) -> Contestant<'_> {
        let workload = match case {
            Case::Hub => &self.hub,
            Case::Warm | Case::Cold => &self.strangers,
        };
        self.on(workload, checker, self.sizes.large, bad)
    }

    /// Large batches without bad signatures.
    fn good(&self, case: Case, checker: Checker) -> Contestant<'_> {
        self.large(case, checker, 0)
    }
}

fn peer_batch(peer: Peer, keys: Keys) -> Checker {
    match peer {
        Peer::Dalek => dalek_batch(keys),
        Peer::Zebra => zebra_batch(),
    }
}

/// One in a hundred, but at least one.
pub(super) fn one_percent(n: usize) -> usize {
    ((n as f64 / 100.0).round() as usize).max(1)
}
