//! `openstack` of a Cloud: one project in one region, how it is entered, and what its VMs are attached to.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::{
    SecretRef,
    reference::{NamedOrId, refuse_inline},
    rule::{NO_SUCH_PORT, no_secret_in, no_text_twice, only_clean, port_exists, rules, web_address},
};

/// One OpenStack project in one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = no_inline_secret, extend("x-kubernetes-validations" = rules(&[
    ("has(self.auth.applicationCredential) || has(self.project)",
     "say which project: give project with name and domain, or with id (only an application credential knows its own)"),
    ("!has(self.auth.applicationCredential) || !has(self.project)",
     "an application credential already belongs to one project: remove project"),
    (&no_secret_in(&["authUrl"]).0, &no_secret_in(&["authUrl"]).1),
    ("self.region == oldSelf.region", "region cannot change, its VMs would be forgotten: make another Cloud"),
    ("!has(self.project) || !has(oldSelf.project) || self.project == oldSelf.project",
     "project cannot change, its VMs would be forgotten: make another Cloud"),
])))]
pub struct OpenStack {
    /// Keystone's v3 address, for example `https://keystone.example.org:5000/v3`. The credential is sent there, so it is
    /// `https`: an address with `http` is accepted here, and used only where the operator was installed with `allowHttp`; the
    /// condition Reachable says so otherwise. The same holds for addresses inside the cluster's own networks and
    /// `allowPrivateAddresses`.
    #[schemars(length(max = 512), extend("x-kubernetes-validations" = rules(&[
        ("self.contains('@') || self.matches('^https?://[^/[:space:]]+(/[^[:space:]]*)?/v3/?$')",
         "write Keystone's whole address with its version, for example https://keystone.example.org:5000/v3"),
        (&port_exists(), NO_SUCH_PORT),
    ])))]
    pub auth_url: String,
    /// Region of Keystone's catalogue, for example `RegionOne`. Cannot change.
    #[schemars(length(min = 1, max = 255))]
    pub region: String,
    /// Which endpoint of the catalogue is used: `public`, `internal` or `admin`. Change it where the operator runs inside the cloud's own
    /// network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "public", "enum" = ["public", "internal", "admin"]))]
    pub interface: Option<String>,
    /// The project. Left out with an application credential, which already knows its own. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Project>,
    /// How the project is entered.
    pub auth: OpenStackAuth,
    /// Secret with `ca.crt`. Needed where Keystone's certificate is not signed by a public authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,
    /// Networks that VMs are attached to, one port each, in this order. Absent: none is asked for, and a project with exactly
    /// one network gets that one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub networks: Vec<NamedOrId>,
    /// Security groups of the VMs' ports, by name or id, for example `[pilots]`. Pilots need no way in, only out. Absent: `default`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 255)), extend("x-kubernetes-list-type" = "set"))]
    pub security_groups: Vec<String>,
    /// Availability zones that may be used, in order of preference. Absent: the provider decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 255)), extend("x-kubernetes-validations" = no_text_twice()))]
    pub availability_zones: Vec<String>,
    /// Whether a VM gets its user-data on a config drive, a small disk that Nova attaches, as well as from the metadata
    /// service. With `true` a VM learns what it is for also where no metadata service is reachable from its network. Write
    /// `false` only where the provider refuses config drives. Holds for new VMs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub config_drive: Option<bool>,
    /// Size in GiB of a volume made from the image for each VM, from which it boots and which is deleted with it, for example
    /// 20. Needed for flavors that have no disk of their own, which are left out without it; the project needs Cinder and a
    /// quota of volumes. It must hold the image. Absent: VMs boot from the flavor's disk. Holds for new VMs.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "rootVolumeGiB")]
    #[schemars(range(min = 1, max = 16_384))]
    pub root_volume_gib: Option<i64>,
}

impl OpenStack {
    /// Whether VMs are asked for with a config drive: unless the manifest says no.
    pub fn wants_config_drive(&self) -> bool {
        self.config_drive.unwrap_or(true)
    }
}

fn no_inline_secret(schema: &mut Schema) {
    refuse_inline(schema, &["username", "password", "token"], None);
}

/// A Keystone project: by its id, or by its name and its domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("has(self.id) || has(self.name)", "say which project: give its id, or its name and its domain"),
    ("!has(self.id) || (!has(self.name) && !has(self.domain) && !has(self.domainId))",
     "an id is enough to find the project: remove name, domain and domainId, or remove id"),
    ("!has(self.name) || has(self.id) || has(self.domain) || has(self.domainId)",
     "a project's name is unique only in its domain: add domain (a name, for example Default) or domainId"),
    ("!has(self.domain) || !has(self.domainId)", "give domain or domainId, not both: they might not agree"),
])))]
pub struct Project {
    /// Id of the project, for example `9a1f4c0b6d0e4bb79b7cbb6a2e0f4b1c`. It alone says which project; `openstack project list`
    /// shows it. Federated sites often know a project by its id only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub id: Option<String>,
    /// Name of the project, for example `biomed`; with `domain` or `domainId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub name: Option<String>,
    /// Name of the project's domain, for example `egi.eu` or `Default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub domain: Option<String>,
    /// Id of the project's domain, for example `default`. Either this or `domain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub domain_id: Option<String>,
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
    /// By a user and password: Secret with `username`, `password` and, unless the user is of the domain `Default`, `user_domain` (its
    /// name) or `user_domain_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<ViaSecret>,
    /// By an application credential: Secret with `id` and `secret`. The best way: it can be revoked by itself, and it has the roles of one
    /// project only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_credential: Option<ViaSecret>,
    /// By an identity of an OpenID provider, for example EGI Check-in at the sites of EGI FedCloud. docs/how-to/egi-fedcloud.md has the
    /// steps.
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
    /// The Secret: `username`, `password`, `user_domain` or `user_domain_id` (absent: the domain `Default`) for a password; `id`,
    /// `secret` for an application credential.
    pub secret_ref: SecretRef,
}

fn no_inline_credential(schema: &mut Schema) {
    refuse_inline(schema, &["username", "password", "id", "secret"], Some("secretRef"));
}

/// Login with the identity of an OpenID provider: Keystone takes its access token, and gives the token of a project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = no_inline_token, extend("x-kubernetes-validations" = only_clean(&["issuer"])))]
pub struct Oidc {
    /// Keystone's name of the identity provider, for example `egi.eu`.
    #[schemars(length(min = 1, max = 255))]
    pub identity_provider: String,
    /// Keystone's name of the protocol, for example `openid`.
    #[schemars(length(min = 1, max = 255))]
    pub protocol: String,
    /// Address of the token's issuer, for example `https://aai.egi.eu/auth/realms/egi`. Its other addresses are read there, from
    /// `.well-known/openid-configuration`.
    #[schemars(length(max = 512), extend("x-kubernetes-validations" = web_address()))]
    pub issuer: String,
    /// How access tokens are got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "RefreshToken"))]
    pub grant: Option<OidcGrant>,
    /// Scopes that are asked for with each access token, for example `[openid, eduperson_entitlement]`. Absent: those of the refresh token,
    /// or the usual ones of the client. Not used with `AccessToken`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 255), pattern("^[!#-\\[\\]-~]+$")), extend("x-kubernetes-list-type" = "set"))]
    pub scopes: Vec<String>,
    /// The Secret. For `RefreshToken`: `client_id`, `refresh_token` and, unless the client is public, `client_secret`. Where the provider
    /// gives another refresh token with each access token, the operator writes it into the Secret: nothing else may use or write that
    /// key, and two Clouds that name one Secret share it. For `ClientCredentials`: `client_id` and `client_secret`. For `AccessToken`:
    /// `access_token`.
    pub secret_ref: SecretRef,
}

/// How access tokens are got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OidcGrant {
    /// With a refresh token. Take one that does not end (`offline_access`), of a robot or of a person who may leave last.
    #[default]
    RefreshToken,
    /// With the client's own secret: the client itself is a member of the VO.
    ClientCredentials,
    /// Something else renews the access token in the Secret, in time before it ends.
    AccessToken,
}

fn no_inline_token(schema: &mut Schema) {
    refuse_inline(schema, &["clientSecret", "refreshToken", "accessToken"], Some("secretRef"));
}
