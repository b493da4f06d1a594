//! What each VO of an installation used and spent, and how long the VMs of its pools live. Pure.
//!
//! Flow of a round: 1. what the VOs hold now counts as used for the time since the last round; 2. each budget takes in VMs that are new,
//! and settles those that are gone; 3. what people see, and what is written down for a restart, is brought up to date once a minute.
//!
//! It goes on after a restart, and after another replica led, from what the statuses of the VOs and pools say.

mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use broker::{
    experience::{Amounts, Living, NoRate, Purse, Standing, Terms, Usage, Written},
    plan::Resources,
};
use crds::{Cloud, PilotPool, PilotVM, VirtualOrganization};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use crate::{
    amounts::{count, seconds_between},
    life::launched,
};
pub use words::{expected, ledger, unit};
use words::{rate, terms, written};

/// What people see is brought up to date after this time.
const TOLD_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// Of the mean life the last VM that ended is so great a part.
const PART: u64 = 8;

/// The objects of an installation's namespace, as one round sees them.
pub struct Seen<'a> {
    pub installation: &'a str,
    pub vms: &'a [Arc<PilotVM>],
    pub vos: &'a [Arc<VirtualOrganization>],
    pub pools: &'a [Arc<PilotPool>],
    pub clouds: &'a [Arc<Cloud>],
    pub now: Timestamp,
}

/// What the VOs of one installation used and spent.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    at: Option<Timestamp>,
    usage: Usage,
    purses: BTreeMap<String, Account>,
    /// Seconds that VMs live on average, by pool.
    lives: BTreeMap<String, u64>,
}

/// The budget of one VO.
#[derive(Clone, Debug)]
struct Account {
    purse: Purse,
    /// The pool of each VM for which something is held, by UID.
    pools: BTreeMap<Arc<str>, String>,
    told: Told,
}

/// How a budget stands, as people are told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Spent, reserved and left, in the budget's unit.
    pub standing: Standing,
    /// What is written down for a restart.
    pub written: Written,
    /// VMs of which no price in the currency of the budget is known.
    pub unpriced: usize,
}

/// What the plan asks of the accounts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// What each VO held on average lately.
    pub used: BTreeMap<String, Resources>,
    /// What is left of each budget, in the smallest part of its unit.
    pub left: BTreeMap<String, u64>,
    /// Seconds that VMs live on average, by pool.
    pub lives: BTreeMap<String, u64>,
}

impl Accounts {
    /// Counts what the VMs hold and cost since the last round. The first round goes on from what the statuses say.
    pub fn round(&mut self, seen: &Seen<'_>) {
        // Whole seconds, as they are written down.
        let now = Timestamp::from_second(seen.now.as_second()).unwrap_or(seen.now);
        let ours = seen.vms.iter().filter(|vm| vm.spec.installation_ref.name == seen.installation);
        let mut by_vo: BTreeMap<&str, Vec<&PilotVM>> = BTreeMap::new();
        ours.for_each(|vm| by_vo.entry(&vm.spec.vo).or_default().push(vm));
        let vos: Vec<&VirtualOrganization> =
            seen.vos.iter().map(Arc::as_ref).filter(|vo| vo.spec.installation_ref.name == seen.installation).collect();
        if self.at.is_none() {
            self.resume(&vos, seen.pools);
        }
        let held = by_vo.iter().map(|(vo, vms)| (Arc::from(*vo), amounts(vms))).collect();
        self.usage.round(&held, now);
        let budgets: BTreeSet<String> =
            vos.iter().filter(|vo| vo.spec.budget.is_some()).map(|vo| vo.name_any()).collect();
        self.purses.retain(|vo, _| budgets.contains(vo));
        for vo in vos {
            if let Some(terms) = terms(vo) {
                let vms = by_vo.get(vo.name_any().as_str()).map_or(&[][..], Vec::as_slice);
                self.budget(vo, terms, vms, seen, now);
            }
        }
        self.lives.retain(|pool, _| seen.pools.iter().any(|p| p.name_any() == *pool));
        self.at = Some(now);
    }

    /// Takes over what the statuses say, where nothing is known yet.
    fn resume(&mut self, vos: &[&VirtualOrganization], pools: &[Arc<PilotPool>]) {
        for vo in vos {
            if let Some(used) = vo.status.as_ref().and_then(|status| status.used.as_ref()) {
                let average = Amounts {
                    cores: count(used.cores),
                    ram_mib: count(used.ram_gib).saturating_mul(1_024),
                    gpus: count(used.gpus),
                };
                self.usage.resume(&vo.name_any().into(), average);
            }
        }
        let life = |pool: &Arc<PilotPool>| Some((pool.name_any(), count(pool.status.as_ref()?.life_seconds?)));
        self.lives = pools.iter().filter_map(life).collect();
    }

    fn budget(&mut self, vo: &VirtualOrganization, terms: Terms, vms: &[&PilotVM], seen: &Seen<'_>, now: Timestamp) {
        let name = vo.name_any();
        let rates: Vec<Result<u64, NoRate>> =
            vms.iter().map(|vm| rate(vm, &terms.unit, seen.clouds, seen.vos)).collect();
        let unpriced = rates.iter().filter(|rate| rate.is_err()).count();
        let living = vms.iter().zip(&rates).filter_map(|(vm, rate)| {
            let (pool, began) = (&vm.spec.pool_ref.name, launched(vm));
            let life = self
                .lives
                .get(pool)
                .copied()
                .unwrap_or_else(|| expected(vm.spec.boot_deadline, vm.spec.max_cpu_time, vm.spec.idle_timeout));
            let vm = vm.metadata.uid.as_deref()?.into();
            Some((Living { vm, per_hour: *rate.as_ref().unwrap_or(&0), life, began }, pool.clone()))
        });
        let living: Vec<(Living, String)> = living.collect();
        let written = vo.status.as_ref().and_then(|status| status.budget.as_ref()).map(|b| written(&b.ledger));
        // Another replica led meanwhile, or this one begins.
        let is_newer = written.as_ref().is_some_and(|written| self.at.is_none_or(|at| written.at > at));
        let mut account = match self.purses.remove(&name) {
            Some(account) if !is_newer => account,
            _ => {
                let purse = Purse::resume(terms.clone(), written.as_ref(), living.iter().map(|(one, _)| one.clone()));
                let pools = living.iter().map(|(one, pool)| (one.vm.clone(), pool.clone())).collect();
                let told = Told { standing: purse.standing(now), written: purse.written(now), unpriced };
                Account { purse, pools, told }
            }
        };
        let is_amended = *account.purse.terms() != terms;
        if is_amended && !account.purse.amend(terms) {
            tracing::warn!(vo = name, "the budget counts in another unit now: what was spent before is forgotten");
            account.pools.clear();
        }
        for (Living { vm, per_hour, life, began }, pool) in living.iter().cloned() {
            if !account.purse.holds(&vm) {
                account.purse.adopt(&vm, per_hour, life, began);
                account.pools.insert(vm.clone(), pool);
            }
            if let Some(began) = began {
                if account.purse.since(&vm).is_none() {
                    account.purse.costs(&vm, per_hour, life);
                }
                account.purse.began(&vm, began);
            }
        }
        let there: BTreeSet<&Arc<str>> = living.iter().map(|(one, _)| &one.vm).collect();
        let gone: Vec<Arc<str>> = account.purse.vms().filter(|vm| !there.contains(vm)).cloned().collect();
        for vm in gone {
            let pool = account.pools.remove(&vm);
            if let (Some(pool), Some(began)) = (pool, account.purse.since(&vm)) {
                self.lived(pool, seconds_between(began, now));
            }
            account.purse.settle(&vm, now);
        }
        account.tell(unpriced, is_amended, now);
        self.purses.insert(name, account);
    }

    /// A VM of the pool has ended after a life of this many seconds.
    fn lived(&mut self, pool: String, seconds: u64) {
        let mean = self.lives.entry(pool).or_insert(seconds);
        *mean = mean.saturating_mul(PART - 1).saturating_add(seconds) / PART;
    }

    /// What the plan asks.
    pub fn figures(&self, now: Timestamp) -> Figures {
        Figures {
            used: self.usage.vos().map(|vo| (vo.to_string(), self.used(vo))).collect(),
            left: self.purses.iter().map(|(vo, account)| (vo.clone(), account.purse.left(now))).collect(),
            lives: self.lives.clone(),
        }
    }

    /// What a VO held on average lately.
    pub fn used(&self, vo: &str) -> Resources {
        let Amounts { cores, ram_mib, gpus } = self.usage.average_thousandths(vo);
        let [cores, ram_mib, gpus] = [cores, ram_mib, gpus].map(|n| n.saturating_add(500) / 1_000);
        Resources { vms: 0, cores, ram_mib, gpus }
    }

    /// How the budget of a VO stands, as people are told.
    pub fn told(&self, vo: &str) -> Option<&Told> {
        self.purses.get(vo).map(|account| &account.told)
    }

    /// Whether a round was made since the start.
    pub fn is_known(&self) -> bool {
        self.at.is_some()
    }

    /// Seconds that VMs of the pool live on average.
    pub fn life(&self, pool: &str) -> Option<u64> {
        self.lives.get(pool).copied()
    }
}

impl Account {
    /// What people see is brought up to date now and then, where sums changed: each change is a write to the API server.
    fn tell(&mut self, unpriced: usize, at_once: bool, now: Timestamp) {
        if !at_once && now.duration_since(self.told.written.at) < TOLD_EVERY && now >= self.told.written.at {
            return;
        }
        let told = Told { standing: self.purse.standing(now), written: self.purse.written(now), unpriced };
        // The end moves with every look.
        let same = |told: &Told| (Standing { ends: None, ..told.standing }, told.unpriced, told.written.unit.clone());
        if same(&told) != same(&self.told) || told.standing.ends.is_some() != self.told.standing.ends.is_some() {
            self.told = told;
        }
    }
}

/// What these VMs hold.
fn amounts(vms: &[&PilotVM]) -> Amounts {
    vms.iter().map(|vm| &vm.spec.offering).fold(Amounts::default(), |sum, bought| Amounts {
        cores: sum.cores.saturating_add(count(bought.cores)),
        ram_mib: sum.ram_mib.saturating_add(count(bought.ram_mib)),
        gpus: sum.gpus.saturating_add(count(bought.gpus)),
    })
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
