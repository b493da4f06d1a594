//! Chance, from a seed. Each purpose has dice of its own, so that the jobs that arrive, and how long they run, are the same under every
//! policy.

use crds::Duration;
use rand::{Rng, SeedableRng, rngs::Xoshiro256PlusPlus};
use serde::{Deserialize, Deserializer, de};

use crate::time::{Ms, ms};

/// A small and fast source of chance.
#[derive(Clone, Debug)]
pub struct Dice(Xoshiro256PlusPlus);

impl Dice {
    /// Dice for one purpose: other purposes of the same seed do not change what they show.
    pub fn new(seed: u64, purpose: &str) -> Self {
        // FNV-1a: only two purposes of one seed must not share a stream.
        let hash =
            purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        Self(Xoshiro256PlusPlus::seed_from_u64(seed ^ hash))
    }

    /// From 0 up to, not including, 1.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Whether something happens that happens with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        p > 0.0 && self.unit() < p
    }

    /// A whole number below `n`, which is at least 1.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }

    /// The time until the next of events that come at random: this many an hour on average. `None`: there are none.
    pub fn until_next(&mut self, per_hour: f64) -> Option<Ms> {
        (per_hour > 0.0).then(|| (-(1.0 - self.unit()).ln() / per_hour * 3_600_000.0).min(1e15) as Ms)
    }

    /// A length of time.
    pub fn draw(&mut self, spread: &Spread) -> Ms {
        let normal = (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos();
        (ms(spread.median) as f64 * spread.spread.powf(normal)) as Ms
    }
}

/// A length of time that varies: log-normal, half of the cases are below `median`, and two thirds lie between `median / spread` and
/// `median * spread`. Written as a duration where it does not vary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half of the cases are shorter.
    pub median: Duration,
    /// How much they vary, 1 or more; 1: not at all.
    pub spread: f64,
}

impl Spread {
    /// A length of time that does not vary.
    pub const fn fixed(seconds: u64) -> Self {
        Self { median: Duration::from_secs(seconds), spread: 1.0 }
    }
}

impl<'de> Deserialize<'de> for Spread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            median: Duration,
            #[serde(default = "one")]
            spread: f64,
        }
        fn one() -> f64 {
            1.0
        }
        struct Either;
        impl<'de> de::Visitor<'de> for Either {
            type Value = Spread;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration, for example 40s, or {median: 40s, spread: 1.3}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Spread, E> {
                text.parse().map(|median| Spread { median, spread: 1.0 }).map_err(E::custom)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Spread, A::Error> {
                let Written { median, spread } = Written::deserialize(de::value::MapAccessDeserializer::new(map))?;
                if (1.0..=100.0).contains(&spread) {
                    Ok(Spread { median, spread })
                } else {
                    Err(de::Error::custom(format!("spread is {spread}: write a number from 1 (no variation) to 100")))
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_purpose_give_the_same_throws() {
        let throws = |seed, purpose| {
            let mut dice = Dice::new(seed, purpose);
            (0..5).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(throws(1, "a"), throws(1, "a"));
        assert_ne!(throws(1, "a"), throws(1, "b"));
        assert_ne!(throws(1, "a"), throws(2, "a"));
    }

    #[test]
    fn half_of_what_is_drawn_lies_below_the_median() {
        let (mut dice, spread) = (Dice::new(7, "x"), Spread { median: Duration::from_secs(100), spread: 1.5 });
        let drawn: Vec<Ms> = (0..10_000).map(|_| dice.draw(&spread)).collect();
        let below = drawn.iter().filter(|d| **d < 100_000).count();
        let near = drawn.iter().filter(|d| (66_666..=150_000).contains(*d)).count();
        assert!((4_800..5_200).contains(&below), "{below}");
        assert!((6_600..7_050).contains(&near), "two thirds: {near}");
        assert_eq!(dice.draw(&Spread::fixed(3)), 3_000);
    }

    #[test]
    fn events_come_as_often_as_they_are_said_to() {
        let mut dice = Dice::new(3, "x");
        let sum: Ms = (0..10_000).filter_map(|_| dice.until_next(60.0)).sum();
        assert!((58..62).contains(&(sum / 10_000 / 1_000)), "{sum}");
        assert_eq!(dice.until_next(0.0), None);
    }
}
