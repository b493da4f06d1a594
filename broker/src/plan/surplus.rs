//! What is given back: VMs whose pilot has not asked for work yet, beyond a limit, or that nobody needs any more.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    Reason, Surplus,
    account::{Account, amount},
    life::Life,
    ours::Ours,
    snapshot::{Limits, LiveVm, Snapshot},
};

/// Unused VMs that boot, by name: no waiting job is planned for them.
pub type Unused<'a> = HashSet<&'a str>;

/// VMs to give back. One that may have a job is never among them.
pub fn surplus(snapshot: &Snapshot, ours: &[Ours<'_>], unused: &Unused<'_>) -> Vec<Surplus> {
    let mut all = Vec::new();
    let mut gone: BTreeSet<&str> = BTreeSet::new();
    let held = held(ours);
    for bound in bounds(snapshot, &held) {
        let mut account = bound.account;
        let counted = held[&bound.whose].iter().filter(|vm| !gone.contains(vm.name.as_str()));
        counted.clone().for_each(|vm| account.take(amount(&vm.offering, 0)));
        if !account.is_over() {
            continue;
        }
        let mut booting: Vec<&LiveVm> = counted.filter(|vm| matches!(vm.life, Life::Booting { .. })).copied().collect();
        // First what nobody needs, then the youngest.
        booting.sort_by_key(|vm| (!unused.contains(vm.name.as_str()), vm.age_seconds, &vm.name));
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

/// What VMs are counted for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    Pool(usize),
    Vo(usize),
    Cloud(usize),
    /// The site of the pool with this index.
    Site(usize),
    Installation,
}

type Held<'a> = HashMap<Whose, Vec<&'a LiveVm>>;

struct Bounded {
    /// Of which only what others hold is used yet; whose it is is the reason for people.
    account: Account,
    whose: Whose,
}

/// What may be passed, where VMs are.
fn bounds(snapshot: &Snapshot, held: &Held<'_>) -> Vec<Bounded> {
    let pools = snapshot.pools.iter().enumerate().filter(|(_, pool)| !pool.borrows).map(|(i, pool)| {
        let whose = format!("pool {} has more than {} VMs (spec.scaling.max)", pool.name, pool.max);
        let limits = Limits { vms: Some(pool.max), ..Limits::default() };
        (Whose::Pool(i), Reason::PoolMax, whose, limits)
    });
    let vos = snapshot.vos.iter().enumerate().map(|(i, vo)| {
        (Whose::Vo(i), Reason::VoLimit, format!("VO {} has more than it may (spec.limits)", vo.name), vo.limits)
    });
    let clouds = snapshot.clouds.iter().enumerate().map(|(i, cloud)| {
        let whose = format!("cloud {} has more than its ceiling (spec.ceiling)", cloud.name);
        (Whose::Cloud(i), Reason::CloudCeiling, whose, cloud.ceiling)
    });
    let sites = snapshot.pools.iter().enumerate().map(|(i, pool)| {
        let whose = format!("site {} has more than it may (spec.limits)", pool.site);
        (Whose::Site(i), Reason::SiteLimit, whose, pool.site_limits)
    });
    let whose = "the installation has more than it may (spec.limits)".to_owned();
    let installation = (Whose::Installation, Reason::InstallationLimit, whose, snapshot.limits);
    let all = pools.chain(vos).chain(clouds).chain(sites).chain([installation]);
    let all = all.filter(|(whose, _, _, limits)| *limits != Limits::default() && held.contains_key(whose));
    let bounded = |(whose, reason, text, limits)| {
        let mut account = Account::new(reason, text, limits);
        if let Whose::Cloud(cloud) = whose {
            account.take_others(snapshot.clouds[cloud].others);
        }
        Bounded { account, whose }
    };
    all.map(bounded).collect()
}

/// VMs that are not ending.
fn held<'a>(ours: &[Ours<'a>]) -> Held<'a> {
    let mut all: Held<'a> = HashMap::new();
    for Ours { vm, pool, vo, cloud, site, .. } in ours.iter().filter(|ours| ours.vm.life != Life::Ending) {
        let of = [pool.map(Whose::Pool), vo.map(Whose::Vo), cloud.map(Whose::Cloud), site.map(Whose::Site)];
        let of = of.into_iter().flatten().chain([Whose::Installation]);
        of.for_each(|whose| all.entry(whose).or_default().push(vm));
    }
    all
}
