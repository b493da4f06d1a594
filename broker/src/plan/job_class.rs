//! What jobs ask for: two queues whose jobs ask for the same are one class.

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
    /// Sites allowed.
    pub sites: Vec<String>,
    /// Sites refused.
    pub banned_sites: Vec<String>,
    /// CEs allowed.
    pub grid_ces: Vec<String>,
    /// Platforms allowed.
    pub platforms: Vec<String>,
    /// Job types allowed.
    pub job_types: Vec<String>,
}

impl JobClass {
    /// The class of the queue's jobs.
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
}
