//! How far VMs are for the plan.

use std::{collections::BTreeMap, sync::Arc};

use broker::{
    experience::{
        self,
        room::{Has, Room, free},
    },
    plan::{self, Free, JobClass, Life, LiveVm, Says},
};
use jiff::SignedDuration;

use super::{
    super::VmSeen,
    Operator, at, left,
    measure::{Alike, Known, alike, place},
    name,
    words::{drift, offering, pool},
};
use crate::{
    scenario::Model,
    time::{Ms, SECOND},
    world::{Alone, RowStatus},
};

/// Since when jobs wait that could run on a VM: asked once for VMs on which the same jobs run.
pub type Waited<'w> = experience::Waited<'w, Alike>;

/// What pilots say, by the index of the pool and what they require beside its tags.
pub type Said = BTreeMap<(usize, Option<String>), Arc<Says>>;

impl Operator {
    /// A VM, and what is known of it beside what is seen.
    pub(super) fn known<'s>(&self, vm: VmSeen<'s>, is_late: bool, said: &mut Said) -> Known<'s> {
        let size = self.model.clouds[vm.order.offer.cloud].flavors[vm.order.offer.flavor].size;
        let lease = self.leases.get(&vm.id).cloned().unwrap_or_default();
        Known {
            says: says(&self.model, &vm, said),
            full: Free { cores: size.cores, ram_mib: size.ram_mib, gpus: size.gpus, ..Free::default() },
            cpu_time: left::whole(&vm, self.until.contains_key(&vm.id)),
            was_needed: !lease.is_empty() && !self.unneeded.contains_key(&vm.id),
            is_late,
            lease,
            vm,
        }
    }

    /// How far a VM is for the plan.
    pub(super) fn live(
        &self,
        now: Ms,
        known: &Known<'_>,
        is_over: bool,
        first: &[usize],
        waited: &mut Waited<'_>,
    ) -> LiveVm {
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
                let room = Room {
                    all: full,
                    asks_since: at(since),
                    waits_since: waited.since(alike(known), || place(model, known)).unwrap_or(at(now)),
                    idle_timeout: SignedDuration::from_millis(i64::try_from(pool.idle_timeout).unwrap_or(i64::MAX)),
                };
                let shown = self.shown.of(vm.id);
                let has = Has {
                    jobs: vm.running.len() as u64,
                    began: shown.and_then(|shown| shown.running.values().max()).map(|began| at(*began)),
                    changed: shown.and_then(|shown| shown.changed).map(at),
                };
                let one = JobClass::default();
                let class = lease.iter().map(|lease| &*lease.class).max_by_key(|class| class.takes(full, 1).cores);
                let (free, soon) = free(&room, &has, class.unwrap_or(&one), at(now));
                Life::Running { free, soon: soon.into_iter().collect() }
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
