//! What other installations of the namespace hold on the clouds: it leaves less of ceilings and quotas, and is not ours to give back. Pure.

use std::collections::HashMap;

use broker::plan::Resources;
use crds::PilotVM;

use super::{
    quotas::{Quotas, is_counted},
    world::World,
};
use crate::{amounts::count, known::lots::purchase, life::place};

/// Whether the VM is one of the installation for which the round is made.
pub fn is_ours(world: &World, vm: &PilotVM) -> bool {
    vm.spec.installation_ref.name == world.installation.name
}

/// What the VMs of other installations hold, by cloud. Those that a provider's quota does not count yet are taken off it.
pub fn elsewhere<'a>(world: &'a World, quotas: &mut Quotas<'a>) -> HashMap<&'a str, Resources> {
    let mut all: HashMap<&str, Resources> = HashMap::new();
    for vm in world.vms.iter().filter(|vm| !is_ours(world, vm)) {
        let (cloud, bought) = (vm.spec.cloud_ref.name.as_str(), &vm.spec.offering);
        let [cores, ram_mib, gpus] = [bought.cores, bought.ram_mib, bought.gpus].map(count);
        let held = all.entry(cloud).or_default();
        held.vms += 1;
        for (sum, more) in [(&mut held.cores, cores), (&mut held.ram_mib, ram_mib), (&mut held.gpus, gpus)] {
            *sum = sum.saturating_add(more);
        }
        let place = (cloud, &*bought.flavor, place(vm).0, purchase(bought.purchase));
        let quota = quotas.of_vm(place);
        let Some(quota) = quota.filter(|_| !is_counted(world, vm)).and_then(|index| quotas.all.get_mut(index)) else {
            continue;
        };
        let left = &mut quota.left;
        let each = [(&mut left.vms, 1), (&mut left.cores, cores), (&mut left.ram_mib, ram_mib), (&mut left.gpus, gpus)];
        for (left, less) in each {
            *left = left.map(|left| left.saturating_sub(less));
        }
    }
    all
}
