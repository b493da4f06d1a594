//! How long VMs boot and jobs run, how fast cores are, and how many VMs come to work: told and asked as the operator does it
//! (`operator/src/round/measure.rs`, `kinds.rs`, `known/measures.rs`).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use broker::{
    experience::{Lot, Times, times::JobClass},
    plan::{self, CloudState, Free, Lease, LiveVm, Measured, RunTime, Says, Snapshot, Soon, only_class},
};

use super::{super::VmSeen, at, learned::lot, left, name, words::Classes};
use crate::{
    dirac::JobId,
    scenario::{Model, Offer},
    time::{Ms, SECOND},
    world::{Alone, VmId},
};

/// Jobs of a class that waited so long ago may still run.
const HEARD_FOR: Ms = 72 * 3_600 * SECOND;
/// Jobs that end within the same five seconds end together.
const STEP: u64 = 5;

/// What was measured, and of which VMs it was told already: nothing counts twice.
#[derive(Default)]
pub struct Measures {
    times: Times,
    heard: Heard,
    shown: BTreeMap<VmId, Shown>,
}

/// The classes of jobs that waited within the last days, each with the moment when it did last.
#[derive(Default)]
struct Heard(BTreeMap<JobClass, (plan::JobClass, Ms)>);

/// What a VM has shown.
#[derive(Default)]
struct Shown {
    /// The jobs that it has, each with the moment since when.
    running: BTreeMap<JobId, Ms>,
    took: u64,
    ended: u64,
    /// When it took its last job.
    changed: Ms,
    told: Told,
}

/// What of a VM was told.
#[derive(Default)]
struct Told {
    came: bool,
    boot: bool,
    fill: bool,
    power: bool,
}

/// A VM, and what the operator knows of it beside what is seen.
pub struct Known<'a> {
    pub vm: VmSeen<'a>,
    /// The jobs that it was made for.
    pub lease: Vec<Lease>,
    /// What its pilot says.
    pub says: Arc<Says>,
    /// The whole VM.
    pub full: Free,
    /// CPU time that its pilot was made for, without the allowance before its first job.
    pub cpu_time: u64,
    /// Whether jobs waited for it all the time until it had its first.
    pub was_needed: bool,
    /// Whether its pilot should have asked for work and did not.
    pub is_late: bool,
}

/// What decides which jobs run on a VM: pool, VO, offer, CPU time, and what it takes alone.
type Sort = (usize, usize, Offer, u64, Option<Alone>);

/// Of which class the jobs of a VM are, where only one can run there.
#[derive(Default)]
struct Kinds(HashMap<Sort, Option<plan::JobClass>>);

impl Kinds {
    fn only(&mut self, known: &Known<'_>, vo: &str, heard: &Heard) -> Option<&plan::JobClass> {
        let order = &known.vm.order;
        let sort = (order.pool, order.vo, order.offer, known.cpu_time, order.alone);
        self.0.entry(sort).or_insert_with(|| only(known, vo, heard)).as_ref()
    }
}

fn only(known: &Known<'_>, vo: &str, heard: &Heard) -> Option<plan::JobClass> {
    let of_vo = heard.0.iter().filter(|(kind, _)| &*kind.vo == vo).map(|(_, (class, _))| class);
    let own = known.lease.iter().map(|lease| &*lease.class);
    only_class(of_vo.chain(own), &known.says, known.full, known.cpu_time).cloned()
}

impl Measures {
    /// Takes in what waits and what all VMs have shown.
    pub fn look(&mut self, now: Ms, model: &Model, waiting: &Classes, all: &[Known<'_>]) {
        let Self { times, heard, shown } = self;
        for (kind, class) in waiting {
            heard.0.entry(kind.clone()).or_insert_with(|| (class.clone(), now)).1 = now;
        }
        heard.0.retain(|_, (_, last)| now.saturating_sub(*last) < HEARD_FOR);
        let there: BTreeSet<VmId> = all.iter().map(|known| known.vm.id).collect();
        shown.retain(|vm, _| there.contains(vm));
        let mut kinds = Kinds::default();
        for known in all {
            let vo = model.vos[known.vm.order.vo].name.as_str();
            let shown = shown.entry(known.vm.id).or_default();
            let ran = shown.look(now, &known.vm);
            if let Some(class) = Some(&ran).filter(|ran| !ran.is_empty()).and_then(|_| kinds.only(known, vo, heard)) {
                let class = JobClass::of(vo, class);
                ran.iter().for_each(|seconds| times.ran(&class, *seconds, at(now)));
            }
            shown.tell(now, known, &lot(model, &known.vm.order).0, times);
        }
    }

    /// Puts what is known into a snapshot.
    pub fn tell(&self, now: Ms, model: &Model, waiting: &Classes, all: &[Known<'_>], to: &mut Snapshot) {
        let run_time = |(kind, class): (&JobClass, &plan::JobClass)| {
            let seconds = self.times.run_time(kind)?.mean;
            Some(RunTime { vo: kind.vo.to_string(), class: class.clone(), seconds })
        };
        to.run_times = waiting.iter().filter_map(run_time).collect();
        let images: BTreeSet<&str> = model.pools.iter().map(|pool| pool.image.as_str()).collect();
        to.clouds.iter_mut().for_each(|cloud| self.tell_offers(cloud, &images));
        let late = to.clouds.iter().flat_map(|cloud| &cloud.offerings).filter_map(|offering| offering.measured.late);
        let horizon = late.chain(to.pools.iter().filter_map(|pool| pool.max_wait)).max().unwrap_or(0);
        let mut kinds = Kinds::default();
        let known: BTreeMap<String, &Known<'_>> = all.iter().map(|known| (name(known.vm.id), known)).collect();
        for live in &mut to.vms {
            if let Some(known) = known.get(&live.name) {
                self.tell_vm((now, horizon), model, known, &mut kinds, live);
            }
        }
    }

    /// Each offering with what its lots have shown: of several images, the quickest.
    fn tell_offers(&self, cloud: &mut CloudState, images: &BTreeSet<&str>) {
        for offering in &mut cloud.offerings {
            let is_its = |lot: &&Lot| {
                *lot.cloud == *cloud.name
                    && lot.zone.as_deref() == offering.zone.as_deref()
                    && *lot.flavor == *offering.flavor
                    && lot.purchase == offering.purchase
                    && images.contains(&*lot.image)
            };
            let lots: Vec<&Lot> = self.times.lots().filter(is_its).collect();
            let least = |measured: &dyn Fn(&Lot) -> Option<u64>| lots.iter().filter_map(|lot| measured(lot)).min();
            let times = &self.times;
            let measured = Measured {
                boot: least(&|lot| times.boot(lot).map(|boot| boot.median)),
                late: least(&|lot| times.boot(lot).map(|boot| boot.ninetieth)),
                success: least(&|lot| times.success(lot)),
                fetch: least(&|lot| times.fill_milliseconds(lot).map(|milliseconds| milliseconds.div_ceil(1_000))),
            };
            let power = least(&|lot| times.power(lot));
            if !lots.is_empty() {
                let offering = Arc::make_mut(offering);
                (offering.measured, offering.power) = (measured, power);
            }
        }
    }

    /// What is known of one VM: how fast its cores are, what of its CPU time is left for that, and when it takes jobs.
    fn tell_vm(
        &self,
        (now, horizon): (Ms, u64),
        model: &Model,
        known: &Known<'_>,
        kinds: &mut Kinds,
        live: &mut LiveVm,
    ) {
        let vm = &known.vm;
        let lot = lot(model, &vm.order).0;
        let power = vm.row.power.or_else(|| self.times.power(&lot));
        live.cpu_time = left::cpu_time(now, vm, power, live.until.is_some());
        let offering = Arc::make_mut(&mut live.offering);
        (offering.power, offering.measured.success) = (power, self.times.success(&lot));
        let shown = self.shown.get(&vm.id).filter(|shown| horizon > 0 && !shown.running.is_empty());
        match &mut live.life {
            plan::Life::Booting { ready_in } => {
                let boot = self.times.boot(&lot).map_or(0, |boot| boot.median);
                *ready_in = boot.saturating_sub(now.saturating_sub(vm.ordered) / SECOND);
            }
            plan::Life::Running { soon, .. } => {
                let vo = model.vos[vm.order.vo].name.as_str();
                let class = shown.and_then(|_| kinds.only(known, vo, &self.heard));
                if let (Some(shown), Some(class)) = (shown, class) {
                    *soon = shown.soon(now, horizon, &self.times, &JobClass::of(vo, class), |jobs| {
                        class.takes(known.full, jobs).up_to(known.full)
                    });
                }
            }
            plan::Life::Draining | plan::Life::Ending => {}
        }
    }
}

impl Shown {
    /// Notes what the VM runs now. How long those jobs ran that have ended, in seconds.
    fn look(&mut self, now: Ms, vm: &VmSeen<'_>) -> Vec<u64> {
        let gone = self.running.extract_if(.., |job, _| !vm.running.contains(job));
        let ran: Vec<u64> = gone.map(|(_, since)| now.saturating_sub(since) / SECOND).collect();
        self.ended += ran.len() as u64;
        for job in vm.running {
            self.running.entry(*job).or_insert_with(|| {
                (self.took, self.changed) = (self.took + 1, now);
                now
            });
        }
        ran
    }

    /// Tells the times what is new.
    fn tell(&mut self, now: Ms, known: &Known<'_>, lot: &Lot, times: &mut Times) {
        let (told, since) = (&mut self.told, known.vm.row.running_since);
        let came = if since.is_some() { Some(true) } else { known.is_late.then_some(false) };
        if let (Some(came), false) = (came, told.came) {
            told.came = true;
            times.outcome(lot, came, at(now));
        }
        let Some(since) = since else { return };
        if known.was_needed && !std::mem::replace(&mut told.boot, true) {
            times.booted(lot, since.saturating_sub(known.vm.ordered) / SECOND, at(now));
        }
        if self.took >= 3 && self.ended == 0 && !std::mem::replace(&mut told.fill, true) {
            times.filled(lot, self.took - 1, self.changed.saturating_sub(since) / SECOND, at(now));
        }
        if let (Some(power), false) = (known.vm.row.power, told.power) {
            told.power = true;
            times.measured_power(lot, power, at(now));
        }
    }

    /// What jobs of a class leave before a new VM could begin one; `takes` says what so many of them take.
    fn soon(&self, now: Ms, horizon: u64, times: &Times, class: &JobClass, takes: impl Fn(u64) -> Free) -> Vec<Soon> {
        let rest = |since: &Ms| times.rest(class, now.saturating_sub(*since) / SECOND);
        let ends = self.running.values().filter_map(rest).map(|rest| rest.next_multiple_of(STEP));
        let mut ends: Vec<u64> = ends.filter(|rest| *rest <= horizon).collect();
        ends.sort_unstable();
        let together = ends.chunk_by(|a, b| a == b);
        together.map(|ends| Soon { in_seconds: ends[0], free: takes(ends.len() as u64) }).collect()
    }
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
