//! `Cloud` (`cloud`): one OpenStack project and region, one EC2 account and region, or a simulated cloud.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    LocalRef, condition,
    quantity::{Ceiling, Reported},
    restraint::{Reclaim, Refusal, Silent},
    rule::rules,
};
pub use crate::{
    ec2::{Ec2, Ec2Auth, WebIdentity},
    flavor::{CloudFlavor, FlavorFacts, FlavorGpus, FlavorPrice},
    openstack::{Oidc, OidcGrant, OpenStack, OpenStackAuth, Project, ViaSecret},
    reference::NamedOrId,
    simulated::{SimulatedCloud, SimulatedFaults, SimulatedFlavor},
};

/// A place where VMs can be bought: exactly one of `openstack`, `ec2` and `simulated`. That cannot change: another place is another Cloud
/// object.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "Cloud",
    namespaced,
    status = "CloudStatus",
    category = "dirac-all",
    doc = "A place where VMs can be bought: one OpenStack project and region, one EC2 account and region, or a simulated cloud. PilotPools name it.\n\nAnnotations for people, each shown in a condition while it holds. `diracgrid.org/paused: \"true\"`: no VM is made or taken away here; all is still shown. `diracgrid.org/acknowledge-orphans: \"N\"`, after the condition Frozen asked: the VMs that carry our tag and have no PilotVM may all be deleted if they are no more than N, and none of them if they are more. `diracgrid.org/acknowledge-change: \"N\"`, after the condition Frozen asked: the VMs of ours that are in doubt may all be believed gone, once the provider says so, if they are no more than N, and none of them if they are more. `diracgrid.org/let-go: \"true\"`: a Cloud that is being deleted goes at once, and the VMs that it still has are left to whoever pays for them.",
    selectable = ".spec.siteRef.name",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Site", type_ = "string", json_path = ".spec.siteRef.name"),
    printcolumn(
        name = "VMs",
        type_ = "integer",
        description = "PilotVMs that wait for their VM, boot, run or end",
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
        name = "Frozen",
        type_ = "string",
        priority = 1,
        description = "whether nothing is made or taken away here until a person says so",
        json_path = ".status.conditions[?(@.type=='Frozen')].status"
    ),
    printcolumn(
        name = "Missing",
        type_ = "integer",
        priority = 1,
        description = "VMs that the provider's lists lack and that are not proved gone",
        json_path = ".status.missing"
    ),
    printcolumn(
        name = "Orphans",
        type_ = "integer",
        priority = 1,
        description = "VMs of ours without a PilotVM, not deleted",
        json_path = ".status.orphans"
    ),
    printcolumn(
        name = "Deleted",
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
    ("!has(self.simulated) || !has(self.flavors) || size(self.flavors) == 0",
     "the flavors of a simulated cloud say their GPUs themselves: remove flavors and write gpus in simulated.flavors"),
    ("has(self.ec2) || !has(self.images) || self.images.all(name, !has(self.images[name].owner) && !has(self.images[name].parameter))",
     "owner and parameter of an image are for EC2: give the image's name or its id"),
    ("!has(self.ec2) || !has(self.images) || self.images.all(name, !has(self.images[name].id) || self.images[name].id.startsWith('ami-'))",
     "EC2's images have ids that begin with ami-: write the id of an image of the region, or its name and owner"),
])))]
pub struct CloudSpec {
    /// The Site to which the cloud belongs. Cannot change.
    pub site_ref: LocalRef,
    /// An OpenStack project in one region, with Nova of Rocky (2018) or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openstack: Option<OpenStack>,
    /// An EC2 account in one region, of AWS or of another provider with the API of EC2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ec2: Option<Ec2>,
    /// A cloud that exists only in the operator's memory. Its VMs cost nothing, and it can have faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<SimulatedCloud>,
    /// Images, by the name under which pools ask for them in machine.image, for example `default: {name: EL9-pilot}` or, on EC2,
    /// `default: {id: ami-0123456789abcdef0}`. So one pool can use clouds whose images have different names.
    #[serde(default)]
    #[schemars(
        extend("maxProperties" = 64),
        extend("x-kubernetes-validations" = rules(&[
            ("self.all(name, size(name) >= 1 && size(name) <= 63)", "the name of an image in this list has 1 to 63 characters, for example default or gpu"),
        ]))
    )]
    pub images: BTreeMap<String, Image>,
    /// What all pools together may hold here at once, for example `{vms: 200, cores: 1600}`. The provider's own quota counts too: the
    /// smaller one holds. Set it to leave room for others in the same project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Ceiling>,
    /// How many requests the provider may get, from all pools together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = json!({ "perSecond": 10, "burst": 20 })))]
    pub requests: Option<RequestRate>,
    /// Currency of the prices: three letters of ISO 4217, for example `CHF`. Absent: USD for EC2; else that of the VOs' budgets, where all of
    /// them that are in money name the same one. Nothing is converted: a VO whose budget is in another currency buys nothing here that has a
    /// price, and prices that the provider says in another currency are not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 3), regex(pattern = "^[A-Z]{3}$"))]
    pub currency: Option<String>,
    /// Prices of an hour of each flavor, in `currency`. EC2 says today's prices of Spot VMs by itself; those of VMs on demand are written here. Of the flavors that a pool takes, the one that is cheapest for
    /// each core that the waiting jobs use is bought first; flavors without a price come last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["flavor"]))]
    pub prices: Vec<FlavorPrice>,
    /// What the provider's own properties do not say of a flavor, or say wrongly, by the flavor's name. What is given here takes the place
    /// of what the provider says. `flavors` in the status shows the outcome.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub flavors: Vec<FlavorFacts>,
}

/// A VM image at the provider: exactly one of `name`, `id` and `parameter` says which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("[has(self.name), has(self.id), has(self.parameter)].filter(given, given).size() == 1",
     "say which image: give its name or its id (or, on EC2, a parameter of SSM that has its id), and only one of them"),
    ("!has(self.owner) || has(self.name)", "owner says whose image of that name: give name, or remove owner"),
])))]
pub struct Image {
    /// Its name. OpenStack: it must be unique, and follows when the site replaces the image. EC2: the newest image of that name counts, and
    /// `*` stands for any text, for example `dirac-pilot-*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub name: Option<String>,
    /// Its id at the provider, which never means another image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub id: Option<String>,
    /// EC2: whose image of that name, an account's number or `amazon`, `aws-marketplace` or `self`. Absent: `self`, the account's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^([0-9]{12}|amazon|aws-marketplace|self)$"))]
    pub owner: Option<String>,
    /// EC2: name of a parameter of SSM that has the image's id, for example `/dirac/pilot/image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1_011), regex(pattern = "^[A-Za-z0-9_./-]+$"))]
    pub parameter: Option<String>,
}

/// How many requests a provider may get.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.burst >= self.perSecond", "burst is smaller than perSecond, so perSecond is never reached: raise burst or lower perSecond"),
])))]
pub struct RequestRate {
    /// Requests per second in the long run. Lower it when the provider answers 429 (too many requests), or when its administrators complain.
    #[serde(default = "per_second")]
    #[schemars(range(min = 1, max = 1000))]
    pub per_second: i64,
    /// Requests that may be sent at once after a pause; at least perSecond.
    #[serde(default = "burst")]
    #[schemars(range(min = 1, max = 10_000))]
    pub burst: i64,
}

impl CloudSpec {
    /// Names of the Secrets without which the cloud cannot be entered.
    pub fn secrets(&self) -> BTreeSet<String> {
        let keys =
            self.ec2.iter().filter_map(|ec2| ec2.auth.as_ref()?.secret_ref.as_ref()).map(|secret| secret.name.clone());
        let Some(openstack) = &self.openstack else { return keys.collect() };
        let auth = &openstack.auth;
        let application = auth.application_credential.as_ref().map(|via| &via.secret_ref);
        let password = auth.password.as_ref().map(|via| &via.secret_ref);
        application
            .into_iter()
            .chain(password)
            .chain(auth.oidc.as_ref().map(|oidc| &oidc.secret_ref))
            .chain(&openstack.ca_secret_ref)
            .map(|secret| secret.name.clone())
            .collect()
    }
}

fn per_second() -> i64 {
    10
}
fn burst() -> i64 {
    20
}

/// What the operator knows of the cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The truth about the object: Ready, Resolved, Reachable, CredentialValid, Supported, Listed, Frozen, Paused.
    /// docs/conditions.md says what each reason means and what to do.
    #[serde(default)]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Vec<Condition>,
    /// The provider's quota, and what everybody in the project uses of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<CloudQuota>,
    /// Flavors that pools may buy here, at most 200 of them in the order of their names; every flavor while no pool names the cloud.
    /// Absent until the provider was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flavors: Vec<CloudFlavor>,
    /// Images found: the provider's id, by the name that pools use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    /// When the credential ends, where the provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_expires: Option<Time>,
    /// Id of the project or account that the credential opens: our VMs live there. A credential that opens another one is refused
    /// while there are PilotVMs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// PilotVMs of the cloud: those that wait for their VM, and VMs that boot, run or end.
    #[serde(default)]
    pub vms: i64,
    /// Cores of these PilotVMs.
    #[serde(default)]
    pub cores: i64,
    /// VMs of ours that the provider's lists lack and that nobody has proved gone: the provider is asked for each of them by its id.
    /// They count as alive, and the condition Listed names them. More than a few: the condition Frozen says what to do.
    #[serde(default)]
    pub missing: i64,
    /// VMs seen at the provider that carry our tag, have no PilotVM and are not deleted, for example because they are too young, or
    /// because there are too many, so that a person is asked: the condition Frozen says what to do.
    #[serde(default)]
    pub orphans: i64,
    /// VMs that carried our tag, had no PilotVM and were deleted since the operator started.
    #[serde(default)]
    pub orphans_deleted: i64,
    /// What the provider refuses at present: no VM is ordered of it but one that tries now and then. Kept over restarts of the operator. At
    /// most 32 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    /// What was bought here and does not come up: the pilots of the last VMs never asked for work, and one VM tries now and then. Their
    /// console logs say why. Kept over restarts of the operator. At most 32 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent: Vec<Silent>,
    /// What the provider took back lately: the more, the dearer the offering counts when VMs are bought. It fades, and is kept over restarts of
    /// the operator. At most 32 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reclaims: Vec<Reclaim>,
    /// Secrets that the operator keeps by the finalizer diracgrid.org/in-use while VMs can be deleted only with them: those that the spec
    /// names, and earlier ones that are not let go yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
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
