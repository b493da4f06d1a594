//! How long VMs boot and jobs run, how fast cores are, and how many VMs come to work: measured, and put into the snapshot. Pure.
//!
//! What was not measured stays unknown there, and the plan goes on as if nobody had asked.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use broker::{
    experience::{Lot, Times, times},
    pilot::stamp,
    plan::{Free, Life, LiveVm, Measured, Offering, RunTime, Snapshot, Soon},
};
use crds::PilotVM;
use kube::ResourceExt;

use super::{
    elsewhere::is_ours,
    kinds::{Kind, Kinds},
    learn::{Classes, ours, uids},
    left::cpu_time,
    lots::Lots,
    world::World,
};
use crate::{
    amounts::seconds_between,
    ending::{Ending, Why},
    known::{
        jobs::{PilotJobs, RunningJob},
        measures::{Measures, Sight},
    },
    life::{ordered, ran},
};

/// Jobs that end within the same five seconds end together.
const STEP: u64 = 5;

/// Takes in what the VMs have shown, those that `ended` and may be gone included, and puts what is known into the snapshot.
pub fn measure(taken: &mut Snapshot, measures: &mut Measures, world: &World, ended: &[PilotVM], waiting: &Classes) {
    let there = uids(world.vms.iter().map(Arc::as_ref));
    let Measures { times, heard, told } = measures;
    heard.hear(waiting, world.now);
    told.retain(|uid| there.contains(uid));
    let (mut lots, mut kinds) = (Lots::of(world), Kinds::of(heard));
    for vm in ours(world, ended, &there) {
        if let Some(sight) = sight(world, (&mut lots, &mut kinds), vm) {
            told.see(&sight, times, world.now);
        }
    }
    tell(taken, times, world, waiting, (&mut lots, &mut kinds));
}

fn sight<'a>(world: &'a World, (lots, kinds): (&mut Lots<'a>, &mut Kinds<'a>), vm: &'a PilotVM) -> Option<Sight<'a>> {
    let uid = vm.metadata.uid.as_deref()?;
    lots.pool(vm)?;
    let (jobs, power) = shown(world, uid);
    let since = vm.status.as_ref().and_then(|status| status.running_since.as_ref()).map(|since| since.0);
    // A VM for which no job was planned, or that was made for none, may have waited for its first job.
    let was_needed = !vm.spec.for_jobs.is_empty() && !world.unneeded.contains_key(&vm.name_any());
    let class = jobs.filter(|jobs| jobs.measured > 0).and_then(|_| kinds.only(vm));
    Some(Sight {
        uid,
        lot: lots.lot(vm, world.cloud(&vm.spec.cloud_ref.name)),
        came: came(vm),
        boot: since.filter(|_| was_needed).map(|since| seconds_between(ordered(vm), since)),
        fill: since.zip(jobs).and_then(|(since, jobs)| filled(since, jobs)),
        power,
        class: class.map(|kind| kind.name.clone()),
        measured: jobs.map_or(0, |jobs| jobs.measured),
        lately: jobs.map_or(&[], |jobs| &jobs.lately),
    })
}

/// What DIRAC says of the pilot: its jobs, and the power of its cores.
fn shown<'a>(world: &'a World, uid: &str) -> (Option<&'a PilotJobs>, Option<u64>) {
    let Some(rows) = world.rows.as_deref() else { return (None, None) };
    let reference = stamp::reference(uid);
    (rows.jobs.get(&reference).map(Arc::as_ref), rows.row(&reference).and_then(|row| row.power))
}

/// Whether the VM's pilot came to work. One that stopped without a job may have asked in vain: that says nothing.
fn came(vm: &PilotVM) -> Option<bool> {
    if ran(vm) {
        return Some(true);
    }
    match Ending::recorded(vm)?.why {
        Why::BootDeadlineMissed | Why::LaunchTimedOut | Why::Transient => Some(false),
        _ => None,
    }
}

/// The jobs that a pilot took one after the other, and in how long: of one that took three at least, so that the time between two readings
/// counts for little.
fn filled(since: jiff::Timestamp, jobs: &PilotJobs) -> Option<(u64, u64)> {
    (jobs.took >= 3 && jobs.ended == 0).then_some(())?;
    Some((jobs.took - 1, seconds_between(since, jobs.changed?)))
}

/// Puts what was measured into the snapshot.
fn tell<'a>(
    taken: &mut Snapshot,
    times: &Times,
    world: &'a World,
    waiting: &Classes,
    (lots, kinds): (&mut Lots<'a>, &mut Kinds<'a>),
) {
    let run_time = |(kind, class): (&times::JobClass, &broker::plan::JobClass)| {
        let seconds = times.run_time(kind)?.mean;
        Some(RunTime { vo: kind.vo.as_ref().into(), class: class.clone(), seconds })
    };
    taken.run_times = waiting.iter().filter_map(run_time).collect();
    tell_offers(taken, times, world, lots);
    let horizon = horizon(taken);
    let objects: HashMap<&str, &'a PilotVM> =
        world.vms.iter().filter_map(|vm| Some((vm.metadata.name.as_deref()?, vm.as_ref()))).collect();
    for live in &mut taken.vms {
        if let Some(vm) = objects.get(live.name.as_str()).filter(|vm| is_ours(world, vm)) {
            let lot = lots.lot(vm, world.cloud(&vm.spec.cloud_ref.name));
            let (jobs, power) = shown(world, vm.metadata.uid.as_deref().unwrap_or_default());
            tell_vm(live, vm, (times, &lot), power, world);
            let full = Free::all(&live.offering);
            if let (Life::Running { soon: ends, .. }, Some(jobs)) = (&mut live.life, jobs.filter(|_| horizon > 0)) {
                *ends = soon(full, vm, &jobs.running, times, (world, horizon), kinds);
            }
        }
    }
}

/// Each offering with what its lots have shown: of several images, the quickest.
fn tell_offers<'a>(taken: &mut Snapshot, times: &Times, world: &'a World, lots: &mut Lots<'a>) {
    // By what is bought: a round has many more offerings and images than lots of which anything is known.
    let mut known: HashMap<_, Vec<&Lot>> = HashMap::new();
    for lot in times.lots() {
        known.entry((&*lot.cloud, lot.zone.as_deref(), &*lot.flavor, lot.purchase)).or_default().push(lot);
    }
    for cloud in &mut taken.clouds {
        let view = world.cloud(&cloud.name);
        let images: HashSet<Arc<str>> = world.pools.iter().map(|pool| lots.boots(pool, view)).collect();
        for offering in &mut cloud.offerings {
            let bought = (cloud.name.as_str(), offering.zone.as_deref(), offering.flavor.as_str(), offering.purchase);
            let alike = known.get(&bought).map_or(&[][..], Vec::as_slice);
            let all: Vec<&Lot> = alike.iter().copied().filter(|lot| images.contains(&lot.image)).collect();
            if all.is_empty() {
                continue;
            }
            let least = |measured: &dyn Fn(&Lot) -> Option<u64>| all.iter().filter_map(|lot| measured(lot)).min();
            let (measured, power) = (
                Measured {
                    boot: least(&|lot| times.boot(lot).map(|boot| boot.median)),
                    late: least(&|lot| times.boot(lot).map(|boot| boot.ninetieth)),
                    success: least(&|lot| times.success(lot)),
                    fetch: least(&|lot| fetch(times, lot)),
                },
                least(&|lot| times.power(lot)),
            );
            let offering = Arc::make_mut(offering);
            (offering.measured, offering.power) = (measured, power);
        }
    }
}

fn fetch(times: &Times, lot: &Lot) -> Option<u64> {
    times.fill_milliseconds(lot).map(|milliseconds| milliseconds.div_ceil(1_000))
}

/// No new VM is later than this to begin a job: what ends after it is no supply.
fn horizon(taken: &Snapshot) -> u64 {
    let late = taken.clouds.iter().flat_map(|cloud| &cloud.offerings).filter_map(|offering| offering.measured.late);
    late.chain(taken.pools.iter().filter_map(|pool| pool.max_wait)).max().unwrap_or(0)
}

/// What is known of one VM: how fast its cores are, what of its CPU time is left for that, and when it is expected to take its first job.
fn tell_vm(live: &mut LiveVm, vm: &PilotVM, (times, lot): (&Times, &Lot), own: Option<u64>, world: &World) {
    let power = own.or_else(|| times.power(lot));
    live.cpu_time = cpu_time(vm, power, world.now);
    let boot = times.boot(lot).map(|boot| boot.median);
    let success = times.success(lot);
    if power.is_some() || success.is_some() {
        let offering: &mut Offering = Arc::make_mut(&mut live.offering);
        (offering.power, offering.measured.success) = (power, success);
    }
    if let (Life::Booting { ready_in }, Some(boot)) = (&mut live.life, boot) {
        *ready_in = boot.saturating_sub(seconds_between(ordered(vm), world.now));
    }
}

/// What of a running VM becomes free before a new VM could begin a job: the same in the same five seconds is one.
fn soon<'a>(
    full: Free,
    vm: &'a PilotVM,
    running: &[RunningJob],
    times: &Times,
    (world, horizon): (&World, u64),
    kinds: &mut Kinds<'a>,
) -> Vec<Soon> {
    if running.is_empty() {
        return Vec::new();
    }
    let Some(Kind { class, name }) = kinds.only(vm) else { return Vec::new() };
    let ends = running.iter().filter_map(|job| times.rest(name, seconds_between(job.since, world.now)));
    let mut ends: Vec<u64> = ends.map(|rest| rest.next_multiple_of(STEP)).filter(|rest| *rest <= horizon).collect();
    ends.sort_unstable();
    let together = ends.chunk_by(|a, b| a == b);
    together.map(|ends| Soon { in_seconds: ends[0], free: class.takes(full, ends.len() as u64).up_to(full) }).collect()
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
