//! How far a VM is for the planner, and what it has to give. Pure.

use broker::{
    experience::room::{Has, Room, free},
    pilot::{rows::PilotStatus, stamp},
    plan::{Free, JobClass, Life},
};
use crds::PilotVM;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::lease::job_class;
use crate::{
    amounts::{seconds, size},
    known::{installation::Rows, jobs::PilotJobs},
    life::{deadline, drains, is_ended, is_late, is_old, launched, leaves, ran},
    names::deleting,
};

/// Since when pilots could have taken jobs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Since {
    /// Since when pilots can ask for work, where they could not.
    pub asking: Timestamp,
    /// Since when jobs that could run on the VM have waited without a pause.
    pub waiting: Timestamp,
}

/// A pilot that has just begun has had no time to take jobs: all its cores count as free during this time.
const TAKES_JOBS_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// How far this VM is, and what it has to give.
///
/// Where it is known which jobs a pilot runs, the rest of the VM is free (see [`free`]). Elsewhere DIRAC tells which job the pilot
/// got last: a running VM's cores are free while its pilot has no job, and none are known to be free afterwards.
///
/// `has_stopped`: its provider says that it works no more.
pub fn live(vm: &PilotVM, has_stopped: bool, rows: Option<&Rows>, since: Since, now: Timestamp) -> Life {
    let Since { asking, waiting } = since;
    if has_stopped || deleting(vm) || is_ended(vm) || is_old(vm, now) || leaves(vm).is_some() {
        return Life::Ending;
    }
    let reference = stamp::reference(&vm.uid().unwrap_or_default());
    let row = rows.and_then(|r| r.row(&reference));
    if row.is_some_and(|r| matches!(r.status, PilotStatus::Done | PilotStatus::Failed)) {
        // The pilot says that it has ended: it takes no more jobs, whether its VM stops or not.
        return Life::Ending;
    }
    if drains(vm).is_some() {
        return Life::Draining;
    }
    let runs = ran(vm) || row.is_some_and(|r| r.status == PilotStatus::Running);
    if !runs {
        let late = match launched(vm) {
            Some(_) => is_late(vm, rows.map(|r| r.read_at(&reference)), Some(asking), now),
            None => now > deadline(vm),
        };
        return if late { Life::Ending } else { Life::Booting { ready_in: 0 } };
    }
    let since = vm.status.as_ref().and_then(|s| s.running_since.as_ref()).map_or(now, |t| t.0);
    let fresh = now.duration_since(since) < TAKES_JOBS_WITHIN;
    let idle = row.is_none_or(|r| r.current_job == 0);
    let all = size(vm);
    let idle_timeout = seconds(vm.spec.idle_timeout);
    let room = Room { all, asks_since: since.max(asking), waits_since: waiting, idle_timeout };
    let known = rows
        .and_then(|r| r.jobs.get(&reference))
        .and_then(|jobs| has(jobs))
        .map(|has| free(&room, &has, &takes(vm), now));
    let (free, soon) = known.unwrap_or((if idle || fresh { all } else { Free::default() }, None));
    Life::Running { free, soon: soon.into_iter().collect() }
}

/// What a pilot has; `None`: nobody says what it runs.
fn has(jobs: &PilotJobs) -> Option<Has> {
    let began = jobs.running.iter().map(|job| job.since).max();
    Some(Has { jobs: jobs.count()?, began, changed: jobs.changed })
}

/// What jobs take of it: DIRAC does not tell it of a single job, so they are taken for jobs of the class that takes most of those that
/// the VM was made for.
fn takes(vm: &PilotVM) -> JobClass {
    let classes = vm.spec.for_jobs.iter().map(job_class);
    classes.max_by_key(|class| class.takes(MUCH, 1).cores).unwrap_or_default()
}

/// A VM in which any job has room.
const MUCH: Free = Free { cores: u64::MAX, ram_mib: u64::MAX, gpus: u64::MAX, gpu_cores: 0 };

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
