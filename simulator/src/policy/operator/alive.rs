//! How far VMs are for the plan, and how long their jobs run.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use broker::{
    experience::times::JobClass,
    plan::{self, Free, Life, LiveVm, RunTime, Says, Soon},
};

use super::{
    super::{Seen, VmSeen},
    Operator,
    left::cpu_time,
    name,
    runs::key,
    words::{offering, pool, task_queue},
};
use crate::{
    scenario::Model,
    time::{Ms, SECOND},
    world::{Alone, RowStatus, VmId},
};

/// A pilot that has jobs and took none for this time, while some waited, takes none of those.
const FILLS_WITHIN: Ms = 60 * SECOND;

/// What pilots say, by the index of the pool and what they require beside its tags.
pub type Said = BTreeMap<(usize, Option<String>), Arc<Says>>;

impl Operator {
    /// Whether it matters how long jobs run: only where a pool lets them wait for VMs that are there.
    fn lets_wait(&self) -> bool {
        self.model.pools.iter().any(|pool| pool.max_wait.is_some())
    }

    /// The class of the jobs that a VM was made for.
    fn class(&self, vm: &VmSeen<'_>) -> Option<JobClass> {
        Some(key(&self.model.vos[vm.order.vo].name, &self.leases.get(&vm.id)?.first()?.class))
    }

    /// Notes how long the jobs of these VMs run.
    pub(super) fn time(&mut self, now: Ms, vms: &[VmSeen<'_>]) {
        if !self.lets_wait() {
            return;
        }
        for vm in vms {
            if let Some(class) = self.class(vm) {
                self.runs.look(now, vm, &class);
            }
        }
        let there: BTreeSet<VmId> = vms.iter().map(|vm| vm.id).collect();
        self.runs.retain(|vm| there.contains(&vm));
    }

    /// What the jobs of a VM will leave, where it is known when they end.
    fn soon(&self, now: Ms, vm: &VmSeen<'_>, full: Free) -> Vec<Soon> {
        let lease = self.leases.get(&vm.id).and_then(|leases| leases.first()).filter(|_| self.lets_wait());
        let (Some(lease), Some(class)) = (lease, self.class(vm)) else { return Vec::new() };
        self.runs.soon(now, vm.id, &class, lease.class.takes(full, 1))
    }

    /// How long waiting jobs run, where it is known.
    pub(super) fn run_times(&self, seen: &Seen<'_>) -> Vec<RunTime> {
        if !self.lets_wait() {
            return Vec::new();
        }
        let classes: BTreeMap<JobClass, plan::JobClass> = seen
            .queues()
            .filter_map(|queue| {
                let vo = seen.model().vo_of(&queue.definition.owner_group)?;
                let class = plan::JobClass::of(&task_queue(queue));
                Some((key(&seen.model().vos[vo].name, &class), class))
            })
            .collect();
        self.runs.known(classes.iter())
    }

    /// How far a VM is for the plan.
    pub(super) fn live(&self, now: Ms, vm: &VmSeen<'_>, is_over: bool, first: &[usize], said: &mut Said) -> LiveVm {
        let model = &self.model;
        let pool = &model.pools[vm.order.pool];
        let until = self.until.get(&vm.id).copied();
        let is_old = now.saturating_sub(vm.ordered) > pool.max_lifetime || until.is_some_and(|until| now > until);
        let offering = offering(model, vm.order.offer, first);
        let lease = self.leases.get(&vm.id).cloned().unwrap_or_default();
        let full = Free { cores: offering.cores, ram_mib: offering.ram_mib, gpus: offering.gpus };
        let ends = is_over || is_old || vm.is_deleting || vm.row.status == RowStatus::Done;
        let life = match (ends, vm.row.running_since) {
            (true, _) => Life::Ending,
            (false, _) if self.draining.contains(&vm.id) => Life::Draining,
            (false, None) => Life::Booting { ready_in: 0 },
            (false, Some(since)) => {
                let changed = self.changed.get(&vm.id).map_or(since, |(_, at)| *at);
                let rests = now.saturating_sub(changed);
                let waits = self.waiting.get(&vm.order.vo).map_or(0, |since| now.saturating_sub(*since));
                let class = lease.iter().max_by_key(|l| l.class.takes(full, 1).cores);
                let taken = class.map_or(Free { cores: vm.running.len() as u64, ..Free::default() }, |lease| {
                    lease.class.takes(full, vm.running.len() as u64)
                });
                let free = match vm.running.len() {
                    0 if rests <= pool.idle_timeout => full,
                    1.. if rests.min(waits) <= FILLS_WITHIN => full.less(taken),
                    _ => Free::default(),
                };
                Life::Running { free, soon: self.soon(now, vm, full) }
            }
        };
        LiveVm {
            name: name(vm.id),
            pool: pool.name.clone(),
            cloud: model.clouds[vm.order.offer.cloud].name.clone(),
            vo: model.vos[vm.order.vo].name.clone(),
            offering: Arc::new(offering),
            says: says(model, vm, said),
            cpu_time: cpu_time(now, vm, until),
            until: until.map(|until| until.saturating_sub(now) / SECOND),
            life,
            lease,
            counted: vm.made.is_some(),
            age_seconds: now.saturating_sub(vm.ordered) / SECOND,
            unneeded_seconds: self.unneeded.get(&vm.id).map_or(0, |since| now.saturating_sub(*since) / SECOND),
            drift: None,
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
