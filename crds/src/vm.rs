//! `PilotVM` (`pvm`): one VM and its pilot, from wish to gone. Only the operator writes it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, LocalRef, Price, pool::Purchase};

/// One VM and its pilot. Everything a restart needs to go on is here, derived from the UID, in the cloud or in DIRAC.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "PilotVM",
    plural = "pilotvms",
    namespaced,
    status = "PilotVMStatus",
    shortname = "pvm",
    category = "dirac-all"
)]
#[serde(rename_all = "camelCase")]
pub struct PilotVMSpec {
    /// The installation whose jobs it runs.
    pub installation_ref: LocalRef,
    /// The pool it was made for.
    pub pool_ref: LocalRef,
    /// The cloud it is bought from.
    pub cloud_ref: LocalRef,
    /// The VirtualOrganization object its pilot belongs to.
    pub vo: String,
    /// The VO's name in DIRAC.
    pub dirac_vo: String,
    /// DIRAC group of the pilot.
    pub group: String,
    /// DIRAC name of the site.
    pub site: String,
    /// DIRAC name of the CE.
    pub ce: String,
    /// DIRAC name of the queue.
    pub queue: String,
    /// What is bought.
    pub offering: Offering,
    /// Name of the image in `Cloud.spec.images`.
    pub image: String,
    /// CPU time the pilot offers.
    pub max_cpu_time: Duration,
    /// Tags the pilot offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Tags jobs must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_tags: Vec<String>,
    /// DIRAC platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Time within which the pilot must ask for work.
    pub boot_deadline: Duration,
    /// Time without a job after which the VM stops by itself.
    pub idle_timeout: Duration,
    /// Age at which the VM is given back.
    pub max_lifetime: Duration,
    /// Why it was made.
    pub reason: String,
}

/// What is bought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Offering {
    /// Flavor by name.
    pub flavor: String,
    /// Availability zone; absent: the provider decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Way of buying.
    #[serde(default)]
    pub purchase: Purchase,
    /// Cores.
    pub cores: i64,
    /// Memory in MiB.
    #[serde(rename = "ramMiB")]
    pub ram_mib: i64,
    /// GPUs.
    #[serde(default)]
    pub gpus: i64,
    /// Price of an hour when it was bought, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<Price>,
}

/// What the operator knows of the VM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PilotVMStatus {
    /// The truth about the object.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Derived from the conditions, for people: Pending, Booting, Running, Ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The pilot's reference in DIRAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pilot_reference: Option<String>,
    /// The pilot's stamp in DIRAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pilot_stamp: Option<String>,
    /// The pilot's status in DIRAC, as last read or written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pilot_status: Option<String>,
    /// The provider's id of the VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// The provider's word for the VM's state, as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_status: Option<String>,
    /// When the VM was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_at: Option<Time>,
    /// When the pilot first asked for work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_since: Option<Time>,
    /// Whether a job was ever seen on it.
    #[serde(default)]
    pub served_job: bool,
    /// Name of the ConfigMap that keeps the console log of a VM that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console_log: Option<String>,
}
