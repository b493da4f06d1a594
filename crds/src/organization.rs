//! `VirtualOrganization` (`vo`): a community with groups, users, a share, limits and a budget.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
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

/// A virtual organisation (VO) of one DIRAC installation: a community with groups, a share of the VMs, limits and a budget. Pools and
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
    printcolumn(
        name = "VMs",
        type_ = "integer",
        description = "PilotVMs that wait for their VM, boot, run or end",
        json_path = ".status.vms"
    ),
    printcolumn(name = "Cores", type_ = "integer", description = "cores of those VMs", json_path = ".status.cores"),
    printcolumn(name = "Share", type_ = "integer", json_path = ".spec.share"),
    printcolumn(
        name = "Spent",
        type_ = "string",
        description = "of the budget, within the period that ends now",
        json_path = ".status.budget.spent"
    ),
    printcolumn(
        name = "Left",
        type_ = "string",
        description = "of the budget, for VMs that are not made yet",
        json_path = ".status.budget.left"
    ),
    printcolumn(
        name = "Ends",
        type_ = "string",
        description = "when the budget is spent if the VMs that are there go on",
        json_path = ".status.budget.ends"
    ),
    printcolumn(
        name = "Reserved",
        type_ = "string",
        priority = 1,
        description = "of the budget, for VMs that are there",
        json_path = ".status.budget.reserved"
    ),
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
    /// Where its members log in. Accepted and kept for managed installations, in which this version does not act on it: the condition Supported says
    /// so. An external installation has its own way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<IdentityProvider>,
    /// DIRAC groups of the VO. A waiting job names its group, never its VO. Jobs of a group that no VO lists get no VM; the status of the
    /// installation shows them in `unclaimed`.
    #[serde(default)]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub groups: Vec<Group>,
    /// Weight against other VOs when capacity is short: a VO with 30 gets three times as much as one with 10, of the resource (cores, memory
    /// or GPUs) of which it holds the largest part. What it held lately counts too, and half of it after each hour, so that who waited comes
    /// first. It says nothing while there is room for all, and what one VO leaves others may have. No VM is taken away for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 1))]
    pub share: Option<i64>,
    /// What the VO may hold at once over all pools and clouds. Absent: only pools, clouds and quotas limit it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Ceiling>,
    /// What the VO may spend. Before a VM is made, what it will cost is reserved, for the time that VMs of its pool live on average; when it
    /// is gone, what it did cost takes the place of that. What does not fit any more is not bought, and the jobs wait. VMs that are there are not
    /// taken away, so the sum can be passed by what they cost beyond what was reserved. Absent: no sum is counted.
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

/// A DIRAC group of the VO, with its properties.
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

/// What may be spent in a sliding period: money (`amount` and `currency`) or core-hours (`coreHours`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("has(self.amount) != has(self.coreHours)",
     "a budget counts one thing: give amount, with a currency, or coreHours"),
    ("!has(self.amount) || has(self.currency)",
     "an amount needs its currency: add currency, three letters of ISO 4217, for example EUR"),
    ("!has(self.coreHours) || !has(self.currency)",
     "core-hours have no currency: remove currency, or give an amount instead of coreHours"),
])))]
pub struct Budget {
    /// A sum of money, a quoted decimal number, for example `"500"`. Give either this or `coreHours`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Price>,
    /// Currency of the sum: three letters of ISO 4217, for example `EUR`. Prices of Clouds that name no currency of their own are taken to
    /// be in it, as long as no budget beside this one names another. Nothing is converted: what has its price in another currency is
    /// not bought for this VO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 3), regex(pattern = "^[A-Z]{3}$"))]
    pub currency: Option<String>,
    /// A number of core-hours, for example 50000, whatever they cost: one core of a VM for one hour, with a job or without. Give either
    /// this or `amount`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub core_hours: Option<i64>,
    /// The period, 1h to 366d, for example `30d`. The sum counts for any time of this length, not for a calendar month.
    #[schemars(extend("x-kubernetes-validations" = between("1h", "366d")))]
    pub period: Duration,
    /// What becomes of flavors without a price, where the budget is a sum of money. `NotBought`: they are not bought for this VO.
    /// `Free`: they are bought as if they cost nothing, for example the machines of the VO's own site.
    #[serde(default)]
    pub without_price: WithoutPrice,
}

/// What becomes of flavors without a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WithoutPrice {
    /// They are not bought for this VO.
    #[default]
    NotBought,
    /// They are bought as if they cost nothing.
    Free,
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
    /// The truth about the object: Ready, Resolved, GroupsOwned, DemandMet, Funded, Supported. docs/conditions.md says what each reason means
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
    /// PilotVMs of the VO: those that wait for their VM, and VMs that boot, run or end.
    #[serde(default)]
    pub vms: i64,
    /// Cores of these PilotVMs.
    #[serde(default)]
    pub cores: i64,
    /// What its VMs held on average lately: half of what was held counts no more after one hour. Fair shares go by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
    /// What of the budget is spent, reserved and left. Absent: the spec has no budget, or nothing was counted yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetStatus>,
}

/// What VMs held on average, rounded down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Used {
    /// Cores that the VMs held.
    pub cores: i64,
    /// Memory that the VMs held, in GiB.
    #[serde(rename = "ramGiB")]
    pub ram_gib: i64,
    /// GPUs that the VMs held.
    pub gpus: i64,
}

/// How a budget stands: amounts with their unit, for example `12.50 EUR` or `340.0 core-hours`. It is brought up to date once a minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetStatus {
    /// Spent within the period that ends now.
    pub spent: String,
    /// Reserved for VMs that are there, beyond what they have cost so far.
    pub reserved: String,
    /// What may still be reserved for new VMs.
    pub left: String,
    /// When the sum is spent if the VMs that are there go on. Absent: not within a period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Time>,
    /// The operator's own account, from which it goes on after a restart. When it is removed, what was spent before is forgotten.
    pub ledger: Ledger,
}

/// What was spent, in the smallest part of the unit: a millionth of the currency, or a core-second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// The currency; absent: core-hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The moment of which it speaks, in seconds since 1970.
    pub at: i64,
    /// What the VMs that were there had cost until then.
    pub accrued: i64,
    /// Length of a part of the period, in seconds.
    pub step: i64,
    /// The number of the first part, counted from 1970.
    pub first: i64,
    /// What VMs that were gone had cost, in that part and those after it.
    #[schemars(length(max = 128))]
    pub sums: Vec<i64>,
}
