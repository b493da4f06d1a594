//! The figures of a run.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{OfPool, Replaced, Spans};
use crate::{
    scenario::Arrivals,
    time::{HOUR, Ms, hours},
    world::{JobState, World},
};

/// One moment, for the plots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Milliseconds since the scenario began.
    pub at: Ms,
    /// Jobs that wait in task queues.
    pub waiting: u64,
    /// VMs that exist, in whatever state.
    pub vms: u64,
    /// Of these, VMs whose pilot has not asked for work.
    pub booting: u64,
    /// Cores of the VMs that exist.
    pub cores: u64,
    /// Cores that jobs hold.
    pub busy: u64,
    /// Cores of the VMs of each VO, in the order of the manifests.
    pub vos: Vec<u64>,
}

/// What became of the jobs of one VO and class.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Class {
    /// Name of the VirtualOrganization object.
    pub vo: String,
    /// What the jobs ask for, in words.
    pub asks: String,
    /// Jobs of it that arrived.
    pub arrived: u64,
    /// Jobs that ended as they should.
    pub done: u64,
    /// Jobs that ended otherwise.
    pub failed: u64,
    /// Jobs lost with their VM.
    pub lost: u64,
    /// Jobs that started at least once.
    pub started: u64,
    /// Seconds from arrival to start, of those that started: the median.
    pub wait_median: u32,
    /// And what 95 % of them stay below.
    pub wait_95: u32,
    /// Core-hours that jobs of it held, those that were not lost.
    pub core_hours: f64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedLimit {
    pub limit: String,
    /// VMs that were made, or were there, above it.
    pub vms: u64,
    /// Seconds from the beginning of the scenario until it was first passed.
    pub first_seconds: u64,
}

/// What one run of a scenario under a policy came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Name of the scenario: that of its file.
    pub scenario: String,
    /// Name of the policy.
    pub policy: String,
    /// The seed from which jobs and faults were drawn.
    pub seed: u64,
    /// VMs that the clouds made, those included whose reply was lost.
    pub vms_made: u64,
    /// Of these, VMs that never ran a job.
    pub vms_idle: u64,
    /// The same by pool.
    pub pools: Vec<OfPool>,
    /// Hours that VMs existed.
    pub vm_hours: f64,
    /// Core-hours that VMs existed.
    pub core_hours_bought: f64,
    /// Of these, what jobs held that were not lost.
    pub core_hours_used: f64,
    /// And what jobs held that were lost.
    pub core_hours_lost: f64,
    /// Where those that were bought went.
    pub spans: Spans,
    /// What all VMs cost, in the currency of the manifests.
    pub cost: f64,
    /// Jobs: waiting, running, done, failed, lost at the end.
    pub jobs: [u64; 5],
    /// Seconds from arrival to start, of all jobs that started: the median.
    pub wait_median: u32,
    /// And what 95 % of them stay below.
    pub wait_95: u32,
    /// When the last job ended, in seconds, where all have ended.
    pub all_ended: Option<u64>,
    /// How many calls of each kind the clouds got.
    pub calls: BTreeMap<String, u64>,
    /// Every limit that was passed, with how far and since when.
    pub passed: Vec<PassedLimit>,
    /// What became of VMs whose image was replaced.
    pub replaced: Vec<Replaced>,
    /// What became of the jobs, by VO and class.
    pub classes: Vec<Class>,
    /// Moments of the run, for the plots.
    pub samples: Vec<Sample>,
}

/// What jobs of a stream ask for, in words.
fn asks(arrivals: &Arrivals) -> String {
    let mut words = if arrivals.whole_node {
        "whole VM".to_owned()
    } else if arrivals.cores == 1 {
        "1 core".to_owned()
    } else {
        format!("{} cores", arrivals.cores)
    };
    if arrivals.min_ram_mb > 0 {
        words += &format!(", {} MB", arrivals.min_ram_mb);
    }
    for tag in arrivals.tags.iter().chain(&arrivals.platforms) {
        words += &format!(", {tag}");
    }
    if !arrivals.sites.is_empty() {
        words += &format!(", at {}", arrivals.sites.join(" or "));
    }
    words
}

/// The part of sorted values below which `part` of them are.
fn quantile(sorted: &[u32], part: f64) -> u32 {
    let place = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(place.max(1) - 1).copied().unwrap_or(0)
}

/// Closes the books at `end`.
pub fn figures(mut world: World<'_>, policy: &str, seed: u64, end: Ms, samples: Vec<Sample>) -> Figures {
    let loaded = world.loaded;
    // What still runs has held its cores until now.
    let mut by_stream = vec![0_u64; loaded.words.arrivals.len()];
    let mut running = vec![0_u64; world.vms.len()];
    let (mut jobs, mut last_end) = ([0_u64; 5], 0);
    for job in &world.jobs {
        let (place, held) = match job.state {
            JobState::Waiting => (0, 0),
            JobState::Running => (1, end.saturating_sub(job.began)),
            JobState::Done => (2, job.runs),
            JobState::Failed => (3, if job.began > 0 { job.runs } else { 0 }),
            JobState::Lost => (4, 0),
        };
        jobs[place] += 1;
        let cores = u64::from(job.task.processors);
        by_stream[job.stream as usize] += held * cores;
        last_end = last_end.max(job.began + job.runs);
        if job.state == JobState::Running {
            world.books.used += held * cores;
            running[job.vm as usize] += held * cores;
        }
    }
    let mut classes: BTreeMap<(String, String), (Class, Vec<u32>)> = BTreeMap::new();
    let mut all_waits = Vec::new();
    for (arrivals, (served, held)) in loaded.words.arrivals.iter().zip(world.books.served.iter().zip(by_stream)) {
        let vo = loaded.model.vo_of(&arrivals.group).map(|vo| loaded.model.vos[vo].name.clone()).unwrap_or_default();
        let (class, waits) = classes.entry((vo, asks(arrivals))).or_default();
        class.arrived += served.arrived;
        class.done += served.done;
        class.failed += served.failed;
        class.lost += served.lost;
        class.core_hours += held as f64 / HOUR as f64;
        waits.extend(&served.waits);
        all_waits.extend(&served.waits);
    }
    all_waits.sort_unstable();
    let classes = classes.into_iter().map(|((vo, asks), (mut class, mut waits))| {
        waits.sort_unstable();
        (class.vo, class.asks, class.started) = (vo, asks, waits.len() as u64);
        (class.wait_median, class.wait_95) = (quantile(&waits, 0.5), quantile(&waits, 0.95));
        class
    });
    let made = world.vms.iter().filter_map(|vm| vm.born.map(|born| (vm, vm.gone.unwrap_or(end).saturating_sub(born))));
    let (mut vms_made, mut vms_idle, mut vm_ms, mut core_ms) = (0, 0, 0, 0);
    let mut spans = Spans::default();
    world.vms.iter().zip(running).for_each(|(vm, running)| spans.count(vm, end, running));
    for (vm, lived) in made {
        vms_made += 1;
        vms_idle += u64::from(!vm.ran());
        vm_ms += lived;
        core_ms += lived * vm.cores;
    }
    Figures {
        scenario: loaded.name.clone(),
        policy: policy.to_owned(),
        seed,
        vms_made,
        vms_idle,
        vm_hours: hours(vm_ms),
        core_hours_bought: hours(core_ms),
        core_hours_used: hours(world.books.used),
        core_hours_lost: hours(world.books.wasted),
        spans,
        pools: OfPool::all(&world),
        replaced: Replaced::of(&world),
        cost: world.books.spent(end) / 1e6,
        all_ended: (jobs[0] + jobs[1] == 0 && last_end > 0).then_some(last_end / 1_000),
        jobs,
        wait_median: quantile(&all_waits, 0.5),
        wait_95: quantile(&all_waits, 0.95),
        calls: world.calls.iter().map(|(kind, calls)| ((*kind).to_owned(), *calls)).collect(),
        passed: world
            .books
            .passed
            .iter()
            .map(|(limit, p)| PassedLimit { limit: limit.clone(), vms: p.vms, first_seconds: p.first / 1_000 })
            .collect(),
        classes: classes.collect(),
        samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<u32> = (1..=100).collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.95)), (50, 95));
        assert_eq!((quantile(&[7], 0.5), quantile(&[], 0.5)), (7, 0));
    }
}
