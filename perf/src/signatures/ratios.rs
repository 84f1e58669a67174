//! The ratios of signature verification.

use anyhow::Result;
use hubledger_signatures::Path;

use super::contestants::{
    Calls, Checker, Entrant, Keys, dalek_batch, dalek_single, ours, zebra_batch,
};
use super::workload::{Stream, Workload, mixed_and_equal_lengths};
use crate::ratios::{Evidence, Kind, Measured, Ratio};
use crate::turns::{Contestant, Effort, measure};

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

/// The workloads that ratios are measured on, and the path that our verifier takes.
struct Field {
    path: Path,
    sizes: Sizes,
    hub: Workload,
    strangers: Workload,
    mixed: Workload,
    equal: Workload,
}

type Pair<'f> = [Entrant<'f>; 2];

/// A ratio, the batches it is measured in, and its two sides.
struct Entry {
    ratio: Ratio,
    batch: fn(Sizes) -> usize,
    sides: for<'f> fn(&'f Field) -> Result<Pair<'f>>,
}

const fn speed(key: &'static str, goal: Option<f64>, meaning: &'static str) -> Ratio {
    Ratio {
        key,
        kind: Kind::Speed,
        goal,
        meaning,
    }
}

const fn cost(key: &'static str, goal: f64, meaning: &'static str) -> Ratio {
    Ratio {
        key,
        kind: Kind::Cost,
        goal: Some(goal),
        meaning,
    }
}

const fn large(sizes: Sizes) -> usize {
    sizes.large
}

const fn small(sizes: Sizes) -> usize {
    sizes.small
}

/// All of them, the most important first.
static ENTRIES: [Entry; 17] = [
    Entry {
        ratio: speed(
            "hub_over_dalek_batch",
            Some(5.5),
            "Workload H (64 senders whose keys are known), our batch against ed25519-dalek's, n = 8192.",
        ),
        batch: large,
        sides: |field| field.against(&field.hub, Keys::Known, dalek_batch(Keys::Known)),
    },
    Entry {
        ratio: speed(
            "cold_over_dalek_batch",
            Some(3.6),
            "Workload D (all keys different, none seen before; both sides decompress them), n = 8192.",
        ),
        batch: large,
        sides: |field| field.against(&field.strangers, Keys::Unknown, dalek_batch(Keys::Unknown)),
    },
    Entry {
        ratio: speed(
            "warm_over_dalek_batch",
            Some(3.8),
            "Workload C (all keys different, all seen before; dalek's are decompressed beforehand), n = 8192.",
        ),
        batch: large,
        sides: |field| field.against(&field.strangers, Keys::Known, dalek_batch(Keys::Known)),
    },
    Entry {
        ratio: speed(
            "hub_over_zebra",
            Some(3.5),
            "Workload H against ed25519-zebra's batch, which takes keys as bytes, n = 8192.",
        ),
        batch: large,
        sides: |field| field.against(&field.hub, Keys::Known, zebra_batch()),
    },
    Entry {
        ratio: speed(
            "warm_over_zebra",
            None,
            "Workload C against ed25519-zebra's batch, which takes keys as bytes, n = 8192.",
        ),
        batch: large,
        sides: |field| field.against(&field.strangers, Keys::Known, zebra_batch()),
    },
    Entry {
        ratio: speed(
            "cold_over_zebra",
            None,
            "Workload D against ed25519-zebra's batch, n = 8192.",
        ),
        batch: large,
        sides: |field| field.against(&field.strangers, Keys::Unknown, zebra_batch()),
    },
    Entry {
        ratio: speed(
            "hub_512_over_dalek_batch",
            Some(4.5),
            "Workload H in batches of n = 512, both sides.",
        ),
        batch: small,
        sides: |field| {
            let entrant = |checker| field.entrant(&field.hub, checker, field.sizes.small, 0);
            let ours = ours(field.path, 1, Keys::Known, Calls::Batch)?;
            Ok([entrant(ours), entrant(dalek_batch(Keys::Known))])
        },
    },
    Entry {
        ratio: speed(
            "portable_over_dalek_batch",
            Some(1.3),
            "Workload H by the portable path, whatever path is chosen, n = 8192.",
        ),
        batch: large,
        sides: |field| {
            let ours = ours(Path::Portable, 1, Keys::Known, Calls::Batch)?;
            Ok(field.good(&field.hub, ours, dalek_batch(Keys::Known)))
        },
    },
    Entry {
        ratio: speed(
            "two_threads_over_one",
            Some(1.8),
            "Workload H by two threads against one, by the wall clock, n = 8192. Means nothing where other \
             programs want the cores.",
        ),
        batch: large,
        sides: |field| {
            let one = ours(field.path, 1, Keys::Known, Calls::Batch)?;
            let two = ours(field.path, 2, Keys::Known, Calls::Batch)?;
            let [two, one] = field.good(&field.hub, two, one);
            Ok([two.named("2 threads"), one.named("1 thread").by_the_wall()])
        },
    },
    Entry {
        ratio: speed(
            "single_cached_over_dalek_single",
            Some(1.0),
            "One signature at a time under known keys, with the tables that the default settings keep for them, against \
             ed25519-dalek's `verify` with a key that is decompressed beforehand.",
        ),
        batch: large,
        sides: |field| field.singles(&field.hub, Keys::Known, Calls::Single),
    },
    Entry {
        ratio: speed(
            "single_untabled_over_dalek_single",
            None,
            "The same without tables.",
        ),
        batch: large,
        sides: |field| field.singles(&field.hub, Keys::Known, Calls::SingleWithoutTables),
    },
    Entry {
        ratio: speed(
            "single_cold_over_dalek_single",
            None,
            "One signature at a time under keys that were never seen; both sides decompress them.",
        ),
        batch: large,
        sides: |field| field.singles(&field.strangers, Keys::Unknown, Calls::SingleWithoutTables),
    },
    Entry {
        ratio: cost(
            "one_percent_bad_over_good",
            3.0,
            "Workload H, a stream of batches of 8192 in which each has 1 % bad signatures at fresh random \
             positions, against the same without; what the verifier learnt from earlier batches included.",
        ),
        batch: large,
        sides: |field| field.spoiled(&field.hub, Keys::Known),
    },
    Entry {
        ratio: cost(
            "one_percent_bad_warm_over_good",
            3.0,
            "The same for workload C.",
        ),
        batch: large,
        sides: |field| field.spoiled(&field.strangers, Keys::Known),
    },
    Entry {
        ratio: cost(
            "one_percent_bad_cold_over_good",
            3.0,
            "The same for workload D.",
        ),
        batch: large,
        sides: |field| field.spoiled(&field.strangers, Keys::Unknown),
    },
    Entry {
        ratio: cost(
            "half_bad_over_one_by_one",
            1.0,
            "Workload H with every second signature bad, in batches of 8192, against the same one by one with \
             our single verification without tables.",
        ),
        batch: large,
        sides: |field| {
            let bad = field.sizes.large / 2;
            let entrant = |checker| field.entrant(&field.hub, checker, field.sizes.large, bad);
            let batch = ours(field.path, 1, Keys::Known, Calls::Batch)?;
            let single = ours(field.path, 1, Keys::Known, Calls::SingleWithoutTables)?;
            Ok([entrant(batch), entrant(single).named("one by one")])
        },
    },
    Entry {
        ratio: cost(
            "mixed_lengths_over_equal",
            1.15,
            "64 senders, messages of 0 to 4096 bytes at random against the same bytes in equal lengths, n = 8192.",
        ),
        batch: large,
        sides: |field| {
            let checker = || ours(field.path, 1, Keys::Known, Calls::Batch);
            let entrant = |workload| -> Result<_> {
                Ok(field.entrant(workload, checker()?, field.sizes.large, 0))
            };
            let [mixed, equal] = [entrant(&field.mixed)?, entrant(&field.equal)?];
            Ok([mixed.named("mixed lengths"), equal.named("equal lengths")])
        },
    },
];

impl Field {
    fn new(path: Path, sizes: Sizes) -> Result<Self> {
        let (mixed, equal) = mixed_and_equal_lengths(sizes.large);
        Ok(Self {
            path,
            sizes,
            hub: Workload::hub(sizes.large)?,
            strangers: Workload::strangers(sizes.large)?,
            mixed: Workload::new(super::workload::SENDERS, &mixed)?,
            equal: Workload::new(super::workload::SENDERS, &equal)?,
        })
    }

    /// A contestant whose pass is the whole workload.
    fn entrant<'f>(
        &self,
        workload: &'f Workload,
        checker: Checker,
        batch: usize,
        bad: usize,
    ) -> Entrant<'f> {
        Entrant::new(checker, Stream::new(workload, batch, workload.len(), bad))
    }

    /// Two contestants in large batches without bad signatures.
    fn good<'f>(&self, workload: &'f Workload, first: Checker, second: Checker) -> Pair<'f> {
        [first, second].map(|checker| self.entrant(workload, checker, self.sizes.large, 0))
    }

    /// Our batch by the chosen path against a peer.
    fn against<'f>(
        &'f self,
        workload: &'f Workload,
        keys: Keys,
        peer: Checker,
    ) -> Result<Pair<'f>> {
        Ok(self.good(workload, ours(self.path, 1, keys, Calls::Batch)?, peer))
    }

    /// One at a time against dalek's single verification.
    fn singles<'f>(&'f self, workload: &'f Workload, keys: Keys, calls: Calls) -> Result<Pair<'f>> {
        Ok(self.good(
            workload,
            ours(self.path, 1, keys, calls)?,
            dalek_single(keys),
        ))
    }

    /// 1 % bad against none.
    fn spoiled<'f>(&'f self, workload: &'f Workload, keys: Keys) -> Result<Pair<'f>> {
        let checker = || ours(self.path, 1, keys, Calls::Batch);
        let (large, bad) = (self.sizes.large, one_percent(self.sizes.large));
        let spoiled = self.entrant(workload, checker()?, large, bad);
        let good = self.entrant(workload, checker()?, large, 0);
        Ok([spoiled.named("1 % bad"), good.named("good")])
    }
}

/// One in a hundred, but at least one.
pub(super) fn one_percent(n: usize) -> usize {
    ((n as f64 / 100.0).round() as usize).max(1)
}

/// The ratios of signature verification.
pub(crate) fn ratios() -> impl Iterator<Item = &'static Ratio> {
    ENTRIES.iter().map(|entry| &entry.ratio)
}

/// Passes before anything counts: keys become known, tables are made, and what the verifier learns of bad
/// signatures, of which it averages some 16,000, has settled.
const WARM_UP_PASSES: usize = 8;

/// Measures those that are wanted.
pub(crate) fn measure_ratios(
    path: Path,
    sizes: Sizes,
    seconds: f64,
    wanted: &dyn Fn(&Ratio) -> bool,
) -> Result<Vec<Measured>> {
    let field = Field::new(path, sizes)?;
    let effort = Effort {
        seconds,
        rounds_min: 5,
        rounds_max: 60,
        warm_up_items: WARM_UP_PASSES * sizes.large,
    };
    let entries = ENTRIES.iter().filter(|entry| wanted(&entry.ratio));
    let measured = entries.map(|entry| {
        let [first, second] = (entry.sides)(&field)?;
        let mut sides: [Box<dyn Contestant + '_>; 2] = [Box::new(first), Box::new(second)];
        let [first, second] = measure(&mut sides, effort)?
            .try_into()
            .expect("there are figures for each of two contestants");
        Ok(Measured {
            ratio: &entry.ratio,
            evidence: Evidence::Turns {
                n: (entry.batch)(sizes),
                first,
                second,
                more: serde_json::Map::new(),
            },
        })
    });
    measured.collect()
}
