//! What each VO has used lately, so that shares hold over time and not only at this moment. Pure.
//!
//! Usage fades: after one half-life what was used then counts half. HTCondor's `PRIORITY_HALFLIFE` is a day and Slurm's
//! `PriorityDecayHalfLife` seven days, since they settle accounts between users of a machine that is always full, over weeks. Here
//! the money settles accounts over weeks (budgets), and what is shared is elastic: a VO that had the idle rest of a cloud yesterday
//! has taken nothing from anybody. A day of memory would shut it out for a day when others come. An hour is as long as VMs need to change
//! hands by not being refilled, and short enough that every VO is at its share after an hour of shortage. So it is one hour, and can be
//! set.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::moment::{after, seconds};

/// The half-life where none is set, in seconds.
pub const HALF_LIFE: u64 = 3_600;
/// A longer time between two rounds counts as this: the clock jumped, or the operator was not there and does not know what was used.
const LONGEST: u64 = 600;
/// Usage is kept in thousandths of a second.
const MILLI: f64 = 1_000.0;

/// What VMs hold now, or used over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Cores of the VMs, with or without a job.
    pub cores: u64,
    /// Memory of the VMs in MiB.
    pub ram_mib: u64,
    /// GPUs of the VMs.
    pub gpus: u64,
}

impl Amounts {
    /// All of them, in a fixed order.
    pub fn all(self) -> [u64; 3] {
        [self.cores, self.ram_mib, self.gpus]
    }

    fn map(self, mut change: impl FnMut(u64) -> u64) -> Self {
        Self { cores: change(self.cores), ram_mib: change(self.ram_mib), gpus: change(self.gpus) }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            cores: self.cores.saturating_add(other.cores),
            ram_mib: self.ram_mib.saturating_add(other.ram_mib),
            gpus: self.gpus.saturating_add(other.gpus),
        }
    }
}

/// What VOs have used. What was used long ago counts less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    half_life: u64,
    last: Option<Timestamp>,
    /// By VO: thousandths of seconds of each resource, faded.
    used: BTreeMap<Arc<str>, Amounts>,
}

impl Default for Usage {
    fn default() -> Self {
        Self::new(HALF_LIFE)
    }
}

impl Usage {
    /// Nothing was used yet. `half_life` in seconds, at least one.
    pub fn new(half_life: u64) -> Self {
        Self { half_life: half_life.max(1), last: None, used: BTreeMap::new() }
    }

    /// Another half-life from now on. What was used stays in proportion, so that averages do not jump.
    pub fn set_half_life(&mut self, half_life: u64) {
        let (before, half_life) = (self.half_life, half_life.max(1));
        for used in self.used.values_mut() {
            let scaled = |x: u64| u128::from(x) * u128::from(half_life) / u128::from(before);
            *used = used.map(|x| u64::try_from(scaled(x)).unwrap_or(u64::MAX));
        }
        self.half_life = half_life;
    }

    /// What the VMs of each VO hold now: it counts for the time since the last call. A VO that is not among them holds nothing. Where the
    /// clock went back nothing is counted, and where it jumped ahead ten minutes are.
    pub fn round(&mut self, held: &BTreeMap<Arc<str>, Amounts>, now: Timestamp) {
        let gone_by = self.last.map_or(0, |last| seconds(last, now));
        let passed = gone_by.min(LONGEST);
        // Parts of a second are not lost: they are counted with the next round.
        self.last = match self.last {
            Some(last) if last <= now && passed == 0 => return,
            Some(last) if last <= now && gone_by == passed => Some(after(last, passed)),
            _ => Some(now),
        };
        let fades = self.fades(passed);
        self.used.retain(|_, used| {
            // Rounded down, so that it ends at nothing.
            *used = used.map(|x| (x as f64 * fades) as u64);
            used.all().iter().any(|x| *x > 0)
        });
        // Held all the time, what was used in its beginning has faded a little already.
        let weight = (1.0 - fades) * self.average_over() * MILLI;
        for (vo, held) in held {
            let used = self.used.entry(vo.clone()).or_default();
            *used = used.plus(held.map(|x| whole(x as f64 * weight)));
        }
        self.used.retain(|_, used| used.all().iter().any(|x| *x > 0));
    }

    /// What a VO has held on average lately, in thousandths: a VO that has held eight cores for many half-lives has 8000.
    pub fn average_thousandths(&self, vo: &str) -> Amounts {
        let over = self.average_over();
        self.used.get(vo).copied().unwrap_or_default().map(|x| whole(x as f64 / over))
    }

    /// The part of `total` that a VO has held on average lately, in millionths, of the resource of which that is the greatest part. Of a
    /// resource of which there is none nobody has a part.
    pub fn dominant_millionths(&self, vo: &str, total: Amounts) -> u64 {
        let parts = self.average_thousandths(vo).all().into_iter().zip(total.all());
        let part = |(used, total): (u64, u64)| u128::from(used) * 1_000 / u128::from(total.max(1));
        let parts = parts.filter(|(_, total)| *total > 0).map(part);
        parts.max().map_or(0, |part| u64::try_from(part).unwrap_or(u64::MAX))
    }

    /// Goes on from what a VO held on average before a restart, where nothing is known of it.
    pub fn resume(&mut self, vo: &Arc<str>, average: Amounts) {
        let over = self.average_over() * MILLI;
        self.used.entry(vo.clone()).or_insert_with(|| average.map(|x| whole(x as f64 * over)));
    }

    /// The VOs that used something lately.
    pub fn vos(&self) -> impl Iterator<Item = &Arc<str>> {
        self.used.keys()
    }

    fn fades(&self, passed: u64) -> f64 {
        0.5_f64.powf(passed as f64 / self.half_life as f64)
    }

    /// Seconds over which fading usage is an average: the half-life over the logarithm of two.
    fn average_over(&self) -> f64 {
        self.half_life as f64 / std::f64::consts::LN_2
    }
}

/// The nearest whole number. What is too great is the greatest.
fn whole(x: f64) -> u64 {
    x.round() as u64
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
