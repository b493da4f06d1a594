//! What PilotVMs and rows show of how long VMs boot and jobs run, how fast cores are and how many VMs come to work, as the measures take it
//! in (`broker/src/experience/measures/`); and what these know, put into the snapshot. Pure.

use std::{collections::HashMap, sync::Arc};

use broker::{
    experience::{
        Classes, Times,
        measures::{self, Measures, Sight, add_soon, horizon, tell_vm},
    },
    pilot::stamp,
    plan::{Free, Life, Snapshot},
};
use crds::PilotVM;
use kube::ResourceExt;

use super::{
    elsewhere::is_ours,
    kinds::{Kinds, only},
    learn::{ours, uids},
    left::cpu_time,
    lots::Lots,
    world::World,
};
use crate::{
    amounts::seconds_between,
    ending::{Ending, Why},
    known::jobs::PilotJobs,
    life::{ordered, ran},
};

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
    let class = jobs.filter(|jobs| jobs.measured > 0).and_then(|_| only(kinds, vm));
    Some(Sight {
        uid: uid.into(),
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
    measures::tell(taken, times, waiting, |cloud| {
        world.pools.iter().flat_map(|pool| lots.boots(pool, world.cloud(cloud))).collect()
    });
    let horizon = horizon(taken);
    let objects: HashMap<&str, &'a PilotVM> =
        world.vms.iter().filter_map(|vm| Some((vm.metadata.name.as_deref()?, vm.as_ref()))).collect();
    for live in &mut taken.vms {
        let Some(vm) = objects.get(live.name.as_str()).filter(|vm| is_ours(world, vm)) else { continue };
        let lot = lots.lot(vm, world.cloud(&vm.spec.cloud_ref.name));
        let (jobs, own) = shown(world, vm.metadata.uid.as_deref().unwrap_or_default());
        let power = tell_vm(live, times, &lot, own, seconds_between(ordered(vm), world.now));
        live.cpu_time = cpu_time(vm, power, world.now);
        let full = Free::all(&live.offering);
        let running = jobs.map_or(&[][..], |jobs| &jobs.running);
        if let (Life::Running { soon: ends, .. }, true) = (&mut live.life, horizon > 0 && !running.is_empty()) {
            let since = running.iter().map(|job| seconds_between(job.since, world.now));
            if let Some(kind) = only(kinds, vm) {
                add_soon(ends, full, kind, since, times, horizon);
            }
        }
    }
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
