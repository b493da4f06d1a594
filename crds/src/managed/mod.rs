//! `managed` of a DiracInstallation: what a whole installation run here is made of.

mod components;
mod servers;
mod status;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use components::{Amount, ComponentOverride, Components, Resources};
pub use servers::{Bucket, Database, ExternalDatabase, ExternalSearch, ObjectStore, Search, Storage};
pub use status::Part;

use crate::{SecretRef, reference::DNS_SUBDOMAIN, rule::rules};

const VERSION: &str = "^[0-9]+[.][0-9]+[.][0-9]+([-.+]?[A-Za-z0-9.]+)?$";
const HOST: &str = "^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$";

/// A whole installation run by this operator, in pods of the object's namespace. An operator that was started without `--managed` (the
/// chart's `managed.enabled`) leaves it alone and says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = unchanging()))]
pub struct Managed {
    /// Version of DIRAC, for example `9.1.22`. Cannot change in this version of the operator, which makes no upgrade: databases and the
    /// configuration would stay as they are.
    #[schemars(length(max = 32), regex(pattern = VERSION))]
    pub dirac_version: String,
    /// Version of DiracX, for example `0.7.0`. DIRAC's release notes say which versions fit together. Cannot change either.
    #[schemars(length(max = 32), regex(pattern = VERSION))]
    pub diracx_version: String,
    /// Public host name under which users and pilots reach the installation, for example `dirac.example.org`. Cannot change: users, pilots
    /// and DIRAC's configuration have it.
    #[schemars(length(min = 1, max = 253), regex(pattern = HOST))]
    pub host: String,
    /// The host certificate of the services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The authorities that sign the certificates of users, pilots and other hosts. Absent: only those whose certificates `ca.crt` of the
    /// host certificate's Secret has are known, and of an installation with an authority of its own that is nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<Authorities>,
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
    /// What becomes of volumes and keys when the object is deleted. `Keep`: they stay, and an object of the same name goes on with them.
    /// `Delete`: they are deleted too, and with them all jobs, sandboxes and the configuration. Cannot change.
    #[serde(default, skip_serializing_if = "is_keep")]
    pub deletion_policy: DeletionPolicy,
}

impl Managed {
    /// The database server, where it runs elsewhere.
    pub fn external_database(&self) -> Option<&ExternalDatabase> {
        self.database.as_ref()?.external.as_ref()
    }

    /// The bucket of the sandboxes, where its store runs elsewhere.
    pub fn external_store(&self) -> Option<&Bucket> {
        self.object_store.as_ref()?.external.as_ref()
    }

    /// Whether nothing is left when the object is deleted.
    pub fn is_all_deleted(&self) -> bool {
        self.deletion_policy == DeletionPolicy::Delete
    }
}

/// What becomes of volumes and keys when the object is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// They stay.
    #[default]
    Keep,
    /// They are deleted.
    Delete,
}

fn is_keep(policy: &DeletionPolicy) -> bool {
    *policy == DeletionPolicy::Keep
}

/// What an installation has once it is made, and what would cut it off from its data or its users.
fn unchanging() -> serde_json::Value {
    let policy = |of: &str| format!("(has({of}.deletionPolicy) ? {of}.deletionPolicy : 'Keep')");
    let is_elsewhere = |of: &str, store: &str| format!("(has({of}.{store}) && has({of}.{store}.external))");
    let same = |store: &str| format!("{} == {}", is_elsewhere("self", store), is_elsewhere("oldSelf", store));
    rules(&[
        (
            "self.diracVersion == oldSelf.diracVersion && self.diracxVersion == oldSelf.diracxVersion",
            "this version of the operator makes no upgrade: diracVersion and diracxVersion cannot change",
        ),
        ("self.host == oldSelf.host", "host cannot change: users, pilots and DIRAC's configuration have it"),
        (
            &format!("{} == {}", policy("self"), policy("oldSelf")),
            "deletionPolicy cannot change: volumes and keys were made with it",
        ),
        (&same("database"), "database cannot change between managed and external: the data would stay behind"),
        (
            &same("objectStore"),
            "objectStore cannot change between managed and external: the sandboxes would stay behind",
        ),
    ])
}

fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
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

/// Certificates of authorities.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authorities {
    /// ConfigMap whose values are certificates in PEM form, one or more in each, under any keys.
    pub config_map_ref: ConfigMapRef,
}

/// A ConfigMap in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapRef {
    /// Name (metadata.name) of the ConfigMap.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
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
