//! How far a VM is for the planner, and what it has to give. Pure.

use broker::{
    pilot::{rows::PilotStatus, stamp},
    plan::{Free, Life},
};
use crds::PilotVM;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::{
    amounts::count,
    known::installation::Rows,
    life::{deadline, is_ended, is_late, is_old, launched, leaves, ran},
    names::deleting,
};

/// A pilot that has just begun has had no time to take jobs: for so long all its cores count as free.
const TAKES_JOBS_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// How far this VM is, and what it has to give.
///
/// DIRAC tells which job a pilot got last, not how many cores it uses. So a running VM's cores are free while its pilot has no job,
/// and none are known to be free afterwards: jobs that still wait although it runs are beyond what it takes.
pub fn live(vm: &PilotVM, rows: Option<&Rows>, asking: Timestamp, now: Timestamp) -> Life {
    if deleting(vm) || is_ended(vm) || is_old(vm, now) || leaves(vm).is_some() {
        return Life::Ending;
    }
    let reference = stamp::reference(&vm.uid().unwrap_or_default());
    let row = rows.and_then(|r| r.by_reference.get(&reference));
    if row.is_some_and(|r| matches!(r.status, PilotStatus::Done | PilotStatus::Failed)) {
        // The pilot says that it has ended: it takes no more jobs, whether its VM stops or not.
        return Life::Ending;
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
    let offering = &vm.spec.offering;
    let all = Free { cores: count(offering.cores), ram_mib: count(offering.ram_mib), gpus: count(offering.gpus) };
    Life::Running { free: if idle || fresh { all } else { Free::default() }, soon: Vec::new() }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
