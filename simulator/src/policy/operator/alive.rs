//! How far VMs are for the plan.

use std::{collections::BTreeMap, sync::Arc};

use broker::plan::{self, Free, Life, LiveVm, Says};
use jiff::Timestamp;

use super::{
    super::VmSeen,
    Operator, left,
    measure::Known,
    name,
    words::{drift, offering, pool},
};
use crate::{
    scenario::Model,
    time::{Ms, SECOND},
    world::{Alone, RowStatus},
};

/// A pilot that has jobs and took none for this time, while some waited, takes none of those.
const FILLS_WITHIN: Ms = 60 * SECOND;

/// What pilots say, by the index of the pool and what they require beside its tags.
pub type Said = BTreeMap<(usize, Option<String>), Arc<Says>>;

impl Operator {
    /// A VM, and what is known of it beside what is seen.
    pub(super) fn known<'s>(&self, vm: VmSeen<'s>, is_late: bool, said: &mut Said) -> Known<'s> {
        let size = self.model.clouds[vm.order.offer.cloud].flavors[vm.order.offer.flavor].size;
        let lease = self.leases.get(&vm.id).cloned().unwrap_or_default();
        Known {
            says: says(&self.model, &vm, said),
            full: Free { cores: size.cores, ram_mib: size.ram_mib, gpus: size.gpus },
            cpu_time: left::whole(&vm, self.until.contains_key(&vm.id)),
            was_needed: !lease.is_empty() && !self.unneeded.contains_key(&vm.id),
            is_late,
            lease,
            vm,
        }
    }

    /// How far a VM is for the plan.
    pub(super) fn live(&self, now: Ms, known: &Known<'_>, is_over: bool, first: &[usize]) -> LiveVm {
        let (model, vm, full) = (&self.model, &known.vm, known.full);
        let pool = &model.pools[vm.order.pool];
        let until = self.until.get(&vm.id).copied();
        let is_old = now.saturating_sub(vm.ordered) > pool.max_lifetime || until.is_some_and(|until| now > until);
        let offering = offering(model, vm.order.offer, first);
        let lease = known.lease.clone();
        let ends = is_over || is_old || vm.is_deleting || vm.row.status == RowStatus::Done;
        let life = match (ends, vm.row.running_since) {
            (true, _) => Life::Ending,
            (false, _) if self.draining.contains(&vm.id) => Life::Draining,
            (false, None) => Life::Booting { ready_in: 0 },
            (false, Some(since)) => {
                let changed = self.shown.of(vm.id).and_then(|shown| shown.changed).unwrap_or(since);
                let rests = now.saturating_sub(changed);
                let waits = self.since.get(&model.vos[vm.order.vo].name).map_or(0, |since| passed(now, *since));
                let class = lease.iter().max_by_key(|l| l.class.takes(full, 1).cores);
                let taken = class.map_or(Free { cores: vm.running.len() as u64, ..Free::default() }, |lease| {
                    lease.class.takes(full, vm.running.len() as u64)
                });
                let free = match vm.running.len() {
                    0 if rests <= pool.idle_timeout => full,
                    1.. if rests.min(waits) <= FILLS_WITHIN => full.less(taken),
                    _ => Free::default(),
                };
                Life::Running { free, soon: Vec::new() }
            }
        };
        LiveVm {
            name: name(vm.id),
            pool: pool.name.clone(),
            cloud: model.clouds[vm.order.offer.cloud].name.clone(),
            vo: model.vos[vm.order.vo].name.clone(),
            offering: Arc::new(offering),
            says: known.says.clone(),
            cpu_time: left::cpu_time(now, vm, None, until.is_some()),
            until: until.map(|until| until.saturating_sub(now) / SECOND),
            life,
            lease,
            counted: vm.made.is_some(),
            age_seconds: now.saturating_sub(vm.ordered) / SECOND,
            unneeded_seconds: self.unneeded.get(&vm.id).map_or(0, |since| now.saturating_sub(*since) / SECOND),
            drift: drift(model, &vm.order, vm.ordered, now, self.drifting.contains(&vm.id)),
        }
    }
}

/// How long it is since then.
fn passed(now: Ms, since: Timestamp) -> Ms {
    now.saturating_sub(u64::try_from(since.as_millisecond()).unwrap_or(0))
}

/// What the pilot of a VM says, the same for those that are alike.
fn says(model: &Model, vm: &VmSeen<'_>, all: &mut Said) -> Arc<Says> {
    let alone = vm.order.alone.map(Alone::tag);
    let says = || {
        let mut says = plan::says(&pool(model, vm.order.pool));
        says.required_tags.extend(alone.clone());
        Arc::new(says)
    };
    all.entry((vm.order.pool, alone.clone())).or_insert_with(says).clone()
}
