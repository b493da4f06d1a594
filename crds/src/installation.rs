//! `DiracInstallation` (`dirac`): a DIRAC v9 + DiracX installation, run elsewhere, simulated, or (later) run here.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, SecretRef};

/// A DIRAC installation: where waiting jobs are read and pilots are registered.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "DiracInstallation",
    namespaced,
    status = "DiracInstallationStatus",
    shortname = "dirac",
    category = "dirac-all"
)]
#[serde(rename_all = "camelCase")]
pub struct DiracInstallationSpec {
    /// An installation that runs elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
    /// A simulated queue, for trying things out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<SimulatedQueue>,
    /// An installation run by this operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<Managed>,
    /// How demand is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<DemandSettings>,
}

/// Addresses and credentials of an installation that runs elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct External {
    /// The Matcher's DISET address.
    pub matcher: String,
    /// The PilotManager's DISET address.
    pub pilot_manager: String,
    /// DiracX, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diracx: Option<String>,
    /// Who the operator is, for DIRAC.
    pub credentials: DiracCredentials,
}

/// A client certificate and the DIRAC group to act as.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiracCredentials {
    /// Secret with `tls.crt`, `tls.key` and `ca.crt`.
    pub certificate_secret_ref: SecretRef,
    /// The DIRAC group, or `hosts` for a host certificate.
    pub group: String,
}

/// How demand is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DemandSettings {
    /// Time between two readings of the task queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_interval: Option<Duration>,
}

/// A seeded queue whose jobs arrive, wait, run on simulated VMs and end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedQueue {
    /// Seed of the arrivals: the same seed gives the same jobs.
    #[serde(default)]
    pub seed: u32,
    /// Streams of jobs.
    pub arrivals: Vec<Arrival>,
}

/// One stream of equal jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Arrival {
    /// VirtualOrganization object.
    pub vo: String,
    /// DIRAC group of the jobs' owner.
    pub group: String,
    /// Mean rate of arrival.
    pub jobs_per_hour: i64,
    /// CPU time a job asks for.
    pub cpu_time: Duration,
    /// How long a job really runs; absent: one minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_time: Option<Duration>,
    /// Cores a job needs; absent: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processors: Option<i64>,
    /// Tags of the jobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Arrivals end after this many jobs; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<i64>,
}

/// A whole installation run by this operator. Accepted and kept; this version does not act on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Managed {
    /// Version of DIRAC.
    pub dirac_version: String,
    /// Version of DiracX.
    pub diracx_version: String,
    /// Public host name.
    pub host: String,
    /// Everything else of a managed installation.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

/// What the operator knows of the installation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiracInstallationStatus {
    /// The generation these conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The truth about the object.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Jobs that wait in task queues, as last read.
    #[serde(default)]
    pub waiting_jobs: i64,
    /// Task queues with waiting jobs, as last read.
    #[serde(default)]
    pub task_queues: i64,
    /// When the task queues were last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_demand_time: Option<Time>,
    /// Groups of task queues that no VirtualOrganization claims, with their waiting jobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unclaimed: Vec<UnclaimedGroup>,
    /// VMs of the installation that are alive.
    #[serde(default)]
    pub vms: i64,
}

/// A group with waiting jobs that belongs to no VirtualOrganization object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnclaimedGroup {
    /// The DIRAC group.
    pub group: String,
    /// Its waiting jobs.
    pub jobs: i64,
}
