//! Everything from which a plan is made, taken at one moment.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    disruption::{Disruption, Drift},
    hold::Hold,
    job_class::JobClass,
    life::Life,
};
use crate::{cloud::Purchase, demand::TaskQueue, experience::money::Unit};

/// One installation at one moment. Names are those of the Kubernetes objects. It is data only and can be written and read as JSON: the
/// snapshot of a wrong decision becomes a test of the plan (`golden_tests.rs`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Task queues with waiting jobs.
    pub queues: Vec<TaskQueue>,
    /// The VOs. Where their shares do not decide, the first comes first.
    pub vos: Vec<Vo>,
    /// The pools. Where cost does not decide, the first that fits is bought from.
    pub pools: Vec<Pool>,
    /// The clouds that can be used now.
    pub clouds: Vec<CloudState>,
    /// What is left at the providers: [`Offering::quota`] is the index. Two clouds in one project share its entries.
    pub quotas: Vec<Quota>,
    /// What the installation may hold over all its pools.
    pub limits: Limits,
    /// What is bought with restraint for a while.
    pub holds: Vec<Hold>,
    /// What is closed now or soon.
    pub closings: Vec<Closing>,
    /// How long jobs run, where it was measured.
    pub run_times: Vec<RunTime>,
    /// Every PilotVM that is not known to be gone.
    pub vms: Vec<LiveVm>,
    /// What holds for the plan as a whole.
    pub rules: Rules,
}

impl Snapshot {
    /// Sorts the queues by number and the VMs by name, so that their order does not depend on where they were read. The order of VOs,
    /// pools and clouds stays: it says which of them comes first.
    pub fn sort(&mut self) {
        self.queues.sort_by_key(|queue| queue.id);
        self.vms.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

/// The place of each name. The last of two equal ones counts.
pub fn places<'a>(names: impl Iterator<Item = &'a String>) -> HashMap<&'a str, usize> {
    names.enumerate().map(|(i, name)| (name.as_str(), i)).collect()
}

/// Limits; `None`: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The most VMs.
    pub vms: Option<u64>,
    /// The most cores.
    pub cores: Option<u64>,
    /// The most memory in MiB.
    pub ram_mib: Option<u64>,
    /// The most GPUs.
    pub gpus: Option<u64>,
}

/// Machines, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Number of VMs.
    pub vms: u64,
    /// Cores of these VMs.
    pub cores: u64,
    /// Memory of these VMs in MiB.
    pub ram_mib: u64,
    /// GPUs of these VMs.
    pub gpus: u64,
}

/// A virtual organisation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Vo {
    /// VirtualOrganization object.
    pub name: String,
    /// Names of its DIRAC groups: a task queue names one of them.
    pub groups: BTreeSet<String>,
    /// Weight when capacity is short; 0 counts as 1.
    pub share: u64,
    /// What it may hold at once over all pools.
    pub limits: Limits,
    /// What it held in the mean over the last hours, older hours counting less.
    pub used: Resources,
    /// What it may still spend; `None`: it has no budget.
    pub budget: Option<Budget>,
}

/// What a VO may still spend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Money or core-hours.
    pub unit: Unit,
    /// What is left, in the smallest part of the unit.
    pub left: u64,
    /// The period of the budget in seconds: for a VM that lives longer only the cost of one period is reserved.
    pub period: u64,
    /// Whether what has no price may be bought, as if it cost nothing.
    pub unpriced_is_free: bool,
}

/// A PilotPool object, with what its pilots say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pool {
    /// PilotPool object.
    pub name: String,
    /// DIRAC name of the site.
    pub site: String,
    /// What the site may hold. Pools of one site say the same, and share it.
    pub site_limits: Limits,
    /// DIRAC name of the CE.
    pub ce: String,
    /// VirtualOrganization objects that it serves.
    pub vos: Vec<String>,
    /// Cloud objects, in order of preference.
    pub clouds: Vec<String>,
    /// Name of the image, which a hold may name.
    pub image: String,
    /// The same for what has GPUs; `None`: that image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_image: Option<String>,
    /// Flavors that it takes, in order of preference; empty: every flavor within `requirements`.
    pub flavors: Vec<String>,
    /// Bounds on flavors.
    pub requirements: Requirements,
    /// Ways of buying, in order of preference; empty: on demand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub purchase: Vec<Purchase>,
    /// What comes first among the offerings that fit.
    pub strategy: Strategy,
    /// CPU time offered, in normalised seconds as DIRAC compares them.
    pub cpu_time: u64,
    /// Tags that its pilots offer.
    pub tags: Vec<String>,
    /// Tags that jobs must have.
    pub required_tags: Vec<String>,
    /// Cores that are kept for each GPU, where the others of a VM take jobs without one; 0: each GPU has its part of all cores.
    #[serde(skip_serializing_if = "is_zero")]
    pub gpu_cores: u64,
    /// Whether a VM that is bought for multi-core jobs asks for such jobs alone.
    pub pin: bool,
    /// DIRAC platform that its pilots offer; `None`: none.
    pub platform: Option<String>,
    /// The most VMs at once.
    pub max: u64,
    /// Whether it may have more than `max` while others leave room.
    pub borrows: bool,
    /// VMs that it keeps whatever waits.
    pub min: u64,
    /// VMs without work that it keeps beyond those that jobs need.
    pub spare: u64,
    /// Seconds without a job after which its VMs stop.
    pub idle_seconds: u64,
    /// Seconds that a job may wait for VMs that are there; `None`: as long as a new one takes.
    pub max_wait: Option<u64>,
    /// Seconds for which a new VM is paid for, as far as is known: what a budget reserves.
    pub life_seconds: u64,
    /// How fast its VMs may drain by drift.
    pub disruption: Disruption,
}

impl Pool {
    /// The image from which a VM with this number of GPUs boots.
    pub fn image_for(&self, gpus: u64) -> &str {
        self.gpu_image.as_deref().filter(|_| gpus > 0).unwrap_or(&self.image)
    }

    /// Its images: without GPUs, and with.
    pub fn images(&self) -> [&str; 2] {
        [self.image_for(0), self.image_for(1)]
    }
}

fn is_open(range: &(Option<u64>, Option<u64>)) -> bool {
    *range == (None, None)
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What comes first among the offerings that fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Strategy {
    /// The cheapest for the cores that are used; where that does not decide, the order of the ways of buying, and then the manifest's.
    #[default]
    Cheapest,
    /// The manifest's order alone; of one flavor on one cloud, the order of the ways of buying.
    InOrder,
}

/// Bounds on flavors, both ends inclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Requirements {
    /// The fewest and the most cores; `None`: no bound at this end.
    pub cores: (Option<u64>, Option<u64>),
    /// The same for whole GiB of memory for each core.
    pub ram_gib_per_core: (Option<u64>, Option<u64>),
    /// The same for GPUs.
    pub gpus: (Option<u64>, Option<u64>),
    /// Models of GPUs, one of which a flavor must have, in order of preference; empty: any.
    pub gpu_models: Vec<String>,
    /// The maker of the GPUs; `None`: anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_vendor: Option<String>,
    /// The least and the most whole GiB of memory of a GPU, or of the part that a VM has; `None`: no bound at this end.
    #[serde(default, skip_serializing_if = "is_open")]
    pub gpu_memory_gib: (Option<u64>, Option<u64>),
    /// Whether a part of a GPU is taken for one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gpu_shares: bool,
}

/// A cloud, as last read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CloudState {
    /// Name of the Cloud object.
    pub name: String,
    /// What can be bought there now.
    pub offerings: Vec<Arc<Offering>>,
    /// Currency of the prices, three letters of ISO 4217; `None`: nobody says.
    pub currency: Option<Arc<str>>,
    /// The administrator's ceiling on our VMs.
    pub ceiling: Limits,
    /// What VMs of other installations hold here.
    pub others: Resources,
    /// Whether one order may name several zones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub asks_for_all: bool,
}

/// What is left of a class of a provider's quota, as it was read. The plan takes off VMs of ours that were made after that reading: see
/// [`LiveVm::counted`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quota {
    /// For people: the cloud or project, and the class.
    pub name: String,
    /// What may still be used of each resource; `None`: unlimited or unknown.
    pub left: Limits,
}

/// One thing that can be bought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offering {
    /// Name of the flavor at the provider.
    pub flavor: String,
    /// Availability zone; `None`: the provider chooses.
    pub zone: Option<String>,
    /// Way of buying.
    pub purchase: Purchase,
    /// Cores of a VM.
    pub cores: u64,
    /// Memory of a VM in MiB.
    pub ram_mib: u64,
    /// GPUs of a VM; a part of one counts as one.
    pub gpus: u64,
    /// Model of the GPUs; `None`: unknown, or there are none.
    pub gpu_model: Option<String>,
    /// Maker of the GPUs; `None`: unknown, or there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_vendor: Option<String>,
    /// Memory in MiB of a GPU, or of the part that a VM has; `None`: unknown, or there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_memory_mib: Option<u64>,
    /// Whether a VM has a part of a GPU, and not whole ones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gpu_share: bool,
    /// Of a VM that is there: cores that are kept for each GPU ([`Pool::gpu_cores`]).
    #[serde(skip_serializing_if = "is_zero")]
    pub gpu_cores: u64,
    /// Price of an hour in millionths of the cloud's currency; `None`: unknown.
    pub price_micros: Option<u64>,
    /// Index in [`Snapshot::quotas`]; `None`, or an index that is not there: no bound is known.
    pub quota: Option<usize>,
    /// Power of a core in DIRAC's normalised units, in hundredths, as its pilots report it; `None`: unknown.
    pub power: Option<u64>,
    /// What its VMs have shown.
    pub measured: Measured,
}

/// What the VMs of an offering have shown. `None`: not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Seconds from the order to the first job: the median.
    pub boot: Option<u64>,
    /// The same: nine of ten are quicker.
    pub late: Option<u64>,
    /// Of a hundred VMs as many come to work.
    pub success: Option<u64>,
    /// Seconds that a pilot takes to fetch one job more.
    pub fetch: Option<u64>,
    /// How many of a thousand VMs the provider takes back in an hour; `None`: it took none back lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaims: Option<u64>,
}

/// A time when clouds are closed, seen from the moment of the snapshot: a Downtime, or the time after the end of the credential with which VMs
/// are deleted. One that is over is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Closing {
    /// Downtime object, or the Cloud whose credential ends.
    pub name: String,
    /// Whether it is the end of a credential.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_credential: bool,
    /// The Cloud objects that are closed.
    pub clouds: Vec<String>,
    /// Seconds until they drain; 0: they do.
    pub drains_in: u64,
    /// Seconds until they are closed; 0: they are.
    pub starts_in: u64,
    /// What may stay.
    pub keep: Limits,
    /// The sentence: what is closed, and when.
    pub message: String,
}

/// How long jobs of a class run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunTime {
    /// VirtualOrganization object.
    pub vo: String,
    /// The class of the jobs, as task queues say it.
    pub class: JobClass,
    /// How long they run, in seconds: the mean.
    pub seconds: u64,
}

/// What a pilot says of itself when it asks for jobs, beside its size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Says {
    /// DIRAC name of the site.
    pub site: String,
    /// DIRAC name of the CE.
    pub ce: String,
    /// DIRAC platform; `None`: it names none.
    pub platform: Option<String>,
    /// Tags that it offers to the Matcher.
    pub tags: Vec<String>,
    /// Tags that jobs must have.
    pub required_tags: Vec<String>,
}

/// A VM of ours, from the wish until it is known to be gone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LiveVm {
    /// PilotVM object.
    pub name: String,
    /// PilotPool object; it may be gone.
    pub pool: String,
    /// Name of the Cloud object.
    pub cloud: String,
    /// VirtualOrganization object.
    pub vo: String,
    /// The offering that was bought, or is to be.
    pub offering: Arc<Offering>,
    /// What its pilot says: what it was bought with, whatever its pool says today.
    pub says: Arc<Says>,
    /// CPU time that it has left, in normalised seconds as DIRAC compares them.
    pub cpu_time: u64,
    /// Seconds until it is to be gone, since it was bought for the time before a closing; `None`: no such end.
    pub until: Option<u64>,
    /// How far it is: wished for, booting, running or ending.
    pub life: Life,
    /// The jobs that it was bought for. They have the first claim on it until its pilot had its first job.
    pub lease: Vec<Lease>,
    /// Whether the provider's quota, as it was read, counts it already.
    pub counted: bool,
    /// Seconds since the PilotVM was made.
    pub age_seconds: u64,
    /// Seconds for which no waiting job has been planned for it while it boots ([`super::Plan::unneeded`]).
    pub unneeded_seconds: u64,
    /// How it is not as its pool says any more; `None`: it is, or nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
}

/// A claim of jobs on a VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// What each of the jobs asks for.
    pub class: Arc<JobClass>,
    /// Number of these jobs.
    pub jobs: u64,
}

/// What holds for all of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// The most VMs that one plan makes; `None`: no bound.
    pub most_launches: Option<u64>,
    /// What an offering without a price counts as.
    pub unpriced: Unpriced,
    /// The most VMs of an offering of which nothing is known: which no hold names alone. `None`: any number.
    pub fresh: Option<u64>,
    /// The most VMs of one pool and offering for one class of jobs of which no hold names all three. `None`: any
    /// number.
    pub untried: Option<u64>,
}

/// What an offering without a price counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unpriced {
    /// It comes after all that have one.
    #[default]
    Last,
    /// It costs nothing, for example the machines of one's own site: it comes before all that have one.
    Free,
    /// It is bought by nobody.
    Refused,
}
