//! What VOs hold, used and spent, counted as the operator does: usage that fades, budgets from which a VM is reserved before it is made, and
//! how long VMs of each pool live.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use broker::{
    experience::{Amounts, Purse, Terms, Unit, Usage},
    plan::{self, Resources},
};

use super::{super::VmSeen, at};
use crate::{
    scenario::{Budget, Model},
    time::{Ms, SECOND},
    world::{Order, VmId},
};

/// Of the mean life the last VM that ended is so great a part.
const PART: u64 = 8;

/// What VOs used and spent.
pub struct Accounts {
    usage: Usage,
    /// By index of the VO.
    purses: Vec<Option<Purse>>,
    /// By index of the pool: seconds that its VMs live on average.
    lives: BTreeMap<usize, u64>,
    /// The VMs that were there at the last look.
    there: BTreeMap<VmId, Order>,
}

impl Accounts {
    /// Nothing was used or spent yet.
    pub fn new(model: &Model) -> Self {
        let purse = |budget: &Budget| Purse::new(terms(budget));
        Self {
            usage: Usage::default(),
            purses: model.vos.iter().map(|vo| vo.budget.as_ref().map(purse)).collect(),
            lives: BTreeMap::new(),
            there: BTreeMap::new(),
        }
    }

    /// Counts what these VMs hold and cost since the last look, and settles those that are gone.
    pub fn look(&mut self, now: Ms, model: &Model, vms: &[VmSeen<'_>]) {
        let mut held: BTreeMap<Arc<str>, Amounts> = BTreeMap::new();
        for vm in vms {
            let size = size(model, &vm.order);
            let held = held.entry(model.vos[vm.order.vo].name.as_str().into()).or_default();
            held.cores += size.cores;
            held.ram_mib += size.ram_mib;
            held.gpus += size.gpus;
            self.charge(now, model, vm);
        }
        self.usage.round(&held, at(now));
        let there: BTreeSet<VmId> = vms.iter().map(|vm| vm.id).collect();
        let gone: Vec<(VmId, Order)> = self.there.extract_if(.., |vm, _| !there.contains(vm)).collect();
        for (vm, order) in gone {
            self.settle(now, vm, &order);
        }
    }

    fn charge(&mut self, now: Ms, model: &Model, vm: &VmSeen<'_>) {
        let life = self.life(model, vm.order.pool);
        let is_new = self.there.insert(vm.id, vm.order).is_none();
        let (Some(purse), name) = (&mut self.purses[vm.order.vo], name(vm.id)) else { return };
        if is_new {
            let flavor = &model.clouds[vm.order.offer.cloud].flavors[vm.order.offer.flavor];
            let per_hour = match &purse.terms().unit {
                Unit::Money(_) if vm.order.offer.spot => flavor.spot_price.unwrap_or(0),
                Unit::Money(_) => flavor.price.unwrap_or(0),
                Unit::CoreHours => flavor.size.cores * 3_600,
            };
            purse.adopt(&name, per_hour, life, None);
        }
        if let Some(made) = vm.made {
            purse.began(&name, at(made.min(now)));
        }
    }

    fn settle(&mut self, now: Ms, vm: VmId, order: &Order) {
        let Some(purse) = &mut self.purses[order.vo] else { return };
        if let Some(began) = purse.since(&name(vm)) {
            let seconds = u64::try_from(at(now).duration_since(began).as_secs()).unwrap_or(0);
            let mean = self.lives.entry(order.pool).or_insert(seconds);
            *mean = (*mean * (PART - 1) + seconds) / PART;
        }
        purse.settle(&name(vm), at(now));
    }

    /// Seconds that a new VM of a pool is expected to live.
    pub fn life(&self, model: &Model, pool: usize) -> u64 {
        let of = &model.pools[pool];
        let said = || (of.boot_deadline + of.idle_timeout) / SECOND + of.cpu_time;
        self.lives.get(&pool).copied().unwrap_or_else(said)
    }

    /// What a VO held on average lately.
    pub fn used(&self, vo: &str) -> Resources {
        let Amounts { cores, ram_mib, gpus } = self.usage.average_thousandths(vo);
        let [cores, ram_mib, gpus] = [cores, ram_mib, gpus].map(|n| (n + 500) / 1_000);
        Resources { vms: 0, cores, ram_mib, gpus }
    }

    /// What a VO may still spend.
    pub fn budget(&self, now: Ms, model: &Model, vo: usize) -> Option<plan::Budget> {
        let (purse, said) = (self.purses[vo].as_ref()?, model.vos[vo].budget.as_ref()?);
        let Terms { unit, period, .. } = purse.terms().clone();
        Some(plan::Budget { unit, left: purse.left(at(now)), period, unpriced_is_free: said.unpriced_is_free })
    }
}

fn name(vm: VmId) -> Arc<str> {
    vm.to_string().into()
}

fn size(model: &Model, order: &Order) -> crate::scenario::Size {
    model.clouds[order.offer.cloud].flavors[order.offer.flavor].size
}

fn terms(budget: &Budget) -> Terms {
    // Core-hours are counted in core-seconds.
    let seconds = || budget.micros / 1_000_000 * 3_600;
    Terms {
        unit: budget.currency.as_deref().map_or(Unit::CoreHours, |currency| Unit::Money(currency.into())),
        sum: if budget.currency.is_some() { budget.micros } else { seconds() },
        period: budget.period / SECOND,
    }
}
