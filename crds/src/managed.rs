//! `managed` of a DiracInstallation: what a whole installation run here is made of. Accepted and kept; not acted on yet.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    SecretRef,
    reference::DNS_SUBDOMAIN,
    rule::{only_clean, rules, web_address},
};

const VERSION: &str = "^[0-9]+[.][0-9]+[.][0-9]+([-.+]?[A-Za-z0-9.]+)?$";
const HOST: &str = "^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$";
const SIZE: &str = "^[1-9][0-9]{0,5}(Mi|Gi|Ti)$";

/// A whole installation run by this operator. Accepted and kept; this version does not act on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Managed {
    /// Version of DIRAC, for example `9.1.22`. Raise it to upgrade.
    #[schemars(length(max = 32), regex(pattern = VERSION))]
    pub dirac_version: String,
    /// Version of DiracX, for example `0.7.0`. DIRAC's release notes say which versions fit together.
    #[schemars(length(max = 32), regex(pattern = VERSION))]
    pub diracx_version: String,
    /// Public host name under which users and pilots reach the installation, for example `dirac.example.org`.
    #[schemars(length(min = 1, max = 253), regex(pattern = HOST))]
    pub host: String,
    /// The host certificate of the services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The MariaDB or MySQL server of DIRAC's databases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    /// The OpenSearch server of job parameters and monitoring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// The S3 store of sandboxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_store: Option<ObjectStore>,
    /// Which DIRAC components run, and how many instances of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<Components>,
    /// Whether DIRAC's web portal runs. Absent: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<Web>,
    /// Sections and options merged into DIRAC's configuration: anything that the other objects do not say, for example
    /// `Operations: {Defaults: {Pilot: {CheckVersion: "False"}}}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "free_form")]
    pub configuration: BTreeMap<String, serde_json::Value>,
    /// When and where databases and configuration are saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// How a new version is brought in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
    /// How the services are reached from outside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
}

fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
            "description": "An amount with a Kubernetes unit, for example `500m`, `2` or `512Mi`.",
        },
    })
}

fn one_of(first: &str, second: &str) -> serde_json::Value {
    let rule = format!("has(self.{first}) != has(self.{second})");
    rules(&[(&rule, &format!("give exactly one of {first} and {second}"))])
}

/// A host certificate: given, or issued by cert-manager.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = one_of("secretRef", "issuerRef")))]
pub struct Tls {
    /// Secret with `tls.crt`, `tls.key` and `ca.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// A cert-manager issuer that signs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
}

/// A cert-manager issuer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IssuerRef {
    /// Name (metadata.name) of the Issuer or ClusterIssuer.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
    /// `Issuer` (of this namespace) or `ClusterIssuer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Issuer", "enum" = ["Issuer", "ClusterIssuer"]))]
    pub kind: Option<String>,
}

/// Space for a server that this operator runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Storage {
    /// Size of the volume with unit Mi, Gi or Ti, for example `20Gi`. It can grow later, never shrink.
    #[schemars(length(max = 16), regex(pattern = SIZE))]
    pub storage: String,
}

/// A database server, run here or elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = one_of("managed", "external")))]
pub struct Database {
    /// Run by this operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<Storage>,
    /// Run elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalDatabase>,
}

/// A database server that runs elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDatabase {
    /// Host name or address of the server, without a port, for example `db.example.org`.
    #[schemars(length(min = 1, max = 253), regex(pattern = HOST))]
    pub host: String,
    /// TCP port of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535), extend("default" = 3306))]
    pub port: Option<i64>,
    /// Secret with `username` and `password` of a user that may create databases and users.
    pub admin_secret_ref: SecretRef,
}

/// An OpenSearch server, run here or elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = one_of("managed", "external")))]
pub struct Search {
    /// Run by this operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<Storage>,
    /// Run elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalSearch>,
}

/// An OpenSearch server that runs elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = only_clean(&["url"])))]
pub struct ExternalSearch {
    /// Address of the server with its port, for example `https://search.example.org:9200`.
    #[schemars(length(max = 512), extend("x-kubernetes-validations" = web_address()))]
    pub url: String,
    /// Secret with `username` and `password`.
    pub secret_ref: SecretRef,
}

/// An S3 store, run here or elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = one_of("managed", "external")))]
pub struct ObjectStore {
    /// Run by this operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<Storage>,
    /// Run elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<Bucket>,
}

/// A bucket of an S3 store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = only_clean(&["endpoint"])))]
pub struct Bucket {
    /// Address of the store, for example `https://s3.example.org`.
    #[schemars(length(max = 512), extend("x-kubernetes-validations" = web_address()))]
    pub endpoint: String,
    /// Name of the bucket, for example `sandboxes`.
    #[schemars(length(min = 3, max = 63))]
    pub bucket: String,
    /// Secret with `access_key_id` and `secret_access_key`.
    pub secret_ref: SecretRef,
}

/// Which DIRAC components run: a profile, and what differs from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Components {
    /// `workload`: what is needed to submit, match, run and watch jobs. `full`: also data, transformations, productions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "workload", "enum" = ["workload", "full"]))]
    pub profile: Option<String>,
    /// Components that differ from the profile, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub overrides: Vec<ComponentOverride>,
}

/// One component that differs from the profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentOverride {
    /// System and component, for example `WorkloadManagement/Matcher`.
    #[schemars(length(max = 128), regex(pattern = "^[A-Za-z]+/[A-Za-z]+$"))]
    pub name: String,
    /// Whether it runs. Absent: what the profile says; naming a component here runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Number of instances. Executors and agents that must run alone run once, whatever is written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub replicas: Option<i64>,
    /// CPU and memory of each instance, as for any container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// An amount as Kubernetes writes it: a whole number, or a text with a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Amount {
    /// In the basic unit: cores, or bytes.
    Number(i64),
    /// With a unit, for example `500m` or `512Mi`.
    Text(String),
}

/// CPU and memory of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// What is set aside for it, for example `{cpu: 500m, memory: 512Mi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities")]
    pub requests: BTreeMap<String, Amount>,
    /// The most that it may use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities")]
    pub limits: BTreeMap<String, Amount>,
}

/// DIRAC's web portal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Web {
    /// Whether it runs.
    #[serde(default)]
    pub enabled: bool,
}

/// When and where things are saved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Backup {
    /// Times in the five fields of cron, in UTC, for example `0 3 * * *`: every night at three.
    #[schemars(length(max = 64), regex(pattern = "^[-0-9*,/A-Za-z]+( [-0-9*,/A-Za-z]+){4}$"))]
    pub schedule: String,
    /// Number of backups that are kept. The oldest is deleted first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000), extend("default" = 7))]
    pub keep: Option<i64>,
    /// Where they are kept.
    pub target: BackupTarget,
}

/// Where backups are kept: a bucket of an S3 store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackupTarget {
    /// The bucket that takes the backups.
    pub s3: Bucket,
}

/// How a new version is brought in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// `Rolling`: one component after the other, and the service goes on. `Recreate`: everything stops first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Rolling", "enum" = ["Rolling", "Recreate"]))]
    pub strategy: Option<String>,
    /// Whether a backup is made and checked before anything changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = json!(true)))]
    pub backup_first: Option<bool>,
}

/// How the services are reached from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = one_of("gateway", "ingress")))]
pub struct Exposure {
    /// By the Gateway API. DISET ports get a service of type LoadBalancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Class>,
    /// By an Ingress. DISET ports get a service of type LoadBalancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Class>,
}

/// The class of a gateway or ingress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Class {
    /// Name of the GatewayClass or IngressClass, for example `envoy` or `nginx`.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub class_name: String,
}
