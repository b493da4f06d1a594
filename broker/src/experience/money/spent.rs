//! What was spent in the period that ends now, kept in parts of the period. What is partly within counts wholly: a sum is never passed
//! for want of precision.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A period has this many parts.
const PARTS: i64 = 96;

/// Sums by part of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Length of a part, in seconds.
    step: i64,
    /// By number of the part, counted from the beginning of time.
    parts: BTreeMap<i64, u64>,
}

impl Spent {
    /// Nothing spent, for a period of this many seconds.
    pub fn new(period: u64) -> Self {
        Self {
            step: i64::try_from(period.div_ceil(PARTS.unsigned_abs())).unwrap_or(i64::MAX).max(1),
            parts: BTreeMap::new(),
        }
    }

    /// From what was written down: the length of a part, the number of the first, and the sums of it and of those after it. What makes no
    /// sense is nothing.
    pub fn read(period: u64, step: u64, first: i64, sums: &[u64]) -> Self {
        let step = i64::try_from(step).unwrap_or(i64::MAX).max(1);
        let most = usize::try_from(4 * PARTS).unwrap_or(usize::MAX);
        let parts =
            (first.max(0)..i64::MAX / step).zip(sums.iter().copied()).take(most).filter(|(_, sum)| *sum > 0).collect();
        let read = Self { step, parts };
        if read.step() == Self::new(period).step() { read } else { read.over(period) }
    }

    /// What is to be written down: the number of the first part that counts, and the sums of it and of those after it.
    pub fn written(&self, now: Timestamp) -> (i64, Vec<u64>) {
        let (last, first) = (self.part(now), self.part(now).saturating_sub(PARTS));
        let Some((&first, _)) = self.parts.range(first..=last).next() else { return (last, Vec::new()) };
        let mut sums: Vec<u64> = (first..=last).map(|part| self.parts.get(&part).copied().unwrap_or(0)).collect();
        // What a clock that was wrong noted for the future counts from now on.
        let later = self.parts.range(last + 1..).fold(0_u64, |sum, (_, part)| sum.saturating_add(*part));
        if let Some(sum) = sums.last_mut() {
            *sum = sum.saturating_add(later);
        }
        while sums.last() == Some(&0) {
            sums.pop();
        }
        (first, sums)
    }

    /// Length of a part, in seconds.
    pub fn step(&self) -> u64 {
        self.step.unsigned_abs()
    }

    /// Spent evenly between two moments. The parts add up to the whole.
    pub fn add(&mut self, amount: u64, began: Timestamp, ended: Timestamp) {
        let (first, last) = (self.part(began), self.part(ended));
        // What lies before the last period is in no sum, and is left out.
        let from = first.max(last - 2 * PARTS);
        let (start, length) = (began.as_second(), u128::from(ended.as_second().abs_diff(began.as_second())));
        // What had been spent at the beginning of a part.
        let before = |part: i64| -> u64 {
            if part <= first {
                return 0;
            }
            if length == 0 {
                return amount;
            }
            let passed = u128::try_from(part.saturating_mul(self.step).saturating_sub(start)).unwrap_or(0);
            u64::try_from(u128::from(amount) * passed.min(length) / length).unwrap_or(amount)
        };
        let sums: Vec<(i64, u64)> = (from..=last).map(|part| (part, before(part + 1) - before(part))).collect();
        for (part, sum) in sums {
            let whole = self.parts.entry(part).or_default();
            *whole = whole.saturating_add(sum);
        }
        while self.parts.len() > usize::try_from(4 * PARTS).unwrap_or(usize::MAX) {
            self.parts.pop_first();
        }
    }

    /// What was spent in the period that ends now. What a clock that was wrong noted for the future counts too.
    pub fn within(&self, now: Timestamp) -> u64 {
        let first = self.part(now).saturating_sub(PARTS);
        self.parts.range(first..).fold(0, |sum, (_, part)| sum.saturating_add(*part))
    }

    /// The same, in parts of another period.
    pub fn over(&self, period: u64) -> Self {
        let mut other = Self::new(period);
        for (part, sum) in &self.parts {
            // Its end: so it counts for as long as it may.
            let end = (part + 1).saturating_mul(self.step) - 1;
            let part = other.parts.entry(end.div_euclid(other.step)).or_default();
            *part = part.saturating_add(*sum);
        }
        other
    }

    fn part(&self, at: Timestamp) -> i64 {
        at.as_second().div_euclid(self.step)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::super::moment::after, *};

    fn at(second: u64) -> Timestamp {
        after(Timestamp::UNIX_EPOCH, second)
    }

    #[test]
    fn what_was_spent_counts_for_one_period_and_hardly_longer() {
        let mut spent = Spent::new(9_600);
        spent.add(500, at(100_000), at(100_000));
        assert_eq!((spent.within(at(100_000)), spent.within(at(109_600))), (500, 500));
        assert_eq!(spent.within(at(109_600 + 200)), 0);
    }

    #[test]
    fn a_long_life_counts_where_it_was_lived() {
        let mut spent = Spent::new(3_600);
        spent.add(10_000, at(100_000), at(136_000));
        let last = spent.within(at(136_000));
        assert!((1_000..=1_030).contains(&last), "the tenth hour, not all ten: {last}");
    }

    #[test]
    fn in_parts_of_another_period_what_was_spent_counts_for_as_long_as_it_may() {
        let mut spent = Spent::new(3_600);
        spent.add(70, at(1_000_000), at(1_000_000));
        assert_eq!(spent.over(3_600), spent);
        // The part of 38 seconds in which it was spent ends at 1,000,008, and those of the other period have 7.
        assert_eq!((spent.over(600).within(at(1_000_677)), spent.over(600).within(at(1_000_685))), (70, 0));
    }

    #[test]
    fn what_is_written_down_and_read_again_counts_once() {
        let mut spent = Spent::new(9_600);
        (0..5).for_each(|n| spent.add(10, at(100_000 + n * 100), at(100_000 + n * 100)));
        for now in [100_400, 100_200] {
            let (first, sums) = spent.written(at(now));
            let read = Spent::read(9_600, spent.step(), first, &sums);
            assert_eq!((read.within(at(now)), sums.len()), (50, usize::try_from(now / 100 - 999).unwrap()), "{now}");
        }
    }

    #[test]
    fn another_period_forgets_nothing_that_it_holds() {
        let mut spent = Spent::new(3_600);
        spent.add(70, at(1_000_000), at(1_000_000));
        assert_eq!(spent.over(86_400).within(at(1_040_000)), 70);
        assert_eq!(spent.over(600).within(at(1_002_000)), 0);
    }

    proptest! {
        #[test]
        fn no_part_of_a_life_within_the_period_is_lost(amount in any::<u32>(), began in 1_u64..1_000_000, length in 0_u64..9_000) {
            let mut spent = Spent::new(9_600);
            spent.add(u64::from(amount), at(began), at(began + length));
            prop_assert_eq!(spent.within(at(began + length)), u64::from(amount));
        }

        #[test]
        fn it_is_bounded(lives in prop::collection::vec((0_u64..100_000_000, 0_u64..10_000_000), 0..50)) {
            let mut spent = Spent::new(86_400);
            for (began, length) in lives {
                spent.add(1_000_000, at(began), at(began + length));
                prop_assert!(spent.parts.len() <= 4 * 96);
            }
        }
    }
}
