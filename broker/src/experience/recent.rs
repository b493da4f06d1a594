//! The last few measurements of one thing, from which its middle and its spread are told. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// This many measurements are kept: what is older no longer says how it is now.
const KEPT: usize = 32;

/// The last measurements, as whole numbers in whatever unit the caller has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent(VecDeque<u32>);

impl Recent {
    /// One more measurement.
    pub fn note(&mut self, value: u64) {
        while self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(u32::try_from(value).unwrap_or(u32::MAX));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value that `hundredths` of a hundred measurements do not exceed: 50 for the median. `None` without measurements.
    pub fn quantile(&self, hundredths: usize) -> Option<u64> {
        let sorted = self.sorted();
        let rank = (sorted.len() * hundredths.min(100)).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }

    /// The mean of the measurements, rounded down; `None`: there is none.
    pub fn mean(&self) -> Option<u64> {
        let sum: u64 = self.0.iter().copied().map(u64::from).sum();
        sum.checked_div(self.0.len() as u64)
    }

    /// How far the measurements lie from the mean, in the middle (the mean absolute deviation).
    pub fn spread(&self) -> Option<u64> {
        let mean = self.mean()?;
        let sum: u64 = self.0.iter().map(|value| u64::from(*value).abs_diff(mean)).sum();
        sum.checked_div(self.0.len() as u64)
    }

    /// Those greater than this one, in rising order.
    pub fn above(&self, value: u64) -> Vec<u64> {
        let mut sorted = self.sorted();
        sorted.retain(|one| *one > value);
        sorted
    }

    fn sorted(&self) -> Vec<u64> {
        let mut sorted: Vec<u64> = self.0.iter().copied().map(u64::from).collect();
        sorted.sort_unstable();
        sorted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Recent {
        let mut recent = Recent::default();
        values.into_iter().for_each(|value| recent.note(value));
        recent
    }

    #[test]
    fn without_measurements_nothing_is_said() {
        let none = Recent::default();
        assert_eq!((none.quantile(50), none.mean(), none.spread()), (None, None, None));
    }

    #[test]
    fn the_middle_and_the_spread_are_those_of_the_measurements() {
        let ten = of(1..=10);
        assert_eq!((ten.quantile(50), ten.quantile(90), ten.quantile(100)), (Some(5), Some(9), Some(10)));
        assert_eq!((ten.mean(), ten.spread()), (Some(5), Some(2)));
        assert_eq!((of([7]).quantile(50), of([7]).spread()), (Some(7), Some(0)));
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let changed = of((0..100).map(|_| 10).chain((0..32).map(|_| 1_000)));
        assert_eq!((changed.quantile(50), changed.len()), (Some(1_000), KEPT));
    }

    proptest! {
        #[test]
        fn quantiles_rise_and_lie_among_the_measurements(values in prop::collection::vec(any::<u64>(), 1..80)) {
            let recent = of(values);
            let all: Vec<u64> = (0..=100).filter_map(|q| recent.quantile(q)).collect();
            prop_assert_eq!(all.len(), 101);
            prop_assert!(all.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert!(recent.mean() >= Some(all[0]) && recent.mean() <= Some(all[100]));
        }
    }
}
