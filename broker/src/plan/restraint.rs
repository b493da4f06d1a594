//! Restraint where nothing is known: of an offering that no hold names alone few VMs are made, until it has shown that there is room; and
//! for a class of jobs few of one pool and offering, until one of them has had such a job.

use std::collections::HashMap;

use super::{
    Reason,
    account::{Account, Lack},
    job_class::JobClass,
    snapshot::{Limits, Rules},
};

/// How many VMs of each offering may still be made, as far as nothing is known of it.
#[derive(Debug, Default)]
pub struct Restraint {
    /// By number of the offer; what is known is not bounded here. Empty: nothing is.
    left: Vec<u64>,
    /// The most VMs for a class of one pool, offer and VO of which nothing is known.
    untried: Option<u64>,
    /// How many were, by these three.
    made: HashMap<(usize, u32, usize), HashMap<JobClass, u64>>,
}

impl Restraint {
    pub const LACK: Lack = Lack { what: 0, limit: 0, by: 1 };

    /// By the rules; `is_known` tells of each offer in turn whether it is known.
    pub fn new(rules: &Rules, is_known: impl Iterator<Item = bool>) -> Self {
        let left = rules.fresh.map(|most| is_known.map(|is_known| if is_known { u64::MAX } else { most }).collect());
        Self { left: left.unwrap_or_default(), untried: rules.untried, made: HashMap::new() }
    }

    /// Whether a class of which nothing is known is bought with restraint.
    pub fn bounds_classes(&self) -> bool {
        self.untried.is_some()
    }

    /// How many more VMs may be made for a class of which nothing is known, of a pool, an offer and a VO.
    pub fn room_of_class(&self, place: (usize, u32, usize), class: &JobClass) -> u64 {
        let made = || self.made.get(&place).and_then(|of| of.get(class)).copied().unwrap_or(0);
        self.untried.map_or(u64::MAX, |most| most.saturating_sub(made()))
    }

    /// This many are made for such a class.
    pub fn take_for(&mut self, place: (usize, u32, usize), class: &JobClass, vms: u64) {
        let made = self.made.entry(place).or_default().entry(class.clone()).or_default();
        *made = made.saturating_add(vms);
    }

    /// The account that is named where nothing is known of a class.
    pub fn account_of_class(most: Option<u64>) -> Account {
        let whose = format!(
            "no VM of this pool and flavor has had such a job yet: {} VMs of it are made first, and more when one has had one",
            most.unwrap_or(0)
        );
        Account::new(Reason::Ramp, whose, Limits::default())
    }

    /// The account that is named where it binds.
    pub fn account(most: Option<u64>) -> Account {
        let vms = match most.unwrap_or(0) {
            1 => "one VM of it is".to_owned(),
            n => format!("{n} VMs of it are"),
        };
        let whose =
            format!("nothing is known of this flavor there yet: {vms} made first, and more when the cloud grants that");
        Account::new(Reason::Ramp, whose, Limits::default())
    }

    /// How many more VMs of this offer may be made.
    pub fn room(&self, offer: u32) -> u64 {
        self.left.get(offer as usize).copied().unwrap_or(u64::MAX)
    }

    /// This many are made.
    pub fn take(&mut self, offer: u32, vms: u64) {
        if let Some(left) = self.left.get_mut(offer as usize) {
            *left = left.saturating_sub(vms);
        }
    }
}

#[cfg(test)]
#[path = "restraint_tests.rs"]
mod tests;
