//! How long jobs run, as far as it can be seen: by the class of jobs that a VM was made for, since DIRAC does not say of which class a single
//! job is.

use std::collections::BTreeMap;

use broker::{
    experience::{Times, times::JobClass},
    plan::{self, Free, RunTime, Soon},
};

use super::{super::VmSeen, at};
use crate::{
    dirac::JobId,
    time::{Ms, SECOND},
    world::VmId,
};

/// The jobs that VMs run, and how long such jobs ran.
#[derive(Default)]
pub struct Runs {
    times: Times,
    /// By VM: the jobs that it has, each with the moment since when.
    running: BTreeMap<VmId, BTreeMap<JobId, Ms>>,
}

/// The name that measured times know a class by.
pub fn key(vo: &str, class: &plan::JobClass) -> JobClass {
    JobClass { vo: vo.into(), profile: class.words().into() }
}

impl Runs {
    /// What a VM runs now, that was made for jobs of this class.
    pub fn look(&mut self, now: Ms, vm: &VmSeen<'_>, class: &JobClass) {
        let running = self.running.entry(vm.id).or_default();
        for (_, since) in running.extract_if(.., |job, _| !vm.running.contains(job)) {
            self.times.ran(class, now.saturating_sub(since) / SECOND, at(now));
        }
        vm.running.iter().for_each(|job| {
            running.entry(*job).or_insert(now);
        });
    }

    /// Forgets the VMs that are gone. Their jobs were not seen to the end.
    pub fn retain(&mut self, is_there: impl Fn(VmId) -> bool) {
        self.running.retain(|vm, _| is_there(*vm));
    }

    /// What a VM's jobs will leave, each of which takes `each`, the soonest first.
    pub fn soon(&self, now: Ms, vm: VmId, class: &JobClass, each: Free) -> Vec<Soon> {
        let running = self.running.get(&vm).into_iter().flat_map(BTreeMap::values);
        let rest = |since: &Ms| self.times.rest(class, now.saturating_sub(*since) / SECOND);
        let mut all: Vec<Soon> = running.filter_map(rest).map(|in_seconds| Soon { in_seconds, free: each }).collect();
        all.sort_by_key(|soon| soon.in_seconds);
        all
    }

    /// How long jobs of these classes run, where it is known.
    pub fn known<'c>(&self, classes: impl Iterator<Item = (&'c JobClass, &'c plan::JobClass)>) -> Vec<RunTime> {
        let of = |(key, class): (&JobClass, &plan::JobClass)| {
            let seconds = self.times.run_time(key)?.mean;
            Some(RunTime { vo: key.vo.to_string(), class: class.clone(), seconds })
        };
        classes.filter_map(of).collect()
    }
}
