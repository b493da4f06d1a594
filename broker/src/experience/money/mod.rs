//! What a VO has spent in a sliding period, and what it is about to spend: in money or in core-hours. Pure.
//!
//! 1. Before a VM is made, [`Purse::reserve`] takes what it will cost for the time it is expected to live, or says what is short.
//! 2. [`Purse::began`] says since when it costs. A VM that outlives its reservation holds what it has cost so far.
//! 3. When it is gone, [`Purse::settle`] puts its true cost, in whole cents, in the place of the reservation, at the times when it arose. A
//!    VM that was never made is [`Purse::release`]d.
//!
//! So what was spent in any period and what is reserved together never exceed the sum, but for VMs that outlived their reservations,
//! and by no more than these cost.
//!
//! It outlives a restart by what is [`Written`] down, which is small whatever the number of VMs.

mod price;
mod spent;
mod written;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use price::{NoRate, Price, Unit};
use spent::Spent;
pub use written::{Living, Written};

use super::{
    Kept,
    moment::{after, seconds},
};

/// What a budget allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Money or core-hours.
    pub unit: Unit,
    /// The sum, in the unit's smallest part (a millionth of the currency, a core-second).
    pub sum: u64,
    /// Length of the period in seconds: the sum counts for any time of this length.
    pub period: u64,
}

/// A budget, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Purse {
    terms: Terms,
    spent: Spent,
    reserved: BTreeMap<Arc<str>, Reserved>,
    /// VMs that were settled, so that nothing that is told late about one of them counts twice.
    settled: Kept<Arc<str>, ()>,
}

/// What is held for one VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Reserved {
    amount: u64,
    /// In the smallest part of the unit.
    per_hour: u64,
    /// Since when it costs.
    began: Option<Timestamp>,
}

/// There is not enough left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Short {
    /// What was asked for, in the smallest part of the unit.
    pub wanted: u64,
    /// What may still be reserved, in the smallest part of the unit.
    pub left: u64,
}

/// What became of a budget, in the smallest part of its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Spent within the period that ends now, by VMs that are gone.
    pub spent: u64,
    /// Reserved for VMs that are there or are being made.
    pub reserved: u64,
    /// Of that, what these have cost so far.
    pub accrued: u64,
    /// What may still be reserved.
    pub left: u64,
    /// When the sum is spent if the VMs that run now go on running; `None`: it is not spent within a period.
    pub ends: Option<Timestamp>,
}

impl Standing {
    /// What was spent so far, by VMs that are there too.
    pub fn so_far(&self) -> u64 {
        self.spent.saturating_add(self.accrued)
    }

    /// What is reserved for what VMs have yet to cost.
    pub fn ahead(&self) -> u64 {
        self.reserved.saturating_sub(self.accrued)
    }
}

impl Purse {
    /// A purse of which nothing is spent.
    pub fn new(terms: Terms) -> Self {
        let spent = Spent::new(terms.period);
        Self { terms, spent, reserved: BTreeMap::new(), settled: Kept::default() }
    }

    /// What the budget allows.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Other terms. What was spent in another unit cannot be compared and is forgotten; `false` says so.
    pub fn amend(&mut self, terms: Terms) -> bool {
        if terms.unit != self.terms.unit {
            *self = Self::new(terms);
            return false;
        }
        if terms.period != self.terms.period {
            self.spent = self.spent.over(terms.period);
        }
        self.terms = terms;
        true
    }

    /// Reserves what a VM costs that is expected to live for this many seconds; of a life beyond the period, only what
    /// falls into one. Twice for one VM counts once.
    pub fn reserve(&mut self, vm: &Arc<str>, per_hour: u64, life: u64, now: Timestamp) -> Result<(), Short> {
        if self.reserved.contains_key(vm) || self.settled.get(vm).is_some() {
            return Ok(());
        }
        let wanted = self.cost(per_hour, life.min(self.terms.period));
        let left = self.left(now);
        if wanted > left {
            return Err(Short { wanted, left });
        }
        self.hold(vm, per_hour, wanted, None);
        Ok(())
    }

    /// Takes it without asking: the VM is there, for example after a restart that lost its reservation. `began`: since when it costs.
    pub fn adopt(&mut self, vm: &Arc<str>, per_hour: u64, life: u64, began: Option<Timestamp>) {
        if !self.reserved.contains_key(vm) && self.settled.get(vm).is_none() {
            let amount = self.cost(per_hour, life.min(self.terms.period));
            self.hold(vm, per_hour, amount, began);
        }
    }

    /// Whether something is held for this VM.
    pub fn holds(&self, vm: &str) -> bool {
        self.reserved.contains_key(vm)
    }

    /// When this VM began to cost; `None`: not yet, or it is not known here.
    pub fn since(&self, vm: &str) -> Option<Timestamp> {
        self.reserved.get(vm).and_then(|reserved| reserved.began)
    }

    /// The VM was bought, and costs so much: it may be elsewhere than where it was reserved for.
    pub fn costs(&mut self, vm: &str, per_hour: u64, life: u64) {
        let amount = self.cost(per_hour, life.min(self.terms.period));
        if let Some(reserved) = self.reserved.get_mut(vm).filter(|reserved| reserved.per_hour != per_hour) {
            (reserved.per_hour, reserved.amount) = (per_hour, amount);
        }
    }

    /// The VM costs since then.
    pub fn began(&mut self, vm: &str, at: Timestamp) {
        if let Some(reserved) = self.reserved.get_mut(vm) {
            reserved.began = Some(reserved.began.map_or(at, |before| before.min(at)));
        }
    }

    /// The VM is gone, and cost from its begin to `ended`. Returns its cost; `None`: it was settled before, or nothing is known of it.
    pub fn settle(&mut self, vm: &str, ended: Timestamp) -> Option<u64> {
        let (name, reserved) = self.reserved.remove_entry(vm)?;
        self.settled.entry(&name, ended, || ());
        let Some(began) = reserved.began else { return Some(0) };
        let cost = self.cost(reserved.per_hour, seconds(began, ended));
        self.spent.add(cost, began, ended.max(began));
        Some(cost)
    }

    /// Gives back what was reserved for a VM that was never made.
    pub fn release(&mut self, vm: &str, now: Timestamp) {
        if let Some((name, _)) = self.reserved.remove_entry(vm) {
            self.settled.entry(&name, now, || ());
        }
    }

    /// The VMs for which something is held, in a stable order.
    pub fn vms(&self) -> impl Iterator<Item = &Arc<str>> {
        self.reserved.keys()
    }

    /// How it stands. The plan reads it once a round and takes its own launches from what is left.
    pub fn standing(&self, now: Timestamp) -> Standing {
        let (spent, reserved, accrued) = (self.spent.within(now), self.held(now), self.accrued(now));
        Standing { spent, reserved, accrued, left: self.left(now), ends: self.ends(now) }
    }

    /// What may still be reserved.
    pub fn left(&self, now: Timestamp) -> u64 {
        self.terms.sum.saturating_sub(self.spent.within(now)).saturating_sub(self.held(now))
    }

    /// What is held for all VMs: their reservations, or what they have cost within the period, where that is more.
    fn held(&self, now: Timestamp) -> u64 {
        self.reserved.values().fold(0, |sum, one| sum.saturating_add(one.amount.max(self.so_far(one, now))))
    }

    /// What the VMs that are there have cost so far.
    fn accrued(&self, now: Timestamp) -> u64 {
        self.reserved.values().fold(0, |sum, one| sum.saturating_add(self.so_far(one, now)))
    }

    fn so_far(&self, one: &Reserved, now: Timestamp) -> u64 {
        one.began.map_or(0, |began| self.cost(one.per_hour, seconds(began, now).min(self.terms.period)))
    }

    /// The first moment, in steps of the period's parts, at which what was spent in the period before it and what the running VMs cost
    /// until then reach the sum.
    fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        let running: Vec<&Reserved> = self.reserved.values().filter(|one| one.began.is_some()).collect();
        (!running.is_empty()).then_some(())?;
        let step = self.spent.step();
        let steps = self.terms.period.div_ceil(step);
        (0..=steps).map(|n| after(now, n * step)).find(|at| {
            let cost = running.iter().fold(0_u64, |sum, one| sum.saturating_add(self.so_far(one, *at)));
            self.spent.within(*at).saturating_add(cost) >= self.terms.sum
        })
    }

    fn cost(&self, per_hour: u64, seconds: u64) -> u64 {
        self.terms.unit.cost(per_hour, seconds)
    }

    fn hold(&mut self, vm: &Arc<str>, per_hour: u64, amount: u64, began: Option<Timestamp>) {
        self.reserved.insert(vm.clone(), Reserved { amount, per_hour, began });
    }
}

#[cfg(test)]
#[path = "money_tests.rs"]
mod tests;
