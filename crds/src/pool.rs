//! `PilotPool` (`pool`): what VMs may be made for which VOs on which clouds, how they match jobs, and how they scale and age.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, LocalRef, quantity::Range};

/// A pool of pilot VMs.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "PilotPool",
    namespaced,
    status = "PilotPoolStatus",
    shortname = "pool",
    category = "dirac-all"
)]
#[serde(rename_all = "camelCase")]
pub struct PilotPoolSpec {
    /// The DIRAC site the pool's VMs belong to.
    pub site_ref: LocalRef,
    /// VirtualOrganization objects served.
    pub vos: Vec<String>,
    /// Clouds, in order of preference.
    pub clouds: Vec<LocalRef>,
    /// What a VM is.
    pub machine: Machine,
    /// What jobs it takes.
    pub matching: Matching,
    /// How many there are, and how long.
    pub scaling: Scaling,
}

/// What a VM is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Flavors by name, in order of preference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flavors: Vec<String>,
    /// Any flavor that fulfils these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirements: Option<Requirements>,
    /// Ways of buying, in order of preference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purchase: Vec<Purchase>,
    /// Name of the image in `Cloud.spec.images`.
    #[serde(default = "default_image")]
    pub image: String,
    /// A cloud-config template merged into the VM's user-data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
}

fn default_image() -> String {
    "default".to_owned()
}

/// How a VM is bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Purchase {
    /// At the list price, until given back.
    #[default]
    OnDemand,
    /// Cheaper, and reclaimed by the provider when it wants.
    Spot,
}

/// Bounds on flavors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requirements {
    /// Number and models of GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<GpuRequirement>,
    /// Number of cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<Range>,
    /// GiB of memory a core.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "ramGiBPerCore")]
    pub ram_gib_per_core: Option<Range>,
}

/// Bounds on GPUs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GpuRequirement {
    /// At least so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// One of these models; none named: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
}

/// What the pilots say of themselves to DIRAC's Matcher.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Matching {
    /// Name of the CE in DIRAC; absent: `<pool>.<namespace>.dirac-operator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ce: Option<String>,
    /// Name of the queue in DIRAC; absent: the flavor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The longest CPU time of a job.
    pub max_cpu_time: Duration,
    /// Tags the VMs offer: jobs with other tags do not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Tags a job must have: plain jobs never land here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_tags: Vec<String>,
    /// DIRAC platform of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// How many VMs there are, and how long they live.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// VMs kept whatever the demand.
    #[serde(default)]
    pub min: i64,
    /// The most VMs at once. 0 drains the pool.
    pub max: i64,
    /// Idle VMs kept warm.
    #[serde(default)]
    pub spare: i64,
    /// Time within which the pilot must ask for work.
    #[serde(default = "default_boot_deadline")]
    pub boot_deadline: Duration,
    /// Time without a job after which a VM stops by itself.
    #[serde(default = "default_idle_timeout")]
    pub idle_timeout: Duration,
    /// Age at which a VM is given back.
    #[serde(default = "default_max_lifetime")]
    pub max_lifetime: Duration,
}

fn default_boot_deadline() -> Duration {
    Duration::from_secs(20 * 60)
}
fn default_idle_timeout() -> Duration {
    Duration::from_secs(5 * 60)
}
fn default_max_lifetime() -> Duration {
    Duration::from_secs(7 * 86_400)
}

/// What the operator knows of the pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PilotPoolStatus {
    /// The generation these conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The truth about the object.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// VMs that exist.
    #[serde(default)]
    pub vms: i64,
    /// Of these, VMs whose pilot has not yet asked for work.
    #[serde(default)]
    pub booting: i64,
    /// Of these, VMs whose pilot asks for work or runs jobs.
    #[serde(default)]
    pub running: i64,
    /// Waiting jobs given to this pool at the last round.
    #[serde(default)]
    pub waiting_jobs: i64,
    /// Waiting jobs that fit the pool and get no VM, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<UnmetDemand>,
}

/// Waiting jobs that get no VM, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnmetDemand {
    /// VirtualOrganization object.
    pub vo: String,
    /// Waiting jobs.
    pub jobs: i64,
    /// Machine-readable reason.
    pub reason: String,
    /// The sentence: what binds, and what to do.
    pub message: String,
}
