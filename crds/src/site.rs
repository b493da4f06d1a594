//! `Site` (`site`): a DIRAC site, the VOs it serves and its computing elements.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Duration, LocalRef, condition,
    duration::between,
    quantity::Ceiling,
    reference::DNS_LABEL,
    rule::{WORD, rules},
};

/// A DIRAC site: its name in DIRAC, the VOs that it serves and its computing elements.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "Site",
    namespaced,
    status = "SiteStatus",
    category = "dirac-all",
    doc = "A DIRAC site: its name in DIRAC, the VOs it serves and its computing elements. Clouds and PilotPools name it.",
    selectable = ".spec.installationRef.name",
    selectable = ".spec.diracName",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(
        name = "DIRAC",
        type_ = "string",
        description = "the site's name in DIRAC",
        json_path = ".spec.diracName"
    ),
    printcolumn(name = "Clouds", type_ = "integer", json_path = ".status.clouds"),
    printcolumn(name = "Pools", type_ = "integer", json_path = ".status.pools"),
    printcolumn(
        name = "VMs",
        type_ = "integer",
        description = "PilotVMs that wait for their VM, boot, run or end",
        json_path = ".status.vms"
    ),
    printcolumn(name = "GOCDB", type_ = "string", priority = 1, json_path = ".spec.gocdbName"),
    printcolumn(name = "Installation", type_ = "string", priority = 1, json_path = ".spec.installationRef.name"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.installationRef.name == oldSelf.installationRef.name",
     "installationRef cannot change, the site's pilots are registered there: make another Site"),
    ("self.diracName == oldSelf.diracName", "diracName cannot change, pilots and jobs carry it: make another Site"),
])))]
pub struct SiteSpec {
    /// The DiracInstallation to which the site belongs. Cannot change.
    pub installation_ref: LocalRef,
    /// The site's name in DIRAC: kind of grid, name and country, for example `CLOUD.CPPM.fr`. Jobs ask for a site, or ban it, by this name.
    /// Cannot change.
    #[schemars(length(max = 128), extend("x-kubernetes-validations" = rules(&[(
        "self.matches('^[A-Za-z0-9]+[.][A-Za-z0-9_-]+[.][a-z]{2,8}$')",
        "write DIRAC's name of the site: three parts with points between, grid, name and country, for example CLOUD.CPPM.fr",
    )])))]
    pub dirac_name: String,
    /// The site's name in GOCDB, for example `IN2P3-CPPM`. Its downtimes there become Downtime objects. Accepted and kept; this
    /// version does not read GOCDB. Absent: the site is not in GOCDB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub gocdb_name: Option<String>,
    /// Names of the VirtualOrganization objects that the site serves. A pool of the site serves a VO only if both lists name it.
    #[schemars(
        length(min = 1, max = 128),
        inner(length(min = 1, max = 63), regex(pattern = DNS_LABEL)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub vos: Vec<String>,
    /// What the VMs of all pools of the site may hold at once, over all its clouds, for example `{cores: 800}`. Absent: only pools, VOs,
    /// clouds and quotas limit it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Ceiling>,
    /// Computing elements that exist already (HTCondorCE, ARC, SSH, Slurm) and are to be published to DIRAC. Those of clouds come from the
    /// pools and are not listed here. Accepted and kept; this version does not publish them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub computing_elements: Vec<ComputingElement>,
}

/// A computing element (CE) that is not a cloud, and that DIRAC reaches by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComputingElement {
    /// Host name of the CE, for example `htc01.example.org`.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$"))]
    pub name: String,
    /// DIRAC's type of the CE: HTCondorCE, AREX, SSH or Slurm.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["HTCondorCE", "AREX", "SSH", "Slurm"]))]
    pub type_: String,
    /// The CE's queues, by name.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub queues: Vec<Queue>,
}

/// A queue of a computing element.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// Name of the queue at the CE, for example `condor`.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// The longest CPU time of a job, 1m to 60d, for example `72h`.
    #[schemars(extend("x-kubernetes-validations" = between("1m", "60d")))]
    pub max_cpu_time: Duration,
    /// Cores that a pilot gets. Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub processors: Option<i64>,
    /// Tags that the queue offers, for example `[GPU]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 64), regex(pattern = WORD)), extend("x-kubernetes-list-type" = "set"))]
    pub tags: Vec<String>,
}

/// What the operator knows of the site.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SiteStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The truth about the object: Ready, Resolved, Supported.
    #[serde(default)]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Vec<Condition>,
    /// Number of Cloud objects whose siteRef names the site.
    #[serde(default)]
    pub clouds: i64,
    /// Number of PilotPool objects whose siteRef names the site.
    #[serde(default)]
    pub pools: i64,
    /// PilotVMs of these pools: those that wait for their VM, and VMs that boot, run or end.
    #[serde(default)]
    pub vms: i64,
}
