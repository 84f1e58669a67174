//! Contestants take turns: A B A B …
//!
//! A machine that others use is slow for seconds at a time. Measured one after the other, whoever has the slow
//! seconds loses; in turns, all have their part of them. The order is reversed from round to round, so that nobody
//! always comes first. Contestants whose pass is short make several in a turn, so that turns are of about equal length
//! and a burst of noise is no likelier to hit one than another. What comes out is a median per contestant, and for
//! two of them also the median of the ratios within each round, which drift can't touch: where the two disagree, the run
//! was too noisy.

use anyhow::Result;

use crate::clock::{Clock, Times};
use crate::statistics::Spread;

/// Something that is measured.
pub(crate) trait Contestant {
    /// How it is called in tables and records.
    fn name(&self) -> &str;

    /// The clock its figure comes from.
    fn clock(&self) -> Clock;

    /// Items that a pass processes.
    fn items(&self) -> usize;

    /// Whether it keeps something from earlier passes that makes later ones faster or slower.
    fn learns(&self) -> bool;

    /// Does the work once and says what it took, without what only prepares it. Fails if the work's result is wrong.
    fn pass(&mut self) -> Result<Times>;
}

impl<C: Contestant + ?Sized> Contestant for &mut C {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn clock(&self) -> Clock {
        (**self).clock()
    }

    fn items(&self) -> usize {
        (**self).items()
    }

    fn learns(&self) -> bool {
        (**self).learns()
    }

    fn pass(&mut self) -> Result<Times> {
        (**self).pass()
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
    /// Items that who learns processes before anything counts. Who doesn't makes one pass.
    pub(crate) warm_up_items: usize,
}

/// What turns have shown of a contestant: microseconds per item, turn by turn.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) passes_in_turn: usize,
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

/// Warms the contestants up, then has them take turns.
pub(crate) fn measure(
    contestants: &mut [Box<dyn Contestant + '_>],
    effort: Effort,
) -> Result<Vec<Figures>> {
    let mut walls = Vec::with_capacity(contestants.len());
    for contestant in contestants.iter_mut() {
        walls.push(warm_up(contestant.as_mut(), effort.warm_up_items)?);
    }
    let plan = Plan::new(&walls, effort);
    let mut figures: Vec<Figures> = contestants
        .iter()
        .zip(&plan.passes)
        .map(|(contestant, &passes_in_turn)| Figures {
            name: contestant.name().to_owned(),
            clock: contestant.clock(),
            passes_in_turn,
            turns: Vec::with_capacity(plan.rounds),
        })
        .collect();
    for round in 0..plan.rounds {
        for place in 0..contestants.len() {
            let index = match round % 2 {
                0 => place,
                _ => contestants.len() - 1 - place,
            };
            let turn = turn(contestants[index].as_mut(), plan.passes[index])?;
            figures[index].turns.push(turn);
        }
    }
    Ok(figures)
}

/// Returns the seconds of the last pass, when caches are warm.
fn warm_up(contestant: &mut dyn Contestant, items: usize) -> Result<f64> {
    let passes = match contestant.learns() {
        true => items.div_ceil(contestant.items().max(1)).max(1),
        false => 1,
    };
    let mut wall = 0.0;
    for _ in 0..passes {
        wall = contestant.pass()?.wall;
    }
    Ok(wall)
}

/// Seconds per item of as many passes as make a turn.
fn turn(contestant: &mut dyn Contestant, passes: usize) -> Result<Times> {
    let times = (0..passes)
        .map(|_| contestant.pass())
        .collect::<Result<Vec<_>>>()?;
    let Times {
        wall,
        thread,
        process,
    } = times.into_iter().sum();
    let items = (passes * contestant.items()) as f64;
    Ok(Times {
        wall: wall / items,
        thread: thread / items,
        process: process / items,
    })
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
    use super::*;

    const EFFORT: Effort = Effort {
        seconds: 1.0,
        rounds_min: 3,
        rounds_max: 20,
        warm_up_items: 25,
    };

    /// Takes the same time in each pass, and keeps the order of passes.
    struct Clockwork<'a> {
        name: &'static str,
        seconds: f64,
        log: &'a std::cell::RefCell<Vec<&'static str>>,
    }

    impl Contestant for Clockwork<'_> {
        fn name(&self) -> &str {
            self.name
        }

        fn clock(&self) -> Clock {
            Clock::Thread
        }

        fn items(&self) -> usize {
            10
        }

        fn learns(&self) -> bool {
            self.name == "a"
        }

        fn pass(&mut self) -> Result<Times> {
            self.log.borrow_mut().push(self.name);
            Ok(Times {
                wall: self.seconds,
                thread: self.seconds,
                process: 2.0 * self.seconds,
            })
        }
    }

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
        let log = std::cell::RefCell::default();
        let clockwork = |name, seconds| -> Box<dyn Contestant + '_> {
            Box::new(Clockwork {
                name,
                seconds,
                log: &log,
            })
        };
        let effort = Effort {
            seconds: 0.0,
            ..EFFORT
        };
        let figures = measure(&mut [clockwork("a", 2.0), clockwork("b", 8.0)], effort)
            .expect("clockwork never fails");
        let warm_up = ["a", "a", "a", "b"];
        assert_eq!(log.borrow()[..4], warm_up);
        let rounds = "a a a a b | b a a a a | a a a a b".replace("| ", "");
        assert_eq!(log.borrow()[4..].join(" "), rounds);
        assert_eq!(figures[0].turns(), 3);
        assert!((figures[0].spread().median - 0.2 * MICROSECONDS).abs() < 1e-6);
        assert!((figures[1].processor().median - 1.6 * MICROSECONDS).abs() < 1e-6);
        assert!((figures[1].over(&figures[0]).median - 4.0).abs() < 1e-9);
    }
}
