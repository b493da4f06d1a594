//! How often a provider takes VMs back, by offering: a rate that fades. Pure.
//!
//! The rate is the VMs that were taken back, over the hours that VMs lived, and [`PRIOR`] hours more in which none was: so the first VM that
//! goes is not the rule. Both count half after [`HALF`]. The hours of VMs that live are told by who asks, since they are known only then.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Kept, Lot, moment::seconds};
use crate::cloud::Purchase;

/// Hours in which no VM is thought to have been taken back before anything is known.
const PRIOR: f64 = 20.0;
/// After this time what was seen counts half, in seconds.
const HALF: f64 = 12.0 * 3_600.0;
/// What has faded to less than this part of a VM is forgotten.
const LEAST: f64 = 0.02;

/// An offering: what is bought, whatever boots there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Offering {
    /// Name of the Cloud object.
    pub cloud: Arc<str>,
    /// Availability zone; `None`: the provider chooses.
    pub zone: Option<Arc<str>>,
    /// Name of the flavor.
    pub flavor: Arc<str>,
    /// Way of buying.
    pub purchase: Purchase,
}

impl Offering {
    /// That of a lot.
    pub fn of(lot: &Lot) -> Self {
        Self { cloud: lot.cloud.clone(), zone: lot.zone.clone(), flavor: lot.flavor.clone(), purchase: lot.purchase }
    }
}

/// What was seen of one offering, as it counted at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// VMs that were taken back.
    pub reclaimed: f64,
    /// Hours that VMs lived which are gone.
    pub hours: f64,
    /// The moment.
    pub at: Timestamp,
}

impl Seen {
    fn at(self, now: Timestamp) -> Self {
        let fade = 0.5_f64.powf(seconds(self.at, now) as f64 / HALF);
        Self { reclaimed: self.reclaimed * fade, hours: self.hours * fade, at: now.max(self.at) }
    }
}

/// How often VMs are taken back, by offering.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reclaims(Kept<Offering, Seen>);

impl Reclaims {
    /// A VM is gone that lived for so long; `reclaimed`: the provider took it back.
    pub fn lived(&mut self, offering: &Offering, lived: u64, reclaimed: bool, now: Timestamp) {
        let seen = self.0.entry(offering, now, || Seen { reclaimed: 0.0, hours: 0.0, at: now });
        *seen = seen.at(now);
        seen.hours += lived as f64 / 3_600.0;
        seen.reclaimed += if reclaimed { 1.0 } else { 0.0 };
    }

    /// How many of a thousand VMs are taken back in an hour, where VMs that live have lived for `living` seconds together; `None`: none was
    /// lately.
    pub fn per_thousand_hours(&self, offering: &Offering, living: u64, now: Timestamp) -> Option<u64> {
        let seen = self.0.get(offering)?.at(now);
        let hours = seen.hours + living as f64 / 3_600.0 + PRIOR;
        let rate = (seen.reclaimed >= LEAST).then_some(seen.reclaimed / hours * 1_000.0)?;
        Some(rate.round() as u64).filter(|rate| *rate > 0)
    }

    /// What was seen of each offering of which a VM was taken back lately, for a status.
    pub fn all(&self, now: Timestamp) -> impl Iterator<Item = (&Offering, Seen)> {
        self.0.iter().filter(move |(_, seen)| seen.at(now).reclaimed >= LEAST).map(|(offering, seen)| (offering, *seen))
    }

    /// What was written down before a restart. What was seen since is newer, and stays.
    pub fn remember(&mut self, all: impl IntoIterator<Item = (Offering, Seen)>, now: Timestamp) {
        for (offering, seen) in all {
            let is_sound = |n: f64| n.is_finite() && n >= 0.0;
            if is_sound(seen.reclaimed) && is_sound(seen.hours) {
                self.0.entry(&offering, now, || Seen { at: seen.at.min(now), ..seen });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::moment::after, *};

    fn at(hours: u64) -> Timestamp {
        after(Timestamp::UNIX_EPOCH, 1_700_000_000 + hours * 3_600)
    }
    fn spot() -> Offering {
        Offering { cloud: "aws".into(), zone: None, flavor: "c8".into(), purchase: Purchase::Spot }
    }
    fn rate(reclaims: &Reclaims, living: u64, hours: u64) -> Option<u64> {
        reclaims.per_thousand_hours(&spot(), living * 3_600, at(hours))
    }

    #[test]
    fn the_rate_rises_with_each_vm_that_is_taken_back_and_one_is_not_the_rule() {
        let mut reclaims = Reclaims::default();
        assert_eq!(rate(&reclaims, 0, 0), None);
        reclaims.lived(&spot(), 3_600, false, at(0));
        assert_eq!(rate(&reclaims, 0, 0), None, "none was taken back");
        reclaims.lived(&spot(), 4 * 3_600, true, at(0));
        assert_eq!(rate(&reclaims, 0, 0), Some(40), "one in 25 hours");
        (0..9).for_each(|_| reclaims.lived(&spot(), 0, true, at(0)));
        assert_eq!(rate(&reclaims, 0, 0), Some(400));
        assert_eq!(rate(&reclaims, 75, 0), Some(100), "those that live on show that it is not so bad");
        let other = Offering { purchase: Purchase::OnDemand, ..spot() };
        assert_eq!(reclaims.per_thousand_hours(&other, 0, at(0)), None);
    }

    #[test]
    fn it_recovers_with_time() {
        let mut reclaims = Reclaims::default();
        (0..10).for_each(|_| reclaims.lived(&spot(), 3_600, true, at(0)));
        let rates: Vec<Option<u64>> = [0, 12, 24, 48, 240].map(|hours| rate(&reclaims, 0, hours)).into();
        assert_eq!(rates, [Some(333), Some(200), Some(111), Some(30), None]);
        assert_eq!((reclaims.all(at(24)).count(), reclaims.all(at(240)).count()), (1, 0));
    }

    #[test]
    fn what_was_written_down_is_taken_over_and_what_a_hand_spoilt_is_not() {
        let mut reclaims = Reclaims::default();
        reclaims.lived(&spot(), 3_600, true, at(0));
        let written: Vec<(Offering, Seen)> = reclaims.all(at(1)).map(|(of, seen)| (of.clone(), seen)).collect();
        let mut again = Reclaims::default();
        again.remember(written, at(2));
        assert_eq!(rate(&again, 0, 12), rate(&reclaims, 0, 12));
        let mut bad = Reclaims::default();
        bad.remember([(spot(), Seen { reclaimed: f64::NAN, hours: -1.0, at: at(0) })], at(2));
        assert_eq!(bad, Reclaims::default());
        let text = serde_json::to_string(&reclaims).unwrap();
        assert_eq!(serde_json::from_str::<Reclaims>(&text).unwrap(), reclaims);
    }
}
