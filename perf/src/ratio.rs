//! What a ratio is, and what has been measured of it. The registry lists them all; each area measures its own.

use serde_json::{Map, Value, json};

use crate::statistics::{Spread, rounded};
use crate::turns::Figures;

/// How a ratio is formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// How many times as fast the first is as the second: the second's time by the first's. More is better.
    Speed,
    /// How many times as long the first takes as the second: the first's time by the second's. Less is better.
    Cost,
    /// A part of a whole, or a rate by another. More is better.
    Share,
    /// An amount in MiB, no ratio at all. Less is better.
    Mebibytes,
    /// A length of time in milliseconds, no ratio at all. Less is better.
    Milliseconds,
    /// The same in microseconds.
    Microseconds,
}

impl Kind {
    /// The words for it in records.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Speed => "times as fast",
            Self::Cost => "times as long",
            Self::Share => "a part of",
            Self::Mebibytes => "MiB",
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
        }
    }

    /// Of two sides, the one whose time is divided, and the one that it is divided by.
    pub(crate) fn sides<T>(self, first: T, second: T) -> [T; 2] {
        match self {
            Self::Speed => [second, first],
            Self::Cost
            | Self::Share
            | Self::Mebibytes
            | Self::Milliseconds
            | Self::Microseconds => [first, second],
        }
    }

    /// The kind of these words.
    pub(crate) fn from_words(words: &str) -> Option<Self> {
        let mut all = [
            Self::Speed,
            Self::Cost,
            Self::Share,
            Self::Mebibytes,
            Self::Milliseconds,
            Self::Microseconds,
        ]
        .into_iter();
        all.find(|kind| kind.words() == words)
    }

    /// By which part of the goal a value falls short of it; none if it doesn't.
    pub(crate) fn shortfall(self, value: f64, goal: f64) -> Option<f64> {
        let short = match self.is_more_better() {
            true => goal - value,
            false => value - goal,
        };
        (short > 0.0).then_some(short / goal)
    }

    /// What is wanted: `≥ 2`, or `≤ 2` where less is better.
    pub(crate) fn wanted(self, goal: f64) -> String {
        let sign = if self.is_more_better() { "≥" } else { "≤" };
        format!("{sign} {goal}")
    }

    /// What the explanation of a ratio begins with.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Speed | Self::Share => "",
            Self::Cost => "Cost: ",
            Self::Mebibytes => "MiB: ",
            Self::Milliseconds => "ms: ",
            Self::Microseconds => "µs: ",
        }
    }

    /// Whether at least the goal is wanted, rather than at most.
    pub(crate) const fn is_more_better(self) -> bool {
        matches!(self, Self::Speed | Self::Share)
    }
}

/// A ratio that is measured.
#[derive(Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    /// At least this is wanted of a speed or share, at most this of a cost or amount.
    pub(crate) goal: Option<f64>,
    pub(crate) meaning: &'static str,
    /// What is done and beside whom, in a few words, if the report shows it first.
    pub(crate) headline: Option<(&'static str, &'static str)>,
}

impl Ratio {
    /// What is wanted, if anything is.
    pub(crate) fn wanted(&self) -> Option<String> {
        self.goal.map(|goal| self.kind.wanted(goal))
    }
}

/// What has been measured of a ratio.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) ratio: &'static Ratio,
    pub(crate) evidence: Evidence,
}

/// Where a figure comes from.
#[derive(Debug)]
pub(crate) enum Evidence {
    /// A contestant with so many items at a time against another side.
    Compared {
        n: usize,
        first: Figures,
        second: Side,
        /// What else was seen of them.
        more: Map<String, Value>,
    },
    /// A figure by itself, and what it comes from.
    Figure { value: f64, from: Value },
    /// It wasn't measured, because of this.
    Missing(String),
}

/// What a contestant is compared with.
#[derive(Debug)]
pub(crate) enum Side {
    /// Another contestant, in turns.
    Measured(Figures),
    /// What somebody else stated, since the other side can't be run here.
    Stated(Stated),
}

/// A figure that was not measured here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stated {
    /// Whose it is and what it is of.
    pub(crate) by: &'static str,
    pub(crate) us_per_item: f64,
}

impl Evidence {
    /// Two contestants that took turns.
    pub(crate) fn turns(n: usize, first: Figures, second: Figures) -> Self {
        Self::compared(n, first, Side::Measured(second))
    }

    /// A contestant against what somebody else stated.
    pub(crate) fn stated(n: usize, first: Figures, second: Stated) -> Self {
        Self::compared(n, first, Side::Stated(second))
    }

    fn compared(n: usize, first: Figures, second: Side) -> Self {
        Self::Compared {
            n,
            first,
            second,
            more: Map::new(),
        }
    }

    /// The same with something else that was seen. Figures by themselves hold all of it already.
    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        if let Self::Compared { more, .. } = &mut self {
            more.insert(key.to_owned(), value);
        }
        self
    }
}

impl Measured {
    /// The ratio of the medians, or the figure.
    pub(crate) fn value(&self) -> Option<f64> {
        match &self.evidence {
            Evidence::Compared { first, second, .. } => {
                let first = first.spread().median;
                let second = match second {
                    Side::Measured(second) => second.spread().median,
                    Side::Stated(second) => second.us_per_item,
                };
                let [above, below] = self.ratio.kind.sides(first, second);
                Some(above / below)
            }
            Evidence::Figure { value, .. } => Some(*value),
            Evidence::Missing(_) => None,
        }
    }

    /// Everything that is known about it.
    pub(crate) fn to_json(&self) -> Value {
        let mut record = Map::new();
        let mut put = |key: &str, value: Value| record.insert(key.to_owned(), value);
        put("meaning", json!(self.ratio.meaning));
        put("kind", json!(self.ratio.kind.words()));
        put("goal", json!(self.ratio.goal));
        match &self.evidence {
            Evidence::Compared {
                n,
                first,
                second,
                more,
            } => {
                put("n", json!(n));
                put("turns", json!(first.turns()));
                if let Side::Measured(second) = second {
                    let [above, below] = self.ratio.kind.sides(first, second);
                    let of_the_least = above.spread().least / below.spread().least;
                    put("within_rounds", spread_json(&above.over(below)));
                    put("of_the_least", json!(rounded(of_the_least)));
                }
                put("first", figures_json(first));
                let second = match second {
                    Side::Measured(second) => figures_json(second),
                    Side::Stated(Stated { by, us_per_item }) => {
                        json!({ "name": by, "stated_us_per_item": us_per_item })
                    }
                };
                put("second", second);
                record.extend(more.clone());
            }
            Evidence::Figure { from, .. } => {
                put("from", from.clone());
            }
            Evidence::Missing(reason) => {
                put("missing", json!(reason));
            }
        }
        Value::Object(record)
    }
}

/// A contestant's figures.
pub(crate) fn figures_json(figures: &Figures) -> Value {
    json!({
        "name": figures.name,
        "clock": figures.clock.name(),
        "passes_in_turn": figures.passes_in_turn,
        "us_per_item": spread_json(&figures.spread()),
        "wall_us_per_item": rounded(figures.wall().median),
        "processor_us_per_item": rounded(figures.processor().median),
        "first_pass_us_per_item": rounded(figures.first_pass()),
        "turns_wall_us_per_item": all_rounded(figures.all_wall()),
        "turns_processor_us_per_item": all_rounded(figures.all_processor()),
    })
}

/// Every turn's figure.
pub(crate) fn all_rounded(figures: impl Iterator<Item = f64>) -> Vec<f64> {
    figures.map(rounded).collect()
}

/// Quartiles of something.
pub(crate) fn spread_json(spread: &Spread) -> Value {
    json!({
        "median": rounded(spread.median),
        "lower_quartile": rounded(spread.lower_quartile),
        "upper_quartile": rounded(spread.upper_quartile),
        "least": rounded(spread.least),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortfall_is_a_part_of_the_goal_in_the_direction_of_the_kind() {
        assert_eq!(Kind::Speed.shortfall(3.0, 4.0), Some(0.25));
        assert_eq!(Kind::Speed.shortfall(4.0, 4.0), None);
        assert_eq!(Kind::Cost.shortfall(1.5, 1.0), Some(0.5));
        assert_eq!(Kind::Milliseconds.shortfall(9.0, 10.0), None);
    }

    #[test]
    fn kinds_are_read_from_records_by_their_words() {
        for kind in [Kind::Speed, Kind::Mebibytes, Kind::Microseconds] {
            assert_eq!(Kind::from_words(kind.words()), Some(kind));
        }
        assert_eq!(Kind::from_words("furlongs"), None);
    }
}
