//! The search for a nonce.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::path::first_word;
use super::{Path, Target, Template};
use crate::format::digest::BlockHash;

/// Nonces that a thread tries before it asks whether the search goes on: a few milliseconds on any processor, next to which asking costs
/// nothing.
pub const NONCES_BETWEEN_CHECKS: u64 = 1 << 14;

/// What is searched for, and how.
#[derive(Debug, Clone)]
pub struct Search {
    /// What the hash has to reach.
    pub target: Target,
    /// Where to search: from 0 on, or from where a cancelled search says; parts of the whole where several machines search.
    pub nonces: RangeInclusive<u64>,
    /// Threads, this one included; 0 stands for as many as there are cores.
    pub threads: usize,
    /// How hashes are computed.
    pub path: Path,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The lowest nonce of the range that does it.
    Found {
        /// The nonce.
        nonce: u64,
        /// The hash of the header with it.
        hash: BlockHash,
    },
    /// It was cancelled; all nonces of the range below this one have been tried, and none of them does it.
    Cancelled {
        /// Where a search that goes on begins.
        next: u64,
    },
    /// No nonce of the range does it. A header with another timestamp has as many new ones.
    Exhausted,
}

impl Search {
    /// A search of all nonces on all cores by the fastest path.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            nonces: 0..=u64::MAX,
            threads: 0,
            path: Path::fastest(),
        }
    }

    /// Searches until a nonce is found, or none is left, or `is_cancelled` says so, which every thread asks again and again.
    ///
    /// The outcome is the lowest nonce, on any number of threads and any path: threads take pieces of the range in ascending order, and
    /// when one of them has found a nonce, the others finish the lower pieces that they have.
    pub fn run(&self, template: &Template, is_cancelled: impl Fn() -> bool + Sync) -> Outcome {
        if self.nonces.is_empty() {
            return Outcome::Exhausted;
        }
        let pieces = Pieces {
            search: self,
            next: AtomicU64::new(self.nonces.start() / NONCES_BETWEEN_CHECKS),
            is_over: AtomicBool::new(false),
        };
        let work = || pieces.work(template, &is_cancelled);
        let others = self.threads().saturating_sub(1);
        let found = thread::scope(|scope| {
            let others: Vec<_> = (0..others).map(|_| scope.spawn(work)).collect();
            let mut found: Vec<_> = work().into_iter().collect();
            for other in others {
                match other.join() {
                    Ok(one) => found.extend(one),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            found.into_iter().min_by_key(|(nonce, _)| *nonce)
        });
        match (found, pieces.first_untried()) {
            (Some((nonce, hash)), _) => Outcome::Found { nonce, hash },
            (None, Some(next)) => Outcome::Cancelled { next },
            (None, None) => Outcome::Exhausted,
        }
    }

    fn threads(&self) -> usize {
        match self.threads {
            0 => thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }

    /// The lowest nonce of a part of the range that does it.
    fn lowest(&self, template: &Template, part: RangeInclusive<u64>) -> Option<(u64, BlockHash)> {
        let (mut first, last) = part.into_inner();
        // No hash whose first 32 bits are more is at most the target.
        let most = first_word(&BlockHash(self.target.to_be_bytes()));
        loop {
            let nonce = self.path.first_candidate(template, most, first, last)?;
            let hash = template.hash(nonce);
            if self.target.is_met_by(&hash) {
                return Some((nonce, hash));
            }
            first = nonce.checked_add(1).filter(|first| *first <= last)?;
        }
    }
}

/// The pieces of a range, numbered by their place among all nonces.
struct Pieces<'a> {
    search: &'a Search,
    /// The first piece that nobody has taken.
    next: AtomicU64,
    /// Whether no more are to be taken. What was taken is tried to its end.
    is_over: AtomicBool,
}

impl Pieces<'_> {
    fn work(
        &self,
        template: &Template,
        is_cancelled: &(impl Fn() -> bool + Sync),
    ) -> Option<(u64, BlockHash)> {
        loop {
            if self.is_over.load(Ordering::Relaxed) {
                return None;
            }
            if is_cancelled() {
                self.is_over.store(true, Ordering::Relaxed);
                return None;
            }
            // There are 2⁵⁰ pieces, so that this never wraps.
            let piece = self.nonces(self.next.fetch_add(1, Ordering::Relaxed))?;
            if let Some(found) = self.search.lowest(template, piece) {
                self.is_over.store(true, Ordering::Relaxed);
                return Some(found);
            }
        }
    }

    /// The nonces of a piece; none behind the last one.
    fn nonces(&self, piece: u64) -> Option<RangeInclusive<u64>> {
        let (first, last) = (*self.search.nonces.start(), *self.search.nonces.end());
        let start = piece.checked_mul(NONCES_BETWEEN_CHECKS)?;
        let end = start + (NONCES_BETWEEN_CHECKS - 1);
        (start <= last).then(|| start.max(first)..=end.min(last))
    }

    fn first_untried(&self) -> Option<u64> {
        let nonces = self.nonces(self.next.load(Ordering::Relaxed))?;
        Some(*nonces.start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::work::template::tests::header;

    fn search(difficulty: u64) -> Search {
        Search::new(Target::from_difficulty(difficulty))
    }

    fn never() -> bool {
        false
    }

    /// The lowest nonce of all, straight from the definition.
    fn lowest(template: &Template, target: Target) -> u64 {
        let mut nonces = 0..;
        let found = nonces.find(|nonce| target.is_met_by(&template.hash(*nonce)));
        found.expect("one of so many")
    }

    #[test]
    fn the_lowest_nonce_is_found_by_every_path_on_any_number_of_threads() {
        for (name, difficulty) in [(1, 1), (20, 3), (33, 1_000), (44, 50_000), (60, 70_001)] {
            let template = Template::of(&header(name, 0));
            let nonce = lowest(&template, Target::from_difficulty(difficulty));
            let hash = header(name, nonce).hash();
            for path in Path::ALL {
                for threads in [0, 1, 2, 5] {
                    let search = Search {
                        threads,
                        path,
                        ..search(difficulty)
                    };
                    let outcome = search.run(&template, never);
                    assert_eq!(outcome, Outcome::Found { nonce, hash }, "{path}, {threads}");
                }
            }
        }
    }

    #[test]
    fn a_range_without_a_nonce_is_exhausted() {
        let template = Template::of(&header(5, 0));
        let nonce = lowest(&template, Target::from_difficulty(60_000));
        for (nonces, is_in) in [
            (0..=nonce, true),
            (nonce..=nonce, true),
            (nonce..=u64::MAX, true),
            (0..=nonce - 1, false),
            (nonce..=nonce - 1, false),
        ] {
            let search = Search {
                nonces,
                ..search(60_000)
            };
            let outcome = search.run(&template, never);
            let is_found = matches!(outcome, Outcome::Found { nonce: found, .. } if found == nonce);
            assert_eq!(is_found, is_in, "{:?}", search.nonces);
            assert_eq!(outcome == Outcome::Exhausted, !is_in, "{:?}", search.nonces);
        }
        let impossible = Search {
            target: Target::ONE,
            nonces: u64::MAX - 100_000..=u64::MAX,
            ..search(1)
        };
        assert_eq!(impossible.run(&template, never), Outcome::Exhausted);
    }

    #[test]
    fn a_cancelled_search_goes_on_where_it_says_and_finds_the_same() {
        let target = Target::from_difficulty(200_000);
        // One whose nonce isn't in the first pieces.
        let mut templates = (1..).map(|name| Template::of(&header(name, 0)));
        let template =
            templates.find(|template| lowest(template, target) > 8 * NONCES_BETWEEN_CHECKS);
        let template = template.expect("most of them");
        let nonce = lowest(&template, target);
        for threads in [1, 3] {
            let (mut next, mut times) = (0, 0);
            let found = loop {
                let search = Search {
                    nonces: next..=u64::MAX,
                    threads,
                    ..search(200_000)
                };
                // Cancelled when the threads together have asked four times.
                let asked = AtomicU64::new(0);
                let is_cancelled = || asked.fetch_add(1, Ordering::Relaxed) >= 3;
                match search.run(&template, is_cancelled) {
                    Outcome::Found { nonce, .. } => break nonce,
                    Outcome::Cancelled { next: later } => {
                        assert!(later > next && later <= nonce);
                        next = later;
                    }
                    Outcome::Exhausted => panic!("there is one"),
                }
                times += 1;
            };
            assert_eq!(found, nonce);
            assert!(times > 0, "it was never cancelled");
        }
    }

    #[test]
    fn what_is_cancelled_at_once_has_tried_nothing() {
        let template = Template::of(&header(9, 0));
        let search = Search {
            nonces: 77..=u64::MAX,
            ..search(u64::MAX)
        };
        let outcome = search.run(&template, || true);
        assert_eq!(outcome, Outcome::Cancelled { next: 77 });
    }
}
