//! `ec2` of a Cloud: one account in one region. Accepted and kept; not acted on yet.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::{
    SecretRef,
    reference::refuse_inline,
    rule::{no_secret_in, no_text_twice, rules, web_address},
};

/// One EC2 account in one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    (&no_secret_in(&["endpoint"]).0, &no_secret_in(&["endpoint"]).1),
    ("self.region == oldSelf.region", "region cannot change, its VMs would be forgotten: make another Cloud"),
])))]
pub struct Ec2 {
    /// AWS region, for example `eu-west-3`. Cannot change.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub region: String,
    /// Address of another service with the API of EC2, for example `https://ec2.example.org`. Absent: the one of AWS in the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), extend("x-kubernetes-validations" = web_address()))]
    pub endpoint: Option<String>,
    /// How the account is entered. Absent: by the role of the operator's own pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Ec2Auth>,
    /// Ids of subnets in which VMs may be made, in order of preference, for example `[subnet-0aa]`. Each lies in one availability zone.
    /// Absent: the account's default subnets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(length(max = 64), regex(pattern = "^subnet-[0-9a-z]+$")),
        extend("x-kubernetes-validations" = no_text_twice())
    )]
    pub subnets: Vec<String>,
    /// Ids of the VMs' security groups, for example `[sg-0cc]`. Pilots need no way in, only out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(max = 64), regex(pattern = "^sg-[0-9a-z]+$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub security_groups: Vec<String>,
}

/// How an EC2 account is entered: exactly one way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = no_inline_key, extend("x-kubernetes-validations" = rules(&[
    ("has(self.secretRef) != has(self.webIdentity)",
     "give exactly one of secretRef and webIdentity, or leave auth out to use the pod's own role"),
])))]
pub struct Ec2Auth {
    /// Secret with `access_key_id` and `secret_access_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// A role that is entered with the token of the pod's service account, so that no long-lived key is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_identity: Option<WebIdentity>,
}

fn no_inline_key(schema: &mut Schema) {
    refuse_inline(schema, &["accessKeyId", "secretAccessKey", "sessionToken"], None);
}

/// A role entered with a web identity token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebIdentity {
    /// ARN of the role, for example `arn:aws:iam::123456789012:role/pilots`.
    #[schemars(length(max = 512), regex(pattern = "^arn:[a-z-]+:iam::[0-9]{12}:role/.+$"))]
    pub role_arn: String,
}
