//! What a round tells VMs of their drain, and which of those that drain may go. Pure.

use std::{collections::HashMap, sync::Arc};

use broker::{
    pilot::{rows::PilotStatus, stamp},
    plan::{Drain as Planned, Plan, Snapshot, snapshot::places},
};
use crds::PilotVM;
use kube::ResourceExt;

use super::world::World;
use crate::{
    known::memory::Drain,
    life::{drains, is_ended, launched},
    names::deleting,
    trouble::of_plan,
};

/// The VMs that are told something new of their drain. Those of what the snapshot left out, for example of a cloud that does not answer,
/// go on as they do: what is unknown may still hold.
pub fn told(world: &World, taken: &Snapshot, plan: &Plan) -> Vec<(Arc<PilotVM>, Drain)> {
    let wanted = by_vm(plan);
    let pools = places(taken.pools.iter().map(|pool| &pool.name));
    let clouds = places(taken.clouds.iter().map(|cloud| &cloud.name));
    let tell = |vm: &Arc<PilotVM>| {
        let said = drains(vm);
        let drain = match wanted.get(vm.metadata.name.as_deref()?) {
            Some(drain) => {
                let reason = of_plan(drain.why);
                let is_news = said != Some((reason.as_str(), drain.reason.as_str()));
                is_news.then(|| Drain::Begins(reason, drain.reason.clone()))?
            }
            None => {
                let is_known = pools.contains_key(vm.spec.pool_ref.name.as_str())
                    && clouds.contains_key(vm.spec.cloud_ref.name.as_str());
                (said.is_some() && is_known).then_some(Drain::Stops)?
            }
        };
        Some((vm.clone(), drain))
    };
    concerned(world).filter_map(tell).filter(|(vm, _)| !is_paused(world, vm)).collect()
}

/// The VMs that drain and of which it is not known that they have a job, each with its reason.
pub fn idle(world: &World, plan: &Plan) -> Vec<(Arc<PilotVM>, String)> {
    let wanted = by_vm(plan);
    let may_be = |vm: &Arc<PilotVM>| {
        let drain = wanted.get(vm.metadata.name.as_deref()?)?;
        drains(vm)?;
        let reference = stamp::reference(&vm.uid().unwrap_or_default());
        let row = world.rows.as_ref()?.row(&reference)?;
        let may_be = row.status != PilotStatus::Done && row.running.is_none_or(|jobs| jobs == 0);
        may_be.then(|| (vm.clone(), drain.reason.clone()))
    };
    concerned(world).filter_map(may_be).filter(|(vm, _)| !is_paused(world, vm)).collect()
}

fn by_vm(plan: &Plan) -> HashMap<&str, &Planned> {
    plan.drains.iter().map(|drain| (drain.vm.as_str(), drain)).collect()
}

/// The installation's VMs that were made and live.
fn concerned(world: &World) -> impl Iterator<Item = &Arc<PilotVM>> {
    world.vms.iter().filter(|vm| {
        vm.spec.installation_ref.name == world.installation.name
            && launched(vm).is_some()
            && !deleting(vm.as_ref())
            && !is_ended(vm)
    })
}

/// Whether nothing is made or taken away where this VM is.
fn is_paused(world: &World, vm: &PilotVM) -> bool {
    let pool = world.pool(&vm.spec.pool_ref.name).map(Arc::as_ref);
    world.paused_by(pool, [vm.spec.cloud_ref.name.as_str()]).is_some()
}

#[cfg(test)]
#[path = "drain_tests.rs"]
mod tests;
