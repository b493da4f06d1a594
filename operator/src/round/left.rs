//! How much time is left: until clouds are closed or their credentials end, and to VMs. Pure.

use broker::plan::{Closing, STOP_MARGIN, work};
use crds::PilotVM;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::world::{CloudView, World};
use crate::{
    amounts::{seconds, seconds_between},
    downtime::{Course, NOTHING, longest},
    life::before_the_first_job,
};

/// VMs are to be gone this long before nobody could delete them any more: a deletion is repeated until the provider says that it is done.
const DELETED_WITHIN: SignedDuration = SignedDuration::from_mins(15);

/// What downtimes, and the ends of credentials, close, seen from now.
pub fn closings(world: &World) -> Vec<Closing> {
    let clouds: Vec<_> = world.clouds.iter().map(|view| view.object.clone()).collect();
    let all = world.downtimes.iter();
    let downtimes = all.filter_map(|downtime| Course::of(downtime, &clouds, &world.pools).closing(downtime, world.now));
    downtimes.chain(world.clouds.iter().filter_map(|view| end_of_credential(world, view))).collect()
}

/// The end of the credential with which a cloud's VMs are deleted. It drains for the longest CPU time that a job may have there.
fn end_of_credential(world: &World, view: &CloudView) -> Option<Closing> {
    // Since the start it may not have been asked for yet: what was found last holds.
    let before = || view.object.status.as_ref()?.credential_expires.as_ref().map(|time| time.0);
    let end = view.offers.as_ref().map_or_else(before, |offers| offers.credential_expires)?;
    let clouds = vec![view.object.name_any()];
    let starts = end.checked_sub(DELETED_WITHIN).unwrap_or(Timestamp::MIN);
    let drains = longest(&clouds, &world.pools).map(seconds).unwrap_or_default();
    let drains = starts.checked_sub(drains).unwrap_or(Timestamp::MIN);
    let name = &clouds[0];
    Some(Closing {
        name: name.clone(),
        is_credential: true,
        drains_in: seconds_between(world.now, drains),
        starts_in: seconds_between(world.now, starts),
        keep: NOTHING,
        message: format!("the credential of cloud {name} ends at {end}, and nobody could delete VMs there after that"),
        clouds,
    })
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
