//! Mass change: where most of a pool's VMs would drain at once since somebody changed a manifest, or an image or text that it names, a
//! person is asked first. Pure, but for the brakes that are kept between rounds.
//!
//! What drains already goes on. A Downtime is an explicit act, after the end of a credential nobody could delete the VMs, and VMs that boot lose
//! no job: none of these is held back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use broker::plan::{Life, Plan, Reason, Snapshot};
use crds::{PilotPool, PilotVM, annotation::ACKNOWLEDGE_CHANGE};
use kube::ResourceExt;
use tokio::time::Instant;

use super::world::World;
use crate::{
    known::{
        brake::{Brake, Limit, Sight},
        change::{Brakes, Change, asked},
    },
    life::drains,
    names::deleting,
};

/// What a plan would drain anew of one pool.
#[derive(Default)]
struct Anew<'a> {
    vms: BTreeSet<String>,
    /// Those that drain by drift.
    drifted: Vec<String>,
    /// The first of them, and why it would.
    first: Option<(&'a str, &'a str)>,
}

/// Takes the drains off the plan about which a person is asked first. What is held back, by pool.
pub fn hold_back(
    world: &World,
    taken: &Snapshot,
    plan: &mut Plan,
    brakes: &mut Brakes,
    now: Instant,
) -> BTreeMap<String, Change> {
    let mut running: HashMap<&str, usize> = HashMap::new();
    for vm in taken.vms.iter().filter(|vm| matches!(vm.life, Life::Running { .. } | Life::Draining)) {
        *running.entry(vm.pool.as_str()).or_default() += 1;
    }
    let mut anew = anew(world, plan);
    let pools: Vec<&PilotPool> = world.pools.iter().map(AsRef::as_ref).filter(|pool| !deleting(*pool)).collect();
    let (mut held, mut frozen) = (BTreeSet::new(), BTreeMap::new());
    for pool in &pools {
        let name = pool.name_any();
        let Anew { vms, drifted, first: one } = anew.remove(name.as_str()).unwrap_or_default();
        let all = running.get(name.as_str()).copied().unwrap_or(0);
        if all == 0 && !brakes.contains_key(&name) {
            continue;
        }
        let said = pool.annotations().get(ACKNOWLEDGE_CHANGE).map(String::as_str);
        let brake = brakes.entry(name.clone()).or_insert_with(|| first(pool, said));
        brake.see(Sight { doubtful: vms.clone(), all, said }, now);
        held.extend(vms.into_iter().filter(|vm| !brake.may_pass(vm, now)));
        let standing = brake.standing();
        if standing.is_frozen {
            let why = one.map(|(vm, why)| format!("{vm}: {why}")).unwrap_or_default();
            frozen.insert(name, Change { standing, all, why });
        } else {
            // How many follow each other by drift is what the pool's own budget says.
            brake.acknowledge(drifted);
        }
    }
    let there: BTreeSet<&str> = pools.iter().filter_map(|pool| pool.metadata.name.as_deref()).collect();
    brakes.retain(|name, _| there.contains(name.as_str()));
    plan.drains.retain(|drain| !held.contains(&drain.vm));
    frozen
}

/// A brake that has seen nothing. An annotation that stands there already is no answer, unless somebody was asked before the start.
fn first(pool: &PilotPool, said: Option<&str>) -> Brake {
    let mut brake = Brake::new(Limit::CHANGES);
    if !asked(pool) {
        brake.is_old(said);
    }
    brake
}

/// The VMs of each pool that the plan would drain, that do not drain yet, and that neither a Downtime nor the end of a credential asks for.
fn anew<'a>(world: &'a World, plan: &'a Plan) -> HashMap<&'a str, Anew<'a>> {
    let mut all: HashMap<&str, Anew<'_>> = HashMap::new();
    if plan.drains.is_empty() {
        return all;
    }
    let named = |vm: &'a PilotVM| Some((vm.metadata.name.as_deref()?, vm));
    let vms: HashMap<&str, &PilotVM> = world.vms.iter().filter_map(|vm| named(vm)).collect();
    for drain in plan.drains.iter().filter(|drain| !matches!(drain.why, Reason::Downtime | Reason::CredentialEnds)) {
        let Some(vm) = vms.get(drain.vm.as_str()).filter(|vm| drains(vm).is_none()) else { continue };
        let pool = world.pool(&vm.spec.pool_ref.name).map(AsRef::as_ref);
        if world.paused_by(pool, [vm.spec.cloud_ref.name.as_str()]).is_some() {
            continue;
        }
        let of_pool = all.entry(&vm.spec.pool_ref.name).or_default();
        of_pool.first.get_or_insert((&drain.vm, &drain.reason));
        of_pool.vms.insert(drain.vm.clone());
        of_pool.drifted.extend((drain.why == Reason::Drifted).then(|| drain.vm.clone()));
    }
    all
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
