//! What each VM was seen to run, as the operator keeps it of each pilot.

use std::collections::BTreeMap;

use broker::experience::breaker::A_LIFE;

use super::super::VmSeen;
use crate::{
    dirac::JobId,
    time::{Ms, SECOND},
    world::VmId,
};

/// This many of the last jobs are remembered.
const LATELY: usize = 32;

/// What each VM was seen to run.
#[derive(Default)]
pub struct AllShown(BTreeMap<VmId, Shown>);

/// What a VM was seen to run.
#[derive(Default)]
pub struct Shown {
    /// The jobs that it has, each with the moment since when.
    pub running: BTreeMap<JobId, Ms>,
    /// Jobs that it took.
    pub took: u64,
    /// Jobs that it was seen to end.
    pub ended: u64,
    /// How long the last of these ran, in seconds, the last one last.
    pub lately: Vec<u64>,
    /// When a job of it was last seen to begin or to end.
    pub changed: Option<Ms>,
    /// Whether a job of it ended, or runs for long enough. Which of them died is not seen.
    pub lived: bool,
    last: Option<JobId>,
}

impl AllShown {
    /// Notes what all VMs run now, and forgets those that are gone.
    pub fn look(&mut self, now: Ms, vms: &[VmSeen<'_>]) {
        let mut before = std::mem::take(&mut self.0);
        for vm in vms {
            let mut shown = before.remove(&vm.id).unwrap_or_default();
            shown.look(now, vm);
            self.0.insert(vm.id, shown);
        }
    }

    /// Of one VM; `None`: it was not there at the last look.
    pub fn of(&self, vm: VmId) -> Option<&Shown> {
        self.0.get(&vm)
    }
}

impl Shown {
    fn look(&mut self, now: Ms, vm: &VmSeen<'_>) {
        let gone = self.running.extract_if(.., |job, _| !vm.running.contains(job));
        let ran: Vec<u64> = gone.map(|(_, since)| now.saturating_sub(since) / SECOND).collect();
        let before = (self.took, self.ended);
        self.ended += ran.len() as u64;
        self.lately.extend(ran);
        self.lately.drain(..self.lately.len().saturating_sub(LATELY));
        for job in vm.running {
            self.running.entry(*job).or_insert_with(|| {
                self.took += 1;
                now
            });
        }
        // One that came and went between two looks.
        let is_new =
            vm.row.current_job != self.last && vm.row.current_job.is_some_and(|job| !vm.running.contains(&job));
        (self.took, self.last) = (self.took + u64::from(is_new), vm.row.current_job);
        if (self.took, self.ended) != before {
            self.changed = Some(now);
        }
        let lives = |since: &Ms| now.saturating_sub(*since) >= A_LIFE * SECOND;
        self.lived |= is_new || self.ended > 0 || self.running.values().any(lives);
    }
}
