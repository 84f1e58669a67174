//! Contestants take turns: A B A B …
//!
//! A machine that others use is slow for seconds at a time. Measured one after the other, whoever has the slow
//! seconds loses; in turns, all have their part of them. The order is reversed from round to round, so that nobody
//! always comes first. Contestants whose pass is short make several in a turn, so that turns are of about equal length
//! and a burst of noise is no likelier to hit one than another. What comes out is a median per contestant, and for
//! two of them also the median of the ratios within each round, which drift can't touch: where the two disagree, the run
//! was too noisy.

use anyhow::{Result, anyhow};

use crate::clock::{Clock, Times};
use crate::statistics::Spread;

/// Something that is measured: a piece of work that is done again and again.
pub(crate) struct Contestant<'a> {
    name: String,
    clock: Clock,
    items: usize,
    keeps_state: bool,
    work: Box<dyn FnMut() -> Result<Times> + 'a>,
}

impl<'a> Contestant<'a> {
    /// A contestant whose pass processes so many items. `work` makes one pass and says what it took, without what only
    /// prepares it; it fails if the work's result is wrong.
    pub(crate) fn new(
        name: impl Into<String>,
        clock: Clock,
        items: usize,
        work: impl FnMut() -> Result<Times> + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            clock,
            items,
            keeps_state: false,
            work: Box::new(work),
        }
    }

    /// The same, which keeps something from earlier passes that makes later ones faster or slower, and so has to warm up.
    pub(crate) fn that_warms_up(mut self) -> Self {
        self.keeps_state = true;
        self
    }

    /// The same, with what sets it apart added to its name.
    pub(crate) fn named(mut self, what: &str) -> Self {
        self.name = format!("{}, {what}", self.name);
        self
    }

    /// The same by the wall clock, to be compared with several threads.
    pub(crate) fn by_the_wall(mut self) -> Self {
        self.clock = Clock::Wall;
        self
    }

    /// The same by the processor time of all threads, where the wall clock would show other programs more than the difference.
    pub(crate) fn by_processor_time(mut self) -> Self {
        self.clock = Clock::Processor;
        self
    }

    /// Items of a pass.
    pub(crate) fn items(&self) -> usize {
        self.items
    }

    /// Does the work once.
    pub(crate) fn pass(&mut self) -> Result<Times> {
        (self.work)()
    }

    /// Returns what the first and the last pass took. In the last one, caches are warm.
    fn warm_up(&mut self, items: usize) -> Result<[Times; 2]> {
        let passes = match self.keeps_state {
            true => items.div_ceil(self.items.max(1)).max(1),
            false => 1,
        };
        let first = self.pass()?;
        let mut last = first;
        for _ in 1..passes {
            last = self.pass()?;
        }
        Ok([first, last])
    }

    /// Seconds per item of as many passes as make a turn.
    fn turn(&mut self, passes: usize) -> Result<Times> {
        let times = (0..passes).map(|_| self.pass());
        let times: Times = times.sum::<Result<_>>()?;
        Ok(times / (passes * self.items) as f64)
    }
}

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Seconds for all turns together, as far as `rounds_min` lets.
    pub(crate) seconds: f64,
    /// Rounds at least.
    pub(crate) rounds_min: usize,
    /// Rounds at most.
    pub(crate) rounds_max: usize,
    /// Items that a contestant which keeps state processes before anything counts. Others warm up with one pass.
    pub(crate) warm_up_items: usize,
}

/// What turns have shown of a contestant: microseconds per item, turn by turn.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) passes_in_turn: usize,
    /// Seconds per item of the very first pass, before anything was warm.
    first_pass: Times,
    /// Seconds of each turn by all clocks, divided by the turn's items.
    turns: Vec<Times>,
}

const MICROSECONDS: f64 = 1e6;

impl Figures {
    /// Microseconds per item by the contestant's clock.
    pub(crate) fn spread(&self) -> Spread {
        self.by(|times| times.by(self.clock))
    }

    /// Microseconds of the wall clock per item.
    pub(crate) fn wall(&self) -> Spread {
        self.by(|times| times.wall)
    }

    /// Microseconds of processor time per item, all threads together.
    pub(crate) fn processor(&self) -> Spread {
        self.by(|times| times.process)
    }

    /// [`Figures::wall`] of every turn, in their order.
    pub(crate) fn all_wall(&self) -> impl Iterator<Item = f64> {
        self.turns.iter().map(|turn| turn.wall * MICROSECONDS)
    }

    /// [`Figures::processor`] of every turn, in their order.
    pub(crate) fn all_processor(&self) -> impl Iterator<Item = f64> {
        self.turns.iter().map(|turn| turn.process * MICROSECONDS)
    }

    /// Microseconds per item of the first pass, before anything was warm, by the contestant's clock.
    pub(crate) fn first_pass(&self) -> f64 {
        self.first_pass.by(self.clock) * MICROSECONDS
    }

    pub(crate) fn turns(&self) -> usize {
        self.turns.len()
    }

    /// The ratios of this one's time to another's, round by round.
    pub(crate) fn over(&self, other: &Self) -> Spread {
        let pairs = self.turns.iter().zip(&other.turns);
        Spread::of(pairs.map(|(a, b)| a.by(self.clock) / b.by(other.clock)))
    }

    fn by(&self, seconds: impl Fn(&Times) -> f64) -> Spread {
        Spread::of(self.turns.iter().map(|turn| seconds(turn) * MICROSECONDS))
    }
}

/// Warms the contestants up, then has them take turns. There are figures for each, in the same order.
pub(crate) fn measure(contestants: &mut [Contestant<'_>], effort: Effort) -> Result<Vec<Figures>> {
    let mut warm_ups = Vec::with_capacity(contestants.len());
    for contestant in contestants.iter_mut() {
        warm_ups.push(contestant.warm_up(effort.warm_up_items)?);
    }
    let walls: Vec<f64> = warm_ups.iter().map(|[_, last]| last.wall).collect();
    let plan = Plan::new(&walls, effort);
    let figures = contestants.iter().zip(&plan.passes).zip(&warm_ups);
    let mut figures: Vec<Figures> = figures
        .map(|((contestant, &passes_in_turn), [first, _])| Figures {
            name: contestant.name.clone(),
            clock: contestant.clock,
            passes_in_turn,
            first_pass: *first / contestant.items as f64,
            turns: Vec::with_capacity(plan.rounds),
        })
        .collect();
    for round in 0..plan.rounds {
        for place in 0..contestants.len() {
            let index = match round % 2 {
                0 => place,
                _ => contestants.len() - 1 - place,
            };
            let turn = contestants[index].turn(plan.passes[index])?;
            figures[index].turns.push(turn);
        }
    }
    Ok(figures)
}

/// [`measure`] for a fixed number of contestants.
pub(crate) fn race<const N: usize>(
    mut contestants: [Contestant<'_>; N],
    effort: Effort,
) -> Result<[Figures; N]> {
    let figures = measure(&mut contestants, effort)?.try_into();
    figures.map_err(|_| anyhow!("not a figure for each of {N} contestants"))
}

/// Who makes how many passes in a turn, and how many rounds there are.
#[derive(Debug, PartialEq)]
struct Plan {
    passes: Vec<usize>,
    rounds: usize,
}

/// A turn of many passes is as good as one of more.
const PASSES_MAX: usize = 64;

impl Plan {
    /// From the seconds that each contestant's pass takes.
    fn new(walls: &[f64], effort: Effort) -> Self {
        let longest = walls.iter().copied().fold(0.0, f64::max);
        // Where even the longest pass is short, there is time for more of them.
        let share = effort.seconds / (effort.rounds_max * walls.len().max(1)) as f64;
        let turn = longest.max(share);
        let passes: Vec<usize> = walls
            .iter()
            .map(|&wall| ((turn / wall.max(1e-9)).round() as usize).clamp(1, PASSES_MAX))
            .collect();
        let round: f64 = passes
            .iter()
            .zip(walls)
            .map(|(&n, wall)| n as f64 * wall)
            .sum();
        let rounds = (effort.seconds / round.max(1e-9)) as usize;
        Self {
            passes,
            rounds: rounds.clamp(effort.rounds_min, effort.rounds_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const EFFORT: Effort = Effort {
        seconds: 1.0,
        rounds_min: 3,
        rounds_max: 20,
        warm_up_items: 25,
    };

    #[test]
    fn short_passes_are_repeated_to_turns_of_equal_length() {
        let plan = Plan::new(&[0.01, 0.1], EFFORT);
        assert_eq!((plan.passes, plan.rounds), (vec![10, 1], 5));
        let plan = Plan::new(&[1.0, 2.0], EFFORT);
        assert_eq!((plan.passes, plan.rounds), (vec![2, 1], EFFORT.rounds_min));
        let plan = Plan::new(&[1e-6, 1e-6], EFFORT);
        assert_eq!(
            (plan.passes, plan.rounds),
            (vec![PASSES_MAX; 2], EFFORT.rounds_max)
        );
    }

    #[test]
    fn contestants_take_turns_after_warming_up_and_swap_the_first_place() {
        let log = RefCell::default();
        let clockwork = |name: &'static str, seconds| {
            let log: &RefCell<Vec<&str>> = &log;
            Contestant::new(name, Clock::Thread, 10, move || {
                log.borrow_mut().push(name);
                Ok(Times {
                    wall: seconds,
                    thread: seconds,
                    process: 2.0 * seconds,
                })
            })
        };
        let effort = Effort {
            seconds: 0.0,
            ..EFFORT
        };
        let contestants = [clockwork("a", 2.0).that_warms_up(), clockwork("b", 8.0)];
        let figures = race(contestants, effort).expect("clockwork never fails");
        let warm_up = ["a", "a", "a", "b"];
        assert_eq!(log.borrow()[..4], warm_up);
        let rounds = "a a a a b | b a a a a | a a a a b".replace("| ", "");
        assert_eq!(log.borrow()[4..].join(" "), rounds);
        assert_eq!(figures[0].turns(), 3);
        assert!((figures[0].first_pass() - 0.2 * MICROSECONDS).abs() < 1e-6);
        assert!((figures[0].spread().median - 0.2 * MICROSECONDS).abs() < 1e-6);
        assert!((figures[1].processor().median - 1.6 * MICROSECONDS).abs() < 1e-6);
        assert!((figures[1].over(&figures[0]).median - 4.0).abs() < 1e-9);
    }
}
