//! The weighted turn by priority: whose turn it is, so that everybody gets turns by its weight, evenly spread.
//!
//! The rule is CometBFT's (`spec/consensus/proposer-selection.md`). Every member has a priority. In each step all priorities grow by
//! the members' weights; whoever has the highest is the proposer, and loses the weight of all together. Among equals the one at
//! the lower place proposes (CometBFT has addresses instead of places). Before that, two corrections keep changes of members from leaving
//! anybody far ahead or behind: priorities that are more than twice the whole weight apart are scaled down, and all are shifted so that their
//! mean is about zero. A newcomer begins 1.125 of the whole weight behind, so that nobody gains by leaving and coming back.
//!
//! Without changes, as many steps as the whole weight give every member exactly as many turns as it weighs. Nothing in it is up to the
//! proposer, so there is nothing to grind; but everybody knows the next turns of everybody.
//!
//! One step is taken for every block, whatever its round. Rounds of one height look further ahead without changing the priorities that
//! the next height begins with: a block that took ten rounds doesn't shift the turns after it.

use std::collections::BTreeMap;

/// The weight of all members together is below this: all sums here then stay within their range.
pub const PRIORITY_WEIGHT_MAX: u64 = 1 << 60;

/// For so many rounds of a height the proposer is chosen by priority; see [`Priorities::for_round`].
pub const ROUNDS_BY_PRIORITY: u32 = 100;

/// How far ahead the priorities of two members can be after a step, in multiples of the whole weight.
#[cfg(test)]
const SPREAD_MAX: i128 = 3;

/// The priority of each member, in the order of the members. As a part of a state: it follows from the blocks so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Priorities(Vec<i64>);

impl Priorities {
    /// That many members who begin together.
    #[must_use]
    pub fn new(members: usize) -> Self {
        Self(vec![0; members])
    }

    /// Priorities that were written down.
    #[must_use]
    pub const fn from_values(values: Vec<i64>) -> Self {
        Self(values)
    }

    /// The values, one a member.
    #[must_use]
    pub fn values(&self) -> &[i64] {
        &self.0
    }

    /// Takes one step, and tells the place of the proposer; `None`, and no change, if nobody has any weight. O(members).
    ///
    /// There are as many weights as priorities, and together they are below [`PRIORITY_WEIGHT_MAX`]; else the answer is of no use, but
    /// the same everywhere.
    pub fn advance(&mut self, weights: &[u64]) -> Option<usize> {
        let total = total(weights);
        if total == 0 {
            return None;
        }
        self.rescale(total);
        self.centre();
        let mut proposer: Option<(usize, i64)> = None;
        for (place, (priority, &weight)) in self.0.iter_mut().zip(weights).enumerate() {
            *priority = clamp(i128::from(*priority) + i128::from(weight));
            // Who has no weight has no turns either, however far ahead others' changes have shifted it.
            if weight > 0 && proposer.is_none_or(|(_, highest)| *priority > highest) {
                proposer = Some((place, *priority));
            }
        }
        let (place, highest) = proposer?;
        *self.0.get_mut(place)? = clamp(i128::from(highest) - total);
        Some(place)
    }

    /// The place of the proposer of round 0, if these are the priorities after the block before. O(members).
    #[must_use]
    pub fn proposer(&self, weights: &[u64]) -> Option<usize> {
        self.for_round(weights, 0)
    }

    /// The place of the proposer of that round, if these are the priorities after the block before.
    ///
    /// The first [`ROUNDS_BY_PRIORITY`] rounds are as many steps further. After that members with any weight take turns by place. A
    /// round comes from a peer, and one of four thousand million must not cost as many steps: this is
    /// O(members × min(round, [`ROUNDS_BY_PRIORITY`])), and still nobody is left out for ever.
    #[must_use]
    pub fn for_round(&self, weights: &[u64], round: u32) -> Option<usize> {
        if let Some(late) = round.checked_sub(ROUNDS_BY_PRIORITY) {
            return in_turn(weights, late);
        }
        let mut ahead = self.clone();
        for _ in 0..round {
            ahead.advance(weights)?;
        }
        ahead.advance(weights)
    }

    /// Whether the member at that place is the proposer of some round up to `round`: a block that is decided in a later round may have
    /// been put forward in an earlier one. As costly as [`Self::for_round`].
    #[must_use]
    pub fn had_turn(&self, weights: &[u64], place: usize, round: u32) -> bool {
        let mut ahead = self.clone();
        let by_priority = round.min(ROUNDS_BY_PRIORITY - 1);
        if (0..=by_priority).any(|_| ahead.advance(weights) == Some(place)) {
            return true;
        }
        let Some(late) = round.checked_sub(ROUNDS_BY_PRIORITY) else {
            return false;
        };
        // One turn each, in order: the member's first one is as late as there are members with weight before it.
        let before = weights.iter().take(place).filter(|&&weight| weight > 0);
        weights.get(place).is_some_and(|&weight| weight > 0) && before.count() as u64 <= late.into()
    }

    /// The priorities of other members from here on: who stays keeps its own, newcomers begin at −1.125 of the new whole weight.
    /// `names` are those of the members so far. O(members × log members).
    #[must_use]
    pub fn change_members<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        members: impl IntoIterator<Item = (&'a str, u64)>,
    ) -> Self {
        let held: BTreeMap<&str, i64> = names.into_iter().zip(self.0.iter().copied()).collect();
        let members: Vec<(&str, u64)> = members.into_iter().collect();
        let weights: Vec<u64> = members.iter().map(|&(_, weight)| weight).collect();
        let total = total(&weights);
        let newcomer = clamp(-(total + total / 8));
        let held_or_new = members
            .iter()
            .map(|(name, _)| held.get(name).copied().unwrap_or(newcomer));
        let mut changed = Self(held_or_new.collect());
        changed.rescale(total);
        changed.centre();
        changed
    }

    /// Brings priorities that are more than twice the whole weight apart closer together, by a whole divisor.
    fn rescale(&mut self, total: i128) {
        let (Some(&least), Some(&most)) = (self.0.iter().min(), self.0.iter().max()) else {
            return;
        };
        let (spread, limit) = (i128::from(most) - i128::from(least), 2 * total);
        if limit > 0 && spread > limit {
            // Rounded up, and not above 2⁶⁴: spreads of `i64` are below that.
            let divisor = (spread + limit - 1) / limit;
            for priority in &mut self.0 {
                // Towards zero.
                *priority = clamp(i128::from(*priority) / divisor);
            }
        }
    }

    /// Shifts all by their mean, rounded down.
    fn centre(&mut self) {
        let sum: i128 = self.0.iter().map(|&priority| i128::from(priority)).sum();
        let count = self.0.len() as i128;
        if count > 0 {
            let mean = sum.div_euclid(count);
            for priority in &mut self.0 {
                *priority = clamp(i128::from(*priority) - mean);
            }
        }
    }
}

/// At most 2⁶⁴ members of at most 2⁶⁴ each: 128 bits may only just not hold that, and memory holds no such list.
fn total(weights: &[u64]) -> i128 {
    weights.iter().map(|&weight| i128::from(weight)).sum()
}

/// Nothing is out of range for weights below [`PRIORITY_WEIGHT_MAX`]; for others this is what is still the same everywhere.
fn clamp(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// The place whose turn it is in the `number`th turn of those who have any weight.
fn in_turn(weights: &[u64], number: u32) -> Option<usize> {
    let places = || {
        (0..)
            .zip(weights)
            .filter(|&(_, &weight)| weight > 0)
            .map(|(place, _)| place)
    };
    let number = (number as usize).checked_rem(places().count())?;
    places().nth(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn turns(priorities: &mut Priorities, weights: &[u64], count: usize) -> Vec<usize> {
        (0..count)
            .map(|_| priorities.advance(weights).unwrap())
            .collect()
    }

    fn spread(priorities: &Priorities) -> i128 {
        let values = priorities.values();
        i128::from(*values.iter().max().unwrap()) - i128::from(*values.iter().min().unwrap())
    }

    #[test]
    fn the_published_sequence_of_ninety_nine_proposers() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/vectors/consensus/proposer_selection.json"
        );
        let vector: serde_json::Value =
            serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let members: Vec<(&str, u64)> = vector["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (
                    one["name"].as_str().unwrap(),
                    one["weight"].as_u64().unwrap(),
                )
            })
            .collect();
        let weights: Vec<u64> = members.iter().map(|one| one.1).collect();
        let expected: Vec<&str> = vector["proposers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap())
            .collect();
        assert_eq!(expected.len(), 99);
        let begin = Priorities::new(members.len());
        let found = turns(&mut begin.clone(), &weights, 99);
        let found: Vec<&str> = found.into_iter().map(|place| members[place].0).collect();
        assert_eq!(found, expected);
        // Rounds of one height look ahead in the same sequence.
        for (round, &name) in (0..).zip(&expected) {
            assert_eq!(members[begin.for_round(&weights, round).unwrap()].0, name);
        }
    }

    #[test]
    fn equal_members_take_turns_by_place() {
        let mut priorities = Priorities::new(3);
        assert_eq!(turns(&mut priorities, &[100; 3], 7), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(Priorities::new(3).proposer(&[100, 100, 101]), Some(2));
    }

    #[test]
    fn the_worked_examples_of_the_specification() {
        let mut priorities = Priorities::new(2);
        assert_eq!(turns(&mut priorities, &[1, 3], 4), [1, 0, 1, 1]);
        assert_eq!(priorities.values(), [0, 0]);
        // p3 is added: −1.125 × 12, rounded to −13; then everything is shifted by the mean, −14 / 3. The specification's table rounds that
        // to −4, its implementation to −5, as we do.
        let before = Priorities::from_values(vec![1, -2]);
        let mut after = before.change_members(["p1", "p2"], [("p1", 1), ("p2", 3), ("p3", 8)]);
        assert_eq!(after.values(), [6, 3, -8]);
        assert_eq!(after.advance(&[1, 3, 8]), Some(0));
        assert_eq!(after.values(), [-5, 6, 0]);
    }

    #[test]
    fn who_leaves_and_comes_back_gains_nothing() {
        let (all, weights) = ([("a", 5), ("b", 5), ("c", 5)], [5, 5, 5]);
        let names = ["a", "b", "c"];
        let mut priorities = Priorities::new(3);
        let first = priorities.advance(&weights).unwrap();
        let without = all.iter().copied().filter(|one| one.0 != names[first]);
        let left = priorities.change_members(names, without.clone());
        let names_left: Vec<&str> = without.map(|one| one.0).collect();
        let mut back = left.change_members(names_left, all);
        let after = turns(&mut back, &weights, 3);
        assert!(!after[..2].contains(&first), "{after:?}");
    }

    #[test]
    fn who_has_no_weight_never_proposes() {
        let weights = [0, 3, 0, 1];
        let mut priorities = Priorities::from_values(vec![9, -9, 9, 0]);
        assert!(
            turns(&mut priorities, &weights, 40)
                .iter()
                .all(|place| place % 2 == 1)
        );
        for round in 0..300 {
            assert_eq!(priorities.for_round(&weights, round).unwrap() % 2, 1);
        }
        assert!(!priorities.had_turn(&weights, 0, u32::MAX));
        let nobody = [0; 4];
        assert_eq!(priorities.clone().advance(&nobody), None);
        assert_eq!(priorities.for_round(&nobody, 500), None);
        assert_eq!(Priorities::new(0).for_round(&[], 500), None);
    }

    #[test]
    fn late_rounds_go_round_and_cost_no_more() {
        let weights = [1 << 40, 1, 0, 1];
        let priorities = Priorities::new(4);
        let late = |round: u32| priorities.for_round(&weights, ROUNDS_BY_PRIORITY + round);
        assert_eq!([0, 1, 2, 3].map(late), [0, 1, 3, 0].map(Some));
        assert!(late(u32::MAX - ROUNDS_BY_PRIORITY).is_some());
        // By priority the light ones would wait for 2⁴⁰ turns.
        assert!(
            (0..ROUNDS_BY_PRIORITY).all(|round| priorities.for_round(&weights, round) == Some(0))
        );
        assert!(!priorities.had_turn(&weights, 3, ROUNDS_BY_PRIORITY + 1));
        assert!(priorities.had_turn(&weights, 3, ROUNDS_BY_PRIORITY + 2));
    }

    #[test]
    fn weights_up_to_the_limit_overflow_nothing() {
        let weights = [PRIORITY_WEIGHT_MAX / 2, PRIORITY_WEIGHT_MAX / 2 - 2, 1];
        let mut priorities = Priorities::from_values(vec![i64::MIN, i64::MAX, 0]);
        for _ in 0..1_000 {
            priorities.advance(&weights).unwrap();
            assert!(spread(&priorities) <= SPREAD_MAX * i128::from(PRIORITY_WEIGHT_MAX));
        }
        // Beyond the limit nothing is promised but an answer.
        assert!(
            Priorities::from_values(vec![i64::MIN; 2])
                .advance(&[u64::MAX; 2])
                .is_some()
        );
    }

    proptest! {
        #[test]
        fn a_round_of_the_whole_weight_gives_everybody_its_weight_in_turns(
            weights in vec(0u64..30, 1..12),
            skipped in 0usize..50,
        ) {
            let total: u64 = weights.iter().sum();
            prop_assume!(total > 0);
            let mut priorities = Priorities::new(weights.len());
            turns(&mut priorities, &weights, skipped);
            let start = priorities.clone();
            let mut counts = vec![0; weights.len()];
            for place in turns(&mut priorities, &weights, total as usize) {
                counts[place] += 1;
            }
            prop_assert_eq!(counts, weights);
            prop_assert_eq!(priorities, start);
        }

        #[test]
        fn rounds_look_ahead_without_a_step(weights in vec(0u64..1 << 56, 1..9), steps in 0usize..20, round in 0u32..130) {
            prop_assume!(weights.iter().any(|&weight| weight > 0));
            let mut priorities = Priorities::new(weights.len());
            turns(&mut priorities, &weights, steps);
            let begin = priorities.clone();
            let ahead: Vec<_> = (0..=round).map(|round| begin.for_round(&weights, round).unwrap()).collect();
            let by_steps = turns(&mut priorities, &weights, round.min(ROUNDS_BY_PRIORITY - 1) as usize + 1);
            prop_assert_eq!(&ahead[..by_steps.len()], &by_steps[..]);
            for place in 0..=weights.len() {
                prop_assert_eq!(begin.had_turn(&weights, place, round), ahead.contains(&place));
            }
        }

        #[test]
        fn changes_of_members_leave_nobody_far_ahead(
            changes in vec((vec((0usize..8, 0u64..PRIORITY_WEIGHT_MAX / 8), 1..8), 0usize..6), 1..12),
        ) {
            let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
            let mut held: Vec<&str> = Vec::new();
            let mut priorities = Priorities::default();
            for (members, steps) in changes {
                let members: BTreeMap<&str, u64> = members.into_iter().map(|(place, weight)| (names[place], weight)).collect();
                priorities = priorities.change_members(held, members.clone());
                held = members.keys().copied().collect();
                let weights: Vec<u64> = members.values().copied().collect();
                let total = total(&weights);
                for _ in 0..if total > 0 { steps } else { 0 } {
                    let place = priorities.advance(&weights).unwrap();
                    prop_assert!(weights[place] > 0);
                    prop_assert!(spread(&priorities) <= SPREAD_MAX * total);
                    let sum: i128 = priorities.values().iter().map(|&one| i128::from(one)).sum();
                    prop_assert!((0..weights.len() as i128).contains(&sum));
                }
            }
        }
    }
}
