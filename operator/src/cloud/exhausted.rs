//! Offerings that were refused a moment ago, or whose VMs come to nothing one after the other, and are left alone for a while.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

/// The first pause; each further refusal doubles it. 20 calls an hour at most find out that a full cloud has room again.
const FIRST: SignedDuration = SignedDuration::from_mins(3);
const LONGEST: SignedDuration = SignedDuration::from_mins(30);
/// So many VMs in a row that never asked for work are no accident: each costs money, and the next would too.
const FAILURES_IN_A_ROW: u32 = 5;

/// What is held against the offerings of one cloud, by flavor and zone.
#[derive(Debug, Default)]
pub struct Exhausted(HashMap<(String, Option<String>), Record>);

#[derive(Debug, Default)]
struct Record {
    /// VMs that came to nothing since the last that worked.
    failures: u32,
    refusal: Option<Refusal>,
}

#[derive(Debug)]
struct Refusal {
    pause: SignedDuration,
    until: Timestamp,
}

fn key(flavor: &str, zone: Option<&str>) -> (String, Option<String>) {
    (flavor.to_owned(), zone.map(str::to_owned))
}

impl Exhausted {
    /// The provider refused this offering. Refusals within one pause are one refusal.
    pub fn refused(&mut self, flavor: &str, zone: Option<&str>, now: Timestamp) {
        let record = self.0.entry(key(flavor, zone)).or_default();
        match &mut record.refusal {
            Some(refusal) if refusal.until > now => {}
            Some(refusal) => {
                refusal.pause = (refusal.pause * 2).min(LONGEST);
                refusal.until = now + refusal.pause;
            }
            None => record.refusal = Some(Refusal { pause: FIRST, until: now + FIRST }),
        }
    }

    /// The provider made a VM of this offering: the next refusal is a first one.
    pub fn granted(&mut self, flavor: &str, zone: Option<&str>) {
        if let Some(record) = self.0.get_mut(&key(flavor, zone))
            && record.failures < FAILURES_IN_A_ROW
        {
            record.refusal = None;
        }
    }

    /// A VM of this offering was made and came to nothing. Many in a row are as good as a refusal.
    pub fn failed(&mut self, flavor: &str, zone: Option<&str>, now: Timestamp) {
        let record = self.0.entry(key(flavor, zone)).or_default();
        record.failures = record.failures.saturating_add(1);
        if record.failures >= FAILURES_IN_A_ROW {
            self.refused(flavor, zone, now);
        }
    }

    /// The pilot of a VM of this offering asks for work: nothing is held against it any more.
    pub fn worked(&mut self, flavor: &str, zone: Option<&str>) {
        self.0.remove(&key(flavor, zone));
    }

    /// Whether the offering is to be left alone now.
    pub fn is_refused(&self, flavor: &str, zone: Option<&str>, now: Timestamp) -> bool {
        let record = self.0.get(&key(flavor, zone));
        record.and_then(|r| r.refusal.as_ref()).is_some_and(|refusal| refusal.until > now)
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
    fn five_vms_in_a_row_that_come_to_nothing_are_a_refusal_until_one_works() {
        let mut e = Exhausted::default();
        for _ in 0..4 {
            e.failed("c8", None, at(0));
        }
        assert!(!e.is_refused("c8", None, at(0)));
        e.failed("c8", None, at(0));
        assert!(e.is_refused("c8", None, at(2)));
        e.granted("c8", None);
        e.failed("c8", None, at(4));
        assert!(e.is_refused("c8", None, at(9)), "the pause is a second one: that a VM is made proves nothing");
        e.worked("c8", None);
        e.failed("c8", None, at(9));
        assert!(!e.is_refused("c8", None, at(9)));
    }

    #[test]
    fn a_granted_offering_starts_anew() {
        let mut e = Exhausted::default();
        e.refused("c8", None, at(0));
        e.granted("c8", None);
        assert!(!e.is_refused("c8", None, at(1)));
    }
}
