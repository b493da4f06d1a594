//! How much time is left: until clouds are closed, and to VMs. Pure.

use broker::plan::{Closing, STOP_MARGIN, work};
use crds::PilotVM;
use jiff::Timestamp;

use super::world::World;
use crate::{amounts::seconds_between, downtime::Course, life::before_the_first_job};

/// What downtimes close, seen from now.
pub fn closings(world: &World) -> Vec<Closing> {
    let clouds: Vec<_> = world.clouds.iter().map(|view| view.object.clone()).collect();
    let all = world.downtimes.iter();
    all.filter_map(|downtime| Course::of(downtime, &clouds, &world.pools).closing(downtime, world.now)).collect()
}

/// CPU time that the VM's pilot still offers, in normalised seconds. It begins with the pilot, without a margin, and passes whether a job
/// runs or not, on cores of this `power` (in hundredths; `None`: nobody says, and it counts as DIRAC's unit) so many times faster (DIRAC's
/// `Agent/JobAgent.py`, `initialize` and `_computeCPUWorkLeft`). The allowance before the first job is passed first (`vm/pilot.rs`).
pub fn cpu_time(vm: &PilotVM, power: Option<u64>, now: Timestamp) -> u64 {
    let whole = vm.spec.max_cpu_time.as_secs();
    let Some(began) = vm.status.as_ref().and_then(|s| s.running_since.as_ref()) else { return whole };
    let passed = work(power.unwrap_or(100), seconds_between(began.0, now).saturating_add(STOP_MARGIN));
    whole.saturating_sub(passed.saturating_sub(before_the_first_job(&vm.spec)))
}

/// Seconds until the VM is to be gone.
pub fn until(vm: &PilotVM, now: Timestamp) -> Option<u64> {
    vm.spec.until.as_ref().map(|until| seconds_between(now, until.0))
}
