//! Drift: VMs that run and are not as their pool says any more, and which of them may drain now.
//!
//! A pool says how many of its VMs drain by drift at the same moment, and when such a drain may begin. One that has begun goes on, also when
//! the time is over or less is allowed: its VM may run a long job, and would never go otherwise. None begins while VMs with what the pool
//! names now are known never to ask for work: the old ones work.

use super::{
    Reason,
    disruption::Drift,
    drain::frees_soonest,
    hold::Hold,
    life::Life,
    ours::Ours,
    snapshot::{LiveVm, Pool},
};

/// Of the VMs of one pool those that drain by drift: those that do already, and what frees soonest of the others, as far as they may
/// begin. `vms` are those that do not go for another reason.
pub fn drains<'a>(pool: &Pool, holds: &[Hold], vms: &[&Ours<'a>]) -> Vec<(&'a LiveVm, &'a Drift)> {
    let drifted = |ours: &&&Ours<'a>| {
        let vm = ours.vm;
        let runs = matches!(vm.life, Life::Running { .. } | Life::Draining);
        vm.drift.as_ref().filter(|_| runs).map(|drift| (ours.cloud.is_some(), vm, drift))
    };
    let (begun, mut others): (Vec<_>, Vec<_>) =
        vms.iter().filter_map(|ours| drifted(&ours)).partition(|(_, _, drift)| drift.drains);
    let there = vms.iter().filter(|ours| ours.vm.life != Life::Ending).count();
    let most = pool.disruption.most.of(count(there)).saturating_sub(count(begun.len()));
    // What a cloud that cannot be used offers now is not known.
    others.retain(|(is_known, vm, _)| *is_known && !fail_to_come(pool, holds, vm));
    others.sort_by_cached_key(|(_, vm, _)| (frees_soonest(vm, false), vm.name.clone()));
    others.truncate(if pool.disruption.is_open { usize::try_from(most).unwrap_or(usize::MAX) } else { 0 });
    begun.into_iter().chain(others).map(|(_, vm, drift)| (vm, drift)).collect()
}

/// Whether VMs with what the pool names now are known never to ask for work where this one is.
fn fail_to_come(pool: &Pool, holds: &[Hold], vm: &LiveVm) -> bool {
    holds.iter().any(|hold| {
        hold.reason == Reason::VmsFail
            && hold.image.as_ref().is_some_and(|image| *image == pool.image_for(vm.offering.gpus))
            && hold.cloud.as_ref().is_none_or(|cloud| *cloud == vm.cloud)
    })
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
