//! `Cloud` (`cloud`): one OpenStack project and region, one EC2 account and region, or a simulated cloud.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, LocalRef, Price, SecretRef, quantity::Ceiling};

/// A place where VMs can be bought.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "Cloud",
    namespaced,
    status = "CloudStatus",
    category = "dirac-all"
)]
#[serde(rename_all = "camelCase")]
pub struct CloudSpec {
    /// The site the cloud belongs to.
    pub site_ref: LocalRef,
    /// An OpenStack project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openstack: Option<OpenStack>,
    /// An EC2 account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ec2: Option<Ec2>,
    /// A simulated cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<SimulatedCloud>,
    /// Images by the name that pools use.
    #[serde(default)]
    pub images: BTreeMap<String, Image>,
    /// What may be held at once, below the provider's own quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Ceiling>,
    /// How fast the provider may be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<RequestRate>,
    /// Prices of flavors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<FlavorPrice>,
}

/// One OpenStack project in one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenStack {
    /// Keystone's v3 address.
    pub auth_url: String,
    /// Region of the catalogue.
    pub region: String,
    /// Endpoint interface of the catalogue; absent: public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The project; an application credential already knows its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Project>,
    /// How the project is entered.
    pub auth: OpenStackAuth,
    /// Secret with `ca.crt`, where Keystone's certificate is not signed by a public CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,
    /// Networks VMs are attached to; none: the provider decides (`auto` is not used: `none`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NamedOrId>,
    /// Security groups of the VMs' ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
    /// Availability zones that may be used, in order; none: the provider decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub availability_zones: Vec<String>,
}

/// A Keystone project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    /// Name of the project.
    pub name: String,
    /// Name of its domain.
    pub domain: String,
}

/// How an OpenStack project is entered: exactly one way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenStackAuth {
    /// A user and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<ViaSecret>,
    /// An application credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_credential: Option<ViaSecret>,
    /// An OpenID access token, as at EGI FedCloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Oidc>,
}

/// A credential kept in a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ViaSecret {
    /// The Secret: `username`, `password`, `user_domain` (default `Default`) for a password; `id`, `secret` for an application credential.
    pub secret_ref: SecretRef,
}

/// Federated login.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Oidc {
    /// Keystone's name of the identity provider.
    pub identity_provider: String,
    /// Keystone's name of the protocol.
    pub protocol: String,
    /// Issuer URL.
    pub issuer: String,
    /// Secret with `client_id`, `client_secret`, `refresh_token`.
    pub secret_ref: SecretRef,
}

/// A thing known by name or by id: exactly one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedOrId {
    /// Its name, which must be unique where it is looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A VM image, by name or id.
pub type Image = NamedOrId;

/// One EC2 account in one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ec2 {
    /// AWS region.
    pub region: String,
    /// Another endpoint than AWS's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Credentials; absent: the pod's own role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Ec2Auth>,
    /// Subnets VMs may be put in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
    /// Security groups of the VMs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
}

/// Credentials of an EC2 account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ec2Auth {
    /// Secret with `access_key_id`, `secret_access_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Role entered with the pod's service-account token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_identity: Option<WebIdentity>,
}

/// A role entered with a web identity token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebIdentity {
    /// ARN of the role.
    pub role_arn: String,
}

/// A cloud that exists only in the operator's memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedCloud {
    /// Seed of the faults.
    #[serde(default)]
    pub seed: u32,
    /// Time from creation to the pilot's first request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_time: Option<Duration>,
    /// The provider's quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Ceiling>,
    /// What can be bought.
    pub flavors: Vec<SimulatedFlavor>,
    /// What goes wrong, and how often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<SimulatedFaults>,
}

/// A flavor of a simulated cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedFlavor {
    /// Name.
    pub name: String,
    /// Cores.
    pub cores: i64,
    /// Memory in GiB.
    #[serde(rename = "ramGiB")]
    pub ram_gib: i64,
    /// GPUs.
    #[serde(default)]
    pub gpus: i64,
    /// Model of the GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<String>,
    /// Price of an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<Price>,
}

/// Probabilities of faults, 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedFaults {
    /// A create is refused for lack of capacity.
    #[serde(default)]
    pub capacity: f64,
    /// A VM never boots.
    #[serde(default)]
    pub boot_failure: f64,
    /// A create succeeds and its reply is lost.
    #[serde(default)]
    pub lost_reply: f64,
    /// Any call fails with a server error.
    #[serde(default)]
    pub transient: f64,
}

/// How fast a provider may be asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestRate {
    /// Requests a second in the long run.
    pub per_second: i64,
    /// Requests at once after a pause.
    pub burst: i64,
}

/// Price of a flavor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlavorPrice {
    /// Name of the flavor.
    pub flavor: String,
    /// Price of an hour.
    pub per_hour: Price,
}

/// What the operator knows of the cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudStatus {
    /// The generation these conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The truth about the object.
    #[serde(default)]
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
    pub limit: Ceiling,
    /// What is used of it.
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
    pub per_hour: Option<Price>,
}
