//! `Site` (`site`): a DIRAC site, the VOs it serves and its computing elements.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, LocalRef};

/// A DIRAC site.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "Site",
    namespaced,
    status = "SiteStatus",
    category = "dirac-all"
)]
#[serde(rename_all = "camelCase")]
pub struct SiteSpec {
    /// The installation the site belongs to.
    pub installation_ref: LocalRef,
    /// The site's name in DIRAC, as in `CLOUD.CPPM.fr`.
    pub dirac_name: String,
    /// The site's name in GOCDB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gocdb_name: Option<String>,
    /// VirtualOrganization objects served here.
    pub vos: Vec<String>,
    /// Computing elements that are published to DIRAC as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub computing_elements: Vec<ComputingElement>,
}

/// A computing element that is not a cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComputingElement {
    /// Host name of the CE.
    pub name: String,
    /// DIRAC's CE type: HTCondorCE, AREX, SSH, Slurm.
    #[serde(rename = "type")]
    pub type_: String,
    /// The CE's queues.
    pub queues: Vec<Queue>,
}

/// A queue of a computing element.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// Name of the queue.
    pub name: String,
    /// The longest CPU time of a job.
    pub max_cpu_time: Duration,
    /// Cores a pilot gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processors: Option<i64>,
    /// Tags the queue offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// What the operator knows of the site.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SiteStatus {
    /// The generation these conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The truth about the object.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Clouds of the site.
    #[serde(default)]
    pub clouds: i64,
    /// Pools of the site.
    #[serde(default)]
    pub pools: i64,
    /// VMs of the site that are alive.
    #[serde(default)]
    pub vms: i64,
}
