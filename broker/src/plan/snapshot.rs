//! Everything from which a plan is made, taken at one moment.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::demand::TaskQueue;

/// One installation at one moment. Names are those of the Kubernetes objects. It is data only and can be written and read as JSON: the
/// snapshot of a wrong decision becomes a test of the plan (`golden_tests.rs`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Task queues with waiting jobs.
    pub queues: Vec<TaskQueue>,
    /// The VOs.
    pub vos: Vec<Vo>,
    /// The pools, in a stable order.
    pub pools: Vec<Pool>,
    /// The clouds that can be used now.
    pub clouds: Vec<CloudState>,
    /// Every PilotVM that is not known to be gone.
    pub vms: Vec<LiveVm>,
}

impl Snapshot {
    /// Sorts the queues by number and the VMs by name, so that their order does not depend on where they were read. The order of VOs,
    /// pools and clouds stays: it says which of them comes first.
    pub fn sort(&mut self) {
        self.queues.sort_by_key(|queue| queue.id);
        self.vms.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

/// Limits; `None`: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// VMs.
    pub vms: Option<u64>,
    /// Cores.
    pub cores: Option<u64>,
    /// Memory in MiB.
    pub ram_mib: Option<u64>,
    /// GPUs.
    pub gpus: Option<u64>,
}

/// A virtual organisation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vo {
    /// VirtualOrganization object.
    pub name: String,
    /// Its DIRAC groups.
    pub groups: BTreeSet<String>,
    /// Weight when capacity is short.
    pub share: u64,
    /// What it may hold.
    pub limits: Limits,
}

/// A pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// PilotPool object.
    pub name: String,
    /// DIRAC name of the site.
    pub site: String,
    /// DIRAC name of the CE.
    pub ce: String,
    /// VirtualOrganization objects that it serves.
    pub vos: Vec<String>,
    /// Cloud objects, in order of preference.
    pub clouds: Vec<String>,
    /// Flavors that it takes, in order of preference; empty: every flavor within `requirements`.
    pub flavors: Vec<String>,
    /// Bounds on flavors.
    pub requirements: Requirements,
    /// CPU time offered, in normalised seconds as DIRAC compares them.
    pub cpu_time: u64,
    /// Tags that it offers.
    pub tags: Vec<String>,
    /// Tags that jobs must have.
    pub required_tags: Vec<String>,
    /// DIRAC platform.
    pub platform: Option<String>,
    /// The most VMs at once.
    pub max: u64,
    /// Offerings that are not bought for a while, since the pool's last VMs of them never asked for work.
    pub failing: Vec<Failing>,
}

/// An offering whose VMs never asked for work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Cloud object.
    pub cloud: String,
    /// Flavor by name.
    pub flavor: String,
    /// Availability zone.
    pub zone: Option<String>,
}

/// Bounds on flavors, both ends inclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    /// Cores.
    pub cores: (Option<u64>, Option<u64>),
    /// GiB of memory for a core.
    pub ram_gib_per_core: (Option<u64>, Option<u64>),
    /// GPUs.
    pub gpus: (Option<u64>, Option<u64>),
    /// GPU models; empty: any.
    pub gpu_models: Vec<String>,
}

/// A cloud, as last read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CloudState {
    /// Cloud object.
    pub name: String,
    /// What can be bought.
    pub offerings: Vec<Offering>,
    /// The administrator's ceiling on our VMs.
    pub ceiling: Limits,
    /// What is left of the provider's quota, as it was read, by class: [`Offering::quota_class`] is the index. A class that is not here has
    /// no limit. The plan takes off VMs of ours that were made after that reading: see [`LiveVm::counted`].
    pub headroom: Vec<Limits>,
    /// Flavors that the cloud refused a short time ago (no room, quota): they are not tried in this round.
    pub exhausted: BTreeSet<String>,
}

/// One thing that can be bought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Offering {
    /// Flavor by name.
    pub flavor: String,
    /// Availability zone.
    pub zone: Option<String>,
    /// Cores.
    pub cores: u64,
    /// Memory in MiB.
    pub ram_mib: u64,
    /// GPUs.
    pub gpus: u64,
    /// Model of the GPUs.
    pub gpu_model: Option<String>,
    /// Price of an hour in millionths of the cloud's currency; `None`: unknown.
    pub price_micros: Option<u64>,
    /// Index of the class of quota in [`CloudState::headroom`] that it counts against.
    pub quota_class: usize,
}

/// How far a VM is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum VmPhase {
    /// Its pilot has not asked for work and the boot deadline is not over: full supply.
    #[default]
    Booting,
    /// Its pilot asks for work or runs jobs. It takes waiting jobs by itself: jobs that still wait after it had the time to take them
    /// need other VMs.
    Running,
    /// Ending: it takes no jobs, and counts against limits until the provider has deleted it.
    Ending,
}

/// A VM of ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveVm {
    /// PilotVM object.
    pub name: String,
    /// PilotPool object; it may be gone.
    pub pool: String,
    /// Cloud object.
    pub cloud: String,
    /// VirtualOrganization object.
    pub vo: String,
    /// What was bought.
    pub offering: Offering,
    /// How far it is.
    pub phase: VmPhase,
    /// Cores of a running VM that are known to be free. Not used for a booting VM: all its cores are free.
    pub free_cores: u64,
    /// Whether the provider's quota, as it was read, counts it already.
    pub counted: bool,
    /// Seconds since the PilotVM was made.
    pub age_seconds: u64,
}
