//! What is given back: VMs whose pilot has not asked for work yet, beyond a limit, or that nobody needs any more.

use std::collections::{BTreeSet, HashMap};

use super::{
    Reason, Surplus,
    account::{Account, amount},
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
        let mut account = bound.account;
        ours.iter().for_each(|vm| account.take(amount(&vm.offering, 0)));
        if !account.is_over() {
            continue;
        }
        let mut booting: Vec<&LiveVm> = ours.into_iter().filter(|vm| matches!(vm.life, Life::Booting { .. })).collect();
        // First what nobody needs, then the youngest.
        booting.sort_by_key(|vm| (!unused.contains(&vm.name), vm.age_seconds, &vm.name));
        for vm in booting {
            if !account.is_over() {
                break;
            }
            account.give(amount(&vm.offering, 0));
            gone.insert(&vm.name);
            all.push(Surplus {
                vm: vm.name.clone(),
                reason: format!("{}, and this one has not begun to work", account.whose),
            });
        }
    }
    all
}

struct Bounded<'a> {
    /// Of which only what others hold is used yet; whose it is is the reason for people.
    account: Account,
    counts: Box<dyn Fn(&LiveVm) -> bool + 'a>,
}

fn bounds(snapshot: &Snapshot) -> Vec<Bounded<'_>> {
    let mut all: Vec<Bounded<'_>> = Vec::new();
    let held = held(snapshot);
    for pool in snapshot.pools.iter().filter(|p| !p.borrows) {
        if held.get(&(0, pool.name.as_str())).is_some_and(|n| *n > pool.max) {
            all.push(Bounded {
                account: Account::new(
                    Reason::PoolMax,
                    format!("pool {} has more than {} VMs (spec.scaling.max)", pool.name, pool.max),
                    Limits { vms: Some(pool.max), ..Limits::default() },
                ),
                counts: Box::new(|vm| vm.pool == pool.name),
            });
        }
    }
    for vo in &snapshot.vos {
        if vo.limits != Limits::default() && held.contains_key(&(1, vo.name.as_str())) {
            all.push(Bounded {
                account: Account::new(
                    Reason::VoLimit,
                    format!("VO {} has more than it may (spec.limits)", vo.name),
                    vo.limits,
                ),
                counts: Box::new(|vm| vm.vo == vo.name),
            });
        }
    }
    for cloud in &snapshot.clouds {
        if cloud.ceiling != Limits::default() && held.contains_key(&(2, cloud.name.as_str())) {
            let mut account = Account::new(
                Reason::CloudCeiling,
                format!("cloud {} has more than its ceiling (spec.ceiling)", cloud.name),
                cloud.ceiling,
            );
            account.take_others(cloud.others);
            all.push(Bounded { account, counts: Box::new(|vm| vm.cloud == cloud.name) });
        }
    }
    let mut sites: BTreeSet<&str> = BTreeSet::new();
    for pool in snapshot.pools.iter().filter(|p| p.site_limits != Limits::default()) {
        if sites.insert(&pool.site) {
            let whose = format!("site {} has more than it may (spec.limits)", pool.site);
            let account = Account::new(Reason::SiteLimit, whose, pool.site_limits);
            all.push(Bounded { account, counts: Box::new(|vm| vm.says.site == pool.site) });
        }
    }
    if snapshot.limits != Limits::default() {
        let whose = "the installation has more than it may (spec.limits)".to_owned();
        let account = Account::new(Reason::InstallationLimit, whose, snapshot.limits);
        all.push(Bounded { account, counts: Box::new(|_| true) });
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
