//! Demand: the waiting jobs of all task queues. Jobs of one VO with equal requirements are taken together as a class.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{Snapshot, Vo, job_class::JobClass, need::Need};
use crate::demand::TaskQueue;

/// Waiting jobs of one VO with equal requirements.
#[derive(Clone, Debug)]
pub struct Class<'a> {
    /// Index of the VO in the snapshot.
    pub vo: usize,
    /// One of its task queues. All of them have equal requirements; this one has the smallest number.
    pub queue: &'a TaskQueue,
    /// What each of the jobs asks for.
    pub key: Arc<JobClass>,
    /// How many of them wait.
    pub jobs: u64,
    /// What one job takes of a VM.
    pub need: Need,
}

/// All that waits.
#[derive(Clone, Debug, Default)]
pub struct Demand<'a> {
    /// The classes. Their order depends on what they are, not on the order of the queues.
    pub classes: Vec<Class<'a>>,
    /// Waiting jobs of each VO, by index.
    pub waiting: Vec<u64>,
    /// Waiting jobs of each group that no VO claims.
    pub unclaimed: BTreeMap<String, u64>,
}

impl<'a> Demand<'a> {
    /// The demand of a snapshot. The order of its queues does not matter.
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let groups = groups(&snapshot.vos);
        let mut demand = Self { waiting: vec![0; snapshot.vos.len()], ..Self::default() };
        let mut all: Vec<(usize, JobClass, &TaskQueue)> = Vec::with_capacity(snapshot.queues.len());
        for queue in snapshot.queues.iter().filter(|q| q.jobs > 0) {
            if let Some(&vo) = groups.get(queue.owner_group.as_str()) {
                demand.waiting[vo] = demand.waiting[vo].saturating_add(queue.jobs);
                all.push((vo, JobClass::of(queue), queue));
            } else {
                let jobs = demand.unclaimed.entry(queue.owner_group.clone()).or_default();
                *jobs = jobs.saturating_add(queue.jobs);
            }
        }
        all.sort_by(|(a, of_a, first), (b, of_b, second)| (a, of_a, first.id).cmp(&(b, of_b, second.id)));
        for (vo, key, queue) in all {
            match demand.classes.last_mut() {
                Some(class) if class.vo == vo && *class.key == key => {
                    class.jobs = class.jobs.saturating_add(queue.jobs)
                }
                _ => {
                    let need = Need::of(&key);
                    demand.classes.push(Class { vo, queue, key: Arc::new(key), jobs: queue.jobs, need });
                }
            }
        }
        demand
    }
}

/// The index of the VO by group. A group that two VOs name belongs to the first.
pub fn groups(vos: &[Vo]) -> HashMap<&str, usize> {
    let mut all = HashMap::new();
    for (i, vo) in vos.iter().enumerate() {
        for group in &vo.groups {
            all.entry(group.as_str()).or_insert(i);
        }
    }
    all
}
