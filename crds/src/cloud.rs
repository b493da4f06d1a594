//! `Cloud` (`cloud`): one OpenStack project and region, one EC2 account and region, or a simulated cloud.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    LocalRef, Price, condition,
    quantity::{Ceiling, Reported},
    rule::rules,
};
pub use crate::{
    ec2::{Ec2, Ec2Auth, WebIdentity},
    openstack::{Oidc, OpenStack, OpenStackAuth, Project, ViaSecret},
    simulated::{SimulatedCloud, SimulatedFaults, SimulatedFlavor},
};

/// A place where VMs can be bought: exactly one of `openstack`, `ec2` and `simulated`, for good. Another place is another
/// Cloud object.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "Cloud",
    namespaced,
    status = "CloudStatus",
    category = "dirac-all",
    doc = "A place where VMs can be bought: one OpenStack project and region, one EC2 account and region, or a simulated cloud. PilotPools name it.",
    selectable = ".spec.siteRef.name",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Site", type_ = "string", json_path = ".spec.siteRef.name"),
    printcolumn(
        name = "VMs",
        type_ = "integer",
        description = "VMs of ours that are alive",
        json_path = ".status.vms"
    ),
    printcolumn(name = "Cores", type_ = "integer", description = "cores of those VMs", json_path = ".status.cores"),
    printcolumn(
        name = "Quota",
        type_ = "integer",
        description = "cores that the provider allows",
        json_path = ".status.quota.limit.cores"
    ),
    printcolumn(
        name = "Used",
        type_ = "integer",
        priority = 1,
        description = "cores used by everybody in the project",
        json_path = ".status.quota.used.cores"
    ),
    printcolumn(
        name = "Orphans",
        type_ = "integer",
        priority = 1,
        description = "orphans deleted since the operator started",
        json_path = ".status.orphansDeleted"
    ),
    printcolumn(
        name = "Expires",
        type_ = "string",
        priority = 1,
        description = "when the credential ends",
        json_path = ".status.credentialExpires"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("has(self.openstack) || has(self.ec2) || has(self.simulated)",
     "say what cloud it is: give exactly one of openstack, ec2 and simulated"),
    ("[has(self.openstack), has(self.ec2), has(self.simulated)].filter(given, given).size() <= 1",
     "a Cloud is one place: keep one of openstack, ec2 and simulated, and make another Cloud for the other"),
    ("has(self.openstack) == has(oldSelf.openstack) && has(self.ec2) == has(oldSelf.ec2) && has(self.simulated) == has(oldSelf.simulated)",
     "the provider of a Cloud cannot change, its VMs would be forgotten: make another Cloud"),
    ("self.siteRef.name == oldSelf.siteRef.name",
     "siteRef cannot change, pilots carry the site's name: make another Cloud"),
    ("!has(self.ec2) || !has(self.images) || self.images.all(name, has(self.images[name].id))",
     "EC2 knows images by id: write id: ami-... instead of a name"),
])))]
pub struct CloudSpec {
    /// The Site the cloud belongs to. Cannot change.
    pub site_ref: LocalRef,
    /// An OpenStack project in one region, with Nova of Rocky (2018) or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openstack: Option<OpenStack>,
    /// An EC2 account in one region. Accepted and kept; this version does not act on it, which the condition Supported says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ec2: Option<Ec2>,
    /// A cloud that exists only in the operator's memory: VMs that cost nothing, with faults on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<SimulatedCloud>,
    /// Images, by the name under which pools ask for them in machine.image: `default: {name: EL9-pilot}`. So one pool fits
    /// clouds whose images are called differently.
    #[serde(default)]
    #[schemars(
        extend("maxProperties" = 64),
        extend("x-kubernetes-validations" = rules(&[
            ("self.all(name, size(name) >= 1 && size(name) <= 63)", "the name of an image in this list has 1 to 63 characters, as in default or gpu"),
        ]))
    )]
    pub images: BTreeMap<String, Image>,
    /// What may be held at once here by all pools together, as in `{vms: 200, cores: 1600}`. The provider's own quota is read
    /// too; whichever is smaller holds. Set it to leave room for others in the same project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Ceiling>,
    /// How fast the provider may be asked, over all pools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = json!({ "perSecond": 10, "burst": 20 })))]
    pub requests: Option<RequestRate>,
    /// Prices of flavors, an hour, in the currency of the VOs' budgets. Of flavors that
    /// fulfil a pool's requirements the cheapest a core is bought, and one without a price comes last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["flavor"]))]
    pub prices: Vec<FlavorPrice>,
}

/// A thing known by name or by id: exactly one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("has(self.name) || has(self.id)", "say which: give its name or its id"),
    ("!has(self.name) || !has(self.id)", "give its name or its id, not both: they might not agree"),
])))]
pub struct NamedOrId {
    /// Its name, which must be unique where it is looked up. A name follows when the site replaces the thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub name: Option<String>,
    /// Its id at the provider, which never means another thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub id: Option<String>,
}

/// A VM image, by name or id.
pub type Image = NamedOrId;

/// How fast a provider may be asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.burst >= self.perSecond", "burst is smaller than perSecond, so perSecond is never reached: raise burst or lower perSecond"),
])))]
pub struct RequestRate {
    /// Requests a second in the long run. Lower it when the provider answers 429 or its administrators complain.
    #[serde(default = "per_second")]
    #[schemars(range(min = 1, max = 1000))]
    pub per_second: i64,
    /// Requests that may go out at once after a pause; at least perSecond.
    #[serde(default = "burst")]
    #[schemars(range(min = 1, max = 10_000))]
    pub burst: i64,
}

fn per_second() -> i64 {
    10
}
fn burst() -> i64 {
    20
}

/// Price of a flavor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlavorPrice {
    /// Name of the flavor at the provider, as in `m1.large`.
    #[schemars(length(min = 1, max = 255))]
    pub flavor: String,
    /// Price of an hour, a quoted decimal number, as in `"0.05"`.
    pub per_hour: Price,
}

/// What the operator knows of the cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The truth about the object: Ready, Resolved, Reachable, CredentialValid, Supported.
    #[serde(default)]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Vec<Condition>,
    /// The provider's quota and what is used of it, by everybody in the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<CloudQuota>,
    /// Flavors found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flavors: Vec<CloudFlavor>,
    /// Images found: the pools' name for it, and the provider's id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    /// When the credential ends, where the provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_expires: Option<Time>,
    /// Id of the project or account that the credential opens: our VMs live there. A credential that opens another one is refused
    /// while there are PilotVMs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// VMs of ours that are alive.
    #[serde(default)]
    pub vms: i64,
    /// Cores of those VMs.
    #[serde(default)]
    pub cores: i64,
    /// VMs that carried our tag, had no PilotVM and were deleted since the operator started.
    #[serde(default)]
    pub orphans_deleted: i64,
}

/// The provider's quota and its use; absent numbers are unlimited or unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CloudQuota {
    /// What the provider allows.
    #[schemars(with = "Reported")]
    pub limit: Ceiling,
    /// What is used of it, by everybody in the project.
    #[schemars(with = "Reported")]
    pub used: Ceiling,
}

/// A flavor of the provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudFlavor {
    /// Name.
    pub name: String,
    /// Cores.
    pub cores: i64,
    /// Memory in MiB.
    #[serde(rename = "ramMiB")]
    pub ram_mib: i64,
    /// GPUs.
    #[serde(default)]
    pub gpus: i64,
    /// Price of an hour, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub per_hour: Option<Price>,
}
