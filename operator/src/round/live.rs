//! How far a VM is for the planner, and what it has to give. Pure.

use broker::{
    pilot::{rows::PilotStatus, stamp},
    plan::VmPhase,
};
use crds::PilotVM;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::free::{Room, free_cores};
use crate::{
    amounts::{count, seconds},
    known::installation::Rows,
    life::{deadline, is_ended, is_late, is_old, launched, leaves, ran},
    names::deleting,
};

/// A pilot that has just begun has had no time to take jobs: for so long all its cores count as free.
const TAKES_JOBS_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// DIRAC's tag of jobs that take a whole VM.
const WHOLE_NODE: &str = "WholeNode";

/// A VM's place in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// How far it is.
    pub phase: VmPhase,
    /// Cores known to be free, of a running one.
    pub free_cores: u64,
}

/// The place of this VM.
///
/// Where it is known which jobs a pilot runs, the rest of the VM is free (see [`free_cores`]). Elsewhere DIRAC tells which job the pilot
/// got last: a running VM's cores are free while its pilot has no job, and none are known to be free afterwards.
pub fn live(vm: &PilotVM, rows: Option<&Rows>, asking: Timestamp, now: Timestamp) -> Life {
    let none = |phase| Life { phase, free_cores: 0 };
    if deleting(vm) || is_ended(vm) || is_old(vm, now) || leaves(vm).is_some() {
        return none(VmPhase::Ending);
    }
    let reference = stamp::reference(&vm.uid().unwrap_or_default());
    let row = rows.and_then(|r| r.by_reference.get(&reference));
    if row.is_some_and(|r| matches!(r.status, PilotStatus::Done | PilotStatus::Failed)) {
        // The pilot says that it has ended: it takes no more jobs, whether its VM stops or not.
        return none(VmPhase::Ending);
    }
    let runs = ran(vm) || row.is_some_and(|r| r.status == PilotStatus::Running);
    if !runs {
        let late = match launched(vm) {
            Some(_) => is_late(vm, rows.map(|r| r.read_at(&reference)), Some(asking), now),
            None => now > deadline(vm),
        };
        return none(if late { VmPhase::Ending } else { VmPhase::Booting });
    }
    let since = vm.status.as_ref().and_then(|s| s.running_since.as_ref()).map_or(now, |t| t.0);
    let fresh = now.duration_since(since) < TAKES_JOBS_WITHIN;
    let idle = row.is_none_or(|r| r.current_job == 0);
    let cores = count(vm.spec.offering.cores);
    let is_whole = vm.spec.required_tags.iter().any(|tag| tag == WHOLE_NODE);
    let room = Room {
        cores,
        each: (!is_whole).then_some(1),
        asks_since: since.max(asking),
        idle_timeout: seconds(vm.spec.idle_timeout),
    };
    let known = rows.and_then(|r| r.jobs.get(&reference)).and_then(|jobs| free_cores(&room, jobs, now));
    if let Some(free_cores) = known {
        return Life { phase: VmPhase::Running, free_cores };
    }
    Life { phase: VmPhase::Running, free_cores: if idle || fresh { cores } else { 0 } }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
