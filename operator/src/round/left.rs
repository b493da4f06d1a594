//! How much time is left: until clouds are closed, and to VMs. Pure.

use broker::plan::Closing;
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

/// CPU time that the VM's pilot still offers. It begins with the pilot and passes whether a job runs or not (DIRAC's `Agent/JobAgent.py`,
/// `_computeCPUWorkLeft`); the allowance before the first job is passed first (`vm/pilot.rs`).
pub fn cpu_time(vm: &PilotVM, now: Timestamp) -> u64 {
    let whole = vm.spec.max_cpu_time.as_secs();
    let Some(began) = vm.status.as_ref().and_then(|s| s.running_since.as_ref()) else { return whole };
    let passed = seconds_between(began.0, now).saturating_sub(before_the_first_job(&vm.spec));
    whole.saturating_sub(passed)
}

/// Seconds until the VM is to be gone.
pub fn until(vm: &PilotVM, now: Timestamp) -> Option<u64> {
    vm.spec.until.as_ref().map(|until| seconds_between(now, until.0))
}
