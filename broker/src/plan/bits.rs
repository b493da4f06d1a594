//! A set of small numbers.

/// A set of numbers below a bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// None of the numbers below `bound`.
    pub fn none(bound: usize) -> Self {
        Self(vec![0; bound.div_ceil(64)])
    }

    /// Puts a number in.
    pub fn add(&mut self, n: usize) {
        if let Some(word) = self.0.get_mut(n / 64) {
            *word |= 1 << (n % 64);
        }
    }

    /// Whether a number is in.
    pub fn has(&self, n: usize) -> bool {
        self.0.get(n / 64).is_some_and(|word| word & (1 << (n % 64)) != 0)
    }

    pub fn or(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    /// Keeps what is in `other` too.
    pub fn and(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
    }

    /// How many are in both.
    pub fn common(&self, other: &Self) -> u32 {
        self.0.iter().zip(&other.0).map(|(word, other)| (word & other).count_ones()).sum()
    }

    /// Takes out all of `other`.
    pub fn without(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= !other);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const BOUND: usize = 200;

    fn bits(numbers: &[usize]) -> Bits {
        let mut bits = Bits::none(BOUND);
        numbers.iter().for_each(|n| bits.add(*n));
        bits
    }

    proptest! {
        #[test]
        fn numbers_are_kept_as_in_any_other_set(
            some in prop::collection::vec(0..BOUND, 0..60), others in prop::collection::vec(0..BOUND, 0..60),
        ) {
            let (a, b): (BTreeSet<usize>, BTreeSet<usize>) =
                (some.iter().copied().collect(), others.iter().copied().collect());
            let (some, others) = (bits(&some), bits(&others));
            let after = |change: fn(&mut Bits, &Bits)| {
                let mut all = some.clone();
                change(&mut all, &others);
                (0..BOUND).filter(|n| all.has(*n)).collect::<BTreeSet<usize>>()
            };
            prop_assert_eq!(after(|_, _| ()), a.clone());
            prop_assert_eq!(after(Bits::or), &a | &b);
            prop_assert_eq!(after(Bits::and), &a & &b);
            prop_assert_eq!(after(Bits::without), &a - &b);
            prop_assert_eq!(some.common(&others) as usize, (&a & &b).len());
        }
    }
}
