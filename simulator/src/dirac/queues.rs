//! The task queues, their priorities, and the choice among them (`WorkloadManagementSystem/DB/TaskQueueDB.py`).

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{Definition, names::same};
use crate::dice::Dice;

/// A job's number.
pub type JobId = u32;

/// `__maxJobsInTQ`: a queue with this many jobs takes no more, and another of the same definition is made.
const MOST_JOBS: usize = 5_000;
/// `DEFAULT_GROUP_SHARE`.
const DEFAULT_SHARE: f64 = 1_000.0;
/// `TQ_MIN_SHARE`.
const LEAST_PRIORITY: f64 = 0.001;
/// `numJobsPerTry` of `matchAndGetJob`.
const OLDEST: usize = 50;

#[derive(Clone, Debug)]
pub struct Queue {
    /// DIRAC's number.
    pub id: u64,
    /// Its definition, by its number in [`TaskQueues`].
    pub definition: usize,
    pub priority: f64,
    /// Jobs by their own priority, the oldest first.
    jobs: BTreeMap<u32, VecDeque<JobId>>,
    count: usize,
}

impl Queue {
    /// Waiting jobs.
    pub fn len(&self) -> usize {
        self.count
    }

    fn average_priority(&self) -> f64 {
        let sum: f64 = self.jobs.iter().map(|(priority, jobs)| real_priority(*priority) * jobs.len() as f64).sum();
        sum / self.count as f64
    }

    /// The job that is taken: first its priority, `ORDER BY RAND() / RealPriority LIMIT 1` over all jobs, then one of the fifty oldest of
    /// that priority (`matchAndGetJob`).
    fn take(&mut self, dice: &mut Dice) -> Option<JobId> {
        let mut best: Option<(f64, u32)> = None;
        for (priority, jobs) in self.jobs.iter().filter(|(_, jobs)| !jobs.is_empty()) {
            // The least of n throws.
            let throw = 1.0 - (1.0 - dice.unit()).powf(1.0 / jobs.len() as f64);
            let key = throw / real_priority(*priority);
            if best.is_none_or(|(least, _)| key < least) {
                best = Some((key, *priority));
            }
        }
        let jobs = self.jobs.get_mut(&best?.1)?;
        let job = jobs.remove(dice.below(jobs.len().min(OLDEST)))?;
        self.count -= 1;
        Some(job)
    }
}

/// `__hackJobPriority`, with the boundaries 0.001 and 10.
fn real_priority(priority: u32) -> f64 {
    match priority {
        0 => 1e-5,
        10.. => 1e6,
        p => f64::from(p),
    }
}

/// All task queues of DIRAC, with the definitions that they share.
#[derive(Clone, Debug, Default)]
pub struct TaskQueues {
    definitions: Vec<Definition>,
    numbers: HashMap<Definition, usize>,
    /// By number of the definition: its queues.
    of: Vec<Vec<u64>>,
    queues: BTreeMap<u64, Queue>,
    shares: BTreeMap<String, f64>,
    last: u64,
}

impl TaskQueues {
    /// No queue; these groups have a JobShare that is not the default.
    pub fn new(shares: BTreeMap<String, f64>) -> Self {
        Self { shares, ..Self::default() }
    }

    /// The number of this definition, which it gets now if it is new.
    pub fn define(&mut self, definition: Definition) -> usize {
        let definition = definition.fitted();
        if let Some(number) = self.numbers.get(&definition) {
            return *number;
        }
        let number = self.definitions.len();
        self.numbers.insert(definition.clone(), number);
        self.definitions.push(definition);
        self.of.push(Vec::new());
        number
    }

    /// The definition with this number.
    pub fn definition(&self, number: usize) -> &Definition {
        &self.definitions[number]
    }

    /// The queues, also those that are empty and not yet removed.
    pub fn all(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values()
    }

    /// `insertJob`: into the smallest queue of its definition, or a new one.
    pub fn insert(&mut self, job: JobId, definition: usize, priority: u32) {
        let smallest = self.of[definition].iter().filter_map(|id| self.queues.get(id)).min_by_key(|q| (q.count, q.id));
        let found = smallest.filter(|queue| queue.count < MOST_JOBS).map(|queue| queue.id);
        let id = found.unwrap_or_else(|| {
            self.last += 1;
            self.of[definition].push(self.last);
            let queue = Queue { id: self.last, definition, priority: 1.0, jobs: BTreeMap::new(), count: 0 };
            self.queues.insert(self.last, queue);
            self.last
        });
        if let Some(queue) = self.queues.get_mut(&id) {
            let jobs = queue.jobs.entry(priority).or_default();
            // A job that comes back keeps its number, and so its place.
            let place = jobs.partition_point(|other| *other < job);
            jobs.insert(place, job);
            queue.count += 1;
        }
        if found.is_none() {
            self.recalculate(definition);
        }
    }

    /// `matchAndGetJob`: of the queues that `suits` says match, `ORDER BY RAND() / tq.Priority`. Empty queues are left out here; in DIRAC
    /// they are tried and give nothing. `suits` gets the number of a definition and the definition. Gives the job, and its queue if it is
    /// empty now.
    pub fn choose(
        &mut self,
        dice: &mut Dice,
        mut suits: impl FnMut(usize, &Definition) -> bool,
    ) -> Option<(JobId, Option<u64>)> {
        let mut best: Option<(f64, u64)> = None;
        for queue in self.queues.values().filter(|queue| queue.count > 0) {
            if suits(queue.definition, &self.definitions[queue.definition]) {
                let key = dice.unit() / queue.priority;
                if best.is_none_or(|(least, _)| key < least) {
                    best = Some((key, queue.id));
                }
            }
        }
        let queue = self.queues.get_mut(&best?.1)?;
        let job = queue.take(dice)?;
        Some((job, (queue.count == 0).then_some(queue.id)))
    }

    /// `deleteTaskQueueIfEmpty`, which DIRAC does five minutes after a queue was seen empty.
    pub fn remove_if_empty(&mut self, id: u64) {
        let Some(queue) = self.queues.get(&id).filter(|queue| queue.count == 0) else { return };
        let definition = queue.definition;
        self.queues.remove(&id);
        self.of[definition].retain(|other| *other != id);
        self.recalculate(definition);
    }

    /// `recalculateTQSharesForEntity`: a group's share is divided among the owners that have queues, and each owner's among the queues
    /// (`calculate_priority`). For groups without the property JobSharing.
    fn recalculate(&mut self, definition: usize) {
        let group = self.definitions[definition].owner_group.clone();
        let mut of_owner: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for queue in self.queues.values() {
            let definition = &self.definitions[queue.definition];
            if same(&definition.owner_group, &group) {
                of_owner.entry(definition.owner.clone()).or_default().push(queue.id);
            }
        }
        let share = self.shares.get(&group).copied().unwrap_or(DEFAULT_SHARE) / of_owner.len().max(1) as f64;
        for ids in of_owner.values() {
            self.divide(share, ids);
        }
    }

    /// `calculate_priority`: in proportion to the mean priority of the jobs. Queues that differ only in sites, banned sites and memory
    /// (`priorityIgnoredFields`) all get the sum of theirs.
    fn divide(&mut self, share: f64, ids: &[u64]) {
        let filled: Vec<(u64, f64)> = ids
            .iter()
            .filter_map(|id| self.queues.get(id))
            .filter(|queue| queue.count > 0)
            .map(|queue| (queue.id, queue.average_priority()))
            .collect();
        let total: f64 = filled.iter().map(|(_, priority)| priority).sum();
        let mut groups: Vec<(Definition, Vec<u64>, f64)> = Vec::new();
        for (id, priority) in filled {
            let own = (share / total * priority).max(LEAST_PRIORITY);
            let Some(queue) = self.queues.get(&id) else { continue };
            let key = Definition {
                sites: Vec::new(),
                banned_sites: Vec::new(),
                min_ram: 0,
                max_ram: 0,
                ..self.definitions[queue.definition].clone()
            };
            match groups.iter_mut().find(|(other, ..)| *other == key) {
                Some((_, ids, sum)) => {
                    ids.push(id);
                    *sum += own;
                }
                None => groups.push((key, vec![id], own)),
            }
        }
        for (_, ids, sum) in groups {
            for id in ids {
                if let Some(queue) = self.queues.get_mut(&id) {
                    // It is written with four decimals.
                    queue.priority = (sum * 10_000.0).round() / 10_000.0;
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "queues_tests.rs"]
mod tests;
