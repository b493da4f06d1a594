//! How many VMs may be bought from a cloud now: a value that a round counts down while it applies its plan. Pure, and serialisable.
//!
//! Two things bound it. What the provider refused is left alone for a while, and tried with one VM afterwards. And VMs of one lot (one
//! pool, image and place) are bought along a ramp: ten may boot before the first has ever worked, and each that works doubles that. So a
//! bad image in a pool of 20,000 buys ten VMs, not 20,000.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::place::{Lot, Place, Reach};

/// As many VMs of a lot may boot before the first has worked.
const FIRST: u64 = 10;

/// VMs of a lot that may boot at once, when `worked` of them have worked.
fn ramp(worked: u64) -> u64 {
    let doublings = u32::try_from(worked.min(32)).unwrap_or(32);
    FIRST << doublings
}

/// What a lot has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// VMs that have worked.
    pub worked: u64,
    /// VMs that were ordered and have not worked yet.
    pub booting: u64,
    /// Whether the last ones came to nothing, so that one alone is to try.
    pub failing: bool,
    /// Whether none is to try now.
    pub paused: bool,
}

impl Outcomes {
    /// How many more may be bought.
    fn allowance(self) -> u64 {
        let most = match (self.paused, self.failing) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => ramp(self.worked),
        };
        most.saturating_sub(self.booting)
    }
}

/// How far a VM of ours is that still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its PilotVM is there, and the provider has not made it yet.
    Ordered,
    /// The provider has made it.
    Booting,
    /// Its pilot has asked for work.
    Working,
}

/// Why a VM may not be bought now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// The provider refused such a VM a moment ago.
    Refused,
    /// The last VMs of this lot came to nothing.
    Failing,
    /// As many boot as may before more have shown that they work.
    Ramp {
        /// VMs that boot.
        booting: u64,
    },
}

/// How many VMs may be bought from one cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Budget {
    reaches: BTreeMap<Reach, u64>,
    lots: BTreeMap<Lot, Outcomes>,
    classes: BTreeMap<Place, String>,
}

/// A budget as it is written down: JSON's keys are texts.
#[derive(Serialize, Deserialize)]
struct Written {
    reaches: Vec<(Reach, u64)>,
    lots: Vec<(Lot, Outcomes)>,
    classes: Vec<(Place, String)>,
}

impl From<Written> for Budget {
    fn from(w: Written) -> Self {
        Self::new(w.reaches.into_iter().collect(), w.lots.into_iter().collect(), w.classes.into_iter().collect())
    }
}

impl From<Budget> for Written {
    fn from(b: Budget) -> Self {
        Self {
            reaches: b.reaches.into_iter().collect(),
            lots: b.lots.into_iter().collect(),
            classes: b.classes.into_iter().collect(),
        }
    }
}

impl Budget {
    /// A budget. `reaches`: what was refused, and how many may try there; `classes`: the class of quota of each place.
    pub fn new(reaches: BTreeMap<Reach, u64>, lots: BTreeMap<Lot, Outcomes>, classes: BTreeMap<Place, String>) -> Self {
        Self { reaches, lots, classes }
    }

    /// Counts a VM that lives already. Each is counted once, before anything is taken.
    pub fn count(&mut self, lot: &Lot, stage: Stage) {
        match stage {
            Stage::Working => self.lots.entry(lot.clone()).or_default().worked += 1,
            Stage::Booting => self.lots.entry(lot.clone()).or_default().booting += 1,
            Stage::Ordered => {
                self.lots.entry(lot.clone()).or_default().booting += 1;
                for left in Self::covering(&mut self.reaches, &self.classes, &lot.place) {
                    *left = left.saturating_sub(1);
                }
            }
        }
    }

    /// How many more VMs of this lot may be bought.
    pub fn allowance(&self, lot: &Lot) -> u64 {
        let class = self.classes.get(&lot.place).map(String::as_str);
        let covering = self.reaches.iter().filter(|(reach, _)| reach.covers(&lot.place, class));
        let own = self.lots.get(lot).copied().unwrap_or_default().allowance();
        covering.map(|(_, left)| *left).fold(own, u64::min)
    }

    /// Takes one VM of this lot, or says why not.
    pub fn take(&mut self, lot: &Lot) -> Result<(), Held> {
        let outcomes = self.lots.entry(lot.clone()).or_default();
        if outcomes.allowance() == 0 {
            let is_failing = outcomes.paused || outcomes.failing;
            return Err(if is_failing { Held::Failing } else { Held::Ramp { booting: outcomes.booting } });
        }
        let mut covering = Self::covering(&mut self.reaches, &self.classes, &lot.place);
        if covering.iter().any(|left| **left == 0) {
            return Err(Held::Refused);
        }
        covering.iter_mut().for_each(|left| **left -= 1);
        outcomes.booting += 1;
        Ok(())
    }

    /// Places at which nothing may be bought now, since the provider refused.
    pub fn refused(&self) -> BTreeSet<Place> {
        let none = |(place, class): &(&Place, &String)| {
            self.reaches.iter().any(|(reach, left)| *left == 0 && reach.covers(place, Some(class)))
        };
        self.classes.iter().filter(none).map(|(place, _)| place.clone()).collect()
    }

    /// Places at which this pool may buy nothing now with this image, since its last VMs came to nothing.
    pub fn failing(&self, pool: &str, image: &str) -> BTreeSet<Place> {
        let lots = self.lots.iter().filter(|(lot, outcomes)| lot.pool == pool && lot.image == image && outcomes.paused);
        lots.map(|(lot, _)| lot.place.clone()).collect()
    }

    /// What is left to each reach that covers this place.
    fn covering<'a>(
        reaches: &'a mut BTreeMap<Reach, u64>,
        classes: &BTreeMap<Place, String>,
        place: &Place,
    ) -> Vec<&'a mut u64> {
        let class = classes.get(place).map(String::as_str);
        reaches.iter_mut().filter(|(reach, _)| reach.covers(place, class)).map(|(_, left)| left).collect()
    }
}

#[cfg(test)]
mod tests {
    use broker::cloud::Scope;
    use tokio::time::{Duration, Instant};

    use super::*;
    use crate::known::exhausted::Exhausted;

    fn lot() -> Lot {
        Lot { pool: "cpu".into(), image: "el9".into(), place: Place::on_demand("c8", None) }
    }
    fn classes() -> BTreeMap<Place, String> {
        BTreeMap::from([(lot().place, "project".to_owned()), (Place::on_demand("c16", None), "project".to_owned())])
    }
    fn taken(budget: &mut Budget, lot: &Lot, wanted: u64) -> u64 {
        (0..wanted).filter(|_| budget.take(lot).is_ok()).count() as u64
    }

    #[test]
    fn ten_vms_boot_before_the_first_has_ever_worked() {
        let mut budget = Exhausted::default().budget(classes(), Instant::now());
        assert_eq!(budget.allowance(&lot()), 10);
        assert_eq!(taken(&mut budget, &lot(), 20_000), 10);
        assert_eq!(budget.take(&lot()), Err(Held::Ramp { booting: 10 }));
        let other = Lot { image: "el8".into(), ..lot() };
        assert_eq!(taken(&mut budget, &other, 20_000), 10, "another image has a ramp of its own");
    }

    #[test]
    fn vms_that_boot_already_are_counted() {
        let mut budget = Budget::default();
        (0..7).for_each(|_| budget.count(&lot(), Stage::Booting));
        assert_eq!(taken(&mut budget, &lot(), 100), 3);
    }

    #[test]
    fn each_vm_that_works_doubles_what_may_boot() {
        let mut e = Exhausted::default();
        for (worked, most) in [(0, 10), (1, 20), (2, 40), (3, 80)] {
            assert_eq!(e.budget(classes(), Instant::now()).allowance(&lot()), most, "{worked} have worked");
            e.worked(&lot());
        }
        (0..100).for_each(|_| e.worked(&lot()));
        assert!(e.budget(classes(), Instant::now()).allowance(&lot()) > 20_000);
    }

    #[test]
    fn vms_that_work_count_after_a_restart_too() {
        let mut budget = Exhausted::default().budget(classes(), Instant::now());
        (0..10).for_each(|_| budget.count(&lot(), Stage::Working));
        assert_eq!(taken(&mut budget, &lot(), 2000), 2000);
    }

    #[test]
    fn when_all_of_a_lot_come_to_nothing_none_is_bought_and_later_one_alone() {
        let (mut e, now) = (Exhausted::default(), Instant::now());
        (0..10).for_each(|_| e.failed(&lot(), now));
        let mut budget = e.budget(classes(), now);
        assert_eq!(budget.take(&lot()), Err(Held::Failing));
        assert_eq!(budget.failing("cpu", "el9"), BTreeSet::from([lot().place]));
        assert!(budget.failing("cpu", "el8").is_empty(), "a mended pool need not wait");
        let mut later = e.budget(classes(), now + Duration::from_secs(180));
        assert_eq!(taken(&mut later, &lot(), 100), 1);
        assert!(later.failing("cpu", "el9").is_empty());
    }

    #[test]
    fn after_a_refusal_none_is_taken_and_later_one_for_all_that_it_reaches() {
        let (mut e, now) = (Exhausted::default(), Instant::now());
        e.refused(Scope::Cloud, &lot().place, Some("project"), now);
        let mut budget = e.budget(classes(), now);
        assert_eq!((budget.take(&lot()), budget.allowance(&lot())), (Err(Held::Refused), 0));
        assert_eq!(budget.refused().len(), 2);
        let later = now + Duration::from_secs(10);
        let other = Lot { place: Place::on_demand("c16", None), ..lot() };
        let mut budget = e.budget(classes(), later);
        assert_eq!(taken(&mut budget, &lot(), 100) + taken(&mut budget, &other, 100), 1);
        let mut budget = e.budget(classes(), later);
        budget.count(&lot(), Stage::Ordered);
        assert_eq!(budget.take(&lot()), Err(Held::Refused), "the one that tries is there already");
        assert!(e.may_try(&lot().place, Some("project"), later));
        assert_eq!(e.budget(classes(), later).take(&lot()), Err(Held::Refused), "one tries just now");
        e.granted(&lot().place, Some("project"), later);
        assert_eq!(taken(&mut e.budget(classes(), later), &lot(), 5), 5);
    }

    #[test]
    fn a_budget_can_be_written_and_read_again() {
        let (mut e, now) = (Exhausted::default(), Instant::now());
        e.refused(Scope::Class, &lot().place, Some("project"), now);
        e.failed(&lot(), now);
        let budget = e.budget(classes(), now);
        let text = serde_json::to_string(&budget).unwrap();
        assert_eq!(serde_json::from_str::<Budget>(&text).unwrap(), budget);
    }
}
