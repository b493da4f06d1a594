//! `VirtualOrganization` (`vo`): a community with groups, users, a share, limits and a budget.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, LocalRef, Price, quantity::Ceiling};

/// A virtual organisation of one DIRAC installation.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "VirtualOrganization",
    namespaced,
    status = "VirtualOrganizationStatus",
    shortname = "vo",
    category = "dirac-all"
)]
#[serde(rename_all = "camelCase")]
pub struct VirtualOrganizationSpec {
    /// The installation the VO belongs to.
    pub installation_ref: LocalRef,
    /// The VO's name in DIRAC's configuration.
    pub dirac_name: String,
    /// Where its members log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<IdentityProvider>,
    /// DIRAC groups of the VO: task queues name a group, never a VO.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Weight against other VOs when capacity is short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<i64>,
    /// What the VO may hold at once over all pools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Ceiling>,
    /// What the VO may spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// How its pilots present themselves to DIRAC.
    pub pilot: PilotIdentity,
}

/// An OpenID provider and the entitlement that makes someone a member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityProvider {
    /// Issuer URL.
    pub issuer: String,
    /// Entitlement of members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitlement: Option<String>,
}

/// A DIRAC group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// The group's name in DIRAC's registry.
    pub name: String,
    /// DIRAC properties of the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<String>,
}

/// A sum that may be spent in a sliding period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// The sum.
    pub amount: Price,
    /// ISO 4217 code of the currency.
    pub currency: String,
    /// The period.
    pub period: Duration,
}

/// The identity of the VO's pilots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PilotIdentity {
    /// A group of the VO with the property GenericPilot.
    pub group: String,
}

/// What the operator knows of the VO.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualOrganizationStatus {
    /// The generation these conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The truth about the object.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Jobs of the VO that wait in task queues.
    #[serde(default)]
    pub waiting_jobs: i64,
    /// VMs of the VO that are alive.
    #[serde(default)]
    pub vms: i64,
    /// Cores of those VMs.
    #[serde(default)]
    pub cores: i64,
}
