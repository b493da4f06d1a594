//! How long things take, how often they work, and how fast VMs are: measured, by class of jobs and by lot. Pure.
//!
//! What has not been measured a few times is not known, and is never taken for zero.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Kept, Lot, Recent};
use crate::plan;

/// This many jobs of a class are seen to the end before its run time is known.
const JOBS: usize = 5;
/// This many VMs of a lot show a thing before it is known.
const VMS: usize = 3;
/// The success of a lot begins as if the first number of VMs had worked, of the second. In thousandths of a VM.
const PRIOR: (u64, u64) = (4_750, 5_000);
/// What [`VMS`] outcomes count, in thousandths of a VM.
const ENOUGH: u64 = 2_900;
/// An outcome counts this part of one that is one outcome younger: about the last fifty count.
const FADES: (u64, u64) = (49, 50);

/// A measured duration, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// The middle: half of the measurements are shorter.
    pub median: u64,
    /// Nine of ten are shorter.
    pub ninetieth: u64,
    /// The mean, rounded down.
    pub mean: u64,
    /// How far they lie from the mean, in the middle.
    pub spread: u64,
}

impl Measured {
    fn of(recent: &Recent, least: usize) -> Option<Self> {
        (recent.len() >= least).then_some(())?;
        Some(Self {
            median: recent.quantile(50)?,
            ninetieth: recent.quantile(90)?,
            mean: recent.mean()?,
            spread: recent.spread()?,
        })
    }
}

/// Jobs with equal needs of one VO: two texts that stay the same over restarts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobClass {
    /// VirtualOrganization object.
    pub vo: Arc<str>,
    /// What the jobs need, as one text.
    pub profile: Arc<str>,
}

impl JobClass {
    /// What times and lessons call jobs of this class and VO.
    pub fn of(vo: &str, class: &plan::JobClass) -> Self {
        Self { vo: vo.into(), profile: class.words().into() }
    }
}

/// What the VMs of one lot took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Vms {
    boot: Recent,
    fill: Recent,
    /// In hundredths of what DIRAC calls 1.
    power: Recent,
    /// VMs whose pilots came to work, and all of which that is known; the older, the less. In thousandths of a VM.
    worked: u64,
    tried: u64,
}

/// The times that were measured, by class of jobs and by lot of VMs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    jobs: Kept<JobClass, Recent>,
    vms: Kept<Lot, Vms>,
}

impl Times {
    /// A job of this class ended, well or badly, after this many seconds of running. A job that its VM killed is not
    /// told here.
    pub fn ran(&mut self, class: &JobClass, seconds: u64, now: Timestamp) {
        self.jobs.entry(class, now, Recent::default).note(seconds);
    }

    /// How long jobs of this class run; `None`: too few have ended.
    pub fn run_time(&self, class: &JobClass) -> Option<Measured> {
        Measured::of(self.jobs.get(class)?, JOBS)
    }

    /// How much longer a job of this class runs that has been running for this time, in the middle of those that ran
    /// longer. `None`: not known, also where it runs longer already than nearly all that were measured.
    pub fn rest(&self, class: &JobClass, running: u64) -> Option<u64> {
        let recent = self.jobs.get(class)?;
        (recent.len() >= JOBS).then_some(())?;
        let longer = recent.above(running);
        (longer.len() >= 2).then_some(())?;
        longer.get((longer.len() - 1) / 2).map(|middle| middle - running)
    }

    /// The pilot of a VM had its first job this many seconds after the VM was ordered, while jobs waited all the time.
    pub fn booted(&mut self, lot: &Lot, seconds: u64, now: Timestamp) {
        self.of(lot, now).boot.note(seconds);
    }

    /// From the order of a VM to its first job.
    pub fn boot(&self, lot: &Lot) -> Option<Measured> {
        Measured::of(&self.vms.get(lot)?.boot, VMS)
    }

    /// While its VM filled, a pilot took this many jobs in this many seconds.
    pub fn filled(&mut self, lot: &Lot, jobs: u64, seconds: u64, now: Timestamp) {
        if let Some(milliseconds) = seconds.saturating_mul(1_000).checked_div(jobs) {
            self.of(lot, now).fill.note(milliseconds);
        }
    }

    /// Milliseconds that a pilot takes for one job more while its VM fills.
    pub fn fill_milliseconds(&self, lot: &Lot) -> Option<u64> {
        let fill = &self.vms.get(lot)?.fill;
        (fill.len() >= VMS).then(|| fill.quantile(50))?
    }

    /// A pilot reported the power of one of its cores, in hundredths of DIRAC's unit. Zero is no report.
    pub fn measured_power(&mut self, lot: &Lot, hundredths: u64, now: Timestamp) {
        if hundredths > 0 {
            self.of(lot, now).power.note(hundredths);
        }
    }

    /// The power of one core, in hundredths of DIRAC's unit.
    pub fn power(&self, lot: &Lot) -> Option<u64> {
        let power = &self.vms.get(lot)?.power;
        (power.len() >= VMS).then(|| power.quantile(50))?
    }

    /// A VM of this lot came up, or never did.
    pub fn outcome(&mut self, lot: &Lot, worked: bool, now: Timestamp) {
        let vms = self.of(lot, now);
        let fade = |thousandths: u64| thousandths * FADES.0 / FADES.1;
        vms.worked = fade(vms.worked) + if worked { 1_000 } else { 0 };
        vms.tried = fade(vms.tried) + 1_000;
    }

    /// How many of a hundred VMs of this lot come to work, rounded up; `None`: too few have shown it. One bad VM is not the rule.
    pub fn success(&self, lot: &Lot) -> Option<u64> {
        let Vms { worked, tried, .. } = self.vms.get(lot).filter(|vms| vms.tried >= ENOUGH)?;
        Some(((worked + PRIOR.0) * 100).div_ceil(tried + PRIOR.1).min(100))
    }

    /// The lots of which anything was told.
    pub fn lots(&self) -> impl Iterator<Item = &Lot> {
        self.vms.iter().map(|(lot, _)| lot)
    }

    fn of(&mut self, lot: &Lot, now: Timestamp) -> &mut Vms {
        self.vms.entry(lot, now, Vms::default)
    }
}

#[cfg(test)]
#[path = "times_tests.rs"]
mod tests;
