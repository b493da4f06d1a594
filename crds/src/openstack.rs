//! `openstack` of a Cloud: one project in one region, how it is entered, and what its VMs are attached to.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::{
    SecretRef,
    cloud::NamedOrId,
    reference::refuse_inline,
    rule::{no_secret_in, no_text_twice, only_clean, rules, web_address},
};

/// One OpenStack project in one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = no_inline_secret, extend("x-kubernetes-validations" = rules(&[
    ("has(self.auth.applicationCredential) || has(self.project)",
     "say which project: give project with name and domain (only an application credential knows its own)"),
    ("!has(self.auth.applicationCredential) || !has(self.project)",
     "an application credential already belongs to one project: remove project"),
    (&no_secret_in(&["authUrl"]).0, &no_secret_in(&["authUrl"]).1),
    ("self.region == oldSelf.region", "region cannot change, its VMs would be forgotten: make another Cloud"),
    ("!has(self.project) || !has(oldSelf.project) || self.project == oldSelf.project",
     "project cannot change, its VMs would be forgotten: make another Cloud"),
])))]
pub struct OpenStack {
    /// Keystone's v3 address, as in `https://keystone.example.org:5000/v3`.
    #[schemars(length(max = 512), extend("x-kubernetes-validations" = rules(&[
        ("self.matches('^https?://.+/v3/?$')",
         "write Keystone's whole address with its version, as in https://keystone.example.org:5000/v3"),
    ])))]
    pub auth_url: String,
    /// Region of Keystone's catalogue, as in `RegionOne`. Cannot change.
    #[schemars(length(min = 1, max = 255))]
    pub region: String,
    /// Which of the catalogue's endpoints is used: `public`, `internal` or `admin`. Change it where the operator runs inside
    /// the cloud's own network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "public", "enum" = ["public", "internal", "admin"]))]
    pub interface: Option<String>,
    /// The project. Left out with an application credential, which already knows its own. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Project>,
    /// How the project is entered.
    pub auth: OpenStackAuth,
    /// Secret with `ca.crt`, where Keystone's certificate is not signed by a public authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,
    /// Networks that VMs are attached to, one port each, in this order. Absent: none is asked for, and a project with exactly
    /// one network gets that one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub networks: Vec<NamedOrId>,
    /// Names of the security groups of the VMs' ports, as in `[pilots]`. Pilots need no way in, only out. Absent: `default`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 255)), extend("x-kubernetes-list-type" = "set"))]
    pub security_groups: Vec<String>,
    /// Availability zones that may be used, in order of preference. Absent: the provider decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 255)), extend("x-kubernetes-validations" = no_text_twice()))]
    pub availability_zones: Vec<String>,
}

fn no_inline_secret(schema: &mut Schema) {
    refuse_inline(schema, &["username", "password", "token"], None);
}

/// A Keystone project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    /// Name of the project, as in `biomed`.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Name of the project's domain, as in `egi.eu` or `Default`.
    #[schemars(length(min = 1, max = 255))]
    pub domain: String,
}

/// How an OpenStack project is entered: exactly one way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = no_inline_login, extend("x-kubernetes-validations" = rules(&[
    ("has(self.password) || has(self.applicationCredential) || has(self.oidc)",
     "say how the project is entered: give exactly one of password, applicationCredential and oidc"),
    ("[has(self.password), has(self.applicationCredential), has(self.oidc)].filter(given, given).size() <= 1",
     "a project is entered one way: keep one of password, applicationCredential and oidc"),
])))]
pub struct OpenStackAuth {
    /// By a user and password: Secret with `username`, `password` and, unless it is `Default`, `user_domain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<ViaSecret>,
    /// By an application credential: Secret with `id` and `secret`. The best way: it can be revoked alone and carries one
    /// project's roles only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_credential: Option<ViaSecret>,
    /// By an OpenID access token, as at EGI FedCloud. Accepted and kept; this version does not act on it, which the
    /// condition Supported says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Oidc>,
}

fn no_inline_login(schema: &mut Schema) {
    refuse_inline(schema, &["username", "token", "secret"], None);
}

/// A credential kept in a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = no_inline_credential)]
pub struct ViaSecret {
    /// The Secret: `username`, `password`, `user_domain` (default `Default`) for a password; `id`, `secret` for an
    /// application credential.
    pub secret_ref: SecretRef,
}

fn no_inline_credential(schema: &mut Schema) {
    refuse_inline(schema, &["username", "password", "id", "secret"], Some("secretRef"));
}

/// Federated login.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = no_inline_token, extend("x-kubernetes-validations" = only_clean(&["issuer"])))]
pub struct Oidc {
    /// Keystone's name of the identity provider, as in `egi.eu`.
    #[schemars(length(min = 1, max = 255))]
    pub identity_provider: String,
    /// Keystone's name of the protocol, as in `openid`.
    #[schemars(length(min = 1, max = 255))]
    pub protocol: String,
    /// Address of the token's issuer, as in `https://aai.egi.eu/auth/realms/egi`.
    #[schemars(length(max = 512), extend("x-kubernetes-validations" = web_address()))]
    pub issuer: String,
    /// Secret with `client_id`, `refresh_token` and, unless the client is public, `client_secret`.
    pub secret_ref: SecretRef,
}

fn no_inline_token(schema: &mut Schema) {
    refuse_inline(schema, &["clientSecret", "refreshToken", "accessToken"], Some("secretRef"));
}
