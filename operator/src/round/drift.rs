//! What has changed since a VM was made: what it was made from, beside what its pool says now. Pure.
//!
//! What nobody wrote down, or nobody knows now, has not changed: VMs of older versions have no record of their image and user-data, and
//! a cloud that has not said what it offers may offer what it did.

use std::collections::{BTreeMap, HashMap};

use broker::{
    pilot::user_data::fingerprint,
    plan::{Drift, Life, Offering, Requirements, Snapshot},
};
use crds::{PilotPool, PilotVM, Reason};

use super::world::{CloudView, World};
use crate::{
    amounts::{count, gpus},
    life::drains,
    resolve::requirements,
};

/// What pools say that their VMs are, put into words once.
pub struct Wanted<'a> {
    pools: HashMap<&'a str, OfPool<'a>>,
    clouds: HashMap<&'a str, &'a CloudView>,
}

struct OfPool<'a> {
    object: &'a PilotPool,
    user_data: String,
    requirements: Requirements,
}

impl<'a> Wanted<'a> {
    pub fn of(world: &'a World) -> Self {
        let pool = |object: &'a PilotPool| {
            let machine = &object.spec.machine;
            let (user_data, requirements) =
                (fingerprint(machine.user_data.as_deref()), requirements(machine.requirements.as_ref()));
            Some((object.metadata.name.as_deref()?, OfPool { object, user_data, requirements }))
        };
        let cloud = |view: &'a CloudView| Some((view.object.metadata.name.as_deref()?, view));
        Self {
            pools: world.pools.iter().filter_map(|object| pool(object)).collect(),
            clouds: world.clouds.iter().filter_map(cloud).collect(),
        }
    }

    /// How the VM is not as its pool says any more; nothing where it is, or nobody knows.
    pub fn drift(&self, vm: &PilotVM) -> Option<Drift> {
        let pool = self.pools.get(vm.spec.pool_ref.name.as_str())?;
        let cloud = self.clouds.get(vm.spec.cloud_ref.name.as_str()).copied();
        let changed: Vec<String> = [image(pool, cloud, vm), flavor(pool, cloud, vm), user_data(pool, vm), vo(pool, vm)]
            .into_iter()
            .flatten()
            .collect();
        (!changed.is_empty()).then(|| Drift {
            what: format!("it is not as pool {} says any more: {}", vm.spec.pool_ref.name, changed.join("; ")).into(),
            drains: drains(vm).is_some_and(|(reason, _)| reason == Reason::Drifted.as_str()),
        })
    }
}

/// How many VMs of each pool run and are not as it says any more; a pool without VMs has none.
pub fn counted(taken: &Snapshot) -> BTreeMap<String, u64> {
    let mut all: BTreeMap<String, u64> = taken.pools.iter().map(|pool| (pool.name.clone(), 0)).collect();
    let runs = |life: &Life| matches!(life, Life::Running { .. } | Life::Draining);
    for vm in taken.vms.iter().filter(|vm| vm.drift.is_some() && runs(&vm.life)) {
        if let Some(count) = all.get_mut(&vm.pool) {
            *count += 1;
        }
    }
    all
}

fn image(pool: &OfPool<'_>, cloud: Option<&CloudView>, vm: &PilotVM) -> Option<String> {
    let has = vm.status.as_ref()?.attempt.as_ref()?.image_id.as_deref()?;
    let wanted = pool.object.spec.machine.image_for(vm.spec.offering.gpus);
    let now = cloud?.offers.as_ref()?.images.get(wanted)?.id.as_str();
    (now != has).then(|| format!("image {wanted} of cloud {} is now {now}, and it has {has}", vm.spec.cloud_ref.name))
}

fn flavor(pool: &OfPool<'_>, cloud: Option<&CloudView>, vm: &PilotVM) -> Option<String> {
    let (flavors, has) = (&pool.object.spec.machine.flavors, &vm.spec.offering);
    let is_taken = if flavors.is_empty() { fits(pool, cloud, has) } else { flavors.contains(&has.flavor) };
    (!is_taken).then(|| format!("spec.machine takes the flavor {} no more", has.flavor))
}

/// Whether it lies within the pool's bounds, as far as is known.
fn fits(pool: &OfPool<'_>, cloud: Option<&CloudView>, has: &crds::vm::Offering) -> bool {
    let mut bounds = pool.requirements.clone();
    let offers = cloud.and_then(|view| view.offers.as_ref());
    let known = offers.and_then(|offers| offers.flavors.iter().find(|flavor| flavor.name == has.flavor));
    let known = gpus(known.and_then(|flavor| flavor.gpu.as_ref()));
    if known.gpu_model.is_none() {
        bounds.gpu_models.clear();
    }
    if known.gpu_memory_mib.is_none() {
        bounds.gpu_memory_gib = (None, None);
    }
    if known.gpu_vendor.is_none() {
        bounds.gpu_vendor = None;
    }
    bounds.accept(&Offering { cores: count(has.cores), ram_mib: count(has.ram_mib), gpus: count(has.gpus), ..known })
}

fn user_data(pool: &OfPool<'_>, vm: &PilotVM) -> Option<String> {
    let has = vm.status.as_ref()?.attempt.as_ref()?.user_data_hash.as_deref()?;
    (pool.user_data != has).then(|| "spec.machine.userData is another".to_owned())
}

fn vo(pool: &OfPool<'_>, vm: &PilotVM) -> Option<String> {
    let is_served = pool.object.spec.vos.contains(&vm.spec.vo);
    (!is_served).then(|| format!("spec.vos has VO {} no more", vm.spec.vo))
}

#[cfg(test)]
#[path = "drift_tests.rs"]
mod tests;
