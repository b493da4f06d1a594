//! Offerings that were refused a moment ago, or whose VMs come to nothing one after the other, and are left alone for a while.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

/// The first pause; each further refusal doubles it. 20 calls an hour at most find out that a full cloud has room again.
const FIRST: SignedDuration = SignedDuration::from_mins(3);
const LONGEST: SignedDuration = SignedDuration::from_mins(30);
/// So many VMs in a row that never asked for work are no accident: each costs money, and the next would too.
const FAILURES_IN_A_ROW: u32 = 5;

/// What is held against the offerings of one cloud.
#[derive(Debug, Default)]
pub struct Exhausted {
    /// What the cloud refused, by flavor and zone: for every pool.
    refused: HashMap<Place, Pause>,
    /// What came to nothing, by pool, flavor and zone: another pool's image or user-data may do better.
    failing: HashMap<(String, Place), Failures>,
}

/// Flavor and zone.
pub type Place = (String, Option<String>);

#[derive(Debug)]
struct Pause {
    long: SignedDuration,
    until: Timestamp,
}

#[derive(Debug, Default)]
struct Failures {
    /// Since the last VM that worked.
    in_a_row: u32,
    pause: Option<Pause>,
}

impl Pause {
    /// A first pause, or one twice as long as the last; within a pause nothing changes.
    fn next(last: Option<Self>, now: Timestamp) -> Self {
        match last {
            Some(pause) if pause.until > now => pause,
            Some(pause) => {
                let long = (pause.long * 2).min(LONGEST);
                Self { long, until: now + long }
            }
            None => Self { long: FIRST, until: now + FIRST },
        }
    }
}

fn place(flavor: &str, zone: Option<&str>) -> Place {
    (flavor.to_owned(), zone.map(str::to_owned))
}

impl Exhausted {
    /// The provider refused this offering. Refusals within one pause are one refusal.
    pub fn refused(&mut self, flavor: &str, zone: Option<&str>, now: Timestamp) {
        let place = place(flavor, zone);
        let pause = Pause::next(self.refused.remove(&place), now);
        self.refused.insert(place, pause);
    }

    /// The provider made a VM of this offering: the next refusal is a first one.
    pub fn granted(&mut self, flavor: &str, zone: Option<&str>) {
        self.refused.remove(&place(flavor, zone));
    }

    /// Whether the offering is to be left alone now.
    pub fn is_refused(&self, flavor: &str, zone: Option<&str>, now: Timestamp) -> bool {
        self.refused.get(&place(flavor, zone)).is_some_and(|pause| pause.until > now)
    }

    /// A VM of this offering came to nothing in the pool.
    pub fn failed(&mut self, pool: &str, flavor: &str, zone: Option<&str>, now: Timestamp) {
        let failures = self.failing.entry((pool.to_owned(), place(flavor, zone))).or_default();
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        if failures.in_a_row >= FAILURES_IN_A_ROW {
            failures.pause = Some(Pause::next(failures.pause.take(), now));
        }
    }

    /// The pilot of a VM of this offering asks for work: nothing is held against it any more.
    pub fn worked(&mut self, pool: &str, flavor: &str, zone: Option<&str>) {
        self.failing.remove(&(pool.to_owned(), place(flavor, zone)));
    }

    /// Flavors and zones that the pool is to leave alone now.
    pub fn failing(&self, pool: &str, now: Timestamp) -> Vec<Place> {
        let paused = |f: &Failures| f.pause.as_ref().is_some_and(|pause| pause.until > now);
        self.failing.iter().filter(|((p, _), f)| p == pool && paused(f)).map(|((_, place), _)| place.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    #[test]
    fn a_refused_offering_is_left_alone_for_three_minutes() {
        let mut e = Exhausted::default();
        e.refused("c8", None, at(0));
        assert!(e.is_refused("c8", None, at(2)));
        assert!(!e.is_refused("c8", Some("z"), at(2)));
        assert!(!e.is_refused("c8", None, at(3)));
    }

    #[test]
    fn each_refusal_after_a_pause_doubles_the_pause() {
        let mut e = Exhausted::default();
        e.refused("c8", None, at(0));
        e.refused("c8", None, at(1));
        e.refused("c8", None, at(4));
        assert!(e.is_refused("c8", None, at(9)));
        assert!(!e.is_refused("c8", None, at(10)));
    }

    #[test]
    fn five_vms_in_a_row_that_come_to_nothing_pause_the_offering_in_their_pool_until_one_works() {
        let mut e = Exhausted::default();
        let place = [("c8".to_owned(), None)];
        for _ in 0..4 {
            e.failed("cpu", "c8", None, at(0));
        }
        assert!(e.failing("cpu", at(0)).is_empty());
        e.failed("cpu", "c8", None, at(0));
        assert_eq!(e.failing("cpu", at(2)), place);
        assert!(e.failing("other", at(2)).is_empty() && !e.is_refused("c8", None, at(2)), "others may buy it");
        e.failed("cpu", "c8", None, at(4));
        assert_eq!(e.failing("cpu", at(9)), place, "the pause is a second one");
        e.worked("cpu", "c8", None);
        e.failed("cpu", "c8", None, at(9));
        assert!(e.failing("cpu", at(9)).is_empty());
    }

    #[test]
    fn a_granted_offering_starts_anew() {
        let mut e = Exhausted::default();
        e.refused("c8", None, at(0));
        e.granted("c8", None);
        assert!(!e.is_refused("c8", None, at(1)));
    }
}
