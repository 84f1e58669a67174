//! How much of the weight is enough: the one rule for seals, votes and changes that a quorum decides.
//!
//! A quorum is *strictly more* than a share of the whole weight, and that share is at least two thirds. So any two quorums of the
//! same members have more than a third of the weight in common, which honest members make up as long as less than a third is
//! faulty: that is what keeps two quorums from deciding differently. "At least two thirds" would not do: of three members of
//! equal weight, two and two have one in common, and that one may be the faulty one.

use crate::format::codec::FieldError;

/// The share of the weight that a quorum has to exceed: `numerator / denominator`, at least two thirds and less than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quorum {
    numerator: u32,
    denominator: u32,
}

impl Quorum {
    /// The least share that is safe.
    pub const TWO_THIRDS: Self = Self {
        numerator: 2,
        denominator: 3,
    };

    /// A quorum of strictly more than `numerator / denominator` of the weight.
    ///
    /// # Errors
    /// A share below two thirds, which two quorums could reach without an honest member in common; or of one and more, which
    /// nobody could exceed.
    pub fn new(numerator: u32, denominator: u32) -> Result<Self, FieldError> {
        let refused = |problem: &str| {
            let detail = format!("{numerator}/{denominator} {problem}");
            Err(FieldError::new("consensus.quorum", detail))
        };
        if numerator >= denominator {
            return refused("can't be exceeded: the share must be less than 1");
        }
        if u64::from(numerator) * 3 < u64::from(denominator) * 2 {
            return refused("is below 2/3, so that two quorums could decide differently");
        }
        Ok(Self {
            numerator,
            denominator,
        })
    }

    /// The share's numerator.
    #[must_use]
    pub const fn numerator(self) -> u32 {
        self.numerator
    }

    /// The share's denominator.
    #[must_use]
    pub const fn denominator(self) -> u32 {
        self.denominator
    }

    /// Whether `weight` is a quorum of `total`. Where there is no weight at all, nothing is.
    #[must_use]
    pub const fn is_reached(self, weight: u64, total: u64) -> bool {
        // 96 bits each.
        weight as u128 * self.denominator as u128 > total as u128 * self.numerator as u128
    }

    /// The smallest weight that is a quorum of `total`: at most `total`, or 1 where that is 0.
    #[must_use]
    pub const fn least(self, total: u64) -> u64 {
        let share = total as u128 * self.numerator as u128 / self.denominator as u128;
        // The share is below 1, so this is at most `total`, which is a `u64`.
        share as u64 + 1
    }

    /// Checks that nobody who computes with 64 bits overflows on members that weigh `total` together: `total` times the
    /// denominator has to be below 2⁶⁴. For the specification, and for whatever changes weights while a chain runs.
    ///
    /// # Errors
    /// A total that is too large, with the largest one.
    pub fn check_total(self, total: u128) -> Result<(), FieldError> {
        let limit = u64::MAX / u64::from(self.denominator);
        if total > u128::from(limit) {
            let detail = format!("all weights together are {total}, above the limit of {limit}");
            return Err(FieldError::new("members", detail));
        }
        Ok(())
    }
}

/// What all members weigh together; `None` if that is 2⁶⁴ or more, which specifications exclude.
#[must_use]
pub fn total_weight(weights: &[u64]) -> Option<u64> {
    weights
        .iter()
        .try_fold(0u64, |total, &weight| total.checked_add(weight))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn quorum() -> impl Strategy<Value = Quorum> {
        let small = (1u32..200).prop_flat_map(|d| ((2 * d).div_ceil(3).min(d - 1)..d, Just(d)));
        let large = (u32::MAX - 9..=u32::MAX).prop_flat_map(|d| (d / 3 * 2 + 2..d, Just(d)));
        prop_oneof![small, large].prop_filter_map("a share", |(n, d)| Quorum::new(n, d).ok())
    }

    #[test]
    fn two_thirds_themselves_are_not_enough() {
        let quorum = Quorum::TWO_THIRDS;
        assert!(!quorum.is_reached(66, 100));
        assert!(quorum.is_reached(67, 100));
        assert!(!quorum.is_reached(2, 3));
        assert!(quorum.is_reached(3, 3));
        assert!(!quorum.is_reached(66, 99));
        assert_eq!(quorum.least(99), 67);
        assert_eq!(
            [1, 3, 4, 7, 10].map(|total| quorum.least(total)),
            [1, 3, 3, 5, 7]
        );
    }

    #[test]
    fn strictly_more_than_67_of_100_is_another_rule_than_two_thirds() {
        let quorum = Quorum::new(67, 100).unwrap();
        assert!(!quorum.is_reached(67, 100));
        assert!(quorum.is_reached(68, 100));
    }

    #[test]
    fn shares_that_are_unsafe_or_out_of_reach_are_refused() {
        let refused = [
            (0, 0),
            (0, 1),
            (1, 1),
            (1, 2),
            (3, 2),
            (66, 100),
            (u32::MAX, u32::MAX),
        ];
        for (numerator, denominator) in refused {
            assert!(
                Quorum::new(numerator, denominator).is_err(),
                "{numerator}/{denominator}"
            );
        }
        for (numerator, denominator) in [(2, 3), (4, 6), (67, 100), (u32::MAX - 1, u32::MAX)] {
            assert!(
                Quorum::new(numerator, denominator).is_ok(),
                "{numerator}/{denominator}"
            );
        }
        assert_eq!(Quorum::new(2, 3).unwrap(), Quorum::TWO_THIRDS);
        let error = Quorum::new(1, 2).unwrap_err().to_string();
        assert_eq!(
            error,
            "consensus.quorum: 1/2 is below 2/3, so that two quorums could decide differently"
        );
    }

    #[test]
    fn no_weight_is_a_quorum_of_nothing() {
        assert!(!Quorum::TWO_THIRDS.is_reached(0, 0));
        assert_eq!(Quorum::TWO_THIRDS.least(0), 1);
    }

    #[test]
    fn weights_near_the_end_of_their_range_are_compared_exactly() {
        for total in [
            (1 << 63) - 1,
            1 << 63,
            (1 << 63) + 1,
            u64::MAX - 1,
            u64::MAX,
        ] {
            for quorum in [
                Quorum::TWO_THIRDS,
                Quorum::new(u32::MAX - 1, u32::MAX).unwrap(),
            ] {
                let least = quorum.least(total);
                assert!(least <= total);
                assert!(quorum.is_reached(least, total));
                assert!(!quorum.is_reached(least - 1, total));
            }
        }
        // 2⁶⁴ − 1 is three times 6148914691236517205.
        assert_eq!(
            Quorum::TWO_THIRDS.least(u64::MAX),
            2 * 6_148_914_691_236_517_205 + 1
        );
    }

    #[test]
    fn a_total_is_allowed_as_long_as_64_bits_hold_its_multiple() {
        let limit = u128::from(u64::MAX / 3);
        assert!(Quorum::TWO_THIRDS.check_total(limit).is_ok());
        assert!(Quorum::TWO_THIRDS.check_total(limit + 1).is_err());
        assert!(Quorum::TWO_THIRDS.check_total(u128::MAX).is_err());
        assert_eq!(total_weight(&[u64::MAX - 1, 1]), Some(u64::MAX));
        assert_eq!(total_weight(&[u64::MAX, 1]), None);
        assert_eq!(total_weight(&[]), Some(0));
    }

    proptest! {
        /// The naive rule counts up: the least weight is the first one whose multiple exceeds the share's.
        #[test]
        fn the_least_weight_is_the_first_that_reaches_it(quorum in quorum(), total in 0u64..2_000) {
            let (n, d) = (u128::from(quorum.numerator()), u128::from(quorum.denominator()));
            let reaches = |weight: &u64| u128::from(*weight) * d > u128::from(total) * n;
            let first = (0..).find(reaches).unwrap();
            prop_assert_eq!(quorum.least(total), first);
            for weight in [0, first - 1, first, first + 1, total] {
                prop_assert_eq!(quorum.is_reached(weight, total), weight >= first);
            }
        }

        #[test]
        fn two_quorums_share_more_than_a_third(
            quorum in quorum(),
            weights in prop::collection::vec((0u64..1_000, any::<bool>(), any::<bool>()), 1..20),
        ) {
            let sum = |chosen: &dyn Fn(&(u64, bool, bool)) -> bool| -> u64 {
                weights.iter().filter(|one| chosen(one)).map(|one| one.0).sum()
            };
            let total = sum(&|_| true);
            let both = sum(&|one| one.1 && one.2);
            if quorum.is_reached(sum(&|one| one.1), total) && quorum.is_reached(sum(&|one| one.2), total) {
                prop_assert!(both * 3 > total);
            }
        }

        #[test]
        fn a_total_that_was_checked_never_overflows(quorum in quorum(), total: u128, scale in 0u32..128) {
            let total = total >> scale;
            let allowed = quorum.check_total(total).is_ok();
            let held = total.checked_mul(quorum.denominator().into()).is_some_and(|m| u64::try_from(m).is_ok());
            prop_assert_eq!(allowed, held);
        }
    }
}
