//! What is given back: VMs whose pilot has not asked for work yet, beyond a limit, or that nobody needs any more.

use std::collections::{BTreeSet, HashMap};

use super::{
    Surplus,
    life::Life,
    snapshot::{Limits, LiveVm, Snapshot},
};

/// Unused VMs that boot, by name: no waiting job is planned for them.
pub type Unused = BTreeSet<String>;

/// VMs to give back. One that may have a job is never among them.
pub fn surplus(snapshot: &Snapshot, unused: &Unused) -> Vec<Surplus> {
    let mut all = Vec::new();
    let mut gone: BTreeSet<&str> = BTreeSet::new();
    for bound in bounds(snapshot) {
        let live = snapshot.vms.iter().filter(|vm| vm.life != Life::Ending && !gone.contains(vm.name.as_str()));
        let ours: Vec<&LiveVm> = live.filter(|vm| (bound.counts)(vm)).collect();
        let mut over = Over::of(&ours, bound.limits);
        if !over.is_over() {
            continue;
        }
        let mut booting: Vec<&LiveVm> = ours.into_iter().filter(|vm| matches!(vm.life, Life::Booting { .. })).collect();
        // First what nobody needs, then the youngest.
        booting.sort_by_key(|vm| (!unused.contains(&vm.name), vm.age_seconds, &vm.name));
        for vm in booting {
            if !over.is_over() {
                break;
            }
            over.without(vm);
            gone.insert(&vm.name);
            all.push(Surplus {
                vm: vm.name.clone(),
                reason: format!("{}, and this one has not begun to work", bound.why),
            });
        }
    }
    all
}

struct Bounded<'a> {
    limits: Limits,
    why: String,
    counts: Box<dyn Fn(&LiveVm) -> bool + 'a>,
}

fn bounds(snapshot: &Snapshot) -> Vec<Bounded<'_>> {
    let mut all: Vec<Bounded<'_>> = Vec::new();
    let held = held(snapshot);
    for pool in snapshot.pools.iter().filter(|p| !p.borrows) {
        if held.get(&(0, pool.name.as_str())).is_some_and(|n| *n > pool.max) {
            all.push(Bounded {
                limits: Limits { vms: Some(pool.max), ..Limits::default() },
                why: format!("pool {} has more than {} VMs (spec.scaling.max)", pool.name, pool.max),
                counts: Box::new(|vm| vm.pool == pool.name),
            });
        }
    }
    for vo in &snapshot.vos {
        if vo.limits != Limits::default() && held.contains_key(&(1, vo.name.as_str())) {
            all.push(Bounded {
                limits: vo.limits,
                why: format!("VO {} has more than it may (spec.limits)", vo.name),
                counts: Box::new(|vm| vm.vo == vo.name),
            });
        }
    }
    for cloud in &snapshot.clouds {
        if cloud.ceiling != Limits::default() && held.contains_key(&(2, cloud.name.as_str())) {
            all.push(Bounded {
                limits: cloud.ceiling,
                why: format!("cloud {} has more than its ceiling (spec.ceiling)", cloud.name),
                counts: Box::new(|vm| vm.cloud == cloud.name),
            });
        }
    }
    all
}

/// VMs that are not ending, by pool (0), VO (1) and cloud (2).
fn held(snapshot: &Snapshot) -> HashMap<(u8, &str), u64> {
    let mut all = HashMap::new();
    for vm in snapshot.vms.iter().filter(|vm| vm.life != Life::Ending) {
        for place in [(0, vm.pool.as_str()), (1, vm.vo.as_str()), (2, vm.cloud.as_str())] {
            *all.entry(place).or_default() += 1;
        }
    }
    all
}

/// How much is held, against limits.
struct Over {
    used: [u64; 4],
    limits: [Option<u64>; 4],
}

impl Over {
    fn of(vms: &[&LiveVm], limits: Limits) -> Self {
        let mut used = [0; 4];
        for vm in vms {
            used.iter_mut().zip(size(vm)).for_each(|(used, more)| *used += more);
        }
        Self { used, limits: [limits.vms, limits.cores, limits.ram_mib, limits.gpus] }
    }

    fn is_over(&self) -> bool {
        self.used.iter().zip(self.limits).any(|(used, limit)| limit.is_some_and(|limit| *used > limit))
    }

    fn without(&mut self, vm: &LiveVm) {
        self.used.iter_mut().zip(size(vm)).for_each(|(used, less)| *used = used.saturating_sub(less));
    }
}

fn size(vm: &LiveVm) -> [u64; 4] {
    [1, vm.offering.cores, vm.offering.ram_mib, vm.offering.gpus]
}
