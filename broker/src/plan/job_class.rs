//! What jobs ask for: two queues whose jobs ask for the same are one class.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::demand::TaskQueue;

/// What jobs of a class ask for: all that DIRAC compares but the owner. Its lists are sorted, so that equal classes are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobClass {
    /// CPU time in normalised seconds.
    pub cpu_time: u64,
    /// Memory in MB; 0: none said.
    pub min_ram_mb: u64,
    /// Tags, all of which the resource must offer.
    pub tags: Vec<String>,
    /// The jobs may run only at these sites; empty: at any.
    pub sites: Vec<String>,
    /// The jobs may not run at these sites.
    pub banned_sites: Vec<String>,
    /// The jobs may run only on these CEs; empty: on any.
    pub grid_ces: Vec<String>,
    /// The jobs need one of these platforms; empty: any.
    pub platforms: Vec<String>,
    /// Types of the jobs, for example `User`.
    pub job_types: Vec<String>,
}

impl JobClass {
    /// The class of the jobs in this task queue.
    pub fn of(queue: &TaskQueue) -> Self {
        let sorted = |list: &[String]| {
            let mut list = list.to_vec();
            list.sort_unstable();
            list
        };
        Self {
            cpu_time: queue.cpu_time,
            min_ram_mb: queue.min_ram_mb,
            tags: sorted(&queue.tags),
            sites: sorted(&queue.sites),
            banned_sites: sorted(&queue.banned_sites),
            grid_ces: sorted(&queue.grid_ces),
            platforms: sorted(&queue.platforms),
            job_types: sorted(&queue.job_types),
        }
    }

    /// A task queue with such jobs, of no owner.
    pub fn queue(&self) -> TaskQueue {
        let of = self.clone();
        TaskQueue {
            cpu_time: of.cpu_time,
            min_ram_mb: of.min_ram_mb,
            tags: of.tags,
            sites: of.sites,
            banned_sites: of.banned_sites,
            grid_ces: of.grid_ces,
            platforms: of.platforms,
            job_types: of.job_types,
            ..TaskQueue::default()
        }
    }

    /// In words, the same for equal classes and no others: what jobs do not ask for is not named. It is short: of long lists the beginning
    /// is named, and a number that stands for the whole.
    pub fn words(&self) -> String {
        let lists = [
            ("tags", &self.tags),
            ("sites", &self.sites),
            ("banned sites", &self.banned_sites),
            ("CEs", &self.grid_ces),
            ("platforms", &self.platforms),
            ("job types", &self.job_types),
        ];
        let mut words = format!("{} s of CPU time", self.cpu_time);
        if self.min_ram_mb > 0 {
            words.push_str(&format!(", {} MB", self.min_ram_mb));
        }
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            words.push_str(&format!(", {name} {}", list.join(" ")));
        }
        if words.chars().count() > LONGEST {
            let mut hasher = DefaultHasher::new();
            self.hash(&mut hasher);
            words = words.chars().take(LONGEST).chain(format!("... (#{:016x})", hasher.finish()).chars()).collect();
        }
        words
    }
}

/// The most characters that a text names of a class.
const LONGEST: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_named_by_what_its_jobs_ask_for_and_however_much_that_is_in_few_words() {
        let sites = |n: usize| JobClass { cpu_time: 60, sites: vec!["CLOUD.A.org".into(); n], ..JobClass::default() };
        assert_eq!(sites(0).words(), "60 s of CPU time");
        assert_eq!(sites(2).words(), "60 s of CPU time, sites CLOUD.A.org CLOUD.A.org");
        assert!(sites(100).words().len() < 200 && sites(100).words() != sites(101).words());
        assert_eq!(JobClass { min_ram_mb: 5, ..sites(0) }.words(), "60 s of CPU time, 5 MB");
        let tag =
            |n: usize| JobClass { tags: vec!["x".repeat(n - "60 s of CPU time, tags ".len())], ..sites(0) }.words();
        assert_eq!((tag(160).len(), tag(161).contains("... (#")), (160, true));
    }
}
