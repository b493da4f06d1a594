//! `VirtualOrganization` (`vo`): a community with groups, users, a share, limits and a budget.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Duration, LocalRef, Price, condition,
    duration::between,
    quantity::Ceiling,
    rule::{only_clean, rules, web_address},
    unmet,
    unmet::UnmetDemand,
};

const GROUP_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_.-]*$";

/// A virtual organisation (VO) of one DIRAC installation: a community with groups, a share of the machines, limits and a budget. Pools and
/// sites name it in `vos`.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "VirtualOrganization",
    namespaced,
    status = "VirtualOrganizationStatus",
    shortname = "vo",
    category = "dirac-all",
    doc = "A virtual organisation of a DIRAC installation (short name `vo`): its groups, its share and limits, and the identity of its pilots.",
    selectable = ".spec.installationRef.name",
    selectable = ".spec.diracName",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(
        name = "Waiting",
        type_ = "integer",
        description = "jobs that wait in task queues",
        json_path = ".status.waitingJobs"
    ),
    printcolumn(name = "VMs", type_ = "integer", description = "VMs that are alive", json_path = ".status.vms"),
    printcolumn(name = "Cores", type_ = "integer", description = "cores of those VMs", json_path = ".status.cores"),
    printcolumn(name = "Share", type_ = "integer", json_path = ".spec.share"),
    printcolumn(
        name = "Met",
        type_ = "string",
        priority = 1,
        description = "whether every waiting job has a VM or gets one",
        json_path = ".status.conditions[?(@.type=='DemandMet')].status"
    ),
    printcolumn(
        name = "DIRAC",
        type_ = "string",
        priority = 1,
        description = "the VO's name in DIRAC",
        json_path = ".spec.diracName"
    ),
    printcolumn(name = "Installation", type_ = "string", priority = 1, json_path = ".spec.installationRef.name"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.groups.exists(g, g.name == self.pilot.group)",
     "pilot.group is not among this VO's groups: add it to groups, or name one of them"),
    ("self.groups.all(g, g.name != self.pilot.group || (has(g.properties) && 'GenericPilot' in g.properties))",
     "the group of pilot.group lacks the property GenericPilot, so DIRAC would give its pilots no jobs of others: add GenericPilot to its properties"),
    ("self.installationRef.name == oldSelf.installationRef.name",
     "installationRef cannot change, the VO's pilots are registered there: make another VirtualOrganization"),
    ("self.diracName == oldSelf.diracName",
     "diracName cannot change, jobs and pilots carry it: make another VirtualOrganization"),
])))]
pub struct VirtualOrganizationSpec {
    /// The DiracInstallation to which the VO belongs. Cannot change.
    pub installation_ref: LocalRef,
    /// The VO's name in DIRAC's configuration, for example `biomed` or `enmr.eu`. Cannot change.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub dirac_name: String,
    /// Where its members log in. Accepted and kept for managed installations, which this version does not run: the condition Supported says
    /// so. An external installation has its own way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<IdentityProvider>,
    /// DIRAC groups of the VO. A waiting job names its group, never its VO. Jobs of a group that no VO lists get no VM; the status of the
    /// installation shows them in `unclaimed`.
    #[serde(default)]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub groups: Vec<Group>,
    /// Weight against other VOs when capacity is short: a VO with 30 gets three times as much as one with 10, of the resource (cores, memory
    /// or GPUs) of which it holds the largest part. It says nothing while there is room for all, and what one VO leaves others may have.
    /// No VM is taken away for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 1))]
    pub share: Option<i64>,
    /// What the VO may hold at once over all pools and clouds. Absent: only pools, clouds and quotas limit it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Ceiling>,
    /// What the VO may spend. Accepted and kept; this version does not enforce it, which the condition Supported says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// As what its pilots act in DIRAC.
    pub pilot: PilotIdentity,
}

/// An OpenID provider and the entitlement that makes someone a member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = only_clean(&["issuer"])))]
pub struct IdentityProvider {
    /// Issuer, for example `https://aai.egi.eu/auth/realms/egi`.
    #[schemars(length(max = 512), extend("x-kubernetes-validations" = web_address()))]
    pub issuer: String,
    /// Entitlement (AARC-G002) that a member has, for example `urn:mace:egi.eu:group:biomed:role=member#aai.egi.eu`. Absent: everybody who
    /// can log in is a member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub entitlement: Option<String>,
}

/// A DIRAC group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// The group's name in DIRAC's registry, for example `biomed_user`.
    #[schemars(length(min = 1, max = 128), regex(pattern = GROUP_NAME))]
    pub name: String,
    /// DIRAC properties of the group, for example `[NormalUser]`. The group of the pilots needs `GenericPilot`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 64), regex(pattern = "^[A-Za-z][A-Za-z0-9]*$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub properties: Vec<String>,
}

/// A sum that may be spent in a sliding period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// The sum, a quoted decimal number, for example `"500"`.
    pub amount: Price,
    /// Currency of the sum and of the clouds' prices: three letters of ISO 4217, for example `EUR`.
    #[schemars(length(min = 3, max = 3), regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
    /// The period, 1h to 366d, for example `30d`. The sum counts for any time of this length, not for a calendar month.
    #[schemars(extend("x-kubernetes-validations" = between("1h", "366d")))]
    pub period: Duration,
}

/// The identity of the VO's pilots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PilotIdentity {
    /// The group as which the pilots act: one of `groups`, with the property GenericPilot, for example `biomed_pilot`.
    #[schemars(length(min = 1, max = 128), regex(pattern = GROUP_NAME))]
    pub group: String,
}

/// What the operator knows of the VO.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualOrganizationStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The truth about the object: Ready, Resolved, GroupsOwned, DemandMet, Supported. docs/conditions.md says what each reason means
    /// and what to do.
    #[serde(default)]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Vec<Condition>,
    /// Jobs of the VO that wait in task queues.
    #[serde(default)]
    pub waiting_jobs: i64,
    /// Waiting jobs of the VO that get no VM, with the reason. Jobs that no pool takes are among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "unmet::schema")]
    pub unmet: Vec<UnmetDemand>,
    /// VMs of the VO that are alive.
    #[serde(default)]
    pub vms: i64,
    /// Cores of those VMs.
    #[serde(default)]
    pub cores: i64,
}
