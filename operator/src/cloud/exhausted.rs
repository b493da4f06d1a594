//! Offerings that were refused a moment ago, and are left alone for a while.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

/// The first pause; each further refusal doubles it. 20 calls an hour at most find out that a full cloud has room again.
const FIRST: SignedDuration = SignedDuration::from_mins(3);
const LONGEST: SignedDuration = SignedDuration::from_mins(30);

/// Refused offerings of one cloud, by flavor and zone.
#[derive(Debug, Default)]
pub struct Exhausted(HashMap<(String, Option<String>), Refusal>);

#[derive(Debug)]
struct Refusal {
    pause: SignedDuration,
    until: Timestamp,
}

impl Exhausted {
    /// The provider refused this offering. Refusals within one pause are one refusal.
    pub fn refused(&mut self, flavor: &str, zone: Option<&str>, now: Timestamp) {
        let key = (flavor.to_owned(), zone.map(str::to_owned));
        match self.0.get_mut(&key) {
            Some(refusal) if refusal.until > now => {}
            Some(refusal) => {
                refusal.pause = (refusal.pause * 2).min(LONGEST);
                refusal.until = now + refusal.pause;
            }
            None => {
                self.0.insert(key, Refusal { pause: FIRST, until: now + FIRST });
            }
        }
    }

    /// The provider made a VM of this offering: the next refusal is a first one.
    pub fn granted(&mut self, flavor: &str, zone: Option<&str>) {
        self.0.remove(&(flavor.to_owned(), zone.map(str::to_owned)));
    }

    /// Whether the offering is to be left alone now.
    pub fn is_refused(&self, flavor: &str, zone: Option<&str>, now: Timestamp) -> bool {
        self.0.get(&(flavor.to_owned(), zone.map(str::to_owned))).is_some_and(|r| r.until > now)
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
    fn a_granted_offering_starts_anew() {
        let mut e = Exhausted::default();
        e.refused("c8", None, at(0));
        e.granted("c8", None);
        assert!(!e.is_refused("c8", None, at(1)));
    }
}
