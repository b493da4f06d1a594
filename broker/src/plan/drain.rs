//! Which limits are passed, by which VMs, and which of these free soonest.
//!
//! A VM that drains takes no planned jobs and goes when it has none. No job is killed: while a VM cannot be told to take no more, DIRAC may
//! still give it some. The drains of a plan are all that are to be: who drained before and is not among them works on as before.

use std::{cmp::Reverse, collections::HashMap};

use serde::{Deserialize, Serialize};

use super::{
    Reason,
    account::Account,
    books::{Books, Whose},
    life::{Free, Life},
    ours::Ours,
    snapshot::{Limits, LiveVm, Snapshot},
};

/// One VM that is to take no more jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drain {
    /// PilotVM object.
    pub vm: String,
    /// Which kind of limit.
    pub why: Reason,
    /// Why, as a sentence.
    pub reason: String,
}

/// A limit that is passed.
pub struct Over<'a> {
    /// The limit, of which only what others hold is used yet; whose it is is the reason for people.
    pub account: Account,
    /// The VMs that count against it and are not ending.
    pub vms: Vec<&'a LiveVm>,
}

/// The limits that VMs pass which are there.
pub fn over<'a>(snapshot: &'a Snapshot, books: &Books<'a>, ours: &[Ours<'a>]) -> Vec<Over<'a>> {
    let passed = books.passed();
    let places: HashMap<Whose, usize> = passed.iter().enumerate().map(|(i, whose)| (*whose, i)).collect();
    let account = |whose: &Whose| Over { account: bound(snapshot, *whose), vms: Vec::new() };
    let mut all: Vec<Over<'a>> = passed.iter().map(account).collect();
    if all.is_empty() {
        return all;
    }
    let closings: Vec<(usize, usize)> = passed
        .iter()
        .enumerate()
        .filter_map(|(i, whose)| if let Whose::Closing(closing) = whose { Some((i, *closing)) } else { None })
        .collect();
    for Ours { vm, pool, vo, cloud, site, .. } in ours.iter().filter(|ours| ours.vm.life != Life::Ending) {
        let counts = [
            pool.map(Whose::Pool),
            vo.map(Whose::Vo),
            site.map(Whose::Site),
            cloud.map(Whose::Cloud),
            Some(Whose::Installation),
        ];
        for i in counts.iter().flatten().filter_map(|whose| places.get(whose)) {
            all[*i].vms.push(vm);
        }
        for (i, _) in closings.iter().filter(|(_, closing)| snapshot.closings[*closing].counts(vm)) {
            all[*i].vms.push(vm);
        }
    }
    all
}

fn bound(snapshot: &Snapshot, whose: Whose) -> Account {
    let account = |reason, text: String, limits| Account::new(reason, text, limits);
    match whose {
        Whose::Pool(i) => {
            let pool = &snapshot.pools[i];
            let text = format!("pool {} has more than {} VMs (spec.scaling.max)", pool.name, pool.max);
            let limits = Limits { vms: Some(pool.max), ..Limits::default() };
            account(Reason::PoolMax, text, limits)
        }
        Whose::Vo(i) => {
            let vo = &snapshot.vos[i];
            let text = format!("VO {} has more than it may (spec.limits)", vo.name);
            account(Reason::VoLimit, text, vo.limits)
        }
        Whose::Site(i) => {
            let pool = &snapshot.pools[i];
            let text = format!("site {} has more than it may (spec.limits)", pool.site);
            account(Reason::SiteLimit, text, pool.site_limits)
        }
        Whose::Cloud(i) => {
            let cloud = &snapshot.clouds[i];
            let text = format!("cloud {} has more than its ceiling (spec.ceiling)", cloud.name);
            let mut account = account(Reason::CloudCeiling, text, cloud.ceiling);
            account.take_others(cloud.others);
            account
        }
        Whose::Closing(i) => snapshot.closings[i].account(),
        Whose::Installation => {
            let text = "the installation has more than it may (spec.limits)".to_owned();
            account(Reason::InstallationLimit, text, snapshot.limits)
        }
    }
}

/// What frees soonest, as far as is known; the smallest: VMs that boot, first those that nobody needs, then the youngest; VMs that drain
/// already; then those that run, by when their last job ends, by their free cores and by the CPU time that they have left.
pub fn frees_soonest(vm: &LiveVm, is_nobodys: bool) -> (u8, u64, Reverse<u64>, u64) {
    match &vm.life {
        Life::Booting { .. } => (0, u64::from(!is_nobodys), Reverse(0), vm.age_seconds),
        Life::Draining | Life::Ending => (1, 0, Reverse(vm.age_seconds), 0),
        Life::Running { free, soon } => {
            let all = Free::all(&vm.offering);
            let known = soon.iter().fold(*free, |free, soon| free.and(soon.free));
            let last = soon.iter().map(|soon| soon.in_seconds).max().unwrap_or(0);
            let ends = if known.up_to(all) == all { last } else { u64::MAX };
            (2, ends, Reverse(free.cores), vm.cpu_time)
        }
    }
}
