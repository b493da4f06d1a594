//! Closings: clouds that will be, or are, closed but for what may stay (a Downtime, or the end of the credential with which VMs are deleted), and
//! how what is bought there is cut to the time that is left.
//!
//! A VM that stays beyond the start counts against what may stay. Before the draining begins everything may be bought; what has no room
//! among what stays gets an end: its pilot takes no job that would run, by what the job asks for, beyond the start, or, where its jobs ask
//! for more than that, none after the draining has begun. Once a cloud drains, jobs that end in time are still served so, and others wait.
//! Where nobody knows yet how fast the machines are, nothing is cut: VMs are bought as ever before the draining, and none after.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    Reason,
    account::Account,
    job_class::JobClass,
    life::Life,
    snapshot::{Closing, LiveVm, Offering, Snapshot},
};

/// How a VM is cut to the time that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// CPU time that its pilot offers, in normalised seconds as DIRAC compares them.
    pub cpu_time: u64,
    /// Seconds until it is to be gone, before a closing; `None`: it ends when its pilot has no more time.
    pub until: Option<u64>,
}

/// Seconds that are left for booting where nothing was measured: a pilot's CPU time begins when it has booted.
const BOOTS_WITHIN: u64 = 300;
/// Seconds in which a VM that is bought just before its cloud drains takes its jobs.
const TAKES_JOBS_WITHIN: u64 = 600;
/// Seconds that a pilot takes off its CPU time (DIRAC's `StopMargin`).
pub const STOP_MARGIN: u64 = 300;
/// What a pilot may use of its CPU time before it asks for work, in normalised seconds: it is offered beyond what its pool says. DIRAC's JobAgent
/// asks for jobs that fit in what is left, and TaskQueueDB rounds what jobs ask for up to its segments (up to 72 h): without this allowance a
/// pool of `maxCpuTime: 72h` would make VMs for 72 h jobs and none of their pilots would ever be given one. A VM that is to be gone at a moment has
/// none, since its last job would run on beyond it.
pub const BEFORE_THE_FIRST_JOB: u64 = 18_000;

/// Normalised seconds that pass in these seconds on a core of this power, which is in hundredths of DIRAC's unit.
pub fn work(power: u64, seconds: u64) -> u64 {
    seconds.saturating_mul(power) / 100
}

impl Closing {
    /// Whether its clouds drain.
    pub fn drains(&self) -> bool {
        self.drains_in == 0
    }

    /// What may stay, as an account of which nothing is used.
    pub fn account(&self) -> Account {
        let reason = if self.is_credential { Reason::CredentialEnds } else { Reason::Downtime };
        Account::new(reason, self.message.clone(), self.keep)
    }

    /// Whether a VM counts against what may stay.
    pub fn counts(&self, vm: &LiveVm) -> bool {
        vm.life != Life::Ending && self.clouds.contains(&vm.cloud) && self.stays(vm)
    }

    /// Whether a VM on one of its clouds is there beyond its start: once it has begun all are. Before, those are not that were bought to be
    /// gone, nor those whose pilots can have no job beyond it.
    fn stays(&self, vm: &LiveVm) -> bool {
        let ends = vm.until.is_some_and(|until| until <= self.starts_in);
        self.starts_in == 0 || !ends && vm.cpu_time > work(vm.offering.power.unwrap_or(100), self.starts_in)
    }

    /// CPU time that a VM which is bought now has before the start; `None`: nobody knows how fast it is.
    fn cpu_time(&self, offering: &Offering) -> Option<u64> {
        let boots = offering.measured.late.unwrap_or(BOOTS_WITHIN);
        Some(work(offering.power?, self.starts_in.saturating_sub(boots)))
    }

    /// Whether jobs of this class are bought for only within what may stay.
    pub fn binds(&self, offering: &Offering, class: Option<&JobClass>) -> bool {
        let in_time = |class: &JobClass| self.cpu_time(offering).is_some_and(|before| fits(offering, class, before));
        self.drains() && !class.is_some_and(in_time)
    }

    /// How a VM is to be bought now that need not be within what may stay, where it offers this CPU time as it is.
    pub fn beyond(&self, offering: &Offering, class: Option<&JobClass>, cpu_time: u64) -> Beyond {
        let (Some(power), Some(before)) = (offering.power, self.cpu_time(offering)) else { return Beyond::Stays };
        if cpu_time <= before {
            return Beyond::Ends;
        }
        let asked = class.map_or(0, |class| class.cpu_time);
        let drained = self.drains_in.max(TAKES_JOBS_WITHIN).saturating_add(STOP_MARGIN);
        let in_time = class.is_none_or(|class| fits(offering, class, before));
        let most = if in_time { before } else { asked.saturating_add(work(power, drained)) };
        Beyond::Cut(Cut { cpu_time: most, until: Some(self.starts_in) })
    }
}

/// Whether a pilot that begins with this CPU time gets jobs of the class.
fn fits(offering: &Offering, class: &JobClass, cpu_time: u64) -> bool {
    class.cpu_time.saturating_add(work(offering.power.unwrap_or(100), STOP_MARGIN)) < cpu_time
}

/// How a VM is to be bought before a closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// As it is: its pilot has ended before the start.
    Ends,
    /// As it is, also where nothing more may stay: nobody knows how fast it is, so that nobody can say how it is to be cut.
    Stays,
    /// So, unless it may stay.
    Cut(Cut),
}

/// The closings of each cloud, by its name.
#[derive(Default)]
pub struct Closings<'a>(HashMap<&'a str, Vec<&'a Closing>>);

impl<'a> Closings<'a> {
    /// Those of a snapshot.
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let mut all: HashMap<&str, Vec<&Closing>> = HashMap::new();
        for closing in &snapshot.closings {
            closing.clouds.iter().for_each(|cloud| all.entry(cloud).or_default().push(closing));
        }
        Self(all)
    }

    /// The CPU time that jobs may ask of this VM: where its cloud drains and it is to be gone, what is left until then.
    pub fn cpu_time(&self, vm: &LiveVm) -> u64 {
        let closings = self.0.get(vm.cloud.as_str()).map_or(&[][..], Vec::as_slice);
        let left = closings.iter().filter(|c| c.drains() && vm.until.is_some());
        let left = left.map(|c| work(vm.offering.power.unwrap_or(100), c.starts_in));
        left.chain([vm.cpu_time]).min().unwrap_or(vm.cpu_time)
    }
}
