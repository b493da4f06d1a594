//! A task queue: DIRAC's bucket of waiting jobs with equal requirements.

use serde::{Deserialize, Serialize};

/// A task queue as `getActiveTaskQueues` tells it. Empty lists are no constraint.
///
/// Source: DIRAC `WorkloadManagementSystem/DB/TaskQueueDB.py`, `retrieveTaskQueues`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskQueue {
    /// DIRAC's number of the queue. Queues with equal requirements may stand side by side.
    pub id: u64,
    /// DIRAC user name of the jobs' owner.
    pub owner: String,
    /// DIRAC group of the jobs; the VO follows from it.
    pub owner_group: String,
    /// CPU time asked for, in normalised seconds, rounded up to one of DIRAC's segments.
    pub cpu_time: u64,
    /// Jobs that wait in the queue.
    pub jobs: u64,
    /// DIRAC's priority.
    pub priority: f64,
    /// The jobs may run only at these sites.
    pub sites: Vec<String>,
    /// The jobs may run only on these CEs.
    pub grid_ces: Vec<String>,
    /// The jobs may not run at these sites.
    pub banned_sites: Vec<String>,
    /// The jobs need one of these platforms.
    pub platforms: Vec<String>,
    /// Types of the jobs, for example `User`.
    pub job_types: Vec<String>,
    /// Tags the resource must offer, all of them.
    pub tags: Vec<String>,
    /// Memory a job needs at least, in MB; 0: none said.
    pub min_ram_mb: u64,
    /// Memory a job needs at most, in MB; 0: none said.
    pub max_ram_mb: u64,
}
