//! How far a VM is, and what it has to give.

use serde::{Deserialize, Serialize};

/// How far a VM is for the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Life {
    /// Its pilot has not asked for work, and it is not late: all of it is supply.
    Booting {
        /// Seconds until it is expected to take its first job; 0 where this is unknown.
        ready_in: u64,
    },
    /// Its pilot asks for work or runs jobs.
    Running {
        /// What is known to be free. Jobs that wait although it runs are beyond what is not free.
        free: Free,
        /// What becomes free soon, the soonest first.
        soon: Vec<Soon>,
    },
    /// It takes no more jobs and ends when it has none.
    Draining,
    /// Ending: it takes no jobs, and counts against limits until the provider has deleted it.
    Ending,
}

impl Default for Life {
    fn default() -> Self {
        Self::Booting { ready_in: 0 }
    }
}

/// What jobs can have of a VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Free {
    /// Cores that no job holds.
    pub cores: u64,
    /// Memory in MiB that no job holds.
    pub ram_mib: u64,
    /// GPUs that no job holds.
    pub gpus: u64,
    /// Of the VM: cores that are kept for each GPU, where the others take jobs without one; 0: each GPU has its part of all cores.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gpu_cores: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What a running job will leave when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Soon {
    /// Seconds from the moment of the snapshot.
    pub in_seconds: u64,
    /// What the jobs that end then give back.
    pub free: Free,
}
