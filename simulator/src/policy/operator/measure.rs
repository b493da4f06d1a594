//! What VMs show of how long they boot and jobs run, how fast cores are and how many VMs come to work, as the operator's measures take it in;
//! and what these know, put into the snapshot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use broker::{
    experience::{
        Classes, Place,
        measures::{self, Kind, Sight, add_soon, horizon, tell_vm},
        times::JobClass,
    },
    plan::{Free, Lease, Life, Says, Snapshot},
};

use super::{
    super::VmSeen,
    at,
    learned::lot,
    left, name,
    shown::{AllShown, Shown},
    words::boots,
};
use crate::{
    scenario::{Model, Offer},
    time::{Ms, SECOND},
    world::Alone,
};

/// What was measured.
#[derive(Default)]
pub struct Measures(measures::Measures);

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
pub type Alike = (usize, usize, Offer, u64, Option<Alone>);
type Kinds<'h> = measures::Kinds<'h, Alike>;

/// The one class whose jobs run on a VM.
fn only<'k>(kinds: &'k mut Kinds<'_>, model: &Model, known: &Known<'_>) -> Option<&'k Kind> {
    kinds.only(alike(known), || place(model, known))
}

/// What VMs have in common on which the same jobs run.
pub fn alike(known: &Known<'_>) -> Alike {
    let order = &known.vm.order;
    (order.pool, order.vo, order.offer, known.cpu_time, order.alone)
}

/// What decides which jobs run on a VM.
pub fn place<'a>(model: &'a Model, known: &Known<'_>) -> Place<'a> {
    Place {
        vo: &model.vos[known.vm.order.vo].name,
        says: (*known.says).clone(),
        full: known.full,
        cpu_time: known.cpu_time,
        own: known.lease.iter().map(|lease| (*lease.class).clone()).collect(),
    }
}

impl Measures {
    /// Takes in what waits and what all VMs have shown.
    pub fn look(&mut self, now: Ms, model: &Model, waiting: &Classes, all: &[Known<'_>], shown: &AllShown) {
        let measures::Measures { times, heard, told } = &mut self.0;
        heard.hear(waiting, at(now));
        let there: BTreeSet<String> = all.iter().map(|known| name(known.vm.id)).collect();
        told.retain(|vm| there.contains(vm));
        let mut kinds = Kinds::of(heard);
        for known in all {
            let Some(shown) = shown.of(known.vm.id) else { continue };
            let class = only(&mut kinds, model, known).filter(|_| shown.ended > 0);
            told.see(&sight(model, known, shown, class.map(|kind| kind.name.clone())), times, at(now));
        }
    }

    /// Puts what is known into a snapshot.
    pub fn tell(
        &self,
        now: Ms,
        model: &Model,
        waiting: &Classes,
        (all, shown): (&[Known<'_>], &AllShown),
        to: &mut Snapshot,
    ) {
        let measures::Measures { times, heard, .. } = &self.0;
        measures::tell(to, times, waiting, |cloud| {
            let cloud = model.clouds.iter().position(|of| of.name == cloud);
            let of = |cloud: usize| (0..model.pools.len()).map(move |pool| boots(model, pool, cloud, now));
            cloud.into_iter().flat_map(of).collect()
        });
        let (horizon, mut kinds) = (horizon(to), Kinds::of(heard));
        let known: BTreeMap<String, &Known<'_>> = all.iter().map(|known| (name(known.vm.id), known)).collect();
        for live in &mut to.vms {
            let Some(known) = known.get(&live.name) else { continue };
            let vm = &known.vm;
            let passed = |since: Ms| now.saturating_sub(since) / SECOND;
            let power = tell_vm(live, times, &lot(model, &vm.order, vm.ordered).0, vm.row.power, passed(vm.ordered));
            live.cpu_time = left::cpu_time(now, vm, power, live.until.is_some());
            let running = shown.of(vm.id).map(|shown| &shown.running).filter(|jobs| horizon > 0 && !jobs.is_empty());
            if let (Life::Running { soon: ends, .. }, Some(running)) = (&mut live.life, running) {
                let since = running.values().map(|since| passed(*since));
                if let Some(kind) = only(&mut kinds, model, known) {
                    add_soon(ends, known.full, kind, since, times, horizon);
                }
            }
        }
    }
}

fn sight<'a>(model: &Model, known: &Known<'_>, shown: &'a Shown, class: Option<JobClass>) -> Sight<'a> {
    let (vm, since) = (&known.vm, known.vm.row.running_since);
    let passed = |from: Ms, to: Ms| to.saturating_sub(from) / SECOND;
    let fills =
        |since: Ms| (shown.took >= 3 && shown.ended == 0).then_some((shown.took - 1, passed(since, shown.changed?)));
    Sight {
        uid: vm.id.to_string().into(),
        lot: lot(model, &vm.order, vm.ordered).0,
        came: if since.is_some() { Some(true) } else { known.is_late.then_some(false) },
        boot: since.filter(|_| known.was_needed).map(|since| passed(vm.ordered, since)),
        fill: since.and_then(fills),
        power: vm.row.power,
        class,
        measured: shown.ended,
        lately: &shown.lately,
    }
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
