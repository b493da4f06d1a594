//! What a cloud refused a moment ago, and what came to nothing, and how long each is left alone. Pure.
//!
//! A refusal pauses all that it reaches (an offer, a zone, a class of quota, the cloud) for ten seconds, and each further one for twice
//! as long. After a pause one VM tries; when it is granted the way is open, and the next refusal pauses for half as long as it would
//! have. So a lone refusal costs ten seconds, and a full cloud about ten calls an hour. Time is steady time: nothing of this
//! outlives the process.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use broker::cloud::Scope;
use tokio::time::Instant;

use super::place::{Lot, Place, Reach};

/// The first pause after a refusal.
const FIRST: Duration = Duration::from_secs(10);
/// The first pause after VMs that came to nothing: each cost money.
const FIRST_AFTER_FAILURES: Duration = Duration::from_secs(180);
const LONGEST: Duration = Duration::from_secs(1800);
/// As many VMs in a row that never asked for work are no accident, and the next would cost money too.
const FAILURES_IN_A_ROW: u32 = 5;
/// A VM that tries, and of which nothing was heard for this long, does not keep others from trying.
const TRIAL: Duration = Duration::from_secs(120);

/// What is held against the offers of one cloud.
#[derive(Debug, Default)]
pub struct Exhausted {
    refused: BTreeMap<Reach, Pause>,
    lots: BTreeMap<Lot, Tried>,
}

#[derive(Debug)]
struct Pause {
    /// Refusals so far, less those that grants have made good: the pause is doubled as often.
    level: u32,
    until: Instant,
    /// After the pause only one VM at a time tries, until one is granted.
    is_closed: bool,
    trial: Option<Instant>,
}

#[derive(Debug, Default)]
struct Tried {
    /// VMs whose pilots asked for work, since the last time that too many failed.
    worked: u64,
    failed_in_a_row: u32,
    /// Pauses so far, and the end of the last.
    pauses: u32,
    until: Option<Instant>,
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(LONGEST)
}

impl Pause {
    fn is_on(&self, now: Instant) -> bool {
        now < self.until
    }

    fn is_trying(&self, now: Instant) -> bool {
        self.trial.is_some_and(|began| now.duration_since(began) < TRIAL)
    }
}

impl Exhausted {
    /// The provider refused a VM here. Refusals within one pause are one refusal.
    pub fn refused(&mut self, scope: Scope, place: &Place, class: Option<&str>, now: Instant) {
        let reach = Reach::of(scope, place, class);
        let level = match self.refused.get(&reach) {
            Some(pause) if pause.is_on(now) => return,
            Some(pause) => pause.level.saturating_add(1),
            None => 0,
        };
        let pause = Pause { level, until: now + doubled(FIRST, level), is_closed: true, trial: None };
        self.refused.insert(reach, pause);
    }

    /// The provider made a VM here. What was ordered before a refusal says nothing against it.
    pub fn granted(&mut self, place: &Place, class: Option<&str>, now: Instant) {
        self.refused.retain(|reach, pause| {
            if !reach.covers(place, class) || pause.is_on(now) {
                return true;
            }
            (pause.is_closed, pause.trial) = (false, None);
            pause.level = pause.level.saturating_sub(1);
            pause.level > 0
        });
    }

    /// Whether a VM may be ordered here now. After a pause the first one that asks may, and the others wait for what comes of it.
    pub fn may_try(&mut self, place: &Place, class: Option<&str>, now: Instant) -> bool {
        let mut covering: Vec<_> = self.refused.iter_mut().filter(|(reach, _)| reach.covers(place, class)).collect();
        let is_open = covering.iter().all(|(_, p)| !(p.is_on(now) || p.is_closed && p.is_trying(now)));
        if is_open {
            covering.iter_mut().filter(|(_, p)| p.is_closed).for_each(|(_, p)| p.trial = Some(now));
        }
        is_open
    }

    /// A VM of this lot came to nothing.
    pub fn failed(&mut self, lot: &Lot, now: Instant) {
        let tried = self.lots.entry(lot.clone()).or_default();
        tried.failed_in_a_row = tried.failed_in_a_row.saturating_add(1);
        let is_on = tried.until.is_some_and(|until| now < until);
        if tried.failed_in_a_row >= FAILURES_IN_A_ROW && !is_on {
            tried.until = Some(now + doubled(FIRST_AFTER_FAILURES, tried.pauses));
            tried.pauses = tried.pauses.saturating_add(1);
            tried.worked = 0;
        }
    }

    /// The pilot of a VM of this lot asks for work: nothing is held against the lot any more.
    pub fn worked(&mut self, lot: &Lot) {
        let worked = self.lots.get(lot).map_or(0, |tried| tried.worked);
        self.lots.insert(lot.clone(), Tried { worked: worked.saturating_add(1), ..Tried::default() });
    }

    /// What of these places, each with its class of quota, is to be left alone now.
    pub fn refused_places<'a>(
        &self,
        offers: impl IntoIterator<Item = (&'a Place, &'a str)>,
        now: Instant,
    ) -> BTreeSet<Place> {
        let on: Vec<&Reach> = self.refused.iter().filter(|(_, p)| p.is_on(now)).map(|(reach, _)| reach).collect();
        let refused = |(place, class): &(&Place, &str)| on.iter().any(|reach| reach.covers(place, Some(class)));
        offers.into_iter().filter(refused).map(|(place, _)| place.clone()).collect()
    }

    /// Places that the pool is to leave alone now, whichever its image.
    pub fn failing(&self, pool: &str, now: Instant) -> BTreeSet<Place> {
        let is_on = |tried: &Tried| tried.until.is_some_and(|until| now < until);
        self.lots.iter().filter(|(lot, t)| lot.pool == pool && is_on(t)).map(|(lot, _)| lot.place.clone()).collect()
    }

    /// How many VMs of each lot worked, since the last time that too many of it came to nothing.
    pub fn worked_lots(&self) -> Vec<(Lot, u64)> {
        self.lots.iter().filter(|(_, t)| t.worked > 0).map(|(lot, t)| (lot.clone(), t.worked)).collect()
    }

    /// Forgets the pools that `pools` does not name.
    pub fn retain(&mut self, pools: impl Fn(&str) -> bool) {
        self.lots.retain(|lot, _| pools(&lot.pool));
    }
}

#[cfg(test)]
#[path = "exhausted_tests.rs"]
mod tests;
