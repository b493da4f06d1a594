//! What is given back, after the plan for the jobs: VMs beyond a limit that was lowered, VMs that are not as their pool says any more, and
//! VMs that boot for jobs which are gone.
//!
//! A VM whose pilot has not asked for work is given back at once. One that may have jobs drains (`drain.rs`).

use std::collections::{BTreeMap, HashSet};

use super::{
    Drain, Reason, Surplus,
    account::amount,
    drain::{Over, frees_soonest},
    drift,
    life::{Free, Life},
    ours::Ours,
    snapshot::{LiveVm, Snapshot},
};

/// Unused VMs that boot, by name: no waiting job is planned for them.
pub type Unused<'a> = HashSet<&'a str>;

/// What is given back.
#[derive(Default)]
pub struct Returns<'a> {
    /// VMs whose pilot has not asked for work yet.
    pub surplus: Vec<Surplus>,
    /// VMs that are to take no more jobs.
    pub drains: Vec<Drain>,
    leaving: HashSet<&'a str>,
}

/// The VMs of a pool that are not given back for a limit.
#[derive(Default)]
struct Crew<'a> {
    /// How many boot or run.
    lives: u64,
    /// How many have no job: they boot for nobody, or run with all that they have free.
    waits: u64,
    /// Those that have booted for nobody for as long as a VM of the pool idles.
    long: Vec<&'a LiveVm>,
}

impl<'a> Returns<'a> {
    /// What is beyond these limits, and what nobody needs.
    pub fn of(snapshot: &Snapshot, over: Vec<Over<'a>>, ours: &[Ours<'a>], unused: &Unused<'_>) -> Self {
        let mut returns = Self::default();
        for bound in over {
            returns.fit(bound, unused);
        }
        returns.drifted(snapshot, ours);
        let mut crews: BTreeMap<usize, Crew<'a>> = BTreeMap::new();
        for Ours { vm, pool, .. } in ours.iter().filter(|ours| !returns.leaving.contains(ours.vm.name.as_str())) {
            let Some(pool) = *pool else { continue };
            let (crew, is_unused) = (crews.entry(pool).or_default(), unused.contains(vm.name.as_str()));
            let is_idle = matches!(&vm.life, Life::Running { free, .. } if *free == Free::all(&vm.offering));
            crew.lives += u64::from(matches!(vm.life, Life::Booting { .. } | Life::Running { .. }));
            crew.waits += u64::from(is_unused) + u64::from(is_idle);
            if is_unused && vm.unneeded_seconds > snapshot.pools[pool].idle_seconds {
                crew.long.push(vm);
            }
        }
        for (pool, crew) in crews {
            let pool = &snapshot.pools[pool];
            returns.unneeded(crew, pool.min, pool.spare);
        }
        returns
    }

    /// Takes VMs off until this limit holds: what frees soonest first. Those that boot free at once, first those that nobody needs, then
    /// the youngest. Those that drain already go on, so that the same VMs drain at the next plan.
    fn fit(&mut self, Over { mut account, vms }: Over<'a>, nobodys: &Unused<'_>) {
        vms.iter().for_each(|vm| account.take(amount(&vm.offering, 0)));
        let (gone, mut left): (Vec<&LiveVm>, Vec<&LiveVm>) =
            vms.into_iter().partition(|vm| self.leaving.contains(vm.name.as_str()));
        gone.iter().for_each(|vm| account.give(amount(&vm.offering, 0)));
        if !account.is_over() {
            return;
        }
        left.sort_by_cached_key(|vm| (frees_soonest(vm, nobodys.contains(vm.name.as_str())), vm.name.clone()));
        for vm in left {
            if !account.is_over() {
                return;
            }
            account.give(amount(&vm.offering, 0));
            self.leaving.insert(&vm.name);
            let (name, whose) = (vm.name.clone(), &account.whose);
            if matches!(vm.life, Life::Booting { .. }) {
                let reason = format!("{whose}, and this one has not begun to work");
                self.surplus.push(Surplus { vm: name, reason });
            } else {
                self.drains.push(Drain { vm: name, why: account.reason, reason: whose.clone() });
            }
        }
    }

    /// VMs that are not as their pool says any more drain, as fast as the pool says.
    fn drifted(&mut self, snapshot: &Snapshot, ours: &[Ours<'a>]) {
        if ours.iter().all(|ours| ours.vm.drift.is_none()) {
            return;
        }
        let mut crews: BTreeMap<usize, Vec<&Ours<'a>>> = BTreeMap::new();
        for one in ours.iter().filter(|ours| !self.leaving.contains(ours.vm.name.as_str())) {
            if let Some(pool) = one.pool {
                crews.entry(pool).or_default().push(one);
            }
        }
        for (pool, crew) in crews {
            for (vm, drift) in drift::drains(&snapshot.pools[pool], &snapshot.holds, &crew) {
                self.leaving.insert(&vm.name);
                let reason = drift.what.to_string();
                self.drains.push(Drain { vm: vm.name.clone(), why: Reason::Drifted, reason });
            }
        }
    }

    /// Gives back VMs of a pool that boot and that no job has needed for as long as a VM of the pool idles, beyond those that the pool keeps:
    /// to boot for nobody is to idle.
    fn unneeded(&mut self, Crew { lives, waits, mut long }: Crew<'a>, min: u64, spare: u64) {
        let most = lives.saturating_sub(min).min(waits.saturating_sub(spare));
        long.sort_by_key(|vm| (vm.age_seconds, &vm.name));
        for vm in long.into_iter().take(usize::try_from(most).unwrap_or(usize::MAX)) {
            self.leaving.insert(&vm.name);
            let reason = "the jobs for which it was made are gone, and no other waiting job has needed it since";
            self.surplus.push(Surplus { vm: vm.name.clone(), reason: reason.to_owned() });
        }
    }
}
