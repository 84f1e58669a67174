//! Measuring latencies of the engine: admission by itself and beside others, blocks produced.

use std::time::{Duration, Instant};

use anyhow::Result;
use hubledger::generate::Recipe;
use serde_json::{Map, Value, json};

use super::admission::{Admitted, LOAD, admit};
use super::beside::{Beside, Seen, admit_beside};
use super::chain::Chain;
use super::measure::{Bench, IMPORT_TIMES, ROUNDS_MAX, ROUNDS_MIN};
use super::produce::{BLOCK, produce_blocks};
use crate::ratio::{Evidence, all_rounded, spread_json};
use crate::statistics::{Spread, quantile, rounded};
use crate::storage::Contender;

/// The load of a busy engine, by the highest rate of one that only admits.
const BUSY_LOAD: f64 = 0.4;
/// Names of a state of which snapshots are taken, at most.
const NAMES_MAX: u64 = 1_000_000;
/// Blocks that are produced into one store.
const PRODUCED_MAX: usize = 50;

impl Bench<'_> {
    /// As many rounds of something as there is time for; the first doesn't count.
    fn rounds<T>(&self, mut round: impl FnMut() -> Result<T>) -> Result<Vec<T>> {
        round()?;
        let end = Instant::now() + Duration::from_secs_f64(self.extent.seconds * IMPORT_TIMES);
        let mut rounds = Vec::new();
        while rounds.len() < ROUNDS_MIN || (Instant::now() < end && rounds.len() < ROUNDS_MAX) {
            rounds.push(round()?);
        }
        Ok(rounds)
    }

    /// The latency of admission, below the highest rate of each round.
    pub(super) fn admission(&self) -> Result<Evidence> {
        let (chain, setup) = (self.chain()?, self.setup(self.cores)?);
        let rounds = self.rounds(|| admit(chain, &setup))?;
        let highest = rounds.iter().map(|round| round.highest);
        let at = |part: f64| rounds.iter().map(move |round| milliseconds_at(round, part));
        let value = Spread::of(at(0.99)).median;
        let percentiles = [
            ("p50_ms", 0.5),
            ("p90_ms", 0.9),
            ("p99_ms", 0.99),
            ("p999_ms", 0.999),
        ];
        let percentiles: Map<String, Value> = percentiles
            .into_iter()
            .map(|(name, part)| (name.to_owned(), json!(all_rounded(at(part)))))
            .collect();
        Ok(Evidence::Figure {
            value,
            from: json!({
                "n": chain.alone.len(),
                "turns": rounds.len(),
                "threads": self.cores,
                "load": LOAD,
                "highest_per_second": spread_json(&Spread::of(highest.clone())),
                "turns_highest_per_second": all_rounded(highest.map(f64::round)),
                "percentiles": percentiles,
            }),
        })
    }

    /// The latency of admission into a busy engine. The chain is one of its own, in which everybody sends twice: so half of its transactions are as many names.
    pub(super) fn admission_beside(&self, contender: &Contender) -> Result<Evidence> {
        let names = (self.extent.transactions / 2).clamp(1, NAMES_MAX);
        let chain = Chain::generate(Recipe {
            transactions: 2 * names,
            keys: u32::try_from(names)?,
            ..Recipe::default()
        })?;
        let setup = self.setup(self.cores)?;
        let per_second = BUSY_LOAD * admit(&chain, &setup)?.highest;
        let admit = |beside| {
            let once = || admit_beside(beside, &chain, per_second, contender, &setup, self.under);
            self.rounds(once)
        };
        let [alone, busy] = [
            admit(Beside::Nothing)?,
            admit(Beside::SnapshotsAndProducer)?,
        ];
        let all = |rounds: &[Seen]| rounds.iter().map(Seen::to_json).collect::<Vec<_>>();
        Ok(Evidence::Figure {
            value: Spread::of(busy.iter().map(|seen| seen.at(0.99))).median,
            from: json!({
                "names": names,
                "threads": self.cores,
                "submitted_per_second": per_second.round(),
                "turns_beside": all(&busy),
                "turns_alone": all(&alone),
            }),
        })
    }

    /// What blocks take to be produced.
    pub(super) fn produce(&self, contender: &Contender) -> Result<Evidence> {
        let (chain, setup) = (self.chain()?, self.setup(self.cores)?);
        let once = || produce_blocks(chain, contender, &setup, PRODUCED_MAX, self.under);
        let rounds = self.rounds(once)?;
        let milliseconds: Vec<f64> = rounds
            .iter()
            .flatten()
            .map(|took| took.as_secs_f64() * 1e3)
            .collect();
        let spread = Spread::of(milliseconds.iter().copied());
        Ok(Evidence::Figure {
            value: spread.median,
            from: json!({
                "n": BLOCK,
                "turns": milliseconds.len(),
                "threads": self.cores,
                "ms": spread_json(&spread),
                "most_ms": rounded(milliseconds.iter().copied().fold(0.0, f64::max)),
                "turns_ms": all_rounded(milliseconds.iter().copied()),
            }),
        })
    }
}

fn milliseconds_at(round: &Admitted, part: f64) -> f64 {
    let mut seconds: Vec<f64> = round.latencies.iter().map(Duration::as_secs_f64).collect();
    seconds.sort_unstable_by(f64::total_cmp);
    quantile(&seconds, part) * 1e3
}
