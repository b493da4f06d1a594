//! The servers that an installation stands on: databases, search, and the store of sandboxes. Each is run here or elsewhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HOST, one_of};
use crate::{
    SecretRef,
    rule::{only_clean, web_address},
};

const SIZE: &str = "^[1-9][0-9]{0,5}(Mi|Gi|Ti)$";

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
