//! How long VMs boot and jobs run, how fast cores are, and how many VMs come to work: what a round sees of VMs is told to the times, each
//! thing of each VM once, and what follows goes into the snapshot. Pure.
//!
//! Whoever plans does, before each plan: [`Heard::hear`], [`Tellers::retain`], [`Tellers::see`] for each VM, [`tell()`] and [`tell_vm`]. What was
//! not measured stays unknown in the snapshot, and the plan goes on as if nobody had asked.

mod kinds;
mod tell;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use jiff::{SignedDuration, Timestamp};

pub use kinds::{Kind, Kinds};
pub use tell::{add_soon, horizon, tell, tell_vm};

use super::{Classes, Lot, Times, times::JobClass};
use crate::plan;

/// Jobs of a class that waited so long ago may still run.
const HEARD_FOR: SignedDuration = SignedDuration::from_hours(72);

/// The times of an installation, and what of each VM they hold.
#[derive(Debug, Default)]
pub struct Measures {
    /// What was measured.
    pub times: Times,
    /// The classes of jobs that may run.
    pub heard: Heard,
    /// What was told of which VM.
    pub told: Tellers,
}

/// What of each VM was told, by a name that no other VM ever has.
#[derive(Debug, Default)]
pub struct Tellers(HashMap<Box<str>, Told>);

/// The classes of jobs that waited within the last days.
#[derive(Debug, Default)]
pub struct Heard(BTreeMap<JobClass, (plan::JobClass, Timestamp)>);

impl Heard {
    /// Takes over the classes that wait now, by what they are called.
    pub fn hear(&mut self, waiting: &Classes, now: Timestamp) {
        for (kind, class) in waiting {
            match self.0.get_mut(kind) {
                Some((_, heard)) => *heard = now,
                None => drop(self.0.insert(kind.clone(), (class.clone(), now))),
            }
        }
        self.0.retain(|_, (_, heard)| now.duration_since(*heard) < HEARD_FOR);
    }

    /// Each with its VO.
    pub fn all(&self) -> impl Iterator<Item = (&str, &plan::JobClass)> {
        self.0.iter().map(|(kind, (class, _))| (&*kind.vo, class))
    }
}

/// What of one VM was told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    came: bool,
    boot: bool,
    fill: bool,
    power: bool,
    jobs: u64,
}

/// What a round sees of one VM.
#[derive(Clone, Debug)]
pub struct Sight<'a> {
    /// A name that no other VM ever has: its UID.
    pub uid: Cow<'a, str>,
    /// What was bought.
    pub lot: Lot,
    /// Whether its pilot came to work; `None`: that is not known yet, or nobody can say.
    pub came: Option<bool>,
    /// Seconds from the order to the first job; `None`: it had none, or no job waited for it all the time.
    pub boot: Option<u64>,
    /// Its first jobs, and the seconds in which its pilot took those after the first.
    pub fill: Option<(u64, u64)>,
    /// Power of a core, in hundredths of DIRAC's unit.
    pub power: Option<u64>,
    /// The class of its jobs; `None`: it may have had jobs of several.
    pub class: Option<JobClass>,
    /// Of how many of its jobs it was seen how long they ran.
    pub measured: u64,
    /// How long the last of these ran, in seconds, the last one last.
    pub lately: &'a [u64],
}

impl Tellers {
    /// Tells the times what is new of a VM.
    pub fn see(&mut self, vm: &Sight<'_>, times: &mut Times, now: Timestamp) {
        let told = self.0.entry(vm.uid.as_ref().into()).or_default();
        let lot = &vm.lot;
        if let (Some(came), false) = (vm.came, told.came) {
            told.came = true;
            times.outcome(lot, came, now);
        }
        if let (Some(seconds), false) = (vm.boot, told.boot) {
            told.boot = true;
            times.booted(lot, seconds, now);
        }
        if let (Some((jobs, seconds)), false) = (vm.fill, told.fill) {
            told.fill = true;
            times.filled(lot, jobs, seconds, now);
        }
        if let (Some(power), false) = (vm.power, told.power) {
            told.power = true;
            times.measured_power(lot, power, now);
        }
        let new = vm.measured.saturating_sub(told.jobs);
        told.jobs = vm.measured;
        if let Some(class) = &vm.class {
            let skip = vm.lately.len().saturating_sub(usize::try_from(new).unwrap_or(usize::MAX));
            vm.lately[skip..].iter().for_each(|seconds| times.ran(class, *seconds, now));
        }
    }

    /// Forgets of VMs that are gone what was told.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|uid, _| is_there(uid));
    }
}

#[cfg(test)]
#[path = "measures_tests.rs"]
mod tests;
