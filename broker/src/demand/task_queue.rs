//! A task queue: DIRAC's bucket of waiting jobs with equal requirements.

use serde::{Deserialize, Serialize};

/// A task queue as `getActiveTaskQueues` tells it. Empty lists are no constraint.
///
/// Source: DIRAC `WorkloadManagementSystem/DB/TaskQueueDB.py`, `retrieveTaskQueues`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskQueue {
    /// DIRAC's number of the queue. Queues with equal requirements may stand side by side.
    pub id: u64,
    /// Owner of the jobs.
    pub owner: String,
    /// DIRAC group of the jobs; the VO follows from it.
    pub owner_group: String,
    /// CPU time asked for, in normalised seconds, rounded up to one of DIRAC's segments.
    pub cpu_time: u64,
    /// Waiting jobs.
    pub jobs: u64,
    /// DIRAC's priority.
    pub priority: f64,
    /// Sites allowed.
    pub sites: Vec<String>,
    /// CEs allowed.
    pub grid_ces: Vec<String>,
    /// Sites refused.
    pub banned_sites: Vec<String>,
    /// Platforms allowed.
    pub platforms: Vec<String>,
    /// Job types allowed.
    pub job_types: Vec<String>,
    /// Tags the resource must offer, all of them.
    pub tags: Vec<String>,
    /// Memory a job needs at least, in MB; 0: none said.
    pub min_ram_mb: u64,
    /// Memory a job needs at most, in MB; 0: none said.
    pub max_ram_mb: u64,
}
