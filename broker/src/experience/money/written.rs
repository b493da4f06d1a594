//! What is written down of a budget, so that it outlives a restart: sums by part of the period, and one sum for all VMs that were there.
//! Its size does not depend on the number of VMs.
//!
//! A VM that was there when this was written, and is gone at the restart, is known by the difference: of the cost that all had until then, the
//! part that is not that of VMs still there was theirs. What such a VM cost after that moment is lost; so this is written often.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Purse, Spent, Terms, Unit};

/// What is written down of a purse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Money or core-hours. What was written in another unit is forgotten.
    pub unit: Unit,
    /// When it was written down.
    pub at: Timestamp,
    /// What the VMs that were there had cost until then.
    pub accrued: u64,
    /// Length of a part of the period, in seconds.
    pub step: u64,
    /// The number of the first part, counted from the beginning of time.
    pub first: i64,
    /// What VMs that were gone had cost, in this part and those after it.
    pub sums: Vec<u64>,
}

/// A VM that exists when a purse is read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// Name of the PilotVM object.
    pub vm: Arc<str>,
    /// What an hour of it costs, in the smallest part of the unit.
    pub per_hour: u64,
    /// Seconds that it is expected to live.
    pub life: u64,
    /// Since when it costs; `None`: not yet.
    pub began: Option<Timestamp>,
}

impl Purse {
    /// What is to be written down at this moment.
    pub fn written(&self, now: Timestamp) -> Written {
        let (first, sums) = self.spent.written(now);
        let (unit, step) = (self.terms.unit.clone(), self.spent.step());
        Written { unit, at: now, accrued: self.accrued(now), step, first, sums }
    }

    /// Goes on from what was written down, with the VMs that are there. What was written in another unit cannot be compared and is forgotten.
    pub fn resume(terms: Terms, written: Option<&Written>, living: impl IntoIterator<Item = Living>) -> Self {
        let mut purse = Self::new(terms);
        for Living { vm, per_hour, life, began } in living {
            purse.adopt(&vm, per_hour, life, began);
        }
        if let Some(written) = written.filter(|written| written.unit == purse.terms.unit) {
            purse.spent = Spent::read(purse.terms.period, written.step, written.first, &written.sums);
            let gone = written.accrued.saturating_sub(purse.accrued(written.at));
            if gone > 0 {
                purse.spent.add(gone, written.at, written.at);
            }
        }
        purse
    }
}
