//! Demand: the waiting jobs of all task queues. Jobs of one VO with equal requirements are taken together as a class.

use std::collections::{BTreeMap, HashMap};

use super::{Snapshot, Vo};
use crate::demand::TaskQueue;

/// Jobs of one VO with equal requirements.
#[derive(Clone, Debug)]
pub struct Class<'a> {
    /// Index of the VO in the snapshot.
    pub vo: usize,
    /// One of its task queues. All of them have equal requirements; this one has the smallest number.
    pub queue: &'a TaskQueue,
    /// Waiting jobs.
    pub jobs: u64,
    /// Cores that a job needs; `None`: it needs a whole VM.
    pub cores: Option<u64>,
    /// A number that classes share when the lists of their queues are equal: sites, CEs, banned sites, platforms, job types, tags.
    pub profile: usize,
}

/// All that waits.
#[derive(Clone, Debug, Default)]
pub struct Demand<'a> {
    /// The classes, the most demanding first: jobs that fit few VMs are placed before jobs that fit all.
    pub classes: Vec<Class<'a>>,
    /// Waiting jobs of each VO, by index.
    pub waiting: Vec<u64>,
    /// Waiting jobs of each group that no VO claims.
    pub unclaimed: BTreeMap<String, u64>,
}

/// Queues with equal keys are one class.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    vo: usize,
    cpu_time: u64,
    min_ram_mb: u64,
    profile: usize,
}

/// A queue's lists, sorted.
type Lists<'a> = [Vec<&'a str>; 6];

impl<'a> Demand<'a> {
    /// The demand of a snapshot. The order of its queues does not matter.
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let groups = groups(&snapshot.vos);
        let mut demand = Self { waiting: vec![0; snapshot.vos.len()], ..Self::default() };
        let mut profiles: HashMap<Lists<'_>, usize> = HashMap::new();
        let mut classes: HashMap<Key, Class<'a>> = HashMap::new();
        for queue in snapshot.queues.iter().filter(|q| q.jobs > 0) {
            let Some(&vo) = groups.get(queue.owner_group.as_str()) else {
                *demand.unclaimed.entry(queue.owner_group.clone()).or_default() += queue.jobs;
                continue;
            };
            demand.waiting[vo] += queue.jobs;
            let next = profiles.len();
            let profile = *profiles.entry(lists(queue)).or_insert(next);
            let key = Key { vo, cpu_time: queue.cpu_time, min_ram_mb: queue.min_ram_mb, profile };
            let class =
                classes.entry(key).or_insert_with(|| Class { vo, queue, jobs: 0, cores: cores(queue), profile });
            class.jobs += queue.jobs;
            // The smallest number, so that the order of the queues does not matter.
            if queue.id < class.queue.id {
                class.queue = queue;
            }
        }
        demand.classes = classes.into_values().collect();
        demand.classes.sort_by(|a, b| {
            let rank =
                |c: &Class<'_>| (c.cores.unwrap_or(u64::MAX), c.queue.tags.len(), c.queue.min_ram_mb, c.queue.cpu_time);
            rank(b).cmp(&rank(a)).then(a.queue.id.cmp(&b.queue.id))
        });
        demand
    }
}

/// The index of the VO by group. A group that two VOs name belongs to the first.
fn groups(vos: &[Vo]) -> HashMap<&str, usize> {
    let mut all = HashMap::new();
    for (i, vo) in vos.iter().enumerate() {
        for group in &vo.groups {
            all.entry(group.as_str()).or_insert(i);
        }
    }
    all
}

fn lists(q: &TaskQueue) -> Lists<'_> {
    [&q.sites, &q.grid_ces, &q.banned_sites, &q.platforms, &q.job_types, &q.tags].map(|list| {
        let mut list: Vec<&str> = list.iter().map(String::as_str).collect();
        list.sort_unstable();
        list
    })
}

/// Cores that a job needs; `None`: a whole VM. The largest `nProcessors` among its tags (`Executor/JobScheduling.py`, `_getTagsFromManifest`).
fn cores(queue: &TaskQueue) -> Option<u64> {
    if queue.tags.iter().any(|t| t == "WholeNode") {
        return None;
    }
    let processors = |tag: &String| tag.strip_suffix("Processors").and_then(|n| n.parse().ok());
    Some(queue.tags.iter().filter_map(processors).max().unwrap_or(1).max(1))
}
